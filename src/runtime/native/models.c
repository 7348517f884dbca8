#include "runtime/native/models.h"

#include "engine/generation.h"
#include "runtime/guest_answer.h"
#include "runtime/native/decoder.h"

#include <stdlib.h>
#include <string.h>

typedef struct native_image {
    runtime_model model;
} native_image;

typedef struct native_instance {
    const runtime_model *model;
    unsigned n_threads;
} native_instance;

/* One answer while it is made. */
typedef struct native_answer {
    guest_answer *told;
    decoder decoder;
    generation generation;
    tokenizer_text stops[STOP_TEXT_MAX_COUNT];
    int32_t *ids; /* [max_tokens] */
    sampler_candidate *candidates;
    bool text_failed;
    tars_error text_error;
} native_answer;

static tars_status native_open(const runtime_source *source, void **image, tars_error *err) {
    native_image *i = malloc(sizeof *i);
    if (!i) {
        return error_set(err, TARS_OUT_OF_MEMORY, "no memory for an image");
    }
    i->model = *source->model;
    *image = i;
    return TARS_OK;
}

static tars_status native_spawn(void *image, const runtime_limits *limits,
                                const runtime_profile *profile, void **instance, tars_error *err) {
    (void)profile; /* nothing stands between the engine and this process */
    const native_image *i = image;
    native_instance *n = malloc(sizeof *n);
    if (!n) {
        return error_set(err, TARS_OUT_OF_MEMORY, "no memory for an instance");
    }
    *n = (native_instance){.model = &i->model, .n_threads = limits->n_threads};
    *instance = n;
    return TARS_OK;
}

/* ---- what the generation asks for ------------------------------------------------------ */

static tars_status compute(void *user, const int32_t *ids, size_t n, tars_error *err) {
    native_answer *a = user;
    return decoder_step(&a->decoder, ids, n, false, err);
}

static tars_status check(void *user, tars_error *err) {
    native_answer *a = user;
    if (a->text_failed) {
        if (err) {
            *err = a->text_error;
        }
        return a->text_error.status;
    }
    const guest_client_request *r = &a->told->client.request;
    return r->check(r->user, err);
}

static void progress(void *user, size_t done, size_t total) {
    native_answer *a = user;
    a->told->sink.progress(a->told->sink.user, done, total);
}

static tars_status token(void *user, int32_t id, const float *logits, const uint8_t *digest,
                         tars_error *err) {
    native_answer *a = user;
    const guest_answer_sink *sink = &a->told->sink;
    tars_status status = TARS_OK;
    a->told->n_tokens++;
    if (digest) {
        sha256_update(&a->told->hash, digest, SHA256_DIGEST_BYTES);
    }
    if (sink->logits) {
        status = sink->logits(sink->user, logits, err);
    }
    return status == TARS_OK ? sink->token(sink->user, id, digest, err) : status;
}

static bool text(void *user, const char *bytes, size_t length) {
    native_answer *a = user;
    const guest_answer_sink *sink = &a->told->sink;
    a->text_failed = sink->text(sink->user, bytes, length, &a->text_error) != TARS_OK;
    return !a->text_failed;
}

/* ---- serving --------------------------------------------------------------------------- */

static tars_status no_memory(tars_error *err) {
    return error_set(err, TARS_OUT_OF_MEMORY, "memory ran out while the request was served");
}

/* How much of the prompt the session's cache already holds; the last token is always computed
 * again, since its logits are needed. */
static size_t reuse(decoder_session *s, const int32_t *ids, size_t n) {
    if (!s) {
        return 0;
    }
    size_t same = 0;
    while (same < s->cache.length && same + 1 < n && s->ids[same] == ids[same]) {
        same++;
    }
    s->cache.length = same;
    return same;
}

/* The stop texts lie one behind the other, each with a NUL. */
static void find_stops(native_answer *a) {
    const guest_answer_request *r = a->told->request;
    const char *at = r->stops;
    for (size_t i = 0; i < r->wire.n_stops; i++) {
        a->stops[i] = (tokenizer_text){at, strlen(at)};
        at += a->stops[i].length + 1;
    }
}

static tars_status set_up(native_answer *a, const native_instance *n, tars_error *err) {
    const guest_answer_request *r = a->told->request;
    const wire_request *w = &r->wire;
    decoder_settings settings = {.mapping = n->model->mapping,
                                 .engine = n->model->engine,
                                 .kernels = n->model->kernels,
                                 .session = r->session,
                                 .n_context = w->n_context,
                                 .max_tokens = w->batch,
                                 .max_outputs = 1,
                                 .kv_type = (kv_type)w->kv_type,
                                 .n_threads = n->n_threads,
                                 .float_activations = r->float_activations};
    a->ids = calloc(w->max_tokens, sizeof *a->ids);
    a->candidates = malloc(r->n_vocab * sizeof *a->candidates);
    if (!a->ids || !a->candidates) {
        return no_memory(err);
    }
    find_stops(a);
    return decoder_open(&a->decoder, &settings, err);
}

static void begin(native_answer *a, const runtime_model *m) {
    const guest_answer_request *r = a->told->request;
    const wire_request *w = &r->wire;
    generation_settings settings = {
        .tokenizer = m->tokenizer,
        .pass = &a->decoder.pass,
        .sampler = {.temperature = w->temperature,
                    .top_k = w->top_k,
                    .top_p = w->top_p,
                    .min_p = w->min_p,
                    .repeat_penalty = w->repeat_penalty,
                    .seed = w->seed},
        .prompt = r->prompt,
        .n_prompt = w->n_prompt,
        .replay = w->kind == WIRE_REPLAY ? r->replay : NULL,
        .max_tokens = w->max_tokens,
        .n_context = w->n_context,
        .batch = w->batch,
        .stops = a->stops,
        .n_stops = w->n_stops,
        .logits_hash = w->logits_hash != 0,
        .ids = a->ids,
        .candidates = a->candidates,
    };
    generation_hooks hooks = {.user = a,
                              .compute = compute,
                              .check = check,
                              .progress = progress,
                              .token = token,
                              .text = text,
                              .clock_ns = platform_clock_ns};
    generation_init(&a->generation, &settings, &hooks);
}

/* Shows what was held back, also of a cancelled answer, and fills the result. */
static tars_status finish(native_answer *a, tars_status status, tars_error *err) {
    guest_answer *told = a->told;
    wire_result *result = &told->client.result;
    generation_finish(&a->generation, result->logits_hash);
    result->stopped = strcmp(generation_finish_reason(&a->generation), "stop") == 0;
    result->n_tokens = told->n_tokens;
    result->memory_bytes = a->decoder.buffers_bytes + a->decoder.cache_bytes;
    told->hash_ns = a->generation.hash_ns;
    if (a->text_failed) {
        if (err) {
            *err = a->text_error;
        }
        return a->text_error.status;
    }
    return status;
}

static tars_status serve(native_answer *a, const native_instance *n, runtime_outcome *out,
                         uint64_t begin_ns, tars_error *err) {
    const guest_answer_request *r = a->told->request;
    tars_status status = set_up(a, n, err);
    if (status != TARS_OK) {
        return status;
    }
    begin(a, n->model);
    a->told->n_cached = reuse(r->session, r->prompt, r->wire.n_prompt);
    out->usage.start_ns = platform_clock_ns() - begin_ns;
    status = generation_prompt(&a->generation, a->told->n_cached, err);
    if (status == TARS_OK) {
        status = generation_answer(&a->generation, err);
    }
    return status == TARS_OK || status == TARS_CANCELLED ? finish(a, status, err) : status;
}

static tars_status native_poll(void *instance, const runtime_request *request,
                               const runtime_control *control, runtime_outcome *out,
                               tars_error *err) {
    (void)control; /* the sink's check asks */
    const native_instance *n = instance;
    uint64_t begin_ns = platform_clock_ns();
    uint64_t cpu_ns = platform_process_cpu_ns();
    guest_answer *told = guest_answer_of(request->client);
    native_answer *a = told ? calloc(1, sizeof *a) : NULL;
    if (!a) {
        return told
                   ? no_memory(err)
                   : error_set(err, TARS_UNSUPPORTED, "runtime native takes answers this way only");
    }
    a->told = told;
    told->client.isa = n->model->kernels->name;
    tars_status status = serve(a, n, out, begin_ns, err);
    out->usage.wall_ns = platform_clock_ns() - begin_ns;
    out->usage.cpu_ns = platform_process_cpu_ns() - cpu_ns;
    out->usage.memory_peak_bytes = told->client.result.memory_bytes;
    out->exit_code = 0;
    decoder_close(&a->decoder);
    free(a->candidates);
    free(a->ids);
    free(a);
    return status;
}

/* Each request has buffers of its own, fresh from the system. */
static tars_status native_reset(void *instance, tars_error *err) {
    (void)instance;
    (void)err;
    return TARS_OK;
}

const runtime_functions native_models = {
    .defaults = {.n_threads = 1},
    .open = native_open,
    .close = free,
    .spawn = native_spawn,
    .poll = native_poll,
    .reset = native_reset,
    .kill = free,
};
