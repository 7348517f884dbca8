#include "engine/generation.h"

void generation_init(generation *g, const generation_settings *settings,
                     const generation_hooks *hooks) {
    g->settings = *settings;
    g->hooks = *hooks;
    tokenizer_stream_init(&g->stream, settings->tokenizer, 0);
    stop_text_init(&g->stop, settings->stops, settings->n_stops, hooks->text, hooks->user);
    sha256_init(&g->hash);
    g->n_ids = 0;
    g->hash_ns = 0;
    g->is_end = false;
}

tars_status generation_prompt(generation *g, size_t first, tars_error *err) {
    const generation_settings *s = &g->settings;
    for (size_t at = first; at < s->n_prompt; at += s->batch) {
        size_t n = s->n_prompt - at < s->batch ? s->n_prompt - at : s->batch;
        tars_status status = g->hooks.check(g->hooks.user, err);
        if (status == TARS_OK) {
            status = g->hooks.compute(g->hooks.user, s->prompt + at, n, err);
        }
        if (status != TARS_OK) {
            return status;
        }
        g->hooks.progress(g->hooks.user, at + n, s->n_prompt);
    }
    return TARS_OK;
}

/* Tokens before the next one, for the repeat penalty: the end of prompt and answer. */
static size_t recent_tokens(const generation *g, int32_t *recent) {
    size_t n_prompt = g->settings.n_prompt;
    size_t n_all = n_prompt + g->n_ids;
    size_t n = n_all < SAMPLER_PENALTY_WINDOW ? n_all : SAMPLER_PENALTY_WINDOW;
    for (size_t i = 0; i < n; i++) {
        size_t at = n_all - n + i;
        recent[i] = at < n_prompt ? g->settings.prompt[at] : g->settings.ids[at - n_prompt];
    }
    return n;
}

static int32_t choose(const generation *g, const float *logits) {
    const generation_settings *s = &g->settings;
    if (s->replay) {
        return s->replay[g->n_ids];
    }
    int32_t recent[SAMPLER_PENALTY_WINDOW];
    size_t n = recent_tokens(g, recent);
    return sampler_choose(&s->sampler, logits, s->pass->model->hparams->n_vocab, recent, n,
                          s->n_prompt + g->n_ids, 0, s->candidates);
}

static bool push_text(void *context, const char *bytes, size_t length) {
    stop_text_push(context, bytes, length);
    return true;
}

static void hash_logits(generation *g, const float *logits, uint8_t digest[SHA256_DIGEST_BYTES]) {
    uint64_t begin_ns = g->hooks.clock_ns ? g->hooks.clock_ns() : 0;
    sha256(logits, g->settings.pass->model->hparams->n_vocab * sizeof(float), digest);
    sha256_update(&g->hash, digest, SHA256_DIGEST_BYTES);
    g->hash_ns += g->hooks.clock_ns ? g->hooks.clock_ns() - begin_ns : 0;
}

/* One token from the last pass; *done is set when the answer ends with it. */
static tars_status next_token(generation *g, bool *done, tars_error *err) {
    const generation_settings *s = &g->settings;
    const float *logits = forward_logits(s->pass, 0);
    uint8_t digest[SHA256_DIGEST_BYTES];
    if (s->logits_hash) {
        hash_logits(g, logits, digest);
    }
    int32_t id = choose(g, logits);
    s->ids[g->n_ids++] = id;
    tars_status status =
        g->hooks.token(g->hooks.user, id, logits, s->logits_hash ? digest : NULL, err);
    if (status != TARS_OK) {
        return status;
    }
    g->is_end = tokenizer_is_end(s->tokenizer, id);
    if (!g->is_end) {
        (void)tokenizer_stream_push(&g->stream, id, push_text, &g->stop);
    }
    bool is_full = g->n_ids >= s->max_tokens || s->n_prompt + g->n_ids >= s->n_context;
    *done = (g->is_end && !s->replay) || g->stop.stopped || is_full;
    return TARS_OK;
}

tars_status generation_answer(generation *g, tars_error *err) {
    for (bool done = false;;) {
        tars_status status = next_token(g, &done, err);
        if (status == TARS_OK) {
            status = g->hooks.check(g->hooks.user, err);
        }
        if (status != TARS_OK || done) {
            return status;
        }
        status = g->hooks.compute(g->hooks.user, &g->settings.ids[g->n_ids - 1], 1, err);
        if (status != TARS_OK) {
            return status;
        }
    }
}

void generation_finish(generation *g, uint8_t logits_hash[SHA256_DIGEST_BYTES]) {
    if (!g->stop.stopped) {
        (void)tokenizer_stream_finish(&g->stream, push_text, &g->stop);
        stop_text_finish(&g->stop);
    }
    sha256_final(&g->hash, logits_hash);
}

const char *generation_finish_reason(const generation *g) {
    return g->is_end || g->stop.stopped ? "stop" : "length";
}
