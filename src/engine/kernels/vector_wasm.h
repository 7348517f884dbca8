/* Everything but matrix products with WebAssembly SIMD, and the table of kernels. Bit-equal to
 * scalar.c. Included once by the file of each instruction set; tails that fill no vector go through
 * a block padded with zeros. Ownership: pure functions of the caller's memory. */
#ifndef ENGINE_KERNELS_VECTOR_WASM_H
#define ENGINE_KERNELS_VECTOR_WASM_H

#include "engine/arith.h"
#include "engine/kernels/attention_parts.h"
#include "engine/kernels/scalar.h"
#include "engine/kernels/vector_math_wasm.h"

#include <string.h>

/* Rule 6's sixteen partial sums. */
typedef struct partial_sums {
    v128_t p[4];
} partial_sums;

WASM_INLINE partial_sums no_sums(void) {
    const v128_t zero = wasm_f32x4_const_splat(0.0f);
    return (partial_sums){{zero, zero, zero, zero}};
}

WASM_INLINE float fold(partial_sums s) {
    v128_t eight_low = wasm_f32x4_add(s.p[0], s.p[2]);
    v128_t eight_high = wasm_f32x4_add(s.p[1], s.p[3]);
    v128_t four = wasm_f32x4_add(eight_low, eight_high);
    v128_t two = wasm_f32x4_add(four, wasm_i32x4_shuffle(four, four, 2, 3, 2, 3));
    return wasm_f32x4_extract_lane(wasm_f32x4_add(two, wasm_i32x4_shuffle(two, two, 1, 1, 1, 1)),
                                   0);
}

/* Sixteen values from x, or fewer padded with zeros; `block` holds them when padded. */
WASM_INLINE const float *sixteen(const float *x, size_t left, float *block) {
    if (left >= 16) {
        return x;
    }
    memset(block, 0, 16 * sizeof(float));
    memcpy(block, x, left * sizeof(float));
    return block;
}

static float sum_squares(const float *x, size_t n) {
    partial_sums s = no_sums();
    float block[16];
    for (size_t i = 0; i < n; i += 16) {
        const float *at = sixteen(x + i, n - i, block);
#pragma GCC unroll 4
        for (int v = 0; v < 4; v++) {
            v128_t a = load_4(at + 4 * v);
            s.p[v] = fma_4(a, a, s.p[v]);
        }
    }
    return fold(s);
}

static void rms_norm(const float *x, const float *weight, float eps, size_t n, float *y) {
    float mean = sum_squares(x, n) / (float)n;
    float inv = 1.0f / arith_sqrt(mean + eps);
    v128_t inverse = wasm_f32x4_splat(inv);
    size_t i = 0;
    for (; i + 4 <= n; i += 4) {
        v128_t scaled = wasm_f32x4_mul(load_4(x + i), inverse);
        store_4(y + i, wasm_f32x4_mul(scaled, load_4(weight + i)));
    }
    for (; i < n; i++) {
        float scaled = x[i] * inv;
        y[i] = scaled * weight[i];
    }
}

static float variance(const float *x, float mean, size_t n) {
    partial_sums s = no_sums();
    v128_t m = wasm_f32x4_splat(mean);
    size_t i = 0;
    for (; i + 16 <= n; i += 16) {
#pragma GCC unroll 4
        for (int v = 0; v < 4; v++) {
            v128_t a = wasm_f32x4_sub(load_4(x + i + 4 * v), m);
            s.p[v] = fma_4(a, a, s.p[v]);
        }
    }
    if (i < n) {
        float block[16] = {0};
        for (size_t j = 0; i + j < n; j++) {
            block[j] = x[i + j] - mean;
        }
        for (int v = 0; v < 4; v++) {
            v128_t a = load_4(block + 4 * v);
            s.p[v] = fma_4(a, a, s.p[v]);
        }
    }
    return fold(s) / (float)n;
}

static void layer_norm(const float *x, const float *weight, const float *bias, float eps, size_t n,
                       float *y) {
    partial_sums s = no_sums();
    float block[16];
    for (size_t i = 0; i < n; i += 16) {
        const float *at = sixteen(x + i, n - i, block);
#pragma GCC unroll 4
        for (int v = 0; v < 4; v++) {
            s.p[v] = wasm_f32x4_add(s.p[v], load_4(at + 4 * v));
        }
    }
    float mean = fold(s) / (float)n;
    float inv = 1.0f / arith_sqrt(variance(x, mean, n) + eps);
    size_t i = 0;
    for (; i + 4 <= n; i += 4) {
        v128_t centred = wasm_f32x4_sub(load_4(x + i), wasm_f32x4_splat(mean));
        v128_t normal = wasm_f32x4_mul(centred, wasm_f32x4_splat(inv));
        v128_t scaled = wasm_f32x4_mul(normal, load_4(weight + i));
        store_4(y + i, bias ? wasm_f32x4_add(scaled, load_4(bias + i)) : scaled);
    }
    for (; i < n; i++) {
        float normal = (x[i] - mean) * inv;
        float scaled = normal * weight[i];
        y[i] = bias ? scaled + bias[i] : scaled;
    }
}

/* ---- quantisation ---------------------------------------------------------------------- */

WASM_INLINE uint32_t largest_bits(const float *x, size_t n) {
    v128_t m = wasm_i32x4_const_splat(0);
    for (size_t i = 0; i < n; i += 4) {
        v128_t magnitude = wasm_v128_and(load_4(x + i), wasm_i32x4_const_splat(0x7FFFFFFF));
        m = wasm_i32x4_max(m, magnitude); /* none has its sign bit set */
    }
    m = wasm_i32x4_max(m, wasm_i32x4_shuffle(m, m, 2, 3, 2, 3));
    m = wasm_i32x4_max(m, wasm_i32x4_shuffle(m, m, 1, 1, 1, 1));
    return (uint32_t)wasm_i32x4_extract_lane(m, 0);
}

/* To the nearest integer, ties to even, for |x · id| far below 2^22. */
WASM_INLINE v128_t round_scaled(const float *x, v128_t id) {
    v128_t shifted =
        wasm_f32x4_add(wasm_f32x4_mul(load_4(x), id), wasm_f32x4_const_splat(0x1.8p23f));
    return wasm_i32x4_sub(shifted, wasm_i32x4_const_splat(0x4B400000));
}

/* Quantises n values (a multiple of 16) with the rule's scale; false: not finite. */
WASM_INLINE bool quantize_block(const float *x, size_t n, int8_t *q, float *d) {
    uint32_t amax = largest_bits(x, n);
    if (amax >= 0x7F800000u) {
        return false;
    }
    float largest = arith_from_bits(amax);
    if (largest < 0x1p-100f) {
        memset(q, 0, n);
        *d = 0.0f;
        return true;
    }
    *d = largest / 127.0f;
    v128_t id = wasm_f32x4_splat(1.0f / *d);
    for (size_t i = 0; i < n; i += 16) {
        v128_t ab = wasm_i16x8_narrow_i32x4(round_scaled(x + i, id), round_scaled(x + i + 4, id));
        v128_t cd =
            wasm_i16x8_narrow_i32x4(round_scaled(x + i + 8, id), round_scaled(x + i + 12, id));
        wasm_v128_store(q + i, wasm_i8x16_narrow_i16x8(ab, cd));
    }
    return true;
}

/* Σ of n (a multiple of 16, at most 32) signed bytes. */
WASM_INLINE int32_t sum_bytes(const int8_t *q, size_t n) {
    v128_t sum = wasm_i32x4_const_splat(0);
    for (size_t i = 0; i < n; i += 16) {
        v128_t pairs = wasm_i16x8_extadd_pairwise_i8x16(wasm_v128_load(q + i));
        sum = wasm_i32x4_add(sum, wasm_i32x4_extadd_pairwise_i16x8(pairs));
    }
    sum = wasm_i32x4_add(sum, wasm_i32x4_shuffle(sum, sum, 2, 3, 2, 3));
    sum = wasm_i32x4_add(sum, wasm_i32x4_shuffle(sum, sum, 1, 1, 1, 1));
    return wasm_i32x4_extract_lane(sum, 0);
}

static bool quantize_32(const float *x, size_t n, int8_t *q, float *d, float *ds, int32_t *sums) {
    for (size_t b = 0; b < n / 32; b++) {
        if (!quantize_block(x + 32 * b, 32, q + 32 * b, &d[b])) {
            return false;
        }
        sums[b] = sum_bytes(q + 32 * b, 32);
        ds[b] = d[b] * (float)sums[b];
    }
    return true;
}

static bool quantize_256(const float *x, size_t n, int8_t *q, float *d, int16_t *sums16) {
    for (size_t b = 0; b < n / 256; b++) {
        if (!quantize_block(x + 256 * b, 256, q + 256 * b, &d[b])) {
            return false;
        }
    }
    for (size_t v = 0; v < n / 16; v++) {
        sums16[v] = (int16_t)sum_bytes(q + 16 * v, 16);
    }
    return true;
}

/* ---- RoPE ------------------------------------------------------------------------------ */

static void rope_halves(float *x, const float *cosine, const float *sine, size_t half) {
    size_t i = 0;
    for (; i + 4 <= half; i += 4) {
        v128_t x0 = load_4(x + i);
        v128_t x1 = load_4(x + half + i);
        v128_t c = load_4(cosine + i);
        v128_t s = load_4(sine + i);
        store_4(x + i, wasm_f32x4_sub(wasm_f32x4_mul(x0, c), wasm_f32x4_mul(x1, s)));
        store_4(x + half + i, wasm_f32x4_add(wasm_f32x4_mul(x0, s), wasm_f32x4_mul(x1, c)));
    }
    for (; i < half; i++) {
        float x0 = x[i];
        float x1 = x[half + i];
        float x0c = x0 * cosine[i];
        float x1s = x1 * sine[i];
        float x0s = x0 * sine[i];
        float x1c = x1 * cosine[i];
        x[i] = x0c - x1s;
        x[half + i] = x0s + x1c;
    }
}

static void rope(float *x, const float *cosine, const float *sine, size_t n_dims, bool halves) {
    size_t half = n_dims / 2;
    if (halves) {
        rope_halves(x, cosine, sine, half);
        return;
    }
    const v128_t even_signs = wasm_f32x4_const(-0.0f, 0.0f, -0.0f, 0.0f);
    size_t i = 0;
    for (; i + 2 <= half; i += 2) {
        v128_t v = load_4(x + 2 * i);
        v128_t c = wasm_v128_load64_zero(cosine + i);
        v128_t s = wasm_v128_load64_zero(sine + i);
        c = wasm_i32x4_shuffle(c, c, 0, 0, 1, 1);
        s = wasm_i32x4_shuffle(s, s, 0, 0, 1, 1);
        v128_t crossed = wasm_f32x4_mul(wasm_i32x4_shuffle(v, v, 1, 0, 3, 2), s);
        /* even lanes x0c − x1s, odd lanes x1c + x0s */
        store_4(x + 2 * i,
                wasm_f32x4_add(wasm_f32x4_mul(v, c), wasm_v128_xor(crossed, even_signs)));
    }
    if (i < half) {
        scalar_rope(x + 2 * i, cosine + i, sine + i, 2 * (half - i), false);
    }
}

/* ---- attention ------------------------------------------------------------------------- */

WASM_INLINE v128_t load_cache(const void *cache, kv_type type, size_t index) {
    if (type == KV_F16) {
        return widen_any(load_upper((const uint16_t *)cache + index));
    }
    return load_4((const float *)cache + index);
}

/* e[i][j] = q_i · k_j · scale for `width` vectors of positions; `at` is the first one's key. */
WASM_INLINE void score(const attention_task *task, kv_type type, size_t at, float *e, int width,
                       int n) {
    v128_t acc[KERNEL_QUERY_TILE][4];
#pragma GCC unroll 4
    for (int i = 0; i < n; i++) {
#pragma GCC unroll 4
        for (int v = 0; v < width; v++) {
            acc[i][v] = wasm_f32x4_const_splat(0.0f);
        }
    }
#pragma clang loop unroll_count(LOOP_PARTS)
    for (size_t c = 0; c < task->head_dim_k; c++) {
        v128_t key[4];
#pragma GCC unroll 4
        for (int v = 0; v < width; v++) {
            key[v] = load_cache(task->keys, type, at + 16 * c + 4 * (size_t)v);
        }
#pragma GCC unroll 4
        for (int i = 0; i < n; i++) {
            v128_t q = wasm_v128_load32_splat(task->query[i] + c);
#pragma GCC unroll 4
            for (int v = 0; v < width; v++) {
                acc[i][v] = fma_4(q, key[v], acc[i][v]);
            }
        }
    }
#pragma GCC unroll 4
    for (int i = 0; i < n; i++) {
#pragma GCC unroll 4
        for (int v = 0; v < width; v++) {
            store_4(e + 256 * i + 4 * v, wasm_f32x4_mul(acc[i][v], wasm_f32x4_splat(task->scale)));
        }
    }
}

/* Scores to weights: e = exp(e − max) over `count` positions, zero behind; returns max. */
WASM_INLINE float soften(float *e, size_t count, float *l) {
    size_t padded = (count + 15) / 16 * 16;
    for (size_t j = count; j < padded; j++) {
        e[j] = -__builtin_inff();
    }
    v128_t m = wasm_f32x4_const_splat(-__builtin_inff());
    for (size_t j = 0; j < padded; j += 4) {
        m = wasm_f32x4_pmax(m, load_4(e + j));
    }
    m = wasm_f32x4_pmax(m, wasm_i32x4_shuffle(m, m, 2, 3, 2, 3));
    m = wasm_f32x4_pmax(m, wasm_i32x4_shuffle(m, m, 1, 1, 1, 1));
    float largest = wasm_f32x4_extract_lane(m, 0);
    v128_t top = wasm_f32x4_splat(largest);
    partial_sums s = no_sums();
    for (size_t j = 0; j < padded; j += 16) { /* exp(−inf) is 0: the padding adds nothing */
#pragma GCC unroll 4
        for (size_t v = 0; v < 4; v++) {
            v128_t weight = vector_exp(wasm_f32x4_sub(load_4(e + j + 4 * v), top));
            store_4(e + j + 4 * v, weight);
            s.p[v] = wasm_f32x4_add(s.p[v], weight);
        }
    }
    *l = fold(s);
    return largest;
}

/* One segment of a tile of queries: how many positions each sees, and where its sums go. */
typedef struct segment_view {
    size_t first;
    size_t count[KERNEL_QUERY_TILE];
    size_t common; /* positions that all of them see */
    const float *e;
    float *a[KERNEL_QUERY_TILE];
} segment_view;

/* a_i[c] = Σ_j e_i[j] · v_j[c] for `width` vectors of channels. */
WASM_INLINE void weigh(const attention_task *task, kv_type type, const segment_view *s,
                       size_t channel, int width, int n) {
    v128_t acc[KERNEL_QUERY_TILE][4];
#pragma GCC unroll 4
    for (int i = 0; i < n; i++) {
#pragma GCC unroll 4
        for (int v = 0; v < width; v++) {
            acc[i][v] = wasm_f32x4_const_splat(0.0f);
        }
    }
    size_t at = s->first * task->value_stride + channel;
#pragma clang loop unroll_count(LOOP_PARTS)
    for (size_t j = 0; j < s->common; j++, at += task->value_stride) {
        v128_t value[4];
#pragma GCC unroll 4
        for (int v = 0; v < width; v++) {
            value[v] = load_cache(task->values, type, at + 4 * (size_t)v);
        }
#pragma GCC unroll 4
        for (int i = 0; i < n; i++) {
            v128_t weight = wasm_v128_load32_splat(s->e + 256 * i + j);
#pragma GCC unroll 4
            for (int v = 0; v < width; v++) {
                acc[i][v] = fma_4(weight, value[v], acc[i][v]);
            }
        }
    }
#pragma GCC unroll 4
    for (int i = 0; i < n; i++) {
        size_t rest = at;
        for (size_t j = s->common; j < s->count[i]; j++, rest += task->value_stride) {
            v128_t weight = wasm_v128_load32_splat(s->e + 256 * i + j);
#pragma GCC unroll 4
            for (int v = 0; v < width; v++) {
                acc[i][v] =
                    fma_4(weight, load_cache(task->values, type, rest + 4 * (size_t)v), acc[i][v]);
            }
        }
#pragma GCC unroll 4
        for (int v = 0; v < width; v++) {
            store_4(s->a[i] + channel + 4 * v, acc[i][v]);
        }
    }
}

/* All queries of the tile over one segment: scores, weights, weighted values. */
WASM_INLINE void attend_segment(const attention_task *task, kv_type type, size_t index,
                                size_t n_segments, size_t visible, int n) {
    const int width = n == 1 ? 4 : 2; /* vectors at a time: what sixteen registers hold */
    size_t row = task->head_dim_v + 2;
    float *e = task->scratch;
    float *segments = task->scratch + KERNEL_QUERY_TILE * 256;
    segment_view s = {.first = 256 * index, .common = 256, .e = e};
    size_t longest = visible - s.first < 256 ? visible - s.first : 256;
    for (size_t j = 0; j < longest; j += 16) {
        size_t at = (s.first + j) * task->head_dim_k;
        for (int v = 0; v < 4; v += width) {
            score(task, type, at + 4 * (size_t)v, e + j + 4 * v, width, n);
        }
    }
    for (int i = 0; i < n; i++) {
        size_t left = task->n_visible[i] > s.first ? task->n_visible[i] - s.first : 0;
        s.count[i] = left < 256 ? left : 256;
        s.common = s.count[i] < s.common ? s.count[i] : s.common;
        s.a[i] = segments + ((size_t)i * n_segments + index) * row;
        if (s.count[i] > 0) {
            float *m = s.a[i] + task->head_dim_v;
            m[0] = soften(e + 256 * i, s.count[i], m + 1);
        }
    }
    size_t channel = 0;
    for (; channel + 4 * (size_t)width <= task->head_dim_v; channel += 4 * (size_t)width) {
        weigh(task, type, &s, channel, width, n);
    }
    for (; channel + 4 <= task->head_dim_v; channel += 4) {
        weigh(task, type, &s, channel, 1, n);
    }
    for (int i = 0; i < n && channel < task->head_dim_v; i++) {
        attention_weigh_tail(task, s.first, s.count[i], e + 256 * i, channel, s.a[i]);
    }
}

/* As attention_combine. */
WASM_INLINE void combine(const float *segments, size_t row, size_t n_segments, size_t dim,
                         float *out) {
    float largest = -__builtin_inff();
    for (size_t s = 0; s < n_segments; s++) {
        float m = segments[s * row + dim];
        largest = m > largest ? m : largest;
    }
    float denominator = 0.0f;
    memset(out, 0, dim * sizeof(float));
    for (size_t s = 0; s < n_segments; s++) {
        const float *a = segments + s * row;
        float w = arith_exp(a[dim] - largest);
        denominator = arith_fma(w, a[dim + 1], denominator);
        size_t c = 0;
        for (; c + 4 <= dim; c += 4) {
            store_4(out + c, fma_4(wasm_f32x4_splat(w), load_4(a + c), load_4(out + c)));
        }
        for (; c < dim; c++) {
            out[c] = arith_fma(w, a[c], out[c]);
        }
    }
    for (size_t c = 0; c < dim; c++) {
        out[c] = out[c] / denominator;
    }
}

#define ATTENTION_COMBINE combine
#include "engine/kernels/attention_driver.h"

static void store_value(const float *value, size_t n, kv_type type, void *target) {
    if (type == KV_F32) {
        memcpy(target, value, n * sizeof(float));
        return;
    }
    uint16_t *halves = target;
    size_t i = 0;
    for (; i + 8 <= n; i += 8) {
        v128_t low = vector_narrow_f16(load_4(value + i));
        v128_t high = vector_narrow_f16(load_4(value + i + 4));
        wasm_v128_store(halves + i, wasm_u16x8_narrow_i32x4(low, high));
    }
    for (; i < n; i++) {
        halves[i] = arith_f32_to_f16(value[i]);
    }
}

/* ---- element-wise ---------------------------------------------------------------------- */

static void add(float *y, const float *x, size_t n) {
    size_t i = 0;
    for (; i + 4 <= n; i += 4) {
        store_4(y + i, wasm_f32x4_add(load_4(y + i), load_4(x + i)));
    }
    for (; i < n; i++) {
        y[i] += x[i];
    }
}

WASM_INLINE void apply(float *x, const float *up, size_t n, v128_t (*function)(v128_t)) {
    size_t i = 0;
    for (; i + 4 <= n; i += 4) {
        v128_t y = function(load_4(x + i));
        store_4(x + i, up ? wasm_f32x4_mul(y, load_4(up + i)) : y);
    }
    if (i < n) {
        float block[4] = {0};
        memcpy(block, x + i, (n - i) * sizeof(float));
        store_4(block, function(load_4(block)));
        for (size_t j = 0; i + j < n; j++) {
            x[i + j] = up ? block[j] * up[i + j] : block[j];
        }
    }
}

#define ACTIVATION(name) vector_##name
#include "engine/kernels/activation_parts.h"

/* The initialiser of a table; the file of an instruction set names it. */
#define WASM_KERNELS(table_name)                                                                   \
    {.name = (table_name),                                                                         \
     .matmul = {[TENSOR_F32] = matmul_f32,                                                         \
                [TENSOR_F16] = matmul_f16,                                                         \
                [TENSOR_BF16] = matmul_bf16,                                                       \
                [TENSOR_Q4_0] = matmul_q4_0,                                                       \
                [TENSOR_Q4_1] = matmul_q4_1,                                                       \
                [TENSOR_Q8_0] = matmul_q8_0,                                                       \
                [TENSOR_Q4_K] = matmul_q4_k,                                                       \
                [TENSOR_Q6_K] = matmul_q6_k},                                                      \
     .quantize_32 = quantize_32,                                                                   \
     .quantize_256 = quantize_256,                                                                 \
     .rms_norm = rms_norm,                                                                         \
     .layer_norm = layer_norm,                                                                     \
     .rope = rope,                                                                                 \
     .attention = attention,                                                                       \
     .store_key = scalar_store_key,                                                                \
     .store_value = store_value,                                                                   \
     .add = add,                                                                                   \
     .silu_multiply = silu_multiply,                                                               \
     .gelu_erf = gelu_erf,                                                                         \
     .gelu_tanh = gelu_tanh,                                                                       \
     .gelu_erf_multiply = gelu_erf_multiply,                                                       \
     .gelu_tanh_multiply = gelu_tanh_multiply,                                                     \
     .silu = silu,                                                                                 \
     .sum_squares = sum_squares}

#endif
