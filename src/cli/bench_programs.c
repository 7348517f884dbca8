#include "cli/bench_programs.h"

#include "base/text.h"
#include "runtime/registry.h"

#include <stdlib.h>
#include <string.h>

enum { WAIT_LIMIT_MS = 60000, SETTLE_MS = 20, SETTLE_TRIES = 500 };

/* Reads up to 16 bytes of its standard input into its one page of memory, and ends with what
 * fd_read returned:
 *
 *   (module
 *     (import "wasi_snapshot_preview1" "fd_read" (func $read (param i32 i32 i32 i32) (result i32)))
 *     (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
 *     (memory (export "memory") 1)
 *     (data (i32.const 16) "\20\00\00\00\10\00\00\00")
 *     (func (export "_start")
 *       (call $exit (call $read (i32.const 0) (i32.const 16) (i32.const 1) (i32.const 8))))) */
static const uint8_t module[] = {
    0x00, 0x61, 0x73, 0x6d, 0x01, 0x00, 0x00, 0x00, 0x01, 0x10, 0x03, 0x60, 0x04, 0x7f, 0x7f,
    0x7f, 0x7f, 0x01, 0x7f, 0x60, 0x01, 0x7f, 0x00, 0x60, 0x00, 0x00, 0x02, 0x45, 0x02, 0x16,
    0x77, 0x61, 0x73, 0x69, 0x5f, 0x73, 0x6e, 0x61, 0x70, 0x73, 0x68, 0x6f, 0x74, 0x5f, 0x70,
    0x72, 0x65, 0x76, 0x69, 0x65, 0x77, 0x31, 0x07, 0x66, 0x64, 0x5f, 0x72, 0x65, 0x61, 0x64,
    0x00, 0x00, 0x16, 0x77, 0x61, 0x73, 0x69, 0x5f, 0x73, 0x6e, 0x61, 0x70, 0x73, 0x68, 0x6f,
    0x74, 0x5f, 0x70, 0x72, 0x65, 0x76, 0x69, 0x65, 0x77, 0x31, 0x09, 0x70, 0x72, 0x6f, 0x63,
    0x5f, 0x65, 0x78, 0x69, 0x74, 0x00, 0x01, 0x03, 0x02, 0x01, 0x02, 0x05, 0x03, 0x01, 0x00,
    0x01, 0x07, 0x13, 0x02, 0x06, 0x6d, 0x65, 0x6d, 0x6f, 0x72, 0x79, 0x02, 0x00, 0x06, 0x5f,
    0x73, 0x74, 0x61, 0x72, 0x74, 0x00, 0x02, 0x0a, 0x10, 0x01, 0x0e, 0x00, 0x41, 0x00, 0x41,
    0x10, 0x41, 0x01, 0x41, 0x08, 0x10, 0x00, 0x10, 0x01, 0x0b, 0x0b, 0x0e, 0x01, 0x00, 0x41,
    0x10, 0x0b, 0x08, 0x20, 0x00, 0x00, 0x00, 0x10, 0x00, 0x00, 0x00};

/* The same as an ELF file of one segment at 0x400000: read(0, below the stack, 1), exit(0). */
static const uint8_t executable[] = {
    0x7f, 0x45, 0x4c, 0x46, 0x02, 0x01, 0x01, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
    0x00, 0x02, 0x00, 0x3e, 0x00, 0x01, 0x00, 0x00, 0x00, 0x78, 0x00, 0x40, 0x00, 0x00, 0x00,
    0x00, 0x00, 0x40, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
    0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x40, 0x00, 0x38, 0x00, 0x01, 0x00, 0x00, 0x00,
    0x00, 0x00, 0x00, 0x00, 0x01, 0x00, 0x00, 0x00, 0x05, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
    0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x40, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
    0x40, 0x00, 0x00, 0x00, 0x00, 0x00, 0x91, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x91,
    0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x10, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
    0x31, 0xc0, 0x31, 0xff, 0x48, 0x8d, 0x74, 0x24, 0xc0, 0xba, 0x01, 0x00, 0x00, 0x00, 0x0f,
    0x05, 0xb8, 0x3c, 0x00, 0x00, 0x00, 0x31, 0xff, 0x0f, 0x05};

typedef struct subject {
    const char *runtime;
    const uint8_t *program;
    size_t length;
    unsigned n_waiting; /* at once */
} subject;

static const subject subjects[] = {
    {"wasm", module, sizeof module, 200},
    {"microvm", executable, sizeof executable, 100},
};
enum { N_SUBJECTS = sizeof subjects / sizeof subjects[0], MOST_WAITING = 200 };

/* "wasm_program_start_us" */
static const char *name_of(const subject *s, const char *what, char out[48]) {
    text_buffer text;
    text_init(&text, out, 48);
    text_format(&text, "%s_%s", s->runtime, what);
    return out;
}

static const char *const nothing[] = {"program", NULL};

/* One request in a fresh instance; FAILED when the program did not end with 0. */
static tars_status request_once(runtime_image *image, platform_handle input, uint64_t *start_ns,
                                tars_error *err) {
    const runtime_request request = {
        .arguments = nothing, .environment = nothing + 1, .input = input};
    runtime_instance *instance = NULL;
    runtime_outcome outcome = {0};
    tars_status status = runtime_spawn(image, NULL, runtime_profile_find("strict"), &instance, err);
    if (status == TARS_OK) {
        status = runtime_submit(instance, &request, NULL, NULL, err);
    }
    if (status == TARS_OK) {
        status = runtime_poll(instance, &outcome, err);
    }
    if (status == TARS_OK && (outcome.end != RUNTIME_OK || outcome.exit_code != 0)) {
        status = error_set(err, TARS_FAILED, "the program that is measured ended with %d",
                           outcome.exit_code);
    }
    *start_ns = outcome.usage.start_ns;
    runtime_outcome_free(&outcome);
    (void)runtime_kill(instance, NULL);
    return status;
}

static tars_status measure_requests(const subject *s, runtime_image *image, unsigned count,
                                    double *samples, bench_report *out, tars_error *err) {
    char name[48];
    double *starts = samples;
    double *whole = samples + BENCH_MAX_SAMPLES;
    tars_status status = TARS_OK;
    uint64_t all_ns = 0;
    for (unsigned i = 0; i <= count && status == TARS_OK; i++) {
        uint64_t start_ns = 0;
        uint64_t begin_ns = platform_clock_ns();
        status = request_once(image, PLATFORM_NO_HANDLE, &start_ns, err);
        uint64_t wall_ns = platform_clock_ns() - begin_ns;
        if (i > 0) { /* the first one warms up */
            starts[i - 1] = (double)start_ns / 1e3;
            whole[i - 1] = (double)wall_ns / 1e3;
            all_ns += wall_ns;
        }
        if (status == TARS_OK) {
            status = client_check_interrupt(err);
        }
    }
    if (status == TARS_OK) {
        double rate = (double)count * 1e9 / (double)all_ns;
        bench_add_result(out, name_of(s, "program_start_us", name), "us", starts, count, 1);
        bench_add_result(out, name_of(s, "program_request_us", name), "us", whole, count, 1);
        bench_add_result(out, name_of(s, "program_requests", name), "requests/s", &rate, 1, 1);
    }
    return status;
}

/* ---- many at once ------------------------------------------------------------------------ */

typedef struct waiting {
    runtime_image *image;
    platform_handle input;
    atomic_uint n_ended;
    atomic_uint n_failed;
} waiting;

static void wait_in_instance(void *argument) {
    waiting *w = argument;
    uint64_t start_ns;
    if (request_once(w->image, w->input, &start_ns, NULL) != TARS_OK) {
        atomic_fetch_add(&w->n_failed, 1);
    }
    atomic_fetch_add(&w->n_ended, 1);
}

/* Waits until all instances are there and have come to their call, which takes them no time that
 * could be told from outside: until their number stands and the memory no longer changes. */
static tars_status settled_memory(const subject *s, runtime_image *image,
                                  platform_memory_usage *out, tars_error *err) {
    uint64_t before = 0;
    for (int i = 0; i < SETTLE_TRIES; i++) {
        runtime_stats stats;
        platform_sleep_ns((uint64_t)SETTLE_MS * 1000000);
        runtime_image_stats(image, &stats);
        tars_status status = platform_memory_used(out, err);
        if (status != TARS_OK) {
            return status;
        }
        if (stats.n_alive == s->n_waiting && out->private_bytes == before) {
            return TARS_OK;
        }
        before = out->private_bytes;
    }
    return error_set(err, TARS_TIMEOUT, "%u instances at once do not come to rest", s->n_waiting);
}

static tars_status measure_waiting(const subject *s, runtime_image *image, bench_report *out,
                                   tars_error *err) {
    char name[48];
    static platform_thread threads[MOST_WAITING];
    waiting shared = {.image = image};
    platform_handle hold = PLATFORM_NO_HANDLE;
    platform_memory_usage before;
    platform_memory_usage after = {0};
    unsigned n = 0;
    tars_status status = platform_memory_used(&before, err);
    if (status == TARS_OK) {
        status = platform_pipe(&shared.input, &hold, err);
    }
    if (status != TARS_OK) {
        return status;
    }
    while (n < s->n_waiting && status == TARS_OK) {
        status = platform_thread_create("tars-bench", wait_in_instance, &shared, &threads[n], err);
        n += status == TARS_OK;
    }
    if (status == TARS_OK) {
        status = settled_memory(s, image, &after, err);
    }
    platform_handle_close(hold); /* ends all of their inputs */
    for (unsigned i = 0; i < n; i++) {
        platform_thread_join(&threads[i]);
    }
    platform_handle_close(shared.input);
    if (status == TARS_OK && atomic_load(&shared.n_failed) > 0) {
        status = error_set(err, TARS_FAILED, "%u of %u instances at once failed",
                           atomic_load(&shared.n_failed), s->n_waiting);
    }
    if (status == TARS_OK) {
        double grown = (double)after.private_bytes - (double)before.private_bytes;
        bench_add_result(
            out,
            name_of(s, s->n_waiting == 200 ? "programs_200_private" : "programs_100_private", name),
            "bytes", &grown, 1, s->n_waiting);
    }
    return status;
}

tars_status bench_programs(const bench_plan *plan, bench_report *out, tars_error *err) {
    const subject *s = &subjects[0];
    for (size_t i = 0; i < N_SUBJECTS; i++) {
        s = strcmp(subjects[i].runtime, plan->runtime) == 0 ? &subjects[i] : s;
    }
    double *samples = calloc((size_t)2 * BENCH_MAX_SAMPLES, sizeof *samples);
    if (!samples) {
        return error_set(err, TARS_OUT_OF_MEMORY, "no memory for the samples");
    }
    runtime_limits limits = {.timeout_ms = WAIT_LIMIT_MS};
    runtime_source source = {.kind = RUNTIME_PROGRAM,
                             .path = "the program that is measured",
                             .bytes = s->program,
                             .length = s->length,
                             .limits = &limits};
    runtime_image *image = NULL;
    tars_status status = runtime_open(runtime_find(s->runtime), &source, &image, err);
    if (status == TARS_OK) {
        status = measure_requests(s, image, plan->count, samples, out, err);
    }
    if (status == TARS_OK) {
        status = measure_waiting(s, image, out, err);
    }
    runtime_close(image);
    free(samples);
    return status;
}
