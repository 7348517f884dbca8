/* Generation and replay: a request made into a generation of the engine, and its answer taken. */
#include "api/answer.h"

#include "base/utf8.h"

#include <stdlib.h>
#include <string.h>

static double ms_between(uint64_t begin, uint64_t end) {
    return (double)(end - begin) / 1e6;
}

/* ---- what the generation asks for ------------------------------------------------------ */

static tars_status compute(void *user, const int32_t *ids, size_t n, tars_error *err) {
    answer *a = user;
    return decoder_step(&a->d, ids, n, false, err);
}

tars_status answer_check(void *user, tars_error *err) {
    answer *a = user;
    return a->out_of_memory ? job_no_memory(err) : job_check(a->job, err);
}

void answer_progress(void *user, size_t done, size_t total) {
    tars_job *job = ((answer *)user)->job;
    if (job->sink.progress && !job->sink.progress(job->sink.user, "prompt", done, total)) {
        tars_job_cancel(job);
    }
}

static tars_status keep_logits(tars_job *job, const float *logits, tars_error *err) {
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

tars_status answer_take_token(void *user, int32_t id, const float *logits, const uint8_t *digest,
                              tars_error *err) {
    tars_job *job = ((answer *)user)->job;
    if (!job_list_add(&job->ids, &id, sizeof id) ||
        (digest && !job_list_add(&job->digests, digest, SHA256_DIGEST_BYTES))) {
        return job_no_memory(err);
    }
    if (logits && job->request->keep_logits && keep_logits(job, logits, err) != TARS_OK) {
        return TARS_OUT_OF_MEMORY;
    }
    job->usage.completion_tokens++;
    if (job->usage.completion_tokens == 1) {
        job->usage.time_to_first_token_ms = ms_between(job->submitted_ns, platform_clock_ns());
    }
    if (job->sink.token && !job->sink.token(job->sink.user, id)) {
        tars_job_cancel(job);
    }
    return TARS_OK;
}

bool answer_take_text(void *user, const char *bytes, size_t length) {
    answer *a = user;
    tars_job *job = a->job;
    if (!job_list_add(&job->text, bytes, length)) {
        a->out_of_memory = true;
        return false;
    }
    if (job->sink.text && !job->sink.text(job->sink.user, bytes, length)) {
        tars_job_cancel(job);
    }
    return true;
}

/* ---- the request ----------------------------------------------------------------------- */

static tars_status check_stops(answer *a, tars_error *err) {
    const tars_request *r = a->job->request;
    if (r->n_stops > STOP_TEXT_MAX_COUNT) {
        return error_set(err, TARS_USAGE, "%zu stop texts; %u are possible", r->n_stops,
                         (unsigned)STOP_TEXT_MAX_COUNT);
    }
    for (size_t i = 0; i < r->n_stops; i++) {
        a->stops[i] = (tokenizer_text){r->stops[i], strlen(r->stops[i])};
        if (a->stops[i].length < 1 || a->stops[i].length > STOP_TEXT_MAX_BYTES) {
            return error_set(err, TARS_USAGE, "a stop text of %zu bytes; 1 to %u are possible",
                             a->stops[i].length, (unsigned)STOP_TEXT_MAX_BYTES);
        }
        if (!utf8_valid(r->stops[i], a->stops[i].length, NULL)) {
            return error_set(err, TARS_MALFORMED, "stop text %zu is not UTF-8", i);
        }
    }
    return TARS_OK;
}

/* The prompt must leave room for one token at least. */
static tars_status choose_context(tars_job *job, size_t n_prompt, tars_error *err) {
    const tars_request *r = job->request;
    uint32_t trained = r->model->pack.hparams->context_length;
    uint32_t wanted = r->session ? r->session->n_context : r->limits.context;
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

/* How much of the prompt the session's cache already holds; the last token is always computed
 * again, since its logits are needed. */
static size_t reuse(tars_session *s, const int32_t *ids, size_t n) {
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

size_t answer_tokens(const tars_job *job) {
    const tars_request *r = job->request;
    size_t wanted = r->kind == TARS_REQUEST_REPLAY ? r->n_replay_ids : r->limits.max_tokens;
    size_t room = job->n_context - job->prompt_ids.length / sizeof(int32_t); /* > 0 */
    return wanted < room ? wanted : room;
}

static tars_status set_up(answer *a, tars_error *err) {
    tars_job *job = a->job;
    const tars_request *r = job->request;
    size_t n_prompt = job->prompt_ids.length / sizeof(int32_t);
    size_t max_tokens = answer_tokens(job);
    a->ids = calloc(max_tokens, sizeof *a->ids);
    a->candidates = malloc(r->model->pack.hparams->n_vocab * sizeof *a->candidates);
    if (!a->ids || !a->candidates) {
        return job_no_memory(err);
    }
    generation_settings settings = {
        .tokenizer = &r->model->tokenizer,
        .pass = &a->d.pass,
        .sampler = job->sampler,
        .prompt = (const int32_t *)job->prompt_ids.bytes,
        .n_prompt = n_prompt,
        .replay = r->kind == TARS_REQUEST_REPLAY ? r->replay_ids : NULL,
        .max_tokens = max_tokens,
        .n_context = job->n_context,
        .batch = a->d.max_tokens,
        .stops = a->stops,
        .n_stops = r->n_stops,
        .logits_hash = r->logits_hash,
        .ids = a->ids,
        .candidates = a->candidates,
    };
    generation_hooks hooks = {.user = a,
                              .compute = compute,
                              .check = answer_check,
                              .progress = answer_progress,
                              .token = answer_take_token,
                              .text = answer_take_text,
                              .clock_ns = platform_clock_ns};
    generation_init(&a->generation, &settings, &hooks);
    return TARS_OK;
}

/* Shows what was held back, also of a cancelled answer. */
static tars_status finish(answer *a, tars_status status, tars_error *err) {
    tars_job *job = a->job;
    uint8_t digest[SHA256_DIGEST_BYTES];
    generation_finish(&a->generation, digest);
    job->finish_reason = generation_finish_reason(&a->generation);
    if (job->request->logits_hash) {
        sha256_hex(digest, job->logits_hash);
    }
    return a->out_of_memory ? job_no_memory(err) : status;
}

static tars_status run_here(answer *a, tars_error *err) {
    tars_job *job = a->job;
    size_t n_prompt = job->prompt_ids.length / sizeof(int32_t);
    tars_status status = decoder_open(&a->d, job, job->n_context, 1, err);
    if (status == TARS_OK) {
        job->usage.memory_peak_bytes = a->d.buffers_bytes + a->d.cache_bytes;
        status = set_up(a, err);
    }
    if (status != TARS_OK) {
        return status;
    }
    size_t cached = reuse(a->d.session, (const int32_t *)job->prompt_ids.bytes, n_prompt);
    job->usage.cached_tokens = cached;
    uint64_t begin = platform_clock_ns();
    job->usage.start_ms = ms_between(job->submitted_ns, begin);
    status = generation_prompt(&a->generation, cached, err);
    uint64_t prompt_done = platform_clock_ns();
    job->usage.prompt_ms = ms_between(begin, prompt_done);
    if (status == TARS_OK) {
        status = generation_answer(&a->generation, err);
        job->usage.decode_ms = ms_between(prompt_done, platform_clock_ns());
        job->usage.hash_ms = (double)a->generation.hash_ns / 1e6;
    }
    return status == TARS_OK || status == TARS_CANCELLED ? finish(a, status, err) : status;
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

static tars_status run(answer *a, tars_error *err) {
    tars_status status = check_stops(a, err);
    if (status == TARS_OK) {
        status = check_replay(a->job->request, err);
    }
    if (status == TARS_OK) {
        status = choose_context(a->job, a->job->prompt_ids.length / sizeof(int32_t), err);
    }
    if (status != TARS_OK) {
        return status;
    }
    return job_in_guest(a->job) ? answer_in_guest(a, err) : run_here(a, err);
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
        decoder_close(&a->d);
        free(a->candidates);
        free(a->ids);
        free(a);
    } else if (status == TARS_OK) {
        status = job_no_memory(err);
    }
    if (s) {
        atomic_store(&s->busy, 0);
    }
    return status;
}
