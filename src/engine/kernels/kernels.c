#include "engine/kernels/kernels.h"

#include <string.h>

typedef struct kernel_row {
    const kernel_table *table;
    unsigned needs;
} kernel_row;

static const kernel_row kernel_rows[] = {
#if defined(__x86_64__)
    {&kernel_avx512, KERNEL_HAS_AVX2 | KERNEL_HAS_AVX512},
    {&kernel_avx2, KERNEL_HAS_AVX2},
#elif defined(__wasm__)
    {&kernel_wasm, KERNEL_HAS_WASM_FUSED},
    {&kernel_wasm_simd128, 0},
#endif
    {&kernel_scalar, 0},
};

size_t kernel_count(void) {
    return sizeof kernel_rows / sizeof kernel_rows[0];
}

const kernel_table *kernel_at(size_t index) {
    return index < kernel_count() ? kernel_rows[index].table : NULL;
}

bool kernel_usable(const kernel_table *table, unsigned features) {
    for (size_t i = 0; i < kernel_count(); i++) {
        if (kernel_rows[i].table == table) {
            return (kernel_rows[i].needs & ~features) == 0;
        }
    }
    return false;
}

const kernel_table *kernel_best(unsigned features) {
    for (size_t i = 0; i < kernel_count(); i++) {
        if (kernel_usable(kernel_rows[i].table, features)) {
            return kernel_rows[i].table;
        }
    }
    return &kernel_scalar;
}

const kernel_table *kernel_by_name(const char *name) {
    for (size_t i = 0; i < kernel_count(); i++) {
        if (strcmp(kernel_rows[i].table->name, name) == 0) {
            return kernel_rows[i].table;
        }
    }
    return NULL;
}
