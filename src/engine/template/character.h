/* Characters as Python's str sees them: reading, white space, letter case, what repr() shows.
 * Ownership: nothing is allocated. */
#ifndef ENGINE_TEMPLATE_CHARACTER_H
#define ENGINE_TEMPLATE_CHARACTER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { CHARACTER_INVALID = 0x110000 /* stands for one byte that is not UTF-8 */ };

/* Reads the character at bytes[0 … length), length ≥ 1, and returns its bytes (1 … 4). A byte that
 * is not UTF-8 counts as one character, CHARACTER_INVALID. */
size_t character_read(const char *bytes, size_t length, uint32_t *code_point);
/* Bytes of the character that ends at bytes[length), length ≥ 1. */
size_t character_read_back(const char *bytes, size_t length, uint32_t *code_point);
/* Characters in the text. */
size_t character_count(const char *bytes, size_t length);

/* str.isspace() */
bool character_is_space(uint32_t code_point);
/* One of the characters at which str.splitlines() ends a line. */
bool character_is_line_end(uint32_t code_point);
/* str.isprintable() */
bool character_is_printable(uint32_t code_point);
/* str.isalpha(), str.isdecimal() */
bool character_is_letter(uint32_t code_point);
bool character_is_decimal(uint32_t code_point);
/* Of a number category: decimal digits, other digits, fractions, roman numerals, … */
bool character_is_number(uint32_t code_point);
/* Upper (lower) case letters; title case letters are neither. */
bool character_is_upper(uint32_t code_point);
bool character_is_lower(uint32_t code_point);
/* Either of them, or a title case letter. */
bool character_is_cased(uint32_t code_point);

typedef enum character_case { CHARACTER_UPPER, CHARACTER_LOWER, CHARACTER_TITLE } character_case;

/* The one to three characters that this one becomes; returns how many. The form of a sigma at the
 * end of a word is the caller's business. */
size_t character_convert(uint32_t code_point, character_case to, uint32_t out[3]);

#endif
