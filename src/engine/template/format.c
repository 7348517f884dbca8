#include "engine/template/format.h"

#include "base/utf8.h"
#include "engine/template/character.h"
#include "engine/template/number.h"
#include "engine/template/operate.h"
#include "engine/template/print.h"
#include "engine/template/string.h"

/* ---- numbers ------------------------------------------------------------------------------- */

static char digit_at(const template_digits *d, int64_t place) {
    return place >= 0 && place < (int64_t)d->count ? d->digits[place] : '0';
}

/* 123.450 */
static size_t put_fixed(const template_digits *d, int precision, bool alternate, char *out) {
    size_t n = 0;
    if (d->count == 0 || d->point <= 0) {
        out[n++] = '0';
    }
    for (int i = 0; d->count > 0 && i < d->point; i++) {
        out[n++] = digit_at(d, i);
    }
    if (precision > 0 || alternate) {
        out[n++] = '.';
    }
    for (int i = 0; i < precision; i++) {
        out[n++] = d->count > 0 ? digit_at(d, (int64_t)d->point + i) : '0';
    }
    return n;
}

/* 1.2345e+02 */
static size_t put_exponential(const template_digits *d, int precision, bool alternate, char letter,
                              char *out) {
    size_t n = 0;
    int exponent = d->count > 0 ? d->point - 1 : 0;
    out[n++] = digit_at(d, 0);
    if (precision > 0 || alternate) {
        out[n++] = '.';
    }
    for (int i = 1; i <= precision; i++) {
        out[n++] = digit_at(d, i);
    }
    out[n++] = letter;
    out[n++] = exponent < 0 ? '-' : '+';
    unsigned magnitude = (unsigned)(exponent < 0 ? -exponent : exponent);
    if (magnitude >= 100) {
        out[n++] = (char)('0' + magnitude / 100);
    }
    out[n++] = (char)('0' + magnitude / 10 % 10);
    out[n++] = (char)('0' + magnitude % 10);
    return n;
}

/* `with_point`: a whole number shows one digit after the point, and exponents come earlier. */
static size_t put_general(template_digits *d, int precision, bool alternate, bool with_point,
                          char letter, char *out) {
    precision = precision < 1 ? 1 : precision;
    template_round_digits(d, precision);
    int exponent = d->count > 0 ? d->point - 1 : 0;
    int shown = alternate ? precision : (int)(d->count > 0 ? d->count : 1);
    if (exponent < -4 || exponent >= precision - (with_point ? 1 : 0)) {
        return put_exponential(d, shown - 1, alternate, letter, out);
    }
    int after_point = shown - 1 - exponent;
    int least = with_point ? 1 : 0;
    return put_fixed(d, after_point > least ? after_point : least, alternate, out);
}

bool template_format_float(template_machine *m, double value, char type, int precision,
                           bool alternate, template_text *out) {
    bool is_upper = type < 'a';
    char kind = (char)(type | 0x20);
    if (!template_is_finite(value)) {
        *out = template_text_of(value != value ? (is_upper ? "NAN" : "nan")
                                : is_upper     ? "INF"
                                               : "inf");
        return true;
    }
    if (precision > FORMAT_MAX_PRECISION) {
        return template_fail(m, TARS_LIMIT, "a precision above %d digits", FORMAT_MAX_PRECISION);
    }
    char *text = template_alloc(m, (size_t)precision + 340, 1, 1);
    if (!text) {
        return false;
    }
    template_digits d;
    template_exact_digits(value, &d);
    size_t n;
    if (kind == 'f') {
        int64_t keep = (int64_t)d.point + precision;
        template_round_digits(&d, keep < -1 ? -1 : (int)keep);
        n = put_fixed(&d, precision, alternate, text);
    } else if (kind == 'e') {
        template_round_digits(&d, precision + 1);
        n = put_exponential(&d, precision, alternate, is_upper ? 'E' : 'e', text);
    } else {
        n = put_general(&d, precision, alternate, kind == 'r', is_upper ? 'E' : 'e', text);
    }
    *out = (template_text){text, n};
    return template_charge(m, n / 8);
}

bool template_format_integer(template_machine *m, int64_t value, unsigned base, bool upper,
                             template_text *out) {
    const char *digits = upper ? "0123456789ABCDEF" : "0123456789abcdef";
    uint64_t magnitude = value < 0 ? 0u - (uint64_t)value : (uint64_t)value;
    char *text = template_alloc(m, 64, 1, 1);
    if (!text) {
        return false;
    }
    size_t n = 64;
    do {
        text[--n] = digits[magnitude % base];
        magnitude /= base;
    } while (magnitude > 0);
    *out = (template_text){text + n, 64 - n};
    return true;
}

/* ---- fields -------------------------------------------------------------------------------- */

static bool write_fill(template_machine *m, template_writer *writer, template_text fill,
                       size_t count) {
    for (size_t i = 0; i < count; i++) {
        if (!template_write_text(m, writer, fill)) {
            return false;
        }
    }
    return template_charge(m, count / 8);
}

bool template_write_field(template_machine *m, template_writer *writer, const template_field *field,
                          template_text sign, template_text body) {
    if (field->width > FORMAT_MAX_WIDTH) {
        return template_fail(m, TARS_LIMIT, "a field wider than %d characters", FORMAT_MAX_WIDTH);
    }
    size_t length = character_count(body.bytes, body.length) + sign.length;
    size_t gap = field->width > length ? field->width - length : 0;
    size_t left = field->align == '>' ? gap : field->align == '^' ? gap / 2 : 0;
    size_t between = field->align == '=' ? gap : 0;
    return write_fill(m, writer, field->fill, left) && template_write_text(m, writer, sign) &&
           write_fill(m, writer, field->fill, between) && template_write_text(m, writer, body) &&
           write_fill(m, writer, field->fill, gap - left - between);
}

/* ---- percent ------------------------------------------------------------------------------- */

typedef struct percent {
    template_machine *m;
    template_writer *writer;
    template_text rest; /* of the format */
    const template_value *values;
    size_t next_value;
    bool is_safe; /* the format is marked safe: texts put into it are escaped */
} percent;

typedef struct percent_directive {
    bool left, plus, space, zero, alternate;
    int64_t width;
    int64_t precision; /* -1: none */
    char type;
    bool has_value; /* taken from a dict by name */
    template_value value;
} percent_directive;

static bool fail_format(percent *p) {
    return template_fail(p->m, TARS_MALFORMED, "a format with %% is malformed or not supported");
}

static char take_char(percent *p) {
    if (p->rest.length == 0) {
        return '\0';
    }
    p->rest.length--;
    return *p->rest.bytes++;
}

static char peek_char(const percent *p) {
    return p->rest.length > 0 ? p->rest.bytes[0] : '\0';
}

static bool take_value(percent *p, template_value *out) {
    const template_value *values = p->values;
    bool is_tuple = values->type == TEMPLATE_TUPLE;
    if (p->next_value >= (is_tuple ? values->as.items.count : 1)) {
        return template_fail(p->m, TARS_MALFORMED, "not enough values for the format");
    }
    *out = is_tuple ? values->as.items.first[p->next_value] : *values;
    p->next_value++;
    return true;
}

/* %(name)… */
static bool take_named(percent *p, percent_directive *d) {
    template_text name = {p->rest.bytes, 0};
    while (name.length < p->rest.length && name.bytes[name.length] != ')') {
        name.length++;
    }
    if (name.length == p->rest.length || p->values->type != TEMPLATE_DICT) {
        return fail_format(p);
    }
    p->rest.bytes += name.length + 1;
    p->rest.length -= name.length + 1;
    template_value key = template_string(name.bytes, name.length);
    template_entry *entry;
    if (!template_dict_find(p->m, p->values->as.dict, &key, &entry)) {
        return false;
    }
    if (!entry) {
        return template_fail(p->m, TARS_MALFORMED, "the format's dict has no key '%.*s'",
                             (int)(name.length < 80 ? name.length : 80), name.bytes);
    }
    d->value = entry->value;
    d->has_value = true;
    return true;
}

/* Digits, or * for the next value. */
static bool take_number(percent *p, int64_t *out) {
    if (peek_char(p) == '*') {
        take_char(p);
        template_value value = template_none();
        if (!take_value(p, &value)) {
            return false;
        }
        *out = template_is_integer(&value) ? template_integer(&value) : 0;
        return template_is_integer(&value) || fail_format(p);
    }
    *out = 0;
    while (peek_char(p) >= '0' && peek_char(p) <= '9') {
        *out = *out * 10 + (take_char(p) - '0');
        if (*out > FORMAT_MAX_WIDTH) {
            return template_fail(p->m, TARS_LIMIT, "a field wider than %d characters",
                                 FORMAT_MAX_WIDTH);
        }
    }
    return true;
}

static bool parse_percent(percent *p, percent_directive *d) {
    *d = (percent_directive){.precision = -1};
    if (peek_char(p) == '(') {
        take_char(p);
        if (!take_named(p, d)) {
            return false;
        }
    }
    for (;;) {
        char c = peek_char(p);
        bool *flag = c == '-'   ? &d->left
                     : c == '+' ? &d->plus
                     : c == ' ' ? &d->space
                     : c == '0' ? &d->zero
                     : c == '#' ? &d->alternate
                                : NULL;
        if (!flag) {
            break;
        }
        *flag = true;
        take_char(p);
    }
    if (!take_number(p, &d->width)) {
        return false;
    }
    if (d->width < 0) {
        d->left = true;
        d->width = d->width < -FORMAT_MAX_WIDTH ? FORMAT_MAX_WIDTH + 1 : -d->width;
    }
    if (peek_char(p) == '.') {
        take_char(p);
        if (!take_number(p, &d->precision)) {
            return false;
        }
        d->precision = d->precision < 0 ? 0 : d->precision;
    }
    while (peek_char(p) == 'h' || peek_char(p) == 'l' || peek_char(p) == 'L') {
        take_char(p);
    }
    d->type = take_char(p);
    return true;
}

static bool write_padded(percent *p, const percent_directive *d, template_text sign,
                         template_text body, bool zeros) {
    template_field field = {.fill = template_text_of(zeros && !d->left ? "0" : " "),
                            .align = d->left ? '<'
                                     : zeros ? '='
                                             : '>',
                            .width = (size_t)d->width};
    return template_write_field(p->m, p->writer, &field, sign, body);
}

static template_text sign_of(const percent_directive *d, bool negative) {
    return template_text_of(negative ? "-" : d->plus ? "+" : d->space ? " " : "");
}

static bool percent_float(percent *p, const percent_directive *d) {
    const template_value *value = &d->value;
    if (!template_is_number(value)) {
        return template_fail(p->m, TARS_MALFORMED, "%%%c needs a number, found a %s", d->type,
                             template_type_name(value));
    }
    double number =
        value->type == TEMPLATE_FLOAT ? value->as.number : (double)template_integer(value);
    bool negative = template_is_negative(number) && number == number;
    template_text body = {"", 0};
    int precision = d->precision < 0 ? 6 : (int)d->precision;
    return template_format_float(p->m, negative ? -number : number, d->type, precision,
                                 d->alternate, &body) &&
           write_padded(p, d, sign_of(d, negative), body, d->zero && template_is_finite(number));
}

/* At least `precision` digits, with 0x and the like when asked for. */
static bool finish_integer(percent *p, const percent_directive *d, bool negative, const char *mark,
                           template_text digits) {
    template_writer writer;
    template_writer_capture(&writer);
    template_text sign = sign_of(d, negative);
    if (d->alternate && *mark) {
        char *joined = template_alloc(p->m, 4, 1, 1);
        if (!joined) {
            return false;
        }
        memcpy(joined, sign.bytes, sign.length);
        memcpy(joined + sign.length, mark, 2);
        sign = (template_text){joined, sign.length + 2};
    }
    for (size_t i = digits.length; (int64_t)i < d->precision; i++) {
        if (!template_write_string(p->m, &writer, "0")) {
            return false;
        }
    }
    if (!template_write_text(p->m, &writer, digits)) {
        return false;
    }
    return write_padded(p, d, sign, (template_text){writer.data, writer.length}, d->zero);
}

static bool percent_integer(percent *p, const percent_directive *d) {
    const template_value *value = &d->value;
    bool is_decimal = d->type == 'd' || d->type == 'i' || d->type == 'u';
    int64_t number;
    if (template_is_integer(value)) {
        number = template_integer(value);
    } else if (value->type == TEMPLATE_FLOAT && is_decimal) {
        if (!(value->as.number > -9.2e18 && value->as.number < 9.2e18)) {
            return template_fail(p->m, TARS_UNSUPPORTED, "an integer beyond 64 bits");
        }
        number = (int64_t)value->as.number;
    } else {
        return template_fail(p->m, TARS_MALFORMED, "%%%c needs an integer, found a %s", d->type,
                             template_type_name(value));
    }
    unsigned base = is_decimal ? 10 : d->type == 'o' ? 8 : 16;
    const char *mark = d->type == 'o' ? "0o" : d->type == 'x' ? "0x" : d->type == 'X' ? "0X" : "";
    template_text digits;
    return template_format_integer(p->m, number, base, d->type == 'X', &digits) &&
           finish_integer(p, d, number < 0, mark, digits);
}

static bool percent_char(percent *p, const percent_directive *d) {
    const template_value *value = &d->value;
    char *bytes = template_alloc(p->m, 4, 1, 1);
    if (!bytes) {
        return false;
    }
    template_text text = {bytes, 0};
    if (template_is_integer(value) && template_integer(value) >= 0 &&
        template_integer(value) <= 0x10FFFF) {
        text.length = utf8_encode((uint32_t)template_integer(value), bytes);
    } else if (value->type == TEMPLATE_STRING &&
               character_count(value->as.text.bytes, value->as.text.length) == 1) {
        text = value->as.text;
    } else {
        return fail_format(p);
    }
    return write_padded(p, d, template_text_of(""), text, false);
}

static bool percent_text(percent *p, const percent_directive *d) {
    template_value text;
    if (d->type == 'r') {
        template_writer writer;
        template_writer_capture(&writer);
        if (!template_repr(p->m, &writer, &d->value)) {
            return false;
        }
        text = template_writer_value(&writer);
    } else if (!template_to_string(p->m, &d->value, &text)) {
        return false;
    }
    if (p->is_safe && !template_escape(p->m, &text, &text)) {
        return false;
    }
    template_text shown = text.as.text;
    if (d->precision >= 0) {
        shown.length = template_offset(shown, (size_t)d->precision);
    }
    return write_padded(p, d, template_text_of(""), shown, false);
}

static bool percent_directive_text(percent *p) {
    percent_directive d;
    if (!parse_percent(p, &d)) {
        return false;
    }
    if (d.type == '%') {
        return template_write_string(p->m, p->writer, "%");
    }
    if (!d.has_value && !take_value(p, &d.value)) {
        return false;
    }
    switch (d.type) {
    case 's':
    case 'r':
        return percent_text(p, &d);
    case 'd':
    case 'i':
    case 'u':
    case 'x':
    case 'X':
    case 'o':
        return percent_integer(p, &d);
    case 'f':
    case 'F':
    case 'e':
    case 'E':
    case 'g':
    case 'G':
        return percent_float(p, &d);
    case 'c':
        return percent_char(p, &d);
    default:
        return fail_format(p);
    }
}

bool template_format_percent(template_machine *m, const template_value *format,
                             const template_value *values, template_value *out) {
    template_writer writer;
    template_writer_capture(&writer);
    percent p = {.m = m,
                 .writer = &writer,
                 .rest = format->as.text,
                 .values = values,
                 .is_safe = format->detail == STRING_SAFE};
    while (p.rest.length > 0) {
        size_t plain = template_find_byte(p.rest.bytes, p.rest.length, '%');
        if (!template_write(m, &writer, p.rest.bytes, plain)) {
            return false;
        }
        p.rest.bytes += plain;
        p.rest.length -= plain;
        if (p.rest.length > 0) {
            take_char(&p);
            if (!template_charge(m, 1) || !percent_directive_text(&p)) {
                return false;
            }
        }
    }
    bool takes_all =
        values->type == TEMPLATE_TUPLE ? p.next_value == values->as.items.count : p.next_value == 1;
    bool may_be_left = values->type == TEMPLATE_DICT || values->type == TEMPLATE_LIST ||
                       values->type == TEMPLATE_RANGE || template_is_undefined(values);
    if (!takes_all && !may_be_left) {
        return template_fail(m, TARS_MALFORMED, "not all values were used by the format");
    }
    *out = template_writer_value(&writer);
    out->detail = format->detail;
    return true;
}
