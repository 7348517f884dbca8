/* Everything but matrix products, with AVX-512: bit-equal to scalar.c. */
#include "engine/arith.h"
#include "engine/kernels/attention_parts.h"
#include "engine/kernels/matmul_x86_avx512.h"
#include "engine/kernels/scalar.h"
#include "engine/kernels/vector_math_avx512.h"

#include <immintrin.h>
#include <string.h>

#define INLINE static inline __attribute__((always_inline))

INLINE __mmask16 lanes(size_t n) {
    unsigned mask = n >= 16 ? 0xFFFFu : (1u << n) - 1u;
    return (__mmask16)mask;
}

/* Rule 6: the halvings of 16 partial sums. */
INLINE float fold(__m512 p) {
    __m256 eight = _mm256_add_ps(_mm512_castps512_ps256(p), _mm512_extractf32x8_ps(p, 1));
    __m128 four = _mm_add_ps(_mm256_castps256_ps128(eight), _mm256_extractf128_ps(eight, 1));
    __m128 two = _mm_add_ps(four, _mm_movehl_ps(four, four));
    return _mm_cvtss_f32(_mm_add_ss(two, _mm_shuffle_ps(two, two, 1)));
}

static float sum_squares(const float *x, size_t n) {
    __m512 p = _mm512_setzero_ps();
    for (size_t i = 0; i < n; i += 16) {
        __m512 v = _mm512_maskz_loadu_ps(lanes(n - i), x + i);
        p = _mm512_fmadd_ps(v, v, p);
    }
    return fold(p);
}

static void rms_norm(const float *x, const float *weight, float eps, size_t n, float *y) {
    float mean = sum_squares(x, n) / (float)n;
    __m512 inv = _mm512_set1_ps(1.0f / arith_sqrt(mean + eps));
    for (size_t i = 0; i < n; i += 16) {
        __mmask16 m = lanes(n - i);
        __m512 scaled = _mm512_mul_ps(_mm512_maskz_loadu_ps(m, x + i), inv);
        _mm512_mask_storeu_ps(y + i, m,
                              _mm512_mul_ps(scaled, _mm512_maskz_loadu_ps(m, weight + i)));
    }
}

static void layer_norm(const float *x, const float *weight, const float *bias, float eps, size_t n,
                       float *y) {
    __m512 p = _mm512_setzero_ps();
    for (size_t i = 0; i < n; i += 16) {
        p = _mm512_add_ps(p, _mm512_maskz_loadu_ps(lanes(n - i), x + i));
    }
    __m512 mean = _mm512_set1_ps(fold(p) / (float)n);
    __m512 v = _mm512_setzero_ps();
    for (size_t i = 0; i < n; i += 16) {
        __mmask16 m = lanes(n - i);
        __m512 centred = _mm512_maskz_sub_ps(m, _mm512_maskz_loadu_ps(m, x + i), mean);
        v = _mm512_fmadd_ps(centred, centred, v);
    }
    __m512 inv = _mm512_set1_ps(1.0f / arith_sqrt(fold(v) / (float)n + eps));
    for (size_t i = 0; i < n; i += 16) {
        __mmask16 m = lanes(n - i);
        __m512 normal = _mm512_mul_ps(_mm512_sub_ps(_mm512_maskz_loadu_ps(m, x + i), mean), inv);
        __m512 scaled = _mm512_mul_ps(normal, _mm512_maskz_loadu_ps(m, weight + i));
        if (bias) {
            scaled = _mm512_add_ps(scaled, _mm512_maskz_loadu_ps(m, bias + i));
        }
        _mm512_mask_storeu_ps(y + i, m, scaled);
    }
}

/* Largest magnitude's bits over n (a multiple of 16) values. */
INLINE uint32_t largest_bits(const float *x, size_t n) {
    const __m512i magnitude = _mm512_set1_epi32(0x7FFFFFFF);
    __m512i amax = _mm512_setzero_si512();
    for (size_t i = 0; i < n; i += 16) {
        __m512i bits = _mm512_and_si512(_mm512_loadu_si512(x + i), magnitude);
        amax = _mm512_max_epu32(amax, bits);
    }
    return _mm512_reduce_max_epu32(amax);
}

/* Quantises n values with the rule's scale; false: not finite. */
INLINE bool quantize_block(const float *x, size_t n, int8_t *q, float *d) {
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
    __m512 id = _mm512_set1_ps(1.0f / *d);
    for (size_t i = 0; i < n; i += 16) {
        __m512i r = _mm512_cvtps_epi32(_mm512_mul_ps(_mm512_loadu_ps(x + i), id));
        _mm_storeu_si128((__m128i *)(q + i), _mm512_cvtepi32_epi8(r));
    }
    return true;
}

INLINE int32_t sum_16(const int8_t *q) {
    __m512i wide = _mm512_cvtepi8_epi32(_mm_loadu_si128((const __m128i *)q));
    return _mm512_reduce_add_epi32(wide);
}

static bool quantize_32(const float *x, size_t n, int8_t *q, float *d, float *ds, int32_t *sums) {
    for (size_t b = 0; b < n / 32; b++) {
        if (!quantize_block(x + 32 * b, 32, q + 32 * b, &d[b])) {
            return false;
        }
        __m256i bytes = _mm256_loadu_si256((const __m256i *)(q + 32 * b));
        /* Σ over 32 signed bytes: pairs to 16 bits, pairs to 32 bits, then across the lanes */
        __m256i pairs = _mm256_maddubs_epi16(_mm256_set1_epi8(1), bytes);
        __m256i fours = _mm256_madd_epi16(pairs, _mm256_set1_epi16(1));
        __m128i half =
            _mm_add_epi32(_mm256_castsi256_si128(fours), _mm256_extracti128_si256(fours, 1));
        half = _mm_add_epi32(half, _mm_shuffle_epi32(half, 0x4E));
        half = _mm_add_epi32(half, _mm_shuffle_epi32(half, 0xB1));
        sums[b] = _mm_cvtsi128_si32(half);
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
        sums16[v] = (int16_t)sum_16(q + 16 * v);
    }
    return true;
}

static void rope_halves(float *x, const float *cosine, const float *sine, size_t half) {
    for (size_t i = 0; i < half; i += 16) {
        __mmask16 m = lanes(half - i);
        __m512 x0 = _mm512_maskz_loadu_ps(m, x + i);
        __m512 x1 = _mm512_maskz_loadu_ps(m, x + half + i);
        __m512 c = _mm512_maskz_loadu_ps(m, cosine + i);
        __m512 s = _mm512_maskz_loadu_ps(m, sine + i);
        __m512 y0 = _mm512_sub_ps(_mm512_mul_ps(x0, c), _mm512_mul_ps(x1, s));
        __m512 y1 = _mm512_add_ps(_mm512_mul_ps(x0, s), _mm512_mul_ps(x1, c));
        _mm512_mask_storeu_ps(x + i, m, y0);
        _mm512_mask_storeu_ps(x + half + i, m, y1);
    }
}

static void rope(float *x, const float *cosine, const float *sine, size_t n_dims, bool halves) {
    size_t half = n_dims / 2;
    if (halves) {
        rope_halves(x, cosine, sine, half);
        return;
    }
    const __m512i twice = _mm512_set_epi32(7, 7, 6, 6, 5, 5, 4, 4, 3, 3, 2, 2, 1, 1, 0, 0);
    for (size_t i = 0; i < half; i += 8) {
        size_t left = half - i < 8 ? half - i : 8;
        __mmask16 pairs = lanes(2 * left);
        __mmask16 m = lanes(left);
        __m512 v = _mm512_maskz_loadu_ps(pairs, x + 2 * i);
        __m512 c = _mm512_permutexvar_ps(twice, _mm512_maskz_loadu_ps(m, cosine + i));
        __m512 s = _mm512_permutexvar_ps(twice, _mm512_maskz_loadu_ps(m, sine + i));
        __m512 swapped = _mm512_permute_ps(v, 0xB1);
        __m512 a = _mm512_mul_ps(v, c);
        __m512 b = _mm512_mul_ps(swapped, s);
        /* even lanes x0c − x1s, odd lanes x1c + x0s */
        __m512 y = _mm512_mask_sub_ps(_mm512_add_ps(a, b), 0x5555, a, b);
        _mm512_mask_storeu_ps(x + 2 * i, pairs, y);
    }
}

/* ---- attention ------------------------------------------------------------------------- */

INLINE __m512 load_cache(const void *cache, kv_type type, size_t index) {
    if (type == KV_F16) {
        return _mm512_cvtph_ps(
            _mm256_loadu_si256((const __m256i *)((const uint16_t *)cache + index)));
    }
    return _mm512_loadu_ps((const float *)cache + index);
}

/* e[i][j] = q_i · k_j · scale for 32 positions from `first` (a multiple of 32). */
INLINE void score_32(const attention_task *task, kv_type type, size_t first, float *e, int n) {
    size_t dim = task->head_dim_k;
    size_t at = first * dim;
    __m512 acc[KERNEL_QUERY_TILE][2];
#pragma GCC unroll 4
    for (int i = 0; i < n; i++) {
        acc[i][0] = acc[i][1] = _mm512_setzero_ps();
    }
    for (size_t c = 0; c < dim; c++) {
        __m512 k0 = load_cache(task->keys, type, at + 16 * c);
        __m512 k1 = load_cache(task->keys, type, at + 16 * dim + 16 * c);
#pragma GCC unroll 4
        for (int i = 0; i < n; i++) {
            __m512 q = _mm512_set1_ps(task->query[i][c]);
            acc[i][0] = _mm512_fmadd_ps(q, k0, acc[i][0]);
            acc[i][1] = _mm512_fmadd_ps(q, k1, acc[i][1]);
        }
    }
    const __m512 scale = _mm512_set1_ps(task->scale);
#pragma GCC unroll 4
    for (int i = 0; i < n; i++) {
        _mm512_storeu_ps(e + 256 * i + first % 256, _mm512_mul_ps(acc[i][0], scale));
        _mm512_storeu_ps(e + 256 * i + first % 256 + 16, _mm512_mul_ps(acc[i][1], scale));
    }
}

INLINE void score_16(const attention_task *task, kv_type type, size_t first, float *e, int n) {
    size_t at = first * task->head_dim_k;
    __m512 acc[KERNEL_QUERY_TILE];
#pragma GCC unroll 4
    for (int i = 0; i < n; i++) {
        acc[i] = _mm512_setzero_ps();
    }
    for (size_t c = 0; c < task->head_dim_k; c++) {
        __m512 k = load_cache(task->keys, type, at + 16 * c);
#pragma GCC unroll 4
        for (int i = 0; i < n; i++) {
            acc[i] = _mm512_fmadd_ps(_mm512_set1_ps(task->query[i][c]), k, acc[i]);
        }
    }
#pragma GCC unroll 4
    for (int i = 0; i < n; i++) {
        _mm512_storeu_ps(e + 256 * i + first % 256,
                         _mm512_mul_ps(acc[i], _mm512_set1_ps(task->scale)));
    }
}

/* Scores to weights: e = exp(e − max) over `count` positions, zero behind; returns max. */
INLINE float soften(float *e, size_t count, float *l) {
    const __m512 least = _mm512_set1_ps(-__builtin_inff());
    __m512 m = least;
    for (size_t j = 0; j < count; j += 16) {
        m = _mm512_max_ps(m, _mm512_mask_loadu_ps(least, lanes(count - j), e + j));
    }
    float largest = _mm512_reduce_max_ps(m);
    __m512 p = _mm512_setzero_ps();
    for (size_t j = 0; j < count; j += 16) {
        __mmask16 in = lanes(count - j);
        __m512 x = _mm512_sub_ps(_mm512_loadu_ps(e + j), _mm512_set1_ps(largest));
        x = _mm512_maskz_mov_ps(in, vector_exp_avx512(x));
        _mm512_storeu_ps(e + j, x);
        p = _mm512_add_ps(p, x);
    }
    *l = fold(p);
    return largest;
}

/* a_i[c] = Σ_j e_i[j] · v_j[c] over the positions every query of the tile sees, 32 channels. */
INLINE void weigh_tile(const attention_task *task, kv_type type, size_t first, size_t count,
                       const float *e, size_t channel, __m512 (*acc)[2], int n) {
    for (size_t j = 0; j < count; j++) {
        size_t at = (first + j) * task->value_stride + channel;
        __m512 v0 = load_cache(task->values, type, at);
        __m512 v1 = load_cache(task->values, type, at + 16);
#pragma GCC unroll 4
        for (int i = 0; i < n; i++) {
            __m512 weight = _mm512_set1_ps(e[256 * i + (int)j]);
            acc[i][0] = _mm512_fmadd_ps(weight, v0, acc[i][0]);
            acc[i][1] = _mm512_fmadd_ps(weight, v1, acc[i][1]);
        }
    }
}

INLINE void weigh(const attention_task *task, kv_type type, size_t first, const size_t *count,
                  const float *e, float *const *a, int n) {
    size_t common = count[0];
    for (int i = 1; i < n; i++) {
        common = count[i] < common ? count[i] : common;
    }
    size_t channel = 0;
    for (; channel + 32 <= task->head_dim_v; channel += 32) {
        __m512 acc[KERNEL_QUERY_TILE][2];
#pragma GCC unroll 4
        for (int i = 0; i < n; i++) {
            acc[i][0] = acc[i][1] = _mm512_setzero_ps();
        }
        weigh_tile(task, type, first, common, e, channel, acc, n);
#pragma GCC unroll 4
        for (int i = 0; i < n; i++) {
            for (size_t j = common; j < count[i]; j++) {
                size_t at = (first + j) * task->value_stride + channel;
                __m512 weight = _mm512_set1_ps(e[256 * i + (int)j]);
                acc[i][0] = _mm512_fmadd_ps(weight, load_cache(task->values, type, at), acc[i][0]);
                acc[i][1] =
                    _mm512_fmadd_ps(weight, load_cache(task->values, type, at + 16), acc[i][1]);
            }
            _mm512_storeu_ps(a[i] + channel, acc[i][0]);
            _mm512_storeu_ps(a[i] + channel + 16, acc[i][1]);
        }
    }
    for (int i = 0; i < n && channel < task->head_dim_v; i++) {
        attention_weigh_tail(task, first, count[i], e + 256 * i, channel, a[i]);
    }
}

/* One segment of all queries of the tile; visible counts need not be sorted. */
INLINE void attend_segment(const attention_task *task, kv_type type, size_t s, size_t n_segments,
                           size_t visible, int n) {
    size_t row = task->head_dim_v + 2;
    float *e = task->scratch;
    float *segments = task->scratch + KERNEL_QUERY_TILE * 256;
    size_t first = 256 * s;
    size_t longest = visible - first < 256 ? visible - first : 256;
    size_t j = 0;
    for (; j + 16 < longest; j += 32) {
        score_32(task, type, first + j, e, n);
    }
    if (j < longest) {
        score_16(task, type, first + j, e, n);
    }
    size_t count[KERNEL_QUERY_TILE] = {0};
    float *a[KERNEL_QUERY_TILE];
    for (int i = 0; i < n; i++) {
        size_t left = task->n_visible[i] > first ? task->n_visible[i] - first : 0;
        count[i] = left < 256 ? left : 256;
        a[i] = segments + ((size_t)i * n_segments + s) * row;
        if (count[i] > 0) {
            a[i][task->head_dim_v] = soften(e + 256 * i, count[i], &a[i][task->head_dim_v + 1]);
        }
    }
    weigh(task, type, first, count, e, a, n);
}

#define ATTENTION_COMBINE attention_combine
#include "engine/kernels/attention_driver.h"

static void store_value(const float *value, size_t n, kv_type type, void *target) {
    if (type == KV_F32) {
        memcpy(target, value, n * sizeof(float));
        return;
    }
    for (size_t i = 0; i < n; i += 16) {
        __mmask16 m = lanes(n - i);
        __m512 v = _mm512_maskz_loadu_ps(m, value + i);
        _mm256_mask_storeu_epi16((uint16_t *)target + i, m, vector_narrow_f16_avx512(v));
    }
}

/* ---- element-wise ---------------------------------------------------------------------- */

static void add(float *y, const float *x, size_t n) {
    for (size_t i = 0; i < n; i += 16) {
        __mmask16 m = lanes(n - i);
        _mm512_mask_storeu_ps(
            y + i, m,
            _mm512_add_ps(_mm512_maskz_loadu_ps(m, y + i), _mm512_maskz_loadu_ps(m, x + i)));
    }
}

INLINE void apply(float *x, const float *up, size_t n, __m512 (*function)(__m512)) {
    for (size_t i = 0; i < n; i += 16) {
        __mmask16 m = lanes(n - i);
        __m512 y = function(_mm512_maskz_loadu_ps(m, x + i));
        if (up) {
            y = _mm512_mul_ps(y, _mm512_maskz_loadu_ps(m, up + i));
        }
        _mm512_mask_storeu_ps(x + i, m, y);
    }
}

#define ACTIVATION(name) vector_##name##_avx512
#include "engine/kernels/activation_parts.h"

const kernel_table kernel_avx512 = {
    .name = "avx512",
    .matmul = {[TENSOR_F32] = avx512_matmul_f32,
               [TENSOR_F16] = avx512_matmul_f16,
               [TENSOR_BF16] = avx512_matmul_bf16,
               [TENSOR_Q4_0] = avx512_matmul_q4_0,
               [TENSOR_Q4_1] = avx512_matmul_q4_1,
               [TENSOR_Q8_0] = avx512_matmul_q8_0,
               [TENSOR_Q4_K] = avx512_matmul_q4_k,
               [TENSOR_Q6_K] = avx512_matmul_q6_k},
    .quantize_32 = quantize_32,
    .quantize_256 = quantize_256,
    .rms_norm = rms_norm,
    .layer_norm = layer_norm,
    .rope = rope,
    .attention = attention,
    .store_key = scalar_store_key, /* a scatter of single halves: nothing to gain */
    .store_value = store_value,
    .add = add,
    .silu_multiply = silu_multiply,
    .gelu_erf = gelu_erf,
    .gelu_tanh = gelu_tanh,
    .gelu_erf_multiply = gelu_erf_multiply,
    .gelu_tanh_multiply = gelu_tanh_multiply,
    .silu = silu,
    .sum_squares = sum_squares,
};
