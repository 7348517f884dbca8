#include "engine/arith.h"


float arith_soft_fma(float a, float b, float c) {
    double product = (double)a * (double)b;
    double addend = (double)c;
    double sum = product + addend;
    double back = sum - product;
    double error = (product - (sum - back)) + (addend - back); /* exact: Knuth's two-sum */
    int64_t bits;
    memcpy(&bits, &sum, sizeof bits);
    int is_finite = (bits & 0x7FF0000000000000) != 0x7FF0000000000000;
    if (is_finite && error != 0.0 && (bits & 1) == 0) {
        bits += (error > 0.0) == (sum > 0.0) ? 1 : -1; /* round to odd */
        memcpy(&sum, &bits, sizeof sum);
    }
    return (float)sum;
}

float arith_f16_to_f32(uint16_t half) {
    uint32_t sign = (uint32_t)(half & 0x8000u) << 16;
    uint32_t exponent = (half >> 10) & 31u;
    uint32_t mantissa = half & 0x3FFu;
    if (exponent == 0) { /* zero or denormal: mantissa · 2^−24 is exact */
        float value = (float)mantissa * 0x1p-24f;
        return arith_from_bits(arith_bits(value) | sign);
    }
    if (exponent == 31) {
        return arith_from_bits(sign | 0x7F800000u | mantissa << 13);
    }
    return arith_from_bits(sign | (exponent + 112) << 23 | mantissa << 13);
}

uint16_t arith_f32_to_f16(float x) {
    uint32_t bits = arith_bits(x);
    uint16_t sign = (uint16_t)((bits >> 16) & 0x8000u);
    uint32_t magnitude = bits & 0x7FFFFFFFu;
    if (magnitude > 0x7F800000u) {
        return 0x7BFF; /* NaN, as the vector minimum gives it */
    }
    if (magnitude >= 0x477FE000u) {
        return (uint16_t)(sign | 0x7BFFu); /* 65,504 and above */
    }
    if (magnitude < 0x38800000u) { /* denormal half: adding 0.5 rounds to a multiple of 2^−24 */
        float shifted = arith_from_bits(magnitude) + 0.5f;
        return (uint16_t)(sign | (arith_bits(shifted) - 0x3F000000u));
    }
    uint32_t rounded = magnitude + 0xFFFu + ((magnitude >> 13) & 1u);
    return (uint16_t)(sign | ((rounded - 0x38000000u) >> 13));
}

uint16_t arith_f32_to_bf16(float x) {
    uint32_t bits = arith_bits(x);
    if ((bits & 0x7FFFFFFFu) > 0x7F800000u) {
        return (uint16_t)(bits >> 16 | 0x40u);
    }
    return (uint16_t)((bits + 0x7FFFu + ((bits >> 16) & 1u)) >> 16);
}

static double nearest(double x) {
    const double magic = 0x1.8p52;
    volatile double shifted = x + magic;
    return shifted - magic;
}

/* sin r and cos r for |r| ≤ π/4 by their series, r = high + low. */
static double sine_series(double high, double low) {
    static const double c[] = {-0x1.5555555555555p-3,  0x1.1111111111111p-7, -0x1.a01a01a01a01ap-13,
                               0x1.71de3a556c734p-19,  -0x1.ae64567f544e4p-26,
                               0x1.6124613a86d09p-33,  -0x1.ae7f3e733b81fp-41,
                               0x1.952c77030ad4ap-49};
    double square = high * high;
    double p = c[7];
    for (int i = 6; i >= 0; i--) {
        p = p * square;
        p = p + c[i];
    }
    double cube = square * high;
    double tail = cube * p;
    double scaled = 0.5 * square;
    double carried = low * (1.0 - scaled);
    return high + (tail + carried);
}

static double cosine_series(double high, double low) {
    static const double c[] = {0x1.5555555555555p-5,   -0x1.6c16c16c16c17p-10,
                               0x1.a01a01a01a01ap-16,  -0x1.27e4fb7789f5cp-22,
                               0x1.1eed8eff8d898p-29,  -0x1.93974a8c07c9dp-37,
                               0x1.ae7f3e733b81fp-45,  -0x1.6827863b97d97p-53};
    double square = high * high;
    double p = c[7];
    for (int i = 6; i >= 0; i--) {
        p = p * square;
        p = p + c[i];
    }
    double fourth = square * square;
    double half = 0.5 * square;
    double head = 1.0 - half;
    double lost = (1.0 - head) - half;
    double tail = fourth * p;
    double carried = high * low;
    return head + ((lost + tail) - carried);
}

/* x − n·π/2 in two parts; π/2 in three parts of 33 bits, exact times n < 2^20. */
static int reduce(double x, double *high, double *low) {
    double n = nearest(x * 0x1.45f306dc9c883p-1);
    double a = n * 0x1.921fb544p+0;
    double b = n * 0x1.0b4611a6p-34;
    double c = n * 0x1.3198a2e037073p-69;
    double first = x - a; /* exact */
    double sum = first - b;
    double lost = (first - sum) - b;
    double tail = lost - c;
    *high = sum + tail;
    *low = (sum - *high) + tail;
    return (int)((int64_t)n & 3);
}

double arith_sin64(double x) {
    double high;
    double low;
    int quadrant = reduce(x, &high, &low);
    double value = quadrant & 1 ? cosine_series(high, low) : sine_series(high, low);
    return quadrant & 2 ? -value : value;
}

double arith_cos64(double x) {
    double high;
    double low;
    int quadrant = reduce(x, &high, &low);
    double value = quadrant & 1 ? sine_series(high, low) : cosine_series(high, low);
    return quadrant == 1 || quadrant == 2 ? -value : value;
}

double arith_log64(double x) {
    int64_t bits;
    memcpy(&bits, &x, sizeof bits);
    if (!(x > 0.0)) {
        return x == 0.0 ? -__builtin_inf() : __builtin_nan("");
    }
    if (bits >= 0x7FF0000000000000) {
        return x;
    }
    int64_t exponent = 0;
    if (bits < 0x0010000000000000) { /* denormal */
        x = x * 0x1p54;
        memcpy(&bits, &x, sizeof bits);
        exponent = -54;
    }
    exponent += (bits >> 52) - 1023;
    bits = (bits & 0x000FFFFFFFFFFFFF) | 0x3FF0000000000000;
    double m;
    memcpy(&m, &bits, sizeof m);
    if (m > 0x1.6a09e667f3bcdp+0) {
        m = 0.5 * m;
        exponent++;
    }
    double s = (m - 1.0) / (m + 1.0); /* log m = 2 artanh s */
    double square = s * s;
    double p = 1.0 / 27.0;
    for (int k = 25; k >= 3; k -= 2) {
        p = p * square;
        p = p + 1.0 / (double)k;
    }
    double series = p * square;
    double twice = s + s;
    double tail = twice * series;
    double n = (double)exponent;
    double big = n * 0x1.62e42fefa38p-1;
    double small = n * 0x1.ef35793c7673p-45;
    return big + (twice + (tail + small));
}

double arith_exp64(double x) {
    if (!(x >= -700.0)) {
        return x != x ? x : 0.0;
    }
    if (x > 709.0) {
        return __builtin_inf();
    }
    double n = nearest(x * 0x1.71547652b82fep+0);
    double a = n * 0x1.62e42fefa38p-1;
    double b = n * 0x1.ef35793c7673p-45;
    double r = (x - a) - b;
    double p = 1.0;
    for (int k = 14; k >= 1; k--) { /* Horner form of the series */
        p = r * p;
        p = p / (double)k;
        p = p + 1.0;
    }
    int64_t bits = ((int64_t)n + 1023) << 52;
    double scale;
    memcpy(&scale, &bits, sizeof scale);
    return p * scale;
}

double arith_pow64(double base, double exponent) {
    return arith_exp64(exponent * arith_log64(base));
}
