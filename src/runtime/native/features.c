#include "runtime/native/features.h"

#include "engine/kernels/kernels.h"

unsigned native_kernel_features(const platform_cpu_info *cpu) {
    unsigned features = 0;
    features |= cpu->avx2 && cpu->fma && cpu->f16c ? KERNEL_HAS_AVX2 : 0;
    features |= cpu->avx512 && cpu->avx512_vnni ? KERNEL_HAS_AVX512 : 0;
    features |= cpu->neon && cpu->dotprod ? KERNEL_HAS_NEON_DOT : 0;
    return features;
}
