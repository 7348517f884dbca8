/* What the fuzz targets do with a model that was opened: three tokens through the network and a
 * text through the tokenizer, as long as the model is small. Ownership: borrows the model for the
 * call. */
#ifndef FUZZ_MODEL_H
#define FUZZ_MODEL_H

#include "engine/encoder.h"
#include "engine/forward.h"
#include "engine/tokenizer/tokenizer.h"

#include <stdlib.h>
#include <string.h>

static inline void fuzz_require(int condition) {
    if (!condition) {
        abort();
    }
}

static inline bool fuzz_is_small(const model_hparams *p) {
    uint64_t heads = (uint64_t)p->n_heads * (p->head_dim_k + p->head_dim_v);
    return p->n_embd <= 1024 && p->n_ff <= 4096 && heads <= 4096 && p->n_vocab <= 4096 &&
           p->n_layers <= 8;
}

static inline void fuzz_decode(const model *m) {
    forward_limits limits = {.max_tokens = 3, .max_outputs = 1, .max_positions = 3, .n_workers = 1};
    size_t bytes = forward_memory_bytes(m, &limits);
    size_t cache_bytes = kv_cache_bytes(m->hparams, KV_F16, 3);
    fuzz_require(bytes > 0 && cache_bytes > 0);
    void *memory = malloc(bytes);
    void *cache_memory = aligned_alloc(64, (cache_bytes + 63) / 64 * 64);
    fuzz_require(memory && cache_memory);
    memset(cache_memory, 0, cache_bytes);
    arena a;
    arena_init(&a, memory, bytes);
    kv_cache cache;
    kv_cache_init(&cache, m->hparams, KV_F16, 3, cache_memory);
    forward f;
    tars_error err;
    fuzz_require(forward_init(&f, m, &kernel_scalar, &limits, &a, &err) == TARS_OK);
    int32_t last = (int32_t)m->hparams->n_vocab - 1;
    forward_token tokens[3] = {
        {0, 0, &cache, false}, {last, 1, &cache, false}, {last / 2, 2, &cache, true}};
    fuzz_require(forward_begin(&f, tokens, 3, &err) == TARS_OK);
    barrier b;
    barrier_init(&b, 1, NULL, NULL);
    forward_step(&f, 0, &b);
    tars_status status = forward_end(&f, &err);
    fuzz_require(status == TARS_OK || status == TARS_NUMERIC);
    free(memory);
    free(cache_memory);
}

static inline void fuzz_encode(const model *m) {
    size_t bytes = encoder_memory_bytes(m, 3);
    void *memory = malloc(bytes);
    float *vector = malloc(m->hparams->n_embd * sizeof(float));
    fuzz_require(memory && vector);
    arena a;
    arena_init(&a, memory, bytes);
    encoder e;
    tars_error err;
    fuzz_require(encoder_init(&e, m, &kernel_scalar, 3, false, &a, &err) == TARS_OK);
    int32_t last = (int32_t)m->hparams->n_vocab - 1;
    int32_t ids[3] = {0, last, last / 2};
    size_t n = m->hparams->context_length < 3 ? m->hparams->context_length : 3;
    tars_status status = encoder_run(&e, ids, n, &err);
    fuzz_require(status == TARS_OK || status == TARS_NUMERIC);
    if (status == TARS_OK) {
        encoder_pool(&e, n, true, vector);
    }
    free(vector);
    free(memory);
}

static inline void fuzz_run_model(const model *m) {
    if (!fuzz_is_small(m->hparams)) {
        return;
    }
    if (m->hparams->causal) {
        fuzz_decode(m);
    } else {
        fuzz_encode(m);
    }
}

/* A text to ids and back. `is_sound`: the blob came from tokenizer_build, so ids must be tokens. */
static inline void fuzz_run_tokenizer(const tokenizer *t, bool is_sound) {
    static const char text[] = "Hello, <s> w\xc3\xb6rld \xf0\x9f\x98\x80 12\n";
    int32_t ids[256];
    size_t count = 0;
    size_t scratch_bytes = tokenizer_scratch_bytes(t, sizeof text);
    fuzz_require(scratch_bytes < 64u << 20);
    void *memory = malloc(scratch_bytes + 64);
    arena a;
    arena_init(&a, memory, scratch_bytes + 64);
    tars_error err;
    tars_status status =
        tokenizer_encode(t, text, sizeof text - 1, TOKENIZER_ADD_SPECIAL | TOKENIZER_PARSE_SPECIAL,
                         ids, 256, &count, &a, &err);
    if (status == TARS_OK) {
        fuzz_require(count <= 256);
        char out[4096];
        size_t length = 0;
        status =
            tokenizer_decode(t, ids, count, TOKENIZER_SHOW_SPECIAL, out, sizeof out, &length, &err);
        fuzz_require(!is_sound || status == TARS_OK || status == TARS_LIMIT);
    }
    free(memory);
}

#endif
