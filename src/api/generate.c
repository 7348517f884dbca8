/* Generation and replay: prompt, then token by token. */
#include "api/decoder.h"

#include <stdlib.h>
#include <string.h>

enum { STOP_TEXT_MAX = 1024 };

/* Everything one generation needs besides the job. */
typedef struct generation {
    tars_job *job;
    decoder d;
    tokenizer_stream stream;
    sampler_candidate *candidates;
    sha256_context hash; /* over all h_t */
    size_t shown;        /* bytes of job->text that the sink has seen */
    bool stopped;        /* a stop text was found */
    bool failed;         /* memory ran out while text was added */
} generation;

static double ms_between(uint64_t begin, uint64_t end) {
    return (double)(end - begin) / 1e6;
}

/* Longest suffix of the text that could still become a stop text. */
static size_t held_back(const tars_request *r, const char *text, size_t length) {
    size_t longest = 0;
    for (size_t i = 0; i < r->n_stops; i++) {
        size_t n = strlen(r->stops[i]);
        for (size_t k = n > 0 ? n - 1 : 0; k > longest; k--) {
            if (k <= length && memcmp(text + length - k, r->stops[i], k) == 0) {
                longest = k;
            }
        }
    }
    return longest;
}

/* Offset of the first stop text at or behind `from`, or SIZE_MAX. */
static size_t find_stop(const tars_request *r, const char *text, size_t length, size_t from) {
    size_t first = SIZE_MAX;
    for (size_t i = 0; i < r->n_stops; i++) {
        size_t n = strlen(r->stops[i]);
        for (size_t at = from; n > 0 && at + n <= length && at < first; at++) {
            if (memcmp(text + at, r->stops[i], n) == 0) {
                first = at;
            }
        }
    }
    return first;
}

static void show_up_to(generation *g, size_t end) {
    tars_job *job = g->job;
    if (end > g->shown && job->sink.text &&
        !job->sink.text(job->sink.user, (const char *)job->text.bytes + g->shown, end - g->shown)) {
        tars_job_cancel(job);
    }
    g->shown = end > g->shown ? end : g->shown;
}

/* Receives decoded text, looks for stop texts and shows what can no longer be part of one. */
static bool add_text(void *context, const char *bytes, size_t length) {
    generation *g = context;
    tars_job *job = g->job;
    const tars_request *r = job->request;
    size_t before = job->text.length;
    if (g->stopped || !job_list_add(&job->text, bytes, length)) {
        g->failed = !g->stopped;
        return !g->failed;
    }
    const char *text = (const char *)job->text.bytes;
    size_t from = before > STOP_TEXT_MAX ? before - STOP_TEXT_MAX : 0;
    size_t stop = find_stop(r, text, job->text.length, from);
    if (stop != SIZE_MAX) {
        job->text.length = stop;
        job->text.bytes[stop] = '\0';
        g->stopped = true;
        show_up_to(g, stop);
        return true;
    }
    show_up_to(g, job->text.length - held_back(r, text, job->text.length));
    return true;
}

/* What is still held back when the answer ends without a stop text. */
static void show_rest(generation *g) {
    if (!g->stopped) {
        (void)tokenizer_stream_finish(&g->stream, add_text, g);
        show_up_to(g, g->job->text.length);
    }
}

/* h_t of the logits, kept and added to the running hash. */
static tars_status hash_logits(generation *g, const float *logits, tars_error *err) {
    tars_job *job = g->job;
    if (!job->request->logits_hash) {
        return TARS_OK;
    }
    uint64_t begin = platform_clock_ns();
    uint8_t digest[SHA256_DIGEST_BYTES];
    sha256(logits, job->request->model->pack.hparams->n_vocab * sizeof(float), digest);
    sha256_update(&g->hash, digest, sizeof digest);
    job->usage.hash_ms += ms_between(begin, platform_clock_ns());
    return job_list_add(&job->digests, digest, sizeof digest) ? TARS_OK : job_no_memory(err);
}

static tars_status keep_logits(generation *g, const float *logits, tars_error *err) {
    if (!g->job->request->keep_logits) {
        return TARS_OK;
    }
    size_t bytes = g->job->request->model->pack.hparams->n_vocab * sizeof(float);
    if (!g->job->logits) {
        g->job->logits = malloc(bytes);
    }
    if (!g->job->logits) {
        return job_no_memory(err);
    }
    memcpy(g->job->logits, logits, bytes);
    return TARS_OK;
}

/* Tokens before the next one, for the repeat penalty: the end of prompt and answer. */
static size_t recent_tokens(const tars_job *job, int32_t *recent) {
    const int32_t *prompt = (const int32_t *)job->prompt_ids.bytes;
    const int32_t *answer = (const int32_t *)job->ids.bytes;
    size_t n_prompt = job->prompt_ids.length / sizeof *prompt;
    size_t n_all = n_prompt + job->ids.length / sizeof *answer;
    size_t n = n_all < SAMPLER_PENALTY_WINDOW ? n_all : SAMPLER_PENALTY_WINDOW;
    for (size_t i = 0; i < n; i++) {
        size_t at = n_all - n + i;
        recent[i] = at < n_prompt ? prompt[at] : answer[at - n_prompt];
    }
    return n;
}

static int32_t choose(generation *g, const float *logits) {
    tars_job *job = g->job;
    const tars_request *r = job->request;
    size_t index = job->ids.length / sizeof(int32_t);
    if (r->kind == TARS_REQUEST_REPLAY) {
        return r->replay_ids[index];
    }
    int32_t recent[SAMPLER_PENALTY_WINDOW];
    size_t n = recent_tokens(job, recent);
    return sampler_choose(&job->sampler, logits, r->model->pack.hparams->n_vocab, recent, n,
                          job->prompt_ids.length / sizeof(int32_t) + index, 0, g->candidates);
}

/* Samples one token from the last pass. *done is set when the answer ends with it. */
static tars_status next_token(generation *g, int32_t *id, bool *done, tars_error *err) {
    tars_job *job = g->job;
    const tars_request *r = job->request;
    const float *logits = forward_logits(&g->d.pass, 0);
    tars_status status = hash_logits(g, logits, err);
    if (status == TARS_OK) {
        status = keep_logits(g, logits, err);
    }
    if (status != TARS_OK) {
        return status;
    }
    *id = choose(g, logits);
    if (!job_list_add(&job->ids, id, sizeof *id)) {
        return job_no_memory(err);
    }
    job->usage.completion_tokens++;
    if (job->usage.completion_tokens == 1) {
        job->usage.time_to_first_token_ms = ms_between(job->submitted_ns, platform_clock_ns());
    }
    if (job->sink.token && !job->sink.token(job->sink.user, *id)) {
        tars_job_cancel(job);
    }
    bool is_end = tokenizer_is_end(&r->model->tokenizer, *id);
    if (!is_end && !tokenizer_stream_push(&g->stream, *id, add_text, g)) {
        return job_no_memory(err);
    }
    size_t n = job->ids.length / sizeof(int32_t);
    size_t n_all = n + job->prompt_ids.length / sizeof(int32_t);
    bool is_replay = r->kind == TARS_REQUEST_REPLAY;
    bool is_full =
        n >= (is_replay ? r->n_replay_ids : r->limits.max_tokens) || n_all >= job->n_context;
    *done = (is_end && !is_replay) || g->stopped || is_full;
    job->finish_reason = is_end || g->stopped ? "stop" : "length";
    return status;
}

static tars_status decode(generation *g, tars_error *err) {
    bool done = false;
    for (;;) {
        int32_t id = 0;
        tars_status status = next_token(g, &id, &done, err);
        if (status == TARS_OK) {
            status = job_check(g->job, err);
        }
        if (status != TARS_OK || done) {
            return status;
        }
        status = decoder_step(&g->d, &id, 1, false, err);
        if (status != TARS_OK) {
            return status;
        }
    }
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
static size_t reuse(generation *g, const int32_t *ids, size_t n) {
    tars_session *s = g->d.session;
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

static tars_status run(generation *g, tars_error *err) {
    tars_job *job = g->job;
    const int32_t *ids = (const int32_t *)job->prompt_ids.bytes;
    size_t n = job->prompt_ids.length / sizeof *ids;
    tars_status status = choose_context(job, n, err);
    if (status == TARS_OK) {
        status = decoder_open(&g->d, job, job->n_context, 1, err);
    }
    if (status != TARS_OK) {
        return status;
    }
    job->usage.memory_peak_bytes = g->d.buffers_bytes + g->d.cache_bytes;
    g->candidates = malloc(job->request->model->pack.hparams->n_vocab * sizeof *g->candidates);
    if (!g->candidates) {
        return job_no_memory(err);
    }
    tokenizer_stream_init(&g->stream, &job->request->model->tokenizer, 0);
    sha256_init(&g->hash);
    size_t cached = reuse(g, ids, n);
    job->usage.cached_tokens = cached;
    uint64_t begin = platform_clock_ns();
    job->usage.start_ms = ms_between(job->submitted_ns, begin);
    status = decoder_prompt(&g->d, job, ids + cached, n - cached, err);
    uint64_t prompt_done = platform_clock_ns();
    job->usage.prompt_ms = ms_between(begin, prompt_done);
    if (status == TARS_OK) {
        status = decode(g, err);
        job->usage.decode_ms = ms_between(prompt_done, platform_clock_ns());
    }
    if (status == TARS_OK || status == TARS_CANCELLED) {
        show_rest(g);
        if (g->failed) {
            status = job_no_memory(err);
        }
        uint8_t digest[SHA256_DIGEST_BYTES];
        sha256_final(&g->hash, digest);
        if (job->request->logits_hash) {
            sha256_hex(digest, job->logits_hash);
        }
    }
    return status;
}

tars_status job_run_generate(tars_job *job, tars_error *err) {
    tars_session *s = job->request->session;
    if (s && atomic_exchange(&s->busy, 1) != 0) {
        return error_set(err, TARS_CONFLICT, "the session serves another request");
    }
    tars_status status = job_tokenize(job, err);
    if (status == TARS_OK) {
        generation g = {.job = job};
        status = run(&g, err);
        decoder_close(&g.d);
        free(g.candidates);
    }
    if (s) {
        atomic_store(&s->busy, 0);
    }
    return status;
}
