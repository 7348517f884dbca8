/* An answer in a sandbox: the request over the wire, and what comes back. */
#include "api/answer.h"

#include "api/guest.h"
#include "runtime/guest_answer.h"

#include <stdlib.h>
#include <string.h>

static tars_status guest_token(void *user, int32_t id, const uint8_t *digest, tars_error *err) {
    answer *a = user;
    if (a->job->usage.completion_tokens == 0) {
        a->first_token_ns = platform_clock_ns();
    }
    return answer_take_token(user, id, NULL, digest, err);
}

static tars_status guest_text(void *user, const char *bytes, size_t length, tars_error *err) {
    return answer_take_text(user, bytes, length) ? TARS_OK : job_no_memory(err);
}

static void guest_progress(void *user, uint64_t done, uint64_t total) {
    answer_progress(user, (size_t)done, (size_t)total);
}

/* Every stop text with a NUL behind it. */
static tars_status join_stops(const answer *a, job_list *out, tars_error *err) {
    for (size_t i = 0; i < a->job->request->n_stops; i++) {
        if (!job_list_add(out, a->stops[i].bytes, a->stops[i].length + 1)) {
            return job_no_memory(err);
        }
    }
    return TARS_OK;
}

static guest_answer_request guest_request(const answer *a, const job_list *stops) {
    const tars_job *job = a->job;
    const tars_request *r = job->request;
    const tars_model *m = r->model;
    bool is_replay = r->kind == TARS_REQUEST_REPLAY;
    size_t batch = r->batch_size > 0 ? r->batch_size : DECODER_DEFAULT_BATCH;
    batch = batch < WIRE_MAX_BATCH ? batch : WIRE_MAX_BATCH;
    size_t n_prompt = job->prompt_ids.length / sizeof(int32_t);
    guest_answer_request out = {.n_vocab = m->pack.hparams->n_vocab,
                                .prompt = (const int32_t *)job->prompt_ids.bytes,
                                .replay = r->replay_ids,
                                .stops = (const char *)stops->bytes};
    out.isa = job_guest_isa(job);
    out.wire = (wire_request){.kind = is_replay ? WIRE_REPLAY : WIRE_GENERATE,
                              .max_tokens = (uint32_t)answer_tokens(job),
                              .n_context = job->n_context,
                              .batch = (uint32_t)(batch < job->n_context ? batch : job->n_context),
                              .temperature = job->sampler.temperature,
                              .top_k = job->sampler.top_k,
                              .top_p = job->sampler.top_p,
                              .min_p = job->sampler.min_p,
                              .repeat_penalty = job->sampler.repeat_penalty,
                              .kv_type = (uint32_t)job->kv_type,
                              .seed = job->sampler.seed,
                              .logits_hash = r->logits_hash,
                              .n_prompt = (uint32_t)n_prompt,
                              .n_replay = is_replay ? (uint32_t)answer_tokens(job) : 0,
                              .n_stops = (uint32_t)r->n_stops,
                              .stop_bytes = stops->length};
    return out;
}

uint64_t guest_state_bytes(const tars_job *job, size_t n_context) {
    /* data, stack, rings, table of layers, stop texts; then prompt, replay and answer, candidates
     */
    enum { FIXED_BYTES = 4 << 20 };
    return FIXED_BYTES + 3 * (uint64_t)n_context * sizeof(int32_t) +
           (uint64_t)job->request->model->pack.hparams->n_vocab * sizeof(sampler_candidate);
}

/* Private memory of the guest: as much as native takes (addresses are smaller there), and its
 * own state; 0 when it cannot be counted. */
static uint64_t guest_bytes(const tars_job *job, const guest_answer_request *r) {
    uint64_t pass = decoder_memory_bytes(job->request->model, job->n_context, job->kv_type,
                                         r->wire.batch, 1, 1, false, false);
    return pass > 0 ? pass + guest_state_bytes(job, job->n_context) : 0;
}

static void take_result(answer *a, const guest_answer *told, uint64_t begin_ns, uint64_t start_ns) {
    tars_job *job = a->job;
    const wire_result *result = &told->client.result;
    uint64_t end_ns = platform_clock_ns();
    uint64_t first_ns = a->first_token_ns > 0 ? a->first_token_ns : end_ns;
    uint64_t ready_ns = begin_ns + start_ns;
    job->finish_reason = result->stopped ? "stop" : "length";
    job->usage.start_ms = (double)(ready_ns - job->submitted_ns) / 1e6;
    job->usage.prompt_ms = (double)(first_ns - ready_ns) / 1e6;
    job->usage.decode_ms = (double)(end_ns - first_ns) / 1e6;
    job->usage.memory_peak_bytes = result->memory_bytes;
    job->isa = told->client.isa;
    job->n_threads = 1;
    if (job->request->logits_hash) {
        sha256_context hash = told->hash;
        uint8_t digest[SHA256_DIGEST_BYTES];
        sha256_final(&hash, digest);
        sha256_hex(digest, job->logits_hash);
    }
}

/* A session only saves work, which a fresh guest cannot: it computes the whole prompt. */
static tars_status check_request(const tars_request *r, tars_error *err) {
    if (!r->keep_logits && !r->float_activations) {
        return TARS_OK;
    }
    return error_set(err, TARS_UNSUPPORTED, "runtime wasm does not serve %s in this version",
                     r->keep_logits ? "keep_logits" : "float_activations");
}

static tars_status run(answer *a, const guest_answer_request *request, tars_error *err) {
    guest_answer_sink sink = {.user = a,
                              .token = guest_token,
                              .text = guest_text,
                              .progress = guest_progress,
                              .check = answer_check};
    uint64_t memory = guest_bytes(a->job, request);
    guest_answer *told = malloc(sizeof *told);
    if (!told) {
        return job_no_memory(err);
    }
    tars_status status = decoder_check_memory(a->job, memory, err);
    if (status == TARS_OK) {
        uint64_t begin_ns = platform_clock_ns();
        uint64_t start_ns = 0;
        guest_answer_init(told, request, &sink);
        status = guest_run(a->job, memory, &told->client, &start_ns, err);
        if (status == TARS_OK || status == TARS_CANCELLED) {
            take_result(a, told, begin_ns, start_ns);
        }
    }
    free(told);
    return status;
}

tars_status answer_in_guest(answer *a, tars_error *err) {
    job_list stops = {0};
    tars_status status = check_request(a->job->request, err);
    if (status == TARS_OK) {
        status = join_stops(a, &stops, err);
    }
    if (status == TARS_OK) {
        guest_answer_request request = guest_request(a, &stops);
        status = run(a, &request, err);
    }
    free(stops.bytes);
    if (status == TARS_OK || status == TARS_CANCELLED) { /* a cut file makes any result void */
        tars_status checked = model_api_check(a->job->request->model, err);
        status = checked == TARS_OK ? status : checked;
    }
    return status;
}
