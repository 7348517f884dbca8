#include "base/big.h"

#include <assert.h>
#include <string.h>

static void push(big *b, uint32_t limb) {
    assert(b->n_limbs < BIG_LIMBS);
    b->limbs[b->n_limbs++] = limb;
}

void big_set(big *b, uint64_t value) {
    b->n_limbs = 0;
    for (; value != 0; value >>= 32) {
        push(b, (uint32_t)value);
    }
}

void big_multiply_add(big *b, uint32_t factor, uint32_t addend) {
    uint64_t carry = addend;
    for (unsigned i = 0; i < b->n_limbs; i++) {
        carry += (uint64_t)b->limbs[i] * factor;
        b->limbs[i] = (uint32_t)carry;
        carry >>= 32;
    }
    if (carry != 0) {
        push(b, (uint32_t)carry);
    }
}

void big_multiply_power_of_5(big *b, unsigned exponent) {
    static const uint32_t powers[13] = {1,     5,      25,      125,     625,      3125,     15625,
                                        78125, 390625, 1953125, 9765625, 48828125, 244140625};
    for (; exponent >= 13; exponent -= 13) {
        big_multiply_add(b, 1220703125u /* 5^13 */, 0);
    }
    big_multiply_add(b, powers[exponent], 0);
}

void big_shift_left(big *b, unsigned n_bits) {
    if (b->n_limbs == 0 || n_bits == 0) {
        return;
    }
    unsigned whole = n_bits / 32;
    unsigned part = n_bits % 32;
    assert(b->n_limbs + whole <= BIG_LIMBS);
    memmove(b->limbs + whole, b->limbs, b->n_limbs * sizeof b->limbs[0]);
    memset(b->limbs, 0, whole * sizeof b->limbs[0]);
    b->n_limbs += whole;
    if (part == 0) {
        return;
    }
    uint32_t carry = 0;
    for (unsigned i = whole; i < b->n_limbs; i++) {
        uint32_t limb = b->limbs[i];
        b->limbs[i] = (limb << part) | carry;
        carry = limb >> (32 - part);
    }
    if (carry != 0) {
        push(b, carry);
    }
}

int big_compare(const big *a, const big *b) {
    if (a->n_limbs != b->n_limbs) {
        return a->n_limbs < b->n_limbs ? -1 : 1;
    }
    for (unsigned i = a->n_limbs; i-- > 0;) {
        if (a->limbs[i] != b->limbs[i]) {
            return a->limbs[i] < b->limbs[i] ? -1 : 1;
        }
    }
    return 0;
}

int big_compare_sum(const big *a, const big *c, const big *b) {
    /* From the top: difference = b - (a + c), kept as a small number of units of the limb at
     * hand. Once it is above 1 or below 0 the lower limbs cannot change the sign. */
    unsigned n = a->n_limbs > c->n_limbs ? a->n_limbs : c->n_limbs;
    n = b->n_limbs > n ? b->n_limbs : n;
    int64_t difference = 0;
    for (unsigned i = n; i-- > 0;) {
        int64_t sum = (int64_t)(i < a->n_limbs ? a->limbs[i] : 0u) +
                      (int64_t)(i < c->n_limbs ? c->limbs[i] : 0u);
        difference = difference * 4294967296 + (int64_t)(i < b->n_limbs ? b->limbs[i] : 0u) - sum;
        if (difference > 1) {
            return -1;
        }
        if (difference < 0) {
            return 1;
        }
    }
    return difference == 0 ? 0 : -1;
}

void big_subtract(big *a, const big *b) {
    assert(big_compare(a, b) >= 0);
    uint32_t borrow = 0;
    for (unsigned i = 0; i < a->n_limbs; i++) {
        uint64_t taken = (uint64_t)(i < b->n_limbs ? b->limbs[i] : 0u) + borrow;
        borrow = a->limbs[i] < taken;
        a->limbs[i] = (uint32_t)(a->limbs[i] - taken);
    }
    while (a->n_limbs > 0 && a->limbs[a->n_limbs - 1] == 0) {
        a->n_limbs--;
    }
}

unsigned big_bit_length(const big *b) {
    if (b->n_limbs == 0) {
        return 0;
    }
    return 32 * b->n_limbs - (unsigned)__builtin_clz(b->limbs[b->n_limbs - 1]);
}
