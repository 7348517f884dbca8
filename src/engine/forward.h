/* The forward pass of decoder models: tokens in, logits out, for any mix of sequences.
 *
 * Ownership: all buffers live in the caller's arena; model, kernels and caches are borrowed.
 * Threads: forward_begin and forward_end run on one thread; between them every worker calls
 * forward_step once with the same arguments but its own number. The result does not depend on
 * how many workers there are, nor on how the tokens are cut into batches. */
#ifndef ENGINE_FORWARD_H
#define ENGINE_FORWARD_H

#include "engine/barrier.h"
#include "engine/kv_cache.h"
#include "engine/model.h"
#include "engine/product.h"
#include "engine/task_share.h"

typedef struct forward_token {
    int32_t id;        /* 0 … n_vocab − 1 */
    uint32_t position; /* of this token in its sequence; equals the number of tokens before it */
    kv_cache *cache;   /* its sequence; tokens of one sequence stand together, in order */
    bool wants_logits;
} forward_token;

typedef struct forward_limits {
    size_t max_tokens;    /* tokens in one batch */
    size_t max_outputs;   /* tokens with logits in one batch */
    size_t max_positions; /* longest sequence */
    unsigned n_workers;
    bool float_activations; /* keep f32 activations also with quantised weights */
} forward_limits;

typedef struct forward {
    const model *model;
    const kernel_table *kernels;
    forward_limits limits;
    /* activations, rows padded to 16 floats */
    float *x;       /* [max_tokens][stride_embd] residual stream */
    float *q;       /* [max_tokens][stride_q] */
    float *k;       /* [max_tokens][stride_k] */
    float *v;       /* [max_tokens][stride_v] */
    float *context; /* [max_tokens][stride_o] attention's output */
    float *gate;    /* [max_tokens][stride_ff] */
    float *up;      /* [max_tokens][stride_ff] */
    float *delta;   /* [max_tokens][stride_embd] what a block adds to x */
    float *cosine;  /* [max_tokens][rope_dim / 2] */
    float *sine;
    float *logits; /* [max_outputs][stride_vocab] */
    size_t stride_embd, stride_q, stride_k, stride_v, stride_o, stride_ff, stride_vocab;
    product_inputs shared;     /* prepared by all workers for a big batch */
    product_inputs *privates;  /* [n_workers], for small batches: each prepares all of it */
    float **attention_scratch; /* [n_workers] */
    float **row_scratch;       /* [n_workers] a widened group, with float_activations */
    task_counter *counters;    /* [n_workers] */
    /* the running batch */
    const forward_token *tokens;
    size_t n_tokens;
    size_t n_outputs;
    uint32_t *outputs; /* [max_outputs] token index of each */
    atomic_uint not_finite;
} forward;

/* Bytes of arena that forward_init takes; 0 when it overflows. */
size_t forward_memory_bytes(const model *m, const forward_limits *limits);
tars_status forward_init(forward *f, const model *m, const kernel_table *kernels,
                         const forward_limits *limits, arena *memory, tars_error *err);

/* Checks the batch (ids, positions, capacities) and makes it current; USAGE, CONTEXT_EXCEEDED. */
tars_status forward_begin(forward *f, const forward_token *tokens, size_t n_tokens,
                          tars_error *err);
/* With b->n_workers ≤ limits.n_workers. */
void forward_step(forward *f, unsigned worker, barrier *b);
/* Advances the caches' lengths. NUMERIC when a value was not finite: the logits are void then and
 * the caches as before. */
tars_status forward_end(forward *f, tars_error *err);
/* Logits of the i-th token that wanted them, [n_vocab]. */
const float *forward_logits(const forward *f, size_t output);

#endif
