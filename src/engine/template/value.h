/* The values a chat template works with, and what a caller needs to build some. Ownership: lists
 * and dicts live in the caller's arena; strings are borrowed and must outlive the value. A value
 * is small and is passed by copy; whatever it points at never changes once a template sees it. */
#ifndef ENGINE_TEMPLATE_VALUE_H
#define ENGINE_TEMPLATE_VALUE_H

#include "base/arena.h"
#include "base/error.h"
#include "base/json.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Callers make the first eight; the others come from the template itself. */
typedef enum template_type {
    TEMPLATE_UNDEFINED, /* so that zeroed memory is the undefined value */
    TEMPLATE_NONE,
    TEMPLATE_BOOL,
    TEMPLATE_INT,
    TEMPLATE_FLOAT,
    TEMPLATE_STRING,
    TEMPLATE_LIST,
    TEMPLATE_DICT,
    TEMPLATE_TUPLE,
    TEMPLATE_RANGE,
    TEMPLATE_VIEW,      /* items(), keys(), values() of a dict */
    TEMPLATE_LAZY,      /* a sequence that can be walked once: map, select, … */
    TEMPLATE_NAMESPACE, /* the one thing that a template may change */
    TEMPLATE_MACRO,
    TEMPLATE_METHOD,   /* a method with the value it belongs to */
    TEMPLATE_FUNCTION, /* a global function */
    TEMPLATE_LOOP,     /* the variable `loop` */
    TEMPLATE_CYCLER,
    TEMPLATE_JOINER,
    TEMPLATE_SELF,
    TEMPLATE_TYPE_COUNT
} template_type;

typedef struct template_value template_value;
typedef struct template_dict template_dict;
typedef struct template_entry template_entry;

/* UTF-8 that is not NUL-terminated; invalid bytes count as one character each. */
typedef struct template_text {
    const char *bytes;
    size_t length;
} template_text;

typedef struct template_items {
    const template_value *first;
    size_t count;
} template_items;

struct template_value {
    uint8_t type;   /* a template_type */
    uint8_t detail; /* meaning depends on the type (machine.h); callers leave it 0 */
    union {
        bool boolean;
        int64_t integer;
        double number;
        template_text text;
        template_items items; /* list, tuple */
        template_dict *dict;
        void *object; /* the internal types */
    } as;
};

struct template_entry {
    template_value key;
    template_value value;
};

/* Entries in the order of insertion. */
struct template_dict {
    template_entry *entries;
    size_t count;
    size_t capacity;
};

/* Receives text in order; false stops the rendering. */
typedef bool (*template_sink)(void *context, const char *bytes, size_t length);

/* Civil time, as strftime_now shows it. year 0: there is no clock. */
typedef struct template_clock {
    int year, month, day; /* month and day from 1 */
    int hour, minute, second;
} template_clock;

template_value template_none(void);
template_value template_bool(bool value);
template_value template_int(int64_t value);
template_value template_float(double value);
template_value template_string(const char *bytes, size_t length);
/* The NUL-terminated text; NULL gives none. */
template_value template_cstring(const char *text);

/* A list of `count` nones in *out. Returns its items, to be filled in before use, or NULL when the
 * arena is full (a count of 0 gives a pointer that must not be read). */
template_value *template_list(arena *memory, size_t count, template_value *out);
/* An empty dict with room for `capacity` entries (it grows). False: the arena is full. */
bool template_dict_new(arena *memory, size_t capacity, template_value *out);
/* Adds or replaces the entry of a NUL-terminated key, which is borrowed. False: arena full. */
bool template_dict_put(arena *memory, template_value *dict, const char *key, template_value value);
/* The value of a string key, or NULL (also when `dict` is no dict). */
const template_value *template_dict_get(const template_value *dict, const char *key);

/* Deepest nesting that template_from_json accepts. */
enum { TEMPLATE_MAX_JSON_DEPTH = 128 };

/* The value of a JSON text. Strings are borrowed from `json`. Errors: LIMIT for nesting,
 * OUT_OF_MEMORY for the arena. */
tars_status template_from_json(arena *memory, const json_value *json, template_value *out,
                               tars_error *err);

#endif
