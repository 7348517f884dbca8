/* fma for targets without the instruction. */
#include "engine/arith.h"

#include <stdbool.h>

/* The product of two floats is exact in double. Rounding the sum to double and then to float
 * goes wrong only when the first rounding lands on a tie of the second; there the sum is rounded
 * to odd instead, which keeps the second rounding right. */
float arith_soft_fma(float a, float b, float c) {
    double product = (double)a * (double)b;
    double addend = (double)c;
    double sum = product + addend;
    uint64_t bits = arith_bits64(sum);
    bool may_tie = (bits & 0x0FFFFFFFu) == 0; /* also where the result will be a denormal */
    if (may_tie && (bits & 0x7FF0000000000000u) != 0x7FF0000000000000u) {
        double back = sum - product;
        double error = (product - (sum - back)) + (addend - back); /* exact (Knuth) */
        if (error != 0.0) { /* the last bit is 0: take the neighbour on the error's side */
            bits = (error > 0.0) == (sum > 0.0) ? bits + 1 : bits - 1;
            sum = arith_from_bits64(bits);
        }
    }
    return (float)sum;
}

/* A magnitude high·2^64 + low in units of 2^exponent. Bit 0 is sticky: it is set when bits were
 * lost below it. */
typedef struct wide {
    uint64_t high, low;
    int exponent;
} wide;

/* x is finite and not 0: *significand in [2^52, 2^53), |x| = significand · 2^result. */
static int split(double x, uint64_t *significand) {
    uint64_t bits = arith_bits64(x) & 0x7FFFFFFFFFFFFFFFu;
    int exponent = (int)(bits >> 52);
    uint64_t m = bits & 0x000FFFFFFFFFFFFFu;
    if (exponent == 0) {
        int shift = __builtin_clzll(m) - 11;
        *significand = m << shift;
        return -1074 - shift;
    }
    *significand = m | 0x0010000000000000u;
    return exponent - 1075;
}

/* m · n · 2^exponent for factors of 53 bits, held 20 places to the left: the highest bit is 124 or
 * 125. */
static wide wide_product(uint64_t m, uint64_t n, int exponent) {
    uint64_t m_low = m & 0xFFFFFFFFu;
    uint64_t m_high = m >> 32;
    uint64_t n_low = n & 0xFFFFFFFFu;
    uint64_t n_high = n >> 32;
    uint64_t low = m_low * n_low;
    uint64_t middle = m_high * n_low + (low >> 32); /* below 2^54 */
    uint64_t middle_2 = m_low * n_high + (middle & 0xFFFFFFFFu);
    uint64_t high = m_high * n_high + (middle >> 32) + (middle_2 >> 32);
    low = (low & 0xFFFFFFFFu) | middle_2 << 32;
    return (wide){high << 20 | low >> 44, low << 20, exponent - 20};
}

static wide wide_shift_right(wide x, int count) {
    if (count == 0) {
        return x;
    }
    x.exponent += count;
    if (count >= 128) {
        return (wide){0, 1, x.exponent};
    }
    uint64_t lost;
    if (count >= 64) {
        int rest = count - 64;
        lost = x.low | (rest ? x.high << (64 - rest) : 0);
        x.low = x.high >> rest;
        x.high = 0;
    } else {
        lost = x.low << (64 - count);
        x.low = x.low >> count | x.high << (64 - count);
        x.high >>= count;
    }
    x.low |= lost != 0;
    return x;
}

/* The double nearest to x, ties to even; x is not zero. */
static double wide_to_double(wide x, bool is_negative) {
    uint64_t m = x.high ? x.high : x.low;
    int zeros = __builtin_clzll(m);
    int exponent = x.exponent - zeros; /* of the lowest bit of m once it is normalised */
    m <<= zeros;
    if (x.high) {
        exponent += 64;
        m |= zeros ? x.low >> (64 - zeros) : 0;
        m |= (x.low << zeros) != 0;
    }
    int unit =
        exponent + 11 > -1074 ? exponent + 11 : -1074; /* exponent of the result's last bit */
    uint64_t sign = (uint64_t)is_negative << 63;
    if (unit > 971) {
        return arith_from_bits64(sign | 0x7FF0000000000000u);
    }
    int shift = unit - exponent;
    if (shift > 64) {
        return arith_from_bits64(sign);
    }
    uint64_t quotient = shift == 64 ? 0 : m >> shift;
    uint64_t rest = shift == 64 ? m : m << (64 - shift); /* in units of 2^−64 of the last bit */
    const uint64_t half = 0x8000000000000000u;
    quotient += rest > half || (rest == half && (quotient & 1));
    /* the implicit bit, and a quotient of 2^53, carry into the exponent, up to infinity */
    return arith_from_bits64(sign | (((uint64_t)(unit + 1074) << 52) + quotient));
}

/* The exact sum of two magnitudes with signs, rounded. */
static double wide_sum(wide a, bool a_negative, wide b, bool b_negative) {
    /* bits are lost only when one is so much larger that the sum cannot cancel */
    int distance = a.exponent - b.exponent;
    if (distance > 0) {
        b = wide_shift_right(b, distance);
    } else {
        a = wide_shift_right(a, -distance);
    }
    if (a_negative == b_negative) {
        uint64_t low = a.low + b.low;
        wide sum = {a.high + b.high + (low < a.low), low, a.exponent};
        return wide_to_double(sum, a_negative);
    }
    bool a_larger = a.high > b.high || (a.high == b.high && a.low > b.low);
    wide x = a_larger ? a : b;
    wide y = a_larger ? b : a;
    wide difference = {x.high - y.high - (x.low < y.low), x.low - y.low, x.exponent};
    if (difference.high == 0 && difference.low == 0) {
        return 0.0;
    }
    return wide_to_double(difference, a_larger ? a_negative : b_negative);
}

static bool is_finite(double x) {
    return (arith_bits64(x) & 0x7FF0000000000000u) != 0x7FF0000000000000u;
}

double arith_soft_fma64(double a, double b, double c) {
    if (!is_finite(a) || !is_finite(b) || a == 0.0 || b == 0.0) {
        return a * b + c;
    }
    if (!is_finite(c)) {
        return c + c;
    }
    if (c == 0.0) { /* not + c: a product that underflows keeps its sign */
        return a * b;
    }
    uint64_t m;
    uint64_t n;
    int exponent = split(a, &m);
    exponent += split(b, &n);
    wide product = wide_product(m, n, exponent);
    exponent = split(c, &m);
    wide addend = {m << 8, 0, exponent - 72}; /* highest bit 124 */
    return wide_sum(product, (arith_bits64(a) ^ arith_bits64(b)) >> 63, addend,
                    arith_bits64(c) >> 63);
}
