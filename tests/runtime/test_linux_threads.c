/* Threads of unmodified static programs in micro-VMs: tests/data/microvm/threads.c of this
 * machine's compilers does one thing for each argument. */
#include "support/check.h"

#if defined(__linux__) && defined(__x86_64__)

#include "platform/vmm.h"
#include "runtime/grant_tree.h"
#include "runtime/microvm/machine.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { N_THREADS = 16, MEMORY_BYTES = 64 << 20 };
static const uint64_t MS = 1000000;

typedef struct thread_row {
    const char *argument;
    machine_end end;
    linux_end calls_end;
    uint32_t code; /* exit code or signal */
    uint64_t timeout_ms;
    uint64_t n_refused; /* threads more than it may have */
    uint64_t stop_ms;   /* when nobody wants it any more; 0: never */
} thread_row;

#define OK MACHINE_ENDED, LINUX_EXITED
static const thread_row rows[] = {
    {"in-turn", OK, 0, 60000, 0, 0},
    {"at-once", OK, 0, 60000, 0, 0},
    {"past-limit", OK, 0, 60000, 1, 0},
    {"main-ends-first", OK, 0, 60000, 0, 0},
    {"round-robin", OK, 0, 60000, 0, 0},
    {"locks-hold", OK, 0, 60000, 0, 0},
    {"timed-wait", OK, 0, 60000, 0, 0},
    {"robust-locks", OK, 0, 60000, 0, 0},
    {"words-and-sets", OK, 0, 60000, 0, 0},
    {"bad-words", OK, 0, 60000, 0, 0},
    {"exit-of-all", OK, 42, 60000, 0, 0},
    {"other-exits", OK, 43, 60000, 0, 0},
    {"stack-overflow", MACHINE_FAULT, LINUX_STOPPED, 11, 60000, 0, 0},
    {"unmap-race", OK, 0, 120000, 0, 0},
    {"protect-race", OK, 45, 60000, 0, 0},
    {"mappings-at-once", OK, 0, 120000, 0, 0},
    {"pipes", OK, 0, 60000, 0, 0},
    {"events", OK, 0, 60000, 0, 0},
    {"closed-while-waiting", OK, 0, 60000, 0, 0},
    {"signals-at-any-time", OK, 0, 120000, 0, 0},
    {"signals-end-waits", OK, 0, 60000, 0, 0},
    {"cancelling", OK, 0, 60000, 0, 0},
    {"signal-stacks", OK, 46, 60000, 0, 0},
    {"masks", OK, 0, 60000, 0, 0},
    {"numbers", OK, 0, 60000, 0, 0},
    {"double-fetch", OK, 0, 120000, 0, 0},
    {"wait-for-ever", MACHINE_ENDED, LINUX_TIME, 0, 200, 0, 0},
    {"spin-all", MACHINE_TIME, LINUX_STOPPED, 0, 200, 0, 0},
    {"wait-for-ever", MACHINE_ENDED, LINUX_STOPPED, 0, 60000, 0, 50},
    {"spin-all", MACHINE_ENDED, LINUX_STOPPED, 0, 60000, 0, 50},
    {"main-ends-others-spin", MACHINE_ENDED, LINUX_STOPPED, 0, 60000, 0, 50},
    {"main-ends-others-spin", MACHINE_TIME, LINUX_STOPPED, 0, 200, 0, 0},
};

static bool has_machine(void) {
    tars_error err = {.message = ""};
    if (machine_probe(&err) != TARS_OK) {
        check_skip("%s", err.message);
        return false;
    }
    return true;
}

/* Threads of this process. */
static unsigned count_threads(void) {
    unsigned n = 0;
    DIR *d = opendir("/proc/self/task");
    while (d && readdir(d)) {
        n++;
    }
    if (d) {
        closedir(d);
    }
    return n;
}

static uintptr_t who_wants_it(void) {
    static _Thread_local char own;
    return (uintptr_t)&own;
}
static uintptr_t wanted_by;

static bool goes_on(void *user) {
    const uint64_t *until_ns = user;
    CHECK(who_wants_it() == wanted_by);
    return *until_ns == 0 || platform_clock_ns() < *until_ns;
}

static void try_row(const char *compiler, const thread_row *row, const uint8_t *bytes,
                    size_t length) {
    const char *const arguments[] = {"threads", row->argument, "16", NULL};
    static const char *const environment[] = {NULL};
    const machine_program program = {.bytes = bytes,
                                     .length = length,
                                     .name = "threads",
                                     .arguments = arguments,
                                     .environment = environment};
    wanted_by = who_wants_it();
    uint64_t begin_ns = platform_clock_ns();
    const machine_limits limits = {.memory_bytes = MEMORY_BYTES,
                                   .stack_bytes = 1 << 20,
                                   .deadline_ns = begin_ns + row->timeout_ms * MS};
    uint64_t until_ns = row->stop_ms > 0 ? begin_ns + row->stop_ms * MS : 0;
    linux_options options = {.goes_on = goes_on,
                             .user = &until_ns,
                             .files = true,
                             .input = PLATFORM_NO_HANDLE,
                             .output_bytes = 1 << 20,
                             .file_bytes = 1 << 20,
                             .n_files = 16,
                             .n_threads = N_THREADS,
                             .n_processors = 2};
    linux_context *calls;
    machine_result result;
    tars_error err = {.message = ""};
    unsigned n_threads = count_threads();
    tars_status status = machine_run(&program, &limits, &options, &calls, &result, &err);
    uint64_t late_ms = (platform_clock_ns() - begin_ns) / MS;
    if (status != TARS_OK) {
        check_fail(__FILE__, __LINE__, "%s, %s: %s", compiler, row->argument, err.message);
        linux_destroy(calls);
        return;
    }
    bool is_fault = row->end == MACHINE_FAULT;
    uint32_t code = is_fault ? (uint32_t)result.signal : linux_code(calls);
    if (result.end != row->end || linux_ended(calls) != row->calls_end || code != row->code) {
        check_fail(__FILE__, __LINE__, "%s, %s: end %d %d, code %u: %s%s", compiler, row->argument,
                   result.end, linux_ended(calls), code, result.message,
                   linux_output(calls).data ? linux_output(calls).data : "");
    }
    uint64_t due_ms = row->stop_ms > 0 ? row->stop_ms : row->timeout_ms;
    if (row->calls_end != LINUX_EXITED && !is_fault) {
        printf("    %s ended after %llu of %llu ms\n", row->argument, (unsigned long long)late_ms,
               (unsigned long long)due_ms);
        CHECK(late_ms >= due_ms && late_ms < due_ms + 5000);
    }
    CHECK_INT(linux_threads_refused(calls), row->n_refused);
    for (int i = 0; i < 500 && count_threads() != n_threads; i++) {
        platform_sleep_ns(10 * MS); /* one that was joined is listed for a moment */
    }
    CHECK_INT(count_threads(), n_threads);
    linux_destroy(calls);
}

static void try_compiler(const char *compiler, const char *argument) {
    char command[4000];
    if (!has_machine()) {
        return;
    }
    tree_make();
    snprintf(command, sizeof command, "%s -O1 -w -pthread -static -o '%s' '%s' 2>/dev/null",
             compiler, scratch_path("threads"), check_data_path("microvm/threads.c"));
    if (system(command) != 0) {
        check_skip("no %s here that makes static programs", compiler);
        tree_remove();
        return;
    }
    size_t length;
    uint8_t *bytes = check_read_file(scratch_path("threads"), &length);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        if (!argument || strcmp(argument, rows[i].argument) == 0) {
            try_row(compiler, &rows[i], bytes, length);
        }
    }
    free(bytes);
    tree_remove();
}

static void threads_run(void) {
    try_compiler("cc", NULL);
}

static void threads_of_musl_run(void) {
    try_compiler("musl-gcc", NULL);
}

static const check_test table[] = {
    {"threads run", threads_run},
    {"threads of musl run", threads_of_musl_run},
};

#else

static void is_not_here(void) {
    check_skip("micro-VMs are x86-64 Linux's");
}
static const check_test table[] = {{"is not here", is_not_here}};

#endif

CHECK_MAIN(table)
