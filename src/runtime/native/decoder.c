#include "runtime/native/decoder.h"

#include <stdlib.h>
#include <string.h>

static forward_limits limits_of(const decoder_settings *s) {
    return (forward_limits){.max_tokens = s->max_tokens,
                            .max_outputs = s->max_outputs,
                            .max_positions = s->n_context,
                            .n_workers = s->n_threads,
                            .float_activations = s->float_activations};
}

uint64_t decoder_memory_bytes(const decoder_settings *s) {
    forward_limits limits = limits_of(s);
    size_t buffers = forward_memory_bytes(s->engine, &limits);
    size_t cache = kv_cache_bytes(s->engine->hparams, s->kv_type, s->n_context);
    if (buffers == 0 || cache == 0 || buffers > SIZE_MAX - cache) {
        return 0;
    }
    return (uint64_t)buffers + (s->session ? 0 : cache) + s->max_tokens * sizeof(forward_token);
}

static tars_status open_cache(decoder *d, tars_error *err) {
    const decoder_settings *s = &d->settings;
    if (s->session) {
        d->cache = &s->session->cache;
        return TARS_OK;
    }
    d->cache = &d->own_cache;
    d->cache_bytes = kv_cache_bytes(s->engine->hparams, s->kv_type, s->n_context);
    tars_status status = platform_reserve(d->cache_bytes, false, &d->cache_memory, err);
    if (status == TARS_OK) {
        kv_cache_init(&d->own_cache, s->engine->hparams, s->kv_type, s->n_context, d->cache_memory);
    }
    return status;
}

static tars_status open_parts(decoder *d, tars_error *err) {
    const decoder_settings *s = &d->settings;
    forward_limits limits = limits_of(s);
    d->buffers_bytes = forward_memory_bytes(s->engine, &limits);
    tars_status status = platform_reserve(d->buffers_bytes, false, &d->buffers, err);
    if (status == TARS_OK) {
        status = open_cache(d, err);
    }
    if (status != TARS_OK) {
        return status;
    }
    d->tokens = calloc(d->max_tokens, sizeof *d->tokens);
    if (!d->tokens) {
        return error_set(err, TARS_OUT_OF_MEMORY, "no memory for a batch of tokens");
    }
    pace_init(&d->pace, s->n_threads);
    status = team_create(s->n_threads, &d->team, err);
    if (status == TARS_OK) {
        arena memory;
        arena_init(&memory, d->buffers, d->buffers_bytes);
        status = forward_init(&d->pass, s->engine, s->kernels, &limits, &memory, err);
    }
    return status;
}

tars_status decoder_open(decoder *d, const decoder_settings *settings, tars_error *err) {
    memset(d, 0, sizeof *d);
    d->settings = *settings;
    d->max_tokens = settings->max_tokens;
    tars_status status = open_parts(d, err);
    if (status != TARS_OK) {
        decoder_close(d);
    }
    return status;
}

void decoder_close(decoder *d) {
    team_destroy(d->team);
    free(d->tokens);
    if (d->buffers) {
        platform_release(d->buffers, d->buffers_bytes);
    }
    if (d->cache_memory) {
        platform_release(d->cache_memory, d->cache_bytes);
    }
    memset(d, 0, sizeof *d);
}

static void step_worker(void *argument, unsigned worker) {
    decoder *d = argument;
    forward_step(&d->pass, worker, &d->barrier);
}

/* With as many workers as the machine has time for; the result is the same with any number. */
static void run_step(decoder *d) {
    uint64_t start_ns = platform_clock_ns();
    unsigned n_workers = pace_workers(&d->pace, start_ns);
    barrier_init(&d->barrier, n_workers, team_relax, d->team);
    team_run(d->team, n_workers, step_worker, d);
    uint64_t end_ns = platform_clock_ns();
    pace_note(&d->pace, end_ns, end_ns - start_ns, team_waited_ns(d->team));
}

tars_status decoder_step(decoder *d, const int32_t *ids, size_t n, bool all_logits,
                         tars_error *err) {
    for (size_t i = 0; i < n; i++) {
        d->tokens[i] = (forward_token){.id = ids[i],
                                       .position = (uint32_t)(d->cache->length + i),
                                       .cache = d->cache,
                                       .wants_logits = all_logits || i + 1 == n};
    }
    tars_status status = forward_begin(&d->pass, d->tokens, n, err);
    if (status != TARS_OK) {
        return status;
    }
    size_t before = d->cache->length;
    run_step(d);
    status = platform_mapping_check(d->settings.mapping, err); /* a cut file voids any result */
    if (status != TARS_OK) {
        error_hint(err, "the model's file changed while it was in use: import it again");
        return status;
    }
    status = forward_end(&d->pass, err);
    if (status == TARS_OK && d->settings.session) {
        memcpy(d->settings.session->ids + before, ids, n * sizeof *ids);
    }
    return status;
}
