/* Answers: a prompt's ids in, tokens and text out. */
#include "guest/service.h"

#include "engine/generation.h"

#include <string.h>

enum { MAX_STOP_BYTES = STOP_TEXT_MAX_COUNT * (STOP_TEXT_MAX_BYTES + 1) };

typedef struct answer {
    wire_request wire;
    int32_t *prompt, *replay, *ids;
    tokenizer_text *stops;
    char *stop_bytes;
    kv_cache cache;
    forward pass;
    barrier barrier;
    forward_token *tokens; /* [batch] */
    generation generation;
} answer;

/* ---- taking a request ------------------------------------------------------------------ */

static tars_status check_request(const guest *g, const wire_request *r, tars_error *err) {
    const model_hparams *p = g->model.hparams;
    if (!p->causal) {
        return error_set(err, TARS_UNSUPPORTED, "this model makes no text");
    }
    bool is_replay = r->kind == WIRE_REPLAY;
    if ((r->kind != WIRE_GENERATE && !is_replay) ||
        (r->kv_type != KV_F16 && r->kv_type != KV_F32)) {
        return error_set(err, TARS_MALFORMED, "request of kind %u with a cache of type %u", r->kind,
                         r->kv_type);
    }
    if (r->n_prompt < 1 || r->n_context <= r->n_prompt || r->n_context > p->context_length ||
        r->max_tokens < 1 || r->max_tokens > r->n_context - r->n_prompt || r->batch < 1 ||
        r->batch > WIRE_MAX_BATCH) {
        return error_set(err, TARS_MALFORMED,
                         "request of %u tokens, %u at most in return, in a context of %u and "
                         "batches of %u",
                         r->n_prompt, r->max_tokens, r->n_context, r->batch);
    }
    if (r->n_replay != (is_replay ? r->max_tokens : 0) || r->n_stops > STOP_TEXT_MAX_COUNT ||
        r->stop_bytes > MAX_STOP_BYTES) {
        return error_set(err, TARS_MALFORMED, "request to replay %u tokens with %u stop texts",
                         r->n_replay, r->n_stops);
    }
    return TARS_OK;
}

static tars_status make_room(guest *g, answer *a, tars_error *err) {
    const wire_request *r = &a->wire;
    arena *memory = g->place.memory;
    a->prompt = ARENA_ARRAY(memory, int32_t, r->n_prompt);
    a->replay = ARENA_ARRAY(memory, int32_t, r->n_replay);
    a->ids = ARENA_ARRAY(memory, int32_t, r->max_tokens);
    a->stops = ARENA_ARRAY(memory, tokenizer_text, r->n_stops);
    a->stop_bytes = ARENA_ARRAY(memory, char, (size_t)r->stop_bytes);
    return a->prompt && a->replay && a->ids && a->stops && a->stop_bytes ? TARS_OK
                                                                         : guest_no_memory(g, err);
}

/* Cuts the bytes received into the stop texts. */
static tars_status cut_stops(answer *a, tars_error *err) {
    size_t at = 0;
    for (size_t i = 0; i < a->wire.n_stops; i++) {
        size_t end = at;
        while (end < a->wire.stop_bytes && a->stop_bytes[end] != '\0') {
            end++;
        }
        a->stops[i] = (tokenizer_text){a->stop_bytes + at, end - at};
        if (end == a->wire.stop_bytes || end == at || end - at > STOP_TEXT_MAX_BYTES) {
            return error_set(err, TARS_MALFORMED, "stop text %zu has no end or no bytes", i);
        }
        at = end + 1;
    }
    return TARS_OK;
}

static tars_status take(guest *g, tars_error *err) {
    answer *a = ARENA_NEW(g->place.memory, answer);
    g->request = a;
    if (!a) {
        return guest_no_memory(g, err);
    }
    memcpy(&a->wire, g->message.payload, sizeof a->wire);
    tars_status status = check_request(g, &a->wire, err);
    if (status == TARS_OK) {
        status = make_room(g, a, err);
    }
    if (status == TARS_OK) {
        const guest_section sections[WIRE_SECTION_COUNT] = {
            [WIRE_PROMPT] = {a->prompt, a->wire.n_prompt * sizeof(int32_t)},
            [WIRE_REPLAYED] = {a->replay, a->wire.n_replay * sizeof(int32_t)},
            [WIRE_STOPS] = {a->stop_bytes, (size_t)a->wire.stop_bytes},
        };
        status = guest_take_data(g, sections, err);
    }
    return status == TARS_OK ? cut_stops(a, err) : status;
}

/* ---- serving it ------------------------------------------------------------------------ */

static void step(void *argument, unsigned worker) {
    answer *a = argument;
    forward_step(&a->pass, worker, &a->barrier);
}

static tars_status compute(void *user, const int32_t *ids, size_t n, tars_error *err) {
    const serve_team *team = ((guest *)user)->place.team;
    answer *a = ((guest *)user)->request;
    for (size_t i = 0; i < n; i++) {
        a->tokens[i] = (forward_token){.id = ids[i],
                                       .position = (uint32_t)(a->cache.length + i),
                                       .cache = &a->cache,
                                       .wants_logits = i + 1 == n};
    }
    tars_status status = forward_begin(&a->pass, a->tokens, n, err);
    if (status != TARS_OK) {
        return status;
    }
    if (team && team->n_workers > 1) {
        unsigned n_workers = team->choose();
        barrier_init(&a->barrier, n_workers, team->relax, NULL);
        team->run(n_workers, step, a);
    } else {
        barrier_init(&a->barrier, 1, NULL, NULL);
        step(a, 0);
    }
    return forward_end(&a->pass, err);
}

static tars_status check(void *user, tars_error *err) {
    return guest_check(user, err); /* the host hears of each token at once */
}

static void report_progress(void *user, size_t done, size_t total) {
    (void)guest_tell_progress(user, done, total, NULL);
}

static tars_status tell_token(void *user, int32_t id, const float *logits, const uint8_t *digest,
                              tars_error *err) {
    (void)logits;
    guest *g = user;
    wire_token token = {.id = id, .has_digest = digest != NULL};
    if (digest) {
        memcpy(token.digest, digest, sizeof token.digest);
    }
    return wire_send(g->place.port, WIRE_TOKEN, &token, sizeof token, NULL, 0, err);
}

static bool tell_text(void *user, const char *bytes, size_t length) {
    return guest_tell_text(user, bytes, length, NULL) == TARS_OK;
}

static tars_status set_up(guest *g, answer *a, sampler_candidate **candidates, tars_error *err) {
    const wire_request *r = &a->wire;
    const model_hparams *p = g->model.hparams;
    arena *memory = g->place.memory;
    forward_limits limits = {.max_tokens = r->batch < r->n_context ? r->batch : r->n_context,
                             .max_outputs = 1,
                             .max_positions = r->n_context,
                             .n_workers = g->place.team ? g->place.team->n_workers : 1};
    size_t cache_bytes = kv_cache_bytes(p, (kv_type)r->kv_type, r->n_context);
    void *cache_memory = cache_bytes ? arena_alloc_raw(memory, cache_bytes, 64) : NULL;
    a->tokens = ARENA_ARRAY(memory, forward_token, limits.max_tokens);
    *candidates = arena_alloc_raw(memory, p->n_vocab * sizeof **candidates, 16);
    if (!cache_memory || !a->tokens || !*candidates) {
        return guest_no_memory(g, err);
    }
    kv_cache_init(&a->cache, p, (kv_type)r->kv_type, r->n_context, cache_memory);
    return forward_init(&a->pass, &g->model, g->kernels, &limits, memory, err);
}

static tars_status generate(guest *g, answer *a, tars_error *err) {
    const wire_request *r = &a->wire;
    sampler_candidate *candidates = NULL;
    tars_status status = set_up(g, a, &candidates, err);
    if (status != TARS_OK) {
        return status;
    }
    generation_settings settings = {
        .tokenizer = &g->tokenizer,
        .pass = &a->pass,
        .sampler = {.temperature = r->temperature,
                    .top_k = r->top_k,
                    .top_p = r->top_p,
                    .min_p = r->min_p,
                    .repeat_penalty = r->repeat_penalty,
                    .seed = r->seed},
        .prompt = a->prompt,
        .n_prompt = r->n_prompt,
        .replay = r->kind == WIRE_REPLAY ? a->replay : NULL,
        .max_tokens = r->max_tokens,
        .n_context = r->n_context,
        .batch = a->pass.limits.max_tokens,
        .stops = a->stops,
        .n_stops = r->n_stops,
        .logits_hash = r->logits_hash != 0,
        .ids = a->ids,
        .candidates = candidates,
    };
    generation_hooks hooks = {.user = g,
                              .compute = compute,
                              .check = check,
                              .progress = report_progress,
                              .token = tell_token,
                              .text = tell_text};
    generation_init(&a->generation, &settings, &hooks);
    status = generation_prompt(&a->generation, 0, err);
    return status == TARS_OK ? generation_answer(&a->generation, err) : status;
}

/* A cancelled answer has a result too, after the text that was held back. */
static tars_status run(guest *g, wire_result *result, tars_error *err) {
    answer *a = g->request;
    tars_status status = generate(g, a, err);
    if (status != TARS_OK && status != TARS_CANCELLED) {
        return status;
    }
    generation_finish(&a->generation, result->logits_hash);
    result->stopped = a->generation.is_end || a->generation.stop.stopped;
    result->n_tokens = (uint32_t)a->generation.n_ids;
    return TARS_OK;
}

const guest_service guest_answers = {true, take, run};
