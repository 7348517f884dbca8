#include "base/utf8.h"
#include "support/check.h"

#include <string.h>

/* The definition, written differently from the code under test: encode every scalar value and
 * look the bytes up. */
static void every_scalar_value_round_trips(void) {
    for (uint32_t c = 0; c <= 0x110000u; c++) {
        char bytes[4];
        size_t n = utf8_encode(c, bytes);
        bool scalar = c <= 0x10FFFFu && (c < 0xD800u || c > 0xDFFFu);
        uint32_t expected = scalar ? c : 0xFFFDu;
        uint32_t found = 0;
        size_t expected_length = expected < 0x80      ? 1
                                 : expected < 0x800   ? 2
                                 : expected < 0x10000 ? 3
                                                      : 4;
        if (n != expected_length || utf8_decode(bytes, n, &found) != n || found != expected) {
            check_fail(__FILE__, __LINE__, "U+%04X: %zu bytes, read back as U+%04X", (unsigned)c, n,
                       (unsigned)found);
            return;
        }
        for (size_t cut = 1; cut < n; cut++) {
            if (utf8_decode(bytes, cut, &found) != 0 || utf8_complete_length(bytes, cut) != 0) {
                check_fail(__FILE__, __LINE__, "U+%04X cut to %zu bytes passes", (unsigned)c, cut);
                return;
            }
        }
    }
}

/* All sequences of two bytes and all of three with a third of 0x80, 0xBF, 0x7F or 0xC0: what
 * decodes must encode to the same bytes, so no overlong form or surrogate can pass. */
static void nothing_else_decodes(void) {
    static const uint8_t thirds[] = {0x7F, 0x80, 0xBF, 0xC0};
    size_t accepted = 0;
    for (unsigned first = 0; first < 256; first++) {
        for (unsigned second = 0; second < 256; second++) {
            for (unsigned third = 0; third < 16; third++) {
                const uint8_t raw[4] = {(uint8_t)first, (uint8_t)second, thirds[third / 4],
                                        thirds[third % 4]};
                char bytes[4];
                memcpy(bytes, raw, sizeof bytes);
                uint32_t c;
                size_t n = utf8_decode(bytes, sizeof bytes, &c);
                char again[4];
                bool same = n == 0 || (utf8_encode(c, again) == n && memcmp(again, bytes, n) == 0);
                accepted += n == 4 ? 1 : 0;
                if (!same) {
                    check_fail(__FILE__, __LINE__, "%02x %02x decodes to U+%04X", first, second,
                               (unsigned)c);
                    return;
                }
            }
        }
    }
    CHECK_INT(accepted, (48 + 3 * 64 + 16) * 4);
}

static void names_the_first_wrong_byte(void) {
    static const struct {
        const char *text;
        size_t length;
        size_t bad; /* == length: valid */
    } cases[] = {
        {"", 0, 0},
        {"abc", 3, 3},
        {"a\0b", 3, 3},
        {"\xC3\xA9\xE2\x82\xAC\xF0\x9F\x98\x80", 9, 9},
        {"ab\x80", 3, 2},
        {"\xC0\xAF", 2, 0},
        {"a\xE0\x80\xAF", 4, 1},
        {"\xED\xA0\x80", 3, 0},
        {"\xF4\x90\x80\x80", 4, 0},
        {"\xC3\xA9\xC3", 3, 2},
        {"\xFE", 1, 0},
        {"\xF8\x88\x80\x80\x80", 5, 0},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        size_t bad = cases[i].length;
        bool valid = cases[i].bad == cases[i].length;
        CHECK_INT(utf8_valid(cases[i].text, cases[i].length, &bad), valid);
        CHECK_INT(bad, cases[i].bad);
        CHECK_INT(utf8_valid(cases[i].text, cases[i].length, NULL), valid);
    }
}

static void streams_do_not_split(void) {
    static const struct {
        const char *text;
        size_t length, complete;
    } cases[] = {
        {"", 0, 0},
        {"abc", 3, 3},
        {"ab\xE2\x82", 4, 2},
        {"ab\xE2\x82\xAC", 5, 5},
        {"ab\xF0\x9F\x98", 5, 2},
        {"ab\xF0", 3, 2},
        {"ab\xF0\x80", 4, 4}, /* can never become a character: show it as it is */
        {"ab\xC0", 3, 3},
        {"\x80\x80\x80\x80", 4, 4},
        {"\xED\xA0", 2, 2},
        {"\xED\x9F", 2, 0},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        CHECK_INT(utf8_complete_length(cases[i].text, cases[i].length), cases[i].complete);
    }
}

static const check_test tests[] = {
    {"every scalar value round-trips, none passes when cut", every_scalar_value_round_trips},
    {"nothing else decodes", nothing_else_decodes},
    {"names the first wrong byte", names_the_first_wrong_byte},
    {"streams do not split a character", streams_do_not_split},
};
CHECK_MAIN(tests)
