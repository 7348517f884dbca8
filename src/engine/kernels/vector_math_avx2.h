/* The lane-wise functions of arith.h on eight floats with AVX2 and FMA, operation for operation:
 * equal to the scalar ones for every input (a NaN is a NaN, its payload is not defined).
 * Ownership: pure functions, for callers compiled for AVX2, FMA and F16C. */
#ifndef ENGINE_KERNELS_VECTOR_MATH_AVX2_H
#define ENGINE_KERNELS_VECTOR_MATH_AVX2_H

#include "engine/arith_coefficients.h"

#include <immintrin.h>

#define VECTOR_AVX2 static inline __attribute__((always_inline, target("avx2,fma,f16c"))) __m256

/* p·x + c */
VECTOR_AVX2 vector_step_avx2(__m256 p, __m256 x, float c) {
    return _mm256_fmadd_ps(p, x, _mm256_set1_ps(c));
}

VECTOR_AVX2 vector_abs_avx2(__m256 x) {
    return _mm256_andnot_ps(_mm256_set1_ps(-0.0f), x);
}

VECTOR_AVX2 vector_negate_avx2(__m256 x) {
    return _mm256_xor_ps(_mm256_set1_ps(-0.0f), x);
}

/* y, which is not negative, with the sign of x. */
VECTOR_AVX2 vector_with_sign_avx2(__m256 y, __m256 x) {
    return _mm256_or_ps(y, _mm256_and_ps(_mm256_set1_ps(-0.0f), x));
}

/* As arith_exp_core. The minimum gives its second operand when one is NaN. */
VECTOR_AVX2 vector_exp_core_avx2(__m256 x) {
    const __m256 magic = _mm256_set1_ps(0x1.8p23f);
    x = _mm256_min_ps(_mm256_set1_ps(88.0f), x);
    __m256 shifted = _mm256_fmadd_ps(x, _mm256_set1_ps(ARITH_LOG2_E), magic);
    __m256 n = _mm256_sub_ps(shifted, magic);
    __m256 r = _mm256_fmadd_ps(n, _mm256_set1_ps(-ARITH_LN2_HIGH), x);
    r = _mm256_fmadd_ps(n, _mm256_set1_ps(-ARITH_LN2_LOW), r);
    __m256 p = vector_step_avx2(_mm256_set1_ps(ARITH_EXP_4), r, ARITH_EXP_3);
    p = vector_step_avx2(p, r, ARITH_EXP_2);
    p = vector_step_avx2(p, r, ARITH_EXP_1);
    p = vector_step_avx2(p, r, ARITH_EXP_0);
    p = vector_step_avx2(p, r, 1.0f);
    p = vector_step_avx2(p, r, 1.0f);
    __m256i scale = _mm256_slli_epi32(_mm256_castps_si256(shifted), 23);
    scale = _mm256_add_epi32(scale, _mm256_set1_epi32(0x3F800000));
    return _mm256_mul_ps(p, _mm256_castsi256_ps(scale));
}

VECTOR_AVX2 vector_exp_avx2(__m256 x) {
    __m256 keep = _mm256_cmp_ps(x, _mm256_set1_ps(-87.0f), _CMP_NLT_UQ);
    return _mm256_and_ps(keep, vector_exp_core_avx2(x));
}

VECTOR_AVX2 vector_sigmoid_avx2(__m256 x) {
    const __m256 one = _mm256_set1_ps(1.0f);
    return _mm256_div_ps(one, _mm256_add_ps(one, vector_exp_avx2(vector_negate_avx2(x))));
}

VECTOR_AVX2 vector_silu_avx2(__m256 x) {
    __m256 e = vector_exp_avx2(vector_negate_avx2(x));
    return _mm256_div_ps(x, _mm256_add_ps(_mm256_set1_ps(1.0f), e));
}

VECTOR_AVX2 vector_tanh_avx2(__m256 x) {
    const __m256 one = _mm256_set1_ps(1.0f);
    __m256 a = vector_abs_avx2(x);
    __m256 z = _mm256_mul_ps(a, a);
    __m256 p = vector_step_avx2(_mm256_set1_ps(ARITH_TANH_6), z, ARITH_TANH_5);
    p = vector_step_avx2(p, z, ARITH_TANH_4);
    p = vector_step_avx2(p, z, ARITH_TANH_3);
    p = vector_step_avx2(p, z, ARITH_TANH_2);
    p = vector_step_avx2(p, z, ARITH_TANH_1);
    p = vector_step_avx2(p, z, ARITH_TANH_0);
    __m256 near = _mm256_fmadd_ps(_mm256_mul_ps(p, z), a, a);
    __m256 e = vector_exp_core_avx2(_mm256_add_ps(a, a));
    __m256 part = _mm256_div_ps(_mm256_set1_ps(2.0f), _mm256_add_ps(e, one));
    __m256 far = _mm256_sub_ps(one, part);
    __m256 is_near = _mm256_cmp_ps(a, one, _CMP_LT_OQ);
    return vector_with_sign_avx2(_mm256_blendv_ps(far, near, is_near), x);
}

VECTOR_AVX2 vector_erf_avx2(__m256 x) {
    const __m256 one = _mm256_set1_ps(1.0f);
    __m256 a = vector_abs_avx2(x);
    __m256 w = _mm256_fmadd_ps(a, a, _mm256_set1_ps(-0.6875f));
    __m256 p = vector_step_avx2(_mm256_set1_ps(ARITH_ERF_NEAR_7), w, ARITH_ERF_NEAR_6);
    p = vector_step_avx2(p, w, ARITH_ERF_NEAR_5);
    p = vector_step_avx2(p, w, ARITH_ERF_NEAR_4);
    p = vector_step_avx2(p, w, ARITH_ERF_NEAR_3);
    p = vector_step_avx2(p, w, ARITH_ERF_NEAR_2);
    p = vector_step_avx2(p, w, ARITH_ERF_NEAR_1);
    p = vector_step_avx2(p, w, ARITH_ERF_NEAR_0);
    __m256 near = _mm256_fmadd_ps(p, a, a);
    __m256 t = _mm256_sub_ps(_mm256_min_ps(_mm256_set1_ps(4.0f), a), _mm256_set1_ps(1.1875f));
    __m256 q = vector_step_avx2(_mm256_set1_ps(ARITH_ERF_FAR_6), t, ARITH_ERF_FAR_5);
    q = vector_step_avx2(q, t, ARITH_ERF_FAR_4);
    q = vector_step_avx2(q, t, ARITH_ERF_FAR_3);
    q = vector_step_avx2(q, t, ARITH_ERF_FAR_2);
    q = vector_step_avx2(q, t, ARITH_ERF_FAR_1);
    q = vector_step_avx2(q, t, ARITH_ERF_FAR_0);
    __m256 far = _mm256_sub_ps(one, vector_exp_core_avx2(q));
    __m256 is_near = _mm256_cmp_ps(a, _mm256_set1_ps(1.1875f), _CMP_LT_OQ);
    return vector_with_sign_avx2(_mm256_blendv_ps(far, near, is_near), x);
}

VECTOR_AVX2 vector_gelu_erf_avx2(__m256 x) {
    __m256 half = _mm256_mul_ps(_mm256_set1_ps(0.5f), x);
    __m256 e = vector_erf_avx2(_mm256_mul_ps(x, _mm256_set1_ps(ARITH_SQRT_HALF)));
    return _mm256_fmadd_ps(half, e, half);
}

VECTOR_AVX2 vector_gelu_tanh_avx2(__m256 x) {
    __m256 z = _mm256_mul_ps(x, x);
    __m256 w = _mm256_mul_ps(x, vector_step_avx2(_mm256_set1_ps(ARITH_GELU_3), z, ARITH_GELU_1));
    return _mm256_div_ps(x, _mm256_add_ps(_mm256_set1_ps(1.0f), vector_exp_avx2(w)));
}

/* As arith_f16_to_f32 on eight halves. */
VECTOR_AVX2 vector_widen_f16_avx2(__m128i halves) {
    return _mm256_cvtph_ps(halves);
}

/* As arith_f32_to_f16: saturated, NaN kept. */
static inline __attribute__((always_inline, target("avx2,fma,f16c"))) __m128i
vector_narrow_f16_avx2(__m256 x) {
    x = _mm256_min_ps(_mm256_set1_ps(65504.0f), x);
    x = _mm256_max_ps(_mm256_set1_ps(-65504.0f), x);
    return _mm256_cvtps_ph(x, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
}

#endif
