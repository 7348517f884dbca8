/* Generation and replay: a request made for the runtime that the job chose, and its answer taken.
 */
#include "api/answer.h"

#include "api/serve.h"
#include "base/utf8.h"
#include "engine/stop_text.h"

#include <stdlib.h>
#include <string.h>

typedef struct answer {
    tars_job *job;
    guest_answer_request request;
    guest_answer told;
    job_list stops;                   /* each with a NUL behind it */
    uint64_t first_token_ns, last_ns; /* of the first token, of the last one or its text */
} answer;

/* ---- what the runtime tells ------------------------------------------------------------ */

static tars_status check(void *user, tars_error *err) {
    return job_check(((answer *)user)->job, err);
}

static void take_progress(void *user, uint64_t done, uint64_t total) {
    tars_job *job = ((answer *)user)->job;
    if (job->sink.progress && !job->sink.progress(job->sink.user, "prompt", done, total)) {
        tars_job_cancel(job);
    }
}

static tars_status take_logits(void *user, const float *logits, tars_error *err) {
    tars_job *job = ((answer *)user)->job;
    size_t bytes = job->request->model->pack.hparams->n_vocab * sizeof(float);
    if (!job->logits) {
        job->logits = malloc(bytes);
    }
    if (!job->logits) {
        return job_no_memory(err);
    }
    memcpy(job->logits, logits, bytes);
    return TARS_OK;
}

static tars_status take_token(void *user, int32_t id, const uint8_t *digest, tars_error *err) {
    answer *a = user;
    tars_job *job = a->job;
    if (!job_list_add(&job->ids, &id, sizeof id) ||
        (digest && !job_list_add(&job->digests, digest, SHA256_DIGEST_BYTES))) {
        return job_no_memory(err);
    }
    job->usage.completion_tokens++;
    a->last_ns = platform_clock_ns();
    if (job->usage.completion_tokens == 1) {
        a->first_token_ns = a->last_ns;
        job->usage.time_to_first_token_ms = (double)(a->first_token_ns - job->submitted_ns) / 1e6;
    }
    if (job->sink.token && !job->sink.token(job->sink.user, id)) {
        tars_job_cancel(job);
    }
    return TARS_OK;
}

static tars_status take_text(void *user, const char *bytes, size_t length, tars_error *err) {
    answer *a = user;
    tars_job *job = a->job;
    a->last_ns = platform_clock_ns();
    if (!job_list_add(&job->text, bytes, length)) {
        return job_no_memory(err);
    }
    if (job->sink.text && !job->sink.text(job->sink.user, bytes, length)) {
        tars_job_cancel(job);
    }
    return TARS_OK;
}

static void take_result(answer *a, uint64_t begin_ns, uint64_t start_ns) {
    tars_job *job = a->job;
    const wire_result *result = &a->told.client.result;
    uint64_t ready_ns = begin_ns + start_ns;
    uint64_t first_ns = a->first_token_ns > 0 ? a->first_token_ns : platform_clock_ns();
    uint64_t end_ns = a->last_ns > first_ns ? a->last_ns : first_ns;
    job->finish_reason = result->stopped ? "stop" : "length";
    job->usage.start_ms = (double)(ready_ns - job->submitted_ns) / 1e6;
    job->usage.prompt_ms = (double)(first_ns - ready_ns) / 1e6;
    job->usage.decode_ms = (double)(end_ns - first_ns) / 1e6;
    job->usage.hash_ms = (double)a->told.hash_ns / 1e6;
    job->usage.cached_tokens = a->told.n_cached;
    if (result->memory_bytes > job->usage.memory_peak_bytes) { /* tokenizing took some too */
        job->usage.memory_peak_bytes = result->memory_bytes;
    }
    job->isa = a->told.client.isa;
    if (job->request->logits_hash) {
        sha256_context hash = a->told.hash;
        uint8_t digest[SHA256_DIGEST_BYTES];
        sha256_final(&hash, digest);
        sha256_hex(digest, job->logits_hash);
    }
}

/* ---- the request ----------------------------------------------------------------------- */

/* Checks the stop texts and puts them one behind the other. */
static tars_status take_stops(answer *a, tars_error *err) {
    const tars_request *r = a->job->request;
    if (r->n_stops > STOP_TEXT_MAX_COUNT) {
        return error_set(err, TARS_USAGE, "%zu stop texts; %u are possible", r->n_stops,
                         (unsigned)STOP_TEXT_MAX_COUNT);
    }
    for (size_t i = 0; i < r->n_stops; i++) {
        size_t length = strlen(r->stops[i]);
        if (length < 1 || length > STOP_TEXT_MAX_BYTES) {
            return error_set(err, TARS_USAGE, "a stop text of %zu bytes; 1 to %u are possible",
                             length, (unsigned)STOP_TEXT_MAX_BYTES);
        }
        if (!utf8_valid(r->stops[i], length, NULL)) {
            return error_set(err, TARS_MALFORMED, "stop text %zu is not UTF-8", i);
        }
        if (!job_list_add(&a->stops, r->stops[i], length + 1)) {
            return job_no_memory(err);
        }
    }
    return TARS_OK;
}

/* The prompt must leave room for one token at least. */
static tars_status choose_context(tars_job *job, size_t n_prompt, tars_error *err) {
    const tars_request *r = job->request;
    uint32_t trained = r->model->pack.hparams->context_length;
    uint32_t wanted = r->session ? r->session->kept.n_context : r->limits.context;
    if (wanted > trained) {
        error_set(err, TARS_USAGE, "a context of %u tokens; the model was trained for %u", wanted,
                  trained);
        error_hint(err, "use --context %u or less", trained);
        return TARS_USAGE;
    }
    size_t n_answer = r->kind == TARS_REQUEST_REPLAY ? r->n_replay_ids : r->limits.max_tokens;
    if (n_answer == 0) {
        return error_set(err, TARS_USAGE, "at least one token must be allowed (--max-tokens)");
    }
    uint64_t needed = (uint64_t)n_prompt + n_answer;
    uint64_t limit = wanted > 0 ? wanted : trained;
    job->n_context = (uint32_t)(wanted > 0 ? wanted : needed < limit ? needed : limit);
    if (n_prompt >= limit) {
        error_set(err, TARS_CONTEXT_EXCEEDED,
                  "the prompt has %zu tokens, the context holds %llu with the answer", n_prompt,
                  (unsigned long long)limit);
        error_hint(err,
                   wanted > 0 && wanted < trained ? "raise --context (up to %u)"
                                                  : "shorten the prompt (limit %u)",
                   trained);
        return TARS_CONTEXT_EXCEEDED;
    }
    return TARS_OK;
}

static tars_status check_replay(const tars_request *r, tars_error *err) {
    uint32_t n_vocab = r->model->pack.hparams->n_vocab;
    for (size_t i = 0; r->kind == TARS_REQUEST_REPLAY && i < r->n_replay_ids; i++) {
        if (r->replay_ids[i] < 0 || (uint32_t)r->replay_ids[i] >= n_vocab) {
            return error_set(err, TARS_USAGE, "token id %d is outside of the vocabulary of %u",
                             r->replay_ids[i], n_vocab);
        }
    }
    return TARS_OK;
}

/* A session only saves work, which a fresh guest cannot: it computes the whole prompt. */
static tars_status check_guest(const tars_job *job, tars_error *err) {
    const tars_request *r = job->request;
    if (!job_in_guest(job) || (!r->keep_logits && !r->float_activations)) {
        return TARS_OK;
    }
    return error_set(err, TARS_UNSUPPORTED, "runtime %s does not serve %s in this version",
                     job->runtime->name, r->keep_logits ? "keep_logits" : "float_activations");
}

/* Tokens that the request allows and the context has room for, at least 1. */
static uint32_t answer_tokens(const tars_job *job) {
    const tars_request *r = job->request;
    size_t wanted = r->kind == TARS_REQUEST_REPLAY ? r->n_replay_ids : r->limits.max_tokens;
    size_t room = job->n_context - job->prompt_ids.length / sizeof(int32_t); /* > 0 */
    return (uint32_t)(wanted < room ? wanted : room);
}

static void make_request(answer *a) {
    const tars_job *job = a->job;
    const tars_request *r = job->request;
    bool is_replay = r->kind == TARS_REQUEST_REPLAY;
    uint32_t max_tokens = answer_tokens(job);
    a->request = (guest_answer_request){
        .isa = job_guest_isa(job),
        .n_vocab = r->model->pack.hparams->n_vocab,
        .prompt = (const int32_t *)job->prompt_ids.bytes,
        .replay = r->replay_ids,
        .stops = (const char *)a->stops.bytes,
        .session = r->session ? &r->session->kept : NULL,
        .float_activations = r->float_activations,
        .wire = {.kind = is_replay ? WIRE_REPLAY : WIRE_GENERATE,
                 .max_tokens = max_tokens,
                 .n_context = job->n_context,
                 .batch = (uint32_t)job_decoder_settings(job, job->n_context).max_tokens,
                 .temperature = job->sampler.temperature,
                 .top_k = job->sampler.top_k,
                 .top_p = job->sampler.top_p,
                 .min_p = job->sampler.min_p,
                 .repeat_penalty = job->sampler.repeat_penalty,
                 .kv_type = (uint32_t)job->kv_type,
                 .seed = job->sampler.seed,
                 .logits_hash = r->logits_hash,
                 .n_prompt = (uint32_t)(job->prompt_ids.length / sizeof(int32_t)),
                 .n_replay = is_replay ? max_tokens : 0,
                 .n_stops = (uint32_t)r->n_stops,
                 .stop_bytes = a->stops.length}};
    guest_answer_sink sink = {.user = a,
                              .token = take_token,
                              .logits = r->keep_logits ? take_logits : NULL,
                              .text = take_text,
                              .progress = take_progress,
                              .check = check};
    guest_answer_init(&a->told, &a->request, &sink);
}

/* ---- serving --------------------------------------------------------------------------- */

decoder_settings job_decoder_settings(const tars_job *job, size_t n_context) {
    const tars_request *r = job->request;
    bool in_guest = job_in_guest(job); /* a cache of its own whatever the session */
    size_t batch = r->batch_size > 0 ? r->batch_size : DECODER_DEFAULT_BATCH;
    batch = !in_guest || batch < WIRE_MAX_BATCH ? batch : WIRE_MAX_BATCH;
    return (decoder_settings){.mapping = &r->model->mapping,
                              .engine = &r->model->engine,
                              .kernels = job->kernels,
                              .session = r->session && !in_guest ? &r->session->kept : NULL,
                              .n_context = n_context,
                              .max_tokens = batch < n_context ? batch : n_context,
                              .max_outputs = 1,
                              .kv_type = job->kv_type,
                              .n_threads = job_threads(job),
                              .float_activations = r->float_activations};
}

/* What a guest needs besides the buffers of the forward pass. */
static uint64_t guest_state_bytes(const tars_job *job, size_t n_context) {
    /* data, stack, rings, table of layers, stop texts; then prompt, replay and answer, candidates
     */
    enum { FIXED_BYTES = 4 << 20 };
    return FIXED_BYTES + 3 * (uint64_t)n_context * sizeof(int32_t) +
           (uint64_t)job->request->model->pack.hparams->n_vocab * sizeof(sampler_candidate);
}

/* Private memory for a context of so many tokens: addresses are smaller in a guest, so that what
 * native takes is enough for it. 0 when it overflows. */
static uint64_t memory_bytes(const tars_job *job, size_t n_context) {
    decoder_settings settings = job_decoder_settings(job, n_context);
    uint64_t pass = decoder_memory_bytes(&settings);
    return pass > 0 && job_in_guest(job) ? pass + guest_state_bytes(job, n_context) : pass;
}

uint64_t job_estimate_bytes(const tars_job *job, size_t n_prompt) {
    const tars_request *r = job->request;
    uint64_t wanted = r->limits.context;
    if (wanted == 0) {
        wanted = (uint64_t)n_prompt + r->limits.max_tokens;
    }
    uint64_t trained = r->model->pack.hparams->context_length;
    size_t n_context = (size_t)(wanted < trained ? wanted : trained);
    return memory_bytes(job, n_context > 0 ? n_context : 1);
}

static tars_status prepare(answer *a, tars_error *err) {
    tars_job *job = a->job;
    tars_status status = take_stops(a, err);
    if (status == TARS_OK) {
        status = check_replay(job->request, err);
    }
    if (status == TARS_OK) {
        status = choose_context(job, job->prompt_ids.length / sizeof(int32_t), err);
    }
    if (status == TARS_OK) {
        status = check_guest(job, err);
    }
    return status;
}

static tars_status run(answer *a, tars_error *err) {
    tars_job *job = a->job;
    tars_status status = prepare(a, err);
    if (status != TARS_OK) {
        return status;
    }
    uint64_t memory = memory_bytes(job, job->n_context);
    status = job_check_memory(job, memory, err);
    if (status != TARS_OK) {
        return status;
    }
    make_request(a);
    uint64_t begin_ns = platform_clock_ns();
    uint64_t start_ns = 0;
    status = job_serve(job, memory, &a->told.client, &start_ns, err);
    if (status == TARS_OK || status == TARS_CANCELLED) {
        take_result(a, begin_ns, start_ns);
        job->n_threads = job_threads(job);
        tars_status checked = model_api_check(job->request->model, err); /* a cut file voids it */
        status = checked == TARS_OK ? status : checked;
    }
    return status;
}

tars_status job_run_generate(tars_job *job, tars_error *err) {
    tars_session *s = job->request->session;
    if (s && atomic_exchange(&s->busy, 1) != 0) {
        return error_set(err, TARS_CONFLICT, "the session serves another request");
    }
    tars_status status = job_tokenize(job, err);
    answer *a = status == TARS_OK ? calloc(1, sizeof *a) : NULL;
    if (a) {
        a->job = job;
        status = run(a, err);
        free(a->stops.bytes);
        free(a);
    } else if (status == TARS_OK) {
        status = job_no_memory(err);
    }
    if (s) {
        atomic_store(&s->busy, 0);
    }
    return status;
}
