/* The CPU's features as kernel bits, for tests. */
#ifndef TESTS_KERNEL_FEATURES_H
#define TESTS_KERNEL_FEATURES_H

#include "engine/kernels/kernels.h"

static inline unsigned test_kernel_features(void) {
    unsigned features = 0;
#if defined(__x86_64__)
    __builtin_cpu_init();
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") &&
        __builtin_cpu_supports("bmi2")) {
        features |= KERNEL_HAS_AVX2; /* every such CPU has F16C too */
    }
    if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
        __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq") &&
        __builtin_cpu_supports("avx512vnni")) {
        features |= KERNEL_HAS_AVX512;
    }
#elif defined(__wasm__)
    if (kernel_wasm_is_fused()) {
        features |= KERNEL_HAS_WASM_FUSED;
    }
#endif
    return features;
}

#endif
