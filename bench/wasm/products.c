/* Times one kernel's matrix product, for compare.py:
 *
 *   products TABLE TYPE COLUMNS ROWS TOKENS MILLISECONDS
 *
 * Prints nanoseconds for one product, the median of samples over the given time. */
#include "engine/kernels/kernels.h"
#include "engine/pack.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { SAMPLES_MAX = 100000 };
static double samples[SAMPLES_MAX];

static double now_ns(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return 1e9 * (double)t.tv_sec + (double)t.tv_nsec;
}

static int by_value(const void *a, const void *b) {
    double x = *(const double *)a;
    double y = *(const double *)b;
    return (x > y) - (x < y);
}

static void *memory_of(size_t size_bytes) {
    void *memory = aligned_alloc(64, (size_bytes + 63) / 64 * 64);
    if (!memory) {
        fprintf(stderr, "products: no memory for %zu bytes\n", size_bytes);
        exit(1);
    }
    return memory;
}

/* Random bytes whose 16-bit halves are all finite and normal as half-precision scales, as in
 * models; denormals would be measured otherwise. */
static void fill(uint8_t *bytes, size_t count) {
    uint32_t state = 1;
    for (size_t i = 0; i < count; i++) {
        state = state * 1664525u + 1013904223u;
        bytes[i] = (uint8_t)((state >> 24 & 0x3Bu) | 0x04u);
    }
}

static activations make_activations(const kernel_table *k, uint32_t block, size_t tokens,
                                    size_t columns) {
    activations in = {.n_tokens = tokens,
                      .n_columns = columns,
                      .x_stride = columns,
                      .q_stride = (columns + 63) / 64 * 64,
                      .block_stride = columns / 32,
                      .sum16_stride = columns / 16};
    float *x = memory_of(tokens * columns * sizeof(float));
    int8_t *q = memory_of(tokens * in.q_stride);
    float *d = memory_of(tokens * in.block_stride * sizeof(float));
    float *ds = memory_of(tokens * in.block_stride * sizeof(float));
    int32_t *sums = memory_of(tokens * in.block_stride * sizeof(int32_t));
    int16_t *sums16 = memory_of(tokens * in.sum16_stride * sizeof(int16_t));
    for (size_t i = 0; i < tokens * columns; i++) {
        x[i] = (float)(int)(i * 2654435761u % 2001) / 1000.0f - 1.0f;
    }
    for (size_t t = 0; t < tokens; t++) {
        if (block == 32) {
            k->quantize_32(x + t * columns, columns, q + t * in.q_stride, d + t * in.block_stride,
                           ds + t * in.block_stride, sums + t * in.block_stride);
        } else if (block == 256) {
            k->quantize_256(x + t * columns, columns, q + t * in.q_stride, d + t * in.block_stride,
                            sums16 + t * in.sum16_stride);
        }
    }
    in.x = x;
    in.q = q;
    in.d = d;
    in.ds = ds;
    in.sums = sums;
    in.sums16 = sums16;
    return in;
}

static bool is_named(uint32_t type, const char *name) {
    const tensor_type_info *info = tensor_type_get(type);
    return info && info->name && strcmp(info->name, name) == 0; /* numbers out of use have none */
}

int main(int argc, char **argv) {
    const kernel_table *k = argc == 7 ? kernel_by_name(argv[1]) : NULL;
    uint32_t type = 0;
    while (k && type < KERNEL_TYPES && !is_named(type, argv[2])) {
        type++;
    }
    if (!k || type == KERNEL_TYPES || !k->matmul[type]) {
        fprintf(stderr, "usage: products TABLE TYPE COLUMNS ROWS TOKENS MILLISECONDS\n");
        return 2;
    }
    size_t columns = (size_t)strtoull(argv[3], NULL, 10);
    size_t groups = (size_t)strtoull(argv[4], NULL, 10) / 16;
    size_t tokens = (size_t)strtoull(argv[5], NULL, 10);
    double budget_ns = 1e6 * strtod(argv[6], NULL);
    uint64_t group_bytes = 0;
    if (groups == 0 || tokens == 0 || !pack_group_bytes(type, columns, &group_bytes)) {
        fprintf(stderr, "products: these columns, rows or tokens make no product\n");
        return 2;
    }
    activations in = make_activations(k, tensor_type_get(type)->activation_block, tokens, columns);
    uint8_t *weights = memory_of(groups * (size_t)group_bytes);
    fill(weights, groups * (size_t)group_bytes);
    matmul_task task = {.weights = weights,
                        .group_bytes = (size_t)group_bytes,
                        .group_end = groups,
                        .in = &in,
                        .token_end = tokens,
                        .out = memory_of(tokens * groups * 16 * sizeof(float)),
                        .out_stride = groups * 16};
    k->matmul[type](&task);
    size_t count = 0;
    for (double start = now_ns(); count < SAMPLES_MAX && now_ns() - start < budget_ns; count++) {
        double before = now_ns();
        k->matmul[type](&task);
        samples[count] = now_ns() - before;
    }
    qsort(samples, count, sizeof samples[0], by_value);
    printf("%.0f\n", count > 0 ? samples[count / 2] : 0.0);
    return 0;
}
