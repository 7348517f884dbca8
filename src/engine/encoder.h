/* The forward pass of encoders (bert family): a whole text in, one pooled vector out. Runs on the
 * calling thread; texts are independent, so callers spread them over threads. Ownership: buffers
 * live in the caller's arena. */
#ifndef ENGINE_ENCODER_H
#define ENGINE_ENCODER_H

#include "engine/model.h"
#include "engine/product.h"

typedef struct encoder {
    const model *model;
    const kernel_table *kernels;
    size_t max_tokens;
    bool float_activations;
    size_t stride_embd, stride_ff;
    float *x, *q, *k, *v, *context, *delta; /* [max_tokens][stride_embd] */
    float *ff;                              /* [max_tokens][stride_ff] */
    float *keys, *values; /* one head: [⌈max_tokens / 16⌉][head_dim][16], [max_tokens][head_dim] */
    float *scratch;
    float *row_scratch;
    product_inputs in;
} encoder;

size_t encoder_memory_bytes(const model *m, size_t max_tokens);
tars_status encoder_init(encoder *e, const model *m, const kernel_table *kernels, size_t max_tokens,
                         bool float_activations, arena *memory, tars_error *err);
/* Token vectors of one text; afterwards encoder_token(e, i) gives the i-th, [n_embd]. */
tars_status encoder_run(encoder *e, const int32_t *ids, size_t n_tokens, tars_error *err);
const float *encoder_token(const encoder *e, size_t index);
/* Pools the last run as the model says (rule 15). out[n_embd] */
void encoder_pool(const encoder *e, size_t n_tokens, bool normalize, float *out);

#endif
