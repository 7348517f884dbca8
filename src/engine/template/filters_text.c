/* Filters that make a text of a value. */
#include "engine/template/builtin.h"
#include "engine/template/character.h"
#include "engine/template/format.h"
#include "engine/template/operate.h"
#include "engine/template/print.h"
#include "engine/template/sequence.h"
#include "engine/template/string.h"

static bool convert(template_machine *m, template_call *call, template_case to,
                    template_value *out) {
    template_value text;
    return template_to_string(m, call->self, &text) && template_convert_case(m, &text, to, out);
}

static bool filter_upper(template_machine *m, template_call *call, template_value *out) {
    return convert(m, call, CASE_UPPER, out);
}

static bool filter_lower(template_machine *m, template_call *call, template_value *out) {
    return convert(m, call, CASE_LOWER, out);
}

static bool filter_title(template_machine *m, template_call *call, template_value *out) {
    if (!convert(m, call, CASE_TITLE_FILTER, out)) {
        return false;
    }
    out->detail = STRING_PLAIN;
    return true;
}

static bool filter_capitalize(template_machine *m, template_call *call, template_value *out) {
    return convert(m, call, CASE_CAPITALIZE, out);
}

static bool filter_trim(template_machine *m, template_call *call, template_value *out) {
    const template_value *chars = &call->bound[0];
    template_value text;
    template_text set;
    if (!template_to_string(m, call->self, &text)) {
        return false;
    }
    if (template_is_missing(chars) || chars->type == TEMPLATE_NONE) {
        return template_strip(m, &text, NULL, STRIP_BOTH, out);
    }
    return template_take_text(m, chars, NULL, &set) &&
           template_strip(m, &text, &set, STRIP_BOTH, out);
}

static bool filter_string(template_machine *m, template_call *call, template_value *out) {
    return template_to_string(m, call->self, out);
}

static bool filter_safe(template_machine *m, template_call *call, template_value *out) {
    if (!template_to_string(m, call->self, out)) {
        return false;
    }
    out->detail = STRING_SAFE;
    return true;
}

static bool filter_escape(template_machine *m, template_call *call, template_value *out) {
    template_value text;
    return template_to_string(m, call->self, &text) && template_escape(m, &text, out);
}

static bool filter_forceescape(template_machine *m, template_call *call, template_value *out) {
    template_value text;
    return template_to_plain(m, call->self, &text) && template_escape(m, &text, out);
}

static bool filter_replace(template_machine *m, template_call *call, template_value *out) {
    template_value text;
    template_value old;
    template_value with;
    int64_t limit = -1;
    return template_to_plain(m, call->self, &text) && template_to_plain(m, &call->bound[0], &old) &&
           template_to_plain(m, &call->bound[1], &with) &&
           (call->bound[2].type == TEMPLATE_NONE ||
            template_take_int(m, &call->bound[2], -1, &limit)) &&
           template_replace(m, text.as.text, old.as.text, with.as.text, limit, out);
}

/* The keyword arguments as a dict. */
static bool keyword_dict(template_machine *m, const template_arguments *arguments,
                         template_value *out) {
    template_dict *dict = template_dict_make(m, arguments->keyword_count);
    for (size_t i = 0; dict && i < arguments->keyword_count; i++) {
        template_text name = arguments->keywords[i].name;
        template_value key = template_string(name.bytes, name.length);
        if (!template_dict_store(m, dict, &key, &arguments->keywords[i].value)) {
            return false;
        }
    }
    *out = (template_value){.type = TEMPLATE_DICT, .as.dict = dict};
    return dict != NULL;
}

static bool filter_format(template_machine *m, template_call *call, template_value *out) {
    const template_arguments *arguments = call->arguments;
    template_value text;
    template_value values =
        template_sequence(TEMPLATE_TUPLE, arguments->positional, arguments->count);
    if (arguments->keyword_count > 0) {
        if (arguments->count > 0) {
            return template_fail(m, TARS_MALFORMED,
                                 "format takes positional or keyword arguments, not both");
        }
        if (!keyword_dict(m, arguments, &values)) {
            return false;
        }
    }
    return template_to_string(m, call->self, &text) &&
           template_format_percent(m, &text, &values, out);
}

/* ---- indent -------------------------------------------------------------------------------- */

typedef struct indenter {
    template_machine *m;
    template_writer *writer;
    template_text indention;
    bool blank; /* empty lines are indented too */
    size_t n_lines;
} indenter;

static bool indent_line(indenter *in, const char *bytes, size_t length) {
    bool is_first = in->n_lines++ == 0;
    if (!is_first && !template_write_string(in->m, in->writer, "\n")) {
        return false;
    }
    if (!is_first && (in->blank || length > 0) &&
        !template_write_text(in->m, in->writer, in->indention)) {
        return false;
    }
    return template_charge(in->m, 1) && template_write(in->m, in->writer, bytes, length);
}

static bool indent_lines(indenter *in, template_text text) {
    size_t start = 0;
    for (size_t i = 0; i < text.length;) {
        uint32_t c;
        size_t end = i;
        i += character_read(text.bytes + i, text.length - i, &c);
        if (character_is_line_end(c)) {
            i += c == '\r' && i < text.length && text.bytes[i] == '\n' ? 1 : 0;
            if (!indent_line(in, text.bytes + start, end - start)) {
                return false;
            }
            start = i;
        }
    }
    /* the filter adds a line end before it splits, so what is left is a line even if empty */
    return indent_line(in, text.bytes + start, text.length - start) &&
           template_charge(in->m, text.length / 8);
}

static bool filter_indent(template_machine *m, template_call *call, template_value *out) {
    const template_value *width = &call->bound[0];
    template_value blank = template_string(" ", 1);
    template_value indention = *width;
    template_text text;
    template_writer writer;
    if (!template_take_text(m, call->self, NULL, &text)) {
        return false;
    }
    if (width->type != TEMPLATE_STRING) {
        int64_t blanks;
        if (!template_take_int(m, width, 4, &blanks) ||
            !template_repeat_text(m, &blank, blanks, &indention)) {
            return false;
        }
    }
    template_writer_capture(&writer);
    indenter in = {.m = m,
                   .writer = &writer,
                   .indention = indention.as.text,
                   .blank = template_take_bool(&call->bound[2], false)};
    if (template_take_bool(&call->bound[1], false) &&
        !template_write_text(m, &writer, indention.as.text)) {
        return false;
    }
    if (!indent_lines(&in, text)) {
        return false;
    }
    *out = template_writer_value(&writer);
    out->detail = call->self->detail;
    return true;
}

/* ---- others -------------------------------------------------------------------------------- */

static bool filter_truncate(template_machine *m, template_call *call, template_value *out) {
    template_text end;
    int64_t length;
    int64_t leeway = 5;
    size_t n_text;
    bool kills_words = template_take_bool(&call->bound[1], false);
    if (!template_take_int(m, &call->bound[0], 255, &length) ||
        !template_take_text(m, &call->bound[2], "...", &end) ||
        (call->bound[3].type != TEMPLATE_NONE &&
         !template_take_int(m, &call->bound[3], 5, &leeway)) ||
        !template_length(m, call->self, &n_text)) {
        return false;
    }
    int64_t n_end = (int64_t)character_count(end.bytes, end.length);
    if (length < n_end || leeway < 0) {
        return template_fail(m, TARS_MALFORMED, "the length of truncate is too small");
    }
    *out = *call->self;
    if ((int64_t)n_text <= leeway || (int64_t)n_text - leeway <= length) {
        return true;
    }
    template_text text;
    if (!template_take_text(m, call->self, NULL, &text)) {
        return false;
    }
    template_value kept = *call->self;
    template_value rest = template_string(end.bytes, end.length);
    rest.detail = call->bound[2].type == TEMPLATE_STRING ? call->bound[2].detail : STRING_PLAIN;
    kept.as.text.length = template_offset(text, (size_t)(length - n_end));
    if (!kills_words) {
        size_t place;
        if (!template_find_last_text(m, kept.as.text, template_text_of(" "), &place)) {
            return false;
        }
        kept.as.text.length = place == TEMPLATE_NOT_FOUND ? kept.as.text.length : place;
    }
    return template_join_texts(m, &kept, &rest, out);
}

static bool filter_wordcount(template_machine *m, template_call *call, template_value *out) {
    template_value text;
    int64_t count = 0;
    bool in_word = false;
    if (!template_to_string(m, call->self, &text)) {
        return false;
    }
    for (size_t i = 0; i < text.as.text.length;) {
        uint32_t c;
        i += character_read(text.as.text.bytes + i, text.as.text.length - i, &c);
        bool is_word = c == '_' || character_is_letter(c) || character_is_number(c);
        count += is_word && !in_word ? 1 : 0;
        in_word = is_word;
    }
    *out = template_int(count);
    return template_charge(m, text.as.text.length / 8);
}

static bool filter_center(template_machine *m, template_call *call, template_value *out) {
    template_value text;
    template_value width = template_is_missing(&call->bound[0]) ? template_int(80) : call->bound[0];
    template_arguments arguments = {.positional = &width, .count = 1};
    bool unsafe;
    if (!template_to_string(m, call->self, &text)) {
        return false;
    }
    const template_builtin_row *row =
        template_find_method(&text, template_text_of("center"), &unsafe);
    return template_call_row(m, row, &text, &arguments, out);
}

static bool filter_urlencode(template_machine *m, template_call *call, template_value *out) {
    static const char digits[] = "0123456789ABCDEF";
    template_value text;
    template_writer writer;
    if (call->self->type != TEMPLATE_STRING && !template_is_undefined(call->self) &&
        template_is_iterable(call->self)) {
        return template_fail(m, TARS_UNSUPPORTED, "urlencode of a %s is not supported",
                             template_type_name(call->self));
    }
    if (!template_to_plain(m, call->self, &text)) {
        return false;
    }
    template_writer_capture(&writer);
    for (size_t i = 0; i < text.as.text.length; i++) {
        unsigned char c = (unsigned char)text.as.text.bytes[i];
        bool plain = (c < 0x80 && (character_is_letter(c) || character_is_decimal(c))) ||
                     template_is_one_of((char)c, "_.-~/");
        char bytes[3] = {plain ? (char)c : '%', digits[c >> 4], digits[c & 0xFu]};
        if (!template_write(m, &writer, bytes, plain ? 1 : 3)) {
            return false;
        }
    }
    *out = template_writer_value(&writer);
    return template_charge(m, text.as.text.length / 8);
}

/* ---- tojson -------------------------------------------------------------------------------- */

static bool take_separators(template_machine *m, const template_value *value,
                            template_json_options *options) {
    if (template_is_missing(value) || value->type == TEMPLATE_NONE) {
        options->item_separator = template_text_of(options->has_indent ? "," : ", ");
        options->key_separator = template_text_of(": ");
        return true;
    }
    if (!template_is_items(value) || value->as.items.count != 2) {
        return template_fail(m, TARS_MALFORMED, "the separators of tojson must be two texts");
    }
    return template_take_text(m, &value->as.items.first[0], NULL, &options->item_separator) &&
           template_take_text(m, &value->as.items.first[1], NULL, &options->key_separator);
}

static bool take_indent(template_machine *m, const template_value *value,
                        template_json_options *options) {
    template_value blank = template_string(" ", 1);
    template_value indent = *value;
    if (template_is_missing(value) || value->type == TEMPLATE_NONE) {
        return true;
    }
    options->has_indent = true;
    if (value->type != TEMPLATE_STRING) {
        int64_t width;
        if (!template_take_int(m, value, 0, &width) ||
            !template_repeat_text(m, &blank, width, &indent)) {
            return false;
        }
    }
    options->indent = indent.as.text;
    return true;
}

static bool filter_tojson(template_machine *m, template_call *call, template_value *out) {
    template_json_options options = {
        .ensure_ascii = template_take_bool(&call->bound[0], false),
        .sort_keys = template_take_bool(&call->bound[3], false),
    };
    template_writer writer;
    template_writer_capture(&writer);
    if (!take_indent(m, &call->bound[1], &options) ||
        !take_separators(m, &call->bound[2], &options) ||
        !template_json(m, &writer, call->self, &options)) {
        return false;
    }
    *out = template_writer_value(&writer);
    return true;
}

static const template_builtin_row text_filters[] = {
    {"tojson", filter_tojson, "ensure_ascii indent separators sort_keys", 0},
    {"trim", filter_trim, "chars", 0},
    {"string", filter_string, "", 0},
    {"safe", filter_safe, "", 0},
    {"upper", filter_upper, "", 0},
    {"lower", filter_lower, "", 0},
    {"title", filter_title, "", 0},
    {"capitalize", filter_capitalize, "", 0},
    {"replace", filter_replace, "old new count", 2},
    {"format", filter_format, "*", 0},
    {"indent", filter_indent, "width first blank", 0},
    {"escape", filter_escape, "", 0},
    {"e", filter_escape, "", 0},
    {"forceescape", filter_forceescape, "", 0},
    {"truncate", filter_truncate, "length killwords end leeway", 0},
    {"wordcount", filter_wordcount, "", 0},
    {"center", filter_center, "width", 0},
    {"urlencode", filter_urlencode, "", 0},
    {"filesizeformat", template_refuse, "*", 0},
    {"pprint", template_refuse, "*", 0},
    {"striptags", template_refuse, "*", 0},
    {"urlize", template_refuse, "*", 0},
    {"wordwrap", template_refuse, "*", 0},
    {"xmlattr", template_refuse, "*", 0},
};

const template_builtin_table template_text_filters = {text_filters,
                                                      sizeof text_filters / sizeof text_filters[0]};
