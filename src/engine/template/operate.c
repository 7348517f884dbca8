#include "engine/template/operate.h"

#include "engine/template/format.h"
#include "engine/template/number.h"
#include "engine/template/sequence.h"
#include "engine/template/string.h"

/* ---- truth and equality -------------------------------------------------------------------- */

bool template_truth(const template_value *value) {
    switch ((template_type)value->type) {
    case TEMPLATE_UNDEFINED:
    case TEMPLATE_NONE:
        return false;
    case TEMPLATE_BOOL:
        return value->as.boolean;
    case TEMPLATE_INT:
        return value->as.integer != 0;
    case TEMPLATE_FLOAT:
        return value->as.number != 0.0;
    case TEMPLATE_STRING:
        return value->as.text.length > 0;
    case TEMPLATE_LIST:
    case TEMPLATE_TUPLE:
        return value->as.items.count > 0;
    case TEMPLATE_DICT:
    case TEMPLATE_VIEW:
        return value->as.dict->count > 0;
    case TEMPLATE_RANGE:
        return ((const template_range *)value->as.object)->count > 0;
    default:
        return true;
    }
}

/* -1, 0, 1, or 2 when one is NaN */
static int order_numbers(const template_value *a, const template_value *b) {
    bool a_is_float = a->type == TEMPLATE_FLOAT;
    bool b_is_float = b->type == TEMPLATE_FLOAT;
    if (!a_is_float && !b_is_float) {
        int64_t x = template_integer(a);
        int64_t y = template_integer(b);
        return x < y ? -1 : x > y ? 1 : 0;
    }
    if (!a_is_float) {
        return template_compare_int_float(template_integer(a), b->as.number);
    }
    if (!b_is_float) {
        int order = template_compare_int_float(template_integer(b), a->as.number);
        return order == 2 ? 2 : -order;
    }
    double x = a->as.number;
    double y = b->as.number;
    return x < y ? -1 : x > y ? 1 : x == y ? 0 : 2;
}

static bool equal_items(template_machine *m, const template_value *a, const template_value *b,
                        bool *out) {
    *out = a->as.items.count == b->as.items.count;
    for (size_t i = 0; *out && i < a->as.items.count; i++) {
        if (!template_equal(m, &a->as.items.first[i], &b->as.items.first[i], out)) {
            return false;
        }
    }
    return true;
}

static bool equal_dicts(template_machine *m, const template_dict *a, const template_dict *b,
                        bool *out) {
    *out = a->count == b->count;
    for (size_t i = 0; *out && i < a->count; i++) {
        template_entry *other;
        if (!template_dict_find(m, b, &a->entries[i].key, &other)) {
            return false;
        }
        *out = other != NULL;
        if (other && !template_equal(m, &a->entries[i].value, &other->value, out)) {
            return false;
        }
    }
    return true;
}

static bool equal_ranges(const template_range *a, const template_range *b) {
    return a->count == b->count &&
           (a->count == 0 || (a->start == b->start && (a->count == 1 || a->step == b->step)));
}

static bool equal_same_type(template_machine *m, const template_value *a, const template_value *b,
                            bool *out) {
    switch ((template_type)a->type) {
    case TEMPLATE_UNDEFINED:
    case TEMPLATE_NONE:
        *out = true;
        return true;
    case TEMPLATE_STRING:
        *out = template_text_equal(a->as.text, b->as.text);
        return template_charge(m, template_bytes_price(a->as.text.length));
    case TEMPLATE_LIST:
    case TEMPLATE_TUPLE:
        return equal_items(m, a, b, out);
    case TEMPLATE_DICT:
        return equal_dicts(m, a->as.dict, b->as.dict, out);
    case TEMPLATE_RANGE:
        *out = equal_ranges(a->as.object, b->as.object);
        return true;
    case TEMPLATE_VIEW:
        if (a->detail != VIEW_VALUES && a->as.dict != b->as.dict) {
            return template_fail(m, TARS_UNSUPPORTED, "comparing dict views is not supported");
        }
        *out = a->as.dict == b->as.dict && a->detail == b->detail;
        return true;
    default:
        *out = a->as.object == b->as.object;
        return true;
    }
}

bool template_equal(template_machine *m, const template_value *a, const template_value *b,
                    bool *out) {
    *out = false;
    if (template_is_number(a) && template_is_number(b)) {
        *out = order_numbers(a, b) == 0;
        return template_charge(m, 1);
    }
    if (a->type != b->type) {
        return template_charge(m, 1);
    }
    if (!template_enter(m)) {
        return false;
    }
    bool done = equal_same_type(m, a, b, out);
    template_leave(m);
    return done;
}

/* ---- dicts --------------------------------------------------------------------------------- */

static bool is_hashable(const template_value *value, unsigned depth) {
    if (value->type == TEMPLATE_TUPLE) {
        for (size_t i = 0; i < value->as.items.count; i++) {
            if (depth > 8 || !is_hashable(&value->as.items.first[i], depth + 1)) {
                return false;
            }
        }
    }
    return value->type != TEMPLATE_LIST && value->type != TEMPLATE_DICT;
}

bool template_dict_find(template_machine *m, const template_dict *dict, const template_value *key,
                        template_entry **out) {
    *out = NULL;
    if (key->type == TEMPLATE_STRING) {
        for (size_t i = 0; i < dict->count; i++) {
            const template_value *found = &dict->entries[i].key;
            if (found->type == TEMPLATE_STRING &&
                template_text_equal(found->as.text, key->as.text)) {
                *out = &dict->entries[i];
                break;
            }
        }
        return template_charge(m, dict->count / 16);
    }
    if (!is_hashable(key, 0)) {
        return template_fail(m, TARS_MALFORMED, "a %s cannot be the key of a dict",
                             template_type_name(key));
    }
    for (size_t i = 0; i < dict->count; i++) {
        bool same;
        if (!template_equal(m, &dict->entries[i].key, key, &same)) {
            return false;
        }
        if (same) {
            *out = &dict->entries[i];
            break;
        }
    }
    return true;
}

template_dict *template_dict_make(template_machine *m, size_t capacity) {
    template_dict *dict = TEMPLATE_NEW(m, template_dict, 1);
    template_entry *entries = dict ? TEMPLATE_NEW(m, template_entry, capacity) : NULL;
    if (!entries) {
        return NULL;
    }
    *dict = (template_dict){.entries = entries, .capacity = capacity};
    return dict;
}

bool template_dict_store(template_machine *m, template_dict *dict, const template_value *key,
                         const template_value *value) {
    template_entry *entry;
    if (!template_dict_find(m, dict, key, &entry)) {
        return false;
    }
    if (entry) {
        entry->value = *value;
        return true;
    }
    if (dict->count == dict->capacity) {
        size_t capacity = dict->capacity < 4 ? 8 : dict->capacity * 2;
        template_entry *entries = TEMPLATE_NEW(m, template_entry, capacity);
        if (!entries) {
            return false;
        }
        if (dict->count > 0) {
            memcpy(entries, dict->entries, dict->count * sizeof *entries);
        }
        dict->entries = entries;
        dict->capacity = capacity;
    }
    dict->entries[dict->count++] = (template_entry){*key, *value};
    return true;
}

/* ---- order --------------------------------------------------------------------------------- */

static const char *const operator_names[] = {
    [OPERATOR_ADD] = "+",
    [OPERATOR_SUBTRACT] = "-",
    [OPERATOR_MULTIPLY] = "*",
    [OPERATOR_DIVIDE] = "/",
    [OPERATOR_FLOOR_DIVIDE] = "//",
    [OPERATOR_MODULO] = "%",
    [OPERATOR_POWER] = "**",
    [OPERATOR_EQUAL] = "==",
    [OPERATOR_NOT_EQUAL] = "!=",
    [OPERATOR_LESS] = "<",
    [OPERATOR_LESS_EQUAL] = "<=",
    [OPERATOR_GREATER] = ">",
    [OPERATOR_GREATER_EQUAL] = ">=",
    [OPERATOR_IN] = "in",
    [OPERATOR_NOT_IN] = "not in",
};

static bool fail_operands(template_machine *m, template_operator operation, const template_value *a,
                          const template_value *b) {
    if (template_is_undefined(a)) {
        return template_fail_undefined(m, a);
    }
    if (template_is_undefined(b)) {
        return template_fail_undefined(m, b);
    }
    return template_fail(m, TARS_MALFORMED, "the template applies %s to %s and %s",
                         operator_names[operation], template_type_name(a), template_type_name(b));
}

static int order_texts(template_text a, template_text b) {
    size_t shorter = a.length < b.length ? a.length : b.length;
    int order = shorter > 0 ? memcmp(a.bytes, b.bytes, shorter) : 0;
    if (order == 0) {
        return a.length < b.length ? -1 : a.length > b.length ? 1 : 0;
    }
    return order < 0 ? -1 : 1;
}

static bool holds(template_operator operation, int order) {
    switch (operation) {
    case OPERATOR_LESS:
        return order == -1;
    case OPERATOR_LESS_EQUAL:
        return order == -1 || order == 0;
    case OPERATOR_GREATER:
        return order == 1;
    default:
        return order == 1 || order == 0;
    }
}

static bool order_values(template_machine *m, template_operator operation, const template_value *a,
                         const template_value *b, bool *out);

/* The first items that differ decide; a list that begins another one is smaller. */
static bool order_items(template_machine *m, template_operator operation, const template_value *a,
                        const template_value *b, bool *out) {
    size_t shorter = a->as.items.count < b->as.items.count ? a->as.items.count : b->as.items.count;
    for (size_t i = 0; i < shorter; i++) {
        const template_value *x = &a->as.items.first[i];
        const template_value *y = &b->as.items.first[i];
        bool same;
        if (!template_equal(m, x, y, &same)) {
            return false;
        }
        if (!same) {
            return order_values(m, operation, x, y, out);
        }
    }
    size_t x = a->as.items.count;
    size_t y = b->as.items.count;
    *out = holds(operation, x < y ? -1 : x > y ? 1 : 0);
    return true;
}

static bool order_values(template_machine *m, template_operator operation, const template_value *a,
                         const template_value *b, bool *out) {
    if (template_is_number(a) && template_is_number(b)) {
        *out = holds(operation, order_numbers(a, b));
        return true;
    }
    if (a->type == TEMPLATE_STRING && b->type == TEMPLATE_STRING) {
        *out = holds(operation, order_texts(a->as.text, b->as.text));
        return template_charge(m, template_bytes_price(a->as.text.length));
    }
    if (template_is_items(a) && a->type == b->type) {
        if (!template_enter(m)) {
            return false;
        }
        bool done = order_items(m, operation, a, b, out);
        template_leave(m);
        return done;
    }
    return fail_operands(m, operation, a, b);
}

bool template_less(template_machine *m, const template_value *a, const template_value *b,
                   bool *out) {
    return template_charge(m, 1) && order_values(m, OPERATOR_LESS, a, b, out);
}

bool template_contains(template_machine *m, const template_value *item,
                       const template_value *container, bool *out) {
    *out = false;
    if (container->type == TEMPLATE_STRING) {
        if (item->type != TEMPLATE_STRING) {
            return fail_operands(m, OPERATOR_IN, item, container);
        }
        size_t place;
        if (!template_find_text(m, container->as.text, item->as.text, &place)) {
            return false;
        }
        *out = place != TEMPLATE_NOT_FOUND;
        return true;
    }
    if (container->type == TEMPLATE_DICT ||
        (container->type == TEMPLATE_VIEW && container->detail == VIEW_KEYS)) {
        template_entry *entry;
        if (!template_dict_find(m, container->as.dict, item, &entry)) {
            return false;
        }
        *out = entry != NULL;
        return true;
    }
    template_iterator iterator;
    if (!template_iterate(m, container, &iterator)) {
        return false;
    }
    template_value found;
    bool more = true;
    while (!*out) {
        if (!template_next(m, &iterator, &found, &more)) {
            return false;
        }
        if (!more) {
            return true;
        }
        if (!template_equal(m, item, &found, out)) {
            return false;
        }
    }
    return true;
}

bool template_compare(template_machine *m, template_operator operation, const template_value *a,
                      const template_value *b, bool *out) {
    switch (operation) {
    case OPERATOR_EQUAL:
        return template_equal(m, a, b, out);
    case OPERATOR_NOT_EQUAL:
        if (!template_equal(m, a, b, out)) {
            return false;
        }
        *out = !*out;
        return true;
    case OPERATOR_IN:
        return template_contains(m, a, b, out);
    case OPERATOR_NOT_IN:
        if (!template_contains(m, a, b, out)) {
            return false;
        }
        *out = !*out;
        return true;
    default:
        return order_values(m, operation, a, b, out);
    }
}

/* ---- arithmetic ---------------------------------------------------------------------------- */

static bool fail_wide(template_machine *m) {
    return template_fail(m, TARS_UNSUPPORTED,
                         "an integer beyond 64 bits, which chat templates do not support here");
}

static bool fail_zero(template_machine *m) {
    return template_fail(m, TARS_MALFORMED, "the template divides by zero");
}

static bool power_of_integers(template_machine *m, int64_t base, int64_t exponent,
                              template_value *out) {
    if (exponent < 0) {
        return template_fail(m, TARS_UNSUPPORTED, "a negative power is not supported");
    }
    int64_t result = 1;
    while (exponent > 0) {
        if ((exponent & 1) != 0 && __builtin_mul_overflow(result, base, &result)) {
            return fail_wide(m);
        }
        exponent >>= 1;
        if (exponent > 0 && __builtin_mul_overflow(base, base, &base)) {
            return fail_wide(m);
        }
    }
    *out = template_int(result);
    return true;
}

static bool divide_integers(template_machine *m, template_operator operation, int64_t a, int64_t b,
                            template_value *out) {
    const int64_t exact = INT64_C(1) << 53;
    if (b == 0) {
        return fail_zero(m);
    }
    if (operation == OPERATOR_DIVIDE) {
        if (a < -exact || a > exact || b < -exact || b > exact) {
            return template_fail(m, TARS_UNSUPPORTED,
                                 "a division of integers beyond 53 bits is not supported");
        }
        *out = template_float((double)a / (double)b);
        return true;
    }
    if (b == -1) { /* INT64_MIN / -1 traps */
        if (operation == OPERATOR_MODULO) {
            *out = template_int(0);
            return true;
        }
        int64_t negated;
        if (__builtin_sub_overflow((int64_t)0, a, &negated)) {
            return fail_wide(m);
        }
        *out = template_int(negated);
        return true;
    }
    int64_t quotient = a / b;
    int64_t rest = a % b;
    if (rest != 0 && (rest < 0) != (b < 0)) {
        quotient--;
        rest += b;
    }
    *out = template_int(operation == OPERATOR_MODULO ? rest : quotient);
    return true;
}

static bool compute_integers(template_machine *m, template_operator operation, int64_t a, int64_t b,
                             template_value *out) {
    int64_t result;
    bool overflow;
    switch (operation) {
    case OPERATOR_ADD:
        overflow = __builtin_add_overflow(a, b, &result);
        break;
    case OPERATOR_SUBTRACT:
        overflow = __builtin_sub_overflow(a, b, &result);
        break;
    case OPERATOR_MULTIPLY:
        overflow = __builtin_mul_overflow(a, b, &result);
        break;
    case OPERATOR_POWER:
        return power_of_integers(m, a, b, out);
    default:
        return divide_integers(m, operation, a, b, out);
    }
    if (overflow) {
        return fail_wide(m);
    }
    *out = template_int(result);
    return true;
}

/* Python's float modulo and floor division. */
static bool divide_floats(template_machine *m, template_operator operation, double a, double b,
                          template_value *out) {
    if (b == 0.0) {
        return fail_zero(m);
    }
    if (operation == OPERATOR_DIVIDE) {
        *out = template_float(a / b);
        return true;
    }
    if (!template_is_finite(a) || !template_is_finite(b)) {
        return template_fail(m, TARS_UNSUPPORTED, "%s of infinities is not supported",
                             operator_names[operation]);
    }
    double rest = template_fmod(a, b);
    double quotient = (a - rest) / b;
    if (rest != 0.0) {
        if ((b < 0.0) != (rest < 0.0)) {
            rest += b;
            quotient -= 1.0;
        }
    } else {
        rest = template_is_negative(b) ? -0.0 : 0.0;
    }
    double floor = template_floor(quotient);
    if (quotient - floor > 0.5) {
        floor += 1.0;
    }
    if (quotient == 0.0) {
        floor = template_is_negative(a / b) ? -0.0 : 0.0;
    }
    *out = template_float(operation == OPERATOR_MODULO ? rest : floor);
    return true;
}

static double to_double(const template_value *value) {
    return value->type == TEMPLATE_FLOAT ? value->as.number : (double)template_integer(value);
}

static bool compute_numbers(template_machine *m, template_operator operation,
                            const template_value *a, const template_value *b, template_value *out) {
    if (template_is_integer(a) && template_is_integer(b)) {
        return compute_integers(m, operation, template_integer(a), template_integer(b), out);
    }
    double x = to_double(a);
    double y = to_double(b);
    switch (operation) {
    case OPERATOR_ADD:
        *out = template_float(x + y);
        return true;
    case OPERATOR_SUBTRACT:
        *out = template_float(x - y);
        return true;
    case OPERATOR_MULTIPLY:
        *out = template_float(x * y);
        return true;
    case OPERATOR_POWER:
        return template_fail(m, TARS_UNSUPPORTED, "powers of floats are not supported");
    default:
        return divide_floats(m, operation, x, y, out);
    }
}

static bool join_items(template_machine *m, const template_value *a, const template_value *b,
                       template_value *out) {
    size_t n_a = a->as.items.count;
    size_t n_b = b->as.items.count;
    template_value *items = TEMPLATE_NEW(m, template_value, n_a + n_b);
    if (!items || !template_charge(m, n_a + n_b)) {
        return false;
    }
    if (n_a > 0) {
        memcpy(items, a->as.items.first, n_a * sizeof *items);
    }
    if (n_b > 0) {
        memcpy(items + n_a, b->as.items.first, n_b * sizeof *items);
    }
    *out = template_sequence((template_type)a->type, items, n_a + n_b);
    return true;
}

static bool repeat_items(template_machine *m, const template_value *a, int64_t times,
                         template_value *out) {
    size_t count = a->as.items.count;
    size_t total = 0;
    if (times > 0 && __builtin_mul_overflow((uint64_t)times, count, &total)) {
        total = SIZE_MAX;
    }
    template_value *items = TEMPLATE_NEW(m, template_value, total);
    if (!items || !template_charge(m, total)) {
        return false;
    }
    for (size_t i = 0; i < total; i++) {
        items[i] = a->as.items.first[i % count];
    }
    *out = template_sequence((template_type)a->type, items, total);
    return true;
}

static bool multiply(template_machine *m, const template_value *a, const template_value *b,
                     template_value *out) {
    const template_value *sequence = template_is_integer(b) ? a : b;
    const template_value *times = template_is_integer(b) ? b : a;
    if (!template_is_integer(times)) {
        return fail_operands(m, OPERATOR_MULTIPLY, a, b);
    }
    if (sequence->type == TEMPLATE_STRING) {
        return template_repeat_text(m, sequence, template_integer(times), out);
    }
    return template_is_items(sequence) ? repeat_items(m, sequence, template_integer(times), out)
                                       : fail_operands(m, OPERATOR_MULTIPLY, a, b);
}

bool template_arithmetic(template_machine *m, template_operator operation, const template_value *a,
                         const template_value *b, template_value *out) {
    if (template_is_number(a) && template_is_number(b)) {
        return compute_numbers(m, operation, a, b, out);
    }
    if (operation == OPERATOR_ADD) {
        if (a->type == TEMPLATE_STRING && b->type == TEMPLATE_STRING) {
            return template_join_texts(m, a, b, out);
        }
        if (template_is_items(a) && a->type == b->type) {
            return join_items(m, a, b, out);
        }
    }
    if (template_is_undefined(a) || (template_is_undefined(b) && a->type != TEMPLATE_STRING)) {
        return fail_operands(m, operation, a, b);
    }
    if (operation == OPERATOR_MODULO && a->type == TEMPLATE_STRING) {
        return template_format_percent(m, a, b, out);
    }
    return operation == OPERATOR_MULTIPLY ? multiply(m, a, b, out)
                                          : fail_operands(m, operation, a, b);
}

bool template_negate(template_machine *m, const template_value *a, template_value *out) {
    if (a->type == TEMPLATE_FLOAT) {
        *out = template_float(-a->as.number);
        return true;
    }
    if (template_is_integer(a)) {
        return compute_integers(m, OPERATOR_SUBTRACT, 0, template_integer(a), out);
    }
    return template_is_undefined(a) ? template_fail_undefined(m, a)
                                    : template_fail(m, TARS_MALFORMED, "the template negates a %s",
                                                    template_type_name(a));
}
