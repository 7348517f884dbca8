#include "engine/template/character.h"

#include "base/utf8.h"
#include "engine/template/letter_case_tables.h"
#include "engine/tokenizer/unicode.h"

size_t character_read(const char *bytes, size_t length, uint32_t *code_point) {
    unsigned char first = (unsigned char)bytes[0];
    if (first < 0x80) {
        *code_point = first;
        return 1;
    }
    size_t used = utf8_decode(bytes, length, code_point);
    if (used == 0) {
        *code_point = CHARACTER_INVALID;
        return 1;
    }
    return used;
}

size_t character_read_back(const char *bytes, size_t length, uint32_t *code_point) {
    size_t start = length - 1;
    size_t oldest = length > 4 ? length - 4 : 0;
    while (start > oldest && ((unsigned char)bytes[start] & 0xC0u) == 0x80u) {
        start--;
    }
    if (character_read(bytes + start, length - start, code_point) == length - start) {
        return length - start;
    }
    *code_point = CHARACTER_INVALID;
    return 1;
}

size_t character_count(const char *bytes, size_t length) {
    size_t count = 0;
    for (size_t i = 0; i < length; count++) {
        uint32_t code_point;
        i += character_read(bytes + i, length - i, &code_point);
    }
    return count;
}

/* ---- classes ------------------------------------------------------------------------------- */

bool character_is_space(uint32_t c) {
    if (c < 0x80) {
        return (c >= 0x09 && c <= 0x0D) || (c >= 0x1C && c <= 0x20);
    }
    return c == 0x85 || c == 0xA0 || c == 0x1680 || (c >= 0x2000 && c <= 0x200A) || c == 0x2028 ||
           c == 0x2029 || c == 0x202F || c == 0x205F || c == 0x3000;
}

bool character_is_line_end(uint32_t c) {
    return (c >= 0x0A && c <= 0x0D) || (c >= 0x1C && c <= 0x1E) || c == 0x85 || c == 0x2028 ||
           c == 0x2029;
}

bool character_is_printable(uint32_t c) {
    if (c < 0x80) {
        return c >= 0x20 && c < 0x7F;
    }
    const char *category = unicode_category(c);
    return category[0] != 'C' && category[0] != 'Z';
}

bool character_is_letter(uint32_t c) {
    return (unicode_get_flags(c) & UNICODE_LETTER) != 0;
}

bool character_is_number(uint32_t c) {
    return (unicode_get_flags(c) & UNICODE_NUMBER) != 0;
}

bool character_is_decimal(uint32_t c) {
    return c < 0x80 ? c >= '0' && c <= '9'
                    : character_is_number(c) && unicode_category(c)[1] == 'd';
}

/* ---- letter case --------------------------------------------------------------------------- */

static const letter_case_range *find(const letter_case_range *rows, size_t count,
                                     uint32_t code_point) {
    size_t low = 0;
    size_t high = count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (code_point > rows[middle].last) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    bool found = low < count && rows[low].first <= code_point &&
                 (code_point - rows[low].first) % rows[low].stride == 0;
    return found ? &rows[low] : NULL;
}

static bool is_category(uint32_t code_point, char first, char second) {
    const char *category = unicode_category(code_point);
    return category[0] == first && category[1] == second;
}

bool character_is_upper(uint32_t c) {
    if (c < 0x80) {
        return c >= 'A' && c <= 'Z';
    }
    return is_category(c, 'L', 'u') ||
           find(letter_case_other_upper, letter_case_other_upper_count, c);
}

bool character_is_lower(uint32_t c) {
    if (c < 0x80) {
        return c >= 'a' && c <= 'z';
    }
    return is_category(c, 'L', 'l') ||
           find(letter_case_other_lower, letter_case_other_lower_count, c);
}

bool character_is_cased(uint32_t c) {
    return character_is_upper(c) || character_is_lower(c) || is_category(c, 'L', 't');
}

static uint32_t convert_ascii(uint32_t c, character_case to) {
    if (to == CHARACTER_LOWER) {
        return c >= 'A' && c <= 'Z' ? c + 32 : c;
    }
    return c >= 'a' && c <= 'z' ? c - 32 : c;
}

static const letter_case_special *special_of(uint32_t code_point) {
    size_t low = 0;
    size_t high = letter_case_specials_count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (code_point > letter_case_specials[middle].code_point) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    bool found =
        low < letter_case_specials_count && letter_case_specials[low].code_point == code_point;
    return found ? &letter_case_specials[low] : NULL;
}

size_t character_convert(uint32_t c, character_case to, uint32_t out[3]) {
    out[0] = c;
    if (c < 0x80) {
        out[0] = convert_ascii(c, to);
        return 1;
    }
    if (to == CHARACTER_LOWER) {
        return unicode_lower(c, out);
    }
    const letter_case_special *special = special_of(c);
    if (special) {
        const uint32_t *mapped = to == CHARACTER_UPPER ? special->upper : special->title;
        size_t count = 0;
        while (count < 3 && mapped[count] != 0) {
            out[count] = mapped[count];
            count++;
        }
        return count;
    }
    const letter_case_range *range = NULL;
    if (to == CHARACTER_TITLE) {
        range = find(letter_case_title, letter_case_title_count, c);
    }
    if (!range) {
        range = find(letter_case_upper, letter_case_upper_count, c);
    }
    if (range) {
        out[0] = (uint32_t)((int32_t)c + range->delta);
    }
    return 1;
}
