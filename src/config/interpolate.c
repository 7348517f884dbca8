#include "config/interpolate.h"

#include <string.h>

enum { RESULT_BYTES = 8192 };

static size_t name_length(const char *text) {
    static const char first[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz_";
    if (text[0] == '\0' || !strchr(first, text[0])) {
        return 0;
    }
    return strspn(text, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz_0123456789");
}

/* Appends what `text`, which begins with "${", stands for; the length read, or 0. */
static size_t expand(check_context *c, const yaml_node *node, const char *text, text_buffer *out) {
    const char *name = text + 2;
    size_t length = name_length(name);
    const char *rest = name + length;
    bool has_default = rest[0] == ':' && rest[1] == '-';
    const char *end = strchr(rest, '}');
    if (length == 0 || !end || (!has_default && end != rest)) {
        check_refuse(c, "C0110", node->line, node->column,
                     "\"%.60s\" is not of the form ${NAME} or ${NAME:-default}; write $$ for a "
                     "dollar sign",
                     text);
        return 0;
    }
    const char *value = check_variable(c->environment, name, length);
    if (value) {
        text_append_string(out, value);
    } else if (has_default) {
        text_append(out, rest + 2, (size_t)(end - rest - 2));
    } else {
        check_refuse(c, "C0110", node->line, node->column,
                     "the environment variable %.*s is not set; set it or write ${%.*s:-default}",
                     (int)length, name, (int)length, name);
        return 0;
    }
    return (size_t)(end + 1 - text);
}

const char *interpolate(check_context *c, const yaml_node *node, bool *changed) {
    *changed = false;
    if (!c->environment || !strchr(node->text, '$')) {
        return node->text;
    }
    char result[RESULT_BYTES];
    text_buffer out;
    text_init(&out, result, sizeof result);
    for (const char *at = node->text; *at != '\0';) {
        size_t length = 1;
        if (at[0] == '$' && at[1] == '$') {
            text_append_char(&out, '$');
            length = 2;
        } else if (at[0] == '$' && at[1] == '{') {
            length = expand(c, node, at, &out);
            *changed = true;
        } else {
            length = strcspn(at + 1, "$") + 1;
            text_append(&out, at, length);
        }
        if (length == 0) {
            return NULL;
        }
        at += length;
    }
    if (out.truncated) {
        check_refuse(c, "C0110", node->line, node->column,
                     "the text has more than %d bytes when its variables are put in",
                     RESULT_BYTES - 1);
        return NULL;
    }
    return pool_text(c->memory, out.data, out.length);
}
