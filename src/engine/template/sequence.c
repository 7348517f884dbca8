#include "engine/template/sequence.h"

#include "engine/template/character.h"
#include "engine/template/operate.h"

bool template_is_iterable(const template_value *value) {
    switch ((template_type)value->type) {
    case TEMPLATE_UNDEFINED:
    case TEMPLATE_STRING:
    case TEMPLATE_LIST:
    case TEMPLATE_TUPLE:
    case TEMPLATE_DICT:
    case TEMPLATE_RANGE:
    case TEMPLATE_VIEW:
    case TEMPLATE_LAZY:
    case TEMPLATE_LOOP:
        return true;
    default:
        return false;
    }
}

bool template_iterate(template_machine *m, const template_value *source, template_iterator *out) {
    if (!template_is_iterable(source)) {
        return template_fail(m, TARS_MALFORMED, "the template walks over a %s, which has no items",
                             template_type_name(source));
    }
    if (source->type == TEMPLATE_LOOP) {
        return template_fail(m, TARS_UNSUPPORTED, "walking over loop is not supported");
    }
    *out = (template_iterator){.source = *source};
    return true;
}

int64_t template_range_item(const template_range *range, size_t index) {
    return range->start + (int64_t)index * range->step;
}

bool template_pair(template_machine *m, const template_value *first, const template_value *second,
                   template_value *out) {
    template_value *items = TEMPLATE_NEW(m, template_value, 2);
    if (!items) {
        return false;
    }
    items[0] = *first;
    items[1] = *second;
    *out = template_sequence(TEMPLATE_TUPLE, items, 2);
    return true;
}

static bool next_of_dict(template_machine *m, const template_dict *dict, size_t index,
                         unsigned which, template_value *out) {
    const template_entry *entry = &dict->entries[index];
    if (which == VIEW_ITEMS) {
        return template_pair(m, &entry->key, &entry->value, out);
    }
    *out = which == VIEW_KEYS ? entry->key : entry->value;
    return true;
}

static bool next_of_lazy(template_machine *m, template_lazy *lazy, template_value *out,
                         bool *more) {
    if (!lazy->started) {
        lazy->started = true;
        if (lazy->type_error) {
            return template_fail(m, TARS_MALFORMED, "%s, found a %s", lazy->type_error,
                                 template_type_name(&lazy->source));
        }
        if (lazy->skips_false_source && !template_truth(&lazy->source)) {
            lazy->finished = true;
        } else if (!template_iterate(m, &lazy->source, &lazy->iterator)) {
            return false;
        }
    }
    *more = false;
    bool keep = false;
    while (!lazy->finished && !keep) {
        template_value item;
        if (!template_next(m, &lazy->iterator, &item, more)) {
            return false;
        }
        if (!*more) {
            lazy->finished = true;
            return true;
        }
        keep = true;
        *out = item;
        if (lazy->apply && !lazy->apply(m, lazy->data, &item, out, &keep)) {
            return false;
        }
    }
    *more = keep;
    return true;
}

bool template_next(template_machine *m, template_iterator *iterator, template_value *out,
                   bool *more) {
    const template_value *source = &iterator->source;
    size_t index = iterator->index;
    size_t count = 0;
    *more = false;
    if (!template_charge(m, 1)) {
        return false;
    }
    switch ((template_type)source->type) {
    case TEMPLATE_STRING: {
        count = source->as.text.length;
        *more = index < count;
        if (*more) {
            uint32_t code_point;
            const char *bytes = source->as.text.bytes + index;
            size_t used = character_read(bytes, count - index, &code_point);
            *out = template_string(bytes, used);
            iterator->index = index + used;
        }
        return true;
    }
    case TEMPLATE_LAZY: {
        if (!template_enter(m)) {
            return false;
        }
        bool done = next_of_lazy(m, source->as.object, out, more);
        template_leave(m);
        return done;
    }
    case TEMPLATE_LIST:
    case TEMPLATE_TUPLE:
        count = source->as.items.count;
        *more = index < count;
        if (*more) {
            *out = source->as.items.first[index];
        }
        break;
    case TEMPLATE_DICT:
    case TEMPLATE_VIEW:
        count = source->as.dict->count;
        *more = index < count;
        if (*more &&
            !next_of_dict(m, source->as.dict, index,
                          source->type == TEMPLATE_VIEW ? source->detail : VIEW_KEYS, out)) {
            return false;
        }
        break;
    case TEMPLATE_RANGE: {
        const template_range *range = source->as.object;
        *more = index < range->count;
        if (*more) {
            *out = template_int(template_range_item(range, index));
        }
        break;
    }
    default:
        *more = false;
        break;
    }
    iterator->index = index + 1;
    return true;
}

bool template_build(template_machine *m, template_builder *builder, const template_value *item) {
    if (builder->count == builder->capacity) {
        size_t capacity = builder->capacity < 8 ? 16 : builder->capacity * 2;
        template_value *items = TEMPLATE_NEW(m, template_value, capacity);
        if (!items) {
            return false;
        }
        if (builder->count > 0) {
            memcpy(items, builder->items, builder->count * sizeof *items);
        }
        builder->items = items;
        builder->capacity = capacity;
    }
    builder->items[builder->count++] = *item;
    return true;
}

bool template_to_list(template_machine *m, const template_value *source, template_value *out) {
    if (template_is_items(source)) {
        *out = template_sequence(TEMPLATE_LIST, source->as.items.first, source->as.items.count);
        return true;
    }
    template_iterator iterator = {0};
    template_builder builder = {0};
    if (!template_iterate(m, source, &iterator)) {
        return false;
    }
    for (;;) {
        template_value item;
        bool more;
        if (!template_next(m, &iterator, &item, &more)) {
            return false;
        }
        if (!more) {
            *out = template_built(&builder);
            return true;
        }
        if (!template_build(m, &builder, &item)) {
            return false;
        }
    }
}

template_lazy *template_make_lazy(template_machine *m, const template_value *source,
                                  template_value *out) {
    template_lazy *lazy = TEMPLATE_NEW(m, template_lazy, 1);
    if (lazy) {
        *lazy = (template_lazy){.source = *source};
        *out = template_object(TEMPLATE_LAZY, lazy);
    }
    return lazy;
}

bool template_has_length(const template_value *value) {
    return template_is_iterable(value) && value->type != TEMPLATE_LAZY;
}

bool template_length(template_machine *m, const template_value *value, size_t *out) {
    switch ((template_type)value->type) {
    case TEMPLATE_UNDEFINED:
        *out = 0;
        return true;
    case TEMPLATE_STRING:
        *out = character_count(value->as.text.bytes, value->as.text.length);
        return template_charge(m, template_bytes_price(value->as.text.length));
    case TEMPLATE_LIST:
    case TEMPLATE_TUPLE:
        *out = value->as.items.count;
        return true;
    case TEMPLATE_DICT:
    case TEMPLATE_VIEW:
        *out = value->as.dict->count;
        return true;
    case TEMPLATE_RANGE:
        *out = ((const template_range *)value->as.object)->count;
        return true;
    case TEMPLATE_LOOP:
        return template_fail(m, TARS_UNSUPPORTED, "the length of loop itself is not supported");
    default:
        return template_fail(m, TARS_MALFORMED, "the template asks for the length of a %s",
                             template_type_name(value));
    }
}
