/* Properties of Unicode characters, from tables generated for one pinned version of the standard.
 * Nothing here allocates. Every function takes any number; beyond U+10FFFF is like unassigned. */
#ifndef ENGINE_TOKENIZER_UNICODE_H
#define ENGINE_TOKENIZER_UNICODE_H

#include <stddef.h>
#include <stdint.h>

enum unicode_flags {
    UNICODE_LETTER = 1,      /* general category L */
    UNICODE_NUMBER = 2,      /* N */
    UNICODE_PUNCTUATION = 4, /* P */
    UNICODE_WHITE_SPACE = 8, /* property White_Space */
    UNICODE_CONTROL = 16,    /* Cc, Cf, Co, Cs */
    UNICODE_ACCENT = 32,     /* Mn */
    UNICODE_DECOMPOSES = 64  /* has a canonical decomposition */
};

enum { UNICODE_MAX_DECOMPOSED = 4, UNICODE_MAX_LOWER = 2 };

extern const char unicode_version[];

unsigned unicode_get_flags(uint32_t code_point);
/* Two letters, "Lu", "Mn" …; "Cn" when unassigned. */
const char *unicode_category(uint32_t code_point);
unsigned unicode_combining_class(uint32_t code_point);
/* Lower case without context, as each character for itself has it. Returns 1 or 2 code points. */
size_t unicode_lower(uint32_t code_point, uint32_t out[UNICODE_MAX_LOWER]);
/* Complete canonical decomposition (NFD) of one character; itself when it has none. Returns 1 … 4
 * code points, in canonical order among themselves. */
size_t unicode_decompose(uint32_t code_point, uint32_t out[UNICODE_MAX_DECOMPOSED]);

#endif
