#include "cli/bench_engines.h"

#include "cli/progress.h"
#include "runtime/guest_answer.h"
#include "runtime/guest_text.h"
#include "runtime/microvm/engine_pool.h"
#include "runtime/registry.h"

#include <stdlib.h>
#include <string.h>

enum {
    MOST_BOOTS = 20,
    MOST_PASSES = 100,
    N_CROWD = 100,
    N_WARM = 20,
    SMALL_BYTES = 1 << 20,    /* what a small request may take */
    ANSWER_BYTES = 256 << 20, /* what an answer of one token may take */
    ANSWER_CONTEXT = 16,
    MOST_THREADS = 2
};
static const uint64_t REQUEST_LIMIT_NS = UINT64_C(60) * 1000000000;
static const uint64_t POOL_LIMIT_NS = UINT64_C(60) * 1000000000;

static const engine_wish text_wish = {.n_workers = 1, .memory_bytes = SMALL_BYTES};
static const engine_wish token_wish = {
    .n_workers = 1, .computes = true, .memory_bytes = ANSWER_BYTES};

typedef struct engines {
    client *session;
    const bench_plan *plan;
    const tars_model *model;
    bench_report *report;
    const engine_snapshot *snapshot;
    double *samples[8]; /* BENCH_MAX_SAMPLES each */
} engines;

static double us(uint64_t begin_ns, uint64_t end_ns) {
    return (double)(end_ns - begin_ns) / 1e3;
}

/* ---- requests ----------------------------------------------------------------------------- */

/* The smallest request: the text of one id; or an answer of one token to one id. */
typedef struct asked {
    union {
        guest_decode decode;
        guest_answer answer;
    } told;
    guest_decode_request decode;
    guest_answer_request answer;
    int32_t id;
    uint64_t deadline_ns;
    uint64_t first_ns; /* when the first byte of text or the first token came; else 0 */
} asked;

static tars_status note_first(asked *a) {
    a->first_ns = a->first_ns > 0 ? a->first_ns : platform_clock_ns();
    return TARS_OK;
}

static tars_status take_text(void *user, const char *bytes, size_t length, tars_error *err) {
    (void)bytes;
    (void)length;
    (void)err;
    return note_first(user);
}

static tars_status take_token(void *user, int32_t id, const uint8_t *digest, tars_error *err) {
    (void)id;
    (void)digest;
    (void)err;
    return note_first(user);
}

static void take_progress(void *user, uint64_t done, uint64_t total) {
    (void)user;
    (void)done;
    (void)total;
}

static tars_status check(void *user, tars_error *err) {
    const asked *a = user;
    tars_status status = client_check_interrupt(err);
    if (status == TARS_OK && platform_clock_ns() > a->deadline_ns) {
        status = error_set(err, TARS_TIMEOUT, "a request that is measured does not end");
    }
    return status;
}

static guest_client *ask_text(const engines *e, asked *a) {
    bench_fill_ids(&a->id, 1, e->model->pack.hparams->n_vocab, 1);
    a->decode = (guest_decode_request){.wire = {.flags = TOKENIZER_SHOW_SPECIAL, .n_ids = 1},
                                       .ids = &a->id};
    const guest_decode_sink sink = {.user = a, .text = take_text, .check = check};
    guest_decode_init(&a->told.decode, &a->decode, &sink);
    a->first_ns = 0;
    a->deadline_ns = platform_clock_ns() + REQUEST_LIMIT_NS;
    return &a->told.decode.client;
}

static guest_client *ask_token(const engines *e, asked *a) {
    uint32_t n_vocab = e->model->pack.hparams->n_vocab;
    bench_fill_ids(&a->id, 1, n_vocab, 1);
    a->answer = (guest_answer_request){.n_vocab = n_vocab,
                                       .wire = {.kind = WIRE_GENERATE,
                                                .max_tokens = 1,
                                                .n_context = ANSWER_CONTEXT,
                                                .batch = 1,
                                                .top_p = 1,
                                                .repeat_penalty = 1,
                                                .kv_type = 1,
                                                .n_prompt = 1},
                                       .prompt = &a->id};
    const guest_answer_sink sink = {.user = a,
                                    .token = take_token,
                                    .text = take_text,
                                    .progress = take_progress,
                                    .check = check};
    guest_answer_init(&a->told.answer, &a->answer, &sink);
    a->first_ns = 0;
    a->deadline_ns = platform_clock_ns() + REQUEST_LIMIT_NS;
    return &a->told.answer.client;
}

static tars_status serve(engine_machine *m, uint64_t memory_bytes, guest_client *told,
                         tars_error *err) {
    engine_usage usage;
    return engine_machine_serve(m, memory_bytes, told, &usage, err);
}

static tars_status serve_text(const engines *e, engine_machine *m, asked *a, tars_error *err) {
    tars_status status = serve(m, SMALL_BYTES, ask_text(e, a), err);
    a->first_ns = a->first_ns > 0 ? a->first_ns : platform_clock_ns(); /* an id without text */
    return status;
}

static tars_status reset(engine_machine *m, tars_error *err) {
    engine_usage usage;
    return engine_machine_reset(m, &usage, err);
}

/* ---- one at a time --------------------------------------------------------------------------- */

static tars_status measure_boots(engines *e, tars_error *err) {
    unsigned count = e->plan->count < MOST_BOOTS ? e->plan->count : MOST_BOOTS;
    for (unsigned i = 0; i < count; i++) {
        engine_snapshot *made;
        tars_status status =
            engine_snapshot_create(&e->model->mapping, "", platform_cpu_count(), NULL, &made, err);
        if (status != TARS_OK) {
            return status;
        }
        e->samples[0][i] = (double)made->boot_ns / 1e3;
        engine_snapshot_destroy(made);
    }
    bench_add_result(e->report, "microvm_engine_boot_us", "us", e->samples[0], count, 1);
    return TARS_OK;
}

enum { STEP_CLONE, STEP_START, STEP_FIRST, STEP_RESET, STEP_AGAIN, STEP_DESTROY, N_STEPS };

static tars_status one_life(const engines *e, asked *a, double out[N_STEPS], tars_error *err) {
    engine_machine *m;
    uint64_t at_ns[N_STEPS + 1] = {platform_clock_ns()};
    a->first_ns = at_ns[0];
    tars_status status = engine_machine_create(e->snapshot, &text_wish, &m, err);
    at_ns[1] = platform_clock_ns();
    if (status == TARS_OK) {
        status = serve_text(e, m, a, err);
    }
    out[STEP_START] = us(at_ns[0], a->first_ns);
    at_ns[2] = platform_clock_ns();
    if (status == TARS_OK) {
        status = reset(m, err);
    }
    at_ns[3] = platform_clock_ns();
    if (status == TARS_OK) {
        status = serve_text(e, m, a, err);
    }
    at_ns[4] = platform_clock_ns();
    engine_machine_destroy(m);
    at_ns[5] = platform_clock_ns();
    out[STEP_CLONE] = us(at_ns[0], at_ns[1]);
    out[STEP_FIRST] = us(at_ns[1], at_ns[2]);
    out[STEP_RESET] = us(at_ns[2], at_ns[3]);
    out[STEP_AGAIN] = us(at_ns[3], at_ns[4]);
    out[STEP_DESTROY] = us(at_ns[4], at_ns[5]);
    return status;
}

static tars_status measure_lives(engines *e, asked *a, tars_error *err) {
    static const char *const names[N_STEPS] = {
        [STEP_CLONE] = "microvm_engine_clone_us",
        [STEP_START] = "microvm_engine_start_us",
        [STEP_FIRST] = "microvm_engine_first_request_us",
        [STEP_RESET] = "microvm_engine_reset_us",
        [STEP_AGAIN] = "microvm_engine_reset_request_us",
        [STEP_DESTROY] = "microvm_engine_destroy_us",
    };
    progress shown;
    progress_init(&shown, e->session->cli);
    tars_status status = TARS_OK;
    for (unsigned i = 0; i <= e->plan->count && status == TARS_OK; i++) {
        double steps[N_STEPS];
        status = one_life(e, a, steps, err);
        for (unsigned k = 0; i > 0 && k < N_STEPS; k++) { /* the first one warms up */
            e->samples[k][i - 1] = steps[k];
        }
        if (status == TARS_OK && !progress_update(&shown, "bench", i, e->plan->count)) {
            status = client_check_interrupt(err);
        }
    }
    progress_clear(&shown);
    for (unsigned k = 0; k < N_STEPS && status == TARS_OK; k++) {
        bench_add_result(e->report, names[k], "us", e->samples[k], e->plan->count, 1);
    }
    return status;
}

/* ---- the weights ----------------------------------------------------------------------------- */

static tars_status two_passes(const engines *e, engine_machine *m, asked *a, double *first,
                              double *second, tars_error *err) {
    uint64_t begin_ns = platform_clock_ns();
    tars_status status = serve(m, ANSWER_BYTES, ask_token(e, a), err);
    *first = us(begin_ns, platform_clock_ns());
    if (status == TARS_OK) {
        status = reset(m, err);
    }
    begin_ns = platform_clock_ns();
    if (status == TARS_OK) {
        status = serve(m, ANSWER_BYTES, ask_token(e, a), err);
    }
    *second = us(begin_ns, platform_clock_ns());
    return status;
}

/* The same pass in a new machine and after its reset: what its pages cost when they are first
 * touched, the weights' above all. */
static tars_status measure_weights(engines *e, asked *a, tars_error *err) {
    unsigned count = e->plan->count < MOST_PASSES ? e->plan->count : MOST_PASSES;
    for (unsigned i = 0; i < count; i++) {
        engine_machine *m;
        double first, second;
        tars_status status = engine_machine_create(e->snapshot, &token_wish, &m, err);
        if (status == TARS_OK) {
            status = two_passes(e, m, a, &first, &second, err);
        }
        engine_machine_destroy(m);
        if (status == TARS_OUT_OF_MEMORY) { /* as the guest says: a larger model than this is for */
            return bench_leave_out(e->report, "microvm_engine_first_touch_us", err);
        }
        if (status != TARS_OK) {
            return status;
        }
        e->samples[0][i] = first;
        e->samples[1][i] = second;
        e->samples[2][i] = first - second;
    }
    bench_add_result(e->report, "microvm_engine_first_pass_us", "us", e->samples[0], count, 1);
    bench_add_result(e->report, "microvm_engine_second_pass_us", "us", e->samples[1], count, 1);
    bench_add_result(e->report, "microvm_engine_first_touch_us", "us", e->samples[2], count, 1);
    return TARS_OK;
}

/* ---- many at once ---------------------------------------------------------------------------- */

static tars_status note_memory(engines *e, const char *name, const platform_memory_usage *before,
                               tars_error *err) {
    platform_memory_usage now;
    tars_status status = platform_memory_used(&now, err);
    if (status == TARS_OK) {
        double each = ((double)now.private_bytes - (double)before->private_bytes) / (double)N_CROWD;
        bench_add_result(e->report, name, "bytes", &each, 1, 1);
    }
    return status;
}

static tars_status create_crowd(engines *e, engine_machine *crowd[N_CROWD], tars_error *err) {
    tars_status status = TARS_OK;
    for (unsigned i = 0; i < N_CROWD && status == TARS_OK; i++) {
        uint64_t begin_ns = platform_clock_ns();
        status = engine_machine_create(e->snapshot, &text_wish, &crowd[i], err);
        e->samples[0][i] = us(begin_ns, platform_clock_ns());
    }
    return status;
}

static tars_status serve_crowd(engines *e, engine_machine *crowd[N_CROWD], asked *a,
                               tars_error *err) {
    tars_status status = TARS_OK;
    for (unsigned i = 0; i < N_CROWD && status == TARS_OK; i++) {
        uint64_t begin_ns = platform_clock_ns();
        status = serve_text(e, crowd[i], a, err);
        e->samples[1][i] = us(begin_ns, platform_clock_ns());
    }
    return status;
}

/* As a pool keeps them that have served its small request. */
static tars_status rest_crowd(engine_machine *crowd[N_CROWD], tars_error *err) {
    tars_status status = TARS_OK;
    for (unsigned i = 0; i < N_CROWD && status == TARS_OK; i++) {
        status = reset(crowd[i], err);
    }
    return status;
}

static tars_status measure_crowd(engines *e, asked *a, tars_error *err) {
    engine_machine *crowd[N_CROWD] = {NULL};
    platform_memory_usage before;
    tars_status status = platform_memory_used(&before, err);
    if (status != TARS_OK) {
        return bench_leave_out(e->report, "microvm_engines_100_idle_private", err);
    }
    status = create_crowd(e, crowd, err);
    if (status == TARS_OK) {
        bench_add_result(e->report, "microvm_engines_100_clone_us", "us", e->samples[0], N_CROWD,
                         1);
        status = note_memory(e, "microvm_engines_100_idle_private", &before, err);
    }
    if (status == TARS_OK) {
        status = serve_crowd(e, crowd, a, err);
    }
    if (status == TARS_OK) {
        bench_add_result(e->report, "microvm_engines_100_request_us", "us", e->samples[1], N_CROWD,
                         1);
        status = note_memory(e, "microvm_engines_100_used_private", &before, err);
    }
    if (status == TARS_OK) {
        status = rest_crowd(crowd, err);
    }
    if (status == TARS_OK) {
        status = note_memory(e, "microvm_engines_100_warm_private", &before, err);
    }
    for (unsigned i = 0; i < N_CROWD; i++) {
        engine_machine_destroy(crowd[i]);
    }
    return status;
}

/* ---- the pool ----------------------------------------------------------------------------------
 */

static tars_status wait_for_ready(engine_pool *pool, unsigned n, tars_error *err) {
    uint64_t begin_ns = platform_clock_ns();
    for (;;) {
        engine_pool_counts counts;
        engine_pool_count(pool, &counts);
        tars_status status = client_check_interrupt(err);
        if (status != TARS_OK || (counts.n_ready >= n && counts.n_cold == 0)) {
            return status;
        }
        if (counts.n_failed > 0 || platform_clock_ns() - begin_ns > POOL_LIMIT_NS) {
            return error_set(err, TARS_FAILED, "a pool of machines does not become ready");
        }
        platform_sleep_ns(1000000);
    }
}

/* From taking a machine that is ready to the first byte of a text, or to a token. */
static tars_status take_from_pool(engines *e, engine_pool *pool, const engine_wish *wish,
                                  unsigned count, asked *a, tars_error *err) {
    tars_status status = engine_pool_warm(pool, wish, N_WARM, err);
    for (unsigned i = 0; i < count && status == TARS_OK; i++) {
        engine_machine *m = NULL;
        status = i % (N_WARM / 2) == 0 ? wait_for_ready(pool, N_WARM, err) : TARS_OK;
        uint64_t begin_ns = platform_clock_ns();
        if (status == TARS_OK) {
            status = engine_pool_take(pool, wish, &m, err);
        }
        if (status == TARS_OK) {
            status = wish->computes ? serve(m, wish->memory_bytes, ask_token(e, a), err)
                                    : serve_text(e, m, a, err);
        }
        e->samples[0][i] = us(begin_ns, a->first_ns);
        engine_pool_give_up(pool, m);
    }
    return status;
}

static tars_status measure_pool(engines *e, bool warms, bool computes, const char *name, asked *a,
                                tars_error *err) {
    const engine_wish *wish = computes ? &token_wish : &text_wish;
    unsigned most = computes ? MOST_PASSES : BENCH_MAX_SAMPLES;
    unsigned count = e->plan->count < most ? e->plan->count : most;
    engine_pool_options options = engine_pool_defaults;
    options.warms = warms;
    engine_pool *pool;
    tars_status status = engine_pool_create(e->snapshot, &options, &pool, err);
    if (status == TARS_OK) {
        status = take_from_pool(e, pool, wish, count, a, err);
    }
    if (status == TARS_OK) {
        bench_add_result(e->report, name, "us", e->samples[0], count, 1);
    }
    engine_pool_destroy(pool);
    return status;
}

static tars_status measure_pools(engines *e, asked *a, tars_error *err) {
    static const struct {
        bool warms, computes;
        const char *name;
    } rows[] = {{false, false, "microvm_pool_cold_start_us"},
                {true, false, "microvm_pool_start_us"},
                {false, true, "microvm_pool_cold_token_us"},
                {true, true, "microvm_pool_token_us"}};
    tars_status status = TARS_OK;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0] && status == TARS_OK; i++) {
        if (!rows[i].computes || e->report->n_left_out == 0) {
            status = measure_pool(e, rows[i].warms, rows[i].computes, rows[i].name, a, err);
        }
    }
    return status;
}

/* ---- requests through the runtime ------------------------------------------------------------ */

typedef struct sender {
    const engines *engines;
    runtime_image *image;
    bool resets; /* one instance for all its requests, else one for each */
    unsigned count;
    tars_status status;
    tars_error error;
    asked asked;
} sender;

static tars_status send_one(sender *s, runtime_instance **instance, tars_error *err) {
    runtime_outcome outcome = {0};
    const runtime_request request = {.client = ask_text(s->engines, &s->asked)};
    tars_status status =
        *instance ? runtime_reset(*instance, err)
                  : runtime_spawn(s->image, NULL, runtime_profile_find("strict"), instance, err);
    if (status == TARS_OK) {
        status = runtime_submit(*instance, &request, NULL, NULL, err);
    }
    if (status == TARS_OK) {
        status = runtime_poll(*instance, &outcome, err);
    }
    runtime_outcome_free(&outcome);
    if (!s->resets || status != TARS_OK) {
        (void)runtime_kill(*instance, NULL);
        *instance = NULL;
    }
    return status;
}

static void send_all(void *argument) {
    sender *s = argument;
    runtime_instance *instance = NULL;
    s->status = TARS_OK;
    for (unsigned i = 0; i < s->count && s->status == TARS_OK; i++) {
        s->status = send_one(s, &instance, &s->error);
    }
    (void)runtime_kill(instance, NULL);
}

static tars_status run_senders(sender *senders, unsigned n_threads, tars_error *err) {
    platform_thread threads[MOST_THREADS];
    tars_status status = TARS_OK;
    unsigned n = 0;
    while (n < n_threads && status == TARS_OK) {
        status = platform_thread_create("tars-bench", send_all, &senders[n], &threads[n], err);
        n += status == TARS_OK;
    }
    for (unsigned i = 0; i < n; i++) {
        platform_thread_join(&threads[i]);
        if (status == TARS_OK && senders[i].status != TARS_OK) {
            status = senders[i].status;
            *err = senders[i].error;
        }
    }
    return status;
}

static tars_status measure_rate(engines *e, runtime_image *image, bool resets, unsigned n_threads,
                                sender *senders, tars_error *err) {
    for (unsigned i = 0; i < n_threads; i++) {
        senders[i].engines = e;
        senders[i].image = image;
        senders[i].resets = resets;
        senders[i].count = N_WARM;
    }
    tars_status status = run_senders(senders, n_threads, err); /* warms up */
    unsigned each = e->plan->count / n_threads > 0 ? e->plan->count / n_threads : 1;
    for (unsigned i = 0; i < n_threads; i++) {
        senders[i].count = each;
    }
    uint64_t begin_ns = platform_clock_ns();
    if (status == TARS_OK) {
        status = run_senders(senders, n_threads, err);
    }
    double rate = (double)each * n_threads * 1e9 / (double)(platform_clock_ns() - begin_ns);
    if (status == TARS_OK) {
        bench_add_result(e->report,
                         resets ? "microvm_engine_reset_requests" : "microvm_pool_requests",
                         "requests/s", &rate, 1, n_threads);
    }
    return status;
}

static tars_status measure_rates(engines *e, tars_error *err) {
    const runtime_model what = {.mapping = &e->model->mapping};
    const runtime_limits limits = {.memory_bytes = SMALL_BYTES, .n_threads = 1};
    const runtime_source source = {
        .kind = RUNTIME_MODEL, .path = "the model", .model = &what, .limits = &limits};
    sender *senders = calloc(MOST_THREADS, sizeof *senders);
    if (!senders) {
        return error_set(err, TARS_OUT_OF_MEMORY, "no memory for requests");
    }
    runtime_image *image = NULL;
    tars_status status = runtime_open(runtime_find("microvm"), &source, &image, err);
    if (status == TARS_OK) {
        status = runtime_warm(image, NULL, N_WARM, err);
    }
    for (unsigned n = 1; n <= MOST_THREADS && status == TARS_OK; n++) {
        status = measure_rate(e, image, false, n, senders, err);
        if (status == TARS_OK) {
            status = measure_rate(e, image, true, n, senders, err);
        }
    }
    runtime_close(image);
    free(senders);
    return status;
}

/* ---- all ---------------------------------------------------------------------------------------
 */

static tars_status measure(engines *e, asked *a, tars_error *err) {
    engine_snapshot *snapshot;
    tars_status status = measure_boots(e, err);
    if (status != TARS_OK) {
        return status;
    }
    status =
        engine_snapshot_create(&e->model->mapping, "", platform_cpu_count(), NULL, &snapshot, err);
    if (status != TARS_OK) {
        return status;
    }
    e->snapshot = snapshot;
    status = measure_lives(e, a, err);
    if (status == TARS_OK) {
        status = measure_weights(e, a, err);
    }
    if (status == TARS_OK) {
        status = measure_crowd(e, a, err);
    }
    if (status == TARS_OK) {
        status = measure_pools(e, a, err);
    }
    engine_snapshot_destroy(snapshot);
    return status == TARS_OK ? measure_rates(e, err) : status;
}

tars_status bench_engines(client *session, const bench_plan *plan, const tars_model *m,
                          bench_report *out, tars_error *err) {
    engines e = {.session = session, .plan = plan, .model = m, .report = out};
    enum { N_ROWS = sizeof e.samples / sizeof e.samples[0] };
    double *samples = calloc((size_t)N_ROWS * BENCH_MAX_SAMPLES, sizeof *samples);
    asked *a = calloc(1, sizeof *a);
    if (!samples || !a) {
        free(a);
        free(samples);
        error_set(err, TARS_OUT_OF_MEMORY, "no memory for the samples");
        return TARS_OUT_OF_MEMORY;
    }
    for (size_t i = 0; i < N_ROWS; i++) {
        e.samples[i] = samples + i * BENCH_MAX_SAMPLES;
    }
    tars_status status = measure(&e, a, err);
    free(a);
    free(samples);
    return status;
}
