#include "engine/product.h"

#include "base/checked.h"

#include <string.h>

static size_t round_up(size_t n, size_t multiple) {
    return (n + multiple - 1) / multiple * multiple;
}

size_t product_inputs_bytes(size_t max_tokens, size_t max_columns) {
    size_t columns = round_up(max_columns, 256);
    /* x, both q, d32, ds32, sums32, d256, sums16 of a row, and the gaps that alignment may leave */
    size_t row = columns * 4 + columns * 2 + columns / 32 * 16 + columns / 16 * 2;
    size_t bytes;
    return checked_mul_size(row, max_tokens, &bytes) ? bytes + 8 * 64 : SIZE_MAX;
}

bool product_inputs_init(product_inputs *in, size_t max_tokens, size_t max_columns, arena *memory) {
    size_t columns = round_up(max_columns, 256);
    in->max_tokens = max_tokens;
    in->stride = columns;
    in->block_stride = columns / 32;
    in->sum16_stride = columns / 16;
    size_t blocks_bytes = max_tokens * in->block_stride * sizeof(float);
    in->x = arena_alloc_raw(memory, max_tokens * columns * sizeof(float), 64);
    in->q32 = arena_alloc_raw(memory, max_tokens * columns, 64);
    in->q256 = arena_alloc_raw(memory, max_tokens * columns, 64);
    in->d32 = arena_alloc_raw(memory, blocks_bytes, 64);
    in->ds32 = arena_alloc_raw(memory, blocks_bytes, 64);
    in->sums32 = arena_alloc_raw(memory, blocks_bytes, 64);
    in->d256 = arena_alloc_raw(memory, blocks_bytes, 64);
    in->sums16 = arena_alloc_raw(memory, max_tokens * in->sum16_stride * sizeof(int16_t), 64);
    return in->x && in->q32 && in->q256 && in->d32 && in->ds32 && in->sums32 && in->d256 &&
           in->sums16;
}

product_form product_form_of(const weight *w, bool float_activations) {
    if (float_activations || w->activation_block == 0) {
        return FORM_FLOAT;
    }
    return w->activation_block == 32 ? FORM_Q8_32 : FORM_Q8_256;
}

bool product_prepare(product_inputs *in, const kernel_table *kernels, unsigned forms, size_t token,
                     size_t n_columns) {
    const float *x = in->x + token * in->stride;
    size_t block = token * in->block_stride;
    bool finite = true;
    if (forms & FORM_Q8_32) {
        finite = kernels->quantize_32(x, n_columns, in->q32 + token * in->stride, in->d32 + block,
                                      in->ds32 + block, in->sums32 + block);
    }
    if (finite && (forms & FORM_Q8_256)) {
        finite = kernels->quantize_256(x, n_columns, in->q256 + token * in->stride,
                                       in->d256 + block, in->sums16 + token * in->sum16_stride);
    }
    return finite;
}

activations product_activations(const product_inputs *in, product_form form, size_t n_tokens,
                                size_t n_columns) {
    bool wide = form == FORM_Q8_256;
    return (activations){.n_tokens = n_tokens,
                         .n_columns = n_columns,
                         .x = in->x,
                         .x_stride = in->stride,
                         .q = wide ? in->q256 : in->q32,
                         .q_stride = in->stride,
                         .d = wide ? in->d256 : in->d32,
                         .ds = in->ds32,
                         .sums = in->sums32,
                         .sums16 = in->sums16,
                         .block_stride = in->block_stride,
                         .sum16_stride = in->sum16_stride};
}

static void add_bias(const product *p, size_t begin, size_t end, size_t token_begin,
                     size_t token_end) {
    size_t last = end * PACK_GROUP_ROWS;
    last = last < p->w->n_rows ? last : p->w->n_rows;
    for (size_t t = token_begin; t < token_end; t++) {
        float *out = p->out + t * p->out_stride;
        for (size_t row = begin * PACK_GROUP_ROWS; row < last; row++) {
            out[row] += p->w->bias[row];
        }
    }
}

/* Widens one group exactly and computes it as an F32 matrix. */
static void float_group(const product *p, const kernel_table *kernels, const activations *in,
                        size_t group, size_t token_begin, size_t token_end, float *scratch) {
    const weight *w = p->w;
    float *rows = scratch + PACK_GROUP_ROWS * w->n_columns;
    for (size_t row = 0; row < PACK_GROUP_ROWS; row++) {
        pack_row(w->type, w->data + group * w->group_bytes, row, w->n_columns,
                 rows + row * w->n_columns);
    }
    pack_group(TENSOR_F32, (const uint8_t *)rows, w->n_columns * sizeof(float), PACK_GROUP_ROWS,
               w->n_columns, (uint8_t *)scratch);
    matmul_task task = {.weights = (const uint8_t *)scratch,
                        .group_bytes = w->n_columns * PACK_GROUP_ROWS * sizeof(float),
                        .group_begin = 0,
                        .group_end = 1,
                        .in = in,
                        .token_begin = token_begin,
                        .token_end = token_end,
                        .out = p->out + group * PACK_GROUP_ROWS,
                        .out_stride = p->out_stride};
    kernels->matmul[TENSOR_F32](&task);
}

void product_groups(const product *p, const kernel_table *kernels, const product_inputs *in,
                    size_t begin, size_t end, size_t token_begin, size_t token_end,
                    bool float_activations, float *scratch) {
    const weight *w = p->w;
    activations rows =
        product_activations(in, product_form_of(w, float_activations), token_end, w->n_columns);
    if (float_activations && w->activation_block != 0) {
        for (size_t g = begin; g < end; g++) {
            float_group(p, kernels, &rows, g, token_begin, token_end, scratch);
        }
    } else {
        for (size_t t = token_begin; t < token_end; t += PRODUCT_TOKEN_TILE) {
            size_t stop = t + PRODUCT_TOKEN_TILE < token_end ? t + PRODUCT_TOKEN_TILE : token_end;
            matmul_task task = {.weights = w->data,
                                .group_bytes = w->group_bytes,
                                .group_begin = begin,
                                .group_end = end,
                                .in = &rows,
                                .token_begin = t,
                                .token_end = stop,
                                .out = p->out,
                                .out_stride = p->out_stride};
            kernels->matmul[w->type](&task);
        }
    }
    if (w->bias) {
        add_bias(p, begin, end, token_begin, token_end);
    }
}

size_t product_chunk_groups(size_t n_groups, unsigned n_workers) {
    if (n_workers == 1) {
        return n_groups;
    }
    size_t chunk = n_groups / ((size_t)n_workers * 8);
    return chunk < 2 ? 1 : (chunk + 1) / 2 * 2; /* kernels take two groups at once */
}
