/* What every part of the template interpreter shares: the state of one rendering, its limits and
 * its errors. A function that returns bool returns false after it has filled the error. Ownership:
 * all values made while rendering live in the machine's arena until the rendering ends. */
#ifndef ENGINE_TEMPLATE_MACHINE_H
#define ENGINE_TEMPLATE_MACHINE_H

#include "engine/template/node.h"

#include <string.h>

enum { STRING_PLAIN, STRING_SAFE }; /* detail of TEMPLATE_STRING; safe: from the filter `safe` */

/* detail of TEMPLATE_UNDEFINED; as.text names what was looked for */
enum {
    UNDEFINED_NAME,      /* a variable */
    UNDEFINED_ATTRIBUTE, /* an attribute or key */
    UNDEFINED_ELEMENT,   /* an index */
    UNDEFINED_UNSAFE,    /* an attribute that the sandbox hides */
    UNDEFINED_HINT,      /* as.text is the whole message */
    UNDEFINED_MISSING    /* never visible to a template: a slot or parameter without a value */
};

enum { TUPLE_PLAIN, TUPLE_GROUP }; /* detail of TEMPLATE_TUPLE; group: from the filter groupby */

enum { VIEW_KEYS, VIEW_VALUES, VIEW_ITEMS }; /* detail of TEMPLATE_VIEW */

enum { TEMPLATE_MAX_RANGE = 100000 };

/* Where printed text goes: to the sink, or (sink NULL) into a string that grows in the arena. */
typedef struct template_writer {
    template_sink sink;
    void *context;
    uint64_t left_bytes; /* how much more the sink may get */
    char *data;
    size_t length;
    size_t capacity;
} template_writer;

typedef struct template_frame {
    struct template_frame *parent;
    const template_scope *scope;
    template_value *slots;
} template_frame;

typedef struct template_machine {
    arena *memory;
    tars_error *err;
    tars_status status; /* of the failure; TARS_OK so far */
    const template_value *context;
    const template_clock *clock;
    template_writer *out;
    uint64_t left_steps;
    unsigned depth;
    unsigned peak_depth;
    unsigned max_depth;
    uint32_t line; /* of the statement that runs */
} template_machine;

typedef struct template_keyword {
    template_text name;
    template_value value;
} template_keyword;

/* The arguments of one call. */
typedef struct template_arguments {
    template_value *positional;
    size_t count;
    template_keyword *keywords;
    size_t keyword_count;
} template_arguments;

enum { TEMPLATE_MAX_BOUND = 6 }; /* parameters of a built-in filter, test, function or method */

typedef struct template_range {
    int64_t start, stop, step;
    size_t count;
} template_range;

typedef struct template_macro {
    const template_macro_code *code;
    template_frame *frame; /* where it was defined */
} template_macro;

struct template_builtin_row;
typedef struct template_method {
    template_value self;
    const struct template_builtin_row *row;
} template_method;

/* ---- errors and limits (machine.c) ---- */
bool template_fail(template_machine *m, tars_status status, const char *format, ...)
    BASE_PRINTF(3, 4);
/* The error of using an undefined value. */
bool template_fail_undefined(template_machine *m, const template_value *value);
/* As template_fail for a message that may hold line breaks (raise_exception). */
bool template_fail_text(template_machine *m, tars_status status, template_text message);
/* Takes `steps` from the budget. */
bool template_charge(template_machine *m, uint64_t steps);
/* The price of touching that many bytes. */
static inline uint64_t template_bytes_price(size_t length) {
    return (uint64_t)length / 32;
}
/* Every recursion goes through these two. */
bool template_enter(template_machine *m);
static inline void template_leave(template_machine *m) {
    m->depth--;
}
/* Memory that is not zeroed, or NULL with the error set. */
void *template_alloc(template_machine *m, size_t count, size_t element_bytes, size_t alignment);
#define TEMPLATE_NEW(m, type, count)                                                               \
    ((type *)template_alloc((m), (count), sizeof(type), _Alignof(type)))

/* ---- writer (machine.c) ---- */
void template_writer_capture(template_writer *writer);
bool template_write(template_machine *m, template_writer *writer, const char *bytes, size_t length);
static inline bool template_write_text(template_machine *m, template_writer *writer,
                                       template_text text) {
    return template_write(m, writer, text.bytes, text.length);
}
bool template_write_string(template_machine *m, template_writer *writer, const char *string);
/* What was captured. */
template_value template_writer_value(const template_writer *writer);

/* ---- small values ---- */
static inline bool template_is(const template_value *value, template_type type) {
    return value->type == (uint8_t)type;
}
static inline bool template_is_undefined(const template_value *value) {
    return value->type == TEMPLATE_UNDEFINED;
}
static inline bool template_is_missing(const template_value *value) {
    return value->type == TEMPLATE_UNDEFINED && value->detail == UNDEFINED_MISSING;
}
static inline bool template_is_number(const template_value *value) {
    return value->type == TEMPLATE_BOOL || value->type == TEMPLATE_INT ||
           value->type == TEMPLATE_FLOAT;
}
/* bool or int, which Python treats alike in arithmetic */
static inline bool template_is_integer(const template_value *value) {
    return value->type == TEMPLATE_BOOL || value->type == TEMPLATE_INT;
}
static inline int64_t template_integer(const template_value *value) {
    return value->type == TEMPLATE_BOOL ? (value->as.boolean ? 1 : 0) : value->as.integer;
}
static inline bool template_is_items(const template_value *value) {
    return value->type == TEMPLATE_LIST || value->type == TEMPLATE_TUPLE;
}
static inline template_value template_missing(void) {
    return (template_value){.type = TEMPLATE_UNDEFINED, .detail = UNDEFINED_MISSING};
}
static inline template_value template_undefined(uint8_t detail, template_text name) {
    return (template_value){.type = TEMPLATE_UNDEFINED, .detail = detail, .as.text = name};
}
static inline template_value template_object(template_type type, void *object) {
    return (template_value){.type = (uint8_t)type, .as.object = object};
}
static inline template_value template_sequence(template_type type, const template_value *items,
                                               size_t count) {
    return (template_value){.type = (uint8_t)type, .as.items = {items, count}};
}
static inline bool template_text_is(template_text text, const char *string) {
    return strlen(string) == text.length && memcmp(text.bytes, string, text.length) == 0;
}
static inline bool template_text_equal(template_text a, template_text b) {
    return a.length == b.length && (a.length == 0 || memcmp(a.bytes, b.bytes, a.length) == 0);
}
static inline template_text template_text_of(const char *string) {
    return (template_text){string, strlen(string)};
}
/* Offset of the first such byte, or `length`. */
static inline size_t template_find_byte(const char *bytes, size_t length, char byte) {
    size_t i = 0;
    while (i < length && bytes[i] != byte) {
        i++;
    }
    return i;
}
static inline bool template_has_byte(const char *bytes, size_t length, char byte) {
    return template_find_byte(bytes, length, byte) < length;
}
/* True for one of the characters of a NUL-terminated set. */
static inline bool template_is_one_of(char c, const char *set) {
    return c != '\0' && template_has_byte(set, strlen(set), c);
}
/* Python's name of the value's type. */
const char *template_type_name(const template_value *value);

#endif
