/* Hexadecimal digits. Ownership: nothing is kept. */
#ifndef STORE_HEX_H
#define STORE_HEX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Writes 2 * length lower-case digits and a NUL. */
void hex_encode(const uint8_t *bytes, size_t length, char *hex);
/* Reads exactly 2 * length lower-case digits; false when the text is anything else. */
bool hex_decode(const char *hex, uint8_t *bytes, size_t length);
/* True for 64 lower-case digits. */
bool hex_is_sha256(const char *text);

#endif
