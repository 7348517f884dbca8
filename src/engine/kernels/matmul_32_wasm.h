/* Matrix products of the types with blocks of 32 (Q4_0, Q4_1, Q8_0) with WebAssembly SIMD,
 * bit-equal to scalar_matmul.c. Included once by the file of each instruction set.
 *
 * Written for what compilers of WebAssembly make of it: within a stretch of straight code they keep
 * loads and stores in order and put off all else until a store, a branch or a loop asks for it. So
 * every step loads few vectors and ends with a store, sums live in memory, and what is used in all
 * lanes is laid out so beforehand, because such a load would take a detour by a scalar register.
 * Ownership: pure functions of the caller's memory; the work area is on the stack. */
#ifndef ENGINE_KERNELS_MATMUL_32_WASM_H
#define ENGINE_KERNELS_MATMUL_32_WASM_H

#include "engine/kernels/kernels.h"
#include "engine/kernels/simd_wasm.h"
#include "engine/pack_layout.h"

/* A unit is four vectors of weights (four rows each) against eight of inputs. */
enum { UNIT = 8, AREA_VECTORS = 1280, TOKENS_MAX = 16 };

/* Inputs of a tile of tokens over a stretch of columns, and sums. A record is one block of one
 * token: 8 vectors of inputs a unit, each of four bytes or two 16-bit numbers in all lanes, then d
 * and the offset (8·Σx of Q4_0, ds of Q4_1) in all lanes. */
typedef struct work_area {
    v128_t records[AREA_VECTORS]; /* [blocks][tokens][units · 8 + 2] */
    v128_t sums[TOKENS_MAX][4];   /* of the running segment, by vector of rows */
    v128_t partial[TOKENS_MAX][4];
    v128_t scale[4];
    v128_t minimum[4];
    v128_t part;
} work_area;

/* Units in a block. */
WASM_INLINE size_t units_of(uint32_t type) {
#if defined(__wasm_relaxed_simd__)
    return type == TENSOR_Q8_0 ? 2 : 1;
#else
    (void)type;
    return 2;
#endif
}

WASM_INLINE size_t record_vectors(uint32_t type) {
    return units_of(type) * UNIT + 2;
}

/* One 32-bit lane of v in all lanes, for the lanes in order. */
WASM_INLINE void store_lanes(v128_t *to, size_t stride, v128_t v) {
    to[0] = wasm_i32x4_shuffle(v, v, 0, 0, 0, 0);
    to[stride] = wasm_i32x4_shuffle(v, v, 1, 1, 1, 1);
    to[2 * stride] = wasm_i32x4_shuffle(v, v, 2, 2, 2, 2);
    to[3 * stride] = wasm_i32x4_shuffle(v, v, 3, 3, 3, 3);
}

/* Lays out a block's inputs as the units of `multiply` want them. */
WASM_INLINE void lay_out(uint32_t type, const int8_t *x, v128_t *to) {
    v128_t first = wasm_v128_load(x);
    v128_t second = wasm_v128_load(x + 16);
    if (type == TENSOR_Q8_0) { /* even columns, odd columns */
        store_lanes(to, 2, wasm_i16x8_shr(wasm_i16x8_shl(first, 8), 8));
        store_lanes(to + 1, 2, wasm_i16x8_shr(first, 8));
        store_lanes(to + UNIT, 2, wasm_i16x8_shr(wasm_i16x8_shl(second, 8), 8));
        store_lanes(to + UNIT + 1, 2, wasm_i16x8_shr(second, 8));
        return;
    }
#if defined(__wasm_relaxed_simd__)
    store_lanes(to, 2, first);
    store_lanes(to + 1, 2, second);
#else
    /* what brings the products with a nibble in its place to the unit 1/256 */
    store_lanes(to, 2, wasm_i16x8_shl(first, 8));
    store_lanes(to + 1, 2, wasm_i16x8_shr(first, 8));
    store_lanes(to + UNIT, 2, wasm_i16x8_shr(wasm_i16x8_shl(second, 8), 4));
    store_lanes(to + UNIT + 1, 2, wasm_v128_and(second, wasm_i16x8_const_splat((int16_t)0xFF00)));
#endif
}

static void lay_out_records(uint32_t type, const activations *in, size_t token, size_t n,
                            size_t first_block, size_t n_blocks, v128_t *record) {
    for (size_t b = first_block; b < first_block + n_blocks; b++) {
        for (size_t t = token; t < token + n; t++, record += record_vectors(type)) {
            size_t at = t * in->block_stride + b;
            v128_t *last = record + units_of(type) * UNIT;
            lay_out(type, in->q + t * in->q_stride + 32 * b, record);
            last[0] = wasm_f32x4_splat(in->d[at]);
            last[1] = type == TENSOR_Q4_1 ? wasm_f32x4_splat(in->ds[at])
                                          : wasm_i32x4_splat(8 * in->sums[at]);
        }
    }
}

/* `count` vectors of weights of a unit from its vector `first` on, split in two each. `quants` is
 * the vector of rows in the block. Bytes and nibbles that stay in the upper part of a 16-bit lane
 * count 256-fold. */
WASM_INLINE void unpack(uint32_t type, size_t unit, const uint8_t *quants, int first, int count,
                        v128_t *w) {
    const v128_t upper = wasm_i16x8_const_splat((int16_t)0xFF00);
#pragma GCC unroll 4
    for (int j = 0; j < count; j++) {
        if (type == TENSOR_Q8_0) {
            v128_t raw = wasm_v128_load(quants + 256 * unit + 64 * (first + j));
            w[2 * j] = wasm_i16x8_shl(raw, 8);
            w[2 * j + 1] = wasm_v128_and(raw, upper);
            continue;
        }
        v128_t raw = wasm_v128_load(quants + 64 * (first + j));
#if defined(__wasm_relaxed_simd__)
        w[2 * j] = wasm_v128_and(raw, wasm_i8x16_const_splat(15));
        w[2 * j + 1] = wasm_v128_and(wasm_u16x8_shr(raw, 4), wasm_i8x16_const_splat(15));
#else
        if (unit == 0) {
            w[2 * j] = wasm_v128_and(raw, wasm_i16x8_const_splat(0x000F));
            w[2 * j + 1] = wasm_v128_and(raw, wasm_i16x8_const_splat(0x0F00));
        } else {
            w[2 * j] = wasm_v128_and(raw, wasm_i16x8_const_splat(0x00F0));
            w[2 * j + 1] = wasm_u16x8_shr(raw, 12);
        }
#endif
    }
}

/* acc += w · x for `count` vectors. Relaxed products of nibbles: 16-bit pairs, exact for a second
 * operand of 0…127, and eight of at most 15 · 127 · 2 = 3,810 fit. Else 32-bit sums in units of
 * 1/256: 32 · 128 · 127 · 256 fits. */
WASM_INLINE v128_t multiply(uint32_t type, v128_t acc, const v128_t *w, const v128_t *x,
                            int count) {
#pragma GCC unroll 8
    for (int i = 0; i < count; i++) {
#if defined(__wasm_relaxed_simd__)
        if (type != TENSOR_Q8_0) {
            acc = wasm_i16x8_add(acc, wasm_i16x8_relaxed_dot_i8x16_i7x16(x[i], w[i]));
            continue;
        }
#endif
        (void)type;
        acc = wasm_i32x4_add(acc, wasm_i32x4_dot_i16x8(w[i], x[i]));
    }
    return acc;
}

/* Scales one block's products and adds them to the segment's sum. `last` is the record's d and
 * offset. */
WASM_INLINE void add_block(uint32_t type, v128_t acc, const v128_t *last, const work_area *area,
                           size_t rows, v128_t *sum) {
#if defined(__wasm_relaxed_simd__)
    v128_t isum =
        type == TENSOR_Q8_0 ? wasm_i32x4_shr(acc, 8) : wasm_i32x4_extadd_pairwise_i16x8(acc);
#else
    v128_t isum = wasm_i32x4_shr(acc, 8);
#endif
    if (type == TENSOR_Q4_0) {
        isum = wasm_i32x4_sub(isum, last[1]);
    }
    v128_t result =
        fma_4(wasm_f32x4_convert_i32x4(isum), wasm_f32x4_mul(area->scale[rows], last[0]), *sum);
    if (type == TENSOR_Q4_1) {
        result = fma_4(area->minimum[rows], last[1], result);
    }
    *sum = result;
}

/* Sixteen halves, widened. */
WASM_INLINE void widen_16(const uint8_t *p, v128_t *to) {
    const v128_t zero = wasm_i16x8_const_splat(0);
#pragma GCC unroll 2
    for (int half = 0; half < 2; half++) {
        v128_t raw = wasm_v128_load(p + 16 * half);
        to[2 * half] = widen_finite(wasm_i16x8_shuffle(zero, raw, 0, 8, 1, 9, 2, 10, 3, 11));
        to[2 * half + 1] = widen_finite(wasm_i16x8_shuffle(zero, raw, 4, 12, 5, 13, 6, 14, 7, 15));
    }
}

/* One block of one token: the inputs stay in registers while all rows go by. */
WASM_INLINE void block_of_one(uint32_t type, const uint8_t *quants, const v128_t *record,
                              work_area *area) {
    const v128_t *last = record + units_of(type) * UNIT;
#pragma GCC unroll 2
    for (size_t unit = 0; unit < units_of(type); unit++) {
        v128_t x[UNIT];
#pragma GCC unroll 8
        for (int i = 0; i < UNIT; i++) {
            x[i] = record[unit * UNIT + (size_t)i];
        }
#pragma GCC unroll 4
        for (size_t rows = 0; rows < 4; rows++) {
            v128_t acc = unit == 0 ? wasm_i32x4_const_splat(0) : area->partial[0][rows];
#pragma GCC unroll 2
            for (int half = 0; half < 2; half++) {
                v128_t w[UNIT / 2];
                unpack(type, unit, quants + 16 * rows, 2 * half, 2, w);
                acc = multiply(type, acc, w, x + half * UNIT / 2, UNIT / 2);
                area->part = acc; /* asks for it now */
                KEEP_MEMORY();
            }
            if (unit + 1 < units_of(type)) {
                area->partial[0][rows] = acc;
            } else {
                add_block(type, acc, last, area, rows, &area->sums[0][rows]);
            }
            KEEP_MEMORY();
        }
    }
}

/* One block of n tokens: the weights stay in registers while the tokens go by. */
WASM_INLINE void block_of_many(uint32_t type, const uint8_t *quants, const v128_t *record, size_t n,
                               work_area *area) {
#pragma clang loop unroll(disable)
    for (size_t rows = 0; rows < 4; rows++) {
#pragma GCC unroll 2
        for (size_t unit = 0; unit < units_of(type); unit++) {
            v128_t w[UNIT];
            const v128_t *x = record + unit * UNIT;
            unpack(type, unit, quants + 16 * rows, 0, 4, w);
#pragma clang loop unroll_count(2 * LOOP_PARTS)
            for (size_t t = 0; t < n; t++) {
                OPAQUE(x);
                v128_t acc = unit == 0 ? wasm_i32x4_const_splat(0) : area->partial[t][rows];
                acc = multiply(type, acc, w, x, UNIT / 2);
                area->part = acc; /* asks for it now */
                KEEP_MEMORY();
                acc = multiply(type, acc, w + UNIT / 2, x + UNIT / 2, UNIT / 2);
                area->part = acc;
                KEEP_MEMORY();
                if (unit + 1 < units_of(type)) {
                    area->partial[t][rows] = acc;
                } else {
                    const v128_t *last = x + (units_of(type) - unit) * UNIT;
                    add_block(type, acc, last, area, rows, &area->sums[t][rows]);
                }
                KEEP_MEMORY();
                x += record_vectors(type);
            }
        }
    }
}

/* Where a tile of tokens is. */
typedef struct tile_32 {
    const activations *in;
    size_t token, n;
    size_t first_column, end_column; /* the stretch whose records are laid out */
} tile_32;

/* out += the products of one group with the tile, segment by segment. */
WASM_INLINE void group_32(uint32_t type, const tile_32 *tile, const uint8_t *group, float *out,
                          size_t out_stride, bool is_single, work_area *area) {
    const v128_t zero = wasm_f32x4_const_splat(0.0f);
    const size_t block_bytes = type == TENSOR_Q8_0 ? 512 : 256;
    const size_t n = is_single ? 1 : tile->n;
    const v128_t *record = area->records;
    const uint8_t *segment = group + pack_segment_offset(type, tile->first_column / PACK_SEGMENT);
    for (size_t k = tile->first_column; k < tile->end_column; k += PACK_SEGMENT) {
        size_t left = tile->in->n_columns - k;
        segment_layout l = pack_segment_layout(type, left < PACK_SEGMENT ? left : PACK_SEGMENT);
        size_t n_blocks = (left < PACK_SEGMENT ? left : PACK_SEGMENT) / 32;
        for (size_t t = 0; t < n; t++) {
            for (size_t rows = 0; rows < 4; rows++) {
                area->sums[t][rows] = zero;
            }
        }
        for (size_t b = 0; b < n_blocks; b++, record += n * record_vectors(type)) {
            widen_16(segment + l.scales + 32 * b, area->scale);
            if (type == TENSOR_Q4_1) {
                widen_16(segment + l.mins + 32 * b, area->minimum);
            }
            const uint8_t *quants = segment + l.quants + block_bytes * b;
            OPAQUE(quants);
            KEEP_MEMORY();
            if (is_single) {
                block_of_one(type, quants, record, area);
            } else {
                block_of_many(type, quants, record, n, area);
            }
        }
        for (size_t t = 0; t < n; t++) {
            for (size_t rows = 0; rows < 4; rows++) {
                float *at = out + t * out_stride + 4 * rows;
                v128_t before = k == 0 ? zero : load_4(at);
                store_4(at, wasm_f32x4_add(before, area->sums[t][rows]));
            }
        }
        segment += l.size_bytes;
    }
}

/* All groups of the task with one tile, a stretch of columns at a time. */
WASM_INLINE void tile_all_groups(uint32_t type, const matmul_task *task, size_t token, size_t n,
                                 bool is_single, work_area *area) {
    const activations *in = task->in;
    const size_t fits = AREA_VECTORS / (record_vectors(type) * n) * 32;
    const size_t stretch = fits / PACK_SEGMENT * PACK_SEGMENT;
    tile_32 tile = {.in = in, .token = token, .n = n};
    for (size_t k = 0; k < in->n_columns; k += stretch) {
        tile.first_column = k;
        tile.end_column = in->n_columns - k < stretch ? in->n_columns : k + stretch;
        lay_out_records(type, in, token, n, k / 32, (tile.end_column - k) / 32, area->records);
        for (size_t g = task->group_begin; g < task->group_end; g++) {
            group_32(type, &tile, task->weights + g * task->group_bytes,
                     task->out + token * task->out_stride + g * PACK_GROUP_ROWS, task->out_stride,
                     is_single, area);
        }
    }
}

WASM_INLINE void matmul_32(uint32_t type, const matmul_task *task) {
    /* tokens of which one segment's records fit the area */
    const size_t most = AREA_VECTORS / (record_vectors(type) * (PACK_SEGMENT / 32));
    const size_t n_tile = most < TOKENS_MAX ? most : TOKENS_MAX;
    work_area on_stack;
    work_area *area = &on_stack;
    OPAQUE(area); /* or clang keeps parts of it in variables */
    for (size_t t = task->token_begin; t < task->token_end;) {
        size_t left = task->token_end - t;
        size_t n = left < n_tile ? left : n_tile;
        if (n == 1) {
            tile_all_groups(type, task, t, 1, true, area);
        } else {
            tile_all_groups(type, task, t, n, false, area);
        }
        t += n;
    }
}

static void matmul_q4_0(const matmul_task *task) {
    matmul_32(TENSOR_Q4_0, task);
}
static void matmul_q4_1(const matmul_task *task) {
    matmul_32(TENSOR_Q4_1, task);
}
static void matmul_q8_0(const matmul_task *task) {
    matmul_32(TENSOR_Q8_0, task);
}

#endif
