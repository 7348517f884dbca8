/* Characters as Python's str sees them: white space, letter case, what repr() prints. Ownership:
 * nothing is allocated. */
#ifndef ENGINE_TEMPLATE_UNICODE_H
#define ENGINE_TEMPLATE_UNICODE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Code points first, first + stride … last; `delta` leads to the mapped character. */
typedef struct unicode_range {
    uint32_t first, last;
    uint32_t stride;
    int32_t delta;
} unicode_range;

/* Characters that change into up to three; unused places are 0. */
typedef struct unicode_special {
    uint32_t code_point;
    uint32_t upper[3], lower[3], title[3];
} unicode_special;

extern const unicode_range unicode_upper[], template_unicode_lower[], unicode_title[], unicode_is_upper[],
    unicode_is_lower[], unicode_unprintable[];
extern const size_t unicode_upper_count, unicode_lower_count, unicode_title_count,
    unicode_is_upper_count, unicode_is_lower_count, unicode_unprintable_count;
extern const unicode_special unicode_specials[];
extern const size_t unicode_specials_count;

typedef enum unicode_case { UNICODE_UPPER, UNICODE_LOWER, UNICODE_TITLE } unicode_case;

enum { UNICODE_INVALID = 0x110000 /* stands for one byte that is not UTF-8 */ };

/* Reads the character at bytes[0 … length), length ≥ 1, and returns its bytes (1 … 4). A byte that
 * is not UTF-8 counts as one character, UNICODE_INVALID. */
size_t unicode_read(const char *bytes, size_t length, uint32_t *code_point);
/* Bytes of the character that ends at bytes[length), length ≥ 1. */
size_t unicode_read_back(const char *bytes, size_t length, uint32_t *code_point);
/* Characters in the text. */
size_t unicode_length(const char *bytes, size_t length);

/* str.isspace() */
bool unicode_is_space(uint32_t code_point);
/* One of the characters at which str.splitlines() ends a line. */
bool unicode_is_line_end(uint32_t code_point);
/* str.isprintable() */
bool unicode_is_printable(uint32_t code_point);
/* True for letters that are upper (lower) case; title case letters are neither. */
bool unicode_has_upper(uint32_t code_point);
bool unicode_has_lower(uint32_t code_point);
/* Either of them, or a title case letter. */
bool unicode_is_cased(uint32_t code_point);
/* The one to three characters that this one becomes; returns how many. The form of a sigma at the
 * end of a word is the caller's business. */
size_t unicode_convert(uint32_t code_point, unicode_case to, uint32_t out[3]);

#endif
