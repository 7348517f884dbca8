#include "cli/bench_llm.h"

#include "cli/bench_process.h"
#include "cli/progress.h"
#include "runtime/wasm/run.h"

#include <stdlib.h>
#include <string.h>

enum { MAX_GENERATION_TRIES = 8 };

typedef struct bench {
    client *session;
    const bench_plan *plan;
    tars_model *model;
    tars_model_info info;
    bench_report *report;
    progress progress;
    uint64_t runs_done, runs_total;
    unsigned prompt_tokens, generate_tokens; /* as far as the model's context allows */
    int32_t *ids;                            /* [prompt_tokens] */
    double *samples;                         /* [3][BENCH_MAX_SAMPLES] */
} bench;

void bench_fill_ids(int32_t *ids, size_t count, uint32_t n_vocab, uint64_t state) {
    uint32_t first = n_vocab > 400 ? 100 : 0;
    uint32_t range = n_vocab > 400 ? n_vocab - 200 : n_vocab;
    for (size_t i = 0; i < count; i++) {
        state = (1103515245 * state + 12345) % (1u << 31);
        ids[i] = (int32_t)(first + state % range);
    }
}

tars_request bench_request(tars_model *model, const int32_t *ids, size_t n_ids, unsigned max_tokens,
                           unsigned threads, const char *isa) {
    tars_request request = TARS_REQUEST_DEFAULTS;
    request.kind = TARS_REQUEST_GENERATE;
    request.model = model;
    request.ids = ids;
    request.n_ids = n_ids;
    request.sampling.temperature = 0;
    request.sampling.random_seed = false;
    request.limits.max_tokens = max_tokens;
    request.policy.n_threads = threads;
    request.policy.force_isa = isa;
    return request;
}

/* ---- figures ------------------------------------------------------------------------------- */

static int compare_doubles(const void *a, const void *b) {
    double x = *(const double *)a;
    double y = *(const double *)b;
    return (x > y) - (x < y);
}

/* The sample that `percent` of all samples reach or better, by nearest rank; `sorted` ascends. */
static double reached_by(const double *sorted, unsigned count, unsigned percent,
                         bool more_is_better) {
    unsigned rank = (count * percent + 99) / 100; /* 1 … count */
    return more_is_better ? sorted[count - rank] : sorted[rank - 1];
}

void bench_add_result(bench_report *report, const char *name, const char *unit, double *samples,
                      unsigned count, unsigned threads) {
    if (report->count == BENCH_MAX_RESULTS || count == 0) {
        return;
    }
    bool more_is_better = strcmp(unit, "tokens/s") == 0;
    bench_result *result = &report->results[report->count++];
    qsort(samples, count, sizeof *samples, compare_doubles);
    text_buffer text;
    text_init(&text, result->name, sizeof result->name);
    text_append_string(&text, name);
    result->unit = unit;
    result->samples = count;
    result->threads = threads;
    unsigned middle = count / 2;
    result->median = count % 2 == 1 ? samples[middle] : (samples[middle - 1] + samples[middle]) / 2;
    result->p95 = reached_by(samples, count, 95, more_is_better);
    result->p99 = reached_by(samples, count, 99, more_is_better);
    result->best = more_is_better ? samples[count - 1] : samples[0];
}

tars_status bench_leave_out(bench_report *report, const char *name, const tars_error *why) {
    if (report->n_left_out < BENCH_MAX_LEFT_OUT) {
        bench_left_out *left = &report->left_out[report->n_left_out++];
        text_buffer text;
        text_init(&text, left->name, sizeof left->name);
        text_append_string(&text, name);
        text_init(&text, left->reason, sizeof left->reason);
        text_append_string(&text, why->message);
    }
    return TARS_OK;
}

static tars_status count_run(bench *b, tars_error *err) {
    bool goes_on = progress_update(&b->progress, "bench", ++b->runs_done, b->runs_total);
    return goes_on ? TARS_OK : client_check_interrupt(err);
}

static tars_status one_run(bench *b, const tars_request *request, tars_usage *usage,
                           tars_error *err) {
    tars_job *job = NULL;
    tars_result result;
    tars_status status = client_run(b->session, request, NULL, &job, &result, err);
    if (status == TARS_OK) {
        *usage = result.usage;
        text_buffer isa;
        text_init(&isa, b->report->isa, sizeof b->report->isa);
        text_append_string(&isa, result.isa);
        status = count_run(b, err);
    }
    tars_job_destroy(job);
    return status;
}

static tars_status measure_prompt(bench *b, unsigned threads, tars_error *err) {
    tars_request request =
        bench_request(b->model, b->ids, b->prompt_tokens, 1, threads, b->plan->force_isa);
    request.policy.runtime = b->plan->runtime;
    for (unsigned i = 0; i <= b->plan->count; i++) {
        tars_usage usage;
        tars_status status = one_run(b, &request, &usage, err);
        if (status != TARS_OK) {
            return status;
        }
        if (i > 0) { /* the first run only warms up */
            b->samples[i - 1] = b->prompt_tokens * 1000.0 / usage.prompt_ms;
        }
    }
    char name[sizeof b->report->results[0].name];
    text_buffer text;
    text_init(&text, name, sizeof name);
    text_format(&text, "prompt_%u_tokens_per_second", b->prompt_tokens);
    bench_add_result(b->report, name, "tokens/s", b->samples, b->plan->count, threads);
    return TARS_OK;
}

/* Greedy answers to a short prompt. A prompt whose answer ends early is replaced by the next one of
 * the sequence, so that every sample holds the same number of tokens. */
static tars_status measure_generation(bench *b, unsigned threads, tars_error *err) {
    int32_t ids[BENCH_SHORT_PROMPT_TOKENS];
    tars_request request = bench_request(b->model, ids, BENCH_SHORT_PROMPT_TOKENS,
                                         b->generate_tokens, threads, b->plan->force_isa);
    request.policy.runtime = b->plan->runtime;
    unsigned prompt = 1;
    for (unsigned taken = 0; taken < b->plan->count;) {
        bench_fill_ids(ids, BENCH_SHORT_PROMPT_TOKENS, b->info.n_vocab, prompt);
        tars_usage usage;
        tars_status status = one_run(b, &request, &usage, err);
        if (status != TARS_OK) {
            return status;
        }
        if (usage.completion_tokens == b->generate_tokens) {
            b->samples[taken++] = (b->generate_tokens - 1) * 1000.0 / usage.decode_ms;
        } else if (++prompt > MAX_GENERATION_TRIES) {
            error_set(err, TARS_FAILED, "the model ends its answers before %u tokens",
                      b->generate_tokens);
            return error_hint(err, "use a smaller --generate");
        }
    }
    bench_add_result(b->report, "generation_tokens_per_second", "tokens/s", b->samples,
                     b->plan->count, threads);
    return TARS_OK;
}

/* A process of its own, measured from outside. */
static tars_status measure_start(bench *b, unsigned threads, tars_error *err) {
    double *ready = b->samples;
    double *token = ready + BENCH_MAX_SAMPLES;
    double *memory = token + BENCH_MAX_SAMPLES;
    unsigned n_memory = 0;
    for (unsigned i = 0; i < b->plan->count; i++) {
        bench_process_times times;
        tars_status status = bench_process_run(b->session, b->plan->model, threads,
                                               b->prompt_tokens, b->plan->force_isa, &times, err);
        if (status == TARS_OK) {
            status = count_run(b, err);
        }
        if (status != TARS_OK) {
            return status;
        }
        ready[i] = (double)(times.ready_ns - times.start_ns) / 1e6;
        token[i] = (double)(times.token_ns - times.start_ns) / 1e6;
        if (times.private_bytes > 0) {
            memory[n_memory++] = (double)times.private_bytes;
        }
    }
    bench_add_result(b->report, "first_token_ms", "ms", token, b->plan->count, threads);
    bench_add_result(b->report, "ready_ms", "ms", ready, b->plan->count, threads);
    bench_add_result(b->report, "private_bytes", "bytes", memory, n_memory, threads);
    return TARS_OK;
}

/* ---- all of it ----------------------------------------------------------------------------- */

static unsigned smaller(unsigned wanted, uint64_t limit) {
    return wanted < limit ? wanted : (unsigned)limit;
}

static tars_status fit_context(bench *b, tars_error *err) {
    uint64_t context = b->info.context_length;
    if (b->info.is_encoder || context < BENCH_SHORT_PROMPT_TOKENS + 8) {
        error_set(err, TARS_USAGE, "the model %s does not generate text", b->info.name);
        return error_hint(err, "name a model that does with --model");
    }
    b->prompt_tokens = smaller(b->plan->prompt_tokens, context - 1);
    b->generate_tokens = smaller(b->plan->generate_tokens, context - BENCH_SHORT_PROMPT_TOKENS);
    return TARS_OK;
}

static bool is_wasm(const bench_plan *plan) {
    return plan->runtime && strcmp(plan->runtime, "wasm") == 0;
}

/* Guests start within this process (bench start). */
static bool is_in_guest(const bench_plan *plan) {
    return is_wasm(plan) || (plan->runtime && strcmp(plan->runtime, "microvm") == 0);
}

static tars_status measure_all(bench *b, tars_error *err) {
    tars_status status = fit_context(b, err);
    if (status != TARS_OK) {
        return status;
    }
    b->ids = calloc(b->prompt_tokens, sizeof *b->ids);
    b->samples = calloc(3 * (size_t)BENCH_MAX_SAMPLES, sizeof *b->samples);
    if (!b->ids || !b->samples) {
        return error_set(err, TARS_OUT_OF_MEMORY, "no memory for the samples");
    }
    bench_fill_ids(b->ids, b->prompt_tokens, b->info.n_vocab, 1);
    uint64_t rounds = is_in_guest(b->plan) ? 2 : 3;
    b->runs_total = b->plan->n_threads * (rounds * b->plan->count + 1);
    for (size_t i = 0; i < b->plan->n_threads && status == TARS_OK; i++) {
        unsigned threads = b->plan->threads[i];
        status = measure_prompt(b, threads, err);
        status = status == TARS_OK ? measure_generation(b, threads, err) : status;
        if (status == TARS_OK && !is_in_guest(b->plan)) {
            status = measure_start(b, threads, err);
        }
    }
    return status;
}

tars_status bench_llm(client *session, const bench_plan *plan, bench_report *out, tars_error *err) {
    *out = (bench_report){0};
    wasm_metering metering = {
        .epochs = strcmp(plan->metering, "epochs") == 0 || strcmp(plan->metering, "both") == 0,
        .fuel = strcmp(plan->metering, "fuel") == 0 || strcmp(plan->metering, "both") == 0};
    tars_status status = is_wasm(plan) ? wasm_set_metering(metering, err) : TARS_OK;
    if (status != TARS_OK) {
        return status;
    }
    bench b = {.session = session, .plan = plan, .report = out};
    progress_init(&b.progress, session->cli);
    status = client_open_model(session, plan->model, &b.model, &b.info, err);
    if (status == TARS_OK) {
        status = measure_all(&b, err);
    }
    progress_clear(&b.progress);
    free(b.ids);
    free(b.samples);
    tars_model_close(b.model);
    return status;
}
