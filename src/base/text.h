/* A bounded text buffer over the caller's memory. Ownership: the caller owns the bytes; the
 * buffer never allocates, never writes past its capacity, and always keeps a terminating NUL. */
#ifndef BASE_TEXT_H
#define BASE_TEXT_H

#include "base/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct text_buffer {
    char *data;
    size_t length;   /* bytes used, without the NUL */
    size_t capacity; /* bytes of data, with the NUL; at least 1 */
    bool truncated;  /* something did not fit; set once, never cleared by appends */
} text_buffer;

void text_init(text_buffer *text, char *data, size_t capacity);
/* Appends bytes; what does not fit is cut at a UTF-8 character's start and `truncated` is set. */
void text_append(text_buffer *text, const char *bytes, size_t length);
void text_append_string(text_buffer *text, const char *string);
void text_append_char(text_buffer *text, char c);
/* Own formatter, no locale, no libc: %s %.*s %c %d %i %u %ld %lu %lld %llu %zu %x (with l,
 * ll, z) and %%; field width, with `0` for numbers and `-` for the left. Unknown directives are
 * a programmer's error (assert). Control characters and invalid bytes in %s arguments are
 * replaced by '?' so that hostile names cannot drive a terminal. */
void text_format(text_buffer *text, const char *format, ...) BASE_PRINTF(2, 3);
void text_format_list(text_buffer *text, const char *format, va_list arguments);

#endif
