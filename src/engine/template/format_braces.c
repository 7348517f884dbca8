/* 'text {}'.format(values) */
#include "engine/template/format.h"

#include "base/utf8.h"
#include "engine/template/access.h"
#include "engine/template/character.h"
#include "engine/template/number.h"
#include "engine/template/print.h"
#include "engine/template/string.h"

typedef struct braces {
    template_machine *m;
    template_writer *writer;
    const template_arguments *arguments;
    int64_t next_index; /* of automatic numbering; -1: fields are numbered by hand */
    bool is_safe;       /* the format is marked safe: texts put into it are escaped */
} braces;

/* The part of a field after the colon. */
typedef struct format_spec {
    template_field field;
    bool has_align;
    char sign; /* '+', ' ' or '-' */
    bool alternate;
    char group;        /* ',' or '_', or 0 */
    int64_t precision; /* -1: none */
    char type;         /* 0: none */
} format_spec;

static bool fail_format(template_machine *m) {
    return template_fail(m, TARS_MALFORMED, "a format with {} is malformed or not supported");
}

/* ---- the format specification -------------------------------------------------------------- */

static bool is_align(char c) {
    return c == '<' || c == '>' || c == '^' || c == '=';
}

static char first_of(template_text text) {
    return text.length > 0 ? text.bytes[0] : '\0';
}

static void skip(template_text *text, size_t count) {
    text->bytes += count;
    text->length -= count;
}

static bool take_digits(template_machine *m, template_text *text, int64_t *out) {
    *out = 0;
    while (first_of(*text) >= '0' && first_of(*text) <= '9') {
        *out = *out * 10 + (first_of(*text) - '0');
        skip(text, 1);
        if (*out > FORMAT_MAX_WIDTH) {
            return template_fail(m, TARS_LIMIT, "a field wider than %d characters",
                                 FORMAT_MAX_WIDTH);
        }
    }
    return true;
}

static void parse_align(template_text *text, format_spec *spec) {
    uint32_t c;
    if (text->length == 0) {
        return;
    }
    size_t used = character_read(text->bytes, text->length, &c);
    if (used < text->length && is_align(text->bytes[used])) {
        spec->field.fill = (template_text){text->bytes, used};
        spec->field.align = text->bytes[used];
        spec->has_align = true;
        skip(text, used + 1);
    } else if (is_align(text->bytes[0])) {
        spec->field.align = text->bytes[0];
        spec->has_align = true;
        skip(text, 1);
    }
}

static bool parse_spec(template_machine *m, template_text text, format_spec *spec) {
    *spec = (format_spec){.field = {.fill = template_text_of(" ")}, .precision = -1};
    parse_align(&text, spec);
    char c = first_of(text);
    if (c == '+' || c == '-' || c == ' ') {
        spec->sign = c;
        skip(&text, 1);
    }
    if (first_of(text) == '#') {
        spec->alternate = true;
        skip(&text, 1);
    }
    if (first_of(text) == '0') {
        if (!spec->has_align) {
            spec->field.fill = template_text_of("0");
            spec->field.align = '=';
            spec->has_align = true;
        }
        skip(&text, 1);
    }
    int64_t width;
    if (!take_digits(m, &text, &width)) {
        return false;
    }
    spec->field.width = (size_t)width;
    if (first_of(text) == ',' || first_of(text) == '_') {
        spec->group = first_of(text);
        skip(&text, 1);
    }
    if (first_of(text) == '.') {
        skip(&text, 1);
        if (first_of(text) < '0' || first_of(text) > '9' ||
            !take_digits(m, &text, &spec->precision)) {
            return fail_format(m);
        }
    }
    if (text.length > 0) {
        spec->type = text.bytes[0];
        skip(&text, 1);
    }
    return text.length == 0 || fail_format(m);
}

/* ---- values -------------------------------------------------------------------------------- */

static bool format_text(braces *b, const template_value *text, format_spec *spec) {
    template_text shown = text->as.text;
    if ((spec->type != 0 && spec->type != 's') || spec->sign || spec->group || spec->alternate ||
        spec->field.align == '=') {
        return fail_format(b->m);
    }
    if (spec->precision >= 0) {
        shown.length = template_offset(shown, (size_t)spec->precision);
    }
    spec->field.align = spec->has_align ? spec->field.align : '<';
    return template_write_field(b->m, b->writer, &spec->field, template_text_of(""), shown);
}

/* Puts a mark between groups of digits before the point. */
static bool group_digits(template_machine *m, const format_spec *spec, size_t size,
                         template_text *digits) {
    if (!spec->group) {
        return true;
    }
    if (spec->field.align == '=' && spec->field.width > 0) {
        return template_fail(m, TARS_UNSUPPORTED, "grouping with zeros before is not supported");
    }
    size_t whole = 0;
    while (whole < digits->length &&
           ((digits->bytes[whole] >= '0' && digits->bytes[whole] <= '9') ||
            (size == 4 && digits->bytes[whole] >= 'A'))) {
        whole++;
    }
    template_writer writer;
    template_writer_capture(&writer);
    for (size_t i = 0; i < digits->length; i++) {
        if (i > 0 && i < whole && (whole - i) % size == 0 &&
            !template_write(m, &writer, &spec->group, 1)) {
            return false;
        }
        if (!template_write(m, &writer, digits->bytes + i, 1)) {
            return false;
        }
    }
    *digits = (template_text){writer.data, writer.length};
    return true;
}

static template_text sign_text(const format_spec *spec, bool negative) {
    return template_text_of(negative            ? "-"
                            : spec->sign == '+' ? "+"
                            : spec->sign == ' ' ? " "
                                                : "");
}

static bool write_number(braces *b, format_spec *spec, template_text sign, template_text digits) {
    spec->field.align = spec->has_align ? spec->field.align : '>';
    return template_write_field(b->m, b->writer, &spec->field, sign, digits);
}

static bool format_float(braces *b, double number, format_spec *spec) {
    bool negative = template_is_negative(number) && number == number;
    double magnitude = negative ? -number : number;
    bool is_percent = spec->type == '%';
    char type = is_percent ? 'f' : spec->type ? spec->type : 'r';
    template_text digits;
    if (type == 'r' && spec->precision < 0) {
        char *text = template_alloc(b->m, NUMBER_REPR_BYTES, 1, 1);
        if (!text) {
            return false;
        }
        digits = (template_text){text, template_float_repr(magnitude, text)};
    } else {
        if (!template_is_one_of(type, "eEfFgGr")) {
            return fail_format(b->m);
        }
        int precision = spec->precision < 0 ? 6 : (int)spec->precision;
        if (!template_format_float(b->m, is_percent ? magnitude * 100.0 : magnitude, type,
                                   precision, spec->alternate, &digits)) {
            return false;
        }
    }
    if (is_percent) {
        template_writer writer;
        template_writer_capture(&writer);
        if (!template_write_text(b->m, &writer, digits) ||
            !template_write_string(b->m, &writer, "%")) {
            return false;
        }
        digits = (template_text){writer.data, writer.length};
    }
    return group_digits(b->m, spec, 3, &digits) &&
           write_number(b, spec, sign_text(spec, negative), digits);
}

static bool format_character(braces *b, int64_t number, format_spec *spec) {
    char *bytes = template_alloc(b->m, 4, 1, 1);
    if (!bytes) {
        return false;
    }
    if (number < 0 || number > 0x10FFFF) {
        return fail_format(b->m);
    }
    template_text text = {bytes, utf8_encode((uint32_t)number, bytes)};
    spec->field.align = spec->has_align ? spec->field.align : '<';
    return template_write_field(b->m, b->writer, &spec->field, template_text_of(""), text);
}

static bool format_integer(braces *b, int64_t number, format_spec *spec) {
    char type = spec->type ? spec->type : 'd';
    if (type == 'c') {
        return format_character(b, number, spec);
    }
    if (template_is_one_of(type, "eEfFgG%")) {
        return format_float(b, (double)number, spec);
    }
    if (!template_is_one_of(type, "dbxXo") || spec->precision >= 0) {
        return fail_format(b->m);
    }
    unsigned base = type == 'd' ? 10 : type == 'b' ? 2 : type == 'o' ? 8 : 16;
    char mark[4] = {number < 0 ? '-' : spec->sign == '+' ? '+' : spec->sign == ' ' ? ' ' : '\0'};
    size_t n = mark[0] ? 1 : 0;
    if (spec->alternate && type != 'd') {
        mark[n++] = '0';
        mark[n++] = type;
    }
    template_text digits;
    return template_format_integer(b->m, number, base, type == 'X', &digits) &&
           group_digits(b->m, spec, type == 'd' ? 3 : 4, &digits) &&
           write_number(b, spec, (template_text){mark, n}, digits);
}

static bool format_value(braces *b, const template_value *value, template_text spec_text) {
    format_spec spec;
    if (spec_text.length == 0) {
        template_value text;
        return template_to_string(b->m, value, &text) &&
               (!b->is_safe || template_escape(b->m, &text, &text)) &&
               template_write_text(b->m, b->writer, text.as.text);
    }
    if (b->is_safe) {
        return template_fail(b->m, TARS_UNSUPPORTED,
                             "a format specification in a text marked safe is not supported");
    }
    if (!parse_spec(b->m, spec_text, &spec)) {
        return false;
    }
    switch ((template_type)value->type) {
    case TEMPLATE_STRING:
        return format_text(b, value, &spec);
    case TEMPLATE_BOOL:
    case TEMPLATE_INT:
        return format_integer(b, template_integer(value), &spec);
    case TEMPLATE_FLOAT:
        return format_float(b, value->as.number, &spec);
    default:
        return template_fail(b->m, TARS_MALFORMED, "a %s takes no format specification",
                             template_type_name(value));
    }
}

/* ---- fields -------------------------------------------------------------------------------- */

static bool is_digits(template_text text) {
    for (size_t i = 0; i < text.length; i++) {
        if (text.bytes[i] < '0' || text.bytes[i] > '9') {
            return false;
        }
    }
    return text.length > 0 && text.length < 10;
}

static int64_t digits_value(template_text text) {
    int64_t value = 0;
    for (size_t i = 0; i < text.length; i++) {
        value = value * 10 + (text.bytes[i] - '0');
    }
    return value;
}

/* The argument that the first part of a field names. */
static bool find_argument(braces *b, template_text name, template_value *out) {
    int64_t index = -1;
    if (name.length == 0) {
        if (b->next_index < 0) {
            return fail_format(b->m);
        }
        index = b->next_index++;
    } else if (is_digits(name)) {
        if (b->next_index > 0) {
            return fail_format(b->m);
        }
        b->next_index = -1;
        index = digits_value(name);
    }
    if (index >= 0) {
        if ((uint64_t)index >= b->arguments->count) {
            return template_fail(b->m, TARS_MALFORMED, "the format has no argument %lld",
                                 (long long)index);
        }
        *out = b->arguments->positional[index];
        return true;
    }
    for (size_t i = 0; i < b->arguments->keyword_count; i++) {
        if (template_text_equal(b->arguments->keywords[i].name, name)) {
            *out = b->arguments->keywords[i].value;
            return true;
        }
    }
    return template_fail(b->m, TARS_MALFORMED, "the format has no argument '%.*s'",
                         (int)(name.length < 80 ? name.length : 80), name.bytes);
}

/* Length of the text before any of the characters. */
static size_t span_before(template_text text, const char *characters) {
    size_t n = 0;
    while (n < text.length && !template_is_one_of(text.bytes[n], characters)) {
        n++;
    }
    return n;
}

/* name.attribute[key] */
static bool find_value(braces *b, template_text path, template_value *out) {
    size_t n = span_before(path, ".[");
    if (!find_argument(b, (template_text){path.bytes, n}, out)) {
        return false;
    }
    skip(&path, n);
    while (path.length > 0) {
        bool is_item = path.bytes[0] == '[';
        skip(&path, 1);
        n = span_before(path, is_item ? "]" : ".[");
        template_text name = {path.bytes, n};
        template_value base = *out;
        skip(&path, n);
        if (n == 0 || (is_item && path.length == 0)) {
            return fail_format(b->m);
        }
        template_value key = is_digits(name) ? template_int(digits_value(name))
                                             : template_string(name.bytes, name.length);
        if (is_item) {
            skip(&path, 1);
        }
        if (!(is_item ? template_get_item(b->m, &base, &key, out)
                      : template_get_attribute(b->m, &base, name, out))) {
            return false;
        }
    }
    return true;
}

static bool write_replacement(braces *b, template_text field) {
    size_t path_length = span_before(field, "!:");
    template_value value;
    if (!template_charge(b->m, 1) ||
        !find_value(b, (template_text){field.bytes, path_length}, &value)) {
        return false;
    }
    skip(&field, path_length);
    if (first_of(field) == '!') {
        template_writer writer;
        if (field.length < 2 || (field.bytes[1] != 'r' && field.bytes[1] != 's')) {
            return fail_format(b->m);
        }
        template_writer_capture(&writer);
        if (!(field.bytes[1] == 'r' ? template_repr(b->m, &writer, &value)
                                    : template_print(b->m, &writer, &value))) {
            return false;
        }
        value = template_writer_value(&writer);
        skip(&field, 2);
    }
    if (field.length > 0) {
        if (field.bytes[0] != ':') {
            return fail_format(b->m);
        }
        skip(&field, 1);
    }
    return format_value(b, &value, field);
}

bool template_format_braces(template_machine *m, const template_value *format,
                            const template_arguments *arguments, template_value *out) {
    template_writer writer;
    template_writer_capture(&writer);
    braces b = {.m = m,
                .writer = &writer,
                .arguments = arguments,
                .is_safe = format->detail == STRING_SAFE};
    template_text rest = format->as.text;
    while (rest.length > 0) {
        size_t plain = span_before(rest, "{}");
        if (!template_write(m, &writer, rest.bytes, plain)) {
            return false;
        }
        skip(&rest, plain);
        if (rest.length == 0) {
            break;
        }
        if (rest.length > 1 && rest.bytes[1] == rest.bytes[0]) {
            if (!template_write(m, &writer, rest.bytes, 1)) {
                return false;
            }
            skip(&rest, 2);
            continue;
        }
        template_text field = {rest.bytes + 1, 0};
        field.length = span_before((template_text){field.bytes, rest.length - 1}, "{}");
        if (rest.bytes[0] != '{' || field.length + 1 >= rest.length ||
            field.bytes[field.length] != '}') {
            return fail_format(m);
        }
        if (!write_replacement(&b, field)) {
            return false;
        }
        skip(&rest, field.length + 2);
    }
    *out = template_writer_value(&writer);
    out->detail = format->detail;
    return true;
}
