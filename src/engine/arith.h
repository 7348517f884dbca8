/* The engine's own mathematics: the same operations, hence the same bits, on every target
 * (arithmetic.md rules 1 to 4). Only + − · / sqrt and fma; never libm. The lane-wise forms in
 * kernels/vector_math_*.h repeat these operations one for one. Ownership: pure functions. */
#ifndef ENGINE_ARITH_H
#define ENGINE_ARITH_H

#include <stdint.h>
#include <string.h>

static inline uint32_t arith_bits(float x) {
    uint32_t bits;
    memcpy(&bits, &x, sizeof bits);
    return bits;
}

static inline float arith_from_bits(uint32_t bits) {
    float x;
    memcpy(&x, &bits, sizeof x);
    return x;
}

/* Exact a·b + c rounded once, for targets without the instruction: the product of two floats is
 * exact in double; the sum is rounded to odd, so that narrowing it rounds correctly. */
float arith_soft_fma(float a, float b, float c);

static inline float arith_fma(float a, float b, float c) {
#if defined(__FMA__) || defined(__aarch64__)
    return __builtin_fmaf(a, b, c);
#else
    return arith_soft_fma(a, b, c);
#endif
}

static inline float arith_sqrt(float x) { return __builtin_sqrtf(x); }

/* Nearest integer, ties to even; |x| < 2^22. */
static inline int32_t arith_round_half_even(float x) {
    const float magic = 0x1.8p23f;
    volatile float shifted = x + magic; /* volatile: the rounding must happen */
    return (int32_t)(shifted - magic);
}

/* e^x; 0 below −87, the value at 88 above. NaN gives 0. */
static inline float arith_exp(float x) {
    if (!(x >= -87.0f)) {
        return 0.0f;
    }
    x = x < 88.0f ? x : 88.0f;
    float shifted = arith_fma(x, 0x1.715476p+0f, 0x1.8p23f);
    float n = shifted - 0x1.8p23f;
    float r = arith_fma(n, -0x1.62e4p-1f, x); /* ln 2 in two parts, the first exact times n */
    r = arith_fma(n, -0x1.7f7d1cp-20f, r);
    float p = 0x1.6850e4p-10f; /* (e^r − 1 − r) / r² on |r| ≤ ln 2 / 2, minimax */
    p = arith_fma(p, r, 0x1.123bccp-7f);
    p = arith_fma(p, r, 0x1.555b98p-5f);
    p = arith_fma(p, r, 0x1.55548ep-3f);
    p = arith_fma(p, r, 0x1.fffff8p-2f);
    float square = r * r;
    float e = arith_fma(p, square, r) + 1.0f;
    uint32_t scale = (uint32_t)((int32_t)n + 127) << 23;
    return e * arith_from_bits(scale);
}

static inline float arith_sigmoid(float x) { return 1.0f / (1.0f + arith_exp(-x)); }
static inline float arith_silu(float x) { return x / (1.0f + arith_exp(-x)); }

/* Near 0 an odd polynomial, else 1 − 2 / (e^{2|x|} + 1) with x's sign. */
static inline float arith_tanh(float x) {
    float magnitude = arith_from_bits(arith_bits(x) & 0x7FFFFFFFu);
    float square = x * x;
    float p = -0x1.75e074p-8f;
    p = arith_fma(p, square, 0x1.522648p-6f);
    p = arith_fma(p, square, -0x1.b83c5cp-5f);
    p = arith_fma(p, square, 0x1.1107b0p-3f);
    p = arith_fma(p, square, -0x1.55552ep-2f);
    float cube = square * x;
    float near = arith_fma(p, cube, x);
    float far = 1.0f - 2.0f / (arith_exp(magnitude + magnitude) + 1.0f);
    far = arith_from_bits(arith_bits(far) | (arith_bits(x) & 0x80000000u));
    return magnitude < 0.625f ? near : far;
}

/* Near 0 an odd polynomial, else 1 − erfc by a rational argument (Numerical Recipes § 6.2),
 * absolute error below 2e−7. */
static inline float arith_erf(float x) {
    float magnitude = arith_from_bits(arith_bits(x) & 0x7FFFFFFFu);
    float t = 1.0f / arith_fma(0.5f, magnitude, 1.0f);
    float p = 0.17087277f;
    p = arith_fma(p, t, -0.82215223f);
    p = arith_fma(p, t, 1.48851587f);
    p = arith_fma(p, t, -1.13520398f);
    p = arith_fma(p, t, 0.27886807f);
    p = arith_fma(p, t, -0.18628806f);
    p = arith_fma(p, t, 0.09678418f);
    p = arith_fma(p, t, 0.37409196f);
    p = arith_fma(p, t, 1.00002368f);
    p = arith_fma(p, t, -1.26551223f);
    float far = 1.0f - t * arith_exp(arith_fma(-magnitude, magnitude, p));
    far = arith_from_bits(arith_bits(far) | (arith_bits(x) & 0x80000000u));
    float square = x * x; /* 2/√π · Σ (−1)^k x^{2k+1} / (k! (2k+1)) */
    float q = 1.2055333e-4f;
    q = arith_fma(q, square, -0x1.c02db4p-11f);
    q = arith_fma(q, square, 0x1.565bccp-8f);
    q = arith_fma(q, square, -0x1.b82ce4p-6f);
    q = arith_fma(q, square, 0x1.ce2f22p-4f);
    q = arith_fma(q, square, -0x1.812746p-2f);
    q = arith_fma(q, square, 0x1.20dd76p+0f);
    float near = q * x;
    return magnitude < 0.5f ? near : far;
}

static inline float arith_gelu_erf(float x) {
    float e = arith_erf(x * 0x1.6a09e6p-1f);
    float half = 0.5f * x;
    return half * (1.0f + e);
}

static inline float arith_gelu_tanh(float x) {
    float square = x * x;
    float inner = arith_fma(0.044715f, square, 1.0f) * x;
    float e = arith_tanh(0x1.988454p-1f * inner);
    float half = 0.5f * x;
    return half * (1.0f + e);
}

/* Double precision, without fma so that every target gives the same bits cheaply: positions and
 * frequencies only. |x| ≤ 2^20 for sine and cosine. */
double arith_sin64(double x);
double arith_cos64(double x);
double arith_exp64(double x);
double arith_log64(double x);
double arith_pow64(double base, double exponent);

/* Exact widening; narrowing to nearest even, saturating at ±65,504 (also from infinity; NaN gives
 * 65,504). */
float arith_f16_to_f32(uint16_t half);
uint16_t arith_f32_to_f16(float x);
static inline float arith_bf16_to_f32(uint16_t bits) { return arith_from_bits((uint32_t)bits << 16); }
/* To nearest even; NaN stays NaN. */
uint16_t arith_f32_to_bf16(float x);

#endif
