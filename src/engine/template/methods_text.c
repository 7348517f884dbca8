/* Methods of texts. */
#include "engine/template/builtin.h"
#include "engine/template/character.h"
#include "engine/template/format.h"
#include "engine/template/operate.h"
#include "engine/template/print.h"
#include "engine/template/sequence.h"
#include "engine/template/string.h"

/* A piece of the text that the method belongs to: it keeps the mark `safe`. */
static template_value piece(const template_call *call, const char *bytes, size_t length) {
    template_value value = template_string(bytes, length);
    value.detail = call->self->detail;
    return value;
}

/* ---- letter case --------------------------------------------------------------------------- */

static bool call_upper(template_machine *m, template_call *call, template_value *out) {
    return template_convert_case(m, call->self, CASE_UPPER, out);
}

static bool call_lower(template_machine *m, template_call *call, template_value *out) {
    return template_convert_case(m, call->self, CASE_LOWER, out);
}

static bool call_title(template_machine *m, template_call *call, template_value *out) {
    return template_convert_case(m, call->self, CASE_TITLE, out);
}

static bool call_capitalize(template_machine *m, template_call *call, template_value *out) {
    return template_convert_case(m, call->self, CASE_CAPITALIZE, out);
}

static bool call_swapcase(template_machine *m, template_call *call, template_value *out) {
    return template_convert_case(m, call->self, CASE_SWAP, out);
}

/* ---- stripping ----------------------------------------------------------------------------- */

static bool strip(template_machine *m, template_call *call, unsigned sides, template_value *out) {
    const template_value *chars = &call->bound[0];
    template_text set;
    if (template_is_missing(chars) || chars->type == TEMPLATE_NONE) {
        return template_strip(m, call->self, NULL, sides, out);
    }
    return template_take_text(m, chars, NULL, &set) &&
           template_strip(m, call->self, &set, sides, out);
}

static bool call_strip(template_machine *m, template_call *call, template_value *out) {
    return strip(m, call, STRIP_BOTH, out);
}

static bool call_lstrip(template_machine *m, template_call *call, template_value *out) {
    return strip(m, call, STRIP_LEFT, out);
}

static bool call_rstrip(template_machine *m, template_call *call, template_value *out) {
    return strip(m, call, STRIP_RIGHT, out);
}

static bool starts_with(template_text text, template_text prefix) {
    return prefix.length <= text.length &&
           template_text_equal((template_text){text.bytes, prefix.length}, prefix);
}

static bool ends_with(template_text text, template_text suffix) {
    return suffix.length <= text.length &&
           template_text_equal(
               (template_text){text.bytes + (text.length - suffix.length), suffix.length}, suffix);
}

static bool call_removeprefix(template_machine *m, template_call *call, template_value *out) {
    template_text text = call->self->as.text;
    template_text prefix;
    if (!template_take_text(m, &call->bound[0], NULL, &prefix)) {
        return false;
    }
    size_t cut = starts_with(text, prefix) ? prefix.length : 0;
    *out = piece(call, text.bytes + cut, text.length - cut);
    return true;
}

static bool call_removesuffix(template_machine *m, template_call *call, template_value *out) {
    template_text text = call->self->as.text;
    template_text suffix;
    if (!template_take_text(m, &call->bound[0], NULL, &suffix)) {
        return false;
    }
    *out = piece(call, text.bytes, text.length - (ends_with(text, suffix) ? suffix.length : 0));
    return true;
}

/* ---- splitting ----------------------------------------------------------------------------- */

static bool add_piece(template_machine *m, template_call *call, template_builder *builder,
                      const char *bytes, size_t length) {
    template_value value = piece(call, bytes, length);
    return template_charge(m, 1) && template_build(m, builder, &value);
}

/* First place from i on whose character is not white space (or, with space false, is). */
static size_t skip_class(template_text text, size_t i, bool space) {
    while (i < text.length) {
        uint32_t c;
        size_t used = character_read(text.bytes + i, text.length - i, &c);
        if (character_is_space(c) != space) {
            break;
        }
        i += used;
    }
    return i;
}

static size_t skip_class_back(template_text text, size_t i, bool space) {
    while (i > 0) {
        uint32_t c;
        size_t used = character_read_back(text.bytes, i, &c);
        if (character_is_space(c) != space) {
            break;
        }
        i -= used;
    }
    return i;
}

/* split() on runs of white space, at most `limit` times (negative: no limit). */
static bool split_space(template_machine *m, template_call *call, int64_t limit,
                        template_builder *builder) {
    template_text text = call->self->as.text;
    size_t i = skip_class(text, 0, true);
    while (i < text.length) {
        /* Python strips no white space from the end of the last piece when the limit is reached */
        size_t end = limit == 0 ? text.length : skip_class(text, i, false);
        if (!add_piece(m, call, builder, text.bytes + i, end - i)) {
            return false;
        }
        i = skip_class(text, end, true);
        limit -= limit > 0 ? 1 : 0;
    }
    return template_charge(m, text.length / 8);
}

static bool split_separator(template_machine *m, template_call *call, template_text separator,
                            int64_t limit, template_builder *builder) {
    template_text rest = call->self->as.text;
    while (limit != 0) {
        size_t place;
        if (!template_find_text(m, rest, separator, &place)) {
            return false;
        }
        if (place == TEMPLATE_NOT_FOUND) {
            break;
        }
        if (!add_piece(m, call, builder, rest.bytes, place)) {
            return false;
        }
        rest.bytes += place + separator.length;
        rest.length -= place + separator.length;
        limit -= limit > 0 ? 1 : 0;
    }
    return add_piece(m, call, builder, rest.bytes, rest.length);
}

static void reverse_items(template_builder *builder) {
    for (size_t i = 0; i + 1 < builder->count - i; i++) {
        template_value other = builder->items[builder->count - 1 - i];
        builder->items[builder->count - 1 - i] = builder->items[i];
        builder->items[i] = other;
    }
}

/* As split_space and split_separator from the end; the pieces come last first. */
static bool split_space_back(template_machine *m, template_call *call, int64_t limit,
                             template_builder *builder) {
    template_text text = call->self->as.text;
    size_t end = skip_class_back(text, text.length, true);
    while (end > 0) {
        size_t start = limit == 0 ? 0 : skip_class_back(text, end, false);
        if (!add_piece(m, call, builder, text.bytes + start, end - start)) {
            return false;
        }
        end = skip_class_back(text, start, true);
        limit -= limit > 0 ? 1 : 0;
    }
    return template_charge(m, text.length / 8);
}

static bool split_separator_back(template_machine *m, template_call *call, template_text separator,
                                 int64_t limit, template_builder *builder) {
    template_text rest = call->self->as.text;
    while (limit != 0) {
        size_t place;
        if (!template_find_last_text(m, rest, separator, &place)) {
            return false;
        }
        if (place == TEMPLATE_NOT_FOUND) {
            break;
        }
        size_t start = place + separator.length;
        if (!add_piece(m, call, builder, rest.bytes + start, rest.length - start)) {
            return false;
        }
        rest.length = place;
        limit -= limit > 0 ? 1 : 0;
    }
    return add_piece(m, call, builder, rest.bytes, rest.length);
}

static bool split(template_machine *m, template_call *call, bool from_end, template_value *out) {
    const template_value *by = &call->bound[0];
    template_builder builder = {0};
    template_text separator;
    int64_t limit;
    bool done;
    if (!template_take_int(m, &call->bound[1], -1, &limit)) {
        return false;
    }
    if (template_is_missing(by) || by->type == TEMPLATE_NONE) {
        done = from_end ? split_space_back(m, call, limit, &builder)
                        : split_space(m, call, limit, &builder);
    } else {
        if (!template_take_text(m, by, NULL, &separator)) {
            return false;
        }
        if (separator.length == 0) {
            return template_fail(m, TARS_MALFORMED, "split with an empty separator");
        }
        done = from_end ? split_separator_back(m, call, separator, limit, &builder)
                        : split_separator(m, call, separator, limit, &builder);
    }
    if (done && from_end && builder.count > 0) {
        reverse_items(&builder);
    }
    *out = template_built(&builder);
    return done;
}

static bool call_split(template_machine *m, template_call *call, template_value *out) {
    return split(m, call, false, out);
}

static bool call_rsplit(template_machine *m, template_call *call, template_value *out) {
    return split(m, call, true, out);
}

static bool call_splitlines(template_machine *m, template_call *call, template_value *out) {
    bool keeps_ends = template_take_bool(&call->bound[0], false);
    template_text text = call->self->as.text;
    template_builder builder = {0};
    size_t start = 0;
    for (size_t i = 0; i < text.length;) {
        uint32_t c;
        size_t end = i;
        i += character_read(text.bytes + i, text.length - i, &c);
        if (character_is_line_end(c)) {
            i += c == '\r' && i < text.length && text.bytes[i] == '\n' ? 1 : 0;
            if (!add_piece(m, call, &builder, text.bytes + start, (keeps_ends ? i : end) - start)) {
                return false;
            }
            start = i;
        }
    }
    if (start < text.length &&
        !add_piece(m, call, &builder, text.bytes + start, text.length - start)) {
        return false;
    }
    *out = template_built(&builder);
    return template_charge(m, text.length / 8);
}

static bool partition(template_machine *m, template_call *call, bool from_end,
                      template_value *out) {
    template_text text = call->self->as.text;
    template_text separator;
    size_t place;
    template_value *items = TEMPLATE_NEW(m, template_value, 3);
    if (!items || !template_take_text(m, &call->bound[0], NULL, &separator)) {
        return false;
    }
    if (separator.length == 0) {
        return template_fail(m, TARS_MALFORMED, "partition with an empty separator");
    }
    if (!(from_end ? template_find_last_text(m, text, separator, &place)
                   : template_find_text(m, text, separator, &place))) {
        return false;
    }
    if (place == TEMPLATE_NOT_FOUND) {
        items[0] = items[1] = items[2] = piece(call, "", 0);
        items[from_end ? 2 : 0] = piece(call, text.bytes, text.length);
    } else {
        size_t end = place + separator.length;
        items[0] = piece(call, text.bytes, place);
        items[1] = piece(call, separator.bytes, separator.length);
        items[2] = piece(call, text.bytes + end, text.length - end);
    }
    *out = template_sequence(TEMPLATE_TUPLE, items, 3);
    return true;
}

static bool call_partition(template_machine *m, template_call *call, template_value *out) {
    return partition(m, call, false, out);
}

static bool call_rpartition(template_machine *m, template_call *call, template_value *out) {
    return partition(m, call, true, out);
}

/* ---- searching ----------------------------------------------------------------------------- */

/* The part of the text between the bounds start and end; *offset: where it starts, in characters.
 * *valid false: start lies after the end. */
static bool take_part(template_machine *m, template_call *call, template_text *part,
                      int64_t *offset, bool *valid) {
    template_text text = call->self->as.text;
    const template_value *bounds = &call->bound[1];
    *part = text;
    *offset = 0;
    *valid = true;
    if (template_is_missing(&bounds[0]) && template_is_missing(&bounds[1])) {
        return true;
    }
    int64_t length = (int64_t)character_count(text.bytes, text.length);
    int64_t cut[2] = {0, length};
    for (size_t i = 0; i < 2; i++) {
        if (bounds[i].type != TEMPLATE_NONE && !template_take_int(m, &bounds[i], cut[i], &cut[i])) {
            return false;
        }
        if (cut[i] < 0) {
            cut[i] = cut[i] < -length ? 0 : cut[i] + length;
        }
    }
    cut[1] = cut[1] > length ? length : cut[1];
    *valid = cut[0] <= cut[1];
    if (*valid) {
        size_t start = template_offset(text, (size_t)cut[0]);
        *part = (template_text){text.bytes + start, text.length - start};
        part->length = template_offset(*part, (size_t)(cut[1] - cut[0]));
        *offset = cut[0];
    }
    return template_charge(m, template_bytes_price(text.length));
}

/* The character index of the needle, or -1. */
static bool find_index(template_machine *m, template_call *call, bool from_end, int64_t *out) {
    template_text needle;
    template_text part;
    int64_t offset;
    bool valid;
    size_t place = TEMPLATE_NOT_FOUND;
    if (!template_take_text(m, &call->bound[0], NULL, &needle) ||
        !take_part(m, call, &part, &offset, &valid)) {
        return false;
    }
    if (valid && !(from_end ? template_find_last_text(m, part, needle, &place)
                            : template_find_text(m, part, needle, &place))) {
        return false;
    }
    *out = place == TEMPLATE_NOT_FOUND ? -1 : offset + (int64_t)character_count(part.bytes, place);
    return true;
}

static bool find(template_machine *m, template_call *call, bool from_end, bool must_exist,
                 template_value *out) {
    int64_t index;
    if (!find_index(m, call, from_end, &index)) {
        return false;
    }
    if (index < 0 && must_exist) {
        return template_fail(m, TARS_MALFORMED, "the text to look for is not there");
    }
    *out = template_int(index);
    return true;
}

static bool call_find(template_machine *m, template_call *call, template_value *out) {
    return find(m, call, false, false, out);
}

static bool call_rfind(template_machine *m, template_call *call, template_value *out) {
    return find(m, call, true, false, out);
}

static bool call_index(template_machine *m, template_call *call, template_value *out) {
    return find(m, call, false, true, out);
}

static bool call_rindex(template_machine *m, template_call *call, template_value *out) {
    return find(m, call, true, true, out);
}

static bool call_count(template_machine *m, template_call *call, template_value *out) {
    template_text needle;
    template_text part;
    int64_t offset;
    bool valid;
    int64_t count = 0;
    if (!template_take_text(m, &call->bound[0], NULL, &needle) ||
        !take_part(m, call, &part, &offset, &valid)) {
        return false;
    }
    if (needle.length == 0) {
        count = valid ? (int64_t)character_count(part.bytes, part.length) + 1 : 0;
    }
    while (valid && needle.length > 0) {
        size_t place;
        if (!template_find_text(m, part, needle, &place)) {
            return false;
        }
        if (place == TEMPLATE_NOT_FOUND) {
            break;
        }
        count++;
        part.bytes += place + needle.length;
        part.length -= place + needle.length;
    }
    *out = template_int(count);
    return true;
}

static bool has_affix(template_machine *m, template_call *call, bool at_end, template_value *out) {
    const template_value *affixes = &call->bound[0];
    template_text part;
    int64_t offset;
    bool valid;
    if (!take_part(m, call, &part, &offset, &valid)) {
        return false;
    }
    bool fits = false;
    size_t count = affixes->type == TEMPLATE_TUPLE ? affixes->as.items.count : 1;
    for (size_t i = 0; i < count; i++) {
        const template_value *affix =
            affixes->type == TEMPLATE_TUPLE ? &affixes->as.items.first[i] : affixes;
        template_text text;
        if (!template_take_text(m, affix, NULL, &text)) {
            return false;
        }
        fits = fits || (valid && (at_end ? ends_with(part, text) : starts_with(part, text)));
    }
    *out = template_bool(fits);
    return template_charge(m, count);
}

static bool call_startswith(template_machine *m, template_call *call, template_value *out) {
    return has_affix(m, call, false, out);
}

static bool call_endswith(template_machine *m, template_call *call, template_value *out) {
    return has_affix(m, call, true, out);
}

/* ---- building ------------------------------------------------------------------------------ */

static bool call_replace(template_machine *m, template_call *call, template_value *out) {
    template_text old;
    template_text with;
    int64_t limit;
    template_value replacement = call->bound[1];
    if (!template_take_text(m, &call->bound[0], NULL, &old) ||
        !template_take_text(m, &replacement, NULL, &with) ||
        !template_take_int(m, &call->bound[2], -1, &limit)) {
        return false;
    }
    if (call->self->detail == STRING_SAFE) {
        if (!template_escape(m, &call->bound[1], &replacement)) {
            return false;
        }
        with = replacement.as.text;
    }
    if (!template_replace(m, call->self->as.text, old, with, limit, out)) {
        return false;
    }
    out->detail = call->self->detail;
    return true;
}

/* One item of join(): a text, which a separator marked safe escapes. */
static bool join_item(template_machine *m, template_call *call, const template_value *item,
                      template_writer *writer) {
    template_value text = *item;
    if (call->self->detail == STRING_SAFE) {
        template_value plain;
        if (!template_to_string(m, item, &plain) || !template_escape(m, &plain, &text)) {
            return false;
        }
    }
    if (text.type != TEMPLATE_STRING) {
        return template_fail(m, TARS_MALFORMED, "join needs texts, found a %s",
                             template_type_name(item));
    }
    return template_write_text(m, writer, text.as.text);
}

static bool call_join(template_machine *m, template_call *call, template_value *out) {
    template_iterator iterator;
    template_writer writer;
    if (!template_iterate(m, &call->bound[0], &iterator)) {
        return false;
    }
    template_writer_capture(&writer);
    for (size_t i = 0;; i++) {
        template_value item;
        bool more;
        if (!template_next(m, &iterator, &item, &more)) {
            return false;
        }
        if (!more) {
            break;
        }
        if ((i > 0 && !template_write_text(m, &writer, call->self->as.text)) ||
            !join_item(m, call, &item, &writer)) {
            return false;
        }
    }
    *out = template_writer_value(&writer);
    out->detail = call->self->detail;
    return true;
}

static bool call_format(template_machine *m, template_call *call, template_value *out) {
    return template_format_braces(m, call->self, call->arguments, out);
}

/* Pads the text to a width with `left` of 100 or 0 of the gap before it, or for '^' by the rule
 * of str.center(): the odd one goes to the left when the width is odd. */
static bool justify(template_machine *m, template_call *call, char align, template_value *out) {
    template_text fill;
    int64_t wanted;
    template_writer writer;
    template_text text = call->self->as.text;
    template_text none = {"", 0};
    if (!template_take_int(m, &call->bound[0], 0, &wanted) ||
        !template_take_text(m, &call->bound[1], " ", &fill)) {
        return false;
    }
    if (character_count(fill.bytes, fill.length) != 1) {
        return template_fail(m, TARS_MALFORMED, "the fill character must be one character");
    }
    size_t width = wanted < 0 ? 0 : (size_t)wanted;
    size_t length = character_count(text.bytes, text.length);
    size_t gap = width > length ? width - length : 0;
    size_t left = align == '>' ? gap : align == '<' ? 0 : gap / 2 + (gap & width & 1u);
    template_field before = {.fill = fill, .align = '<', .width = left};
    template_field after = {.fill = fill, .align = '<', .width = length + gap - left};
    template_writer_capture(&writer);
    if (!template_write_field(m, &writer, &before, none, none) ||
        !template_write_field(m, &writer, &after, none, text)) {
        return false;
    }
    *out = template_writer_value(&writer);
    out->detail = call->self->detail;
    return true;
}

static bool call_center(template_machine *m, template_call *call, template_value *out) {
    return justify(m, call, '^', out);
}

static bool call_ljust(template_machine *m, template_call *call, template_value *out) {
    return justify(m, call, '<', out);
}

static bool call_rjust(template_machine *m, template_call *call, template_value *out) {
    return justify(m, call, '>', out);
}

static bool call_zfill(template_machine *m, template_call *call, template_value *out) {
    template_text text = call->self->as.text;
    int64_t width;
    template_writer writer;
    if (!template_take_int(m, &call->bound[0], 0, &width)) {
        return false;
    }
    size_t n_sign = text.length > 0 && (text.bytes[0] == '-' || text.bytes[0] == '+') ? 1 : 0;
    template_field field = {
        .fill = template_text_of("0"), .align = '=', .width = width < 0 ? 0 : (size_t)width};
    template_writer_capture(&writer);
    if (!template_write_field(m, &writer, &field, (template_text){text.bytes, n_sign},
                              (template_text){text.bytes + n_sign, text.length - n_sign})) {
        return false;
    }
    *out = template_writer_value(&writer);
    out->detail = call->self->detail;
    return true;
}

/* ---- character classes --------------------------------------------------------------------- */

enum { CLASS_LETTER = 1, CLASS_DECIMAL = 2, CLASS_NUMBER = 4, CLASS_SPACE = 8 };

static bool is_of_class(uint32_t c, unsigned classes) {
    return ((classes & CLASS_LETTER) != 0 && character_is_letter(c)) ||
           ((classes & CLASS_DECIMAL) != 0 && character_is_decimal(c)) ||
           ((classes & CLASS_NUMBER) != 0 && character_is_number(c)) ||
           ((classes & CLASS_SPACE) != 0 && character_is_space(c));
}

/* All characters are of one of the classes, and there is at least one. A character of a class in
 * `unsure` would need tables that are not here. */
static bool all_of(template_machine *m, template_call *call, unsigned classes, unsigned unsure,
                   template_value *out) {
    template_text text = call->self->as.text;
    bool all = text.length > 0;
    for (size_t i = 0; all && i < text.length;) {
        uint32_t c;
        i += character_read(text.bytes + i, text.length - i, &c);
        all = is_of_class(c, classes);
        if (!all && c >= 0x80 && is_of_class(c, unsure)) {
            return template_fail(m, TARS_UNSUPPORTED, "%s of such characters is not supported",
                                 call->row->name);
        }
    }
    *out = template_bool(all);
    return template_charge(m, text.length / 8);
}

static bool call_isalpha(template_machine *m, template_call *call, template_value *out) {
    return all_of(m, call, CLASS_LETTER, 0, out);
}

static bool call_isdecimal(template_machine *m, template_call *call, template_value *out) {
    return all_of(m, call, CLASS_DECIMAL, 0, out);
}

/* Superscripts and the like are digits too, fractions are not. */
static bool call_isdigit(template_machine *m, template_call *call, template_value *out) {
    return all_of(m, call, CLASS_DECIMAL, CLASS_NUMBER, out);
}

/* Some ideographs are numeric too. */
static bool call_isnumeric(template_machine *m, template_call *call, template_value *out) {
    return all_of(m, call, CLASS_NUMBER, CLASS_LETTER, out);
}

static bool call_isalnum(template_machine *m, template_call *call, template_value *out) {
    return all_of(m, call, CLASS_LETTER | CLASS_NUMBER, 0, out);
}

static bool call_isspace(template_machine *m, template_call *call, template_value *out) {
    return all_of(m, call, CLASS_SPACE, 0, out);
}

static bool call_test(template_machine *m, template_call *call, const char *name,
                      template_value *out) {
    bool result;
    template_arguments none = {0};
    if (!template_call_test(m, template_text_of(name), call->self, &none, &result)) {
        return false;
    }
    *out = template_bool(result);
    return true;
}

static bool call_isupper(template_machine *m, template_call *call, template_value *out) {
    return call_test(m, call, "upper", out);
}

static bool call_islower(template_machine *m, template_call *call, template_value *out) {
    return call_test(m, call, "lower", out);
}

static bool call_isascii(template_machine *m, template_call *call, template_value *out) {
    template_text text = call->self->as.text;
    bool all = true;
    for (size_t i = 0; i < text.length; i++) {
        all = all && (unsigned char)text.bytes[i] < 0x80;
    }
    *out = template_bool(all);
    return template_charge(m, template_bytes_price(text.length));
}

static const template_builtin_row text_methods[] = {
    {"strip", call_strip, "chars", 0},
    {"split", call_split, "sep maxsplit", 0},
    {"lstrip", call_lstrip, "chars", 0},
    {"rstrip", call_rstrip, "chars", 0},
    {"startswith", call_startswith, "prefix start end", 1},
    {"endswith", call_endswith, "suffix start end", 1},
    {"replace", call_replace, "old new count", 2},
    {"title", call_title, "", 0},
    {"upper", call_upper, "", 0},
    {"lower", call_lower, "", 0},
    {"capitalize", call_capitalize, "", 0},
    {"swapcase", call_swapcase, "", 0},
    {"join", call_join, "iterable", 1},
    {"format", call_format, "*", 0},
    {"find", call_find, "sub start end", 1},
    {"rfind", call_rfind, "sub start end", 1},
    {"index", call_index, "sub start end", 1},
    {"rindex", call_rindex, "sub start end", 1},
    {"count", call_count, "sub start end", 1},
    {"rsplit", call_rsplit, "sep maxsplit", 0},
    {"splitlines", call_splitlines, "keepends", 0},
    {"partition", call_partition, "sep", 1},
    {"rpartition", call_rpartition, "sep", 1},
    {"removeprefix", call_removeprefix, "prefix", 1},
    {"removesuffix", call_removesuffix, "suffix", 1},
    {"center", call_center, "width fillchar", 1},
    {"ljust", call_ljust, "width fillchar", 1},
    {"rjust", call_rjust, "width fillchar", 1},
    {"zfill", call_zfill, "width", 1},
    {"isalpha", call_isalpha, "", 0},
    {"isdigit", call_isdigit, "", 0},
    {"isalnum", call_isalnum, "", 0},
    {"isspace", call_isspace, "", 0},
    {"isupper", call_isupper, "", 0},
    {"islower", call_islower, "", 0},
    {"isascii", call_isascii, "", 0},
    {"isdecimal", call_isdecimal, "", 0},
    {"isnumeric", call_isnumeric, "", 0},
    {"casefold", template_refuse, "*", 0},
    {"encode", template_refuse, "*", 0},
    {"expandtabs", template_refuse, "*", 0},
    {"format_map", template_refuse, "*", 0},
    {"isidentifier", template_refuse, "*", 0},
    {"isprintable", template_refuse, "*", 0},
    {"istitle", template_refuse, "*", 0},
    {"maketrans", template_refuse, "*", 0},
    {"translate", template_refuse, "*", 0},
};

const template_builtin_table template_text_methods = {text_methods,
                                                      sizeof text_methods / sizeof text_methods[0]};
