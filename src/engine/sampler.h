/* Choosing the next token (arithmetic.md rule 16): penalties, temperature, top-k, top-p, min-p,
 * draw, in this order. Ownership: the sampler is the caller's plain memory; scratch comes from
 * the caller. */
#ifndef ENGINE_SAMPLER_H
#define ENGINE_SAMPLER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { SAMPLER_PENALTY_WINDOW = 64 };

typedef struct sampler_settings {
    float temperature;    /* 0: greedy */
    uint32_t top_k;       /* 0: off */
    float top_p;          /* ≥ 1: off */
    float min_p;          /* 0: off */
    float repeat_penalty; /* 1: off; over the last SAMPLER_PENALTY_WINDOW tokens */
    uint64_t seed;
} sampler_settings;

typedef struct sampler_candidate {
    float logit;
    int32_t id;
} sampler_candidate;

/* Chooses a token for `position` of `sequence`. `recent` are the last tokens, newest last, for
 * the penalty. `scratch` holds n_vocab candidates. The logits are not changed. All must be finite.
 */
int32_t sampler_choose(const sampler_settings *settings, const float *logits, size_t n_vocab,
                       const int32_t *recent, size_t n_recent, uint64_t position, uint64_t sequence,
                       sampler_candidate *scratch);

/* Philox4x32-10 (Salmon et al., 2011): key = seed, counter = (position, sequence). */
void philox_4x32(uint64_t seed, uint64_t position, uint64_t sequence, uint32_t out[4]);

#endif
