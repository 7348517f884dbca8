#include "api/answer.h"

#include "base/text.h"
#include "runtime/guest_client.h"
#include "runtime/native/features.h"

#include <stdlib.h>
#include <string.h>

bool job_list_add(job_list *list, const void *bytes, size_t length) {
    if (length > SIZE_MAX / 4 - list->length) {
        return false;
    }
    if (list->length + length + 1 > list->capacity) {
        size_t capacity = (list->length + length + 1) * 2;
        uint8_t *grown = realloc(list->bytes, capacity);
        if (!grown) {
            return false;
        }
        list->bytes = grown;
        list->capacity = capacity;
    }
    if (length > 0) {
        memcpy(list->bytes + list->length, bytes, length);
    }
    list->length += length;
    list->bytes[list->length] = '\0'; /* texts end with a NUL */
    return true;
}

tars_status job_no_memory(tars_error *err) {
    return error_set(err, TARS_OUT_OF_MEMORY, "memory ran out while the request was served");
}

tars_status job_check(tars_job *job, tars_error *err) {
    if (atomic_load_explicit(&job->cancelled, memory_order_relaxed)) {
        return error_set(err, TARS_CANCELLED, "the request was cancelled");
    }
    uint64_t limit_ms = job->request->limits.deadline_ms;
    if (limit_ms > 0 && platform_clock_ns() - job->submitted_ns > limit_ms * 1000000) {
        return error_set(err, TARS_TIMEOUT, "the deadline of %llu ms passed",
                         (unsigned long long)limit_ms);
    }
    return TARS_OK;
}

/* ---- checking a request ---------------------------------------------------------------- */

typedef struct job_kind {
    tars_request_kind kind;
    tars_status (*run)(tars_job *job, tars_error *err);
    bool needs_decoder, needs_encoder;
    bool in_guest; /* can be served by one */
} job_kind;

static const job_kind kinds[] = {
    {TARS_REQUEST_GENERATE, job_run_generate, true, false, true},
    {TARS_REQUEST_REPLAY, job_run_generate, true, false, true},
    {TARS_REQUEST_PERPLEXITY, job_run_perplexity, true, false, false},
    {TARS_REQUEST_EMBED, job_run_embed, false, true, true},
    {TARS_REQUEST_TOKENIZE, job_run_tokenize, false, false, true},
    {TARS_REQUEST_DETOKENIZE, job_run_detokenize, false, false, true},
};

static const job_kind *kind_of(tars_request_kind kind) {
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        if (kinds[i].kind == kind) {
            return &kinds[i];
        }
    }
    return NULL;
}

static bool is_text(const char *found, const char *expected) {
    return found && strcmp(found, expected) == 0;
}

static tars_status refuse_floor(const tars_context *context, const runtime_row *row,
                                const char *floor, tars_error *err) {
    const log_field fields[] = {{"reason", "the runtime is below the isolation asked for", 0},
                                {"isolation", floor, 0}};
    audit_event event = {.kind = AUDIT_DENIED,
                         .action = "blocked",
                         .subject = "request",
                         .runtime = row->name,
                         .attributes = fields,
                         .n_attributes = sizeof fields / sizeof fields[0]};
    tars_status status = context_audit(context, &event, err);
    if (status != TARS_OK) {
        return status;
    }
    error_set(err, TARS_UNAVAILABLE, "runtime %s does not give isolation %s", row->name, floor);
    error_hint(err, "leave out --runtime: the isolation decides then");
    return TARS_UNAVAILABLE;
}

/* The runtime that is asked for, or the first whose isolation is enough. */
static tars_status choose_runtime(const tars_context *context, const tars_policy *p,
                                  const runtime_row **out, tars_error *err) {
    static const char *const levels[] = {[ISOLATION_PROCESS] = "process",
                                         [ISOLATION_SANDBOX] = "sandbox",
                                         [ISOLATION_MICROVM] = "microvm"};
    size_t floor = ISOLATION_PROCESS;
    while (p->isolation && floor <= ISOLATION_MICROVM && !is_text(p->isolation, levels[floor])) {
        floor++;
    }
    if (floor > ISOLATION_MICROVM) {
        error_set(err, TARS_USAGE, "there is no isolation level \"%s\"", p->isolation);
        error_hint(err, "levels, ascending: process, sandbox, microvm");
        return TARS_USAGE;
    }
    bool is_open = !p->runtime || is_text(p->runtime, "auto");
    const runtime_row *row = is_open ? runtime_rows : runtime_find(p->runtime);
    while (is_open && row->isolation < floor) {
        row++; /* the table ascends to microvm */
    }
    if (!row) {
        error_set(err, TARS_USAGE, "there is no runtime \"%s\"", p->runtime);
        error_hint(err, "runtimes: auto, native, wasm, microvm, cuda");
        return TARS_USAGE;
    }
    if (row->isolation < floor) {
        return refuse_floor(context, row, p->isolation, err);
    }
    if (context->no_wasm && is_text(row->name, "wasm")) {
        error_set(err, TARS_UNAVAILABLE, "runtime wasm is unavailable: by configuration");
        error_hint(err, "set deployment.wasm.enabled to true, or use --runtime native");
        return TARS_UNAVAILABLE;
    }
    *out = row;
    tars_status status = row->probe(err);
    if (status == TARS_OK && !row->functions[RUNTIME_MODEL]) {
        error_set(err, TARS_UNAVAILABLE, "unavailable: runtime %s runs no models in this version",
                  row->name);
        error_hint(err, "use --runtime wasm for isolation, or --runtime native");
        status = TARS_UNAVAILABLE;
    }
    return status;
}

bool job_in_guest(const tars_job *job) {
    return job->runtime->isolation > ISOLATION_PROCESS;
}

const char *job_guest_isa(const tars_job *job) {
    return job->request->policy.force_isa ? job->isa : NULL;
}

static tars_status choose_guest_kernels(tars_job *job, const char *wanted, tars_error *err) {
    for (size_t i = 0; guest_client_isas[i]; i++) {
        if (strcmp(wanted, guest_client_isas[i]) == 0) {
            job->isa = guest_client_isas[i];
            return TARS_OK;
        }
    }
    error_set(err, TARS_UNAVAILABLE,
              "instruction set %s is unavailable: guests have no kernels for it", wanted);
    error_hint(err, "leave --force-isa out, or use scalar");
    return TARS_UNAVAILABLE;
}

static tars_status choose_kernels(tars_job *job, tars_error *err) {
    const char *wanted = job->request->policy.force_isa;
    platform_cpu_info cpu = platform_cpu();
    unsigned features = native_kernel_features(&cpu);
    job->kernels = kernel_best(features);
    if (!wanted) {
        job->isa = job_in_guest(job) ? "" : job->kernels->name;
        return TARS_OK;
    }
    static const char *const known[] = {"scalar", "avx2", "avx512", "amx", "neon"};
    bool is_known = false;
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) {
        is_known = is_known || strcmp(wanted, known[i]) == 0;
    }
    if (!is_known) {
        error_set(err, TARS_USAGE, "there is no instruction set \"%s\"", wanted);
        error_hint(err, "instruction sets: scalar, avx2, avx512, amx, neon");
        return TARS_USAGE;
    }
    if (job_in_guest(job)) {
        return choose_guest_kernels(job, wanted, err);
    }
    const kernel_table *kernels = kernel_by_name(wanted);
    if (!kernels || !kernel_usable(kernels, features)) {
        error_set(err, TARS_UNAVAILABLE, "instruction set %s is unavailable: %s", wanted,
                  kernels ? "this CPU lacks it" : "this build has no kernels for it");
        error_hint(err, "the best one here is %s", kernel_best(features)->name);
        return TARS_UNAVAILABLE;
    }
    job->kernels = kernels;
    job->isa = kernels->name;
    return TARS_OK;
}

static bool in_range(float value, float low, float high) {
    return value >= low && value <= high;
}

static tars_status check_sampling(const tars_sampling *s, tars_error *err) {
    if (!in_range(s->temperature, 0.0f, 100.0f)) {
        return error_set(err, TARS_USAGE, "the temperature must be between 0 and 100");
    }
    if (!in_range(s->top_p, 0.0f, 1.0f) || !in_range(s->min_p, 0.0f, 1.0f)) {
        return error_set(err, TARS_USAGE, "top_p and min_p must be between 0 and 1");
    }
    if (!in_range(s->repeat_penalty, 0.01f, 100.0f)) {
        return error_set(err, TARS_USAGE, "the repeat penalty must be between 0.01 and 100");
    }
    return TARS_OK;
}

static tars_status set_up_sampling(tars_job *job, tars_error *err) {
    const tars_sampling *s = &job->request->sampling;
    job->sampler = (sampler_settings){.temperature = s->temperature,
                                      .top_k = s->top_k,
                                      .top_p = s->top_p,
                                      .min_p = s->min_p,
                                      .repeat_penalty = s->repeat_penalty,
                                      .seed = s->seed};
    if (!s->random_seed) {
        return TARS_OK;
    }
    tars_status status = platform_random(&job->sampler.seed, sizeof job->sampler.seed, err);
    job->sampler.seed >>= 64 - 53; /* a double, and so any reader of JSON, holds it exactly */
    return status;
}

static tars_status check_model(const tars_request *r, const job_kind *kind, tars_error *err) {
    bool causal = r->model->pack.hparams->causal != 0;
    if (kind->needs_decoder && !causal) {
        error_set(err, TARS_USAGE, "model %s is an encoder: it makes embeddings, no text",
                  r->model->entry.name);
        error_hint(err, "use: tars embed %s TEXT", r->model->entry.name);
        return TARS_USAGE;
    }
    if (kind->needs_encoder && causal) {
        error_set(err, TARS_USAGE, "model %s generates text: it has no pooled embeddings",
                  r->model->entry.name);
        error_hint(err, "use an embedding model, for example all-minilm");
        return TARS_USAGE;
    }
    if (r->session && r->session->model != r->model) {
        return error_set(err, TARS_USAGE, "the session belongs to another model");
    }
    return TARS_OK;
}

static tars_status check_request(tars_job *job, const job_kind *kind, tars_error *err) {
    const tars_request *r = job->request;
    tars_status status = check_model(r, kind, err);
    if (status == TARS_OK) {
        status = choose_runtime(job->context, &r->policy, &job->runtime, err);
    }
    if (status == TARS_OK && job_in_guest(job) && !kind->in_guest) {
        status = error_set(err, TARS_UNAVAILABLE,
                           "runtime %s computes no perplexity in this version", job->runtime->name);
        error_hint(err, "use --runtime native for that");
    }
    if (status == TARS_OK) {
        status = choose_kernels(job, err);
    }
    if (status == TARS_OK) {
        status = check_sampling(&r->sampling, err);
    }
    if (status == TARS_OK && r->policy.n_threads > TEAM_MAX_WORKERS) {
        status = error_set(err, TARS_USAGE, "%u threads; 1 to %u are possible", r->policy.n_threads,
                           (unsigned)TEAM_MAX_WORKERS);
    }
    bool f32 = is_text(r->kv_type, "f32");
    if (status == TARS_OK && r->kv_type && !f32 && !is_text(r->kv_type, "f16")) {
        status =
            error_set(err, TARS_USAGE, "the cache's type is f16 or f32, not \"%s\"", r->kv_type);
    }
    job->kv_type = f32 ? KV_F32 : KV_F16;
    if (r->session) {
        job->kv_type = r->session->kept.cache.type;
    }
    job->n_threads = r->policy.n_threads > 0 ? r->policy.n_threads : platform_cpu_count();
    return status == TARS_OK ? set_up_sampling(job, err) : status;
}

tars_status tars_submit(tars_context *context, const tars_request *request, const tars_sink *sink,
                        tars_job **out, tars_error *err) {
    tars_error own_error;
    err = err ? err : &own_error; /* below, err is never NULL */
    *out = NULL;
    if (!context || !request || request->size_bytes < sizeof *request || !request->model) {
        return error_set(err, TARS_USAGE, "context, request, its size and its model are needed");
    }
    const job_kind *kind = kind_of(request->kind);
    if (!kind) {
        return error_set(err, TARS_USAGE, "request kind %d is unknown", (int)request->kind);
    }
    tars_job *job = calloc(1, sizeof *job);
    if (!job) {
        return job_no_memory(err);
    }
    job->context = context;
    job->request = request;
    job->submitted_ns = platform_clock_ns();
    job->cpu_begin_ns = platform_process_cpu_ns();
    job->finish_reason = "stop";
    if (sink) {
        job->sink = *sink;
    }
    tars_status status = check_request(job, kind, err);
    if (status != TARS_OK) {
        tars_job_destroy(job);
        return status;
    }
    *out = job;
    return TARS_OK;
}

static void fill_result(tars_job *job, tars_result *out) {
    const tars_request *r = job->request;
    *out = (tars_result){
        .size_bytes = sizeof *out,
        .runtime = job->runtime->name,
        .isa = job->isa,
        .n_threads = job->n_threads,
        .prompt_ids = (const int32_t *)job->prompt_ids.bytes,
        .n_prompt_ids = job->prompt_ids.length / sizeof(int32_t),
        .ids = (const int32_t *)job->ids.bytes,
        .n_ids = job->ids.length / sizeof(int32_t),
        .pieces = (const tars_text_view *)job->pieces.bytes,
        .text = job->text.bytes ? (const char *)job->text.bytes : "",
        .text_length = job->text.length,
        .finish_reason = job->finish_reason,
        .seed = job->sampler.seed,
        .context = job->n_context,
        .kv_type = job->kv_type == KV_F32 ? "f32" : "f16",
        .digests = (const uint8_t(*)[32])job->digests.bytes,
        .n_digests = job->digests.length / 32,
        .logits = job->logits,
        .n_logits = job->logits ? r->model->pack.hparams->n_vocab : 0,
        .embeddings = (const float *)job->vectors.bytes,
        .n_embd = r->model->pack.hparams->n_embd,
        .perplexity = job->perplexity,
        .tokens_scored = job->tokens_scored,
        .windows = job->windows,
        .route_reason = r->policy.runtime && strcmp(r->policy.runtime, "auto") != 0 ? "asked for"
                        : job_in_guest(job) ? "the isolation asked for"
                                            : "the fastest, and no isolation was asked for",
        .usage = job->usage,
    };
    out->n_embeddings = job->vectors.length / (out->n_embd * sizeof(float));
    memcpy(out->logits_hash, job->logits_hash, sizeof out->logits_hash);
}

tars_status tars_job_wait(tars_job *job, tars_result *result, tars_error *err) {
    tars_error own_error;
    err = err ? err : &own_error; /* below, err is never NULL */
    const job_kind *kind = kind_of(job->request->kind);
    tars_status status = job_check(job, err);
    if (status == TARS_OK && kind) { /* tars_submit checked the kind */
        status = kind->run(job, err);
    }
    job->usage.wall_ms = (double)(platform_clock_ns() - job->submitted_ns) / 1e6;
    job->usage.cpu_ms = (double)(platform_process_cpu_ns() - job->cpu_begin_ns) / 1e6;
    job->usage.bytes_out = job->text.length;
    if (status == TARS_CANCELLED) {
        job->finish_reason = "cancelled";
    }
    if (result && (status == TARS_OK || status == TARS_CANCELLED)) {
        fill_result(job, result);
    }
    return status;
}

void tars_job_cancel(tars_job *job) {
    atomic_store_explicit(&job->cancelled, 1, memory_order_relaxed);
}

void tars_job_destroy(tars_job *job) {
    if (!job) {
        return;
    }
    job_list *lists[] = {&job->prompt_ids, &job->ids,         &job->text,   &job->digests,
                         &job->pieces,     &job->piece_bytes, &job->vectors};
    for (size_t i = 0; i < sizeof lists / sizeof lists[0]; i++) {
        free(lists[i]->bytes);
    }
    free(job->logits);
    free(job);
}

tars_status tars_estimate(tars_context *context, const tars_request *request,
                          uint64_t *private_bytes, tars_error *err) {
    tars_error own_error;
    err = err ? err : &own_error; /* below, err is never NULL */
    tars_job *job = NULL;
    tars_status status = tars_submit(context, request, NULL, &job, err);
    if (!job) {
        return status;
    }
    size_t n_prompt = 0;
    if (request->model->pack.hparams->causal) {
        status = job_tokenize(job, err);
        n_prompt = job->prompt_ids.length / sizeof(int32_t);
    }
    if (status == TARS_OK) {
        *private_bytes = job_estimate_bytes(job, n_prompt);
    }
    tars_job_destroy(job);
    return status;
}
