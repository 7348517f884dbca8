/* Matrix products with WebAssembly SIMD: one vector holds four rows, a quarter of a group.
 * Bit-equal to scalar_matmul.c. Included once by the file of each instruction set; tiles of up to
 * TILE tokens share each weight vector. Ownership: pure functions of the caller's memory. */
#ifndef ENGINE_KERNELS_MATMUL_WASM_H
#define ENGINE_KERNELS_MATMUL_WASM_H

#include "engine/kernels/kernels.h"
#include "engine/kernels/simd_wasm.h"
#include "engine/pack_layout.h"

enum { TILE = 4, ROWS = 4 }; /* tokens and vectors of four rows, at most */

/* `rows` vectors of a group from its vector `first`, `n` tokens. */
typedef struct token_tile {
    const uint8_t *group;
    size_t first;
    const activations *in;
    size_t token;
    float *out;
    size_t out_stride;
} token_tile;

WASM_INLINE size_t width_at(size_t n_columns, size_t k) {
    return n_columns - k < PACK_SEGMENT ? n_columns - k : PACK_SEGMENT;
}

WASM_INLINE v128_t lane_of(v128_t v, int lane) {
    switch (lane) {
    case 0:
        return wasm_i32x4_shuffle(v, v, 0, 0, 0, 0);
    case 1:
        return wasm_i32x4_shuffle(v, v, 1, 1, 1, 1);
    case 2:
        return wasm_i32x4_shuffle(v, v, 2, 2, 2, 2);
    default:
        return wasm_i32x4_shuffle(v, v, 3, 3, 3, 3);
    }
}

WASM_INLINE v128_t add_dot_16(v128_t acc, v128_t a, v128_t b) {
    return wasm_i32x4_add(acc, wasm_i32x4_dot_i16x8(a, b));
}

/* Σ of four columns for each of four rows: q in 0…127, x signed. */
WASM_INLINE v128_t dot_unsigned(v128_t q, v128_t x) {
    v128_t even = wasm_i32x4_dot_i16x8(wasm_v128_and(q, wasm_i16x8_const_splat(0x00FF)),
                                       wasm_i16x8_shr(wasm_i16x8_shl(x, 8), 8));
    return add_dot_16(even, wasm_u16x8_shr(q, 8), wasm_i16x8_shr(x, 8));
}

#if defined(__wasm_relaxed_simd__)

/* acc[t][r] (16-bit pairs) += nibbles · x over a block of 32. The relaxed product is exact for a
 * second operand of 0…127, and eight of at most 15 · 127 · 2 = 3,810 fit 16 bits. */
WASM_INLINE void dot_nibbles(const uint8_t *quants, const int8_t *const *x, v128_t (*acc)[ROWS],
                             int rows, int n) {
    const v128_t low = wasm_i8x16_const_splat(15);
#pragma GCC unroll 4
    for (int j = 0; j < 4; j++) {
        v128_t first[ROWS];
        v128_t second[ROWS];
#pragma GCC unroll 4
        for (int r = 0; r < rows; r++) {
            v128_t raw = wasm_v128_load(quants + 64 * j + 16 * r);
            first[r] = wasm_v128_and(raw, low);
            second[r] = wasm_v128_and(wasm_u16x8_shr(raw, 4), low);
        }
#pragma GCC unroll 4
        for (int t = 0; t < n; t++) {
            v128_t x_first = wasm_v128_load32_splat(x[t] + 4 * j);
            v128_t x_second = wasm_v128_load32_splat(x[t] + 16 + 4 * j);
#pragma GCC unroll 4
            for (int r = 0; r < rows; r++) {
                v128_t a = wasm_i16x8_relaxed_dot_i8x16_i7x16(x_first, first[r]);
                v128_t b = wasm_i16x8_relaxed_dot_i8x16_i7x16(x_second, second[r]);
                acc[t][r] = wasm_i16x8_add(acc[t][r], wasm_i16x8_add(a, b));
            }
        }
        KEEP_MEMORY();
    }
}

WASM_INLINE v128_t nibble_sums(v128_t acc) {
    return wasm_i32x4_extadd_pairwise_i16x8(acc);
}

/* nibble_sums(acc) · sc for 32-bit sc of at most 16 bits. */
WASM_INLINE v128_t scaled_nibble_sums(v128_t acc, v128_t sc) {
    v128_t doubled =
        wasm_v128_or(wasm_v128_and(sc, wasm_i32x4_const_splat(0xFFFF)), wasm_i32x4_shl(sc, 16));
    return wasm_i32x4_dot_i16x8(acc, doubled);
}

#else

/* acc[t][r] (32-bit, in units of 1/256) += nibbles · x over a block of 32. A vector is read as
 * 16-bit lanes of four nibbles each; a mask leaves one in its place, and x is multiplied by what
 * brings every product to the same unit: 32 · 15 · 127 · 256 fits 32 bits. */
WASM_INLINE void dot_nibbles(const uint8_t *quants, const int8_t *const *x, v128_t (*acc)[ROWS],
                             int rows, int n) {
#pragma GCC unroll 4
    for (int t = 0; t < n; t++) {
        v128_t low = wasm_v128_load(x[t]);
        v128_t high = wasm_v128_load(x[t] + 16);
        v128_t x0 = wasm_i16x8_shl(low, 8);                     /* even columns · 256 */
        v128_t x1 = wasm_i16x8_shr(low, 8);                     /* odd columns */
        v128_t x2 = wasm_i16x8_shr(wasm_i16x8_shl(high, 8), 4); /* even columns · 16 */
        v128_t x3 = wasm_v128_and(high, wasm_i16x8_const_splat((int16_t)0xFF00));
#pragma GCC unroll 4
        for (int j = 0; j < 4; j++) {
            v128_t f0 = lane_of(x0, j);
            v128_t f1 = lane_of(x1, j);
            v128_t f2 = lane_of(x2, j);
            v128_t f3 = lane_of(x3, j);
#pragma GCC unroll 4
            for (int r = 0; r < rows; r++) {
                v128_t raw = wasm_v128_load(quants + 64 * j + 16 * r);
                v128_t a = acc[t][r];
                a = add_dot_16(a, wasm_v128_and(raw, wasm_i16x8_const_splat(0x000F)), f0);
                a = add_dot_16(a, wasm_v128_and(raw, wasm_i16x8_const_splat(0x0F00)), f1);
                a = add_dot_16(a, wasm_v128_and(raw, wasm_i16x8_const_splat(0x00F0)), f2);
                acc[t][r] = add_dot_16(a, wasm_u16x8_shr(raw, 12), f3);
            }
            KEEP_MEMORY();
        }
    }
}

WASM_INLINE v128_t nibble_sums(v128_t acc) {
    return wasm_i32x4_shr(acc, 8);
}

WASM_INLINE v128_t scaled_nibble_sums(v128_t acc, v128_t sc) {
    return wasm_i32x4_mul(nibble_sums(acc), sc);
}

#endif

WASM_INLINE void clear(v128_t (*v)[ROWS], int rows, int n) {
#pragma GCC unroll 4
    for (int t = 0; t < n; t++) {
#pragma GCC unroll 4
        for (int r = 0; r < rows; r++) {
            v[t][r] = wasm_i32x4_const_splat(0);
        }
    }
}

WASM_INLINE void add_segment(v128_t (*total)[ROWS], v128_t (*sum)[ROWS], int rows, int n) {
#pragma GCC unroll 4
    for (int t = 0; t < n; t++) {
#pragma GCC unroll 4
        for (int r = 0; r < rows; r++) {
            total[t][r] = wasm_f32x4_add(total[t][r], sum[t][r]);
        }
    }
}

WASM_INLINE void store_tile(const token_tile *tile, v128_t (*total)[ROWS], int rows, int n) {
#pragma GCC unroll 4
    for (int t = 0; t < n; t++) {
#pragma GCC unroll 4
        for (int r = 0; r < rows; r++) {
            store_4(tile->out + (size_t)t * tile->out_stride + 4 * (tile->first + (size_t)r),
                    total[t][r]);
        }
    }
}

/* Two neighbouring sums of 32 columns as the pair of 16-bit numbers that the dot product wants. */
WASM_INLINE v128_t sum_pair(const int16_t *sums16) {
    int low = sums16[0] + sums16[1];
    int high = sums16[2] + sums16[3];
    return wasm_i32x4_splat((int32_t)((uint32_t)(uint16_t)low | (uint32_t)(uint16_t)high << 16));
}

WASM_INLINE void q4_k_segment(const uint8_t *w, size_t first, const int8_t *const *x,
                              const int16_t *const *sums16, v128_t (*isum)[ROWS],
                              v128_t (*imin)[ROWS], int rows, int n) {
    const segment_layout l = pack_segment_layout(TENSOR_Q4_K, PACK_SEGMENT);
    for (size_t j = 0; j < 8; j++) {
        v128_t acc[TILE][ROWS];
        const int8_t *at[TILE];
        clear(acc, rows, n);
#pragma GCC unroll 4
        for (int t = 0; t < n; t++) {
            at[t] = x[t] + 32 * j;
        }
        dot_nibbles(w + l.quants + 256 * j + 16 * first, at, acc, rows, n);
#pragma GCC unroll 4
        for (int r = 0; r < rows; r++) {
            const uint8_t *four = w + l.sub_scales + 16 * j + 4 * (first + (size_t)r);
            v128_t sc =
                wasm_u32x4_load16x4((const uint16_t[4]){four[0], four[1], four[2], four[3]});
#pragma GCC unroll 4
            for (int t = 0; t < n; t++) {
                isum[t][r] = wasm_i32x4_add(isum[t][r], scaled_nibble_sums(acc[t][r], sc));
            }
        }
    }
    for (size_t pair = 0; pair < 4; pair++) {
#pragma GCC unroll 4
        for (int r = 0; r < rows; r++) {
            v128_t m = wasm_u16x8_load8x8(w + l.sub_mins + 32 * pair + 8 * (first + (size_t)r));
#pragma GCC unroll 4
            for (int t = 0; t < n; t++) {
                imin[t][r] = add_dot_16(imin[t][r], m, sum_pair(sums16[t] + 4 * pair));
            }
        }
    }
}

/* Four columns of Q6_K: low nibbles and two high bits, 0…63. `shift` is 0 or 4. */
WASM_INLINE v128_t six_bits(const uint8_t *nibbles, const uint8_t *high, unsigned shift, int j) {
    v128_t low = wasm_v128_and(wasm_u16x8_shr(wasm_v128_load(nibbles + 64 * j), shift),
                               wasm_i8x16_const_splat(15));
    v128_t h = wasm_v128_load(high);
    h = j == 0   ? wasm_i16x8_shl(h, 4)
        : j == 1 ? wasm_i16x8_shl(h, 2)
        : j == 2 ? h
                 : wasm_u16x8_shr(h, 2);
    return wasm_v128_or(low, wasm_v128_and(h, wasm_i8x16_const_splat(0x30)));
}

/* The zero point of 32 is taken off after the scaling: Σ sc·(q − 32)·x = Σ sc·q·x − 32·Σ sc·Σx. */
WASM_INLINE void q6_k_segment(const uint8_t *w, size_t first, const int8_t *const *x,
                              const int16_t *const *sums16, v128_t (*isum)[ROWS], int rows, int n) {
    const segment_layout l = pack_segment_layout(TENSOR_Q6_K, PACK_SEGMENT);
    for (size_t v = 0; v < 16; v++) {
#pragma GCC unroll 4
        for (int r = 0; r < rows; r++) {
            const uint8_t *nibbles = w + l.quants + 256 * (v / 2) + 16 * (first + (size_t)r);
            const uint8_t *high = w + l.high + 64 * v + 16 * (first + (size_t)r);
            const uint8_t *four = w + l.sub_scales + 16 * v + 4 * (first + (size_t)r);
            v128_t sc =
                wasm_i32x4_make((int8_t)four[0], (int8_t)four[1], (int8_t)four[2], (int8_t)four[3]);
            v128_t dot[TILE];
#pragma GCC unroll 4
            for (int t = 0; t < n; t++) {
                dot[t] = wasm_i32x4_splat(-32 * sums16[t][v]);
            }
#pragma GCC unroll 4
            for (int j = 0; j < 4; j++) {
                v128_t q = six_bits(nibbles, high, v % 2 ? 4 : 0, j);
#pragma GCC unroll 4
                for (int t = 0; t < n; t++) {
                    v128_t four_x = wasm_v128_load32_splat(x[t] + 16 * v + 4 * (size_t)j);
                    dot[t] = wasm_i32x4_add(dot[t], dot_unsigned(q, four_x));
                }
            }
#pragma GCC unroll 4
            for (int t = 0; t < n; t++) {
                isum[t][r] = wasm_i32x4_add(isum[t][r], wasm_i32x4_mul(dot[t], sc));
            }
        }
    }
}

WASM_INLINE void block256_tile(uint32_t type, const token_tile *tile, int rows, int n) {
    const activations *in = tile->in;
    const segment_layout l = pack_segment_layout(type, PACK_SEGMENT);
    const uint8_t *segment = tile->group;
    v128_t total[TILE][ROWS];
    const int8_t *x[TILE];
    const int16_t *sums16[TILE];
    clear(total, rows, n);
#pragma GCC unroll 4
    for (int t = 0; t < n; t++) {
        x[t] = in->q + (tile->token + (size_t)t) * in->q_stride;
        sums16[t] = in->sums16 + (tile->token + (size_t)t) * in->sum16_stride;
    }
    for (size_t s = 0; s < in->n_columns / PACK_SEGMENT; s++, segment += l.size_bytes) {
        v128_t isum[TILE][ROWS];
        v128_t imin[TILE][ROWS];
        clear(isum, rows, n);
        clear(imin, rows, n);
        if (type == TENSOR_Q4_K) {
            q4_k_segment(segment, tile->first, x, sums16, isum, imin, rows, n);
        } else {
            q6_k_segment(segment, tile->first, x, sums16, isum, rows, n);
        }
#pragma GCC unroll 4
        for (int r = 0; r < rows; r++) {
            v128_t scale =
                widen_finite(load_upper(segment + l.scales + 8 * (tile->first + (size_t)r)));
            v128_t minimum =
                widen_finite(load_upper(segment + l.mins + 8 * (tile->first + (size_t)r)));
#pragma GCC unroll 4
            for (int t = 0; t < n; t++) {
                size_t at = (tile->token + (size_t)t) * in->block_stride + s;
                v128_t d_x = wasm_v128_load32_splat(in->d + at);
                v128_t sum = fma_4(wasm_f32x4_convert_i32x4(isum[t][r]), wasm_f32x4_mul(scale, d_x),
                                   wasm_f32x4_const_splat(0.0f));
                if (type == TENSOR_Q4_K) {
                    sum = fma_4(wasm_f32x4_neg(wasm_f32x4_convert_i32x4(imin[t][r])),
                                wasm_f32x4_mul(minimum, d_x), sum);
                }
                total[t][r] = wasm_f32x4_add(total[t][r], sum);
            }
        }
#pragma GCC unroll 4
        for (int t = 0; t < n; t++) {
            x[t] += 256;
            sums16[t] += 16;
        }
    }
    store_tile(tile, total, rows, n);
}

WASM_INLINE v128_t float_weights(uint32_t type, const uint8_t *w, size_t k, size_t row) {
    if (type == TENSOR_F32) {
        return wasm_v128_load(w + 64 * k + 16 * row);
    }
    v128_t upper = load_upper(w + 32 * k + 8 * row);
    return type == TENSOR_F16 ? widen_finite(upper) : upper;
}

WASM_INLINE void float_tile(uint32_t type, const token_tile *tile, int rows, int n) {
    const activations *in = tile->in;
    const uint8_t *segment = tile->group;
    const float *x = in->x + tile->token * in->x_stride;
    v128_t total[TILE][ROWS];
    clear(total, rows, n);
    for (size_t k = 0; k < in->n_columns; k += PACK_SEGMENT, x += PACK_SEGMENT) {
        size_t width = width_at(in->n_columns, k);
        v128_t sum[TILE][ROWS];
        clear(sum, rows, n);
        for (size_t i = 0; i < width; i++) {
            v128_t w[ROWS];
#pragma GCC unroll 4
            for (int r = 0; r < rows; r++) {
                w[r] = float_weights(type, segment, i, tile->first + (size_t)r);
            }
#pragma GCC unroll 4
            for (int t = 0; t < n; t++) {
                v128_t x_t = wasm_v128_load32_splat(x + (size_t)t * in->x_stride + i);
#pragma GCC unroll 4
                for (int r = 0; r < rows; r++) {
                    sum[t][r] = fma_4(w[r], x_t, sum[t][r]);
                }
            }
        }
        add_segment(total, sum, rows, n);
        segment += pack_segment_layout(type, width).size_bytes;
    }
    store_tile(tile, total, rows, n);
}

WASM_INLINE void run_tile(uint32_t type, token_tile *tile, int rows, int n) {
    for (size_t first = 0; first < 4; first += (size_t)rows) {
        tile->first = first;
        if (type == TENSOR_Q4_K || type == TENSOR_Q6_K) {
            block256_tile(type, tile, rows, n);
        } else {
            float_tile(type, tile, rows, n);
        }
    }
}

WASM_INLINE void matmul_tiles(uint32_t type, const matmul_task *task) {
    for (size_t g = task->group_begin; g < task->group_end; g++) {
        token_tile at = {.group = task->weights + g * task->group_bytes,
                         .in = task->in,
                         .out_stride = task->out_stride};
        for (size_t t = task->token_begin; t < task->token_end;) {
            size_t left = task->token_end - t;
            at.token = t;
            at.out = task->out + t * task->out_stride + g * PACK_GROUP_ROWS;
            if (left >= 4) {
                run_tile(type, &at, 2, 4);
                t += 4;
            } else if (left >= 2) {
                run_tile(type, &at, 2, 2);
                t += 2;
            } else {
                run_tile(type, &at, 4, 1);
                t += 1;
            }
        }
    }
}

static void matmul_f32(const matmul_task *task) {
    matmul_tiles(TENSOR_F32, task);
}
static void matmul_f16(const matmul_task *task) {
    matmul_tiles(TENSOR_F16, task);
}
static void matmul_bf16(const matmul_task *task) {
    matmul_tiles(TENSOR_BF16, task);
}
static void matmul_q4_k(const matmul_task *task) {
    matmul_tiles(TENSOR_Q4_K, task);
}
static void matmul_q6_k(const matmul_task *task) {
    matmul_tiles(TENSOR_Q6_K, task);
}

#endif
