/* Filters of sequences. */
#include "engine/template/access.h"
#include "engine/template/builtin.h"
#include "engine/template/character.h"
#include "engine/template/operate.h"
#include "engine/template/print.h"
#include "engine/template/sequence.h"
#include "engine/template/string.h"

/* ---- whole sequences ----------------------------------------------------------------------- */

static bool filter_list(template_machine *m, template_call *call, template_value *out) {
    return template_to_list(m, call->self, out);
}

static bool filter_first(template_machine *m, template_call *call, template_value *out) {
    template_iterator iterator;
    bool more;
    if (!template_iterate(m, call->self, &iterator) || !template_next(m, &iterator, out, &more)) {
        return false;
    }
    if (!more) {
        *out = template_undefined(UNDEFINED_HINT,
                                  template_text_of("No first item, sequence was empty."));
    }
    return true;
}

static bool filter_last(template_machine *m, template_call *call, template_value *out) {
    template_text text = call->self->as.text;
    if (call->self->type == TEMPLATE_STRING && text.length > 0) {
        uint32_t c;
        size_t used = character_read_back(text.bytes, text.length, &c);
        *out = template_string(text.bytes + (text.length - used), used);
        return true;
    }
    template_value items;
    if (!template_has_length(call->self)) {
        return template_fail(m, TARS_MALFORMED, "the last item of a %s cannot be read",
                             template_type_name(call->self));
    }
    if (!template_to_list(m, call->self, &items)) {
        return false;
    }
    size_t count = items.as.items.count;
    *out = count > 0 ? items.as.items.first[count - 1]
                     : template_undefined(UNDEFINED_HINT,
                                          template_text_of("No last item, sequence was empty."));
    return true;
}

static bool filter_join(template_machine *m, template_call *call, template_value *out) {
    template_value separator = template_string("", 0);
    template_iterator iterator;
    template_writer writer;
    if ((!template_is_missing(&call->bound[0]) &&
         !template_to_string(m, &call->bound[0], &separator)) ||
        !template_iterate(m, call->self, &iterator)) {
        return false;
    }
    template_writer_capture(&writer);
    for (size_t i = 0;; i++) {
        template_value item;
        template_value part;
        bool more;
        if (!template_next(m, &iterator, &item, &more)) {
            return false;
        }
        if (!more) {
            *out = template_writer_value(&writer);
            return true;
        }
        if (!template_get_path(m, &item, &call->bound[1], NULL, &part) ||
            (i > 0 && !template_write_text(m, &writer, separator.as.text)) ||
            !template_print(m, &writer, &part)) {
            return false;
        }
    }
}

/* A sequence over items that were made for it and can be read once. */
static bool make_once(template_machine *m, const template_value *items, template_value *out) {
    return template_make_lazy(m, items, out) != NULL;
}

static bool filter_items(template_machine *m, template_call *call, template_value *out) {
    template_value pairs = *call->self;
    if (pairs.type == TEMPLATE_DICT) {
        pairs.type = TEMPLATE_VIEW;
        pairs.detail = VIEW_ITEMS;
    }
    template_lazy *lazy = template_make_lazy(m, &pairs, out);
    if (lazy && pairs.type != TEMPLATE_VIEW && !template_is_undefined(&pairs)) {
        lazy->type_error = "items needs a dict"; /* told when the items are asked for */
    }
    return lazy != NULL;
}

static bool filter_reverse(template_machine *m, template_call *call, template_value *out) {
    template_value none = template_none();
    template_value back = template_int(-1);
    template_value items;
    template_value reversed;
    if (call->self->type == TEMPLATE_STRING) {
        return template_get_slice(m, call->self, &none, &none, &back, out);
    }
    if (!template_to_list(m, call->self, &items) ||
        !template_get_slice(m, &items, &none, &none, &back, &reversed)) {
        return false;
    }
    *out = reversed; /* of a sequence without a length, reversed() makes a list */
    return call->self->type == TEMPLATE_LAZY || make_once(m, &reversed, out);
}

/* ---- map, select --------------------------------------------------------------------------- */

/* What map and select do with each item. */
typedef struct item_rule {
    template_value path;      /* of the attribute; missing: the item itself */
    template_value otherwise; /* map: instead of an undefined attribute; none: nothing */
    template_text name;       /* of the filter or test; bytes NULL: none */
    template_arguments arguments;
    bool wanted; /* select: the result that keeps an item */
} item_rule;

static bool apply_map(template_machine *m, const void *data, const template_value *item,
                      template_value *out, bool *keep) {
    const item_rule *rule = data;
    *keep = true;
    return rule->name.bytes ? template_call_filter(m, rule->name, item, &rule->arguments, out)
                            : template_get_path(m, item, &rule->path, &rule->otherwise, out);
}

static bool apply_select(template_machine *m, const void *data, const template_value *item,
                         template_value *out, bool *keep) {
    const item_rule *rule = data;
    template_value value;
    bool result;
    *out = *item;
    if (!template_get_path(m, item, &rule->path, NULL, &value)) {
        return false;
    }
    if (rule->name.bytes) {
        if (!template_call_test(m, rule->name, &value, &rule->arguments, &result)) {
            return false;
        }
    } else {
        result = template_truth(&value);
    }
    *keep = result == rule->wanted;
    return true;
}

static item_rule *make_rule(template_machine *m) {
    item_rule *rule = TEMPLATE_NEW(m, item_rule, 1);
    if (rule) {
        *rule = (item_rule){.path = template_missing(), .otherwise = template_none()};
    }
    return rule;
}

/* The name of a filter or test and its arguments, from the argument `first` on. */
static bool take_rule(template_machine *m, const template_arguments *given, size_t first,
                      item_rule *rule) {
    const template_value *name = &given->positional[first];
    if (name->type != TEMPLATE_STRING) {
        return template_fail(m, TARS_MALFORMED, "the name of a filter or test must be a text");
    }
    rule->name = name->as.text;
    rule->arguments = *given;
    rule->arguments.positional += first + 1;
    rule->arguments.count -= first + 1;
    return true;
}

typedef bool (*item_apply)(template_machine *m, const void *data, const template_value *item,
                           template_value *out, bool *keep);

static bool finish_rule(template_machine *m, template_call *call, const item_rule *rule,
                        item_apply apply, template_value *out) {
    template_lazy *lazy = template_make_lazy(m, call->self, out);
    if (!lazy) {
        return false;
    }
    lazy->apply = apply;
    lazy->data = rule;
    lazy->skips_false_source = true;
    return true;
}

static bool filter_map(template_machine *m, template_call *call, template_value *out) {
    const template_arguments *given = call->arguments;
    item_rule *rule = make_rule(m);
    if (!rule) {
        return false;
    }
    if (given->count > 0) {
        return take_rule(m, given, 0, rule) && finish_rule(m, call, rule, apply_map, out);
    }
    for (size_t i = 0; i < given->keyword_count; i++) {
        template_text name = given->keywords[i].name;
        if (template_text_is(name, "attribute")) {
            rule->path = given->keywords[i].value;
        } else if (template_text_is(name, "default")) {
            rule->otherwise = given->keywords[i].value;
        } else {
            return template_fail(m, TARS_MALFORMED, "map has no parameter '%.*s'",
                                 (int)(name.length < 60 ? name.length : 60), name.bytes);
        }
    }
    if (template_is_missing(&rule->path)) {
        return template_fail(m, TARS_MALFORMED, "map needs the name of a filter or attribute=");
    }
    return finish_rule(m, call, rule, apply_map, out);
}

static bool select_items(template_machine *m, template_call *call, bool by_attribute, bool wanted,
                         template_value *out) {
    const template_arguments *given = call->arguments;
    size_t first = by_attribute ? 1 : 0;
    item_rule *rule = make_rule(m);
    if (!rule) {
        return false;
    }
    if (given->count < first) {
        return template_fail(m, TARS_MALFORMED, "%s needs the name of an attribute",
                             call->row->name);
    }
    if (by_attribute) {
        rule->path = given->positional[0];
    }
    rule->wanted = wanted;
    return (given->count == first || take_rule(m, given, first, rule)) &&
           finish_rule(m, call, rule, apply_select, out);
}

static bool filter_select(template_machine *m, template_call *call, template_value *out) {
    return select_items(m, call, false, true, out);
}

static bool filter_reject(template_machine *m, template_call *call, template_value *out) {
    return select_items(m, call, false, false, out);
}

static bool filter_selectattr(template_machine *m, template_call *call, template_value *out) {
    return select_items(m, call, true, true, out);
}

static bool filter_rejectattr(template_machine *m, template_call *call, template_value *out) {
    return select_items(m, call, true, false, out);
}

/* ---- sorting ------------------------------------------------------------------------------- */

/* Letter case is ignored unless the filter is told otherwise. */
static bool fold_case(template_machine *m, bool case_sensitive, template_value *value) {
    if (case_sensitive || value->type != TEMPLATE_STRING) {
        return true;
    }
    template_value text = *value;
    return template_convert_case(m, &text, CASE_LOWER, value);
}

/* Key of an item by one path. */
static bool item_key(template_machine *m, const template_value *item, const template_value *path,
                     const template_value *otherwise, bool case_sensitive, template_value *out) {
    return template_get_path(m, item, path, otherwise, out) && fold_case(m, case_sensitive, out);
}

/* "a,b": a list of the keys by each path. */
static bool item_keys(template_machine *m, const template_value *item, const template_value *path,
                      bool case_sensitive, template_value *out) {
    template_builder builder = {0};
    template_value part = *path;
    template_text rest = path->type == TEMPLATE_STRING ? path->as.text : (template_text){"", 0};
    for (;;) {
        size_t length = template_find_byte(rest.bytes, rest.length, ',');
        template_value key;
        if (path->type == TEMPLATE_STRING) {
            part = template_string(rest.bytes, length);
        }
        if (!item_key(m, item, &part, NULL, case_sensitive, &key) ||
            !template_build(m, &builder, &key)) {
            return false;
        }
        if (length == rest.length) {
            *out = template_built(&builder);
            return true;
        }
        rest.bytes += length + 1;
        rest.length -= length + 1;
    }
}

/* The items in the order of their keys. */
static bool arrange(template_machine *m, const template_value *items, const template_value *keys,
                    bool reverse, template_value *out) {
    size_t count = items->as.items.count;
    size_t *order = TEMPLATE_NEW(m, size_t, count);
    template_value *sorted = order ? TEMPLATE_NEW(m, template_value, count) : NULL;
    if (!sorted || !template_sort(m, keys, count, reverse, order)) {
        return false;
    }
    for (size_t i = 0; i < count; i++) {
        sorted[i] = items->as.items.first[order[i]];
    }
    *out = template_sequence(TEMPLATE_LIST, sorted, count);
    return true;
}

static bool filter_sort(template_machine *m, template_call *call, template_value *out) {
    bool reverse = template_take_bool(&call->bound[0], false);
    bool case_sensitive = template_take_bool(&call->bound[1], false);
    template_value items;
    if (!template_to_list(m, call->self, &items)) {
        return false;
    }
    template_value *keys = TEMPLATE_NEW(m, template_value, items.as.items.count);
    for (size_t i = 0; keys && i < items.as.items.count; i++) {
        if (!item_keys(m, &items.as.items.first[i], &call->bound[2], case_sensitive, &keys[i])) {
            return false;
        }
    }
    return keys && arrange(m, &items, keys, reverse, out);
}

static bool filter_dictsort(template_machine *m, template_call *call, template_value *out) {
    bool case_sensitive = template_take_bool(&call->bound[0], false);
    bool reverse = template_take_bool(&call->bound[2], false);
    template_text by;
    template_value items;
    if (!template_take_text(m, &call->bound[1], "key", &by)) {
        return false;
    }
    bool by_value = template_text_is(by, "value");
    if (template_is_undefined(call->self)) {
        return template_fail_undefined(m, call->self);
    }
    if (call->self->type != TEMPLATE_DICT || (!by_value && !template_text_is(by, "key"))) {
        return template_fail(m, TARS_MALFORMED, "dictsort of a %s, or by neither key nor value",
                             template_type_name(call->self));
    }
    template_value pairs = {
        .type = TEMPLATE_VIEW, .detail = VIEW_ITEMS, .as.dict = call->self->as.dict};
    if (!template_to_list(m, &pairs, &items)) {
        return false;
    }
    template_value *keys = TEMPLATE_NEW(m, template_value, items.as.items.count);
    for (size_t i = 0; keys && i < items.as.items.count; i++) {
        keys[i] = items.as.items.first[i].as.items.first[by_value ? 1 : 0];
        if (!fold_case(m, case_sensitive, &keys[i])) {
            return false;
        }
    }
    return keys && arrange(m, &items, keys, reverse, out);
}

static bool filter_unique(template_machine *m, template_call *call, template_value *out) {
    bool case_sensitive = template_take_bool(&call->bound[0], false);
    template_iterator iterator;
    template_builder builder = {0};
    template_dict *seen = template_dict_make(m, 8);
    if (!seen || !template_iterate(m, call->self, &iterator)) {
        return false;
    }
    for (;;) {
        template_value item;
        template_value key;
        template_entry *entry;
        bool more;
        if (!template_next(m, &iterator, &item, &more)) {
            return false;
        }
        if (!more) {
            template_value items = template_built(&builder);
            return make_once(m, &items, out);
        }
        if (!item_key(m, &item, &call->bound[1], NULL, case_sensitive, &key) ||
            !template_dict_find(m, seen, &key, &entry)) {
            return false;
        }
        if (!entry &&
            (!template_dict_store(m, seen, &key, &item) || !template_build(m, &builder, &item))) {
            return false;
        }
    }
}

static bool find_extreme(template_machine *m, template_call *call, bool largest,
                         template_value *out) {
    bool case_sensitive = template_take_bool(&call->bound[0], false);
    template_iterator iterator;
    template_value best = template_none();
    *out = template_undefined(UNDEFINED_HINT,
                              template_text_of("No aggregated item, sequence was empty."));
    if (!template_iterate(m, call->self, &iterator)) {
        return false;
    }
    for (size_t i = 0;; i++) {
        template_value item;
        template_value key;
        bool more;
        bool better = i == 0;
        if (!template_next(m, &iterator, &item, &more)) {
            return false;
        }
        if (!more) {
            return true;
        }
        if (!item_key(m, &item, &call->bound[1], NULL, case_sensitive, &key) ||
            (i > 0 && !template_less(m, largest ? &best : &key, largest ? &key : &best, &better))) {
            return false;
        }
        if (better) {
            *out = item;
            best = key;
        }
    }
}

static bool filter_min(template_machine *m, template_call *call, template_value *out) {
    return find_extreme(m, call, false, out);
}

static bool filter_max(template_machine *m, template_call *call, template_value *out) {
    return find_extreme(m, call, true, out);
}

static bool filter_sum(template_machine *m, template_call *call, template_value *out) {
    template_iterator iterator;
    *out = template_is_missing(&call->bound[1]) ? template_int(0) : call->bound[1];
    if (out->type == TEMPLATE_STRING) {
        return template_fail(m, TARS_MALFORMED, "sum cannot add texts");
    }
    if (!template_iterate(m, call->self, &iterator)) {
        return false;
    }
    for (;;) {
        template_value item;
        template_value part;
        template_value total = *out;
        bool more;
        if (!template_next(m, &iterator, &item, &more)) {
            return false;
        }
        if (!more) {
            return true;
        }
        if (!template_get_path(m, &item, &call->bound[0], NULL, &part) ||
            !template_arithmetic(m, OPERATOR_ADD, &total, &part, out)) {
            return false;
        }
    }
}

/* ---- groups -------------------------------------------------------------------------------- */

static bool add_group(template_machine *m, template_builder *groups, const template_value *key,
                      const template_value *members, size_t count) {
    template_value list = template_sequence(TEMPLATE_LIST, members, count);
    template_value group;
    if (!template_pair(m, key, &list, &group)) {
        return false;
    }
    group.detail = TUPLE_GROUP;
    return template_build(m, groups, &group);
}

/* Sorts the items by their keys and both into *sorted and keys[]. */
static bool sort_by_keys(template_machine *m, template_call *call, const template_value *items,
                         template_value *keys, template_value *sorted) {
    const template_value *path = &call->bound[0];
    bool case_sensitive = template_take_bool(&call->bound[2], false);
    size_t count = items->as.items.count;
    for (size_t i = 0; i < count; i++) {
        if (!item_key(m, &items->as.items.first[i], path, &call->bound[1], case_sensitive,
                      &keys[i])) {
            return false;
        }
    }
    template_value key_list = template_sequence(TEMPLATE_LIST, keys, count);
    template_value sorted_keys;
    if (!arrange(m, items, keys, false, sorted) ||
        !arrange(m, &key_list, keys, false, &sorted_keys)) {
        return false;
    }
    for (size_t i = 0; i < count; i++) {
        keys[i] = sorted_keys.as.items.first[i];
    }
    return true;
}

static bool filter_groupby(template_machine *m, template_call *call, template_value *out) {
    template_value items;
    template_value sorted;
    template_builder groups = {0};
    if (template_is_missing(&call->bound[1])) {
        call->bound[1] = template_none();
    }
    if (!template_to_list(m, call->self, &items)) {
        return false;
    }
    size_t count = items.as.items.count;
    template_value *keys = TEMPLATE_NEW(m, template_value, count);
    if (!keys || !sort_by_keys(m, call, &items, keys, &sorted)) {
        return false;
    }
    const template_value *members = sorted.as.items.first;
    size_t start = 0;
    for (size_t i = 1; i <= count; i++) {
        bool same = false;
        if (i < count && !template_equal(m, &keys[start], &keys[i], &same)) {
            return false;
        }
        if (!same) {
            template_value shown;
            if (!template_get_path(m, &members[start], &call->bound[0], &call->bound[1], &shown) ||
                !add_group(m, &groups, &shown, members + start, i - start)) {
                return false;
            }
            start = i;
        }
    }
    *out = template_built(&groups);
    return true;
}

/* Items [start, end) as a list, with the filler added until it has `size` items. */
static bool add_part(template_machine *m, template_builder *parts, const template_value *items,
                     size_t start, size_t end, size_t size, const template_value *filler) {
    template_builder part = {0};
    for (size_t i = start; i < end; i++) {
        if (!template_build(m, &part, &items->as.items.first[i])) {
            return false;
        }
    }
    bool fills = !template_is_missing(filler) && filler->type != TEMPLATE_NONE;
    while (fills && part.count < size) {
        if (!template_charge(m, 1) || !template_build(m, &part, filler)) {
            return false;
        }
    }
    template_value list = template_built(&part);
    return template_charge(m, 1 + end - start) && template_build(m, parts, &list);
}

static bool filter_batch(template_machine *m, template_call *call, template_value *out) {
    template_value items;
    template_builder parts = {0};
    int64_t size;
    if (!template_take_int(m, &call->bound[0], 0, &size) ||
        !template_to_list(m, call->self, &items)) {
        return false;
    }
    if (size < 1) {
        return template_fail(m, TARS_UNSUPPORTED, "batches of less than one item");
    }
    size_t count = items.as.items.count;
    for (size_t start = 0; start < count;) {
        size_t end = count - start > (uint64_t)size ? start + (size_t)size : count;
        if (!add_part(m, &parts, &items, start, end, (size_t)size, &call->bound[1])) {
            return false;
        }
        start = end;
    }
    template_value built = template_built(&parts);
    return make_once(m, &built, out);
}

static bool filter_slice(template_machine *m, template_call *call, template_value *out) {
    template_value items;
    template_builder parts = {0};
    int64_t slices;
    if (!template_take_int(m, &call->bound[0], 0, &slices) ||
        !template_to_list(m, call->self, &items)) {
        return false;
    }
    if (slices < 1) {
        return template_fail(m, TARS_UNSUPPORTED, "less than one slice");
    }
    size_t count = items.as.items.count;
    size_t each = count / (size_t)slices;
    size_t with_extra = count % (size_t)slices;
    size_t start = 0;
    for (size_t i = 0; i < (size_t)slices; i++) {
        size_t end = start + each + (i < with_extra ? 1 : 0);
        size_t size = i >= with_extra ? end - start + 1 : 0;
        if (!add_part(m, &parts, &items, start, end, size, &call->bound[1])) {
            return false;
        }
        start = end;
    }
    template_value built = template_built(&parts);
    return make_once(m, &built, out);
}

static const template_builtin_row sequence_filters[] = {
    {"list", filter_list, "", 0},
    {"join", filter_join, "d attribute", 0},
    {"first", filter_first, "", 0},
    {"last", filter_last, "", 0},
    {"items", filter_items, "", 0},
    {"map", filter_map, "*", 0},
    {"selectattr", filter_selectattr, "*", 0},
    {"rejectattr", filter_rejectattr, "*", 0},
    {"select", filter_select, "*", 0},
    {"reject", filter_reject, "*", 0},
    {"dictsort", filter_dictsort, "case_sensitive by reverse", 0},
    {"sort", filter_sort, "reverse case_sensitive attribute", 0},
    {"unique", filter_unique, "case_sensitive attribute", 0},
    {"reverse", filter_reverse, "", 0},
    {"min", filter_min, "case_sensitive attribute", 0},
    {"max", filter_max, "case_sensitive attribute", 0},
    {"sum", filter_sum, "attribute start", 0},
    {"batch", filter_batch, "linecount fill_with", 1},
    {"slice", filter_slice, "slices fill_with", 1},
    {"groupby", filter_groupby, "attribute default case_sensitive", 1},
    {"random", template_refuse, "*", 0},
};

const template_builtin_table template_sequence_filters = {
    sequence_filters, sizeof sequence_filters / sizeof sequence_filters[0]};
