/* Exponentials, logarithms, powers and hyperbolic functions in double precision. */
#include "engine/arith.h"
#include "engine/arith_double_tables.h"
#include "engine/arith_pair.h"

#include <stdbool.h>

#define INFINITE __builtin_inf()
#define NOT_A_NUMBER __builtin_nan("")
#define SIGN_BIT (UINT64_C(1) << 63)

static double absolute(double x) {
    return arith_from_bits64(arith_bits64(x) & ~SIGN_BIT);
}

/* a, which has no sign, with the sign of x. */
static double with_sign(double a, double x) {
    return arith_from_bits64(arith_bits64(a) | (arith_bits64(x) & SIGN_BIT));
}

/* ---- exponential ------------------------------------------------------------------------- */

/* x · 2^exponent, rounded once; |exponent| ≤ 1100 and x is near 1. */
static double scale(double x, int exponent) {
    int half = exponent / 2;
    double first = arith_from_bits64((uint64_t)(1023 + half) << 52);
    double second = arith_from_bits64((uint64_t)(1023 + exponent - half) << 52);
    return x * first * second;
}

/* e^(x.high + x.low) = result · 2^*exponent with an error near 2^−60; |x.high| < 750. */
static pair exp_pair(pair x, int *exponent) {
    double n = (x.high * DOUBLE_EXP_STEPS + 0x1.8p52) - 0x1.8p52; /* nearest integer */
    double high = x.high - n * DOUBLE_EXP_STEP_HIGH;              /* exact */
    pair r = pair_sum(high, x.low - n * DOUBLE_EXP_STEP_LOW);
    double p = r.high * DOUBLE_EXP_4 + DOUBLE_EXP_3;
    p = r.high * p + DOUBLE_EXP_2;
    p = r.high * p + DOUBLE_EXP_1;
    p = r.high * p + DOUBLE_EXP_0;
    double tail = r.high + (r.low + (r.high * r.high) * p); /* e^r − 1 */
    int steps = (int)n + (1 << 17);                         /* not negative */
    const double *power = double_exp_table[steps % 64];
    *exponent = steps / 64 - (1 << 11);
    return pair_fast_sum(power[0], power[1] + power[0] * tail);
}

double arith_exp64(double x) {
    if (!(x < 709.8)) {
        return x != x ? x : INFINITE;
    }
    if (x < -745.2) {
        return 0.0;
    }
    int exponent;
    pair e = exp_pair((pair){x, 0.0}, &exponent);
    return scale(e.high, exponent);
}

/* ---- logarithm --------------------------------------------------------------------------- */

/* log(x.high + x.low) with a relative error near 2^−68; x.high is positive, finite and normal, and
 * below 2^1000 unless x.low is 0. `exponent` is added to that of x. */
static pair log_pair(pair x, int exponent) {
    uint64_t bits = arith_bits64(x.high);
    uint64_t offset = bits + (UINT64_C(0x4000000000000000) - DOUBLE_LOG_LOW_BITS);
    int k = (int)(offset >> 52) - 0x400;
    const double *row = double_log_table[offset >> 45 & 127];
    double m = arith_from_bits64(bits - ((uint64_t)(int64_t)k << 52));
    double m_low = x.low == 0.0 ? 0.0 : x.low * arith_from_bits64((uint64_t)(1023 - k) << 52);
    double m_head = arith_from_bits64(arith_bits64(m) & ~UINT64_C(0x7FFFFFF));
    double first = m_head * row[0] - 1.0;  /* exact, 26 bits times 12 */
    double second = (m - m_head) * row[0]; /* exact */
    pair r = pair_sum(first, second);
    r = pair_fast_sum(r.high, r.low + m_low * row[0]);
    double p = r.high * DOUBLE_LOG_5 + DOUBLE_LOG_4;
    p = r.high * p + DOUBLE_LOG_3;
    p = r.high * p + DOUBLE_LOG_2;
    p = r.high * p + DOUBLE_LOG_1;
    p = r.high * p + DOUBLE_LOG_0;
    pair square = pair_product(r.high, r.high);
    double tail = square.high * r.high * p;
    tail = tail + (r.low - r.high * r.low);
    tail = tail - 0.5 * square.low;
    double n = (double)(k + exponent);
    double head = n * DOUBLE_LN2_HIGH + row[1]; /* exact */
    tail = tail + (n * DOUBLE_LN2_LOW + row[2]);
    pair sum = pair_sum(head, r.high);
    pair sum_2 = pair_sum(sum.high, -0.5 * square.high);
    return pair_fast_sum(sum_2.high, sum_2.low + (sum.low + tail));
}

/* log_pair of a positive finite double, denormals included. */
static pair log_of(double x) {
    return x < 0x1p-1022 ? log_pair((pair){x * 0x1p54, 0.0}, -54) : log_pair((pair){x, 0.0}, 0);
}

double arith_log64(double x) {
    if (!(x > 0.0)) {
        return x == 0.0 ? -INFINITE : x != x ? x : NOT_A_NUMBER;
    }
    return x == INFINITE ? x : log_of(x).high;
}

/* ---- power --------------------------------------------------------------------------------- */

typedef enum parity { PARITY_NONE, PARITY_EVEN, PARITY_ODD } parity;

/* PARITY_NONE when the magnitude, which is not NaN, is no integer. */
static parity parity_of(double magnitude) {
    if (magnitude >= 0x1p53) {
        return PARITY_EVEN;
    }
    int64_t n = (int64_t)magnitude;
    if ((double)n != magnitude) {
        return PARITY_NONE;
    }
    return n & 1 ? PARITY_ODD : PARITY_EVEN;
}

/* magnitude^exponent for a positive finite magnitude and an exponent that is neither 0 nor NaN. */
static double pow_positive(double magnitude, double exponent) {
    double size = absolute(exponent);
    if (magnitude == 1.0 || size < 0x1p-65) {
        return 1.0;
    }
    if (size > 0x1p65) { /* |log magnitude| is at least 2^−54 */
        return (magnitude > 1.0) == (exponent > 0.0) ? INFINITE : 0.0;
    }
    pair logarithm = log_of(magnitude);
    pair product = pair_product(exponent, logarithm.high);
    product = pair_fast_sum(product.high, product.low + exponent * logarithm.low);
    if (product.high > 709.9) {
        return INFINITE;
    }
    if (product.high < -745.3) {
        return 0.0;
    }
    int power;
    pair e = exp_pair(product, &power);
    return scale(e.high, power);
}

double arith_pow64(double base, double exponent) {
    if (exponent == 0.0 || base == 1.0) {
        return 1.0;
    }
    if (base != base || exponent != exponent) {
        return base + exponent;
    }
    double magnitude = absolute(base);
    parity kind = parity_of(absolute(exponent));
    bool has_sign = arith_bits64(base) >> 63;
    double result;
    if (magnitude == 0.0 || magnitude == INFINITE) {
        result = (magnitude > 1.0) == (exponent > 0.0) ? INFINITE : 0.0;
    } else if (has_sign && kind == PARITY_NONE) {
        return NOT_A_NUMBER;
    } else {
        result = pow_positive(magnitude, exponent);
    }
    return has_sign && kind == PARITY_ODD ? -result : result;
}

/* ---- hyperbolic functions ---------------------------------------------------------------- */

/* e^a for 0 ≤ a ≤ 40 */
static pair exp_moderate(double a) {
    int exponent;
    pair e = exp_pair((pair){a, 0.0}, &exponent);
    return (pair){scale(e.high, exponent), scale(e.low, exponent)};
}

/* e^a / 2 for 40 < a, where e^−a no longer counts; a may be infinite. */
static double half_exp(double a) {
    if (a > 711.0) {
        return INFINITE;
    }
    int exponent;
    pair e = exp_pair((pair){a, 0.0}, &exponent);
    return scale(e.high, exponent - 1);
}

double arith_sinh64(double x) {
    double a = absolute(x);
    if (a < 0.35) {
        double z = a * a;
        double p = z * DOUBLE_SINH_5 + DOUBLE_SINH_4;
        p = z * p + DOUBLE_SINH_3;
        p = z * p + DOUBLE_SINH_2;
        p = z * p + DOUBLE_SINH_1;
        p = z * p + DOUBLE_SINH_0;
        return with_sign(a + a * (z * p), x);
    }
    if (!(a <= 40.0)) {
        return a != a ? x : with_sign(half_exp(a), x);
    }
    pair e = exp_moderate(a);
    pair inverse = pair_quotient((pair){1.0, 0.0}, e);
    pair sum = pair_sum(e.high, -inverse.high);
    return with_sign(0.5 * (sum.high + (sum.low + (e.low - inverse.low))), x);
}

double arith_cosh64(double x) {
    double a = absolute(x);
    if (!(a <= 40.0)) {
        return a != a ? a : half_exp(a);
    }
    pair e = exp_moderate(a);
    pair inverse = pair_quotient((pair){1.0, 0.0}, e);
    pair sum = pair_sum(e.high, inverse.high);
    return 0.5 * (sum.high + (sum.low + (e.low + inverse.low)));
}

double arith_tanh64(double x) {
    double a = absolute(x);
    if (a < 0.35) {
        double z = a * a;
        double p = z * DOUBLE_TANH_9 + DOUBLE_TANH_8;
        p = z * p + DOUBLE_TANH_7;
        p = z * p + DOUBLE_TANH_6;
        p = z * p + DOUBLE_TANH_5;
        p = z * p + DOUBLE_TANH_4;
        p = z * p + DOUBLE_TANH_3;
        p = z * p + DOUBLE_TANH_2;
        p = z * p + DOUBLE_TANH_1;
        p = z * p + DOUBLE_TANH_0;
        return with_sign(a + a * (z * p), x);
    }
    if (!(a < 20.0)) { /* 1 − tanh 20 is below 2^−56 */
        return a != a ? x : with_sign(1.0, x);
    }
    pair e = exp_moderate(a + a); /* tanh a = 1 − 2 / (e^2a + 1) */
    pair divisor = pair_sum(e.high, 1.0);
    divisor = pair_fast_sum(divisor.high, divisor.low + e.low);
    pair part = pair_quotient((pair){2.0, 0.0}, divisor);
    pair sum = pair_sum(1.0, -part.high);
    return with_sign(sum.high + (sum.low - part.low), x);
}

double arith_acosh64(double x) {
    if (!(x >= 1.0)) {
        return x != x ? x : NOT_A_NUMBER;
    }
    if (x == 1.0 || x == INFINITE) {
        return x == 1.0 ? 0.0 : x;
    }
    if (x > 0x1p28) { /* log 2x: the next term is 1 / 4x² */
        pair logarithm = log_of(x);
        pair sum = pair_sum(logarithm.high, DOUBLE_LN2_PAIR_HIGH);
        return sum.high + (sum.low + (logarithm.low + DOUBLE_LN2_PAIR_LOW));
    }
    pair square = pair_product(x, x);
    pair difference = pair_sum(square.high, -1.0);
    difference = pair_fast_sum(difference.high, difference.low + square.low);
    double root = arith_sqrt64(difference.high);
    pair back = pair_product(root, root);
    double rest = (difference.high - back.high) - back.low;
    double root_low = (rest + difference.low) / (root + root);
    pair sum = pair_sum(x, root);
    return log_pair(pair_fast_sum(sum.high, sum.low + root_low), 0).high;
}

double arith_atanh64(double x) {
    double a = absolute(x);
    if (!(a < 1.0)) {
        return a == 1.0 ? with_sign(INFINITE, x) : a != a ? x : NOT_A_NUMBER;
    }
    if (a < 0x1p-28) { /* the next term, a³ / 3, is below half a unit */
        return x;
    }
    pair ratio = pair_quotient(pair_sum(1.0, a), pair_sum(1.0, -a));
    return with_sign(0.5 * log_pair(ratio, 0).high, x);
}
