#include "engine/template/unicode.h"

#include "base/utf8.h"

static const unicode_range *find(const unicode_range *rows, size_t count, uint32_t code_point) {
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
    if (low < count && rows[low].first <= code_point &&
        (code_point - rows[low].first) % rows[low].stride == 0) {
        return &rows[low];
    }
    return NULL;
}

size_t unicode_read(const char *bytes, size_t length, uint32_t *code_point) {
    unsigned char first = (unsigned char)bytes[0];
    if (first < 0x80) {
        *code_point = first;
        return 1;
    }
    size_t used = utf8_decode(bytes, length, code_point);
    if (used == 0) {
        *code_point = UNICODE_INVALID;
        return 1;
    }
    return used;
}

size_t unicode_read_back(const char *bytes, size_t length, uint32_t *code_point) {
    size_t start = length - 1;
    size_t oldest = length > 4 ? length - 4 : 0;
    while (start > oldest && ((unsigned char)bytes[start] & 0xC0u) == 0x80u) {
        start--;
    }
    if (unicode_read(bytes + start, length - start, code_point) == length - start) {
        return length - start;
    }
    *code_point = UNICODE_INVALID;
    return 1;
}

size_t unicode_length(const char *bytes, size_t length) {
    size_t count = 0;
    for (size_t i = 0; i < length; count++) {
        uint32_t code_point;
        i += unicode_read(bytes + i, length - i, &code_point);
    }
    return count;
}

bool unicode_is_space(uint32_t c) {
    if (c < 0x80) {
        return (c >= 0x09 && c <= 0x0D) || (c >= 0x1C && c <= 0x20);
    }
    return c == 0x85 || c == 0xA0 || c == 0x1680 || (c >= 0x2000 && c <= 0x200A) || c == 0x2028 ||
           c == 0x2029 || c == 0x202F || c == 0x205F || c == 0x3000;
}

bool unicode_is_line_end(uint32_t c) {
    return (c >= 0x0A && c <= 0x0D) || (c >= 0x1C && c <= 0x1E) || c == 0x85 || c == 0x2028 ||
           c == 0x2029;
}

bool unicode_is_printable(uint32_t c) {
    if (c < 0x80) {
        return c >= 0x20 && c < 0x7F;
    }
    return !find(unicode_unprintable, unicode_unprintable_count, c);
}

bool unicode_has_upper(uint32_t c) {
    if (c < 0x80) {
        return c >= 'A' && c <= 'Z';
    }
    return find(unicode_is_upper, unicode_is_upper_count, c) != NULL;
}

bool unicode_has_lower(uint32_t c) {
    if (c < 0x80) {
        return c >= 'a' && c <= 'z';
    }
    return find(unicode_is_lower, unicode_is_lower_count, c) != NULL;
}

bool unicode_is_cased(uint32_t c) {
    uint32_t lower[3];
    return unicode_has_upper(c) || unicode_has_lower(c) ||
           unicode_convert(c, UNICODE_LOWER, lower) != 1 || lower[0] != c;
}

static const unicode_special *special_of(uint32_t code_point) {
    size_t low = 0;
    size_t high = unicode_specials_count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (code_point > unicode_specials[middle].code_point) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low < unicode_specials_count && unicode_specials[low].code_point == code_point
               ? &unicode_specials[low]
               : NULL;
}

static uint32_t convert_ascii(uint32_t c, unicode_case to) {
    if (to == UNICODE_LOWER) {
        return c >= 'A' && c <= 'Z' ? c + 32 : c;
    }
    return c >= 'a' && c <= 'z' ? c - 32 : c;
}

size_t unicode_convert(uint32_t c, unicode_case to, uint32_t out[3]) {
    out[0] = c;
    if (c < 0x80) {
        out[0] = convert_ascii(c, to);
        return 1;
    }
    const unicode_special *special = special_of(c);
    if (special) {
        const uint32_t *mapped = to == UNICODE_UPPER   ? special->upper
                                 : to == UNICODE_LOWER ? special->lower
                                                       : special->title;
        size_t count = 0;
        while (count < 3 && mapped[count] != 0) {
            out[count] = mapped[count];
            count++;
        }
        return count;
    }
    const unicode_range *range = NULL;
    if (to == UNICODE_TITLE) {
        range = find(unicode_title, unicode_title_count, c);
    }
    if (!range) {
        range = to == UNICODE_LOWER ? find(template_unicode_lower, unicode_lower_count, c)
                                    : find(unicode_upper, unicode_upper_count, c);
    }
    if (range) {
        out[0] = (uint32_t)((int32_t)c + range->delta);
    }
    return 1;
}
