/* Walking over values: lists, texts, dicts, ranges and sequences that are made as they are read. */
#ifndef ENGINE_TEMPLATE_SEQUENCE_H
#define ENGINE_TEMPLATE_SEQUENCE_H

#include "engine/template/machine.h"

typedef struct template_iterator {
    template_value source;
    size_t index; /* items passed; in a text, bytes */
} template_iterator;

/* A sequence that is computed item by item and can be read once. */
typedef struct template_lazy {
    template_value source;
    template_iterator iterator;
    /* Turns an item of the source into one of the sequence; *keep false drops it. NULL: as is. */
    bool (*apply)(template_machine *m, const void *data, const template_value *item,
                  template_value *out, bool *keep);
    const void *data;
    const char *type_error; /* message when the source is of a wrong type; NULL: it is not */
    bool started;
    bool finished;
    bool skips_false_source; /* a source that counts as false gives an empty sequence */
} template_lazy;

/* False with a TypeError when the value cannot be walked over. */
bool template_iterate(template_machine *m, const template_value *source, template_iterator *out);
bool template_is_iterable(const template_value *value);
/* *more false: nothing left, *out unchanged. */
bool template_next(template_machine *m, template_iterator *iterator, template_value *out,
                   bool *more);
/* All items as a list (Python's list()). */
bool template_to_list(template_machine *m, const template_value *source, template_value *out);
/* A lazy value; the caller fills in the rest of *lazy. */
template_lazy *template_make_lazy(template_machine *m, const template_value *source,
                                  template_value *out);
bool template_has_length(const template_value *value);
/* len(value); a TypeError when it has none. */
bool template_length(template_machine *m, const template_value *value, size_t *out);
/* Item of a range. */
int64_t template_range_item(const template_range *range, size_t index);

/* A list under construction. */
typedef struct template_builder {
    template_value *items;
    size_t count;
    size_t capacity;
} template_builder;

bool template_build(template_machine *m, template_builder *builder, const template_value *item);
static inline template_value template_built(const template_builder *builder) {
    return template_sequence(TEMPLATE_LIST, builder->items, builder->count);
}
/* A tuple of two. */
bool template_pair(template_machine *m, const template_value *first, const template_value *second,
                   template_value *out);

/* Sorts the numbers 0 … count - 1 in order[] by keys[] (sort.c); equal keys keep their order. */
bool template_sort(template_machine *m, const template_value *keys, size_t count, bool reverse,
                   size_t *order);

#endif
