#include "store/canonical.h"

#include "base/utf8.h"

#include <string.h>

typedef struct canonical {
    json_writer writer;
    arena *memory;
    tars_error *err;
} canonical;

/* The next UTF-16 code unit of a well-formed text; *low carries the second of a pair. */
static int next_unit(const char **text, size_t *length, uint16_t *low) {
    if (*low != 0) {
        int unit = *low;
        *low = 0;
        return unit;
    }
    if (*length == 0) {
        return -1;
    }
    uint32_t code_point = 0xFFFD;
    size_t used = utf8_decode(*text, *length, &code_point);
    used = used == 0 ? 1 : used;
    *text += used;
    *length -= used;
    if (code_point < 0x10000) {
        return (int)code_point;
    }
    *low = (uint16_t)(0xDC00 + ((code_point - 0x10000) & 0x3FF));
    return (int)(0xD800 + ((code_point - 0x10000) >> 10));
}

static int compare_keys(const json_value *a, const json_value *b) {
    const char *a_text = a->key;
    const char *b_text = b->key;
    size_t a_length = a->key_length;
    size_t b_length = b->key_length;
    uint16_t a_low = 0;
    uint16_t b_low = 0;
    for (;;) {
        int a_unit = next_unit(&a_text, &a_length, &a_low);
        int b_unit = next_unit(&b_text, &b_length, &b_low);
        if (a_unit != b_unit) {
            return a_unit < b_unit ? -1 : 1;
        }
        if (a_unit < 0) {
            return 0;
        }
    }
}

/* Merges two sorted runs of members: no recursion, n log n whatever the order. */
static void merge(const json_value **from, const json_value **to, size_t start, size_t middle,
                  size_t end) {
    size_t a = start;
    size_t b = middle;
    for (size_t i = start; i < end; i++) {
        bool take_a = a < middle && (b >= end || compare_keys(from[a], from[b]) <= 0);
        to[i] = take_a ? from[a++] : from[b++];
    }
}

static const json_value **sorted_members(const json_value *object, arena *memory) {
    size_t count = object->count;
    const json_value **from = ARENA_ARRAY(memory, const json_value *, count);
    const json_value **to = ARENA_ARRAY(memory, const json_value *, count);
    if (!from || !to) {
        return NULL;
    }
    size_t filled = 0;
    for (const json_value *member = object->first; member; member = member->next) {
        from[filled++] = member;
    }
    for (size_t width = 1; width < count; width *= 2) {
        for (size_t start = 0; start < count; start += 2 * width) {
            size_t middle = start + width < count ? start + width : count;
            size_t end = middle + width < count ? middle + width : count;
            merge(from, to, start, middle, end);
        }
        const json_value **swap = from;
        from = to;
        to = swap;
    }
    return from;
}

static tars_status write_value(canonical *c, const json_value *value, const char *omit,
                               unsigned depth);

static tars_status write_object(canonical *c, const json_value *value, const char *omit,
                                unsigned depth) {
    size_t mark = arena_mark(c->memory);
    const json_value **members = sorted_members(value, c->memory);
    if (!members) {
        return error_set(c->err, TARS_OUT_OF_MEMORY, "no memory to sort %zu members", value->count);
    }
    json_begin_object(&c->writer);
    tars_status status = TARS_OK;
    for (size_t i = 0; i < value->count && status == TARS_OK; i++) {
        if (!omit || strcmp(members[i]->key, omit) != 0) {
            json_key(&c->writer, members[i]->key);
            status = write_value(c, members[i], NULL, depth + 1);
        }
    }
    json_end_object(&c->writer);
    arena_reset(c->memory, mark);
    return status;
}

static tars_status write_array(canonical *c, const json_value *value, unsigned depth) {
    json_begin_array(&c->writer);
    tars_status status = TARS_OK;
    for (const json_value *item = value->first; item && status == TARS_OK; item = item->next) {
        status = write_value(c, item, NULL, depth + 1);
    }
    json_end_array(&c->writer);
    return status;
}

static tars_status write_number(canonical *c, const json_value *value) {
    if (value->is_integer &&
        (value->integer > (INT64_C(1) << 53) || value->integer < -(INT64_C(1) << 53))) {
        return error_set(c->err, TARS_UNSUPPORTED,
                         "the integer %lld has no canonical form: it is beyond 2^53",
                         (long long)value->integer);
    }
    json_double(&c->writer, value->number == 0.0 ? 0.0 : value->number); /* no minus zero */
    return TARS_OK;
}

static tars_status write_value(canonical *c, const json_value *value, const char *omit,
                               unsigned depth) {
    if (depth >= JSON_WRITER_MAX_DEPTH) {
        return error_set(c->err, TARS_LIMIT, "JSON is nested deeper than %d",
                         JSON_WRITER_MAX_DEPTH);
    }
    switch (value->type) {
    case JSON_OBJECT:
        return write_object(c, value, omit, depth);
    case JSON_ARRAY:
        return write_array(c, value, depth);
    case JSON_NUMBER:
        return write_number(c, value);
    case JSON_STRING:
        json_string_n(&c->writer, value->string, value->string_length);
        return TARS_OK;
    case JSON_BOOL:
        json_bool(&c->writer, value->boolean);
        return TARS_OK;
    case JSON_NULL:
        break;
    }
    json_null(&c->writer);
    return TARS_OK;
}

tars_status canonical_write(const json_value *value, const char *omit, arena *memory,
                            json_sink sink, void *context, tars_error *err) {
    canonical c = {.memory = memory, .err = err};
    json_writer_init(&c.writer, sink, context);
    tars_status status = write_value(&c, value, omit, 0);
    if (status == TARS_OK && c.writer.failed) {
        status = error_set(err, TARS_LIMIT, "the canonical form does not fit");
    }
    return status;
}
