#include "api/decoder.h"

#include "base/text.h"

#include <stdlib.h>
#include <string.h>

static forward_limits limits_of(size_t n_context, size_t batch, size_t max_outputs,
                                unsigned n_threads, bool float_activations) {
    return (forward_limits){.max_tokens = batch,
                            .max_outputs = max_outputs,
                            .max_positions = n_context,
                            .n_workers = n_threads,
                            .float_activations = float_activations};
}

uint64_t decoder_memory_bytes(const tars_model *m, size_t n_context, kv_type type, size_t batch,
                              size_t max_outputs, unsigned n_threads, bool float_activations,
                              bool has_session) {
    forward_limits limits = limits_of(n_context, batch, max_outputs, n_threads, float_activations);
    size_t buffers = forward_memory_bytes(&m->engine, &limits);
    size_t cache = kv_cache_bytes(m->pack.hparams, type, n_context);
    if (buffers == 0 || cache == 0 || buffers > SIZE_MAX - cache) {
        return 0;
    }
    return (uint64_t)buffers + (has_session ? 0 : cache) + batch * sizeof(forward_token);
}

/* "12.3 MiB" without floating point. */
static void format_size(uint64_t bytes, char *out, size_t size) {
    text_buffer text;
    text_init(&text, out, size);
    uint64_t tenths = bytes / (1024 * 1024 / 10);
    text_format(&text, "%llu.%llu MiB", (unsigned long long)(tenths / 10),
                (unsigned long long)(tenths % 10));
}

tars_status decoder_check_memory(const tars_job *job, uint64_t needed, tars_error *err) {
    platform_memory_info memory = {0};
    uint64_t limit = job->request->limits.memory_bytes;
    if (limit == 0 && platform_memory(&memory, NULL) == TARS_OK) {
        limit = memory.available_bytes;
    }
    if (needed != 0 && (limit == 0 || needed <= limit)) {
        return TARS_OK;
    }
    char wanted[32];
    char there[32];
    format_size(needed, wanted, sizeof wanted);
    format_size(limit, there, sizeof there);
    error_set(err, TARS_OUT_OF_MEMORY, "the request needs about %s besides the model, %s are there",
              needed ? wanted : "more than can be counted", there);
    error_hint(err, "ask for a shorter context (--context) or a smaller model");
    return TARS_OUT_OF_MEMORY;
}

tars_status decoder_open(decoder *d, tars_job *job, size_t n_context, size_t max_outputs,
                         tars_error *err) {
    memset(d, 0, sizeof *d);
    const tars_request *r = job->request;
    d->model = r->model;
    d->session = r->session;
    d->max_tokens = r->batch_size > 0 ? r->batch_size : DECODER_DEFAULT_BATCH;
    d->max_tokens = d->max_tokens < n_context ? d->max_tokens : n_context;
    uint64_t needed =
        decoder_memory_bytes(d->model, n_context, job->kv_type, d->max_tokens, max_outputs,
                             job->n_threads, r->float_activations, r->session != NULL);
    tars_status status = decoder_check_memory(job, needed, err);
    if (status != TARS_OK) {
        return status;
    }
    forward_limits limits =
        limits_of(n_context, d->max_tokens, max_outputs, job->n_threads, r->float_activations);
    d->buffers_bytes = forward_memory_bytes(&d->model->engine, &limits);
    status = platform_reserve(d->buffers_bytes, false, &d->buffers, err);
    d->cache = &d->own_cache;
    if (status == TARS_OK && d->session) {
        d->cache = &d->session->cache;
    } else if (status == TARS_OK) {
        d->cache_bytes = kv_cache_bytes(d->model->pack.hparams, job->kv_type, n_context);
        status = platform_reserve(d->cache_bytes, false, &d->cache_memory, err);
        if (status == TARS_OK) {
            kv_cache_init(&d->own_cache, d->model->pack.hparams, job->kv_type, n_context,
                          d->cache_memory);
        }
    }
    if (status == TARS_OK) {
        d->tokens = calloc(d->max_tokens, sizeof *d->tokens);
        pace_init(&d->pace, job->n_threads);
        status = d->tokens ? team_create(job->n_threads, &d->team, err) : job_no_memory(err);
    }
    if (status == TARS_OK) {
        arena memory;
        arena_init(&memory, d->buffers, d->buffers_bytes);
        status = forward_init(&d->pass, &d->model->engine, job->kernels, &limits, &memory, err);
    }
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
    status = model_api_check(d->model, err); /* a cut file makes any result void */
    if (status == TARS_OK) {
        status = forward_end(&d->pass, err);
    }
    if (status == TARS_OK && d->session) {
        memcpy(d->session->ids + before, ids, n * sizeof *ids);
    }
    return status;
}
