/* Everything but matrix products, with AVX2 and FMA: bit-equal to scalar.c. Tails that fill no
 * vector go through a zero-padded block of 16 values. */
#include "engine/arith.h"
#include "engine/kernels/attention_parts.h"
#include "engine/kernels/matmul_x86_avx2.h"
#include "engine/kernels/scalar.h"
#include "engine/kernels/vector_math_avx2.h"

#include <immintrin.h>
#include <string.h>

#define INLINE static inline __attribute__((always_inline))

/* Rule 6's sixteen partial sums. */
typedef struct partial_sums {
    __m256 low, high;
} partial_sums;

INLINE float fold(partial_sums p) {
    __m256 eight = _mm256_add_ps(p.low, p.high);
    __m128 four = _mm_add_ps(_mm256_castps256_ps128(eight), _mm256_extractf128_ps(eight, 1));
    __m128 two = _mm_add_ps(four, _mm_movehl_ps(four, four));
    return _mm_cvtss_f32(_mm_add_ss(two, _mm_shuffle_ps(two, two, 1)));
}

/* Sixteen values from x, or fewer padded with zeros; `block` holds them when padded. */
INLINE const float *sixteen(const float *x, size_t left, float *block) {
    if (left >= 16) {
        return x;
    }
    memset(block, 0, 16 * sizeof(float));
    memcpy(block, x, left * sizeof(float));
    return block;
}

static float sum_squares(const float *x, size_t n) {
    partial_sums p = {_mm256_setzero_ps(), _mm256_setzero_ps()};
    float block[16];
    for (size_t i = 0; i < n; i += 16) {
        const float *at = sixteen(x + i, n - i, block);
        __m256 a = _mm256_loadu_ps(at);
        __m256 b = _mm256_loadu_ps(at + 8);
        p.low = _mm256_fmadd_ps(a, a, p.low);
        p.high = _mm256_fmadd_ps(b, b, p.high);
    }
    return fold(p);
}

static void rms_norm(const float *x, const float *weight, float eps, size_t n, float *y) {
    float mean = sum_squares(x, n) / (float)n;
    float inv = 1.0f / arith_sqrt(mean + eps);
    __m256 inverse = _mm256_set1_ps(inv);
    size_t i = 0;
    for (; i + 8 <= n; i += 8) {
        __m256 scaled = _mm256_mul_ps(_mm256_loadu_ps(x + i), inverse);
        _mm256_storeu_ps(y + i, _mm256_mul_ps(scaled, _mm256_loadu_ps(weight + i)));
    }
    for (; i < n; i++) {
        float scaled = x[i] * inv;
        y[i] = scaled * weight[i];
    }
}

static float variance(const float *x, float mean, size_t n) {
    partial_sums v = {_mm256_setzero_ps(), _mm256_setzero_ps()};
    __m256 m = _mm256_set1_ps(mean);
    size_t i = 0;
    for (; i + 16 <= n; i += 16) {
        __m256 a = _mm256_sub_ps(_mm256_loadu_ps(x + i), m);
        __m256 b = _mm256_sub_ps(_mm256_loadu_ps(x + i + 8), m);
        v.low = _mm256_fmadd_ps(a, a, v.low);
        v.high = _mm256_fmadd_ps(b, b, v.high);
    }
    if (i < n) {
        float block[16] = {0};
        for (size_t j = 0; i + j < n; j++) {
            block[j] = x[i + j] - mean;
        }
        __m256 a = _mm256_loadu_ps(block);
        __m256 b = _mm256_loadu_ps(block + 8);
        v.low = _mm256_fmadd_ps(a, a, v.low);
        v.high = _mm256_fmadd_ps(b, b, v.high);
    }
    return fold(v) / (float)n;
}

static void layer_norm(const float *x, const float *weight, const float *bias, float eps, size_t n,
                       float *y) {
    partial_sums p = {_mm256_setzero_ps(), _mm256_setzero_ps()};
    float block[16];
    for (size_t i = 0; i < n; i += 16) {
        const float *at = sixteen(x + i, n - i, block);
        p.low = _mm256_add_ps(p.low, _mm256_loadu_ps(at));
        p.high = _mm256_add_ps(p.high, _mm256_loadu_ps(at + 8));
    }
    float mean = fold(p) / (float)n;
    float inv = 1.0f / arith_sqrt(variance(x, mean, n) + eps);
    size_t i = 0;
    for (; i + 8 <= n; i += 8) {
        __m256 centred = _mm256_sub_ps(_mm256_loadu_ps(x + i), _mm256_set1_ps(mean));
        __m256 normal = _mm256_mul_ps(centred, _mm256_set1_ps(inv));
        __m256 scaled = _mm256_mul_ps(normal, _mm256_loadu_ps(weight + i));
        if (bias) {
            scaled = _mm256_add_ps(scaled, _mm256_loadu_ps(bias + i));
        }
        _mm256_storeu_ps(y + i, scaled);
    }
    for (; i < n; i++) {
        float normal = (x[i] - mean) * inv;
        float scaled = normal * weight[i];
        y[i] = bias ? scaled + bias[i] : scaled;
    }
}

INLINE uint32_t largest_bits(const float *x, size_t n) {
    const __m256i magnitude = _mm256_set1_epi32(0x7FFFFFFF);
    __m256i amax = _mm256_setzero_si256();
    for (size_t i = 0; i < n; i += 8) {
        __m256i bits = _mm256_loadu_si256((const __m256i *)(x + i));
        amax = _mm256_max_epu32(amax, _mm256_and_si256(bits, magnitude));
    }
    __m128i m = _mm_max_epu32(_mm256_castsi256_si128(amax), _mm256_extracti128_si256(amax, 1));
    m = _mm_max_epu32(m, _mm_shuffle_epi32(m, 0x4E));
    m = _mm_max_epu32(m, _mm_shuffle_epi32(m, 0xB1));
    return (uint32_t)_mm_cvtsi128_si32(m);
}

INLINE __m256i round_8(const float *x, __m256 id) {
    return _mm256_cvtps_epi32(_mm256_mul_ps(_mm256_loadu_ps(x), id));
}

/* Quantises n values (a multiple of 32) with the rule's scale; false: not finite. */
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
    const __m256 id = _mm256_set1_ps(1.0f / *d);
    const __m256i order = _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7); /* undo the packs' lanes */
    for (size_t i = 0; i < n; i += 32) {
        __m256i ab = _mm256_packs_epi32(round_8(x + i, id), round_8(x + i + 8, id));
        __m256i cd = _mm256_packs_epi32(round_8(x + i + 16, id), round_8(x + i + 24, id));
        __m256i bytes = _mm256_permutevar8x32_epi32(_mm256_packs_epi16(ab, cd), order);
        _mm256_storeu_si256((__m256i *)(q + i), bytes);
    }
    return true;
}

/* Σ of signed bytes in each 16: four 32-bit sums a half, folded. */
INLINE __m256i sum_fours(const int8_t *q) {
    __m256i bytes = _mm256_loadu_si256((const __m256i *)q);
    __m256i pairs = _mm256_maddubs_epi16(_mm256_set1_epi8(1), bytes);
    return _mm256_madd_epi16(pairs, _mm256_set1_epi16(1));
}

INLINE int32_t fold_four(__m128i v) {
    v = _mm_add_epi32(v, _mm_shuffle_epi32(v, 0x4E));
    v = _mm_add_epi32(v, _mm_shuffle_epi32(v, 0xB1));
    return _mm_cvtsi128_si32(v);
}

static bool quantize_32(const float *x, size_t n, int8_t *q, float *d, float *ds, int32_t *sums) {
    for (size_t b = 0; b < n / 32; b++) {
        if (!quantize_block(x + 32 * b, 32, q + 32 * b, &d[b])) {
            return false;
        }
        __m256i fours = sum_fours(q + 32 * b);
        sums[b] = fold_four(
            _mm_add_epi32(_mm256_castsi256_si128(fours), _mm256_extracti128_si256(fours, 1)));
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
    for (size_t v = 0; v < n / 16; v += 2) {
        __m256i fours = sum_fours(q + 16 * v);
        sums16[v] = (int16_t)fold_four(_mm256_castsi256_si128(fours));
        sums16[v + 1] = (int16_t)fold_four(_mm256_extracti128_si256(fours, 1));
    }
    return true;
}

static void rope_halves(float *x, const float *cosine, const float *sine, size_t half) {
    size_t i = 0;
    for (; i + 8 <= half; i += 8) {
        __m256 x0 = _mm256_loadu_ps(x + i);
        __m256 x1 = _mm256_loadu_ps(x + half + i);
        __m256 c = _mm256_loadu_ps(cosine + i);
        __m256 s = _mm256_loadu_ps(sine + i);
        _mm256_storeu_ps(x + i, _mm256_sub_ps(_mm256_mul_ps(x0, c), _mm256_mul_ps(x1, s)));
        _mm256_storeu_ps(x + half + i, _mm256_add_ps(_mm256_mul_ps(x0, s), _mm256_mul_ps(x1, c)));
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
    const __m256i twice = _mm256_setr_epi32(0, 0, 1, 1, 2, 2, 3, 3);
    size_t i = 0;
    for (; i + 4 <= half; i += 4) {
        __m256 v = _mm256_loadu_ps(x + 2 * i);
        __m256 c =
            _mm256_permutevar8x32_ps(_mm256_castps128_ps256(_mm_loadu_ps(cosine + i)), twice);
        __m256 s = _mm256_permutevar8x32_ps(_mm256_castps128_ps256(_mm_loadu_ps(sine + i)), twice);
        __m256 swapped = _mm256_permute_ps(v, 0xB1);
        /* even lanes x0c − x1s, odd lanes x1c + x0s */
        _mm256_storeu_ps(x + 2 * i,
                         _mm256_addsub_ps(_mm256_mul_ps(v, c), _mm256_mul_ps(swapped, s)));
    }
    if (i < half) {
        scalar_rope(x + 2 * i, cosine + i, sine + i, 2 * (half - i), false);
    }
}

/* ---- attention ------------------------------------------------------------------------- */

INLINE __m256 load_cache(const void *cache, kv_type type, size_t index) {
    if (type == KV_F16) {
        return _mm256_cvtph_ps(_mm_loadu_si128((const __m128i *)((const uint16_t *)cache + index)));
    }
    return _mm256_loadu_ps((const float *)cache + index);
}

/* e[i][j] = q_i · k_j · scale for 16 positions from `first` (a multiple of 16). */
INLINE void score_16(const attention_task *task, kv_type type, size_t first, float *e, int n) {
    size_t at = first * task->head_dim_k;
    __m256 acc[KERNEL_QUERY_TILE][2];
#pragma GCC unroll 4
    for (int i = 0; i < n; i++) {
        acc[i][0] = acc[i][1] = _mm256_setzero_ps();
    }
    for (size_t c = 0; c < task->head_dim_k; c++) {
        __m256 k0 = load_cache(task->keys, type, at + 16 * c);
        __m256 k1 = load_cache(task->keys, type, at + 16 * c + 8);
#pragma GCC unroll 4
        for (int i = 0; i < n; i++) {
            __m256 q = _mm256_set1_ps(task->query[i][c]);
            acc[i][0] = _mm256_fmadd_ps(q, k0, acc[i][0]);
            acc[i][1] = _mm256_fmadd_ps(q, k1, acc[i][1]);
        }
    }
    const __m256 scale = _mm256_set1_ps(task->scale);
#pragma GCC unroll 4
    for (int i = 0; i < n; i++) {
        _mm256_storeu_ps(e + 256 * i + first % 256, _mm256_mul_ps(acc[i][0], scale));
        _mm256_storeu_ps(e + 256 * i + first % 256 + 8, _mm256_mul_ps(acc[i][1], scale));
    }
}

/* Scores to weights: e = exp(e − max) over `count` positions, zero behind; returns max. */
INLINE float soften(float *e, size_t count, float *l) {
    size_t padded = (count + 15) / 16 * 16;
    for (size_t j = count; j < padded; j++) {
        e[j] = -__builtin_inff();
    }
    __m256 m = _mm256_set1_ps(-__builtin_inff());
    for (size_t j = 0; j < padded; j += 8) {
        m = _mm256_max_ps(m, _mm256_loadu_ps(e + j));
    }
    __m128 four = _mm_max_ps(_mm256_castps256_ps128(m), _mm256_extractf128_ps(m, 1));
    four = _mm_max_ps(four, _mm_movehl_ps(four, four));
    four = _mm_max_ss(four, _mm_shuffle_ps(four, four, 1));
    float largest = _mm_cvtss_f32(four);
    partial_sums p = {_mm256_setzero_ps(), _mm256_setzero_ps()};
    __m256 top = _mm256_set1_ps(largest);
    for (size_t j = 0; j < padded; j += 16) { /* exp(−inf) is 0: the padding adds nothing */
        __m256 a = vector_exp_avx2(_mm256_sub_ps(_mm256_loadu_ps(e + j), top));
        __m256 b = vector_exp_avx2(_mm256_sub_ps(_mm256_loadu_ps(e + j + 8), top));
        _mm256_storeu_ps(e + j, a);
        _mm256_storeu_ps(e + j + 8, b);
        p.low = _mm256_add_ps(p.low, a);
        p.high = _mm256_add_ps(p.high, b);
    }
    *l = fold(p);
    return largest;
}

/* a_i[c] = Σ_j e_i[j] · v_j[c] over the positions every query of the tile sees, 16 channels. */
INLINE void weigh_tile(const attention_task *task, kv_type type, size_t first, size_t count,
                       const float *e, size_t channel, __m256 (*acc)[2], int n) {
    for (size_t j = 0; j < count; j++) {
        size_t at = (first + j) * task->value_stride + channel;
        __m256 v0 = load_cache(task->values, type, at);
        __m256 v1 = load_cache(task->values, type, at + 8);
#pragma GCC unroll 4
        for (int i = 0; i < n; i++) {
            __m256 weight = _mm256_set1_ps(e[256 * i + (int)j]);
            acc[i][0] = _mm256_fmadd_ps(weight, v0, acc[i][0]);
            acc[i][1] = _mm256_fmadd_ps(weight, v1, acc[i][1]);
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
    for (; channel + 16 <= task->head_dim_v; channel += 16) {
        __m256 acc[KERNEL_QUERY_TILE][2];
#pragma GCC unroll 4
        for (int i = 0; i < n; i++) {
            acc[i][0] = acc[i][1] = _mm256_setzero_ps();
        }
        weigh_tile(task, type, first, common, e, channel, acc, n);
#pragma GCC unroll 4
        for (int i = 0; i < n; i++) {
            for (size_t j = common; j < count[i]; j++) {
                size_t at = (first + j) * task->value_stride + channel;
                __m256 weight = _mm256_set1_ps(e[256 * i + (int)j]);
                acc[i][0] = _mm256_fmadd_ps(weight, load_cache(task->values, type, at), acc[i][0]);
                acc[i][1] =
                    _mm256_fmadd_ps(weight, load_cache(task->values, type, at + 8), acc[i][1]);
            }
            _mm256_storeu_ps(a[i] + channel, acc[i][0]);
            _mm256_storeu_ps(a[i] + channel + 8, acc[i][1]);
        }
    }
    for (int i = 0; i < n && channel < task->head_dim_v; i++) {
        attention_weigh_tail(task, first, count[i], e + 256 * i, channel, a[i]);
    }
}

/* One segment of all queries of the tile. */
INLINE void attend_segment(const attention_task *task, kv_type type, size_t s, size_t n_segments,
                           size_t visible, int n) {
    size_t row = task->head_dim_v + 2;
    float *e = task->scratch;
    float *segments = task->scratch + KERNEL_QUERY_TILE * 256;
    size_t first = 256 * s;
    size_t longest = visible - first < 256 ? visible - first : 256;
    for (size_t j = 0; j < longest; j += 16) {
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
    uint16_t *halves = target;
    size_t i = 0;
    for (; i + 8 <= n; i += 8) {
        _mm_storeu_si128((__m128i *)(halves + i),
                         vector_narrow_f16_avx2(_mm256_loadu_ps(value + i)));
    }
    for (; i < n; i++) {
        halves[i] = arith_f32_to_f16(value[i]);
    }
}

/* ---- element-wise ---------------------------------------------------------------------- */

static void add(float *y, const float *x, size_t n) {
    size_t i = 0;
    for (; i + 8 <= n; i += 8) {
        _mm256_storeu_ps(y + i, _mm256_add_ps(_mm256_loadu_ps(y + i), _mm256_loadu_ps(x + i)));
    }
    for (; i < n; i++) {
        y[i] += x[i];
    }
}

INLINE void apply(float *x, const float *up, size_t n, __m256 (*function)(__m256)) {
    for (size_t i = 0; i < n; i += 8) {
        float block[16];
        float factors[16];
        size_t left = n - i < 8 ? n - i : 8;
        const float *at = left == 8 ? x + i : sixteen(x + i, left, block);
        __m256 y = function(_mm256_loadu_ps(at));
        if (up) {
            y = _mm256_mul_ps(y,
                              _mm256_loadu_ps(left == 8 ? up + i : sixteen(up + i, left, factors)));
        }
        if (left == 8) {
            _mm256_storeu_ps(x + i, y);
        } else {
            _mm256_storeu_ps(block, y);
            memcpy(x + i, block, left * sizeof(float));
        }
    }
}

#define ACTIVATION(name) vector_##name##_avx2
#include "engine/kernels/activation_parts.h"

const kernel_table kernel_avx2 = {
    .name = "avx2",
    .matmul = {[TENSOR_F32] = avx2_matmul_f32,
               [TENSOR_F16] = avx2_matmul_f16,
               [TENSOR_BF16] = avx2_matmul_bf16,
               [TENSOR_Q4_0] = avx2_matmul_q4_0,
               [TENSOR_Q4_1] = avx2_matmul_q4_1,
               [TENSOR_Q8_0] = avx2_matmul_q8_0,
               [TENSOR_Q4_K] = avx2_matmul_q4_k,
               [TENSOR_Q6_K] = avx2_matmul_q6_k},
    .quantize_32 = quantize_32,
    .quantize_256 = quantize_256,
    .rms_norm = rms_norm,
    .layer_norm = layer_norm,
    .rope = rope,
    .attention = attention,
    .store_key = scalar_store_key,
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
