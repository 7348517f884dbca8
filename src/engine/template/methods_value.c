/* Methods of lists, tuples, dicts and numbers. Those that would change a value do not exist. */
#include "engine/template/builtin.h"
#include "engine/template/number.h"
#include "engine/template/operate.h"
#include "engine/template/sequence.h"

/* ---- lists and tuples ---------------------------------------------------------------------- */

static bool call_index(template_machine *m, template_call *call, template_value *out) {
    template_iterator iterator;
    if (!template_iterate(m, call->self, &iterator)) {
        return false;
    }
    for (int64_t index = 0;; index++) {
        template_value item;
        bool more;
        bool same;
        if (!template_next(m, &iterator, &item, &more)) {
            return false;
        }
        if (!more) {
            return template_fail(m, TARS_MALFORMED, "the value to look for is not in the list");
        }
        if (!template_equal(m, &item, &call->bound[0], &same)) {
            return false;
        }
        if (same) {
            *out = template_int(index);
            return true;
        }
    }
}

static bool call_count(template_machine *m, template_call *call, template_value *out) {
    template_iterator iterator;
    if (!template_iterate(m, call->self, &iterator)) {
        return false;
    }
    int64_t count = 0;
    for (;;) {
        template_value item;
        bool more;
        bool same;
        if (!template_next(m, &iterator, &item, &more)) {
            return false;
        }
        if (!more) {
            *out = template_int(count);
            return true;
        }
        if (!template_equal(m, &item, &call->bound[0], &same)) {
            return false;
        }
        count += same ? 1 : 0;
    }
}

/* Values never change, so a copy is the value itself. */
static bool call_copy(template_machine *m, template_call *call, template_value *out) {
    *out = *call->self;
    return template_charge(m, 1);
}

static const template_builtin_row list_methods[] = {
    {"index", call_index, "value", 1},
    {"count", call_count, "value", 1},
    {"copy", call_copy, "", 0},
};

const template_builtin_table template_list_methods = {list_methods,
                                                      sizeof list_methods / sizeof list_methods[0]};
const template_builtin_table template_tuple_methods = {list_methods, 2};

/* ---- dicts --------------------------------------------------------------------------------- */

static bool call_get(template_machine *m, template_call *call, template_value *out) {
    template_entry *entry;
    if (!template_dict_find(m, call->self->as.dict, &call->bound[0], &entry)) {
        return false;
    }
    *out = entry                                  ? entry->value
           : template_is_missing(&call->bound[1]) ? template_none()
                                                  : call->bound[1];
    return true;
}

static bool make_view(template_call *call, uint8_t which, template_value *out) {
    *out = (template_value){.type = TEMPLATE_VIEW, .detail = which, .as.dict = call->self->as.dict};
    return true;
}

static bool call_items(template_machine *m, template_call *call, template_value *out) {
    (void)m;
    return make_view(call, VIEW_ITEMS, out);
}

static bool call_keys(template_machine *m, template_call *call, template_value *out) {
    (void)m;
    return make_view(call, VIEW_KEYS, out);
}

static bool call_values(template_machine *m, template_call *call, template_value *out) {
    (void)m;
    return make_view(call, VIEW_VALUES, out);
}

static const template_builtin_row dict_methods[] = {
    {"items", call_items, "", 0}, {"get", call_get, "key default", 1},
    {"keys", call_keys, "", 0},   {"values", call_values, "", 0},
    {"copy", call_copy, "", 0},   {"fromkeys", template_refuse, "*", 0},
};

const template_builtin_table template_dict_methods = {dict_methods,
                                                      sizeof dict_methods / sizeof dict_methods[0]};

/* ---- numbers ------------------------------------------------------------------------------- */

static bool call_is_integer(template_machine *m, template_call *call, template_value *out) {
    const template_value *self = call->self;
    *out = template_bool(self->type != TEMPLATE_FLOAT ||
                         (template_is_finite(self->as.number) &&
                          template_floor(self->as.number) == self->as.number));
    return template_charge(m, 1);
}

static const template_builtin_row number_methods[] = {
    {"is_integer", call_is_integer, "", 0}, {"as_integer_ratio", template_refuse, "*", 0},
    {"bit_count", template_refuse, "*", 0}, {"bit_length", template_refuse, "*", 0},
    {"conjugate", template_refuse, "*", 0}, {"hex", template_refuse, "*", 0},
    {"to_bytes", template_refuse, "*", 0},
};

const template_builtin_table template_number_methods = {
    number_methods, sizeof number_methods / sizeof number_methods[0]};
