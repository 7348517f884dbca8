#include "engine/sampler.h"
#include "support/check.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Known answers of Random123's kat_vectors. */
static void philox_known_answers(void) {
    static const struct {
        uint64_t seed, position, sequence;
        uint32_t expected[4];
    } cases[] = {
        {0, 0, 0, {0x6627e8d5u, 0xe169c58du, 0xbc57ac4cu, 0x9b00dbd8u}},
        {UINT64_MAX, UINT64_MAX, UINT64_MAX, {0x408f276du, 0x41c83b0eu, 0xa20bc7c6u, 0x6d5451fdu}},
        {0x299f31d0a4093822u,
         0x85a308d3243f6a88u,
         0x0370734413198a2eu,
         {0xd16cfe09u, 0x94fdccebu, 0x5001e420u, 0x24126ea1u}},
    };
    for (size_t i = 0; i < 3; i++) {
        uint32_t out[4];
        philox_4x32(cases[i].seed, cases[i].position, cases[i].sequence, out);
        CHECK_BYTES(out, cases[i].expected, sizeof out);
    }
}

enum { N_VOCAB = 500 };

static void fill(float *logits, uint64_t *state) {
    for (size_t i = 0; i < N_VOCAB; i++) {
        logits[i] = (float)((double)(check_random(state) >> 40) / 0x1p24 * 16.0 - 8.0);
    }
}

static void greedy_takes_the_first_largest(void) {
    float logits[N_VOCAB];
    uint64_t state = 1;
    fill(logits, &state);
    logits[77] = logits[200] = 9.0f;
    sampler_candidate scratch[N_VOCAB];
    sampler_settings s = {.temperature = 0, .top_k = 40, .top_p = 0.9f, .repeat_penalty = 1.0f};
    CHECK_INT(sampler_choose(&s, logits, N_VOCAB, NULL, 0, 0, 0, scratch), 77);
}

static void same_counter_same_token(void) {
    float logits[N_VOCAB];
    uint64_t state = 2;
    fill(logits, &state);
    sampler_candidate scratch[N_VOCAB];
    sampler_settings s = {.temperature = 1, .top_p = 1, .repeat_penalty = 1, .seed = 42};
    int differs = 0;
    int32_t first = sampler_choose(&s, logits, N_VOCAB, NULL, 0, 0, 0, scratch);
    for (uint64_t position = 0; position < 50; position++) {
        int32_t a = sampler_choose(&s, logits, N_VOCAB, NULL, 0, position, 3, scratch);
        int32_t b = sampler_choose(&s, logits, N_VOCAB, NULL, 0, position, 3, scratch);
        CHECK_INT(a, b);
        differs += a != first;
    }
    CHECK(differs > 20);
}

/* Every kept token belongs to the k largest, and the shares match the softmax. */
static void draws_follow_the_distribution(void) {
    float logits[N_VOCAB];
    uint64_t state = 3;
    fill(logits, &state);
    sampler_candidate scratch[N_VOCAB];
    sampler_settings s = {
        .temperature = 1.5f, .top_k = 5, .top_p = 1, .repeat_penalty = 1, .seed = 7};
    size_t best[5];
    for (size_t k = 0; k < 5; k++) {
        best[k] = N_VOCAB;
        for (size_t i = 0; i < N_VOCAB; i++) {
            int taken = 0;
            for (size_t j = 0; j < k; j++) {
                taken |= best[j] == i;
            }
            if (!taken && (best[k] == N_VOCAB || logits[i] > logits[best[k]])) {
                best[k] = i;
            }
        }
    }
    size_t counts[5] = {0};
    enum { DRAWS = 20000 };
    for (uint64_t i = 0; i < DRAWS; i++) {
        int32_t id = sampler_choose(&s, logits, N_VOCAB, NULL, 0, i, 0, scratch);
        int found = 0;
        for (size_t k = 0; k < 5; k++) {
            counts[k] += (size_t)id == best[k];
            found |= (size_t)id == best[k];
        }
        CHECK(found);
    }
    double total = 0;
    for (size_t k = 0; k < 5; k++) {
        total += exp((double)(logits[best[k]] / 1.5f));
    }
    for (size_t k = 0; k < 5; k++) {
        double expected = exp((double)(logits[best[k]] / 1.5f)) / total;
        CHECK(fabs((double)counts[k] / (double)DRAWS - expected) < 0.015);
    }
}

static void top_p_and_min_p_cut(void) {
    float logits[N_VOCAB];
    for (size_t i = 0; i < N_VOCAB; i++) {
        logits[i] = -20.0f;
    }
    logits[10] = 2.0f; /* weights 1, e^-1, e^-2 …: 0.63, 0.23, 0.09 */
    logits[20] = 1.0f;
    logits[30] = 0.0f;
    logits[40] = -1.0f;
    sampler_candidate scratch[N_VOCAB];
    sampler_settings p = {.temperature = 1, .top_p = 0.8f, .repeat_penalty = 1};
    sampler_settings m = {.temperature = 1, .top_p = 1, .min_p = 0.2f, .repeat_penalty = 1};
    for (uint64_t i = 0; i < 2000; i++) {
        int32_t id = sampler_choose(&p, logits, N_VOCAB, NULL, 0, i, 0, scratch);
        CHECK(id == 10 || id == 20);
        id = sampler_choose(&m, logits, N_VOCAB, NULL, 0, i, 0, scratch);
        CHECK(id == 10 || id == 20); /* e^-1 = 0.37 stays, e^-2 = 0.14 goes */
    }
}

static void penalty_counts_a_token_once(void) {
    float logits[N_VOCAB] = {0};
    logits[5] = 4.0f;
    logits[6] = 3.0f;
    logits[7] = -1.0f;
    int32_t recent[] = {5, 5, 5, 9999, -3};
    sampler_candidate scratch[N_VOCAB];
    sampler_settings s = {.temperature = 0, .repeat_penalty = 1.3f};
    /* 4 / 1.3 = 3.08 still wins; three times over it would not */
    CHECK_INT(sampler_choose(&s, logits, N_VOCAB, recent, 5, 0, 0, scratch), 5);
    s.repeat_penalty = 1.4f;
    CHECK_INT(sampler_choose(&s, logits, N_VOCAB, recent, 5, 0, 0, scratch), 6);
}

static void one_token_vocabulary(void) {
    float logit = -3.0f;
    sampler_candidate scratch[1];
    sampler_settings s = {
        .temperature = 1, .top_k = 40, .top_p = 0.5f, .min_p = 0.5f, .repeat_penalty = 1.1f};
    int32_t recent = 0;
    CHECK_INT(sampler_choose(&s, &logit, 1, &recent, 1, 0, 0, scratch), 0);
}

static const check_test tests[] = {
    {"philox known answers", philox_known_answers},
    {"greedy takes the first largest", greedy_takes_the_first_largest},
    {"same counter, same token", same_counter_same_token},
    {"draws follow the distribution", draws_follow_the_distribution},
    {"top-p and min-p cut", top_p_and_min_p_cut},
    {"penalty counts a token once", penalty_counts_a_token_once},
    {"one-token vocabulary", one_token_vocabulary},
};
CHECK_MAIN(tests)
