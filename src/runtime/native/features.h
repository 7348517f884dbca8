/* Which kernels this CPU can run, as the engine's own bits. Owns nothing. */
#ifndef RUNTIME_NATIVE_FEATURES_H
#define RUNTIME_NATIVE_FEATURES_H

#include "platform/platform.h"

/* KERNEL_HAS_… bits for kernel_best and kernel_find. */
unsigned native_kernel_features(const platform_cpu_info *cpu);

#endif
