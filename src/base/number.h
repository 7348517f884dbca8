/* Numbers between text and IEEE 754 bits, exact in both directions and without libc, so that the
 * same text gives the same bits on every target. Ownership: nothing is kept or allocated. */
#ifndef BASE_NUMBER_H
#define BASE_NUMBER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { NUMBER_MAX_BYTES = 32 /* longest text number_from_* writes, with its NUL */ };

/* Length of the longest prefix of the text that is a number of JSON's grammar (RFC 8259 § 6),
 * 0 when there is none. *is_integer (may be NULL): it has neither fraction nor exponent. */
size_t number_scan(const char *text, size_t length, bool *is_integer);
/* The double nearest to a text that number_scan accepts whole (ties to even, denormals kept).
 * False, with *out infinite, when it is beyond the largest double. Linear in the length. */
bool number_to_double(const char *text, size_t length, double *out);
/* The value of a text with is_integer true; false when it does not fit. */
bool number_to_int64(const char *text, size_t length, int64_t *out);

/* Each writes text and a NUL into NUMBER_MAX_BYTES bytes, and returns the length. The shortest
 * digits that read back to the same bits, nearest to the value among those, in the form of
 * ECMAScript's Number::toString; the one difference is that minus zero is written "-0". Infinities
 * and NaN: inf, -inf, nan. */
size_t number_from_double(double value, char *out);
/* As number_from_double with the digits that a float needs; (float)number_to_double gives it back.
 */
size_t number_from_float(float value, char *out);
size_t number_from_uint64(uint64_t value, char *out);
size_t number_from_int64(int64_t value, char *out);

#endif
