/* The benchmark of language models. Ownership: results are plain memory with constant texts. */
#ifndef CLI_BENCH_LLM_H
#define CLI_BENCH_LLM_H

#include "cli/client.h"
#include "cli/model_options.h"

enum {
    BENCH_MAX_RESULTS = 96,
    BENCH_MAX_SAMPLES = 1000,
    BENCH_MAX_THREADS = 16,
    BENCH_SHORT_PROMPT_TOKENS = 32,
    BENCH_MAX_LEFT_OUT = 8
};

typedef struct bench_result {
    char name[48];
    const char *unit;
    double median, p95, p99, best; /* p95: what 95 of 100 samples reach or better */
    unsigned samples;
    unsigned threads;
} bench_result;

typedef struct bench_plan {
    const char *model;
    unsigned threads[BENCH_MAX_THREADS];
    size_t n_threads;
    unsigned prompt_tokens, generate_tokens, count;
    const char *force_isa; /* or NULL */
    const char *runtime;   /* or NULL: auto */
    const char *metering;  /* of guests: "epochs", "none", "fuel", "both" */
} bench_plan;

/* What could not be measured here, and why. */
typedef struct bench_left_out {
    char name[48];
    char reason[160];
} bench_left_out;

typedef struct bench_report {
    bench_result results[BENCH_MAX_RESULTS];
    size_t count;
    bench_left_out left_out[BENCH_MAX_LEFT_OUT];
    size_t n_left_out;
    char isa[16]; /* that was used */
} bench_report;

/* Five figures for each number of threads: the long prompt, the answer, the time from exec to ready
 * and to the first token of a 32-token prompt, and private memory. */
tars_status bench_llm(client *session, const bench_plan *plan, bench_report *out, tars_error *err);

/* Ordinary ids from a fixed sequence: the arithmetic is the same for any text. */
void bench_fill_ids(int32_t *ids, size_t count, uint32_t n_vocab, uint64_t state);
/* A greedy request over the ids. */
tars_request bench_request(tars_model *model, const int32_t *ids, size_t n_ids, unsigned max_tokens,
                           unsigned threads, const char *isa);
/* Sorts the samples and adds their figures; the rest when the report is full is left out. */
void bench_add_result(bench_report *report, const char *name, const char *unit, double *samples,
                      unsigned count, unsigned threads);
/* Adds what is not measured, with the error that says why. OK. */
tars_status bench_leave_out(bench_report *report, const char *name, const tars_error *why);

#endif
