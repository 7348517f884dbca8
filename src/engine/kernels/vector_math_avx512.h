/* The lane-wise functions of arith.h on sixteen floats with AVX-512, operation for operation:
 * equal to the scalar ones for every input (a NaN is a NaN, its payload is not defined).
 * Ownership: pure functions, for callers compiled for AVX-512 F, BW, VL and DQ. */
#ifndef ENGINE_KERNELS_VECTOR_MATH_AVX512_H
#define ENGINE_KERNELS_VECTOR_MATH_AVX512_H

#include "engine/arith_coefficients.h"

#include <immintrin.h>

#define VECTOR_AVX512                                                                              \
    static inline                                                                                  \
        __attribute__((always_inline, target("avx512f,avx512bw,avx512vl,avx512dq"))) __m512

/* p·x + c */
VECTOR_AVX512 vector_step_avx512(__m512 p, __m512 x, float c) {
    return _mm512_fmadd_ps(p, x, _mm512_set1_ps(c));
}

VECTOR_AVX512 vector_abs_avx512(__m512 x) {
    return _mm512_andnot_ps(_mm512_set1_ps(-0.0f), x);
}

VECTOR_AVX512 vector_negate_avx512(__m512 x) {
    return _mm512_xor_ps(_mm512_set1_ps(-0.0f), x);
}

/* y, which is not negative, with the sign of x. */
VECTOR_AVX512 vector_with_sign_avx512(__m512 y, __m512 x) {
    return _mm512_or_ps(y, _mm512_and_ps(_mm512_set1_ps(-0.0f), x));
}

/* As arith_exp_core. The minimum gives its second operand when one is NaN. */
VECTOR_AVX512 vector_exp_core_avx512(__m512 x) {
    const __m512 magic = _mm512_set1_ps(0x1.8p23f);
    x = _mm512_min_ps(_mm512_set1_ps(88.0f), x);
    __m512 shifted = _mm512_fmadd_ps(x, _mm512_set1_ps(ARITH_LOG2_E), magic);
    __m512 n = _mm512_sub_ps(shifted, magic);
    __m512 r = _mm512_fmadd_ps(n, _mm512_set1_ps(-ARITH_LN2_HIGH), x);
    r = _mm512_fmadd_ps(n, _mm512_set1_ps(-ARITH_LN2_LOW), r);
    __m512 p = vector_step_avx512(_mm512_set1_ps(ARITH_EXP_4), r, ARITH_EXP_3);
    p = vector_step_avx512(p, r, ARITH_EXP_2);
    p = vector_step_avx512(p, r, ARITH_EXP_1);
    p = vector_step_avx512(p, r, ARITH_EXP_0);
    p = vector_step_avx512(p, r, 1.0f);
    p = vector_step_avx512(p, r, 1.0f);
    __m512i scale = _mm512_slli_epi32(_mm512_castps_si512(shifted), 23);
    scale = _mm512_add_epi32(scale, _mm512_set1_epi32(0x3F800000));
    return _mm512_mul_ps(p, _mm512_castsi512_ps(scale));
}

VECTOR_AVX512 vector_exp_avx512(__m512 x) {
    __mmask16 keep = _mm512_cmp_ps_mask(x, _mm512_set1_ps(-87.0f), _CMP_NLT_UQ);
    return _mm512_maskz_mov_ps(keep, vector_exp_core_avx512(x));
}

VECTOR_AVX512 vector_sigmoid_avx512(__m512 x) {
    const __m512 one = _mm512_set1_ps(1.0f);
    return _mm512_div_ps(one, _mm512_add_ps(one, vector_exp_avx512(vector_negate_avx512(x))));
}

VECTOR_AVX512 vector_silu_avx512(__m512 x) {
    __m512 e = vector_exp_avx512(vector_negate_avx512(x));
    return _mm512_div_ps(x, _mm512_add_ps(_mm512_set1_ps(1.0f), e));
}

VECTOR_AVX512 vector_tanh_avx512(__m512 x) {
    const __m512 one = _mm512_set1_ps(1.0f);
    __m512 a = vector_abs_avx512(x);
    __m512 z = _mm512_mul_ps(a, a);
    __m512 p = vector_step_avx512(_mm512_set1_ps(ARITH_TANH_6), z, ARITH_TANH_5);
    p = vector_step_avx512(p, z, ARITH_TANH_4);
    p = vector_step_avx512(p, z, ARITH_TANH_3);
    p = vector_step_avx512(p, z, ARITH_TANH_2);
    p = vector_step_avx512(p, z, ARITH_TANH_1);
    p = vector_step_avx512(p, z, ARITH_TANH_0);
    __m512 near = _mm512_fmadd_ps(_mm512_mul_ps(p, z), a, a);
    __m512 e = vector_exp_core_avx512(_mm512_add_ps(a, a));
    __m512 part = _mm512_div_ps(_mm512_set1_ps(2.0f), _mm512_add_ps(e, one));
    __m512 far = _mm512_sub_ps(one, part);
    __mmask16 is_near = _mm512_cmp_ps_mask(a, one, _CMP_LT_OQ);
    return vector_with_sign_avx512(_mm512_mask_blend_ps(is_near, far, near), x);
}

VECTOR_AVX512 vector_erf_avx512(__m512 x) {
    const __m512 one = _mm512_set1_ps(1.0f);
    __m512 a = vector_abs_avx512(x);
    __m512 w = _mm512_fmadd_ps(a, a, _mm512_set1_ps(-0.6875f));
    __m512 p = vector_step_avx512(_mm512_set1_ps(ARITH_ERF_NEAR_7), w, ARITH_ERF_NEAR_6);
    p = vector_step_avx512(p, w, ARITH_ERF_NEAR_5);
    p = vector_step_avx512(p, w, ARITH_ERF_NEAR_4);
    p = vector_step_avx512(p, w, ARITH_ERF_NEAR_3);
    p = vector_step_avx512(p, w, ARITH_ERF_NEAR_2);
    p = vector_step_avx512(p, w, ARITH_ERF_NEAR_1);
    p = vector_step_avx512(p, w, ARITH_ERF_NEAR_0);
    __m512 near = _mm512_fmadd_ps(p, a, a);
    __m512 t = _mm512_sub_ps(_mm512_min_ps(_mm512_set1_ps(4.0f), a), _mm512_set1_ps(1.1875f));
    __m512 q = vector_step_avx512(_mm512_set1_ps(ARITH_ERF_FAR_6), t, ARITH_ERF_FAR_5);
    q = vector_step_avx512(q, t, ARITH_ERF_FAR_4);
    q = vector_step_avx512(q, t, ARITH_ERF_FAR_3);
    q = vector_step_avx512(q, t, ARITH_ERF_FAR_2);
    q = vector_step_avx512(q, t, ARITH_ERF_FAR_1);
    q = vector_step_avx512(q, t, ARITH_ERF_FAR_0);
    __m512 far = _mm512_sub_ps(one, vector_exp_core_avx512(q));
    __mmask16 is_near = _mm512_cmp_ps_mask(a, _mm512_set1_ps(1.1875f), _CMP_LT_OQ);
    return vector_with_sign_avx512(_mm512_mask_blend_ps(is_near, far, near), x);
}

VECTOR_AVX512 vector_gelu_erf_avx512(__m512 x) {
    __m512 half = _mm512_mul_ps(_mm512_set1_ps(0.5f), x);
    __m512 e = vector_erf_avx512(_mm512_mul_ps(x, _mm512_set1_ps(ARITH_SQRT_HALF)));
    return _mm512_fmadd_ps(half, e, half);
}

VECTOR_AVX512 vector_gelu_tanh_avx512(__m512 x) {
    __m512 z = _mm512_mul_ps(x, x);
    __m512 w = _mm512_mul_ps(x, vector_step_avx512(_mm512_set1_ps(ARITH_GELU_3), z, ARITH_GELU_1));
    return _mm512_div_ps(x, _mm512_add_ps(_mm512_set1_ps(1.0f), vector_exp_avx512(w)));
}

/* As arith_f16_to_f32 on sixteen halves. */
VECTOR_AVX512 vector_widen_f16_avx512(__m256i halves) {
    return _mm512_cvtph_ps(halves);
}

/* As arith_f32_to_f16: saturated, NaN kept. The masked form, because the plain one is a macro with
 * an implicit conversion in gcc without optimisation. */
static inline __attribute__((always_inline, target("avx512f,avx512bw,avx512vl,avx512dq"))) __m256i
vector_narrow_f16_avx512(__m512 x) {
    x = _mm512_min_ps(_mm512_set1_ps(65504.0f), x);
    x = _mm512_max_ps(_mm512_set1_ps(-65504.0f), x);
    return _mm512_maskz_cvtps_ph(0xFFFF, x, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
}

#endif
