/* Strangers' programs in the process sandbox: what each tries, and how that must end. */
#include "platform/platform.h"
#include "runtime/process/sandbox.h"
#include "support/check.h"

#include <stdlib.h>
#include <string.h>

#ifndef __linux__

static void is_not_here(void) {
    check_skip("process sandboxes are Linux's");
}
static const check_test table[] = {{"is not here", is_not_here}};

#else

#define STATIC_GUEST TESTS_BUILD_DIR "/tests/sandbox-guest-static"
#define DYNAMIC_GUEST TESTS_BUILD_DIR "/tests/sandbox-guest"
/* Where nobody gets to, too: without a root folder of its own a guest walks down the real one. */
#define FOLDER "/tmp/tars-sandbox-folder"
#define OUTSIDE "tars-sandbox-outside" /* beside it */

static const uint64_t SECOND_NS = 1000000000;

/* Compiles the guest once; false, and the test is skipped, without a compiler. */
static bool compile(bool is_static) {
    static int done[2];
    const char *program = is_static ? STATIC_GUEST : DYNAMIC_GUEST;
    if (done[is_static] == 0) {
        const char *const arguments[] = {"cc",
                                         "-O1",
                                         "-pthread",
                                         "-o",
                                         program,
                                         check_data_path("sandbox/guest.c"),
                                         is_static ? "-static" : NULL,
                                         NULL};
        const char *const environment[] = {"PATH=/usr/local/bin:/usr/bin:/bin", NULL};
        platform_spawn_options options = {
            .path = "/usr/bin/cc", .arguments = arguments, .environment = environment};
        platform_process process;
        platform_exit how = {0};
        bool works = platform_spawn(&options, &process, NULL) == TARS_OK &&
                     platform_process_wait(&process, 120 * SECOND_NS, &how, NULL) == TARS_OK &&
                     how.exited && how.code == 0;
        done[is_static] = works ? 1 : -1;
    }
    if (done[is_static] < 0) {
        check_skip("no compiler here that makes %s programs", is_static ? "static" : "dynamic");
    }
    return done[is_static] > 0;
}

typedef struct expectation {
    const char *profile, *trial, *argument;
    sandbox_status status;
    int exit_code;
    const char *refused; /* the call that must be named, or NULL: none may be */
    const char *limit;
    const char *output; /* or NULL: not looked at */
} expectation;

static const sandbox_limits small = {.memory_bytes = 64 << 20,
                                     .timeout_ms = 20000,
                                     .output_bytes = 1 << 20,
                                     .file_bytes = 1 << 20,
                                     .n_files = 32,
                                     .n_threads = 16};

static tars_status run(const expectation *e, const char *program, const sandbox_limits *limits,
                       platform_handle input, sandbox_result *result, tars_error *err) {
    const char *const arguments[] = {program, e->trial, e->argument, NULL};
    const char *const environment[] = {"COLOUR=blue", NULL};
    const platform_jail_grant folders[] = {{.host = FOLDER, .guest = FOLDER, .writable = true}};
    sandbox_request request = {.program = program,
                               .arguments = arguments,
                               .environment = environment,
                               .folders = folders,
                               .n_folders = strcmp(e->profile, "strict") == 0 ? 0 : 1,
                               .profile = runtime_profile_find(e->profile),
                               .limits = *limits,
                               .input = input};
    return sandbox_run(&request, result, err);
}

static bool names(const sandbox_result *result, const char *call) {
    for (size_t i = 0; i < result->facts.n_refusals; i++) {
        const char *name = result->facts.refusals[i].name;
        if (name && strcmp(name, call) == 0 && result->facts.refusals[i].count > 0) {
            return true;
        }
    }
    return false;
}

/* Whether a wall is missing whose name begins so. */
static bool lacks(const sandbox_result *result, const char *what) {
    for (size_t i = 0; i < result->facts.n_missing; i++) {
        if (strncmp(result->facts.missing[i], what, strlen(what)) == 0) {
            return true;
        }
    }
    return false;
}

static void check_result(const expectation *e, const sandbox_result *r) {
    const char *text = r->facts.output.data ? r->facts.output.data : "";
    bool unnamed = lacks(r, "names of refused"); /* then a refusal may not be known */
    bool as_expected = (r->status == e->status ||
                        (unnamed && e->status == SANDBOX_DENIED && r->status == SANDBOX_OK)) &&
                       (r->limit != NULL) == (e->limit != NULL) &&
                       (!r->limit || strcmp(r->limit, e->limit) == 0) &&
                       (r->limit || r->exit_code == e->exit_code);
    bool told = unnamed || (e->refused ? names(r, e->refused) : r->facts.n_refusals == 0);
    if (!as_expected || !told) {
        check_fail(
            __FILE__, __LINE__,
            "%s, %s: found %s with %d, limit %s, %zu refused (first %s), \"%.80s\"; expected "
            "%s with %d, limit %s, refused %s",
            e->profile, e->trial, sandbox_status_name(r->status), r->exit_code,
            r->limit ? r->limit : "none", r->facts.n_refusals,
            r->facts.n_refusals > 0 ? r->facts.refusals[0].name : "-", text,
            sandbox_status_name(e->status), e->exit_code, e->limit ? e->limit : "none",
            e->refused ? e->refused : "none");
    }
    if (e->output) {
        CHECK_STRING(text, e->output);
    }
}

static bool is_missing(const char *what) {
    sandbox_result result;
    tars_error err;
    CHECK_INT(sandbox_probe(&result, &err), TARS_OK);
    bool missing = lacks(&result, what);
    sandbox_result_free(&result);
    return missing;
}

/* Whether the profiles with calls for files run here at all. */
static bool files_are_confined(void) {
    return !is_missing("Landlock") ||
           (!is_missing("mount namespace") && !is_missing("root folder"));
}

static void check_rows(const expectation *rows, size_t n, const char *program) {
    bool confined = files_are_confined();
    for (size_t i = 0; i < n; i++) {
        sandbox_result result;
        tars_error err;
        if (!confined && strcmp(rows[i].profile, "strict") != 0) {
            check_skip("files cannot be kept apart here: not all rows");
            continue;
        }
        tars_status status = run(&rows[i], program, &small, PLATFORM_NO_HANDLE, &result, &err);
        if (status != TARS_OK) {
            check_fail(__FILE__, __LINE__, "%s, %s: %s", rows[i].profile, rows[i].trial,
                       err.message);
        } else {
            check_result(&rows[i], &result);
        }
        sandbox_result_free(&result);
    }
}

/* The guest may be the user nobody, whom the folder must let read and write. */
static void prepare_folder(void) {
    const char *const arguments[] = {"chmod", "777", FOLDER, NULL};
    platform_spawn_options options = {.path = "/bin/chmod", .arguments = arguments};
    platform_process process;
    platform_exit how;
    platform_writer writer;
    CHECK_INT(platform_make_folders(FOLDER, NULL), TARS_OK);
    CHECK_INT(platform_writer_open("/tmp/" OUTSIDE, 0644, &writer, NULL), TARS_OK);
    CHECK_INT(platform_writer_commit(&writer, PLATFORM_COMMIT_REPLACE, NULL), TARS_OK);
    CHECK_INT(platform_writer_open(FOLDER "/text", 0644, &writer, NULL), TARS_OK);
    CHECK_INT(platform_writer_write(&writer, "inside\n", 7, NULL), TARS_OK);
    CHECK_INT(platform_writer_commit(&writer, PLATFORM_COMMIT_REPLACE, NULL), TARS_OK);
    CHECK_INT(platform_spawn(&options, &process, NULL), TARS_OK);
    CHECK_INT(platform_process_wait(&process, 10 * SECOND_NS, &how, NULL), TARS_OK);
}

#define CHECK_ROWS(rows, program) check_rows(rows, sizeof(rows) / sizeof((rows)[0]), program)

static void passes_on_how_a_program_ends(void) {
    static const expectation rows[] = {
        {"strict", "exit", "0", SANDBOX_OK, 0, NULL, NULL, ""},
        {"strict", "exit", "7", SANDBOX_OK, 7, NULL, NULL, ""},
        {"strict", "abort", "", SANDBOX_TRAP, 134, NULL, NULL, ""},
        {"strict", "crash", "", SANDBOX_TRAP, 139, NULL, NULL, ""},
        {"strict", "say", "a b", SANDBOX_OK, 0, NULL, NULL, "a b\n"},
        {"strict", "environment", "", SANDBOX_OK, 0, NULL, NULL, "COLOUR=blue\n"},
        {"strict", "copy", "", SANDBOX_OK, 0, NULL, NULL, ""},
    };
    if (compile(true)) {
        CHECK_ROWS(rows, STATIC_GUEST);
    }
}

static void gives_three_descriptors(void) {
    static const expectation rows[] = {
        {"strict", "descriptors", "", SANDBOX_OK, 0, NULL, NULL, "3\n"},
    };
    platform_handle read_end, write_end;
    if (!compile(true)) {
        return;
    }
    CHECK_INT(platform_pipe(&read_end, &write_end, NULL), TARS_OK);
    CHECK_ROWS(rows, STATIC_GUEST);
    platform_handle_close(read_end);
    platform_handle_close(write_end);
}

static void refuses_and_names_calls(void) {
    static const expectation rows[] = {
        {"strict", "socket", "", SANDBOX_DENIED, 9, "socket", NULL, NULL},
        {"strict", "ptrace", "", SANDBOX_DENIED, 9, "ptrace", NULL, NULL},
        {"strict", "mount", "", SANDBOX_DENIED, 9, "mount", NULL, NULL},
        {"strict", "kill", "", SANDBOX_DENIED, 9, "kill", NULL, NULL},
        {"strict", "kill-all", "", SANDBOX_DENIED, 9, "kill", NULL, NULL},
        {"strict", "become-root", "", SANDBOX_DENIED, 9, "setuid", NULL, NULL},
        {"strict", "namespace", "", SANDBOX_DENIED, 9, "unshare", NULL, NULL},
        {"strict", "start", "/bin/true", SANDBOX_DENIED, 9, "execve", NULL, NULL},
        {"strict", "writable-code", "", SANDBOX_DENIED, 9, "mmap", NULL, NULL},
        {"strict", "read", "/etc/passwd", SANDBOX_DENIED, 9, "openat", NULL, NULL},
        {"strict", "thread", "", SANDBOX_DENIED, 9, "clone", NULL, NULL},
        {"standard", "socket", "", SANDBOX_DENIED, 9, "socket", NULL, NULL},
        {"standard", "kill-all", "", SANDBOX_DENIED, 9, "kill", NULL, NULL},
        {"standard", "forks", "", SANDBOX_DENIED, 9, "clone", NULL, NULL},
        {"trusted", "ptrace", "", SANDBOX_DENIED, 9, "ptrace", NULL, NULL},
    };
    if (compile(true)) {
        prepare_folder();
        CHECK_ROWS(rows, STATIC_GUEST);
    }
}

static void keeps_within_folders(void) {
    static const expectation rows[] = {
        {"standard", "read", FOLDER "/text", SANDBOX_OK, 0, NULL, NULL, "inside\n"},
        {"standard", "read", FOLDER "/../" OUTSIDE, SANDBOX_OK, 9, NULL, NULL, ""},
        {"standard", "read", "/etc/passwd", SANDBOX_OK, 9, NULL, NULL, ""},
        {"standard", "read", "/proc/1/environ", SANDBOX_OK, 9, NULL, NULL, ""},
        {"standard", "write", "/dev/null", SANDBOX_OK, 0, NULL, NULL, ""},
        {"standard", "write", "/usr/new", SANDBOX_OK, 9, NULL, NULL, ""},
    };
    if (!compile(true) || !compile(false)) {
        return;
    }
    prepare_folder();
    CHECK_ROWS(rows, STATIC_GUEST);
    CHECK_ROWS(rows, DYNAMIC_GUEST);
}

static void runs_dynamic_programs_where_granted(void) {
    static const expectation rows[] = {
        {"standard", "say", "hello", SANDBOX_OK, 0, NULL, NULL, "hello\n"},
        {"standard", "thread", "", SANDBOX_OK, 0, NULL, NULL, ""},
        {"trusted", "exit", "3", SANDBOX_OK, 3, NULL, NULL, ""},
    };
    if (!compile(false)) {
        return;
    }
    prepare_folder();
    CHECK_ROWS(rows, DYNAMIC_GUEST);
    expectation refused = {.profile = "strict", .trial = "say", .argument = ""};
    sandbox_result result;
    tars_error err;
    CHECK_INT(run(&refused, DYNAMIC_GUEST, &small, PLATFORM_NO_HANDLE, &result, &err), TARS_DENIED);
    CHECK(strstr(err.hint, "-static") != NULL);
    sandbox_result_free(&result);
}

static void ends_bombs_at_their_limits(void) {
    static const expectation rows[] = {
        {"strict", "memory", "", SANDBOX_LIMIT, 0, NULL, "memory", ""},
        {"strict", "flood", "", SANDBOX_LIMIT, 0, NULL, "output", NULL},
        {"standard", "threads", "", SANDBOX_OK, 9, NULL, NULL, ""},
    };
    if (compile(true)) {
        prepare_folder();
        CHECK_ROWS(rows, STATIC_GUEST);
    }
}

static void ends_files_at_their_limit(void) {
    static const expectation rows[] = {
        {"standard", "file", "bomb", SANDBOX_LIMIT, 0, NULL, "file_size", ""},
        {"standard", "write", FOLDER "/written", SANDBOX_OK, 0, NULL, NULL, ""},
    };
    if (!compile(true)) {
        return;
    }
    prepare_folder();
    CHECK_ROWS(rows, STATIC_GUEST);
    (void)platform_remove(FOLDER "/bomb", NULL);
    (void)platform_remove(FOLDER "/written", NULL);
}

static void ends_in_time(void) {
    static const expectation rows[] = {
        {"strict", "loop", "", SANDBOX_LIMIT, 0, NULL, "time", ""},
        {"strict", "sleep", "", SANDBOX_LIMIT, 0, NULL, "time", ""},
    };
    if (!compile(true)) {
        return;
    }
    sandbox_limits limits = small;
    limits.timeout_ms = 300;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        sandbox_result result;
        tars_error err;
        uint64_t start = platform_clock_ns();
        CHECK_INT(run(&rows[i], STATIC_GUEST, &limits, PLATFORM_NO_HANDLE, &result, &err), TARS_OK);
        check_result(&rows[i], &result);
        CHECK(platform_clock_ns() - start < 3 * SECOND_NS);
        CHECK(result.facts.wall_ns >= 300 * SECOND_NS / 1000);
        sandbox_result_free(&result);
    }
}

static void reads_input(void) {
    static const expectation row = {"strict", "copy", "", SANDBOX_OK, 0, NULL, NULL, "inside\n"};
    platform_file file;
    sandbox_result result;
    tars_error err;
    if (!compile(true)) {
        return;
    }
    prepare_folder();
    CHECK_INT(platform_file_open(FOLDER "/text", &file, &err), TARS_OK);
    CHECK_INT(run(&row, STATIC_GUEST, &small, file.handle, &result, &err), TARS_OK);
    check_result(&row, &result);
    CHECK_INT(result.facts.bytes_in, 7);
    CHECK(result.facts.wall_ns > 0);
    CHECK(result.facts.memory_peak_bytes > 0);
    sandbox_result_free(&result);
    platform_file_close(&file);
}

static void is_nobody(void) {
    static const expectation row = {"strict", "user", "",   SANDBOX_OK,
                                    0,        NULL,   NULL, "65534 65534\n"};
    if (!compile(true)) {
        return;
    }
    if (!platform_is_root() && is_missing("user and process namespace")) {
        check_skip("neither root nor user namespaces: the program keeps this user");
        return;
    }
    check_rows(&row, 1, STATIC_GUEST);
}

static void tells_wrong_programs(void) {
    static const struct {
        const char *program;
        tars_status status;
    } rows[] = {
        {"/no/such/program", TARS_NOT_FOUND},
        {"/usr", TARS_USAGE},
        {FOLDER "/text", TARS_UNSUPPORTED},
    };
    expectation e = {.profile = "standard", .trial = "say", .argument = ""};
    prepare_folder();
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        sandbox_result result;
        tars_error err;
        CHECK_INT(run(&e, rows[i].program, &small, PLATFORM_NO_HANDLE, &result, &err),
                  rows[i].status);
        sandbox_result_free(&result);
    }
}

static const check_test table[] = {
    {"passes on how a program ends", passes_on_how_a_program_ends},
    {"gives three descriptors", gives_three_descriptors},
    {"refuses and names calls", refuses_and_names_calls},
    {"keeps within folders", keeps_within_folders},
    {"runs dynamic programs where granted", runs_dynamic_programs_where_granted},
    {"ends bombs at their limits", ends_bombs_at_their_limits},
    {"ends files at their limit", ends_files_at_their_limit},
    {"ends in time", ends_in_time},
    {"reads input", reads_input},
    {"is nobody", is_nobody},
    {"tells wrong programs", tells_wrong_programs},
};

#endif

CHECK_MAIN(table)
