/* Perplexity over windows that do not overlap; the second half of each is scored (llama.cpp's
 * method): logits at positions n/2 … n − 2 predict the tokens n/2 + 1 … n − 1. */
#include "api/answer.h"
#include "api/serve.h"

#include "engine/arith.h"

#include <string.h>

/* −log p(target) in double, from f32 logits. */
static double surprise(const float *logits, size_t n_vocab, int32_t target) {
    float largest = logits[0];
    for (size_t i = 1; i < n_vocab; i++) {
        largest = logits[i] > largest ? logits[i] : largest;
    }
    double sum = 0.0;
    for (size_t i = 0; i < n_vocab; i++) {
        sum += (double)arith_exp(logits[i] - largest);
    }
    return arith_log64(sum) - (double)(logits[target] - largest);
}

typedef struct scoring {
    tars_job *job;
    decoder d;
    double total;
} scoring;

static tars_status score_window(scoring *s, const int32_t *ids, size_t n, tars_error *err) {
    size_t n_vocab = s->job->request->model->pack.hparams->n_vocab;
    size_t first = n / 2;
    s->d.cache->length = 0;
    for (size_t at = 0; at < n; at += s->d.max_tokens) {
        size_t count = n - at < s->d.max_tokens ? n - at : s->d.max_tokens;
        bool is_scored = at + count > first;
        tars_status status = job_check(s->job, err);
        if (status == TARS_OK) {
            status = decoder_step(&s->d, ids + at, count, is_scored, err);
        }
        if (status != TARS_OK) {
            return status;
        }
        for (size_t i = 0; i < count && is_scored; i++) {
            size_t position = at + i;
            if (position >= first && position + 1 < n) {
                s->total += surprise(forward_logits(&s->d.pass, i), n_vocab, ids[position + 1]);
                s->job->tokens_scored++;
            }
        }
    }
    s->job->windows++;
    return TARS_OK;
}

static tars_status score_all(scoring *s, size_t window, tars_error *err) {
    tars_job *job = s->job;
    const int32_t *ids = (const int32_t *)job->prompt_ids.bytes;
    size_t n = job->prompt_ids.length / sizeof *ids;
    for (size_t at = 0; at + window <= n; at += window) {
        tars_status status = score_window(s, ids + at, window, err);
        if (status != TARS_OK) {
            return status;
        }
        if (job->sink.progress && !job->sink.progress(job->sink.user, "windows", at + window, n)) {
            tars_job_cancel(job);
        }
    }
    job->perplexity = arith_exp64(s->total / (double)job->tokens_scored);
    return TARS_OK;
}

tars_status job_run_perplexity(tars_job *job, tars_error *err) {
    const tars_request *r = job->request;
    uint32_t trained = r->model->pack.hparams->context_length;
    size_t window = r->limits.context > 0 ? r->limits.context : 512;
    if (window < 4 || window > trained) {
        return error_set(err, TARS_USAGE, "windows of %zu tokens; 4 to %u are possible", window,
                         trained);
    }
    tars_status status = job_tokenize(job, err);
    if (status == TARS_OK && job->prompt_ids.length / sizeof(int32_t) < window) {
        error_set(err, TARS_USAGE, "the text has %zu tokens; a window needs %zu",
                  job->prompt_ids.length / sizeof(int32_t), window);
        error_hint(err, "give a longer text or a smaller --context");
        status = TARS_USAGE;
    }
    if (status != TARS_OK) {
        return status;
    }
    job->n_context = (uint32_t)window;
    scoring s = {.job = job};
    size_t batch = r->batch_size > 0 ? r->batch_size : 64; /* logits of all of them are kept */
    decoder_settings settings = job_decoder_settings(job, window);
    settings.session = NULL;
    settings.max_tokens = settings.max_outputs = batch < window ? batch : window;
    status = job_check_memory(job, decoder_memory_bytes(&settings), err);
    if (status == TARS_OK) {
        status = decoder_open(&s.d, &settings, err);
    }
    if (status == TARS_OK) {
        uint64_t begin = platform_clock_ns();
        status = score_all(&s, window, err);
        job->usage.prompt_ms = (double)(platform_clock_ns() - begin) / 1e6;
        decoder_close(&s.d);
    }
    return status;
}
