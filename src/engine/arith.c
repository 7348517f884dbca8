#include "engine/arith.h"

#include <stdbool.h>

/* ---- storage formats ------------------------------------------------------------------- */

float arith_f16_to_f32(uint16_t half) {
    uint32_t sign = (uint32_t)(half & 0x8000u) << 16;
    uint32_t exponent = (half >> 10) & 31u;
    uint32_t fraction = half & 0x3FFu;
    if (exponent == 0) { /* zero or denormal, a multiple of 2^−24: exact */
        return arith_from_bits(arith_bits((float)fraction * 0x1p-24f) | sign);
    }
    if (exponent == 31) {
        uint32_t quiet = fraction ? 0x400000u : 0;
        return arith_from_bits(sign | 0x7F800000u | quiet | fraction << 13);
    }
    return arith_from_bits(sign | (exponent + 112) << 23 | fraction << 13);
}

uint16_t arith_f32_to_f16(float x) {
    uint32_t bits = arith_bits(x);
    uint32_t sign = (bits >> 16) & 0x8000u;
    uint32_t magnitude = bits & 0x7FFFFFFFu;
    if (magnitude > 0x7F800000u) {
        return (uint16_t)(sign | 0x7E00u | (magnitude >> 13 & 0x3FFu));
    }
    if (magnitude >= 0x477FE000u) { /* 65,504 */
        return (uint16_t)(sign | 0x7BFFu);
    }
    if (magnitude < 0x38800000u) { /* below 2^−14: adding 0.5 rounds to a multiple of 2^−24 */
        float shifted = arith_from_bits(magnitude) + 0.5f;
        return (uint16_t)(sign | (arith_bits(shifted) - 0x3F000000u));
    }
    uint32_t rounded = magnitude + 0xFFFu + (magnitude >> 13 & 1u);
    return (uint16_t)(sign | (rounded - 0x38000000u) >> 13);
}

/* ---- single precision through double ------------------------------------------------------- */

float arith_log(float x) {
    return (float)arith_log64((double)x);
}
float arith_sin(float x) {
    return (float)arith_sin64((double)x);
}
float arith_cos(float x) {
    return (float)arith_cos64((double)x);
}
float arith_pow(float base, float exponent) {
    return (float)arith_pow64((double)base, (double)exponent);
}
