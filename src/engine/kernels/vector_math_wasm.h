/* The lane-wise functions of arith.h on four floats with WebAssembly SIMD, operation for
 * operation: equal to the scalar ones for every input (a NaN is a NaN, its payload is not defined).
 * Ownership: pure functions. */
#ifndef ENGINE_KERNELS_VECTOR_MATH_WASM_H
#define ENGINE_KERNELS_VECTOR_MATH_WASM_H

#include "engine/arith_coefficients.h"
#include "engine/kernels/simd_wasm.h"

/* p·x + c */
WASM_INLINE v128_t vector_step(v128_t p, v128_t x, float c) {
    return fma_4(p, x, wasm_f32x4_splat(c));
}

/* y, which is not negative, with the sign of x. */
WASM_INLINE v128_t vector_with_sign(v128_t y, v128_t x) {
    return wasm_v128_or(y, wasm_v128_and(wasm_f32x4_const_splat(-0.0f), x));
}

/* As arith_exp_core: pmin(x, c) is c < x ? c : x. */
WASM_INLINE v128_t vector_exp_core(v128_t x) {
    const v128_t magic = wasm_f32x4_const_splat(0x1.8p23f);
    x = wasm_f32x4_pmin(x, wasm_f32x4_const_splat(88.0f));
    v128_t shifted = fma_4(x, wasm_f32x4_const_splat(ARITH_LOG2_E), magic);
    v128_t n = wasm_f32x4_sub(shifted, magic);
    v128_t r = fma_4(n, wasm_f32x4_const_splat(-ARITH_LN2_HIGH), x);
    r = fma_4(n, wasm_f32x4_const_splat(-ARITH_LN2_LOW), r);
    v128_t p = vector_step(wasm_f32x4_const_splat(ARITH_EXP_4), r, ARITH_EXP_3);
    p = vector_step(p, r, ARITH_EXP_2);
    p = vector_step(p, r, ARITH_EXP_1);
    p = vector_step(p, r, ARITH_EXP_0);
    p = vector_step(p, r, 1.0f);
    p = vector_step(p, r, 1.0f);
    v128_t scale = wasm_i32x4_add(wasm_i32x4_shl(shifted, 23), wasm_i32x4_const_splat(0x3F800000));
    return wasm_f32x4_mul(p, scale);
}

WASM_INLINE v128_t vector_exp(v128_t x) {
    v128_t is_small = wasm_f32x4_lt(x, wasm_f32x4_const_splat(-87.0f));
    return wasm_v128_andnot(vector_exp_core(x), is_small);
}

WASM_INLINE v128_t vector_silu(v128_t x) {
    v128_t e = vector_exp(wasm_f32x4_neg(x));
    return wasm_f32x4_div(x, wasm_f32x4_add(wasm_f32x4_const_splat(1.0f), e));
}

WASM_INLINE v128_t vector_erf(v128_t x) {
    v128_t a = wasm_f32x4_abs(x);
    v128_t w = fma_4(a, a, wasm_f32x4_const_splat(-0.6875f));
    v128_t p = vector_step(wasm_f32x4_const_splat(ARITH_ERF_NEAR_7), w, ARITH_ERF_NEAR_6);
    p = vector_step(p, w, ARITH_ERF_NEAR_5);
    p = vector_step(p, w, ARITH_ERF_NEAR_4);
    p = vector_step(p, w, ARITH_ERF_NEAR_3);
    p = vector_step(p, w, ARITH_ERF_NEAR_2);
    p = vector_step(p, w, ARITH_ERF_NEAR_1);
    p = vector_step(p, w, ARITH_ERF_NEAR_0);
    v128_t near = fma_4(p, a, a);
    v128_t t = wasm_f32x4_sub(wasm_f32x4_pmin(a, wasm_f32x4_const_splat(4.0f)),
                              wasm_f32x4_const_splat(1.1875f));
    v128_t q = vector_step(wasm_f32x4_const_splat(ARITH_ERF_FAR_6), t, ARITH_ERF_FAR_5);
    q = vector_step(q, t, ARITH_ERF_FAR_4);
    q = vector_step(q, t, ARITH_ERF_FAR_3);
    q = vector_step(q, t, ARITH_ERF_FAR_2);
    q = vector_step(q, t, ARITH_ERF_FAR_1);
    q = vector_step(q, t, ARITH_ERF_FAR_0);
    v128_t far = wasm_f32x4_sub(wasm_f32x4_const_splat(1.0f), vector_exp_core(q));
    v128_t is_near = wasm_f32x4_lt(a, wasm_f32x4_const_splat(1.1875f));
    return vector_with_sign(wasm_v128_bitselect(near, far, is_near), x);
}

WASM_INLINE v128_t vector_gelu_erf(v128_t x) {
    v128_t half = wasm_f32x4_mul(wasm_f32x4_const_splat(0.5f), x);
    v128_t e = vector_erf(wasm_f32x4_mul(x, wasm_f32x4_const_splat(ARITH_SQRT_HALF)));
    return fma_4(half, e, half);
}

WASM_INLINE v128_t vector_gelu_tanh(v128_t x) {
    v128_t z = wasm_f32x4_mul(x, x);
    v128_t w =
        wasm_f32x4_mul(x, vector_step(wasm_f32x4_const_splat(ARITH_GELU_3), z, ARITH_GELU_1));
    return wasm_f32x4_div(x, wasm_f32x4_add(wasm_f32x4_const_splat(1.0f), vector_exp(w)));
}

/* As arith_f32_to_f16, the halves in 32-bit lanes. */
WASM_INLINE v128_t vector_narrow_f16(v128_t x) {
    const v128_t infinity = wasm_i32x4_const_splat(0x7F800000);
    v128_t sign = wasm_v128_and(wasm_u32x4_shr(x, 16), wasm_i32x4_const_splat(0x8000));
    v128_t magnitude = wasm_v128_and(x, wasm_i32x4_const_splat(0x7FFFFFFF));
    v128_t is_nan = wasm_i32x4_gt(magnitude, infinity);
    v128_t nan =
        wasm_v128_or(wasm_v128_and(wasm_u32x4_shr(magnitude, 13), wasm_i32x4_const_splat(0x3FF)),
                     wasm_i32x4_const_splat(0x7E00));
    magnitude = wasm_i32x4_min(magnitude, wasm_i32x4_const_splat(0x477FE000));
    v128_t is_small = wasm_i32x4_lt(magnitude, wasm_i32x4_const_splat(0x38800000));
    v128_t small = wasm_i32x4_sub(wasm_f32x4_add(magnitude, wasm_f32x4_const_splat(0.5f)),
                                  wasm_i32x4_const_splat(0x3F000000));
    v128_t odd = wasm_v128_and(wasm_u32x4_shr(magnitude, 13), wasm_i32x4_const_splat(1));
    v128_t rounded =
        wasm_i32x4_add(wasm_i32x4_add(magnitude, wasm_i32x4_const_splat(0xFFF - 0x38000000)), odd);
    v128_t half = wasm_v128_bitselect(small, wasm_u32x4_shr(rounded, 13), is_small);
    return wasm_v128_or(sign, wasm_v128_bitselect(nan, half, is_nan));
}

#endif
