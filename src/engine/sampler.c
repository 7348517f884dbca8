#include "engine/sampler.h"

#include "engine/arith.h"

#include <string.h>

void philox_4x32(uint64_t seed, uint64_t position, uint64_t sequence, uint32_t out[4]) {
    uint32_t k0 = (uint32_t)seed;
    uint32_t k1 = (uint32_t)(seed >> 32);
    uint32_t c[4] = {(uint32_t)position, (uint32_t)(position >> 32), (uint32_t)sequence,
                     (uint32_t)(sequence >> 32)};
    for (int round = 0; round < 10; round++) {
        uint64_t a = (uint64_t)0xD2511F53u * c[0];
        uint64_t b = (uint64_t)0xCD9E8D57u * c[2];
        uint32_t next[4] = {(uint32_t)(b >> 32) ^ c[1] ^ k0, (uint32_t)b,
                            (uint32_t)(a >> 32) ^ c[3] ^ k1, (uint32_t)a};
        memcpy(c, next, sizeof c);
        k0 += 0x9E3779B9u;
        k1 += 0xBB67AE85u;
    }
    memcpy(out, c, sizeof c);
}

/* Order of candidates: logit descending, id ascending. */
static bool before(const sampler_candidate *a, const sampler_candidate *b) {
    return a->logit > b->logit || (a->logit == b->logit && a->id < b->id);
}

/* Restores the heap below `root`; the root is the last in order. */
static void sift_down(sampler_candidate *heap, size_t count, size_t root) {
    sampler_candidate moved = heap[root];
    for (;;) {
        size_t child = 2 * root + 1;
        if (child >= count) {
            break;
        }
        if (child + 1 < count && before(&heap[child], &heap[child + 1])) {
            child++;
        }
        if (!before(&moved, &heap[child])) {
            break;
        }
        heap[root] = heap[child];
        root = child;
    }
    heap[root] = moved;
}

/* Sorts the first `keep` of the candidates in order to the front: a heap of `keep`, whose root is
 * the worst kept, then heap sort. O(n + n·log keep). */
static void sort_best(sampler_candidate *candidates, size_t count, size_t keep) {
    for (size_t i = keep / 2; i-- > 0;) {
        sift_down(candidates, keep, i);
    }
    for (size_t i = keep; i < count; i++) {
        if (before(&candidates[i], &candidates[0])) {
            candidates[0] = candidates[i];
            sift_down(candidates, keep, 0);
        }
    }
    for (size_t end = keep; end-- > 1;) {
        sampler_candidate worst = candidates[0];
        candidates[0] = candidates[end];
        candidates[end] = worst;
        sift_down(candidates, end, 0);
    }
}

static void penalise(const sampler_settings *s, sampler_candidate *candidates, size_t n_vocab,
                     const int32_t *recent, size_t n_recent) {
    size_t first = n_recent > SAMPLER_PENALTY_WINDOW ? n_recent - SAMPLER_PENALTY_WINDOW : 0;
    for (size_t i = first; i < n_recent; i++) {
        bool seen = recent[i] < 0 || (size_t)recent[i] >= n_vocab;
        for (size_t j = first; j < i && !seen; j++) {
            seen = recent[j] == recent[i]; /* once a token, however often it stands there */
        }
        if (!seen) {
            float *logit = &candidates[recent[i]].logit;
            *logit = *logit > 0.0f ? *logit / s->repeat_penalty : *logit * s->repeat_penalty;
        }
    }
}

static int32_t greedy(const sampler_candidate *candidates, size_t count) {
    size_t best = 0;
    for (size_t i = 1; i < count; i++) {
        if (candidates[i].logit > candidates[best].logit) {
            best = i; /* candidates stand in order of ids: ties go to the lowest */
        }
    }
    return candidates[best].id;
}

/* Logits of the sorted candidates become weights e^(l − l_0); returns how many top-p and min-p
 * leave. */
static size_t cut(const sampler_settings *s, sampler_candidate *c, size_t count) {
    float top = c[0].logit;
    float total = 0.0f;
    for (size_t i = 0; i < count; i++) {
        c[i].logit = arith_exp(c[i].logit - top);
        total += c[i].logit;
    }
    if (s->top_p < 1.0f) {
        float limit = s->top_p * total;
        float sum = 0.0f;
        size_t kept = 0;
        do {
            sum += c[kept++].logit;
        } while (kept < count && sum < limit);
        count = kept;
    }
    if (s->min_p > 0.0f) {
        size_t kept = 1; /* c[0] has weight 1 */
        while (kept < count && c[kept].logit >= s->min_p) {
            kept++;
        }
        count = kept;
    }
    return count;
}

static int32_t draw(const sampler_candidate *c, size_t count, uint64_t seed, uint64_t position,
                    uint64_t sequence) {
    uint32_t random[4];
    philox_4x32(seed, position, sequence, random);
    float u = (float)(random[0] >> 8) * 0x1p-24f;
    float total = 0.0f;
    for (size_t i = 0; i < count; i++) {
        total += c[i].logit;
    }
    float limit = u * total;
    float sum = 0.0f;
    for (size_t i = 0; i < count; i++) {
        sum += c[i].logit;
        if (sum > limit) {
            return c[i].id;
        }
    }
    return c[count - 1].id;
}

int32_t sampler_choose(const sampler_settings *settings, const float *logits, size_t n_vocab,
                       const int32_t *recent, size_t n_recent, uint64_t position, uint64_t sequence,
                       sampler_candidate *scratch) {
    for (size_t i = 0; i < n_vocab; i++) {
        scratch[i] = (sampler_candidate){logits[i], (int32_t)i};
    }
    if (settings->repeat_penalty != 1.0f) {
        penalise(settings, scratch, n_vocab, recent, n_recent);
    }
    if (settings->temperature <= 0.0f) {
        return greedy(scratch, n_vocab);
    }
    for (size_t i = 0; i < n_vocab; i++) {
        scratch[i].logit = scratch[i].logit / settings->temperature;
    }
    size_t keep = settings->top_k > 0 && settings->top_k < n_vocab ? settings->top_k : n_vocab;
    sort_best(scratch, n_vocab, keep);
    size_t count = cut(settings, scratch, keep);
    return draw(scratch, count, settings->seed, position, sequence);
}
