#include "engine/template/string.h"

#include "base/checked.h"
#include "base/utf8.h"
#include "engine/template/character.h"

/* ---- searching ----------------------------------------------------------------------------- */

enum { CHARGE_EVERY = 256 }; /* candidates between two looks at the step budget */

bool template_find_text(template_machine *m, template_text text, template_text needle,
                        size_t *place) {
    *place = TEMPLATE_NOT_FOUND;
    if (needle.length == 0) {
        *place = 0;
        return true;
    }
    size_t start = 0;
    uint64_t price = template_bytes_price(needle.length) + 1;
    for (unsigned candidates = 1; needle.length <= text.length - start; candidates++) {
        size_t last = text.length - needle.length;
        start += template_find_byte(text.bytes + start, last - start + 1, needle.bytes[0]);
        if (start > last) {
            break;
        }
        if (memcmp(text.bytes + start, needle.bytes, needle.length) == 0) {
            *place = start;
            break;
        }
        start++;
        if (candidates % CHARGE_EVERY == 0 && !template_charge(m, price * CHARGE_EVERY / 8)) {
            return false;
        }
    }
    return template_charge(m, template_bytes_price(text.length) + 1);
}

bool template_find_last_text(template_machine *m, template_text text, template_text needle,
                             size_t *place) {
    *place = TEMPLATE_NOT_FOUND;
    uint64_t price = template_bytes_price(needle.length) + 1;
    size_t end = text.length;
    for (unsigned candidates = 1; needle.length <= end; candidates++, end--) {
        size_t start = end - needle.length;
        if (needle.length == 0 || memcmp(text.bytes + start, needle.bytes, needle.length) == 0) {
            *place = start;
            break;
        }
        if (candidates % CHARGE_EVERY == 0 && !template_charge(m, price * CHARGE_EVERY / 8)) {
            return false;
        }
    }
    return template_charge(m, template_bytes_price(text.length) + 1);
}

size_t template_offset(template_text text, size_t characters) {
    size_t offset = 0;
    for (; characters > 0 && offset < text.length; characters--) {
        uint32_t code_point;
        offset += character_read(text.bytes + offset, text.length - offset, &code_point);
    }
    return offset;
}

/* ---- joining ------------------------------------------------------------------------------- */

static template_value text_value(const char *bytes, size_t length, uint8_t detail) {
    template_value value = template_string(bytes, length);
    value.detail = detail;
    return value;
}

bool template_escape(template_machine *m, const template_value *text, template_value *out) {
    static const char special[] = "&<>'\"";
    static const char *const escapes[] = {"&amp;", "&lt;", "&gt;", "&#39;", "&#34;"};
    const template_text t = text->as.text;
    bool is_safe = text->detail == STRING_SAFE;
    *out = *text; /* may be the same value */
    out->detail = STRING_SAFE;
    if (is_safe) {
        return true;
    }
    template_writer writer;
    template_writer_capture(&writer);
    size_t plain = 0; /* start of what was not written yet */
    for (size_t i = 0; i < t.length; i++) {
        size_t found = template_find_byte(special, sizeof special - 1, t.bytes[i]);
        if (found < sizeof special - 1) {
            if (!template_write(m, &writer, t.bytes + plain, i - plain) ||
                !template_write_string(m, &writer, escapes[found])) {
                return false;
            }
            plain = i + 1;
        }
    }
    if (plain > 0) {
        if (!template_write(m, &writer, t.bytes + plain, t.length - plain)) {
            return false;
        }
        *out = template_writer_value(&writer);
        out->detail = STRING_SAFE;
    }
    return template_charge(m, template_bytes_price(t.length));
}

bool template_join_texts(template_machine *m, const template_value *a, const template_value *b,
                         template_value *out) {
    template_value left = *a;
    template_value right = *b;
    if (a->detail == STRING_SAFE || b->detail == STRING_SAFE) {
        if (!template_escape(m, a, &left) || !template_escape(m, b, &right)) {
            return false;
        }
    }
    size_t n_left = left.as.text.length;
    size_t n_right = right.as.text.length;
    if (n_left == 0 || n_right == 0) {
        *out = n_left == 0 ? right : left;
        return true;
    }
    const char *end = (const char *)m->memory->base + m->memory->used_bytes;
    char *joined;
    if (left.as.text.bytes + n_left == end) { /* the left text is the last thing in the arena */
        joined = template_alloc(m, n_right, 1, 1);
        if (!joined) {
            return false;
        }
        memcpy(joined, right.as.text.bytes, n_right);
        *out = text_value(left.as.text.bytes, n_left + n_right, left.detail);
        return template_charge(m, template_bytes_price(n_right));
    }
    size_t total;
    joined = checked_add_size(n_left, n_right, &total) ? template_alloc(m, total, 1, 1) : NULL;
    if (!joined) {
        return template_fail(m, TARS_OUT_OF_MEMORY, "the template's text is too long");
    }
    memcpy(joined, left.as.text.bytes, n_left);
    memcpy(joined + n_left, right.as.text.bytes, n_right);
    *out = text_value(joined, total, left.detail);
    return template_charge(m, template_bytes_price(total));
}

bool template_repeat_text(template_machine *m, const template_value *text, int64_t times,
                          template_value *out) {
    size_t length = text->as.text.length;
    if (times <= 0 || length == 0) {
        *out = text_value("", 0, text->detail);
        return true;
    }
    char *copies = template_alloc(m, (size_t)times, length, 1);
    if (!copies || !template_charge(m, template_bytes_price(length * (size_t)times))) {
        return false;
    }
    for (size_t i = 0; i < (size_t)times; i++) {
        memcpy(copies + i * length, text->as.text.bytes, length);
    }
    *out = text_value(copies, length * (size_t)times, text->detail);
    return true;
}

bool template_replace(template_machine *m, template_text text, template_text old,
                      template_text with, int64_t limit, template_value *out) {
    template_writer writer;
    template_writer_capture(&writer);
    template_text rest = text;
    bool at_start = true; /* an empty `old` is also found before the first character */
    while (limit != 0) {
        size_t place;
        if (old.length == 0) {
            uint32_t code_point;
            place = at_start          ? 0
                    : rest.length > 0 ? character_read(rest.bytes, rest.length, &code_point)
                                      : TEMPLATE_NOT_FOUND;
            at_start = false;
        } else if (!template_find_text(m, rest, old, &place)) {
            return false;
        }
        if (place == TEMPLATE_NOT_FOUND) {
            break;
        }
        if (!template_charge(m, 1) || !template_write(m, &writer, rest.bytes, place) ||
            !template_write_text(m, &writer, with)) {
            return false;
        }
        rest.bytes += place + old.length;
        rest.length -= place + old.length;
        limit -= limit > 0 ? 1 : 0;
    }
    if (rest.length == text.length && writer.length == 0) {
        *out = template_string(text.bytes, text.length);
        return true;
    }
    if (!template_write_text(m, &writer, rest)) {
        return false;
    }
    *out = template_writer_value(&writer);
    return true;
}

/* ---- letter case --------------------------------------------------------------------------- */

static bool is_case_ignorable(uint32_t c) {
    return c == '\'' || c == '.' || c == ':' || c == '^' || c == '`' || c == 0xA8 || c == 0xAD ||
           c == 0xB7 || (c >= 0x2B0 && c <= 0x36F) || c == 0x2018 || c == 0x2019;
}

/* A capital sigma at `place` ends a word: a cased letter stands before it and none after it. */
static bool is_final_sigma(template_text text, size_t place, size_t length) {
    uint32_t c = 0;
    size_t i = place;
    while (i > 0) {
        i -= character_read_back(text.bytes, i, &c);
        if (!is_case_ignorable(c)) {
            break;
        }
    }
    if (place == 0 || is_case_ignorable(c) || !character_is_cased(c)) {
        return false;
    }
    for (i = place + length; i < text.length;) {
        i += character_read(text.bytes + i, text.length - i, &c);
        if (!is_case_ignorable(c)) {
            return !character_is_cased(c);
        }
    }
    return true;
}

/* Carried from one character to the next. */
typedef struct case_state {
    template_case to;
    bool is_first;     /* of the text; for the filter title, of a word or a gap */
    bool after_cased;  /* the character before this one is a letter with case */
    bool in_separator; /* the filter title: the character before this one separates words */
} case_state;

static bool is_title_separator(uint32_t c) {
    return c == '-' || c == '(' || c == '{' || c == '[' || c == '<' || character_is_space(c);
}

/* *keep: the character stays as it is. */
static character_case choose_case(case_state *state, uint32_t c, bool *keep) {
    *keep = false;
    switch (state->to) {
    case CASE_UPPER:
        return CHARACTER_UPPER;
    case CASE_LOWER:
        return CHARACTER_LOWER;
    case CASE_TITLE: {
        character_case chosen = state->after_cased ? CHARACTER_LOWER : CHARACTER_TITLE;
        state->after_cased = character_is_cased(c);
        return chosen;
    }
    case CASE_TITLE_FILTER: {
        bool separates = is_title_separator(c);
        bool starts = state->is_first || separates != state->in_separator;
        state->in_separator = separates;
        state->is_first = false;
        return starts ? CHARACTER_UPPER : CHARACTER_LOWER;
    }
    case CASE_CAPITALIZE: {
        character_case chosen = state->is_first ? CHARACTER_TITLE : CHARACTER_LOWER;
        state->is_first = false;
        return chosen;
    }
    case CASE_SWAP:
        *keep = !character_is_upper(c) && !character_is_lower(c);
        return character_is_upper(c) ? CHARACTER_LOWER : CHARACTER_UPPER;
    }
    return CHARACTER_LOWER;
}

bool template_convert_case(template_machine *m, const template_value *text, template_case to,
                           template_value *out) {
    template_writer writer;
    template_writer_capture(&writer);
    case_state state = {.to = to, .is_first = true};
    template_text t = text->as.text;
    for (size_t i = 0; i < t.length;) {
        uint32_t c;
        size_t used = character_read(t.bytes + i, t.length - i, &c);
        bool keep;
        character_case chosen = choose_case(&state, c, &keep);
        char bytes[12];
        size_t n = 0;
        if (keep || c == CHARACTER_INVALID) {
            memcpy(bytes, t.bytes + i, used);
            n = used;
        } else if (c == 0x3A3 && chosen == CHARACTER_LOWER) {
            n = utf8_encode(is_final_sigma(t, i, used) ? 0x3C2 : 0x3C3, bytes);
        } else {
            uint32_t converted[3];
            size_t count = character_convert(c, chosen, converted);
            for (size_t k = 0; k < count; k++) {
                n += utf8_encode(converted[k], bytes + n);
            }
        }
        if (!template_write(m, &writer, bytes, n)) {
            return false;
        }
        i += used;
    }
    *out = template_writer_value(&writer);
    out->detail = text->detail;
    return template_charge(m, t.length / 8);
}

/* ---- stripping ----------------------------------------------------------------------------- */

static bool is_stripped(uint32_t c, const char *bytes, size_t used, const template_text *chars) {
    if (!chars) {
        return character_is_space(c);
    }
    for (size_t i = 0; i < chars->length;) {
        uint32_t other;
        size_t length = character_read(chars->bytes + i, chars->length - i, &other);
        if (length == used && memcmp(chars->bytes + i, bytes, used) == 0) {
            return true;
        }
        i += length;
    }
    return false;
}

bool template_strip(template_machine *m, const template_value *text, const template_text *chars,
                    unsigned sides, template_value *out) {
    template_text t = text->as.text;
    uint64_t price = 1 + (chars ? chars->length / 16 : 0);
    while ((sides & STRIP_LEFT) != 0 && t.length > 0) {
        uint32_t c;
        size_t used = character_read(t.bytes, t.length, &c);
        if (!is_stripped(c, t.bytes, used, chars)) {
            break;
        }
        t.bytes += used;
        t.length -= used;
        if (!template_charge(m, price)) {
            return false;
        }
    }
    while ((sides & STRIP_RIGHT) != 0 && t.length > 0) {
        uint32_t c;
        size_t used = character_read_back(t.bytes, t.length, &c);
        if (!is_stripped(c, t.bytes + t.length - used, used, chars)) {
            break;
        }
        t.length -= used;
        if (!template_charge(m, price)) {
            return false;
        }
    }
    *out = text_value(t.bytes, t.length, text->detail);
    return true;
}
