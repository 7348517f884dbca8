/* Matrix products of a batch: preparing the inputs (norm, quantisation) and cutting the work into
 * tasks. Ownership: buffers live in the caller's arena; everything else is borrowed. */
#ifndef ENGINE_PRODUCT_H
#define ENGINE_PRODUCT_H

#include "base/arena.h"
#include "engine/barrier.h"
#include "engine/kernels/kernels.h"
#include "engine/model.h"

enum {
    PRODUCT_SMALL_BATCH = 4, /* up to so many tokens each worker prepares its own inputs */
    PRODUCT_TOKEN_TILE = 64  /* tokens that stay in the first-level caches together */
};

/* Which forms of the inputs the matrices of a product need. */
typedef enum product_form { FORM_FLOAT = 1, FORM_Q8_32 = 2, FORM_Q8_256 = 4 } product_form;

/* Buffers for up to max_tokens rows of max_columns. */
typedef struct product_inputs {
    float *x; /* [max_tokens][stride] */
    int8_t *q32, *q256;
    float *d32, *ds32, *d256;
    int32_t *sums32;
    int16_t *sums16;
    size_t max_tokens, stride, block_stride, sum16_stride;
} product_inputs;

size_t product_inputs_bytes(size_t max_tokens, size_t max_columns);
bool product_inputs_init(product_inputs *in, size_t max_tokens, size_t max_columns, arena *memory);

/* The form that a matrix reads. */
product_form product_form_of(const weight *w, bool float_activations);
/* Quantises row `token` of in->x (already filled, n_columns wide) into the forms asked for. False:
 * not finite. */
bool product_prepare(product_inputs *in, const kernel_table *kernels, unsigned forms, size_t token,
                     size_t n_columns);
/* The same inputs in one form as kernels see them, n_tokens rows. */
activations product_activations(const product_inputs *in, product_form form, size_t n_tokens,
                                size_t n_columns);

/* One matrix of a product: out[t][row] for all tokens. */
typedef struct product {
    const weight *w;
    float *out; /* [n_tokens][out_stride], out_stride a multiple of 16 */
    size_t out_stride;
} product;

/* Computes groups [begin, end) of one matrix for the tokens [token_begin, token_end), adding the
 * bias. `scratch`
 * ([16 + 16][n_columns] floats) is needed with float_activations and quantised weights. */
void product_groups(const product *p, const kernel_table *kernels, const product_inputs *in,
                    size_t begin, size_t end, size_t token_begin, size_t token_end,
                    bool float_activations, float *scratch);

/* Groups of a chunk, so that workers get about eight chunks each but no chunk is tiny. */
size_t product_chunk_groups(size_t n_groups, unsigned n_workers);

#endif
