#include "cli/input.h"

#include "base/utf8.h"

#include <stdlib.h>
#include <string.h>

tars_status input_read_standard(const char *what, input_text *out, tars_error *err) {
    *out = (input_text){0};
    tars_status status =
        platform_handle_read_all(PLATFORM_STDIN, INPUT_MAX_BYTES, &out->owned, &out->length, err);
    if (status != TARS_OK) {
        error_where(err, "%s from standard input", what);
        return status;
    }
    out->bytes = out->owned;
    return TARS_OK;
}

static tars_status read_path(const char *path, input_text *out, tars_error *err) {
    *out = (input_text){0};
    tars_status status =
        platform_file_read_all(path, INPUT_MAX_BYTES, &out->owned, &out->length, err);
    out->bytes = out->owned;
    return status;
}

tars_status input_read_file(const char *path, const char *what, input_text *out, tars_error *err) {
    return strcmp(path, "-") == 0 ? input_read_standard(what, out, err) : read_path(path, out, err);
}

tars_status input_read(const char *argument, const char *what, input_text *out, tars_error *err) {
    if (strcmp(argument, "-") == 0) {
        return input_read_standard(what, out, err);
    }
    if (argument[0] == '@') {
        tars_status status = read_path(argument + 1, out, err);
        if (status == TARS_NOT_FOUND && err && err->hint[0] == '\0') {
            error_hint(err, "@NAME reads a file; text that begins with @ can come from standard "
                            "input with -");
        }
        return status;
    }
    *out = (input_text){.bytes = argument, .length = strlen(argument)};
    return TARS_OK;
}

tars_status input_check_text(const input_text *text, const char *what, tars_error *err) {
    if (text->length == 0) {
        error_set(err, TARS_USAGE, "%s is empty", what);
        error_where(err, "%s", what);
        return error_hint(err, "give a text, - for standard input, or @FILE");
    }
    size_t offset = 0;
    if (!utf8_valid(text->bytes, text->length, &offset)) {
        error_set(err, TARS_MALFORMED, "%s is not UTF-8: byte 0x%02x at offset %zu", what,
                  (unsigned)(unsigned char)text->bytes[offset], offset);
        error_where(err, "%s, byte %zu", what, offset);
        return error_hint(err, "convert it first, for example with iconv -f latin1 -t utf-8");
    }
    return TARS_OK;
}

void input_free(input_text *text) {
    free(text->owned);
    *text = (input_text){0};
}
