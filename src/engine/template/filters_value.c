/* Filters of single values: defaults, numbers, lengths. */
#include "base/number.h"
#include "engine/template/access.h"
#include "engine/template/builtin.h"
#include "engine/template/number.h"
#include "engine/template/operate.h"
#include "engine/template/sequence.h"
#include "engine/template/string.h"

static bool filter_default(template_machine *m, template_call *call, template_value *out) {
    bool also_false = template_take_bool(&call->bound[1], false);
    bool replace = template_is_undefined(call->self) || (also_false && !template_truth(call->self));
    *out = !replace                               ? *call->self
           : template_is_missing(&call->bound[0]) ? template_string("", 0)
                                                  : call->bound[0];
    return template_charge(m, 1);
}

static bool filter_length(template_machine *m, template_call *call, template_value *out) {
    size_t length;
    if (!template_length(m, call->self, &length)) {
        return false;
    }
    *out = template_int((int64_t)length);
    return true;
}

static bool filter_attr(template_machine *m, template_call *call, template_value *out) {
    template_text name;
    bool unsafe;
    if (!template_take_text(m, &call->bound[0], NULL, &name)) {
        return false;
    }
    if (call->self->type == TEMPLATE_DICT && !template_find_method(call->self, name, &unsafe) &&
        !unsafe) {
        *out = template_undefined(UNDEFINED_ATTRIBUTE, name); /* keys are no attributes */
        return true;
    }
    return template_get_attribute(m, call->self, name, out);
}

/* ---- texts as numbers ---------------------------------------------------------------------- */

static bool is_digit(char c) {
    return c >= '0' && c <= '9';
}

/* Reads a number and writes it in JSON's form: no underscores, no leading zeros, no plus. */
typedef struct number_reader {
    template_text from;
    size_t i;
    char *to;
    size_t n;
} number_reader;

static char reader_char(const number_reader *r) {
    return r->i < r->from.length ? r->from.bytes[r->i] : '\0';
}

/* Copies digits, dropping single underscores between them. Returns how many there were. */
static size_t read_digits(number_reader *r) {
    size_t start = r->n;
    while (r->i < r->from.length) {
        if (is_digit(reader_char(r))) {
            r->to[r->n++] = reader_char(r);
        } else if (reader_char(r) != '_' || r->n == start || r->i + 1 >= r->from.length ||
                   !is_digit(r->from.bytes[r->i + 1])) {
            break;
        }
        r->i++;
    }
    return r->n - start;
}

/* The digits before the point; leading zeros are dropped, no digits become 0. */
static size_t read_whole(number_reader *r) {
    size_t start = r->n;
    size_t count = read_digits(r);
    size_t zeros = 0;
    while (zeros + 1 < count && r->to[start + zeros] == '0') {
        zeros++;
    }
    memmove(r->to + start, r->to + start + zeros, count - zeros);
    r->n -= zeros;
    if (count == 0) {
        r->to[r->n++] = '0';
    }
    return count;
}

static bool read_fraction_and_exponent(number_reader *r, size_t n_whole) {
    size_t n_fraction = 0;
    if (reader_char(r) == '.') {
        r->i++;
        r->to[r->n++] = '.';
        n_fraction = read_digits(r);
        r->n -= n_fraction == 0 ? 1 : 0;
    }
    if (n_whole + n_fraction == 0) {
        return false;
    }
    if ((reader_char(r) | 0x20) == 'e') {
        r->i++;
        r->to[r->n++] = 'e';
        if (reader_char(r) == '-' || reader_char(r) == '+') {
            r->to[r->n++] = reader_char(r);
            r->i++;
        }
        if (read_digits(r) == 0) {
            return false;
        }
    }
    return r->i == r->from.length;
}

static bool is_word(template_text text, const char *word) {
    bool same = text.length == strlen(word);
    for (size_t i = 0; same && i < text.length; i++) {
        same = (text.bytes[i] | 0x20) == word[i];
    }
    return same;
}

/* A reader over the text without white space around it and without its sign. */
static bool begin_number(template_machine *m, const template_value *value, number_reader *r,
                         bool *negative) {
    template_value stripped;
    if (!template_strip(m, value, NULL, STRIP_BOTH, &stripped)) {
        return false;
    }
    *r = (number_reader){.from = stripped.as.text};
    *negative = reader_char(r) == '-';
    if (*negative || reader_char(r) == '+') {
        r->from.bytes++;
        r->from.length--;
    }
    r->to = template_alloc(m, r->from.length + 8, 1, 1);
    return r->to && template_charge(m, r->from.length / 8);
}

/* Python's float(text). *valid false: it is no number. */
static bool parse_float(template_machine *m, const template_value *value, double *out,
                        bool *valid) {
    number_reader r;
    bool negative;
    if (!begin_number(m, value, &r, &negative)) {
        return false;
    }
    *valid = true;
    if (is_word(r.from, "inf") || is_word(r.from, "infinity")) {
        *out = __builtin_inf();
    } else if (is_word(r.from, "nan")) {
        *out = __builtin_nan("");
    } else {
        size_t n_whole = read_whole(&r);
        *valid = read_fraction_and_exponent(&r, n_whole);
        if (*valid) {
            number_to_double(r.to, r.n, out); /* beyond the largest: infinite, as in Python */
        }
    }
    if (*valid && negative) {
        *out = -*out;
    }
    return true;
}

static bool fail_wide(template_machine *m) {
    return template_fail(m, TARS_UNSUPPORTED,
                         "an integer beyond 64 bits, which chat templates do not support here");
}

/* Python's int(text) in base 10. *valid false: it is no integer. */
static bool parse_int(template_machine *m, const template_value *value, int64_t *out, bool *valid) {
    number_reader r;
    bool negative;
    if (!begin_number(m, value, &r, &negative)) {
        return false;
    }
    if (negative) {
        r.to[r.n++] = '-';
    }
    *valid = read_digits(&r) > 0 && r.i == r.from.length;
    return !*valid || number_to_int64(r.to, r.n, out) || fail_wide(m);
}

static bool int_of_float(template_machine *m, double number, template_value *out) {
    if (!(number > -9223372036854775808.0 && number < 9223372036854775808.0)) {
        return fail_wide(m);
    }
    *out = template_int((int64_t)number);
    return true;
}

static bool int_of_text(template_machine *m, const template_value *text, template_value *out) {
    int64_t number;
    double real;
    bool valid;
    if (!parse_int(m, text, &number, &valid)) {
        return false;
    }
    if (valid) {
        *out = template_int(number);
        return true;
    }
    if (!parse_float(m, text, &real, &valid)) {
        return false;
    }
    return !valid || !template_is_finite(real) || int_of_float(m, real, out);
}

static bool filter_int(template_machine *m, template_call *call, template_value *out) {
    const template_value *self = call->self;
    int64_t base;
    *out = template_is_missing(&call->bound[0]) ? template_int(0) : call->bound[0];
    if (!template_take_int(m, &call->bound[1], 10, &base)) {
        return false;
    }
    if (template_is_undefined(self)) {
        return template_fail_undefined(m, self);
    }
    if (template_is_integer(self)) {
        *out = template_int(template_integer(self));
        return true;
    }
    if (self->type == TEMPLATE_FLOAT) {
        return self->as.number != self->as.number || int_of_float(m, self->as.number, out);
    }
    if (self->type != TEMPLATE_STRING) {
        return true;
    }
    return base == 10
               ? int_of_text(m, self, out)
               : template_fail(m, TARS_UNSUPPORTED, "int in another base than 10 is not supported");
}

static bool filter_float(template_machine *m, template_call *call, template_value *out) {
    const template_value *self = call->self;
    *out = template_is_missing(&call->bound[0]) ? template_float(0.0) : call->bound[0];
    if (template_is_undefined(self)) {
        return template_fail_undefined(m, self);
    }
    if (template_is_integer(self)) {
        *out = template_float((double)template_integer(self));
    } else if (self->type == TEMPLATE_FLOAT) {
        *out = *self;
    } else if (self->type == TEMPLATE_STRING) {
        double number;
        bool valid;
        if (!parse_float(m, self, &number, &valid)) {
            return false;
        }
        *out = valid ? template_float(number) : *out;
    }
    return true;
}

/* ---- numbers ------------------------------------------------------------------------------- */

static bool fail_number(template_machine *m, template_call *call) {
    return template_is_undefined(call->self)
               ? template_fail_undefined(m, call->self)
               : template_fail(m, TARS_MALFORMED, "%s of a %s, or with an unknown method",
                               call->row->name, template_type_name(call->self));
}

static bool filter_abs(template_machine *m, template_call *call, template_value *out) {
    const template_value *self = call->self;
    if (!template_is_number(self)) {
        return fail_number(m, call);
    }
    if (self->type == TEMPLATE_FLOAT) {
        *out = template_float(template_is_negative(self->as.number) ? -self->as.number
                                                                    : self->as.number);
        return true;
    }
    *out = template_int(template_integer(self));
    return out->as.integer >= 0 || template_negate(m, self, out);
}

/* Towards plus or minus infinity, by the formula of the filter. */
static bool round_directed(template_machine *m, double value, int64_t precision, bool up,
                           template_value *out) {
    const double exact = 9007199254740992.0;
    double scale = 1.0;
    for (int64_t i = 0; i < precision && i < 16; i++) {
        scale *= 10.0;
    }
    double scaled = value * scale;
    if (precision < 0 || precision > 15 || !(scaled > -exact && scaled < exact)) {
        return template_fail(m, TARS_UNSUPPORTED, "rounding to that precision is not supported");
    }
    double whole = up ? -template_floor(-scaled) : template_floor(scaled);
    *out = template_float((whole == 0.0 ? 0.0 : whole) / scale);
    return true;
}

static bool filter_round(template_machine *m, template_call *call, template_value *out) {
    const template_value *self = call->self;
    int64_t precision;
    template_text method;
    if (!template_take_int(m, &call->bound[0], 0, &precision) ||
        !template_take_text(m, &call->bound[1], "common", &method)) {
        return false;
    }
    bool up = template_text_is(method, "ceil");
    bool down = template_text_is(method, "floor");
    if (!template_is_number(self) || (!up && !down && !template_text_is(method, "common"))) {
        return fail_number(m, call);
    }
    if (up || down) {
        double value =
            self->type == TEMPLATE_FLOAT ? self->as.number : (double)template_integer(self);
        return round_directed(m, value, precision, up, out);
    }
    if (template_is_integer(self)) {
        *out = template_int(template_integer(self));
        return precision >= 0 ||
               template_fail(m, TARS_UNSUPPORTED, "rounding an integer to tens is not supported");
    }
    int64_t limited = precision < -400 ? -400 : precision > 400 ? 400 : precision;
    *out = template_float(template_round(self->as.number, (int)limited));
    return template_charge(m, 100);
}

static const template_builtin_row value_filters[] = {
    {"default", filter_default, "default_value boolean", 0},
    {"d", filter_default, "default_value boolean", 0},
    {"length", filter_length, "", 0},
    {"count", filter_length, "", 0},
    {"int", filter_int, "default base", 0},
    {"float", filter_float, "default", 0},
    {"abs", filter_abs, "", 0},
    {"round", filter_round, "precision method", 0},
    {"attr", filter_attr, "name", 1},
};

const template_builtin_table template_value_filters = {value_filters, sizeof value_filters /
                                                                          sizeof value_filters[0]};
