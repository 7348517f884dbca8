/* Unsigned integers of up to 3,072 bits for exact number conversion. Private to number.c.
 * Ownership: plain memory of the caller. No operation here may exceed the capacity: the callers
 * bound digits and exponents first. */
#ifndef BASE_BIG_H
#define BASE_BIG_H

#include <stdint.h>

enum { BIG_LIMBS = 96 };

typedef struct big {
    unsigned n_limbs; /* used; the highest one is not zero */
    uint32_t limbs[BIG_LIMBS];
} big;

void big_set(big *b, uint64_t value);
/* b = b * factor + addend */
void big_multiply_add(big *b, uint32_t factor, uint32_t addend);
/* b = b * 5^exponent */
void big_multiply_power_of_5(big *b, unsigned exponent);
void big_shift_left(big *b, unsigned n_bits);
/* -1, 0 or 1 as a is smaller than, equal to or greater than b. */
int big_compare(const big *a, const big *b);
/* As big_compare for a + c against b. */
int big_compare_sum(const big *a, const big *c, const big *b);
/* a = a - b; a must not be smaller. */
void big_subtract(big *a, const big *b);
/* Bits of the value, 0 for zero. */
unsigned big_bit_length(const big *b);

#endif
