#include "base/utf8.h"

/* What a lead byte announces (RFC 3629 § 4): how many bytes, and the range of the second one,
 * which is where overlong forms, surrogates and values beyond U+10FFFF show. */
typedef struct lead_class {
    uint8_t length;
    uint8_t second_low, second_high;
    uint8_t payload_mask;
} lead_class;

static lead_class class_of(uint8_t lead) {
    if (lead < 0x80) {
        return (lead_class){1, 0, 0, 0x7F};
    }
    if (lead < 0xC2 || lead > 0xF4) {
        return (lead_class){0, 0, 0, 0};
    }
    if (lead < 0xE0) {
        return (lead_class){2, 0x80, 0xBF, 0x1F};
    }
    if (lead < 0xF0) {
        return (lead_class){3, lead == 0xE0 ? 0xA0 : 0x80, lead == 0xED ? 0x9F : 0xBF, 0x0F};
    }
    return (lead_class){4, lead == 0xF0 ? 0x90 : 0x80, lead == 0xF4 ? 0x8F : 0xBF, 0x07};
}

/* How many of the bytes (at most the announced number) belong to one well-formed character; equal
 * to c.length when it is whole. */
static size_t good_prefix(const uint8_t *bytes, size_t length, lead_class c) {
    size_t n = 1;
    for (; n < c.length && n < length; n++) {
        uint8_t low = n == 1 ? c.second_low : 0x80;
        uint8_t high = n == 1 ? c.second_high : 0xBF;
        if (bytes[n] < low || bytes[n] > high) {
            break;
        }
    }
    return n;
}

size_t utf8_decode(const char *bytes, size_t length, uint32_t *code_point) {
    const uint8_t *s = (const uint8_t *)bytes;
    lead_class c = class_of(s[0]);
    if (c.length == 0 || c.length > length || good_prefix(s, length, c) < c.length) {
        return 0;
    }
    uint32_t value = s[0] & (uint32_t)c.payload_mask;
    for (size_t i = 1; i < c.length; i++) {
        value = (value << 6) | (s[i] & 0x3Fu);
    }
    *code_point = value;
    return c.length;
}

size_t utf8_encode(uint32_t code_point, char out[4]) {
    if (code_point > 0x10FFFFu || (code_point >= 0xD800u && code_point <= 0xDFFFu)) {
        code_point = 0xFFFDu;
    }
    if (code_point < 0x80u) {
        out[0] = (char)code_point;
        return 1;
    }
    size_t n = code_point < 0x800u ? 2 : code_point < 0x10000u ? 3 : 4;
    static const uint8_t lead_bits[5] = {0, 0, 0xC0, 0xE0, 0xF0};
    for (size_t i = n - 1; i > 0; i--) {
        out[i] = (char)(0x80u | (code_point & 0x3Fu));
        code_point >>= 6;
    }
    out[0] = (char)(lead_bits[n] | code_point);
    return n;
}

bool utf8_valid(const char *bytes, size_t length, size_t *bad_offset) {
    for (size_t i = 0; i < length;) {
        uint32_t code_point;
        size_t n = (uint8_t)bytes[i] < 0x80 ? 1 : utf8_decode(bytes + i, length - i, &code_point);
        if (n == 0) {
            if (bad_offset) {
                *bad_offset = i;
            }
            return false;
        }
        i += n;
    }
    return true;
}

size_t utf8_complete_length(const char *bytes, size_t length) {
    const uint8_t *s = (const uint8_t *)bytes;
    /* An incomplete character is at most the last 3 bytes: find the last lead among them. */
    for (size_t back = 1; back <= 3 && back <= length; back++) {
        size_t start = length - back;
        if ((s[start] & 0xC0u) == 0x80u) {
            continue;
        }
        lead_class c = class_of(s[start]);
        bool cut = c.length > back && good_prefix(s + start, back, c) == back;
        return cut ? start : length;
    }
    return length;
}

bool utf8_is_hidden(uint32_t c) {
    return c < 0x20 || (c >= 0x7F && c < 0xA0) || c == 0x200E || c == 0x200F ||
           (c >= 0x2028 && c <= 0x202E) || (c >= 0x2066 && c <= 0x2069) || c == 0xFEFF;
}
