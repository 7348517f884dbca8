/* A bounded JSON reader (RFC 8259) and writer. Ownership: parsed values live in the caller's
 * arena; the writer keeps no memory, it streams into the caller's sink. No libc number functions:
 * the same text gives the same bits on every target. */
#ifndef BASE_JSON_H
#define BASE_JSON_H

#include "base/arena.h"
#include "base/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef enum json_type {
    JSON_NULL,
    JSON_BOOL,
    JSON_NUMBER,
    JSON_STRING,
    JSON_ARRAY,
    JSON_OBJECT
} json_type;

typedef struct json_value {
    json_type type;
    bool boolean;
    bool is_integer;      /* the text has no fraction or exponent and fits int64 */
    int64_t integer;      /* valid if is_integer */
    double number;        /* nearest double, always valid for JSON_NUMBER */
    const char *string;   /* decoded UTF-8, NUL-terminated; may contain U+0000 */
    size_t string_length; /* bytes without the NUL */
    const char *key;      /* member name when the parent is an object, else NULL */
    size_t key_length;
    size_t count;             /* children of an array or object */
    struct json_value *first; /* first child, in the text's order */
    struct json_value *next;  /* next sibling */
} json_value;

typedef struct json_limits {
    size_t max_depth;  /* nesting; 0 means 64. The parser does not recurse deeper than this. */
    size_t max_values; /* 0 means no limit but the arena's size */
} json_limits;

/* Parses exactly one value with nothing but white space around it. Refuses invalid UTF-8, lone
 * surrogates, duplicate keys in one object, numbers beyond double. `limits` may be NULL. Errors:
 * MALFORMED with the byte offset, line and column in `where`; LIMIT for depth or count;
 * OUT_OF_MEMORY for the arena. */
tars_status json_parse(const char *text, size_t length, const json_limits *limits, arena *memory,
                       json_value **out, tars_error *err);

/* The member named `key`, or NULL (also when `object` is NULL or no object). */
const json_value *json_member(const json_value *object, const char *key);
/* Typed access with defaults; NULL or a value of another type gives the default. */
const char *json_string_or(const json_value *value, const char *otherwise);
int64_t json_integer_or(const json_value *value, int64_t otherwise);
double json_number_or(const json_value *value, double otherwise);
bool json_bool_or(const json_value *value, bool otherwise);

/* Receives the writer's bytes in order; returns false to stop (the writer then stays failed). */
typedef bool (*json_sink)(void *context, const char *bytes, size_t length);

enum { JSON_WRITER_MAX_DEPTH = 64 };

typedef struct json_writer {
    json_sink sink;
    void *context;
    bool failed; /* the sink refused; everything later is dropped */
    unsigned depth;
    bool has_items[JSON_WRITER_MAX_DEPTH]; /* a comma is due before the next item */
    bool after_key;
    bool escapes_hidden; /* all of utf8_is_hidden, not controls below U+0020 alone */
} json_writer;

void json_writer_init(json_writer *writer, json_sink sink, void *context);
void json_begin_object(json_writer *writer);
void json_end_object(json_writer *writer);
void json_begin_array(json_writer *writer);
void json_end_array(json_writer *writer);
void json_key(json_writer *writer, const char *key);
/* Strings must be UTF-8; invalid bytes are written as U+FFFD. Control characters are escaped. */
void json_string(json_writer *writer, const char *string);
void json_string_n(json_writer *writer, const char *string, size_t length);
void json_int(json_writer *writer, int64_t value);
void json_uint(json_writer *writer, uint64_t value);
/* Shortest text that reads back to the same bits, in the form of ECMAScript (RFC 8785 § 3.2.2.3);
 * infinities and NaN as the strings "inf", "-inf", "nan". */
void json_double(json_writer *writer, double value);
/* Shortest text that reads back to the same float. */
void json_float(json_writer *writer, float value);
void json_bool(json_writer *writer, bool value);
void json_null(json_writer *writer);
/* key + value in one call */
void json_member_string(json_writer *writer, const char *key, const char *value);
void json_member_int(json_writer *writer, const char *key, int64_t value);
void json_member_uint(json_writer *writer, const char *key, uint64_t value);
void json_member_double(json_writer *writer, const char *key, double value);
void json_member_bool(json_writer *writer, const char *key, bool value);

#endif
