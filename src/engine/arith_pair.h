/* Numbers of about 106 bits as an unevaluated sum of two doubles, for the last steps of the double
 * precision functions. Every operation here is exact or has a relative error near 2^−104; results
 * do not depend on whether the target has an fma instruction. Ownership: plain values. */
#ifndef ENGINE_ARITH_PAIR_H
#define ENGINE_ARITH_PAIR_H

#include "engine/arith.h"

typedef struct pair {
    double high, low; /* |low| is at most about half a unit in the last place of high */
} pair;

/* a + b exactly (Knuth). */
static inline pair pair_sum(double a, double b) {
    double sum = a + b;
    double back = sum - a;
    return (pair){sum, (a - (sum - back)) + (b - back)};
}

/* a + b exactly, for |a| ≥ |b| or a = 0 (Dekker). */
static inline pair pair_fast_sum(double a, double b) {
    double sum = a + b;
    return (pair){sum, b - (sum - a)};
}

/* a · b exactly, unless it overflows or its low part underflows; |a|, |b| < 2^900. */
static inline pair pair_product(double a, double b) {
    double product = a * b;
#if defined(ARITH_HAS_FMA)
    return (pair){product, arith_fma64(a, b, -product)};
#else
    double a_scaled = a * 0x1.0000002p27; /* Veltkamp's split into halves of 26 bits */
    double a_high = a_scaled - (a_scaled - a);
    double a_low = a - a_high;
    double b_scaled = b * 0x1.0000002p27;
    double b_high = b_scaled - (b_scaled - b);
    double b_low = b - b_high;
    double error = a_high * b_high - product;
    error = error + a_high * b_low;
    error = error + a_low * b_high;
    return (pair){product, error + a_low * b_low};
#endif
}

/* a / b for pairs. */
static inline pair pair_quotient(pair a, pair b) {
    double quotient = a.high / b.high;
    pair back = pair_product(quotient, b.high);
    double rest = a.high - back.high;
    rest = rest - back.low;
    rest = rest + a.low;
    rest = rest - quotient * b.low;
    return pair_fast_sum(quotient, rest / b.high);
}

#endif
