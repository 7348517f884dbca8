/* Sine, cosine, tangent and the angle of a point in double precision. */
#include "engine/arith.h"
#include "engine/arith_double_tables.h"
#include "engine/arith_pair.h"

#include <stdbool.h>

#define INFINITE __builtin_inf()

static double absolute(double x) {
    return arith_from_bits64(arith_bits64(x) & 0x7FFFFFFFFFFFFFFFu);
}

static bool is_negative(double x) {
    return arith_bits64(x) >> 63;
}

static bool is_finite(double x) {
    return absolute(x) < INFINITE;
}

/* ---- reduction ----------------------------------------------------------------------------- */

/* An angle as rest + quadrant · π/2 with |rest| ≤ π/4 (and a little more). */
typedef struct reduced {
    pair rest;
    unsigned quadrant; /* 0 … 3 */
} reduced;

enum { WINDOW_WORDS = 6 };

/* (m · window) mod 2^192, words of 32 bits, the lowest first. */
static void multiply_window(uint64_t m, const uint32_t *window, uint32_t *product) {
    uint64_t carry = 0;
    for (int i = 0; i < WINDOW_WORDS; i++) {
        uint64_t term = (m & 0xFFFFFFFFu) * window[i] + carry;
        product[i] = (uint32_t)term;
        carry = term >> 32;
    }
    carry = 0;
    for (int i = 0; i + 1 < WINDOW_WORDS; i++) {
        uint64_t term = (m >> 32) * window[i] + product[i + 1] + carry;
        product[i + 1] = (uint32_t)term;
        carry = term >> 32;
    }
}

/* The first 106 digits, from the first that is 1, of a fraction of 192 binary places. */
static pair fraction_to_pair(const uint32_t *words) {
    int top = WINDOW_WORDS - 1;
    while (top > 3 && words[top] == 0) {
        top--;
    }
    int zeros = words[top] ? __builtin_clz(words[top]) : 31;
    uint64_t high = (uint64_t)words[top] << 32 | words[top - 1];
    uint64_t low = (uint64_t)words[top - 2] << 32 | words[top - 3];
    if (zeros) {
        high = high << zeros | low >> (64 - zeros);
        low <<= zeros;
    }
    double first = (double)(high >> 11);                        /* 53 bits, exact */
    double second = (double)((high & 0x7FF) << 42 | low >> 22); /* the next 53 */
    int exponent = 32 * (top + 1 - WINDOW_WORDS) - zeros;
    double unit = arith_from_bits64((uint64_t)(1023 - 53 + exponent) << 52);
    return (pair){first * unit, second * (unit * 0x1p-53)};
}

/* Any finite |x| ≥ 2^20 (Payne and Hanek): x · 2/π modulo 4 to 137 places, from those digits of
 * 2/π alone that matter. */
static reduced reduce_large(double x) {
    uint64_t bits = arith_bits64(x);
    int exponent = (int)(bits >> 52 & 0x7FF) - 1075; /* |x| = m · 2^exponent */
    uint64_t m = (bits & 0x000FFFFFFFFFFFFFu) | 0x0010000000000000u;
    /* digit j of 2/π, times m · 2^exponent, is a multiple of 4 for j ≤ exponent − 2; digit 1
     * follows the table's 64 zeros */
    unsigned start = (unsigned)(exponent - 2 + 64);
    uint32_t window[WINDOW_WORDS];
    for (unsigned i = 0; i < WINDOW_WORDS; i++) {
        const uint32_t *at = double_two_over_pi + start / 32 + i;
        uint64_t two = (uint64_t)at[0] << 32 | at[1];
        window[WINDOW_WORDS - 1 - i] = (uint32_t)(two << start % 32 >> 32);
    }
    uint32_t product[WINDOW_WORDS]; /* two digits before the point, 190 after it */
    multiply_window(m, window, product);
    uint32_t *top = &product[WINDOW_WORDS - 1];
    unsigned quadrant = *top >> 30;
    bool above_half = *top >> 29 & 1;
    if (above_half) { /* 1 − fraction; the unit of 2^−190 that is missing does not count */
        quadrant++;
        for (int i = 0; i < WINDOW_WORDS; i++) {
            product[i] = ~product[i];
        }
    }
    *top &= 0x3FFFFFFFu;
    pair f = fraction_to_pair(product);
    f = (pair){f.high * 4.0, f.low * 4.0};
    pair rest = pair_product(f.high, 0.5 * DOUBLE_PI_HIGH);
    double low = f.high * (0.5 * DOUBLE_PI_LOW) + f.low * (0.5 * DOUBLE_PI_HIGH);
    rest = pair_fast_sum(rest.high, rest.low + low);
    if (above_half != is_negative(x)) {
        rest = (pair){-rest.high, -rest.low};
    }
    return (reduced){rest, (is_negative(x) ? 8 - quadrant : quadrant) & 3};
}

/* x is finite. */
static reduced reduce(double x) {
    double a = absolute(x);
    if (a <= 0x1.921fbp-1) {
        return (reduced){{x, 0.0}, 0};
    }
    if (a >= 0x1p20) {
        return reduce_large(x);
    }
    double n = (x * DOUBLE_TWO_OVER_PI + 0x1.8p52) - 0x1.8p52; /* nearest integer, below 2^20 */
    double first = x - n * DOUBLE_HALF_PI_0;                   /* exact, as are the products */
    pair sum = pair_sum(first, -(n * DOUBLE_HALF_PI_1));
    pair sum_2 = pair_sum(sum.high, -(n * DOUBLE_HALF_PI_2));
    pair tail = pair_sum(sum.low, sum_2.low);
    pair rest = pair_sum(sum_2.high, tail.high);
    rest = pair_fast_sum(rest.high, rest.low + (tail.low - n * DOUBLE_HALF_PI_3));
    return (reduced){rest, (unsigned)((int32_t)n + (1 << 22)) & 3};
}

/* ---- sine, cosine, tangent ----------------------------------------------------------------- */

/* sin(r), |r| ≤ π/4, with an error near 2^−55 */
static pair sine(pair r) {
    double z = r.high * r.high;
    double p = z * DOUBLE_SIN_6 + DOUBLE_SIN_5;
    p = z * p + DOUBLE_SIN_4;
    p = z * p + DOUBLE_SIN_3;
    p = z * p + DOUBLE_SIN_2;
    p = z * p + DOUBLE_SIN_1;
    p = z * p + DOUBLE_SIN_0;
    double tail = r.high * (z * p);
    return pair_fast_sum(r.high, tail + r.low * (1.0 - 0.5 * z));
}

/* cos(r), |r| ≤ π/4, with an error near 2^−56 */
static pair cosine(pair r) {
    pair z = pair_product(r.high, r.high);
    double p = z.high * DOUBLE_COS_5 + DOUBLE_COS_4;
    p = z.high * p + DOUBLE_COS_3;
    p = z.high * p + DOUBLE_COS_2;
    p = z.high * p + DOUBLE_COS_1;
    p = z.high * p + DOUBLE_COS_0;
    pair head = pair_fast_sum(1.0, -0.5 * z.high);
    double tail = (z.high * z.high) * p;
    tail = tail - (0.5 * z.low + r.high * r.low);
    return pair_fast_sum(head.high, head.low + tail);
}

double arith_sin64(double x) {
    if (!is_finite(x)) {
        return x - x;
    }
    if (absolute(x) < 0x1p-27) { /* also keeps the sign of zero */
        return x;
    }
    reduced angle = reduce(x);
    double value = angle.quadrant & 1 ? cosine(angle.rest).high : sine(angle.rest).high;
    return angle.quadrant & 2 ? -value : value;
}

double arith_cos64(double x) {
    if (!is_finite(x)) {
        return x - x;
    }
    if (absolute(x) < 0x1p-27) {
        return 1.0;
    }
    reduced angle = reduce(x);
    double value = angle.quadrant & 1 ? sine(angle.rest).high : cosine(angle.rest).high;
    return angle.quadrant == 1 || angle.quadrant == 2 ? -value : value;
}

double arith_tan64(double x) {
    if (!is_finite(x)) {
        return x - x;
    }
    if (absolute(x) < 0x1p-27) {
        return x;
    }
    reduced angle = reduce(x);
    pair s = sine(angle.rest);
    pair c = cosine(angle.rest);
    if (angle.quadrant & 1) {
        return -pair_quotient(c, s).high;
    }
    return pair_quotient(s, c).high;
}

/* ---- angle of a point ---------------------------------------------------------------------- */

/* atan(y / x) for 0 < y ≤ x, both of moderate size: atan(c) + atan((y − c·x) / (x + c·y)) with c
 * the nearest multiple of 1/16 to y / x. */
static pair arc_tangent(double y, double x) {
    int i = (int)(16.0 * (y / x) + 0.5);
    double c = (double)i * 0.0625;
    pair cx = pair_product(c, x);
    pair cy = pair_product(c, y);
    pair above = pair_sum(y, -cx.high);
    pair below = pair_sum(x, cy.high);
    pair t = pair_quotient(pair_fast_sum(above.high, above.low - cx.low),
                           pair_fast_sum(below.high, below.low + cy.low));
    double z = t.high * t.high;
    double p = z * DOUBLE_ATAN_4 + DOUBLE_ATAN_3;
    p = z * p + DOUBLE_ATAN_2;
    p = z * p + DOUBLE_ATAN_1;
    p = z * p + DOUBLE_ATAN_0;
    double tail = t.low + t.high * (z * p);
    pair sum = pair_sum(double_atan_table[i][0], t.high);
    return pair_fast_sum(sum.high, sum.low + (double_atan_table[i][1] + tail));
}

/* The angle of a point with y ≥ 0 where one coordinate is 0 or infinite. */
static double angle_at_limit(double y, double x) {
    const double pi = DOUBLE_PI_HIGH;
    if (y == INFINITE) {
        return x == INFINITE ? 0.25 * pi : x == -INFINITE ? 0.75 * pi : 0.5 * pi;
    }
    if (y == 0.0 || !is_finite(x)) {
        return is_negative(x) ? pi : 0.0;
    }
    return 0.5 * pi;
}

/* The angle of a point with finite coordinates y > 0, x ≠ 0. */
static double angle_of(double y, double x) {
    double a = absolute(x);
    int y_exponent = (int)(arith_bits64(y) >> 52);
    int x_exponent = (int)(arith_bits64(a) >> 52);
    if (y_exponent - x_exponent > 64) {
        return 0.5 * DOUBLE_PI_HIGH;
    }
    if (x_exponent - y_exponent > 64) {
        return x < 0.0 ? DOUBLE_PI_HIGH : y / a;
    }
    /* to the middle of the range: exact */
    double factor = y_exponent > 1023 + 200 ? 0x1p-700 : y_exponent < 1023 - 200 ? 0x1p700 : 1.0;
    y *= factor;
    a *= factor;
    bool is_steep = y > a;
    pair angle = is_steep ? arc_tangent(a, y) : arc_tangent(y, a);
    if (is_steep) { /* across π/4 */
        pair sum = pair_sum(0.5 * DOUBLE_PI_HIGH, -angle.high);
        angle = pair_fast_sum(sum.high, sum.low + (0.5 * DOUBLE_PI_LOW - angle.low));
    }
    if (x < 0.0) { /* across π/2 */
        pair sum = pair_sum(DOUBLE_PI_HIGH, -angle.high);
        angle = pair_fast_sum(sum.high, sum.low + (DOUBLE_PI_LOW - angle.low));
    }
    return angle.high;
}

double arith_atan2_64(double y, double x) {
    if (x != x || y != y) {
        return x + y;
    }
    double a = absolute(y);
    bool at_limit = a == 0.0 || x == 0.0 || !is_finite(a) || !is_finite(x);
    double angle = at_limit ? angle_at_limit(a, x) : angle_of(a, x);
    return is_negative(y) ? -angle : angle;
}
