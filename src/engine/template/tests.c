/* What may follow `is`. */
#include "engine/template/builtin.h"
#include "engine/template/character.h"
#include "engine/template/operate.h"
#include "engine/template/print.h"
#include "engine/template/sequence.h"

static bool test_defined(template_machine *m, template_call *call, template_value *out) {
    (void)m;
    *out = template_bool(!template_is_undefined(call->self));
    return true;
}

static bool test_undefined(template_machine *m, template_call *call, template_value *out) {
    (void)m;
    *out = template_bool(template_is_undefined(call->self));
    return true;
}

static bool test_none(template_machine *m, template_call *call, template_value *out) {
    (void)m;
    *out = template_bool(call->self->type == TEMPLATE_NONE);
    return true;
}

static bool test_boolean(template_machine *m, template_call *call, template_value *out) {
    (void)m;
    *out = template_bool(call->self->type == TEMPLATE_BOOL);
    return true;
}

static bool test_true(template_machine *m, template_call *call, template_value *out) {
    (void)m;
    *out = template_bool(call->self->type == TEMPLATE_BOOL && call->self->as.boolean);
    return true;
}

static bool test_false(template_machine *m, template_call *call, template_value *out) {
    (void)m;
    *out = template_bool(call->self->type == TEMPLATE_BOOL && !call->self->as.boolean);
    return true;
}

static bool test_integer(template_machine *m, template_call *call, template_value *out) {
    (void)m;
    *out = template_bool(call->self->type == TEMPLATE_INT);
    return true;
}

static bool test_float(template_machine *m, template_call *call, template_value *out) {
    (void)m;
    *out = template_bool(call->self->type == TEMPLATE_FLOAT);
    return true;
}

static bool test_number(template_machine *m, template_call *call, template_value *out) {
    (void)m;
    *out = template_bool(template_is_number(call->self));
    return true;
}

static bool test_string(template_machine *m, template_call *call, template_value *out) {
    (void)m;
    *out = template_bool(call->self->type == TEMPLATE_STRING);
    return true;
}

static bool test_mapping(template_machine *m, template_call *call, template_value *out) {
    (void)m;
    *out = template_bool(call->self->type == TEMPLATE_DICT);
    return true;
}

/* Has a length and can be indexed. */
static bool test_sequence(template_machine *m, template_call *call, template_value *out) {
    (void)m;
    const template_value *self = call->self;
    *out = template_bool(self->type == TEMPLATE_UNDEFINED || self->type == TEMPLATE_STRING ||
                         self->type == TEMPLATE_DICT || self->type == TEMPLATE_RANGE ||
                         template_is_items(self));
    return true;
}

static bool test_iterable(template_machine *m, template_call *call, template_value *out) {
    (void)m;
    *out = template_bool(template_is_iterable(call->self));
    return true;
}

static bool test_callable(template_machine *m, template_call *call, template_value *out) {
    (void)m;
    template_type type = (template_type)call->self->type;
    *out = template_bool(type == TEMPLATE_MACRO || type == TEMPLATE_METHOD ||
                         type == TEMPLATE_FUNCTION || type == TEMPLATE_LOOP ||
                         type == TEMPLATE_JOINER || type == TEMPLATE_UNDEFINED);
    return true;
}

static bool test_escaped(template_machine *m, template_call *call, template_value *out) {
    (void)m;
    *out = template_bool(call->self->type == TEMPLATE_STRING && call->self->detail == STRING_SAFE);
    return true;
}

/* value % divisor == rest */
static bool has_rest(template_machine *m, const template_value *value, template_value divisor,
                     int64_t rest, template_value *out) {
    template_value found;
    template_value wanted = template_int(rest);
    bool same;
    if (!template_arithmetic(m, OPERATOR_MODULO, value, &divisor, &found) ||
        !template_equal(m, &found, &wanted, &same)) {
        return false;
    }
    *out = template_bool(same);
    return true;
}

static bool test_odd(template_machine *m, template_call *call, template_value *out) {
    return has_rest(m, call->self, template_int(2), 1, out);
}

static bool test_even(template_machine *m, template_call *call, template_value *out) {
    return has_rest(m, call->self, template_int(2), 0, out);
}

static bool test_divisibleby(template_machine *m, template_call *call, template_value *out) {
    return has_rest(m, call->self, call->bound[0], 0, out);
}

static bool compare(template_machine *m, template_call *call, template_operator operation,
                    template_value *out) {
    bool holds;
    if (!template_compare(m, operation, call->self, &call->bound[0], &holds)) {
        return false;
    }
    *out = template_bool(holds);
    return true;
}

static bool test_eq(template_machine *m, template_call *call, template_value *out) {
    return compare(m, call, OPERATOR_EQUAL, out);
}

static bool test_ne(template_machine *m, template_call *call, template_value *out) {
    return compare(m, call, OPERATOR_NOT_EQUAL, out);
}

static bool test_lt(template_machine *m, template_call *call, template_value *out) {
    return compare(m, call, OPERATOR_LESS, out);
}

static bool test_le(template_machine *m, template_call *call, template_value *out) {
    return compare(m, call, OPERATOR_LESS_EQUAL, out);
}

static bool test_gt(template_machine *m, template_call *call, template_value *out) {
    return compare(m, call, OPERATOR_GREATER, out);
}

static bool test_ge(template_machine *m, template_call *call, template_value *out) {
    return compare(m, call, OPERATOR_GREATER_EQUAL, out);
}

static bool test_in(template_machine *m, template_call *call, template_value *out) {
    return compare(m, call, OPERATOR_IN, out);
}

/* The same object: for values without identity here, equal values of one type. */
static bool test_sameas(template_machine *m, template_call *call, template_value *out) {
    const template_value *a = call->self;
    const template_value *b = &call->bound[0];
    bool same = a->type == b->type;
    if (same) {
        switch ((template_type)a->type) {
        case TEMPLATE_NONE:
            break;
        case TEMPLATE_BOOL:
            same = a->as.boolean == b->as.boolean;
            break;
        case TEMPLATE_LIST:
        case TEMPLATE_TUPLE:
            same = a->as.items.first == b->as.items.first && a->as.items.count == b->as.items.count;
            break;
        case TEMPLATE_UNDEFINED:
        case TEMPLATE_INT:
        case TEMPLATE_FLOAT:
        case TEMPLATE_STRING:
            return template_fail(m, TARS_UNSUPPORTED, "the test sameas of a %s is not supported",
                                 template_type_name(a));
        default:
            same = a->as.object == b->as.object;
            break;
        }
    }
    *out = template_bool(same);
    return true;
}

/* str(value).islower() or isupper() */
static bool has_case(template_machine *m, template_call *call, bool upper, template_value *out) {
    template_value text;
    if (!template_to_plain(m, call->self, &text)) {
        return false;
    }
    bool any = false;
    bool wrong = false;
    for (size_t i = 0; i < text.as.text.length;) {
        uint32_t c;
        i += character_read(text.as.text.bytes + i, text.as.text.length - i, &c);
        bool fits = upper ? character_is_upper(c) : character_is_lower(c);
        any = any || fits;
        wrong = wrong || (!fits && character_is_cased(c));
    }
    *out = template_bool(any && !wrong);
    return template_charge(m, text.as.text.length / 8);
}

static bool test_lower(template_machine *m, template_call *call, template_value *out) {
    return has_case(m, call, false, out);
}

static bool test_upper(template_machine *m, template_call *call, template_value *out) {
    return has_case(m, call, true, out);
}

static bool test_filter(template_machine *m, template_call *call, template_value *out) {
    if (call->self->type == TEMPLATE_LIST || call->self->type == TEMPLATE_DICT) {
        return template_fail(m, TARS_MALFORMED, "a %s is no name", template_type_name(call->self));
    }
    *out = template_bool(call->self->type == TEMPLATE_STRING &&
                         template_find_filter(call->self->as.text) != NULL);
    return true;
}

static bool test_test(template_machine *m, template_call *call, template_value *out) {
    if (call->self->type == TEMPLATE_LIST || call->self->type == TEMPLATE_DICT) {
        return template_fail(m, TARS_MALFORMED, "a %s is no name", template_type_name(call->self));
    }
    *out = template_bool(call->self->type == TEMPLATE_STRING &&
                         template_find_test(call->self->as.text) != NULL);
    return true;
}

static const template_builtin_row tests[] = {
    {"defined", test_defined, "", 0},
    {"string", test_string, "", 0},
    {"none", test_none, "", 0},
    {"mapping", test_mapping, "", 0},
    {"iterable", test_iterable, "", 0},
    {"false", test_false, "", 0},
    {"true", test_true, "", 0},
    {"sequence", test_sequence, "", 0},
    {"boolean", test_boolean, "", 0},
    {"undefined", test_undefined, "", 0},
    {"number", test_number, "", 0},
    {"integer", test_integer, "", 0},
    {"float", test_float, "", 0},
    {"equalto", test_eq, "other", 1},
    {"eq", test_eq, "other", 1},
    {"==", test_eq, "other", 1},
    {"ne", test_ne, "other", 1},
    {"!=", test_ne, "other", 1},
    {"lt", test_lt, "other", 1},
    {"lessthan", test_lt, "other", 1},
    {"<", test_lt, "other", 1},
    {"le", test_le, "other", 1},
    {"<=", test_le, "other", 1},
    {"gt", test_gt, "other", 1},
    {"greaterthan", test_gt, "other", 1},
    {">", test_gt, "other", 1},
    {"ge", test_ge, "other", 1},
    {">=", test_ge, "other", 1},
    {"in", test_in, "seq", 1},
    {"odd", test_odd, "", 0},
    {"even", test_even, "", 0},
    {"divisibleby", test_divisibleby, "num", 1},
    {"callable", test_callable, "", 0},
    {"sameas", test_sameas, "other", 1},
    {"escaped", test_escaped, "", 0},
    {"lower", test_lower, "", 0},
    {"upper", test_upper, "", 0},
    {"filter", test_filter, "", 0},
    {"test", test_test, "", 0},
};

const template_builtin_row *template_find_test(template_text name) {
    return template_find_row(tests, sizeof tests / sizeof tests[0], name);
}
