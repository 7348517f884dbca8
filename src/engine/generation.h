/* One answer: the prompt in batches, then token by token: digest of the logits, sampler, text,
 * stop texts. The same in every runtime; who computes a pass, and where text and tokens go, is
 * handed in.
 *
 * Ownership: a generation is the caller's memory and borrows all that it is given. */
#ifndef ENGINE_GENERATION_H
#define ENGINE_GENERATION_H

#include "base/sha256.h"
#include "engine/forward.h"
#include "engine/sampler.h"
#include "engine/stop_text.h"

/* All are called on the thread that drives the generation; `user` is handed to each. */
typedef struct generation_hooks {
    void *user;
    /* Computes the tokens at the end of the cache; logits of the last one are then in `pass`. */
    tars_status (*compute)(void *user, const int32_t *ids, size_t n, tars_error *err);
    /* CANCELLED, TIMEOUT or OK; asked between passes. */
    tars_status (*check)(void *user, tars_error *err);
    /* Of the prompt, after each batch. */
    void (*progress)(void *user, size_t done, size_t total);
    /* The next token, and what its logits gave: digest is NULL unless logits_hash is set. */
    tars_status (*token)(void *user, int32_t id, const float *logits, const uint8_t *digest,
                         tars_error *err);
    /* Text of the answer, in whole characters. */
    bool (*text)(void *user, const char *bytes, size_t length);
    uint64_t (*clock_ns)(void); /* NULL: there is none, hash_ns stays 0 */
} generation_hooks;

typedef struct generation_settings {
    const tokenizer *tokenizer;
    const forward *pass;
    sampler_settings sampler;
    const int32_t *prompt;
    size_t n_prompt;
    const int32_t *replay; /* [max_tokens] tokens that are told instead of sampled, or NULL */
    size_t max_tokens;     /* ≥ 1 */
    size_t n_context;      /* > n_prompt; the answer ends when it is full */
    size_t batch;          /* tokens of the prompt in one pass */
    const tokenizer_text *stops;
    size_t n_stops;
    bool logits_hash;
    int32_t *ids;                  /* [max_tokens] the answer */
    sampler_candidate *candidates; /* [n_vocab] */
} generation_settings;

typedef struct generation {
    generation_settings settings;
    generation_hooks hooks;
    tokenizer_stream stream;
    stop_text stop;
    sha256_context hash; /* over all digests */
    size_t n_ids;
    uint64_t hash_ns; /* spent on digests */
    bool is_end;      /* the model ended its answer */
} generation;

void generation_init(generation *g, const generation_settings *settings,
                     const generation_hooks *hooks);
/* Computes the prompt from token `first` on (those before are in the cache). */
tars_status generation_prompt(generation *g, size_t first, tars_error *err);
/* Answers until the end, a stop text, max_tokens or a full context. */
tars_status generation_answer(generation *g, tars_error *err);
/* After an answer, also a cancelled one: shows what was held back and gives logits_hash. */
void generation_finish(generation *g, uint8_t logits_hash[SHA256_DIGEST_BYTES]);
/* "stop" or "length". */
const char *generation_finish_reason(const generation *g);

#endif
