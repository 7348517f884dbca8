/* Matrix products with AVX2 and FMA: one register holds eight rows, half a group. Bit-equal to
 * scalar_matmul.c. Tiles of up to TILE tokens share each weight vector. */
#include "engine/kernels/matmul_x86_avx2.h"

#include "engine/kernels/prefetch_x86.h"
#include "engine/pack_layout.h"

#include <immintrin.h>
#include <string.h>

#define INLINE static inline __attribute__((always_inline))
enum { TILE = 4 };

/* Half a group (rows 8·half … 8·half + 7), one tile. */
typedef struct token_tile {
    const uint8_t *group;
    size_t half;
    const activations *in;
    size_t token;
    float *out;
    size_t out_stride;
} token_tile;

INLINE __m256i load_256(const uint8_t *p) {
    return _mm256_loadu_si256((const __m256i *)p);
}

INLINE __m256i broadcast_4(const int8_t *x) {
    int32_t four;
    memcpy(&four, x, sizeof four);
    return _mm256_set1_epi32(four);
}

INLINE __m256 widen_halves(const uint8_t *p) {
    return _mm256_cvtph_ps(_mm_loadu_si128((const __m128i *)p));
}

INLINE size_t width_at(size_t n_columns, size_t k) {
    return n_columns - k < PACK_SEGMENT ? n_columns - k : PACK_SEGMENT;
}

/* acc[t] (16-bit pairs) += nibbles · x over a block of 32. Eight products of at most
 * 15 · 127 · 2 = 3,810 fit 16 bits: 30,480. */
INLINE void dot_nibbles(const uint8_t *quants, const int8_t *const *x, __m256i *acc, int n) {
    const __m256i low = _mm256_set1_epi8(15);
#pragma GCC unroll 4
    for (int j = 0; j < 4; j++) {
        __m256i raw = load_256(quants + 64 * j);
        __m256i first = _mm256_and_si256(raw, low);
        __m256i second = _mm256_and_si256(_mm256_srli_epi16(raw, 4), low);
#pragma GCC unroll 4
        for (int t = 0; t < n; t++) {
            __m256i a = _mm256_maddubs_epi16(first, broadcast_4(x[t] + 4 * j));
            __m256i b = _mm256_maddubs_epi16(second, broadcast_4(x[t] + 16 + 4 * j));
            acc[t] = _mm256_add_epi16(acc[t], _mm256_add_epi16(a, b));
        }
    }
}

/* acc[t] (32-bit) += bytes · x. |w| ≤ 128 as unsigned times x with w's sign: 128 · 127 · 2 fits
 * 16 bits. */
INLINE void dot_bytes(const uint8_t *quants, const int8_t *const *x, __m256i *acc, int n) {
    const __m256i ones = _mm256_set1_epi16(1);
#pragma GCC unroll 8
    for (int j = 0; j < 8; j++) {
        __m256i w = load_256(quants + 64 * j);
        __m256i magnitude = _mm256_abs_epi8(w);
#pragma GCC unroll 4
        for (int t = 0; t < n; t++) {
            __m256i signed_x = _mm256_sign_epi8(broadcast_4(x[t] + 4 * j), w);
            __m256i pairs = _mm256_maddubs_epi16(magnitude, signed_x);
            acc[t] = _mm256_add_epi32(acc[t], _mm256_madd_epi16(pairs, ones));
        }
    }
}

/* The sums of one block of 32: Q4 has pairs in 16 bits still, Q4_0 counts from −8. */
INLINE __m256 whole_sums(uint32_t type, __m256i isum, int32_t sum_of_x) {
    if (type != TENSOR_Q8_0) {
        isum = _mm256_madd_epi16(isum, _mm256_set1_epi16(1));
    }
    if (type == TENSOR_Q4_0) {
        isum = _mm256_sub_epi32(isum, _mm256_slli_epi32(_mm256_set1_epi32(sum_of_x), 3));
    }
    return _mm256_cvtepi32_ps(isum);
}

INLINE void block32_tile(uint32_t type, const token_tile *tile, int n) {
    const activations *in = tile->in;
    const size_t block_bytes = type == TENSOR_Q8_0 ? 512 : 256;
    const uint8_t *segment = tile->group;
    const uint8_t *ahead = segment;
    __m256 total[TILE];
    const int8_t *x[TILE];
#pragma GCC unroll 4
    for (int t = 0; t < n; t++) {
        total[t] = _mm256_setzero_ps();
        x[t] = in->q + (tile->token + (size_t)t) * in->q_stride;
    }
    const float *d = in->d + tile->token * in->block_stride;
    const float *ds = in->ds + tile->token * in->block_stride;
    const int32_t *sums = in->sums + tile->token * in->block_stride;
    size_t block = 0;
    for (size_t k = 0; k < in->n_columns; k += PACK_SEGMENT) {
        size_t width = width_at(in->n_columns, k);
        segment_layout l = pack_segment_layout(type, width);
        const uint8_t *scales = segment + l.scales + 16 * tile->half;
        const uint8_t *mins = segment + l.mins + 16 * tile->half;
        __m256 sum[TILE];
#pragma GCC unroll 4
        for (int t = 0; t < n; t++) {
            sum[t] = _mm256_setzero_ps();
        }
        for (size_t b = 0; b < width / 32; b++, block++) {
            __m256i acc[TILE];
            if (n == 1 && type == TENSOR_Q4_1 && tile->half == 0) {
                ahead = prefetch_q4_1(ahead);
            }
#pragma GCC unroll 4
            for (int t = 0; t < n; t++) {
                acc[t] = _mm256_setzero_si256();
            }
            const uint8_t *quants = segment + l.quants + block_bytes * b + 32 * tile->half;
            if (type == TENSOR_Q8_0) {
                dot_bytes(quants, x, acc, n);
            } else {
                dot_nibbles(quants, x, acc, n);
            }
            __m256 scale = widen_halves(scales + 32 * b);
#pragma GCC unroll 4
            for (int t = 0; t < n; t++) {
                size_t at = (size_t)t * in->block_stride + block;
                __m256 both = _mm256_mul_ps(scale, _mm256_set1_ps(d[at]));
                sum[t] = _mm256_fmadd_ps(whole_sums(type, acc[t], sums[at]), both, sum[t]);
                if (type == TENSOR_Q4_1) {
                    sum[t] = _mm256_fmadd_ps(widen_halves(mins + 32 * b), _mm256_set1_ps(ds[at]),
                                             sum[t]);
                }
                x[t] += 32;
            }
        }
#pragma GCC unroll 4
        for (int t = 0; t < n; t++) {
            total[t] = _mm256_add_ps(total[t], sum[t]);
        }
        segment += l.size_bytes;
    }
#pragma GCC unroll 4
    for (int t = 0; t < n; t++) {
        _mm256_storeu_ps(tile->out + (size_t)t * tile->out_stride, total[t]);
    }
}

/* Two neighbouring sums of 32 columns as the pair of 16-bit numbers that madd wants. */
INLINE __m256i sum_pair(const int16_t *sums16) {
    int low = sums16[0] + sums16[1];
    int high = sums16[2] + sums16[3];
    return _mm256_set1_epi32((int)((uint32_t)(uint16_t)low | (uint32_t)(uint16_t)high << 16));
}

/* Eight scales as 32-bit lanes that hold each twice, for madd over 16-bit pairs. */
INLINE __m256i doubled(__m256i scales) {
    return _mm256_or_si256(_mm256_and_si256(scales, _mm256_set1_epi32(0xFFFF)),
                           _mm256_slli_epi32(scales, 16));
}

INLINE __m128i load_8(const uint8_t *p) {
    return _mm_loadl_epi64((const __m128i *)p);
}

INLINE void q4_k_segment(const uint8_t *w, size_t half, const int8_t *const *x,
                         const int16_t *const *sums16, __m256i *isum, __m256i *imin, int n) {
    const segment_layout l = pack_segment_layout(TENSOR_Q4_K, PACK_SEGMENT);
    for (size_t j = 0; j < 8; j++) {
        __m256i acc[TILE];
        const int8_t *at[TILE];
#pragma GCC unroll 4
        for (int t = 0; t < n; t++) {
            acc[t] = _mm256_setzero_si256();
            at[t] = x[t] + 32 * j;
        }
        dot_nibbles(w + l.quants + 256 * j + 32 * half, at, acc, n);
        __m256i sc = doubled(_mm256_cvtepu8_epi32(load_8(w + l.sub_scales + 16 * j + 8 * half)));
#pragma GCC unroll 4
        for (int t = 0; t < n; t++) {
            isum[t] = _mm256_add_epi32(isum[t], _mm256_madd_epi16(acc[t], sc));
        }
    }
    for (size_t pair = 0; pair < 4; pair++) {
        __m256i m = _mm256_cvtepu8_epi16(
            _mm_loadu_si128((const __m128i *)(w + l.sub_mins + 32 * pair + 16 * half)));
#pragma GCC unroll 4
        for (int t = 0; t < n; t++) {
            imin[t] =
                _mm256_add_epi32(imin[t], _mm256_madd_epi16(m, sum_pair(sums16[t] + 4 * pair)));
        }
    }
}

/* Two products of at most 63 · 127 · 2 = 16,002 fit 16 bits; the zero point of 32 is taken off
 * after the scaling: Σ sc·(q − 32)·x = Σ sc·q·x − 32·Σ sc·Σx. */
INLINE void q6_k_segment(const uint8_t *w, size_t half, const int8_t *const *x,
                         const int16_t *const *sums16, __m256i *isum, int n) {
    const segment_layout l = pack_segment_layout(TENSOR_Q6_K, PACK_SEGMENT);
    const __m256i low = _mm256_set1_epi8(15);
    const __m256i top = _mm256_set1_epi8(0x30);
    for (size_t v = 0; v < 16; v++) {
        const uint8_t *nibbles = w + l.quants + 256 * (v / 2) + 32 * half;
        __m128i shift = _mm_cvtsi32_si128(v % 2 ? 4 : 0);
        __m256i h = load_256(w + l.high + 64 * v + 32 * half);
        __m256i high[4] = {_mm256_and_si256(_mm256_slli_epi16(h, 4), top),
                           _mm256_and_si256(_mm256_slli_epi16(h, 2), top), _mm256_and_si256(h, top),
                           _mm256_and_si256(_mm256_srli_epi16(h, 2), top)};
        __m256i plain = _mm256_cvtepi8_epi32(load_8(w + l.sub_scales + 16 * v + 8 * half));
        __m256i sc = doubled(plain);
#pragma GCC unroll 2
        for (int pair = 0; pair < 2; pair++) {
            __m256i q0 =
                _mm256_and_si256(_mm256_srl_epi16(load_256(nibbles + 128 * pair), shift), low);
            __m256i q1 =
                _mm256_and_si256(_mm256_srl_epi16(load_256(nibbles + 128 * pair + 64), shift), low);
            q0 = _mm256_or_si256(q0, high[2 * pair]);
            q1 = _mm256_or_si256(q1, high[2 * pair + 1]);
#pragma GCC unroll 4
            for (int t = 0; t < n; t++) {
                const int8_t *at = x[t] + 16 * v + 8 * (size_t)pair;
                __m256i pairs = _mm256_add_epi16(_mm256_maddubs_epi16(q0, broadcast_4(at)),
                                                 _mm256_maddubs_epi16(q1, broadcast_4(at + 4)));
                isum[t] = _mm256_add_epi32(isum[t], _mm256_madd_epi16(pairs, sc));
            }
        }
#pragma GCC unroll 4
        for (int t = 0; t < n; t++) {
            __m256i zero = _mm256_set1_epi32(32 * sums16[t][v]);
            isum[t] = _mm256_sub_epi32(isum[t], _mm256_mullo_epi32(plain, zero));
        }
    }
}

INLINE void block256_tile(uint32_t type, const token_tile *tile, int n) {
    const activations *in = tile->in;
    const segment_layout l = pack_segment_layout(type, PACK_SEGMENT);
    const uint8_t *segment = tile->group;
    __m256 total[TILE];
    const int8_t *x[TILE];
    const int16_t *sums16[TILE];
#pragma GCC unroll 4
    for (int t = 0; t < n; t++) {
        total[t] = _mm256_setzero_ps();
        x[t] = in->q + (tile->token + (size_t)t) * in->q_stride;
        sums16[t] = in->sums16 + (tile->token + (size_t)t) * in->sum16_stride;
    }
    for (size_t s = 0; s < in->n_columns / PACK_SEGMENT; s++, segment += l.size_bytes) {
        __m256i isum[TILE];
        __m256i imin[TILE];
#pragma GCC unroll 4
        for (int t = 0; t < n; t++) {
            isum[t] = _mm256_setzero_si256();
            imin[t] = _mm256_setzero_si256();
        }
        if (type == TENSOR_Q4_K) {
            q4_k_segment(segment, tile->half, x, sums16, isum, imin, n);
        } else {
            q6_k_segment(segment, tile->half, x, sums16, isum, n);
        }
        __m256 scale = widen_halves(segment + l.scales + 16 * tile->half);
        __m256 minimum = type == TENSOR_Q4_K ? widen_halves(segment + l.mins + 16 * tile->half)
                                             : _mm256_setzero_ps();
#pragma GCC unroll 4
        for (int t = 0; t < n; t++) {
            __m256 d_x = _mm256_set1_ps(in->d[(tile->token + (size_t)t) * in->block_stride + s]);
            __m256 sum = _mm256_fmadd_ps(_mm256_cvtepi32_ps(isum[t]), _mm256_mul_ps(scale, d_x),
                                         _mm256_setzero_ps());
            if (type == TENSOR_Q4_K) {
                sum =
                    _mm256_fnmadd_ps(_mm256_cvtepi32_ps(imin[t]), _mm256_mul_ps(minimum, d_x), sum);
            }
            total[t] = _mm256_add_ps(total[t], sum);
            x[t] += 256;
            sums16[t] += 16;
        }
    }
#pragma GCC unroll 4
    for (int t = 0; t < n; t++) {
        _mm256_storeu_ps(tile->out + (size_t)t * tile->out_stride, total[t]);
    }
}

INLINE __m256 float_weights(uint32_t type, const uint8_t *w, size_t k, size_t half) {
    if (type == TENSOR_F32) {
        return _mm256_loadu_ps((const float *)(w + 64 * k + 32 * half));
    }
    if (type == TENSOR_F16) {
        return widen_halves(w + 32 * k + 16 * half);
    }
    __m128i bits = _mm_loadu_si128((const __m128i *)(w + 32 * k + 16 * half));
    return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_cvtepu16_epi32(bits), 16));
}

INLINE void float_tile(uint32_t type, const token_tile *tile, int n) {
    const activations *in = tile->in;
    const uint8_t *segment = tile->group;
    const float *x = in->x + tile->token * in->x_stride;
    __m256 total[TILE];
#pragma GCC unroll 4
    for (int t = 0; t < n; t++) {
        total[t] = _mm256_setzero_ps();
    }
    for (size_t k = 0; k < in->n_columns; k += PACK_SEGMENT, x += PACK_SEGMENT) {
        size_t width = width_at(in->n_columns, k);
        __m256 sum[TILE];
#pragma GCC unroll 4
        for (int t = 0; t < n; t++) {
            sum[t] = _mm256_setzero_ps();
        }
        for (size_t i = 0; i < width; i++) {
            __m256 w = float_weights(type, segment, i, tile->half);
#pragma GCC unroll 4
            for (int t = 0; t < n; t++) {
                sum[t] =
                    _mm256_fmadd_ps(w, _mm256_set1_ps(x[(size_t)t * in->x_stride + i]), sum[t]);
            }
        }
#pragma GCC unroll 4
        for (int t = 0; t < n; t++) {
            total[t] = _mm256_add_ps(total[t], sum[t]);
        }
        segment += pack_segment_layout(type, width).size_bytes;
    }
#pragma GCC unroll 4
    for (int t = 0; t < n; t++) {
        _mm256_storeu_ps(tile->out + (size_t)t * tile->out_stride, total[t]);
    }
}

INLINE void run_tile(uint32_t type, token_tile *tile, int n) {
    float *out = tile->out;
    for (size_t half = 0; half < 2; half++) {
        tile->half = half;
        tile->out = out + 8 * half;
        if (type == TENSOR_Q4_0 || type == TENSOR_Q4_1 || type == TENSOR_Q8_0) {
            block32_tile(type, tile, n);
        } else if (type == TENSOR_Q4_K || type == TENSOR_Q6_K) {
            block256_tile(type, tile, n);
        } else {
            float_tile(type, tile, n);
        }
    }
}

INLINE void matmul(uint32_t type, const matmul_task *task) {
    for (size_t g = task->group_begin; g < task->group_end; g++) {
        token_tile at = {.group = task->weights + g * task->group_bytes,
                         .in = task->in,
                         .out_stride = task->out_stride};
        for (size_t t = task->token_begin; t < task->token_end;) {
            size_t left = task->token_end - t;
            at.token = t;
            at.out = task->out + t * task->out_stride + g * PACK_GROUP_ROWS;
            if (left >= 4) {
                run_tile(type, &at, 4);
                t += 4;
            } else if (left >= 2) {
                run_tile(type, &at, 2);
                t += 2;
            } else {
                run_tile(type, &at, 1);
                t += 1;
            }
        }
    }
}

void avx2_matmul_f32(const matmul_task *task) {
    matmul(TENSOR_F32, task);
}
void avx2_matmul_f16(const matmul_task *task) {
    matmul(TENSOR_F16, task);
}
void avx2_matmul_bf16(const matmul_task *task) {
    matmul(TENSOR_BF16, task);
}
void avx2_matmul_q4_0(const matmul_task *task) {
    matmul(TENSOR_Q4_0, task);
}
void avx2_matmul_q4_1(const matmul_task *task) {
    matmul(TENSOR_Q4_1, task);
}
void avx2_matmul_q8_0(const matmul_task *task) {
    matmul(TENSOR_Q8_0, task);
}
void avx2_matmul_q4_k(const matmul_task *task) {
    matmul(TENSOR_Q4_K, task);
}
void avx2_matmul_q6_k(const matmul_task *task) {
    matmul(TENSOR_Q6_K, task);
}
