#include "engine/template/print.h"

#include "base/number.h"
#include "engine/template/character.h"
#include "engine/template/number.h"
#include "engine/template/operate.h"
#include "engine/template/sequence.h"

/* ---- repr ---------------------------------------------------------------------------------- */

static size_t put_hex(char *out, uint32_t value, size_t digits) {
    for (size_t i = 0; i < digits; i++) {
        out[i] = "0123456789abcdef"[(value >> (4 * (digits - 1 - i))) & 0xFu];
    }
    return digits;
}

/* The escape of a character that repr() does not show, or 0. */
static size_t repr_escape(uint32_t c, char quote, unsigned char byte, char *out) {
    out[0] = '\\';
    if (c == '\\' || c == (uint32_t)(unsigned char)quote) {
        out[1] = (char)c;
        return 2;
    }
    if (c == '\n' || c == '\r' || c == '\t') {
        out[1] = c == '\n' ? 'n' : c == '\r' ? 'r' : 't';
        return 2;
    }
    if (c == CHARACTER_INVALID) {
        c = byte;
    } else if (character_is_printable(c)) {
        return 0;
    }
    size_t digits = c < 0x100 ? 2 : c < 0x10000 ? 4 : 8;
    out[1] = digits == 2 ? 'x' : digits == 4 ? 'u' : 'U';
    return 2 + put_hex(out + 2, c, digits);
}

static bool repr_text(template_machine *m, template_writer *writer, template_text text) {
    bool has_single = template_has_byte(text.bytes, text.length, '\'');
    bool has_double = template_has_byte(text.bytes, text.length, '"');
    char quote = has_single && !has_double ? '"' : '\'';
    if (!template_write(m, writer, &quote, 1)) {
        return false;
    }
    size_t plain = 0; /* start of what was not written yet */
    for (size_t i = 0; i < text.length;) {
        uint32_t c;
        char escape[12];
        size_t used = character_read(text.bytes + i, text.length - i, &c);
        size_t n = repr_escape(c, quote, (unsigned char)text.bytes[i], escape);
        if (n > 0) {
            if (!template_write(m, writer, text.bytes + plain, i - plain) ||
                !template_write(m, writer, escape, n)) {
                return false;
            }
            plain = i + used;
        }
        i += used;
    }
    return template_write(m, writer, text.bytes + plain, text.length - plain) &&
           template_write(m, writer, &quote, 1);
}

static bool print_number(template_machine *m, template_writer *writer,
                         const template_value *value) {
    char text[NUMBER_REPR_BYTES];
    size_t length = value->type == TEMPLATE_FLOAT ? template_float_repr(value->as.number, text)
                                                  : number_from_int64(value->as.integer, text);
    return template_write(m, writer, text, length);
}

static bool repr_items(template_machine *m, template_writer *writer, const template_value *value,
                       const char *open, const char *close) {
    const template_items *items = &value->as.items;
    if (!template_write_string(m, writer, open)) {
        return false;
    }
    for (size_t i = 0; i < items->count; i++) {
        if ((i > 0 && !template_write_string(m, writer, ", ")) ||
            !template_repr(m, writer, &items->first[i])) {
            return false;
        }
    }
    if (value->type == TEMPLATE_TUPLE && items->count == 1 &&
        !template_write_string(m, writer, ",")) {
        return false;
    }
    return template_write_string(m, writer, close);
}

static bool repr_dict(template_machine *m, template_writer *writer, const template_dict *dict) {
    if (!template_write_string(m, writer, "{")) {
        return false;
    }
    for (size_t i = 0; i < dict->count; i++) {
        if ((i > 0 && !template_write_string(m, writer, ", ")) ||
            !template_repr(m, writer, &dict->entries[i].key) ||
            !template_write_string(m, writer, ": ") ||
            !template_repr(m, writer, &dict->entries[i].value)) {
            return false;
        }
    }
    return template_write_string(m, writer, "}");
}

static bool repr_view(template_machine *m, template_writer *writer, const template_value *view) {
    static const char *const names[] = {[VIEW_KEYS] = "dict_keys([",
                                        [VIEW_VALUES] = "dict_values([",
                                        [VIEW_ITEMS] = "dict_items(["};
    const template_dict *dict = view->as.dict;
    if (!template_write_string(m, writer, names[view->detail])) {
        return false;
    }
    for (size_t i = 0; i < dict->count; i++) {
        const template_entry *entry = &dict->entries[i];
        template_value item = view->detail == VIEW_KEYS ? entry->key : entry->value;
        if ((view->detail == VIEW_ITEMS && !template_pair(m, &entry->key, &entry->value, &item)) ||
            (i > 0 && !template_write_string(m, writer, ", ")) ||
            !template_repr(m, writer, &item)) {
            return false;
        }
    }
    return template_write_string(m, writer, "])");
}

static bool repr_range(template_machine *m, template_writer *writer, const template_range *range) {
    char text[NUMBER_MAX_BYTES];
    if (!template_write_string(m, writer, "range(") ||
        !template_write(m, writer, text, number_from_int64(range->start, text)) ||
        !template_write_string(m, writer, ", ") ||
        !template_write(m, writer, text, number_from_int64(range->stop, text))) {
        return false;
    }
    if (range->step != 1 &&
        (!template_write_string(m, writer, ", ") ||
         !template_write(m, writer, text, number_from_int64(range->step, text)))) {
        return false;
    }
    return template_write_string(m, writer, ")");
}

static bool repr_macro(template_machine *m, template_writer *writer, const template_macro *macro) {
    return template_write_string(m, writer, "<Macro ") && repr_text(m, writer, macro->code->name) &&
           template_write_string(m, writer, ">");
}

static bool repr_string(template_machine *m, template_writer *writer, const template_value *value) {
    if (value->detail != STRING_SAFE) {
        return repr_text(m, writer, value->as.text);
    }
    return template_write_string(m, writer, "Markup(") && repr_text(m, writer, value->as.text) &&
           template_write_string(m, writer, ")");
}

static bool repr_value(template_machine *m, template_writer *writer, const template_value *value) {
    switch ((template_type)value->type) {
    case TEMPLATE_UNDEFINED:
        return template_write_string(m, writer, "Undefined");
    case TEMPLATE_NONE:
        return template_write_string(m, writer, "None");
    case TEMPLATE_BOOL:
        return template_write_string(m, writer, value->as.boolean ? "True" : "False");
    case TEMPLATE_INT:
    case TEMPLATE_FLOAT:
        return print_number(m, writer, value);
    case TEMPLATE_STRING:
        return repr_string(m, writer, value);
    case TEMPLATE_LIST:
        return repr_items(m, writer, value, "[", "]");
    case TEMPLATE_TUPLE:
        return repr_items(m, writer, value, "(", ")");
    case TEMPLATE_DICT:
        return repr_dict(m, writer, value->as.dict);
    case TEMPLATE_RANGE:
        return repr_range(m, writer, value->as.object);
    case TEMPLATE_VIEW:
        return repr_view(m, writer, value);
    case TEMPLATE_NAMESPACE:
        return template_write_string(m, writer, "<Namespace ") &&
               repr_dict(m, writer, value->as.dict) && template_write_string(m, writer, ">");
    case TEMPLATE_MACRO:
        return repr_macro(m, writer, value->as.object);
    default:
        template_fail(m, TARS_UNSUPPORTED, "the template prints a %s, whose text has no fixed form",
                      template_type_name(value));
        error_hint(m->err, "a key may have the name of a method: write value['items'] instead of "
                           "value.items; a lazy sequence needs the filter list");
        return false;
    }
}

bool template_repr(template_machine *m, template_writer *writer, const template_value *value) {
    if (!template_enter(m)) {
        return false;
    }
    bool done = repr_value(m, writer, value);
    template_leave(m);
    return done;
}

bool template_print(template_machine *m, template_writer *writer, const template_value *value) {
    if (value->type == TEMPLATE_STRING) {
        return template_write_text(m, writer, value->as.text);
    }
    return template_is_undefined(value) || template_repr(m, writer, value);
}

bool template_to_string(template_machine *m, const template_value *value, template_value *out) {
    if (value->type == TEMPLATE_STRING) {
        *out = *value;
        return true;
    }
    template_writer writer;
    template_writer_capture(&writer);
    if (!template_print(m, &writer, value)) {
        return false;
    }
    *out = template_writer_value(&writer);
    return true;
}

bool template_to_plain(template_machine *m, const template_value *value, template_value *out) {
    bool done = template_to_string(m, value, out);
    if (done) {
        out->detail = STRING_PLAIN;
    }
    return done;
}

/* ---- JSON ---------------------------------------------------------------------------------- */

static size_t put_json_escape(uint32_t c, bool ensure_ascii, char *out) {
    static const char letters[] = "\"\\\n\r\t\f\b";
    static const char escapes[] = "\"\\nrtfb";
    out[0] = '\\';
    if (c < 0x80) {
        size_t found = template_find_byte(letters, sizeof letters - 1, (char)c);
        if (found < sizeof letters - 1) {
            out[1] = escapes[found];
            return 2;
        }
        if (c >= 0x20) {
            return 0;
        }
    } else if (!ensure_ascii) {
        return 0;
    }
    out[1] = 'u';
    if (c < 0x10000) {
        put_hex(out + 2, c, 4);
        return 6;
    }
    if (c == CHARACTER_INVALID) {
        put_hex(out + 2, 0xFFFD, 4);
        return 6;
    }
    put_hex(out + 2, 0xD800 + ((c - 0x10000) >> 10), 4);
    out[6] = '\\';
    out[7] = 'u';
    put_hex(out + 8, 0xDC00 + ((c - 0x10000) & 0x3FFu), 4);
    return 12;
}

static bool put_json_text(template_machine *m, template_writer *writer, template_text text,
                          bool ensure_ascii) {
    if (!template_write_string(m, writer, "\"")) {
        return false;
    }
    size_t plain = 0; /* start of what was not written yet */
    for (size_t i = 0; i < text.length;) {
        uint32_t c;
        char escape[12];
        size_t used = character_read(text.bytes + i, text.length - i, &c);
        size_t n = put_json_escape(c, ensure_ascii, escape);
        if (n > 0) {
            if (!template_write(m, writer, text.bytes + plain, i - plain) ||
                !template_write(m, writer, escape, n)) {
                return false;
            }
            plain = i + used;
        }
        i += used;
    }
    return template_write(m, writer, text.bytes + plain, text.length - plain) &&
           template_write_string(m, writer, "\"");
}

typedef struct json_printer {
    template_machine *m;
    template_writer *writer;
    const template_json_options *options;
    size_t level;
} json_printer;

static bool put_json_value_text(json_printer *p, const template_value *value);

static bool put_json_line_break(json_printer *p) {
    if (!p->options->has_indent) {
        return true;
    }
    if (!template_write_string(p->m, p->writer, "\n")) {
        return false;
    }
    for (size_t i = 0; i < p->level; i++) {
        if (!template_write_text(p->m, p->writer, p->options->indent)) {
            return false;
        }
    }
    return true;
}

static bool put_json_before_item(json_printer *p, size_t index) {
    return (index == 0 || template_write_text(p->m, p->writer, p->options->item_separator)) &&
           put_json_line_break(p);
}

static bool put_json_items(json_printer *p, const template_items *items) {
    if (items->count == 0) {
        return template_write_string(p->m, p->writer, "[]");
    }
    if (!template_write_string(p->m, p->writer, "[")) {
        return false;
    }
    p->level++;
    for (size_t i = 0; i < items->count; i++) {
        if (!put_json_before_item(p, i) || !put_json_value_text(p, &items->first[i])) {
            return false;
        }
    }
    p->level--;
    return put_json_line_break(p) && template_write_string(p->m, p->writer, "]");
}

static bool put_json_simple(json_printer *p, const template_value *value) {
    const char *text;
    switch ((template_type)value->type) {
    case TEMPLATE_NONE:
        return template_write_string(p->m, p->writer, "null");
    case TEMPLATE_BOOL:
        return template_write_string(p->m, p->writer, value->as.boolean ? "true" : "false");
    case TEMPLATE_FLOAT:
        if (!template_is_finite(value->as.number)) {
            text = value->as.number != value->as.number ? "NaN"
                   : value->as.number < 0.0             ? "-Infinity"
                                                        : "Infinity";
            return template_write_string(p->m, p->writer, text);
        }
        return print_number(p->m, p->writer, value);
    case TEMPLATE_INT:
        return print_number(p->m, p->writer, value);
    default:
        return template_fail(p->m, TARS_MALFORMED, "a value of type %s has no JSON form",
                             template_type_name(value));
    }
}

static bool put_json_key(json_printer *p, const template_value *key) {
    if (key->type == TEMPLATE_STRING) {
        return put_json_text(p->m, p->writer, key->as.text, p->options->ensure_ascii);
    }
    return template_write_string(p->m, p->writer, "\"") && put_json_simple(p, key) &&
           template_write_string(p->m, p->writer, "\"");
}

/* The order in which the entries are written; NULL in *out: as they stand. */
static bool put_json_order(json_printer *p, const template_dict *dict, size_t **out) {
    *out = NULL;
    if (!p->options->sort_keys) {
        return true;
    }
    template_value *keys = TEMPLATE_NEW(p->m, template_value, dict->count);
    size_t *order = keys ? TEMPLATE_NEW(p->m, size_t, dict->count) : NULL;
    if (!order) {
        return false;
    }
    for (size_t i = 0; i < dict->count; i++) {
        keys[i] = dict->entries[i].key;
    }
    *out = order;
    return template_sort(p->m, keys, dict->count, false, order);
}

static bool put_json_dict(json_printer *p, const template_dict *dict) {
    size_t *order;
    if (dict->count == 0) {
        return template_write_string(p->m, p->writer, "{}");
    }
    if (!template_write_string(p->m, p->writer, "{") || !put_json_order(p, dict, &order)) {
        return false;
    }
    p->level++;
    for (size_t i = 0; i < dict->count; i++) {
        const template_entry *entry = &dict->entries[order ? order[i] : i];
        if (!put_json_before_item(p, i) || !put_json_key(p, &entry->key) ||
            !template_write_text(p->m, p->writer, p->options->key_separator) ||
            !put_json_value_text(p, &entry->value)) {
            return false;
        }
    }
    p->level--;
    return put_json_line_break(p) && template_write_string(p->m, p->writer, "}");
}

static bool put_json_value_text(json_printer *p, const template_value *value) {
    bool done;
    if (!template_enter(p->m)) {
        return false;
    }
    if (value->type == TEMPLATE_STRING) {
        done = put_json_text(p->m, p->writer, value->as.text, p->options->ensure_ascii);
    } else if (template_is_items(value)) {
        done = put_json_items(p, &value->as.items);
    } else if (value->type == TEMPLATE_DICT) {
        done = put_json_dict(p, value->as.dict);
    } else {
        done = put_json_simple(p, value);
    }
    template_leave(p->m);
    return done;
}

bool template_json(template_machine *m, template_writer *writer, const template_value *value,
                   const template_json_options *options) {
    json_printer printer = {.m = m, .writer = writer, .options = options};
    return put_json_value_text(&printer, value);
}
