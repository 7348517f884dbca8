/* Matrix products with AVX-512 and VNNI: one register holds the 16 rows of a group. Bit-equal to
 * scalar_matmul.c. Tiles of up to TILE tokens share each weight vector. */
#include "engine/kernels/matmul_x86_avx512.h"

#include "engine/kernels/prefetch_x86.h"
#include "engine/pack_layout.h"

#include <immintrin.h>
#include <string.h>

#define INLINE static inline __attribute__((always_inline))
enum { TILE = 8 };

/* One group, one tile: what the block loops need. */
typedef struct token_tile {
    const uint8_t *group;
    size_t group_bytes;
    const activations *in;
    size_t token;
    float *out;
    size_t out_stride;
} token_tile;

INLINE __m512i broadcast_4(const int8_t *x) {
    int32_t four;
    memcpy(&four, x, sizeof four);
    return _mm512_set1_epi32(four);
}

INLINE __m512 widen_halves(const uint8_t *p) {
    return _mm512_cvtph_ps(_mm256_loadu_si256((const __m256i *)p));
}

INLINE size_t width_at(size_t n_columns, size_t k) {
    return n_columns - k < PACK_SEGMENT ? n_columns - k : PACK_SEGMENT;
}

/* Q4_0, Q4_1, Q4_K: acc[t] += nibbles · x over one block of 32. */
INLINE void dot_nibbles(const uint8_t *quants, const int8_t *const *x, __m512i *acc, int n) {
    const __m512i low = _mm512_set1_epi8(15);
    __m512i other = _mm512_setzero_si512(); /* a single token would wait on one chain */
#pragma GCC unroll 4
    for (int j = 0; j < 4; j++) {
        __m512i raw = _mm512_loadu_si512(quants + 64 * j);
        __m512i first = _mm512_and_si512(raw, low);
        __m512i second = _mm512_and_si512(_mm512_srli_epi16(raw, 4), low);
#pragma GCC unroll 8
        for (int t = 0; t < n; t++) {
            acc[t] = _mm512_dpbusd_epi32(acc[t], first, broadcast_4(x[t] + 4 * j));
            __m512i *sum = n == 1 ? &other : &acc[t];
            *sum = _mm512_dpbusd_epi32(*sum, second, broadcast_4(x[t] + 16 + 4 * j));
        }
    }
    if (n == 1) {
        acc[0] = _mm512_add_epi32(acc[0], other);
    }
}

/* The same for two groups, which share the broadcasts of x. */
INLINE void dot_nibbles_pair(const uint8_t *quants, size_t group_bytes, const int8_t *const *x,
                             __m512i *acc, __m512i *acc2, int n) {
    const __m512i low = _mm512_set1_epi8(15);
#pragma GCC unroll 4
    for (int j = 0; j < 4; j++) {
        __m512i raw = _mm512_loadu_si512(quants + 64 * j);
        __m512i raw2 = _mm512_loadu_si512(quants + group_bytes + 64 * j);
        __m512i first = _mm512_and_si512(raw, low);
        __m512i second = _mm512_and_si512(_mm512_srli_epi16(raw, 4), low);
        __m512i first2 = _mm512_and_si512(raw2, low);
        __m512i second2 = _mm512_and_si512(_mm512_srli_epi16(raw2, 4), low);
#pragma GCC unroll 8
        for (int t = 0; t < n; t++) {
            __m512i x_first = broadcast_4(x[t] + 4 * j);
            acc[t] = _mm512_dpbusd_epi32(acc[t], first, x_first);
            acc2[t] = _mm512_dpbusd_epi32(acc2[t], first2, x_first);
            __m512i x_second = broadcast_4(x[t] + 16 + 4 * j);
            acc[t] = _mm512_dpbusd_epi32(acc[t], second, x_second);
            acc2[t] = _mm512_dpbusd_epi32(acc2[t], second2, x_second);
        }
    }
}

/* Q8_0: weights become unsigned by adding 128; the caller started acc at −128 · Σx. */
INLINE void dot_bytes(const uint8_t *quants, size_t group_bytes, const int8_t *const *x,
                      __m512i *acc, __m512i *acc2, int n_groups, int n) {
    const __m512i flip = _mm512_set1_epi8((char)0x80);
#pragma GCC unroll 8
    for (int j = 0; j < 8; j++) {
        __m512i w = _mm512_xor_si512(_mm512_loadu_si512(quants + 64 * j), flip);
        __m512i w2 = n_groups == 2
                         ? _mm512_xor_si512(_mm512_loadu_si512(quants + group_bytes + 64 * j), flip)
                         : _mm512_setzero_si512();
#pragma GCC unroll 8
        for (int t = 0; t < n; t++) {
            __m512i four = broadcast_4(x[t] + 4 * j);
            acc[t] = _mm512_dpbusd_epi32(acc[t], w, four);
            if (n_groups == 2) {
                acc2[t] = _mm512_dpbusd_epi32(acc2[t], w2, four);
            }
        }
    }
}

/* One block's integers of one group, scaled and added to the sums; rule 9 for blocks of 32. */
INLINE void scale_block32(uint32_t type, const uint8_t *scales, const uint8_t *mins, const float *d,
                          const float *ds, size_t block_stride, const __m512i *acc, __m512 *sum,
                          int n) {
    __m512 scale = widen_halves(scales);
    __m512 offset = type == TENSOR_Q4_1 ? widen_halves(mins) : _mm512_setzero_ps();
#pragma GCC unroll 8
    for (int t = 0; t < n; t++) {
        size_t at = (size_t)t * block_stride;
        __m512 both = _mm512_mul_ps(scale, _mm512_set1_ps(d[at]));
        sum[t] = _mm512_fmadd_ps(_mm512_cvtepi32_ps(acc[t]), both, sum[t]);
        if (type == TENSOR_Q4_1) {
            sum[t] = _mm512_fmadd_ps(offset, _mm512_set1_ps(ds[at]), sum[t]);
        }
    }
}

/* Adds a segment's blocks to sum[group][token]; x moves on to the next segment's. */
INLINE void block32_segment(uint32_t type, const token_tile *tile, const uint8_t *segment,
                            size_t first_column, const int8_t **x, __m512 sum[2][TILE],
                            int n_groups, int n) {
    const activations *in = tile->in;
    const int zero_point = type == TENSOR_Q4_0 ? 8 : type == TENSOR_Q8_0 ? 128 : 0;
    const size_t block_bytes = type == TENSOR_Q8_0 ? 512 : 256;
    const size_t width = width_at(in->n_columns, first_column);
    const segment_layout l = pack_segment_layout(type, width);
    const size_t first_block = tile->token * in->block_stride + first_column / 32;
    const float *d = in->d + first_block;
    const float *ds = in->ds + first_block;
    const int32_t *sums = in->sums + first_block;
    const uint8_t *ahead = segment;
    for (size_t b = 0; b < width / 32; b++) {
        __m512i acc[2][TILE];
        if (n == 1 && type == TENSOR_Q4_1) {
            ahead = prefetch_q4_1(ahead);
        }
#pragma GCC unroll 8
        for (int t = 0; t < n; t++) {
            acc[0][t] =
                zero_point == 0
                    ? _mm512_setzero_si512()
                    : _mm512_set1_epi32(-zero_point * sums[(size_t)t * in->block_stride + b]);
            acc[1][t] = acc[0][t];
        }
        const uint8_t *quants = segment + l.quants + block_bytes * b;
        if (type == TENSOR_Q8_0) {
            dot_bytes(quants, tile->group_bytes, x, acc[0], acc[1], n_groups, n);
        } else if (n_groups == 2) {
            dot_nibbles_pair(quants, tile->group_bytes, x, acc[0], acc[1], n);
        } else {
            dot_nibbles(quants, x, acc[0], n);
        }
#pragma GCC unroll 2
        for (int g = 0; g < n_groups; g++) {
            const uint8_t *here = segment + (size_t)g * tile->group_bytes;
            scale_block32(type, here + l.scales + 32 * b, here + l.mins + 32 * b, d + b, ds + b,
                          in->block_stride, acc[g], sum[g], n);
        }
#pragma GCC unroll 8
        for (int t = 0; t < n; t++) {
            x[t] += 32;
        }
    }
}

INLINE void block32_tile(uint32_t type, const token_tile *tile, int n_groups, int n) {
    const uint8_t *segment = tile->group;
    __m512 total[2][TILE];
    const int8_t *x[TILE];
#pragma GCC unroll 8
    for (int t = 0; t < n; t++) {
        total[0][t] = total[1][t] = _mm512_setzero_ps();
        x[t] = tile->in->q + (tile->token + (size_t)t) * tile->in->q_stride;
    }
    for (size_t k = 0; k < tile->in->n_columns; k += PACK_SEGMENT) {
        __m512 sum[2][TILE];
#pragma GCC unroll 8
        for (int t = 0; t < n; t++) {
            sum[0][t] = sum[1][t] = _mm512_setzero_ps();
        }
        block32_segment(type, tile, segment, k, x, sum, n_groups, n);
#pragma GCC unroll 8
        for (int t = 0; t < n; t++) {
            total[0][t] = _mm512_add_ps(total[0][t], sum[0][t]);
            total[1][t] = _mm512_add_ps(total[1][t], sum[1][t]);
        }
        segment += pack_segment_layout(type, width_at(tile->in->n_columns, k)).size_bytes;
    }
#pragma GCC unroll 8
    for (int t = 0; t < n; t++) {
        float *out = tile->out + (size_t)t * tile->out_stride;
        _mm512_storeu_ps(out, total[0][t]);
        if (n_groups == 2) {
            _mm512_storeu_ps(out + PACK_GROUP_ROWS, total[1][t]);
        }
    }
}

/* Two neighbouring sums of 32 columns as the pair of 16-bit numbers that madd wants. */
INLINE __m512i sum_pair(const int16_t *sums16) {
    int low = sums16[0] + sums16[1];
    int high = sums16[2] + sums16[3];
    return _mm512_set1_epi32((int)((uint32_t)(uint16_t)low | (uint32_t)(uint16_t)high << 16));
}

INLINE void q4_k_segment(const uint8_t *w, const int8_t *const *x, const int16_t *const *sums16,
                         __m512i *isum, __m512i *imin, int n) {
    const segment_layout l = pack_segment_layout(TENSOR_Q4_K, PACK_SEGMENT);
    for (size_t j = 0; j < 8; j++) {
        __m512i acc[TILE];
        const int8_t *at[TILE];
#pragma GCC unroll 8
        for (int t = 0; t < n; t++) {
            acc[t] = _mm512_setzero_si512();
            at[t] = x[t] + 32 * j;
        }
        dot_nibbles(w + l.quants + 256 * j, at, acc, n);
        __m512i sc =
            _mm512_cvtepu8_epi32(_mm_loadu_si128((const __m128i *)(w + l.sub_scales + 16 * j)));
#pragma GCC unroll 8
        for (int t = 0; t < n; t++) {
            isum[t] = _mm512_add_epi32(isum[t], _mm512_mullo_epi32(acc[t], sc));
        }
    }
    for (size_t pair = 0; pair < 4; pair++) {
        __m512i m =
            _mm512_cvtepu8_epi16(_mm256_loadu_si256((const __m256i *)(w + l.sub_mins + 32 * pair)));
#pragma GCC unroll 8
        for (int t = 0; t < n; t++) {
            imin[t] =
                _mm512_add_epi32(imin[t], _mm512_madd_epi16(m, sum_pair(sums16[t] + 4 * pair)));
        }
    }
}

INLINE void q6_k_segment(const uint8_t *w, const int8_t *const *x, const int16_t *const *sums16,
                         __m512i *isum, int n) {
    const segment_layout l = pack_segment_layout(TENSOR_Q6_K, PACK_SEGMENT);
    const __m512i low = _mm512_set1_epi8(15);
    const __m512i top = _mm512_set1_epi8(0x30);
    for (size_t v = 0; v < 16; v++) {
        const uint8_t *nibbles = w + l.quants + 256 * (v / 2);
        const int shift = v % 2 ? 4 : 0;
        __m512i h = _mm512_loadu_si512(w + l.high + 64 * v);
        __m512i high[4] = {_mm512_and_si512(_mm512_slli_epi16(h, 4), top),
                           _mm512_and_si512(_mm512_slli_epi16(h, 2), top), _mm512_and_si512(h, top),
                           _mm512_and_si512(_mm512_srli_epi16(h, 2), top)};
        __m512i acc[TILE];
#pragma GCC unroll 8
        for (int t = 0; t < n; t++) {
            acc[t] = _mm512_set1_epi32(-32 * sums16[t][v]);
        }
#pragma GCC unroll 4
        for (int i = 0; i < 4; i++) {
            __m512i raw = _mm512_loadu_si512(nibbles + 64 * i);
            __m512i q = _mm512_and_si512(_mm512_srl_epi16(raw, _mm_cvtsi32_si128(shift)), low);
            q = _mm512_or_si512(q, high[i]);
#pragma GCC unroll 8
            for (int t = 0; t < n; t++) {
                acc[t] = _mm512_dpbusd_epi32(acc[t], q, broadcast_4(x[t] + 16 * v + 4 * i));
            }
        }
        __m512i sc =
            _mm512_cvtepi8_epi32(_mm_loadu_si128((const __m128i *)(w + l.sub_scales + 16 * v)));
#pragma GCC unroll 8
        for (int t = 0; t < n; t++) {
            isum[t] = _mm512_add_epi32(isum[t], _mm512_mullo_epi32(acc[t], sc));
        }
    }
}

INLINE void block256_tile(uint32_t type, const token_tile *tile, int n) {
    const activations *in = tile->in;
    const segment_layout l = pack_segment_layout(type, PACK_SEGMENT);
    const uint8_t *segment = tile->group;
    __m512 total[TILE];
    const int8_t *x[TILE];
    const int16_t *sums16[TILE];
#pragma GCC unroll 8
    for (int t = 0; t < n; t++) {
        total[t] = _mm512_setzero_ps();
        x[t] = in->q + (tile->token + (size_t)t) * in->q_stride;
        sums16[t] = in->sums16 + (tile->token + (size_t)t) * in->sum16_stride;
    }
    for (size_t s = 0; s < in->n_columns / PACK_SEGMENT; s++, segment += l.size_bytes) {
        __m512i isum[TILE];
        __m512i imin[TILE];
#pragma GCC unroll 8
        for (int t = 0; t < n; t++) {
            isum[t] = _mm512_setzero_si512();
            imin[t] = _mm512_setzero_si512();
        }
        if (type == TENSOR_Q4_K) {
            q4_k_segment(segment, x, sums16, isum, imin, n);
        } else {
            q6_k_segment(segment, x, sums16, isum, n);
        }
        __m512 scale = widen_halves(segment + l.scales);
        __m512 minimum = type == TENSOR_Q4_K ? widen_halves(segment + l.mins) : _mm512_setzero_ps();
#pragma GCC unroll 8
        for (int t = 0; t < n; t++) {
            __m512 d_x = _mm512_set1_ps(in->d[(tile->token + (size_t)t) * in->block_stride + s]);
            __m512 sum = _mm512_fmadd_ps(_mm512_cvtepi32_ps(isum[t]), _mm512_mul_ps(scale, d_x),
                                         _mm512_setzero_ps());
            if (type == TENSOR_Q4_K) {
                sum =
                    _mm512_fnmadd_ps(_mm512_cvtepi32_ps(imin[t]), _mm512_mul_ps(minimum, d_x), sum);
            }
            total[t] = _mm512_add_ps(total[t], sum);
            x[t] += 256;
            sums16[t] += 16;
        }
    }
#pragma GCC unroll 8
    for (int t = 0; t < n; t++) {
        _mm512_storeu_ps(tile->out + (size_t)t * tile->out_stride, total[t]);
    }
}

INLINE __m512 float_weights(uint32_t type, const uint8_t *w, size_t k) {
    if (type == TENSOR_F32) {
        return _mm512_loadu_ps((const float *)(w + 64 * k));
    }
    if (type == TENSOR_F16) {
        return widen_halves(w + 32 * k);
    }
    __m256i bits = _mm256_loadu_si256((const __m256i *)(w + 32 * k));
    return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(bits), 16));
}

INLINE void float_tile(uint32_t type, const token_tile *tile, int n) {
    const activations *in = tile->in;
    const uint8_t *segment = tile->group;
    const float *x = in->x + tile->token * in->x_stride;
    __m512 total[TILE];
#pragma GCC unroll 8
    for (int t = 0; t < n; t++) {
        total[t] = _mm512_setzero_ps();
    }
    for (size_t k = 0; k < in->n_columns; k += PACK_SEGMENT, x += PACK_SEGMENT) {
        size_t width = width_at(in->n_columns, k);
        __m512 sum[TILE];
#pragma GCC unroll 8
        for (int t = 0; t < n; t++) {
            sum[t] = _mm512_setzero_ps();
        }
        for (size_t i = 0; i < width; i++) {
            __m512 w = float_weights(type, segment, i);
#pragma GCC unroll 8
            for (int t = 0; t < n; t++) {
                sum[t] =
                    _mm512_fmadd_ps(w, _mm512_set1_ps(x[(size_t)t * in->x_stride + i]), sum[t]);
            }
        }
#pragma GCC unroll 8
        for (int t = 0; t < n; t++) {
            total[t] = _mm512_add_ps(total[t], sum[t]);
        }
        segment += pack_segment_layout(type, width).size_bytes;
    }
#pragma GCC unroll 8
    for (int t = 0; t < n; t++) {
        _mm512_storeu_ps(tile->out + (size_t)t * tile->out_stride, total[t]);
    }
}

INLINE void run_tile(uint32_t type, const token_tile *tile, int n) {
    if (type == TENSOR_Q4_0 || type == TENSOR_Q4_1 || type == TENSOR_Q8_0) {
        block32_tile(type, tile, 1, n);
    } else if (type == TENSOR_Q4_K || type == TENSOR_Q6_K) {
        block256_tile(type, tile, n);
    } else {
        float_tile(type, tile, n);
    }
}

/* Tokens [begin, end) of one group. */
INLINE void one_group(uint32_t type, const matmul_task *task, size_t g, size_t begin) {
    token_tile at = {.group = task->weights + g * task->group_bytes,
                     .in = task->in,
                     .out_stride = task->out_stride};
    for (size_t t = begin; t < task->token_end;) {
        size_t left = task->token_end - t;
        at.token = t;
        at.out = task->out + t * task->out_stride + g * PACK_GROUP_ROWS;
        if (left >= 8) {
            run_tile(type, &at, 8);
            t += 8;
        } else if (left >= 4) {
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

INLINE void matmul(uint32_t type, const matmul_task *task) {
    size_t g = task->group_begin;
    if (type == TENSOR_Q4_0 || type == TENSOR_Q4_1 || type == TENSOR_Q8_0) {
        for (; g + 1 < task->group_end && task->token_end - task->token_begin >= 4; g += 2) {
            token_tile at = {.group = task->weights + g * task->group_bytes,
                             .group_bytes = task->group_bytes,
                             .in = task->in,
                             .out_stride = task->out_stride};
            size_t t = task->token_begin;
            for (; t + 4 <= task->token_end; t += 4) {
                at.token = t;
                at.out = task->out + t * task->out_stride + g * PACK_GROUP_ROWS;
                block32_tile(type, &at, 2, 4);
            }
            one_group(type, task, g, t);
            one_group(type, task, g + 1, t);
        }
    }
    for (; g < task->group_end; g++) {
        one_group(type, task, g, task->token_begin);
    }
}

void avx512_matmul_f32(const matmul_task *task) {
    matmul(TENSOR_F32, task);
}
void avx512_matmul_f16(const matmul_task *task) {
    matmul(TENSOR_F16, task);
}
void avx512_matmul_bf16(const matmul_task *task) {
    matmul(TENSOR_BF16, task);
}
void avx512_matmul_q4_0(const matmul_task *task) {
    matmul(TENSOR_Q4_0, task);
}
void avx512_matmul_q4_1(const matmul_task *task) {
    matmul(TENSOR_Q4_1, task);
}
void avx512_matmul_q8_0(const matmul_task *task) {
    matmul(TENSOR_Q8_0, task);
}
void avx512_matmul_q4_k(const matmul_task *task) {
    matmul(TENSOR_Q4_K, task);
}
void avx512_matmul_q6_k(const matmul_task *task) {
    matmul(TENSOR_Q6_K, task);
}
