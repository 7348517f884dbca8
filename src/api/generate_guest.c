/* An answer in a sandbox: the request over the wire, and what comes back. */
#include "api/answer.h"

#include "base/text.h"
#include "runtime/wasm/run.h"
#include "store/artifacts.h"

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

static guest_client_request guest_request(const answer *a, const job_list *stops) {
    const tars_job *job = a->job;
    const tars_request *r = job->request;
    const tars_model *m = r->model;
    bool is_replay = r->kind == TARS_REQUEST_REPLAY;
    size_t batch = r->batch_size > 0 ? r->batch_size : DECODER_DEFAULT_BATCH;
    batch = batch < WIRE_MAX_BATCH ? batch : WIRE_MAX_BATCH;
    size_t n_prompt = job->prompt_ids.length / sizeof(int32_t);
    guest_client_request out = {.model_bytes = m->pack.size_bytes,
                                .n_vocab = m->pack.hparams->n_vocab,
                                .prompt = (const int32_t *)job->prompt_ids.bytes,
                                .replay = r->replay_ids,
                                .stops = (const char *)stops->bytes};
    out.isa = r->policy.force_isa ? job->isa : NULL;
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
static uint64_t guest_bytes(const tars_job *job, const guest_client_request *r) {
    uint64_t pass = decoder_memory_bytes(job->request->model, job->n_context, job->kv_type,
                                         r->wire.batch, 1, 1, false, false);
    return pass > 0 ? pass + guest_state_bytes(job, job->n_context) : 0;
}

/* Compiled code is kept in the store. What cannot be read or is not as it was written is compiled
 * anew, which is never wrong. What was refused is told to the log later: these run under the
 * engine's lock, and the log's function is the user's. */
typedef struct code_store {
    const tars_context *context;
    char trouble[sizeof(((tars_error *)0)->message)];
} code_store;

static void keep_trouble(code_store *s, const tars_error *err) {
    text_buffer text;
    text_init(&text, s->trouble, sizeof s->trouble);
    text_append_string(&text, err->message);
}

static bool load_artifact(void *user, const uint8_t key[SHA256_DIGEST_BYTES], uint8_t **bytes,
                          size_t *length) {
    code_store *s = user;
    tars_error err = {.status = TARS_OK};
    tars_status status = artifact_load(s->context->home, key, bytes, length, &err);
    if (status != TARS_OK && status != TARS_NOT_FOUND) {
        keep_trouble(s, &err);
    }
    return status == TARS_OK;
}

static void save_artifact(void *user, const uint8_t key[SHA256_DIGEST_BYTES], const void *bytes,
                          size_t length) {
    code_store *s = user;
    tars_error err = {.status = TARS_OK};
    platform_kind kind = PLATFORM_KIND_MISSING;
    (void)platform_path_kind(s->context->home, &kind, NULL, NULL);
    if (kind != PLATFORM_KIND_MISSING && /* an answer makes no store */
        artifact_save(s->context->home, key, bytes, length, &err) != TARS_OK) {
        keep_trouble(s, &err);
    }
}

static void take_result(answer *a, const wasm_outcome *outcome, uint64_t begin_ns) {
    tars_job *job = a->job;
    uint64_t end_ns = platform_clock_ns();
    uint64_t first_ns = a->first_token_ns > 0 ? a->first_token_ns : end_ns;
    uint64_t ready_ns = begin_ns + outcome->start_ns;
    job->finish_reason = outcome->stopped ? "stop" : "length";
    job->usage.start_ms = (double)(ready_ns - job->submitted_ns) / 1e6;
    job->usage.prompt_ms = (double)(first_ns - ready_ns) / 1e6;
    job->usage.decode_ms = (double)(end_ns - first_ns) / 1e6;
    job->usage.memory_peak_bytes = outcome->memory_bytes;
    job->isa = outcome->isa;
    if (job->request->logits_hash) {
        sha256_hex(outcome->logits_hash, job->logits_hash);
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

tars_status answer_in_guest(answer *a, tars_error *err) {
    const tars_request *r = a->job->request;
    job_list stops = {0};
    tars_status status = check_request(r, err);
    if (status == TARS_OK) {
        status = join_stops(a, &stops, err);
    }
    if (status == TARS_OK) {
        guest_client_request request = guest_request(a, &stops);
        guest_client_sink sink = {.user = a,
                                  .token = guest_token,
                                  .text = guest_text,
                                  .progress = guest_progress,
                                  .check = answer_check};
        uint64_t memory = guest_bytes(a->job, &request);
        wasm_outcome outcome = {0};
        code_store store = {.context = a->job->context};
        wasm_artifacts artifacts = {.user = &store, .load = load_artifact, .save = save_artifact};
        uint64_t begin_ns = platform_clock_ns();
        status = decoder_check_memory(a->job, memory, err);
        if (status == TARS_OK) {
            status = wasm_run(&r->model->mapping, (size_t)memory, &request, &sink, &artifacts,
                              &outcome, err);
        }
        if (store.trouble[0] != '\0') {
            context_log(a->job->context, CONTEXT_LOG_WARNING,
                        "the guest was compiled anew, or is not kept: %s", store.trouble);
        }
        if (status == TARS_OK || status == TARS_CANCELLED) {
            take_result(a, &outcome, begin_ns);
            a->job->n_threads = 1;
        }
    }
    free(stops.bytes);
    if (status == TARS_OK || status == TARS_CANCELLED) { /* a cut file makes any result void */
        tars_status checked = model_api_check(r->model, err);
        status = checked == TARS_OK ? status : checked;
    }
    return status;
}
