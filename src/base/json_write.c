#include "base/json.h"
#include "base/number.h"
#include "base/utf8.h"

#include <assert.h>
#include <string.h>

static void put(json_writer *writer, const char *bytes, size_t length) {
    if (!writer->failed && length > 0 && !writer->sink(writer->context, bytes, length)) {
        writer->failed = true;
    }
}

/* What must stand between the item before and the one that comes. */
static void before_item(json_writer *writer) {
    if (writer->after_key) {
        writer->after_key = false;
        return;
    }
    if (writer->depth > 0) {
        if (writer->has_items[writer->depth - 1]) {
            put(writer, ",", 1);
        }
        writer->has_items[writer->depth - 1] = true;
    }
}

static void begin(json_writer *writer, const char *bracket) {
    before_item(writer);
    assert(writer->depth < JSON_WRITER_MAX_DEPTH);
    if (writer->depth >= JSON_WRITER_MAX_DEPTH) {
        writer->failed = true;
        return;
    }
    put(writer, bracket, 1);
    writer->has_items[writer->depth++] = false;
}

static void end(json_writer *writer, const char *bracket) {
    assert(writer->depth > 0 && !writer->after_key);
    if (writer->depth > 0) {
        writer->depth--;
        put(writer, bracket, 1);
    }
}

void json_writer_init(json_writer *writer, json_sink sink, void *context) {
    *writer = (json_writer){.sink = sink, .context = context};
}

void json_begin_object(json_writer *writer) {
    begin(writer, "{");
}
void json_end_object(json_writer *writer) {
    end(writer, "}");
}
void json_begin_array(json_writer *writer) {
    begin(writer, "[");
}
void json_end_array(json_writer *writer) {
    end(writer, "]");
}

/* "\u202e" for a code point below U+10000, as all of utf8_is_hidden are. */
static void put_code(json_writer *writer, uint32_t c) {
    static const char hex[] = "0123456789abcdef";
    put(writer,
        (char[6]){'\\', 'u', hex[c >> 12 & 15], hex[c >> 8 & 15], hex[c >> 4 & 15], hex[c & 15]},
        6);
}

/* Writes the escape of a byte that may not stand in a string as it is. */
static void put_escape(json_writer *writer, unsigned char c) {
    static const char short_forms[128] = {['"'] = '"',  ['\\'] = '\\', ['\b'] = 'b', ['\f'] = 'f',
                                          ['\n'] = 'n', ['\r'] = 'r',  ['\t'] = 't'};
    if (short_forms[c] != 0) {
        put(writer, (char[2]){'\\', short_forms[c]}, 2);
    } else {
        put_code(writer, c);
    }
}

static void put_string(json_writer *writer, const char *string, size_t length) {
    put(writer, "\"", 1);
    size_t start = 0; /* first byte not yet written */
    size_t i = 0;
    while (i < length) {
        unsigned char c = (unsigned char)string[i];
        uint32_t code_point = 0;
        size_t n = c < 0x80 ? 1 : utf8_decode(string + i, length - i, &code_point);
        bool hides = writer->escapes_hidden && c >= 0x7F && n > 0 &&
                     utf8_is_hidden(c < 0x80 ? c : code_point);
        bool plain = n > 0 && c >= 0x20 && c != '"' && c != '\\' && !hides;
        if (!plain) {
            put(writer, string + start, i - start);
            if (n == 0) {
                put(writer, "\xEF\xBF\xBD", 3); /* U+FFFD */
            } else if (hides) {
                put_code(writer, c < 0x80 ? c : code_point);
            } else {
                put_escape(writer, c);
            }
            start = i + (n > 0 ? n : 1);
        }
        i += n > 0 ? n : 1;
    }
    put(writer, string + start, length - start);
    put(writer, "\"", 1);
}

void json_key(json_writer *writer, const char *key) {
    assert(writer->depth > 0 && !writer->after_key);
    before_item(writer);
    put_string(writer, key, strlen(key));
    put(writer, ":", 1);
    writer->after_key = true;
}

void json_string_n(json_writer *writer, const char *string, size_t length) {
    before_item(writer);
    put_string(writer, string, length);
}

void json_string(json_writer *writer, const char *string) {
    json_string_n(writer, string, strlen(string));
}

static void put_literal(json_writer *writer, const char *text, size_t length) {
    before_item(writer);
    put(writer, text, length);
}

void json_int(json_writer *writer, int64_t value) {
    char text[NUMBER_MAX_BYTES];
    size_t length = number_from_int64(value, text);
    put_literal(writer, text, length);
}

void json_uint(json_writer *writer, uint64_t value) {
    char text[NUMBER_MAX_BYTES];
    size_t length = number_from_uint64(value, text);
    put_literal(writer, text, length);
}

/* Values that JSON's grammar lacks ("inf", "-inf", "nan") become strings. */
static void put_number(json_writer *writer, const char *text, size_t length) {
    char last = text[length - 1];
    if (last >= '0' && last <= '9') {
        put_literal(writer, text, length);
    } else {
        json_string_n(writer, text, length);
    }
}

void json_double(json_writer *writer, double value) {
    char text[NUMBER_MAX_BYTES];
    size_t length = number_from_double(value, text);
    put_number(writer, text, length);
}

void json_float(json_writer *writer, float value) {
    char text[NUMBER_MAX_BYTES];
    size_t length = number_from_float(value, text);
    put_number(writer, text, length);
}

void json_bool(json_writer *writer, bool value) {
    put_literal(writer, value ? "true" : "false", value ? 4 : 5);
}

void json_null(json_writer *writer) {
    put_literal(writer, "null", 4);
}

void json_member_string(json_writer *writer, const char *key, const char *value) {
    json_key(writer, key);
    json_string(writer, value);
}

void json_member_int(json_writer *writer, const char *key, int64_t value) {
    json_key(writer, key);
    json_int(writer, value);
}

void json_member_uint(json_writer *writer, const char *key, uint64_t value) {
    json_key(writer, key);
    json_uint(writer, value);
}

void json_member_double(json_writer *writer, const char *key, double value) {
    json_key(writer, key);
    json_double(writer, value);
}

void json_member_bool(json_writer *writer, const char *key, bool value) {
    json_key(writer, key);
    json_bool(writer, value);
}
