#include "cli/bench_start.h"

#include "api/model_api.h"
#include "cli/bench_engines.h"
#include "cli/bench_programs.h"
#include "cli/progress.h"
#include "runtime/wasm/run.h"

#include <stdlib.h>
#include <string.h>

enum {
    ARENA_BYTES = 16 << 20, /* what a short answer takes */
    N_AT_ONCE = 50,
    PROMPT_TOKENS = 8,
    ANSWER_TOKENS = 2
};

static tars_status measure_engine(client *session, const bench_plan *plan, const tars_model *m,
                                  bench_report *out, tars_error *err) {
    double *samples = calloc(BENCH_MAX_SAMPLES, sizeof *samples);
    if (!samples) {
        return error_set(err, TARS_OUT_OF_MEMORY, "no memory for the samples");
    }
    tars_status status = TARS_OK;
    progress shown;
    progress_init(&shown, session->cli);
    for (unsigned i = 0; i <= plan->count && status == TARS_OK; i++) {
        uint64_t start_ns = 0;
        status = wasm_start(&m->mapping, ARENA_BYTES, NULL, &start_ns, err);
        if (i > 0) { /* the first one compiles, and warms up */
            samples[i - 1] = (double)start_ns / 1e3;
        }
        if (status == TARS_OK && !progress_update(&shown, "bench", i, plan->count)) {
            status = client_check_interrupt(err);
        }
    }
    progress_clear(&shown);
    if (status == TARS_OK) {
        bench_add_result(out, "wasm_engine_start_us", "us", samples, plan->count, 1);
    }
    free(samples);
    return status;
}

/* ---- many at once ------------------------------------------------------------------------ */

typedef struct crowd {
    client *session;
    tars_model *model;
    const int32_t *ids;
    atomic_uint n_waiting; /* that have told their first token, or failed */
    atomic_uint n_failed;
    atomic_uint is_open; /* gate: they may go on */
} crowd;

/* Holds an engine where it is until all others have come as far. */
static bool hold(void *user, int32_t id) {
    crowd *c = user;
    (void)id;
    if (!atomic_load(&c->is_open)) {
        atomic_fetch_add(&c->n_waiting, 1);
        while (!atomic_load(&c->is_open)) {
            (void)platform_gate_wait(&c->is_open, 0, PLATFORM_FOREVER);
        }
    }
    return true;
}

static void answer_in_crowd(void *argument) {
    crowd *c = argument;
    tars_request request = bench_request(c->model, c->ids, PROMPT_TOKENS, ANSWER_TOKENS, 1, NULL);
    request.policy.runtime = "wasm";
    tars_sink sink = {.user = c, .token = hold};
    tars_result result = {.size_bytes = sizeof result};
    tars_job *job = NULL;
    tars_error err;
    if (tars_submit(c->session->context, &request, &sink, &job, &err) != TARS_OK ||
        tars_job_wait(job, &result, &err) != TARS_OK) {
        atomic_fetch_add(&c->n_failed, 1);
    }
    atomic_fetch_add(&c->n_waiting, 1); /* also one that told no token: nobody waits for it */
    tars_job_destroy(job);
}

static tars_status watch(crowd *c, unsigned n, platform_memory_usage *out, tars_error *err) {
    while (atomic_load(&c->n_waiting) < n) {
        platform_sleep_ns(1000000);
        tars_status status = client_check_interrupt(err);
        if (status != TARS_OK) {
            return status;
        }
    }
    if (atomic_load(&c->n_failed) > 0) {
        return error_set(err, TARS_FAILED, "%u of %u engines at once failed",
                         atomic_load(&c->n_failed), n);
    }
    return platform_memory_used(out, err);
}

/* The memory of many engines in the middle of an answer, besides what the process had before: their
 * own, and the one copy of the weights as the system counts it. */
static tars_status measure_crowd(client *session, tars_model *m, uint32_t n_vocab,
                                 bench_report *out, tars_error *err) {
    int32_t ids[PROMPT_TOKENS];
    platform_thread threads[N_AT_ONCE];
    platform_memory_usage before;
    platform_memory_usage after = {0};
    bench_fill_ids(ids, PROMPT_TOKENS, n_vocab, 1);
    crowd c = {.session = session, .model = m, .ids = ids};
    unsigned n = 0;
    tars_status status = platform_memory_used(&before, err);
    while (n < N_AT_ONCE && status == TARS_OK) {
        status = platform_thread_create("tars-bench", answer_in_crowd, &c, &threads[n], err);
        n += status == TARS_OK;
    }
    if (status == TARS_OK) {
        status = watch(&c, n, &after, err);
    }
    atomic_store(&c.is_open, 1);
    platform_gate_wake_all(&c.is_open);
    for (unsigned i = 0; i < n; i++) {
        platform_thread_join(&threads[i]);
    }
    if (status == TARS_OK) {
        double own = (double)after.private_bytes - (double)before.private_bytes;
        double all = (double)(after.private_bytes + after.shared_bytes);
        bench_add_result(out, "wasm_engines_50_private", "bytes", &own, 1, N_AT_ONCE);
        bench_add_result(out, "wasm_engines_50_process_pss", "bytes", &all, 1, N_AT_ONCE);
    }
    return status;
}

static tars_status measure_model(client *session, const bench_plan *plan, bool is_microvm,
                                 bench_report *out, tars_error *err) {
    tars_model *opened = NULL;
    tars_model_info info;
    tars_status status = client_open_model(session, plan->model, &opened, &info, err);
    if (status == TARS_OK && is_microvm) {
        status = bench_engines(session, plan, opened, out, err);
    } else if (status == TARS_OK) {
        status = measure_engine(session, plan, opened, out, err);
        if (status == TARS_OK) {
            status = measure_crowd(session, opened, info.n_vocab, out, err);
        }
    }
    tars_model_close(opened);
    return status;
}

tars_status bench_start(client *session, const bench_plan *plan, bench_report *out,
                        tars_error *err) {
    bool is_microvm = strcmp(plan->runtime, "microvm") == 0;
    *out = is_microvm ? (bench_report){.isa = "microvm"} : (bench_report){.isa = "wasm"};
    tars_status status = bench_programs(plan, out, err);
    if (status == TARS_OK && is_microvm) {
        status = bench_exits(plan, out, err);
    }
    if (status == TARS_OK && plan->model[0] != '\0') {
        status = measure_model(session, plan, is_microvm, out, err);
    }
    return status;
}
