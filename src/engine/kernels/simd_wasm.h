/* Basic operations on four lanes of WebAssembly SIMD, for every kernel file of that family. With
 * relaxed SIMD the fused multiply-add is an instruction, which a host may also run unfused:
 * kernel_wasm_is_fused tells. Without it the sum is exact by way of double precision.
 * Ownership: pure functions. */
#ifndef ENGINE_KERNELS_SIMD_WASM_H
#define ENGINE_KERNELS_SIMD_WASM_H

#include <stddef.h>
#include <stdint.h>
#include <wasm_simd128.h>

#define WASM_INLINE static inline __attribute__((always_inline))
/* How often the body of an inner loop stands in it. An engine that looks at the time does so at
 * each loop's head, and keeps no vector in a register across that. */
enum { LOOP_PARTS = 4 };
/* No load or store moves across: clang would hoist loads far ahead of their use, and the sixteen
 * registers of x86 would not hold them. */
#define KEEP_MEMORY() __asm__ volatile("" ::: "memory")
/* Hides where an address comes from, so that clang does not split it in two. */
#define OPAQUE(address) __asm__("" : "+r"(address))

WASM_INLINE v128_t load_4(const float *p) {
    return wasm_v128_load(p);
}

WASM_INLINE void store_4(float *p, v128_t value) {
    wasm_v128_store(p, value);
}

/* Two lanes of product + addend, where `sum` is its rounding to double: rounded to odd instead
 * where the narrowing to single might see a tie that is none; see arith_soft_fma. */
WASM_INLINE v128_t rounded_to_odd(v128_t product, v128_t addend, v128_t sum) {
    const v128_t zero = wasm_f64x2_const_splat(0.0);
    const v128_t exponent = wasm_i64x2_const_splat(0x7FF0000000000000);
    v128_t may_tie = wasm_i64x2_eq(wasm_v128_and(sum, wasm_i64x2_const_splat(0x0FFFFFFF)), zero);
    v128_t is_finite = wasm_i64x2_ne(wasm_v128_and(sum, exponent), exponent);
    v128_t back = wasm_f64x2_sub(sum, product);
    v128_t error = wasm_f64x2_add(wasm_f64x2_sub(product, wasm_f64x2_sub(sum, back)),
                                  wasm_f64x2_sub(addend, back));
    v128_t change = wasm_v128_and(wasm_f64x2_ne(error, zero), wasm_v128_and(may_tie, is_finite));
    /* away from zero where the error has the sign of the sum, else towards it */
    v128_t away = wasm_i64x2_eq(wasm_f64x2_gt(error, zero), wasm_f64x2_gt(sum, zero));
    v128_t step = wasm_v128_bitselect(wasm_i64x2_const_splat(1), wasm_i64x2_const_splat(-1), away);
    return wasm_i64x2_add(sum, wasm_v128_and(step, change));
}

WASM_INLINE v128_t promote_high(v128_t x) {
    return wasm_f64x2_promote_low_f32x4(wasm_i64x2_shuffle(x, x, 1, 1));
}

/* a·b + c rounded once, without the instruction. */
WASM_INLINE v128_t exact_fma_4(v128_t a, v128_t b, v128_t c) {
    v128_t product_low =
        wasm_f64x2_mul(wasm_f64x2_promote_low_f32x4(a), wasm_f64x2_promote_low_f32x4(b));
    v128_t product_high = wasm_f64x2_mul(promote_high(a), promote_high(b));
    v128_t c_low = wasm_f64x2_promote_low_f32x4(c);
    v128_t c_high = promote_high(c);
    v128_t low = wasm_f64x2_add(product_low, c_low);
    v128_t high = wasm_f64x2_add(product_high, c_high);
    v128_t last_words = wasm_v128_and(wasm_i32x4_shuffle(low, high, 0, 2, 4, 6),
                                      wasm_i32x4_const_splat(0x0FFFFFFF));
    if (!wasm_i32x4_all_true(last_words)) {
        low = rounded_to_odd(product_low, c_low, low);
        high = rounded_to_odd(product_high, c_high, high);
    }
    return wasm_i64x2_shuffle(wasm_f32x4_demote_f64x2_zero(low), wasm_f32x4_demote_f64x2_zero(high),
                              0, 2);
}

/* As arith_fma. */
WASM_INLINE v128_t fma_4(v128_t a, v128_t b, v128_t c) {
#if defined(__wasm_relaxed_simd__)
    return wasm_f32x4_relaxed_madd(a, b, c);
#else
    return exact_fma_4(a, b, c);
#endif
}

/* Four halves, each in the upper 16 bits of its lane, to single; exact, denormals too. The
 * multiplication moves the exponent's bias; infinities and NaN come out finite. */
WASM_INLINE v128_t widen_finite(v128_t upper_halves) {
    v128_t bits =
        wasm_v128_and(wasm_i32x4_shr(upper_halves, 3), wasm_i32x4_const_splat((int32_t)0x8FFFE000));
    return wasm_f32x4_mul(bits, wasm_f32x4_const_splat(0x1p112f));
}

/* As arith_f16_to_f32 for every input: exponent 31 becomes 255 before the multiplication. */
WASM_INLINE v128_t widen_any(v128_t upper_halves) {
    const v128_t exponent = wasm_i32x4_const_splat(0x0F800000);
    v128_t bits =
        wasm_v128_and(wasm_i32x4_shr(upper_halves, 3), wasm_i32x4_const_splat((int32_t)0x8FFFE000));
    v128_t special = wasm_i32x4_eq(wasm_v128_and(bits, exponent), exponent);
    bits = wasm_v128_or(bits, wasm_v128_and(special, wasm_i32x4_const_splat(0x7F800000)));
    return wasm_f32x4_mul(bits, wasm_f32x4_const_splat(0x1p112f));
}

/* The four 16-bit numbers at p in the upper halves of lanes. */
WASM_INLINE v128_t load_upper(const void *p) {
    v128_t raw = wasm_v128_load64_zero(p);
    return wasm_i16x8_shuffle(wasm_i64x2_const_splat(0), raw, 0, 8, 1, 9, 2, 10, 3, 11);
}

#endif
