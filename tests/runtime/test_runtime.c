/* The interface of runtimes: its states, its limits and its accounts, over a runtime of the test.
 */
#include "runtime/runtime.h"

#include "runtime/registry.h"
#include "support/check.h"

#include <stdio.h>
#include <string.h>

/* What the runtime of this test was asked. */
typedef struct fake_state {
    int n_open, n_close, n_spawn, n_poll, n_reset, n_kill;
    runtime_limits limits; /* of the last spawn */
    tars_status next;      /* what open, spawn, poll and reset answer */
    bool asks;             /* poll asks whether to go on, and stops when it may not */
    runtime_end end;
} fake_state;
static fake_state fake;

static tars_status answer(tars_error *err) {
    return fake.next == TARS_OK ? TARS_OK : error_set(err, fake.next, "as the test wants");
}

static tars_status fake_open(const runtime_source *source, void **image, tars_error *err) {
    (void)source;
    fake.n_open++;
    *image = &fake;
    return answer(err);
}

static void fake_close(void *image) {
    CHECK(image == &fake);
    fake.n_close++;
}

static tars_status fake_spawn(void *image, const runtime_limits *limits,
                              const runtime_profile *profile, void **instance, tars_error *err) {
    CHECK(image == &fake && profile != NULL);
    fake.n_spawn++;
    fake.limits = *limits;
    *instance = &fake;
    return answer(err);
}

static tars_status fake_poll(void *instance, const runtime_request *request,
                             const runtime_control *control, runtime_outcome *out,
                             tars_error *err) {
    CHECK(instance == &fake && request != NULL);
    fake.n_poll++;
    if (fake.asks && !control->goes_on(control->user)) {
        return error_set(err, TARS_CANCELLED, "cancelled");
    }
    out->end = fake.end;
    out->exit_code = 0;
    out->usage.wall_ns = 1000;
    out->usage.start_ns = 10;
    runtime_violations_add(&out->violations, "wasi", "sock_send", 3);
    return answer(err);
}

static tars_status fake_reset(void *instance, tars_error *err) {
    CHECK(instance == &fake);
    fake.n_reset++;
    return answer(err);
}

static void fake_kill(void *instance) {
    CHECK(instance == &fake);
    fake.n_kill++;
}

static const runtime_functions fake_functions = {
    .defaults = {.memory_bytes = 100, .timeout_ms = 10, .n_files = 3, .table_elements = 9},
    .open = fake_open,
    .close = fake_close,
    .spawn = fake_spawn,
    .poll = fake_poll,
    .reset = fake_reset,
    .kill = fake_kill,
};

static bool yes(void) {
    return true;
}

static tars_status present(tars_error *err) {
    (void)err;
    return TARS_OK;
}

static tars_status absent(tars_error *err) {
    return error_set(err, TARS_UNAVAILABLE, "unavailable: no such device");
}

static const runtime_row fake_row = {"fake", ISOLATION_PROCESS, yes, present, {&fake_functions}};
static const runtime_row empty_row = {"empty", ISOLATION_PROCESS, yes, present, {NULL}};
static const runtime_row absent_row = {"absent", ISOLATION_PROCESS, yes, absent, {&fake_functions}};

static runtime_image *open_fake(const runtime_limits *limits) {
    runtime_source source = {.kind = RUNTIME_PROGRAM, .path = "x", .limits = limits};
    runtime_image *image = NULL;
    tars_error err;
    fake = (fake_state){0};
    CHECK_INT(runtime_open(&fake_row, &source, &image, &err), TARS_OK);
    return image;
}

static runtime_instance *spawn(runtime_image *image) {
    runtime_instance *instance = NULL;
    tars_error err;
    CHECK_INT(runtime_spawn(image, NULL, runtime_profile_find("strict"), &instance, &err), TARS_OK);
    return instance;
}

enum { SUBMIT, POLL, RESET, N_STEPS };

static tars_status take_step(runtime_instance *instance, int step, tars_error *err) {
    static const runtime_request request;
    static runtime_outcome out;
    if (step == SUBMIT) {
        return runtime_submit(instance, &request, NULL, NULL, err);
    }
    tars_status status =
        step == POLL ? runtime_poll(instance, &out, err) : runtime_reset(instance, err);
    runtime_outcome_free(&out);
    return status;
}

/* Every step in every state: those that are not allowed change nothing. */
static void steps_follow_the_states(void) {
    static const runtime_state after[RUNTIME_STATES][N_STEPS] = {
        [RUNTIME_READY] = {RUNTIME_RUNNING, RUNTIME_STATES, RUNTIME_STATES},
        [RUNTIME_RUNNING] = {RUNTIME_STATES, RUNTIME_ENDED, RUNTIME_STATES},
        [RUNTIME_ENDED] = {RUNTIME_STATES, RUNTIME_STATES, RUNTIME_READY}};
    for (int state = 0; state < RUNTIME_STATES; state++) {
        for (int step = 0; step < N_STEPS; step++) {
            runtime_image *image = open_fake(NULL);
            runtime_instance *instance = spawn(image);
            tars_error err = {.message = ""};
            for (int s = 0; s < state; s++) {
                CHECK_INT(take_step(instance, s, &err), TARS_OK);
            }
            CHECK_INT(runtime_instance_state(instance), state);
            bool is_allowed = after[state][step] != RUNTIME_STATES;
            CHECK_INT(take_step(instance, step, &err), is_allowed ? TARS_OK : TARS_CONFLICT);
            CHECK_INT(runtime_instance_state(instance),
                      is_allowed ? after[state][step] : (runtime_state)state);
            if (runtime_instance_state(instance) == RUNTIME_RUNNING) {
                CHECK_INT(runtime_kill(instance, &err), TARS_CONFLICT);
                CHECK_INT(fake.n_kill, 0);
                CHECK_INT(take_step(instance, POLL, &err), TARS_OK);
            }
            CHECK_INT(runtime_kill(instance, &err), TARS_OK);
            CHECK_INT(fake.n_kill, 1);
            runtime_close(image);
            CHECK_INT(fake.n_close, 1);
        }
    }
}

/* What is for a model is not asked of a program. */
static void requests_fit_their_image(void) {
    static guest_client client;
    tars_error err;
    runtime_image *image = open_fake(NULL);
    runtime_instance *instance = spawn(image);
    runtime_request request = {.client = &client};
    CHECK_INT(runtime_submit(instance, &request, NULL, NULL, &err), TARS_USAGE);
    CHECK_INT(runtime_instance_state(instance), RUNTIME_READY);
    CHECK_INT(runtime_kill(instance, &err), TARS_OK);
    runtime_close(image);
}

static void failures_end_a_request_and_keep_nothing(void) {
    tars_error err;
    runtime_image *image = NULL;
    runtime_source source = {.kind = RUNTIME_PROGRAM, .path = "x"};
    fake = (fake_state){.next = TARS_MALFORMED};
    CHECK_INT(runtime_open(&fake_row, &source, &image, &err), TARS_MALFORMED);
    CHECK(image == NULL);
    CHECK_INT(fake.n_close, 0);
    CHECK_INT(runtime_open(&empty_row, &source, &image, &err), TARS_UNAVAILABLE);
    CHECK_INT(runtime_open(&absent_row, &source, &image, &err), TARS_UNAVAILABLE);
    CHECK_STRING(err.message, "unavailable: no such device");
    image = open_fake(NULL);
    runtime_instance *instance = NULL;
    fake.next = TARS_OUT_OF_MEMORY;
    CHECK_INT(runtime_spawn(image, NULL, runtime_profile_find("strict"), &instance, &err),
              TARS_OUT_OF_MEMORY);
    CHECK(instance == NULL);
    fake.next = TARS_OK;
    instance = spawn(image);
    CHECK_INT(take_step(instance, SUBMIT, &err), TARS_OK);
    fake.next = TARS_FAILED;
    CHECK_INT(take_step(instance, POLL, &err), TARS_FAILED);
    CHECK_INT(runtime_instance_state(instance), RUNTIME_ENDED);
    CHECK_INT(take_step(instance, RESET, &err), TARS_FAILED);
    CHECK_INT(runtime_instance_state(instance), RUNTIME_ENDED);
    CHECK_INT(runtime_kill(instance, &err), TARS_OK);
    runtime_close(image);
}

static bool never(void *user) {
    (void)user;
    return false;
}

static void cancelled_requests_do_not_run(void) {
    static const runtime_request request;
    runtime_outcome out;
    tars_error err;
    runtime_image *image = open_fake(NULL);
    runtime_instance *instance = spawn(image);
    CHECK_INT(take_step(instance, SUBMIT, &err), TARS_OK);
    runtime_cancel(instance);
    CHECK_INT(runtime_poll(instance, &out, &err), TARS_CANCELLED);
    CHECK_INT(fake.n_poll, 0);
    CHECK_INT(take_step(instance, RESET, &err), TARS_OK); /* the next one runs */
    CHECK_INT(take_step(instance, SUBMIT, &err), TARS_OK);
    CHECK_INT(take_step(instance, POLL, &err), TARS_OK);
    CHECK_INT(take_step(instance, RESET, &err), TARS_OK);
    CHECK_INT(runtime_submit(instance, &request, never, NULL, &err), TARS_OK);
    CHECK_INT(runtime_poll(instance, &out, &err), TARS_CANCELLED);
    CHECK_INT(fake.n_poll, 1);
    CHECK_INT(runtime_kill(instance, &err), TARS_OK);
    runtime_close(image);
}

static void limits_are_filled_and_never_widened(void) {
    tars_error err;
    runtime_instance *instance = NULL;
    const runtime_profile *strict = runtime_profile_find("strict");
    runtime_limits most = {.memory_bytes = 50, .table_elements = 7};
    static const runtime_limits not_there[] = {{.fuel = 1}, {.stack_bytes = 1}, {.n_threads = 1}};
    for (size_t i = 0; i < sizeof not_there / sizeof not_there[0]; i++) {
        runtime_source source = {.kind = RUNTIME_PROGRAM, .path = "x", .limits = &not_there[i]};
        runtime_image *none = NULL;
        CHECK_INT(runtime_open(&fake_row, &source, &none, &err), TARS_UNAVAILABLE);
    }
    runtime_image *image = open_fake(&most);
    instance = spawn(image);
    CHECK_INT(fake.limits.memory_bytes, 50);
    CHECK_INT(fake.limits.timeout_ms, 10);
    CHECK_INT(fake.limits.n_files, 3);
    CHECK_INT(fake.limits.table_elements, 7);
    CHECK_INT(fake.limits.fuel, 0);
    CHECK_INT(runtime_kill(instance, &err), TARS_OK);
    runtime_limits less = {.memory_bytes = 49, .timeout_ms = 1};
    CHECK_INT(runtime_spawn(image, &less, strict, &instance, &err), TARS_OK);
    CHECK_INT(fake.limits.memory_bytes, 49);
    CHECK_INT(fake.limits.timeout_ms, 1);
    CHECK_INT(runtime_kill(instance, &err), TARS_OK);
    static const runtime_limits wider[] = {
        {.memory_bytes = 51}, {.timeout_ms = 11},  {.n_files = 4},    {.table_elements = 8},
        {.fuel = 1},          {.output_bytes = 1}, {.stack_bytes = 1}};
    for (size_t i = 0; i < sizeof wider / sizeof wider[0]; i++) {
        CHECK_INT(runtime_spawn(image, &wider[i], strict, &instance, &err), TARS_LIMIT);
        CHECK(instance == NULL);
    }
    CHECK_INT(fake.n_spawn, 2);
    runtime_close(image);
}

static void requests_are_accounted(void) {
    tars_error err;
    runtime_stats stats;
    runtime_image *image = open_fake(NULL);
    runtime_instance *a = spawn(image);
    runtime_instance *b = spawn(image);
    for (int i = 0; i < 3; i++) {
        fake.end = i == 2 ? RUNTIME_TRAP : RUNTIME_OK;
        CHECK_INT(take_step(a, SUBMIT, &err), TARS_OK);
        CHECK_INT(take_step(a, POLL, &err), TARS_OK);
        CHECK_INT(take_step(a, RESET, &err), TARS_OK);
    }
    runtime_image_stats(image, &stats);
    CHECK_INT(stats.n_spawned, 2);
    CHECK_INT(stats.n_alive, 2);
    CHECK_INT(stats.n_requests, 3);
    CHECK_INT(stats.n_failed, 1);
    CHECK_INT(stats.n_violations, 9);
    CHECK_INT(stats.wall_ns, 3000);
    CHECK_INT(stats.start_ns, 30);
    CHECK_INT(runtime_kill(a, &err), TARS_OK);
    CHECK_INT(runtime_kill(b, &err), TARS_OK);
    runtime_image_stats(image, &stats);
    CHECK_INT(stats.n_alive, 0);
    CHECK_INT(stats.n_spawned, 2);
    runtime_close(image);
}

static void violations_are_counted_by_name(void) {
    static runtime_violations list;
    char name[32];
    runtime_violations_add(&list, "path", "path_open", 1);
    runtime_violations_add(&list, "wasi", "path_open", 1);
    runtime_violations_add(&list, "path", "path_open", 4);
    CHECK_INT(list.count, 2);
    CHECK_INT(list.rows[0].count, 5);
    for (int i = 0; i < RUNTIME_MAX_VIOLATIONS + 5; i++) {
        snprintf(name, sizeof name, "call_%d", i);
        runtime_violations_add(&list, "wasi", name, 1);
    }
    CHECK_INT(list.count, RUNTIME_MAX_VIOLATIONS - 8);
    CHECK_INT(list.lost, 15);
    runtime_violations_add(&list, "limit", "memory", 1); /* no flood of names hides one */
    CHECK_INT(list.count, RUNTIME_MAX_VIOLATIONS - 7);
    CHECK_STRING(list.rows[list.count - 1].name, "memory");
    static runtime_usage usage;
    runtime_usage_count(&usage, "fd_write", 2);
    runtime_usage_count(&usage, "fd_read", 1);
    runtime_usage_count(&usage, "fd_write", 1);
    CHECK_INT(usage.n_calls, 2);
    CHECK_INT(usage.calls[0].count, 3);
}

static void every_runtime_has_its_row(void) {
    static const char *const names[] = {"native", "wasm", "microvm", "cuda"};
    CHECK_INT(runtime_row_count, 4);
    for (size_t i = 0; i < runtime_row_count; i++) {
        tars_error err = {.message = ""};
        CHECK_STRING(runtime_rows[i].name, names[i]);
        CHECK(runtime_find(names[i]) == &runtime_rows[i]);
        tars_status status = runtime_rows[i].probe(&err);
        CHECK(status == TARS_OK || (status == TARS_UNAVAILABLE && err.message[0] != '\0'));
    }
    CHECK(runtime_find("nowhere") == NULL);
    for (size_t i = 0; runtime_profile_names[i]; i++) {
        CHECK(runtime_profile_find(runtime_profile_names[i]) != NULL);
    }
    CHECK(runtime_profile_find("lax") == NULL);
}

static void only_those_with_a_host_of_their_own_isolate_it(void) {
    runtime_image *image = NULL;
    tars_error err;
    runtime_source source = {.kind = RUNTIME_PROGRAM, .path = "x", .isolate_host = true};
    fake = (fake_state){.next = TARS_OK};
    CHECK_INT(runtime_open(&fake_row, &source, &image, &err), TARS_UNSUPPORTED);
    CHECK(image == NULL && err.hint[0] != '\0');
    for (size_t i = 0; i < runtime_row_count; i++) {
        const runtime_row *row = &runtime_rows[i];
        const runtime_functions *models = row->functions[RUNTIME_MODEL];
        const runtime_functions *programs = row->functions[RUNTIME_PROGRAM];
        CHECK(!models || !models->isolates_host);
        CHECK(!programs || programs->isolates_host == (strcmp(row->name, "microvm") == 0));
    }
}

static const check_test table[] = {
    {"steps follow the states", steps_follow_the_states},
    {"requests fit their image", requests_fit_their_image},
    {"failures end a request and keep nothing", failures_end_a_request_and_keep_nothing},
    {"cancelled requests do not run", cancelled_requests_do_not_run},
    {"limits are filled and never widened", limits_are_filled_and_never_widened},
    {"requests are accounted", requests_are_accounted},
    {"violations are counted by name", violations_are_counted_by_name},
    {"every runtime has its row", every_runtime_has_its_row},
    {"only those with a host of their own isolate it",
     only_those_with_a_host_of_their_own_isolate_it},
};

CHECK_MAIN(table)
