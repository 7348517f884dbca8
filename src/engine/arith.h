/* The engine's own mathematics: the same operations in the same order, hence the same bits, on
 * every target (arithmetic.md rules 1 to 4). Only + − · / sqrt and fma; never libm. Needs no
 * particular instruction set: where there is no fma instruction an exact software fma replaces it.
 *
 * The functions defined in this header are lane-wise: both sides of each choice may be computed,
 * and kernels/vector_math_*.h repeat them operation for operation on vectors. The others are
 * evaluated in double precision and rounded once.
 *
 * Not a number: every function gives NaN for NaN. The sign and payload of a NaN result are
 * unspecified, because instruction sets differ in them; it is never hashed (rule 5).
 * Ownership: pure functions without state. They expect round to nearest and denormals kept. */
#ifndef ENGINE_ARITH_H
#define ENGINE_ARITH_H

#include "engine/arith_coefficients.h"

#include <stdint.h>

/* ---- bits ------------------------------------------------------------------------------ */

static inline uint32_t arith_bits(float x) {
    union {
        float value;
        uint32_t bits;
    } u = {.value = x};
    return u.bits;
}

static inline float arith_from_bits(uint32_t bits) {
    union {
        uint32_t bits;
        float value;
    } u = {.bits = bits};
    return u.value;
}

static inline uint64_t arith_bits64(double x) {
    union {
        double value;
        uint64_t bits;
    } u = {.value = x};
    return u.bits;
}

static inline double arith_from_bits64(uint64_t bits) {
    union {
        uint64_t bits;
        double value;
    } u = {.bits = bits};
    return u.value;
}

static inline float arith_abs(float x) {
    return arith_from_bits(arith_bits(x) & 0x7FFFFFFFu);
}

/* The magnitude of x with the sign of `sign`; x must not be negative. */
static inline float arith_with_sign(float x, float sign) {
    return arith_from_bits(arith_bits(x) | (arith_bits(sign) & 0x80000000u));
}

/* ---- basic operations ------------------------------------------------------------------ */

/* a·b + c rounded once, by integer arithmetic or a wider format; slow and exact, also for
 * denormals and overflow. Equal to the instruction. */
float arith_soft_fma(float a, float b, float c);
double arith_soft_fma64(double a, double b, double c);

#if defined(__FMA__) || defined(__aarch64__) || defined(__NVPTX__)
#define ARITH_HAS_FMA 1 /* the instruction, for this translation unit */
static inline float arith_fma(float a, float b, float c) {
    return __builtin_fmaf(a, b, c);
}
static inline double arith_fma64(double a, double b, double c) {
    return __builtin_fma(a, b, c);
}
#elif defined(__wasm_relaxed_simd__)
/* Fused where the host has fma or runs deterministically; whoever starts the module checks it. */
#define ARITH_HAS_FMA 1
typedef float arith_f32x4 __attribute__((vector_size(16)));
typedef double arith_f64x2 __attribute__((vector_size(16)));
static inline float arith_fma(float a, float b, float c) {
    arith_f32x4 x = {a, a, a, a};
    arith_f32x4 y = {b, b, b, b};
    arith_f32x4 z = {c, c, c, c};
    return __builtin_wasm_relaxed_madd_f32x4(x, y, z)[0];
}
static inline double arith_fma64(double a, double b, double c) {
    arith_f64x2 x = {a, a};
    arith_f64x2 y = {b, b};
    arith_f64x2 z = {c, c};
    return __builtin_wasm_relaxed_madd_f64x2(x, y, z)[0];
}
#else
static inline float arith_fma(float a, float b, float c) {
    return arith_soft_fma(a, b, c);
}
static inline double arith_fma64(double a, double b, double c) {
    return arith_soft_fma64(a, b, c);
}
#endif

/* With -fno-math-errno these are the instruction; no library is called. */
static inline float arith_sqrt(float x) {
    return __builtin_sqrtf(x);
}
static inline double arith_sqrt64(double x) {
    return __builtin_sqrt(x);
}

/* The nearest integer, ties to even; saturates at the ends of int32_t, NaN gives 0. */
static inline int32_t arith_round_half_even(float x) {
    float magnitude = arith_abs(x);
    if (!(magnitude < 0x1p31f)) {
        return x > 0.0f ? INT32_MAX : x < 0.0f ? INT32_MIN : 0;
    }
    if (magnitude < 0x1p23f) { /* at 2^23 the unit in the last place is 1 */
        magnitude = (magnitude + 0x1p23f) - 0x1p23f;
    }
    int32_t n = (int32_t)magnitude;
    return x < 0.0f ? -n : n;
}

/* ---- storage formats ------------------------------------------------------------------- */

/* Widening is exact; a signalling NaN of f16 becomes quiet, as the instructions do it. */
float arith_f16_to_f32(uint16_t half);
/* Narrowing to nearest even; beyond the largest finite value (infinities included) it saturates
 * at ±65,504; NaN stays NaN with the high bits of its payload. */
uint16_t arith_f32_to_f16(float x);

static inline float arith_bf16_to_f32(uint16_t bits) {
    return arith_from_bits((uint32_t)bits << 16);
}

/* To nearest even, overflowing to infinity; NaN stays NaN. */
static inline uint16_t arith_f32_to_bf16(float x) {
    uint32_t bits = arith_bits(x);
    if ((bits & 0x7FFFFFFFu) > 0x7F800000u) {
        return (uint16_t)(bits >> 16 | 0x40u);
    }
    return (uint16_t)((bits + 0x7FFFu + ((bits >> 16) & 1u)) >> 16);
}

/* ---- single precision, lane-wise -------------------------------------------------------- */

/* e^x for −87 ≤ x; x above 88 counts as 88. */
static inline float arith_exp_core(float x) {
    x = x > 88.0f ? 88.0f : x;
    float shifted = arith_fma(x, ARITH_LOG2_E, 0x1.8p23f); /* n in the lowest bits */
    float n = shifted - 0x1.8p23f;
    float r = arith_fma(n, -ARITH_LN2_HIGH, x); /* exact: n has 8 bits, LN2_HIGH 15 */
    r = arith_fma(n, -ARITH_LN2_LOW, r);
    float p = arith_fma(ARITH_EXP_4, r, ARITH_EXP_3);
    p = arith_fma(p, r, ARITH_EXP_2);
    p = arith_fma(p, r, ARITH_EXP_1);
    p = arith_fma(p, r, ARITH_EXP_0);
    p = arith_fma(p, r, 1.0f);
    p = arith_fma(p, r, 1.0f);
    return p * arith_from_bits((arith_bits(shifted) << 23) + 0x3F800000u); /* 2^n is normal */
}

/* e^x within 1 ulp for −87 ≤ x ≤ 88; 0 below, e^88 above. */
static inline float arith_exp(float x) {
    return x < -87.0f ? 0.0f : arith_exp_core(x);
}

/* 1 / (1 + e^−x) */
static inline float arith_sigmoid(float x) {
    return 1.0f / (1.0f + arith_exp(-x));
}

/* x / (1 + e^−x); −∞ gives −∞, because e^88 is the largest divisor. */
static inline float arith_silu(float x) {
    return x / (1.0f + arith_exp(-x));
}

/* Within 1 ulp. Below 1 an odd polynomial, else 1 − 2 / (e^2a + 1). */
static inline float arith_tanh(float x) {
    float a = arith_abs(x);
    float z = a * a;
    float p = arith_fma(ARITH_TANH_6, z, ARITH_TANH_5);
    p = arith_fma(p, z, ARITH_TANH_4);
    p = arith_fma(p, z, ARITH_TANH_3);
    p = arith_fma(p, z, ARITH_TANH_2);
    p = arith_fma(p, z, ARITH_TANH_1);
    p = arith_fma(p, z, ARITH_TANH_0);
    float near = arith_fma(p * z, a, a);
    float far = 1.0f - 2.0f / (arith_exp_core(a + a) + 1.0f);
    return arith_with_sign(a < 1.0f ? near : far, x);
}

/* Within 1 ulp. Below 1.1875 a polynomial in a² − 0.6875 times a, else 1 − e^P(a). */
static inline float arith_erf(float x) {
    float a = arith_abs(x);
    float w = arith_fma(a, a, -0.6875f);
    float p = arith_fma(ARITH_ERF_NEAR_7, w, ARITH_ERF_NEAR_6);
    p = arith_fma(p, w, ARITH_ERF_NEAR_5);
    p = arith_fma(p, w, ARITH_ERF_NEAR_4);
    p = arith_fma(p, w, ARITH_ERF_NEAR_3);
    p = arith_fma(p, w, ARITH_ERF_NEAR_2);
    p = arith_fma(p, w, ARITH_ERF_NEAR_1);
    p = arith_fma(p, w, ARITH_ERF_NEAR_0);
    float near = arith_fma(p, a, a);
    float t = (a > 4.0f ? 4.0f : a) - 1.1875f; /* erf is 1 from 3.92 */
    float q = arith_fma(ARITH_ERF_FAR_6, t, ARITH_ERF_FAR_5);
    q = arith_fma(q, t, ARITH_ERF_FAR_4);
    q = arith_fma(q, t, ARITH_ERF_FAR_3);
    q = arith_fma(q, t, ARITH_ERF_FAR_2);
    q = arith_fma(q, t, ARITH_ERF_FAR_1);
    q = arith_fma(q, t, ARITH_ERF_FAR_0);
    float far = 1.0f - arith_exp_core(q);
    return arith_with_sign(a < 1.1875f ? near : far, x);
}

/* x (1 + erf(x / √2)) / 2; NaN for −∞. */
static inline float arith_gelu_erf(float x) {
    float half = 0.5f * x;
    return arith_fma(half, arith_erf(x * ARITH_SQRT_HALF), half);
}

/* x (1 + tanh(√(2/π) (x + 0.044715 x³))) / 2, evaluated as x / (1 + e^−2(…)), which is the same
 * function without the cancellation; −∞ gives −∞ as in silu. */
static inline float arith_gelu_tanh(float x) {
    float z = x * x;
    float w = x * arith_fma(ARITH_GELU_3, z, ARITH_GELU_1);
    return x / (1.0f + arith_exp(w));
}

/* ---- single precision, through double; within 0.51 ulp ----------------------------------- */

float arith_log(float x); /* −∞ for ±0, NaN for x < 0 */
float arith_sin(float x); /* NaN for ±∞; reduction is exact for any finite x */
float arith_cos(float x);
float arith_pow(float base, float exponent); /* special cases as arith_pow64 */

/* ---- double precision, within 1 ulp ------------------------------------------------------ */

double arith_exp64(double x); /* with overflow to ∞ and gradual underflow */
double arith_log64(double x); /* −∞ for ±0, NaN for x < 0 */
/* Special cases as in C17 annex F: pow(x, ±0) = pow(1, y) = 1 even for NaN, NaN for a negative
 * base with an exponent that is no integer. */
double arith_pow64(double base, double exponent);
double arith_sin64(double x); /* NaN for ±∞; reduction is exact for any finite x */
double arith_cos64(double x);
double arith_tan64(double x);
double arith_atan2_64(double y, double x); /* zeros and infinities as in C17 annex F */
double arith_sinh64(double x);
double arith_cosh64(double x);
double arith_tanh64(double x);
double arith_acosh64(double x); /* NaN for x < 1 */
double arith_atanh64(double x); /* ±∞ for ±1, NaN beyond */

#endif
