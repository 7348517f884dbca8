/* Configurations from anywhere: whatever is accepted can be written and is accepted again. */
#include "config/config.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

typedef struct growing_text {
    char bytes[1 << 20];
    size_t length;
} growing_text;

static bool keep(void *context, const char *bytes, size_t length) {
    growing_text *text = context;
    if (length > sizeof text->bytes - text->length) {
        return false;
    }
    memcpy(text->bytes + text->length, bytes, length);
    text->length += length;
    return true;
}

static config *load(const char *text, size_t length, const char *const *settings,
                    size_t n_settings) {
    static const char *const environment[] = {"HOME=/home/x", "TARS__DEPLOYMENT__WASM__PRIORITY=9",
                                              NULL};
    config_options options = {.text = text,
                              .text_length = length,
                              .environment = environment,
                              .settings = settings,
                              .n_settings = n_settings};
    config_diagnostics problems = {0};
    config *c = NULL;
    tars_error err;
    tars_status status = config_load(&options, &problems, &c, &err);
    char line[512];
    text_buffer out;
    for (const config_diagnostic *d = problems.first; d; d = d->next) {
        text_init(&out, line, sizeof line);
        diagnostics_line(d, &out);
    }
    if ((status == TARS_OK) != (c != NULL) || (c && problems.n_errors > 0)) {
        abort();
    }
    diagnostics_free(&problems);
    return c;
}

/* The first line also serves as a setting, so that paths are tried too. */
static void load_setting(const uint8_t *data, size_t size) {
    char line[300];
    size_t length = 0;
    while (length < size && length < sizeof line - 1 && data[length] != '\n' && data[length]) {
        line[length] = (char)data[length];
        length++;
    }
    line[length] = '\0';
    const char *const settings[] = {line};
    config_destroy(load("", 0, settings, 1));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static growing_text text;
    load_setting(data, size);
    config *c = load((const char *)data, size, NULL, 0);
    if (!c) {
        return 0;
    }
    json_writer json;
    text.length = 0;
    json_writer_init(&json, keep, &text);
    config_json_write(config_root(c), &json);
    bool holds_variables = memchr(text.bytes, '$', text.length) != NULL;
    config_destroy(c);
    if (!json.failed && !holds_variables) {
        config *again = load(text.bytes, text.length, NULL, 0);
        if (!again) {
            abort(); /* what was shown must be a configuration */
        }
        config_destroy(again);
    }
    return 0;
}
