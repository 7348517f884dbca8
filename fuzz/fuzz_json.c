#include "base/json.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

typedef struct fixed_text {
    char bytes[1 << 20];
    size_t length;
} fixed_text;

static bool keep(void *context, const char *bytes, size_t length) {
    fixed_text *text = context;
    if (length > sizeof text->bytes - text->length) {
        return false;
    }
    memcpy(text->bytes + text->length, bytes, length);
    text->length += length;
    return true;
}

static void write_value(json_writer *w, const json_value *value) {
    if (value->type == JSON_NULL) {
        json_null(w);
    } else if (value->type == JSON_BOOL) {
        json_bool(w, value->boolean);
    } else if (value->type == JSON_NUMBER) {
        json_double(w, value->number);
    } else if (value->type == JSON_STRING) {
        json_string_n(w, value->string, value->string_length);
    } else if (value->type == JSON_ARRAY) {
        json_begin_array(w);
        for (const json_value *child = value->first; child; child = child->next) {
            write_value(w, child);
        }
        json_end_array(w);
    } else {
        json_begin_array(w); /* keys may hold U+0000, so they are written as strings */
        for (const json_value *child = value->first; child; child = child->next) {
            json_string_n(w, child->key, child->key_length);
            write_value(w, child);
        }
        json_end_array(w);
    }
}

/* What parses is written, parsed and written again: both texts must be equal. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static uint8_t memory[8 << 20];
    static fixed_text first, second;
    arena a;
    json_value *value;
    json_writer w;
    arena_init(&a, memory, sizeof memory);
    if (json_parse((const char *)data, size, NULL, &a, &value, NULL) != TARS_OK) {
        return 0;
    }
    first.length = second.length = 0;
    json_writer_init(&w, keep, &first);
    write_value(&w, value);
    if (w.failed) {
        return 0;
    }
    arena_init(&a, memory, sizeof memory);
    tars_error err;
    if (json_parse(first.bytes, first.length, NULL, &a, &value, &err) != TARS_OK) {
        if (err.status == TARS_OUT_OF_MEMORY) {
            return 0;
        }
        abort();
    }
    json_writer_init(&w, keep, &second);
    write_value(&w, value);
    if (first.length != second.length || memcmp(first.bytes, second.bytes, first.length) != 0) {
        abort();
    }
    return 0;
}
