/* The arithmetic kernels: one table of functions an instruction set. kernels/scalar_*.c is the
 * definition (arithmetic.md); every other table gives the same bits.
 *
 * Contract of all functions: pointers are valid and, where stated, aligned; sizes were checked by
 * the caller; nothing allocates; nothing is kept. They may run on any thread at once. MXCSR is
 * 0x1F80 (rule 2). Ownership: constant tables. */
#ifndef ENGINE_KERNELS_H
#define ENGINE_KERNELS_H

#include "engine/tensor_type.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { KERNEL_TYPES = 40, KERNEL_MAX_HEAD_DIM = 1024, KERNEL_QUERY_TILE = 4 };

/* The inputs of a matrix product: n_tokens rows of n_columns values. Float types read x,
 * quantised types the rest, which quantize_* wrote. Rows of q are 64-byte aligned. */
typedef struct activations {
    size_t n_tokens;
    size_t n_columns;
    const float *x;        /* [n_tokens][x_stride] */
    size_t x_stride;       /* floats */
    const int8_t *q;       /* [n_tokens][q_stride] */
    size_t q_stride;       /* bytes, a multiple of 64, at least n_columns */
    const float *d;        /* [n_tokens][block_stride] scale of each block */
    const float *ds;       /* [n_tokens][block_stride] d · (float)Σq, blocks of 32 only */
    const int32_t *sums;   /* [n_tokens][block_stride] Σq, blocks of 32 only */
    const int16_t *sums16; /* [n_tokens][sum16_stride] Σq of 16 columns, blocks of 256 only */
    size_t block_stride;
    size_t sum16_stride;
} activations;

/* out[t][16·g + lane] = Σ_k w[16·g + lane][k] · x[t][k] for the groups g of [group_begin,
 * group_end) and the tokens t of [token_begin, token_end). `out` rows have out_stride floats. */
typedef struct matmul_task {
    const uint8_t *weights; /* first group of the matrix, 64-byte aligned */
    size_t group_bytes;
    size_t group_begin, group_end;
    const activations *in;
    size_t token_begin, token_end;
    float *out;
    size_t out_stride;
} matmul_task;

typedef enum kv_type { KV_F16 = 1, KV_F32 = 2 } kv_type;

/* Attention of up to KERNEL_QUERY_TILE queries that share one key/value head (rule 14).
 * Keys:   [position / 16][head_dim_k][position % 16]   values: [position][value_stride]
 * Query i sees positions [0, n_visible[i]), n_visible ≥ 1.
 * scratch: KERNEL_QUERY_TILE · (256 + n_segments · (head_dim_v + 2)) floats, n_segments =
 * ⌈max n_visible / 256⌉. Memory of keys is readable up to the next multiple of 16 positions. */
typedef struct attention_task {
    const float *query[KERNEL_QUERY_TILE]; /* [head_dim_k] */
    float *out[KERNEL_QUERY_TILE];         /* [head_dim_v] */
    size_t n_visible[KERNEL_QUERY_TILE];
    size_t n_queries;
    const void *keys;
    const void *values;
    kv_type type;
    size_t value_stride; /* elements between positions */
    size_t head_dim_k, head_dim_v;
    float scale; /* 1 / sqrt(head_dim_k), or what the model says */
    float *scratch;
} attention_task;

typedef struct kernel_table {
    const char *name; /* "scalar", "avx2", "avx512" … */
    /* by tensor_type; NULL where the type is not computable */
    void (*matmul[KERNEL_TYPES])(const matmul_task *task);

    /* Rule 10 for one row, blocks of 32: q[n], d, ds, sums [n / 32]; n a multiple of 32. Returns
     * false when a value is not finite (the outputs are then unspecified). */
    bool (*quantize_32)(const float *x, size_t n, int8_t *q, float *d, float *ds, int32_t *sums);
    /* Blocks of 256: d[n / 256], sums16[n / 16]; n a multiple of 256. */
    bool (*quantize_256)(const float *x, size_t n, int8_t *q, float *d, int16_t *sums16);

    /* Rule 12. y may be x. bias may be NULL. */
    void (*rms_norm)(const float *x, const float *weight, float eps, size_t n, float *y);
    void (*layer_norm)(const float *x, const float *weight, const float *bias, float eps, size_t n,
                       float *y);
    /* Rule 13 on one head: cosine and sine [n_dims / 2] already in f32. halves: pair (i, i +
     * n_dims/2), else (2i, 2i + 1). */
    void (*rope)(float *x, const float *cosine, const float *sine, size_t n_dims, bool halves);
    void (*attention)(const attention_task *task);
    /* Writes a head's key at `position` into the interleaved layout (f16 saturates, rule 4). */
    void (*store_key)(const float *key, size_t head_dim, kv_type type, size_t position, void *keys);
    void (*store_value)(const float *value, size_t n, kv_type type, void *target);

    void (*add)(float *y, const float *x, size_t n);               /* y += x */
    void (*silu_multiply)(float *gate, const float *up, size_t n); /* gate = silu(gate)·up */
    void (*gelu_erf)(float *x, size_t n);                          /* x = gelu(x) */
    void (*gelu_tanh)(float *x, size_t n);
    void (*gelu_erf_multiply)(float *gate, const float *up, size_t n);
    void (*gelu_tanh_multiply)(float *gate, const float *up, size_t n);
    void (*silu)(float *x, size_t n);
    /* Rule 6: Σ x² by 16 strided partial sums. */
    float (*sum_squares)(const float *x, size_t n);
} kernel_table;

/* Bits of what a CPU offers, as the platform reports them. */
typedef enum kernel_feature {
    KERNEL_HAS_AVX2 = 1u << 0,   /* with FMA, F16C, BMI2 */
    KERNEL_HAS_AVX512 = 1u << 1, /* F, BW, VL, DQ and VNNI */
    KERNEL_HAS_NEON_DOT = 1u << 2,
    KERNEL_HAS_WASM_FUSED = 1u << 3 /* what kernel_wasm_is_fused found */
} kernel_feature;

/* Tables in order of preference, best first; entries for other CPU families are absent. */
size_t kernel_count(void);
const kernel_table *kernel_at(size_t index);
/* True when a CPU with those features can run the table. */
bool kernel_usable(const kernel_table *table, unsigned features);
/* Best usable table; never NULL: scalar runs everywhere. */
const kernel_table *kernel_best(unsigned features);
const kernel_table *kernel_by_name(const char *name);

extern const kernel_table kernel_scalar;
#if defined(__x86_64__)
extern const kernel_table kernel_avx2;
extern const kernel_table kernel_avx512;
#elif defined(__wasm__)
extern const kernel_table kernel_wasm; /* with relaxed SIMD */
extern const kernel_table kernel_wasm_simd128;
/* True when this host's relaxed multiply-add rounds once, which kernel_wasm needs; a guest asks
 * when it starts. */
bool kernel_wasm_is_fused(void);
#endif

#endif
