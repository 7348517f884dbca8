#include "engine/tokenizer/unicode.h"

#include "engine/tokenizer/unicode_tables.h"

enum {
    UNICODE_MAX = 0x10FFFF,
    CAPITAL_I_WITH_DOT = 0x130, /* the one character whose lower case is two characters */
    COMBINING_DOT_ABOVE = 0x307,
    /* Hangul syllables are composed by arithmetic (The Unicode Standard, § 3.12) */
    HANGUL_SYLLABLES = 0xAC00,
    HANGUL_SYLLABLE_COUNT = 11172,
    HANGUL_LEADING = 0x1100,
    HANGUL_VOWELS = 0x1161,
    HANGUL_TRAILING = 0x11A7,
    HANGUL_VOWEL_COUNT = 21,
    HANGUL_TRAILING_COUNT = 28
};

static const unicode_record *record_of(uint32_t code_point) {
    static const unicode_record unassigned = {0, 0, 0, 0};
    if (code_point > UNICODE_MAX) {
        return &unassigned;
    }
    const uint8_t *page = unicode_pages[unicode_page_numbers[code_point / UNICODE_PAGE_SIZE]];
    return &unicode_records[page[code_point % UNICODE_PAGE_SIZE]];
}

unsigned unicode_get_flags(uint32_t code_point) {
    return record_of(code_point)->flags;
}

const char *unicode_category(uint32_t code_point) {
    /* in the order of the generating script */
    static const char names[][3] = {"Cn", "Cc", "Cf", "Co", "Cs", "Ll", "Lm", "Lo", "Lt", "Lu",
                                    "Mc", "Me", "Mn", "Nd", "Nl", "No", "Pc", "Pd", "Pe", "Pf",
                                    "Pi", "Po", "Ps", "Sc", "Sk", "Sm", "So", "Zl", "Zp", "Zs"};
    return names[record_of(code_point)->category];
}

unsigned unicode_combining_class(uint32_t code_point) {
    return record_of(code_point)->combining_class;
}

size_t unicode_lower(uint32_t code_point, uint32_t out[UNICODE_MAX_LOWER]) {
    if (code_point == CAPITAL_I_WITH_DOT) {
        out[0] = 'i';
        out[1] = COMBINING_DOT_ABOVE;
        return 2;
    }
    out[0] = (uint32_t)((int32_t)code_point + record_of(code_point)->lower_delta);
    return 1;
}

static size_t decompose_hangul(uint32_t syllable, uint32_t *out) {
    uint32_t trailing = syllable % HANGUL_TRAILING_COUNT;
    uint32_t rest = syllable / HANGUL_TRAILING_COUNT;
    out[0] = HANGUL_LEADING + rest / HANGUL_VOWEL_COUNT;
    out[1] = HANGUL_VOWELS + rest % HANGUL_VOWEL_COUNT;
    out[2] = HANGUL_TRAILING + trailing;
    return trailing ? 3 : 2;
}

size_t unicode_decompose(uint32_t code_point, uint32_t out[UNICODE_MAX_DECOMPOSED]) {
    out[0] = code_point;
    if (!(record_of(code_point)->flags & UNICODE_DECOMPOSES)) {
        return 1;
    }
    if (code_point - HANGUL_SYLLABLES < HANGUL_SYLLABLE_COUNT) {
        return decompose_hangul(code_point - HANGUL_SYLLABLES, out);
    }
    size_t low = 0, high = UNICODE_DECOMPOSITIONS;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (unicode_decompositions[middle].code_point < code_point) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    const unicode_decomposition *found = &unicode_decompositions[low];
    for (size_t i = 0; i < found->count; i++) {
        out[i] = unicode_decomposed[found->start + i];
    }
    return found->count;
}
