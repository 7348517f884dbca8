/* UTF-8 (RFC 3629). Nothing here allocates. */
#ifndef BASE_UTF8_H
#define BASE_UTF8_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Decodes the character at `bytes` (length ≥ 1). Returns its length 1 … 4 and the code point, or
 * 0 when the bytes are not well formed (overlong, surrogate, beyond U+10FFFF, cut). */
size_t utf8_decode(const char *bytes, size_t length, uint32_t *code_point);
/* Writes 1 … 4 bytes and returns how many; a surrogate or a value beyond U+10FFFF gives U+FFFD. */
size_t utf8_encode(uint32_t code_point, char out[4]);
/* Controls, and what changes the direction or the lines of a text: what could drive a terminal or
 * show a name in another order. */
bool utf8_is_hidden(uint32_t code_point);
/* True when all bytes are well formed; else *bad_offset (may be NULL) is the first wrong byte. */
bool utf8_valid(const char *bytes, size_t length, size_t *bad_offset);
/* How many of the bytes can be shown now: the length without an incomplete but so far valid
 * character at the end (for streams that must not split a character). */
size_t utf8_complete_length(const char *bytes, size_t length);

#endif
