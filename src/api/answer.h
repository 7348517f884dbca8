/* One answer while it is made, here or in a guest: what both ways share. Ownership: the job owns
 * what the answer collects; the rest lives as long as job_run_generate runs. */
#ifndef API_ANSWER_H
#define API_ANSWER_H

#include "api/decoder.h"
#include "engine/generation.h"

typedef struct answer {
    tars_job *job;
    tokenizer_text stops[STOP_TEXT_MAX_COUNT];
    bool out_of_memory; /* while text was added */
    /* made here */
    decoder d;
    generation generation;
    int32_t *ids; /* [max_tokens] */
    sampler_candidate *candidates;
    /* made in a guest */
    uint64_t first_token_ns;
} answer;

/* Tokens that the request allows and the context has room for, at least 1. */
size_t answer_tokens(const tars_job *job);
/* The generation's hooks (generation.h); `user` is the answer. */
tars_status answer_check(void *user, tars_error *err);
void answer_progress(void *user, size_t done, size_t total);
tars_status answer_take_token(void *user, int32_t id, const float *logits, const uint8_t *digest,
                              tars_error *err);
bool answer_take_text(void *user, const char *bytes, size_t length);

/* Makes it in a fresh instance of the sandboxed engine. */
tars_status answer_in_guest(answer *a, tars_error *err);

#endif
