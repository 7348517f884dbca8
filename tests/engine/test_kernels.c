/* Every instruction set against the scalar definition, bit for bit. */
#include "engine/arith.h"
#include "engine/kernels/kernels.h"
#include "engine/pack.h"
#include "support/check.h"
#include "support/kernel_features.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_COLUMNS = 4608, RANDOM_COLUMNS = 1024, MAX_TOKENS = 11, MAX_GROUPS = 3 };

static const uint32_t types[] = {TENSOR_F32,  TENSOR_F16,  TENSOR_BF16, TENSOR_Q4_0,
                                 TENSOR_Q4_1, TENSOR_Q8_0, TENSOR_Q4_K, TENSOR_Q6_K};
enum { N_TYPES = sizeof types / sizeof types[0] };

/* A float with an exponent anywhere in the range that keeps sums finite, now and then an
 * extreme: zero, denormal, exact power. */
static float random_float(uint64_t *state, int low, int high) {
    uint64_t r = check_random(state);
    switch (r % 23) {
    case 0:
        return 0.0f;
    case 1:
        return -0.0f;
    case 2:
        return arith_from_bits((uint32_t)(r >> 40) & 0x7FFFFFu); /* denormal */
    default:
        break;
    }
    uint32_t exponent = (uint32_t)(127 + low + (int)((r >> 8) % (uint64_t)(high - low + 1)));
    return arith_from_bits((uint32_t)(r >> 63) << 31 | exponent << 23 | ((r >> 20) & 0x7FFFFFu));
}

static uint16_t random_half(uint64_t *state) {
    uint64_t r = check_random(state);
    uint16_t bits = (uint16_t)r;
    if (r % 5 == 0) {
        bits = (uint16_t)(bits & 0x83FFu); /* denormal */
    }
    return (bits & 0x7C00u) == 0x7C00u ? (uint16_t)(bits & 0xBFFFu) : bits;
}

/* Random bytes in every field, scales finite, in GGUF's row layout. */
static void random_rows(uint64_t *state, uint32_t type, uint8_t *rows, size_t n_rows,
                        size_t n_columns, size_t row_bytes) {
    const tensor_type_info *info = tensor_type_get(type);
    for (size_t i = 0; i < n_rows * row_bytes; i++) {
        rows[i] = (uint8_t)check_random(state);
    }
    for (size_t b = 0; b < n_rows * n_columns / info->block_size; b++) {
        uint8_t *block = rows + b * info->block_bytes;
        if (type == TENSOR_F32) {
            float value = random_float(state, -20, 20);
            memcpy(block, &value, 4);
            continue;
        }
        uint16_t first = random_half(state);
        if (type == TENSOR_BF16) {
            first = (uint16_t)(arith_bits(random_float(state, -20, 20)) >> 16);
        }
        uint16_t second = random_half(state);
        size_t scale_at = type == TENSOR_Q6_K ? 208 : 0;
        memcpy(block + scale_at, &first, 2);
        if (type == TENSOR_Q4_1 || type == TENSOR_Q4_K) {
            memcpy(block + 2, &second, 2);
        }
    }
}

typedef struct inputs {
    float x[MAX_TOKENS][MAX_COLUMNS];
    _Alignas(64) int8_t q[MAX_TOKENS][MAX_COLUMNS];
    float d[MAX_TOKENS][MAX_COLUMNS / 32], ds[MAX_TOKENS][MAX_COLUMNS / 32];
    int32_t sums[MAX_TOKENS][MAX_COLUMNS / 32];
    int16_t sums16[MAX_TOKENS][MAX_COLUMNS / 16];
    float out[2][MAX_TOKENS][MAX_GROUPS * 16];
} inputs;

static activations make_activations(inputs *in, uint64_t *state, uint32_t block, size_t n_columns) {
    for (size_t t = 0; t < MAX_TOKENS; t++) {
        int high = (int)(check_random(state) % 12);
        for (size_t k = 0; k < n_columns; k++) {
            in->x[t][k] = random_float(state, high - 14, high);
        }
        if (t == 3) {
            memset(in->x[t], 0, sizeof in->x[t]); /* a row of zeros: d = 0 */
        }
        if (block == 32) {
            kernel_scalar.quantize_32(in->x[t], n_columns, in->q[t], in->d[t], in->ds[t],
                                      in->sums[t]);
        } else if (block == 256) {
            kernel_scalar.quantize_256(in->x[t], n_columns, in->q[t], in->d[t], in->sums16[t]);
        }
    }
    return (activations){.n_tokens = MAX_TOKENS,
                         .n_columns = n_columns,
                         .x = &in->x[0][0],
                         .x_stride = MAX_COLUMNS,
                         .q = &in->q[0][0],
                         .q_stride = MAX_COLUMNS,
                         .d = &in->d[0][0],
                         .ds = &in->ds[0][0],
                         .sums = &in->sums[0][0],
                         .sums16 = &in->sums16[0][0],
                         .block_stride = MAX_COLUMNS / 32,
                         .sum16_stride = MAX_COLUMNS / 16};
}

static void compare_product(const kernel_table *kernels, uint32_t type, size_t n_columns,
                            size_t n_groups, uint64_t *state, inputs *in) {
    uint64_t row_bytes = 0;
    uint64_t group_bytes = 0;
    CHECK(tensor_row_bytes(type, n_columns, &row_bytes));
    CHECK(pack_group_bytes(type, n_columns, &group_bytes));
    uint8_t *rows = malloc(16 * (size_t)row_bytes);
    uint8_t *weights = aligned_alloc(64, n_groups * (size_t)group_bytes);
    for (size_t g = 0; g < n_groups; g++) {
        random_rows(state, type, rows, 16, n_columns, (size_t)row_bytes);
        pack_group(type, rows, (size_t)row_bytes, 16, n_columns, weights + g * group_bytes);
    }
    uint32_t block = tensor_type_get(type)->activation_block;
    activations acts = make_activations(in, state, block, n_columns);
    matmul_task task = {.weights = weights,
                        .group_bytes = (size_t)group_bytes,
                        .group_begin = 0,
                        .group_end = n_groups,
                        .in = &acts,
                        .token_begin = 0,
                        .token_end = MAX_TOKENS,
                        .out = &in->out[0][0][0],
                        .out_stride = MAX_GROUPS * 16};
    kernel_scalar.matmul[type](&task);
    /* the tokens cut in two, to meet every tile size; one alone may go in longer stretches */
    size_t cut = n_columns > RANDOM_COLUMNS ? 1 : check_random(state) % (MAX_TOKENS + 1);
    task.out = &in->out[1][0][0];
    task.token_end = cut;
    kernels->matmul[type](&task);
    task.token_begin = cut;
    task.token_end = MAX_TOKENS;
    kernels->matmul[type](&task);
    for (size_t t = 0; t < MAX_TOKENS; t++) {
        for (size_t r = 0; r < n_groups * 16; r++) {
            uint32_t expected = arith_bits(in->out[0][t][r]);
            uint32_t found = arith_bits(in->out[1][t][r]);
            if (found != expected) {
                check_fail(__FILE__, __LINE__, "%s %s K=%zu token %zu row %zu: %08x, expected %08x",
                           kernels->name, tensor_type_get(type)->name, n_columns, t, r, found,
                           expected);
                break;
            }
        }
    }
    free(rows);
    free(weights);
}

/* Runs `test` for every table but scalar; skips with the reason when the CPU has none of them. */
static void for_each_isa(void (*test)(const kernel_table *)) {
    unsigned features = test_kernel_features();
    char missing[128] = "";
    size_t ran = 0;
    for (size_t i = 0; i < kernel_count(); i++) {
        const kernel_table *kernels = kernel_at(i);
        if (kernels == &kernel_scalar) {
            continue;
        }
        if (kernel_usable(kernels, features)) {
            test(kernels);
            ran++;
        } else {
            size_t used = strlen(missing);
            snprintf(missing + used, sizeof missing - used, "%s ", kernels->name);
        }
    }
    if (ran == 0) {
        check_skip("this CPU has none of the faster instruction sets (%s)", missing);
    } else if (missing[0]) {
        printf("    not on this CPU: %s\n", missing);
    }
}

static void products_of(const kernel_table *kernels) {
    uint64_t state = 1;
    inputs *in = aligned_alloc(64, (sizeof *in + 63) / 64 * 64);
    for (size_t i = 0; i < N_TYPES; i++) {
        size_t block = tensor_type_get(types[i])->block_size;
        for (int round = 0; round < 24; round++) {
            size_t n_columns = block * (1 + check_random(&state) % (RANDOM_COLUMNS / block));
            if (block == 1) {
                n_columns = 1 + check_random(&state) % 700;
            }
            compare_product(kernels, types[i], n_columns, 1 + (size_t)round % MAX_GROUPS, &state,
                            in);
        }
        size_t wide = MAX_COLUMNS - (block == 32 ? 96 : 0); /* the last segment is shorter */
        compare_product(kernels, types[i], wide, 1, &state, in);
    }
    free(in);
}

static void products_are_equal(void) {
    for_each_isa(products_of);
}

/* All quants at their extremes: 16-bit intermediates must not saturate. */
static void extremes_of(const kernel_table *kernels) {
    inputs *in = aligned_alloc(64, (sizeof *in + 63) / 64 * 64);
    for (size_t i = 3; i < N_TYPES; i++) {
        uint32_t type = types[i];
        for (int pattern = 0; pattern < 4; pattern++) {
            uint64_t row_bytes = 0;
            uint64_t group_bytes = 0;
            tensor_row_bytes(type, 512, &row_bytes);
            pack_group_bytes(type, 512, &group_bytes);
            uint8_t *rows = malloc(16 * (size_t)row_bytes);
            uint8_t *weights = aligned_alloc(64, (size_t)group_bytes);
            memset(rows, pattern & 1 ? 0x80 : 0xFF, 16 * (size_t)row_bytes);
            size_t block_bytes = tensor_type_get(type)->block_bytes;
            for (size_t b = 0; b < 16 * (size_t)row_bytes / block_bytes; b++) {
                uint16_t one = 0x3C00;
                memcpy(rows + b * block_bytes + (type == TENSOR_Q6_K ? 208 : 0), &one, 2);
                if (type == TENSOR_Q4_1 || type == TENSOR_Q4_K) {
                    memcpy(rows + b * block_bytes + 2, &one, 2);
                }
            }
            pack_group(type, rows, (size_t)row_bytes, 16, 512, weights);
            uint64_t state = 7;
            uint32_t block = tensor_type_get(type)->activation_block;
            activations acts = make_activations(in, &state, block, 512);
            for (size_t t = 0; t < MAX_TOKENS; t++) {
                for (size_t k = 0; k < 512; k++) {
                    in->x[t][k] = pattern & 2 ? -1.0f : (k + t) % 2 ? 1.0f : -1.0f;
                }
                if (block == 32) {
                    kernel_scalar.quantize_32(in->x[t], 512, in->q[t], in->d[t], in->ds[t],
                                              in->sums[t]);
                } else {
                    kernel_scalar.quantize_256(in->x[t], 512, in->q[t], in->d[t], in->sums16[t]);
                }
            }
            matmul_task task = {.weights = weights,
                                .group_bytes = (size_t)group_bytes,
                                .group_end = 1,
                                .in = &acts,
                                .token_end = MAX_TOKENS,
                                .out = &in->out[0][0][0],
                                .out_stride = MAX_GROUPS * 16};
            kernel_scalar.matmul[type](&task);
            task.out = &in->out[1][0][0];
            kernels->matmul[type](&task);
            for (size_t t = 0; t < MAX_TOKENS; t++) {
                CHECK_BYTES(in->out[1][t], in->out[0][t], 16 * sizeof(float));
            }
            free(rows);
            free(weights);
        }
    }
    free(in);
}

static void extremes_are_equal(void) {
    for_each_isa(extremes_of);
}

static void quantisation_of(const kernel_table *kernels) {
    uint64_t state = 3;
    static float x[1024];
    static int8_t q[2][1024];
    static float d[2][32], ds[2][32];
    static int32_t sums[2][32];
    static int16_t sums16[2][64];
    for (int round = 0; round < 400; round++) {
        int high = (int)(check_random(&state) % 250) - 125;
        for (size_t i = 0; i < 1024; i++) {
            x[i] = random_float(&state, high - 8 < -126 ? -126 : high - 8, high);
        }
        CHECK(kernel_scalar.quantize_32(x, 1024, q[0], d[0], ds[0], sums[0]));
        CHECK(kernels->quantize_32(x, 1024, q[1], d[1], ds[1], sums[1]));
        CHECK_BYTES(q[1], q[0], sizeof q[0]);
        CHECK_BYTES(d[1], d[0], sizeof d[0]);
        CHECK_BYTES(ds[1], ds[0], sizeof ds[0]);
        CHECK_BYTES(sums[1], sums[0], sizeof sums[0]);
        CHECK(kernel_scalar.quantize_256(x, 1024, q[0], d[0], sums16[0]));
        CHECK(kernels->quantize_256(x, 1024, q[1], d[1], sums16[1]));
        CHECK_BYTES(q[1], q[0], sizeof q[0]);
        CHECK_BYTES(sums16[1], sums16[0], sizeof sums16[0]);
    }
    const uint32_t bad[] = {0x7F800000u, 0xFF800000u, 0x7FC00000u, 0x7F800001u};
    for (size_t i = 0; i < 4; i++) {
        x[517] = arith_from_bits(bad[i]);
        CHECK(!kernels->quantize_32(x, 1024, q[1], d[1], ds[1], sums[1]));
        CHECK(!kernels->quantize_256(x, 1024, q[1], d[1], sums16[1]));
        CHECK(!kernel_scalar.quantize_32(x, 1024, q[1], d[1], ds[1], sums[1]));
    }
}

static void quantisation_is_equal(void) {
    for_each_isa(quantisation_of);
}

static void vectors_of(const kernel_table *kernels) {
    uint64_t state = 5;
    static float x[600], w[600], b[600], y[2][600], c[300], s[300];
    for (int round = 0; round < 300; round++) {
        size_t n = 2 * (1 + check_random(&state) % 290);
        for (size_t i = 0; i < 600; i++) {
            x[i] = random_float(&state, -30, 6);
            w[i] = random_float(&state, -3, 3);
            b[i] = random_float(&state, -3, 3);
        }
        for (size_t i = 0; i < 300; i++) {
            c[i] = random_float(&state, -9, -1);
            s[i] = random_float(&state, -9, -1);
        }
        kernel_scalar.rms_norm(x, w, 1e-5f, n, y[0]);
        kernels->rms_norm(x, w, 1e-5f, n, y[1]);
        CHECK_BYTES(y[1], y[0], n * sizeof(float));
        kernel_scalar.layer_norm(x, w, round % 2 ? b : NULL, 1e-12f, n, y[0]);
        kernels->layer_norm(x, w, round % 2 ? b : NULL, 1e-12f, n, y[1]);
        CHECK_BYTES(y[1], y[0], n * sizeof(float));
        for (int halves = 0; halves < 2; halves++) {
            memcpy(y[0], x, sizeof x);
            memcpy(y[1], x, sizeof x);
            kernel_scalar.rope(y[0], c, s, n, halves);
            kernels->rope(y[1], c, s, n, halves);
            CHECK_BYTES(y[1], y[0], sizeof x);
        }
        CHECK_INT(arith_bits(kernels->sum_squares(x, n)),
                  arith_bits(kernel_scalar.sum_squares(x, n)));
        memcpy(y[0], w, sizeof w);
        memcpy(y[1], w, sizeof w);
        kernel_scalar.add(y[0], x, n);
        kernels->add(y[1], x, n);
        CHECK_BYTES(y[1], y[0], sizeof w);
        static uint16_t halves[2][600];
        const uint32_t odd[] = {0x7F800000u, 0xFF800000u, 0x477FF000u, 0xC7800000u, 0x33000001u};
        x[check_random(&state) % n] = arith_from_bits(odd[round % 5]); /* saturation, smallest */
        kernel_scalar.store_value(x, n, KV_F16, halves[0]);
        kernels->store_value(x, n, KV_F16, halves[1]);
        CHECK_BYTES(halves[1], halves[0], n * 2);
    }
}

static void vectors_are_equal(void) {
    for_each_isa(vectors_of);
}

static void activation_functions_of(const kernel_table *k) {
    const kernel_table *r = &kernel_scalar;
    void (*const plain[][2])(float *, size_t) = {
        {k->silu, r->silu}, {k->gelu_erf, r->gelu_erf}, {k->gelu_tanh, r->gelu_tanh}};
    void (*const gated[][2])(float *, const float *,
                             size_t) = {{k->silu_multiply, r->silu_multiply},
                                        {k->gelu_erf_multiply, r->gelu_erf_multiply},
                                        {k->gelu_tanh_multiply, r->gelu_tanh_multiply}};
    uint64_t state = 11;
    static float x[2][300], up[300];
    for (int round = 0; round < 300; round++) {
        size_t n = 1 + check_random(&state) % 300;
        for (size_t i = 0; i < 300; i++) {
            up[i] = random_float(&state, -10, 10);
        }
        for (int f = 0; f < 6; f++) {
            for (size_t i = 0; i < 300; i++) {
                x[0][i] = x[1][i] = random_float(&state, -30, 8);
            }
            if (f < 3) {
                plain[f][0](x[0], n);
                plain[f][1](x[1], n);
            } else {
                gated[f - 3][0](x[0], up, n);
                gated[f - 3][1](x[1], up, n);
            }
            CHECK_BYTES(x[0], x[1], sizeof x[0]);
        }
    }
}

static void activation_functions_are_equal(void) {
    for_each_isa(activation_functions_of);
}

enum { MAX_POSITIONS = 800, MAX_DIM = 136 };

static void attention_of(const kernel_table *kernels) {
    uint64_t state = 13;
    float *keys = aligned_alloc(64, (MAX_POSITIONS + 16) * MAX_DIM * sizeof(float));
    float *values = aligned_alloc(64, MAX_POSITIONS * MAX_DIM * sizeof(float));
    float *scratch = aligned_alloc(64, 64 * 1024);
    static float q[KERNEL_QUERY_TILE][MAX_DIM], out[2][KERNEL_QUERY_TILE][MAX_DIM];
    for (int round = 0; round < 60; round++) {
        kv_type type = round % 2 ? KV_F16 : KV_F32;
        const size_t dims[] = {64, 128, 16, 24, 80, 40, 8, 136};
        size_t dim = dims[check_random(&state) % 8];
        for (size_t p = 0; p < MAX_POSITIONS; p++) {
            float row[MAX_DIM];
            for (size_t i = 0; i < dim; i++) {
                row[i] = random_float(&state, -12, 0);
            }
            kernel_scalar.store_key(row, dim, type, p, keys);
            for (size_t i = 0; i < dim; i++) {
                row[i] = random_float(&state, -12, 2);
            }
            kernel_scalar.store_value(row, dim, type,
                                      (uint8_t *)values + p * dim * (type == KV_F16 ? 2 : 4));
        }
        attention_task task = {.keys = keys,
                               .values = values,
                               .type = type,
                               .value_stride = dim,
                               .head_dim_k = dim,
                               .head_dim_v = dim,
                               .scale = 0.125f,
                               .scratch = scratch};
        task.n_queries = 1 + check_random(&state) % KERNEL_QUERY_TILE;
        for (size_t i = 0; i < task.n_queries; i++) {
            for (size_t c = 0; c < dim; c++) {
                q[i][c] = random_float(&state, -6, 2);
            }
            task.query[i] = q[i];
            task.n_visible[i] = 1 + check_random(&state) % (round < 20 ? 40 : MAX_POSITIONS);
        }
        for (int side = 0; side < 2; side++) {
            for (size_t i = 0; i < task.n_queries; i++) {
                task.out[i] = out[side][i];
            }
            (side ? kernels : &kernel_scalar)->attention(&task);
        }
        for (size_t i = 0; i < task.n_queries; i++) {
            CHECK_BYTES(out[1][i], out[0][i], dim * sizeof(float));
        }
    }
    free(keys);
    free(values);
    free(scratch);
}

static void attention_is_equal(void) {
    for_each_isa(attention_of);
}

static void tables_are_complete(void) {
    for (size_t i = 0; i < kernel_count(); i++) {
        const kernel_table *k = kernel_at(i);
        for (size_t j = 0; j < N_TYPES; j++) {
            CHECK(k->matmul[types[j]] != NULL);
        }
        CHECK(k->attention && k->store_key && k->store_value && k->silu);
        CHECK(kernel_by_name(k->name) == k);
    }
#if defined(__wasm__)
    CHECK(kernel_best(0) == &kernel_wasm_simd128); /* a module with vectors runs nowhere else */
#else
    CHECK(kernel_best(0) == &kernel_scalar);
#endif
    CHECK(kernel_by_name("nonesuch") == NULL);
}

static const check_test tests[] = {
    {"tables are complete", tables_are_complete},
    {"matrix products equal scalar", products_are_equal},
    {"matrix products at the extremes equal scalar", extremes_are_equal},
    {"quantisation equals scalar", quantisation_is_equal},
    {"norms, RoPE and sums equal scalar", vectors_are_equal},
    {"activation functions equal scalar", activation_functions_are_equal},
    {"attention equals scalar", attention_is_equal},
};
CHECK_MAIN(tests)
