/* A stranger's program in a process sandbox: which profile allows what, which limits hold, and how
 * the end is told. The walls themselves are the platform's (platform_jail_run). Ownership: a
 * request is the caller's plain memory and borrowed for the call; a result is given back with
 * sandbox_result_free. */
#ifndef RUNTIME_PROCESS_SANDBOX_H
#define RUNTIME_PROCESS_SANDBOX_H

#include "platform/platform.h"
#include "runtime/profile.h"

enum { SANDBOX_MAX_FOLDERS = 32 };

/* All of them hold; none may be 0. */
typedef struct sandbox_limits {
    uint64_t memory_bytes; /* of all its threads together, or its address space: see `missing` */
    uint64_t timeout_ms;   /* on the wall */
    uint64_t output_bytes; /* standard output and standard error together */
    uint64_t file_bytes;   /* of any file it writes */
    uint32_t n_files, n_threads;
} sandbox_limits;
#define SANDBOX_LIMITS_DEFAULTS                                                                    \
    {.memory_bytes = 256 << 20,                                                                    \
     .timeout_ms = 30000,                                                                          \
     .output_bytes = 16 << 20,                                                                     \
     .file_bytes = 64 << 20,                                                                       \
     .n_files = 64,                                                                                \
     .n_threads = 32}

/* `folders`: host paths and absolute guest paths, at most SANDBOX_MAX_FOLDERS; the first one is the
 * program's working folder. `input` gives its standard input and stays the caller's;
 * PLATFORM_NO_HANDLE is an empty one. The environment has nothing but what is named. */
typedef struct sandbox_request {
    const char *program;
    const char *const *arguments;   /* argv, argv[0] included, NULL at the end */
    const char *const *environment; /* "K=V", NULL at the end */
    const platform_jail_grant *folders;
    size_t n_folders;
    const runtime_profile *profile;
    sandbox_limits limits;
    platform_handle input;
    bool (*goes_on)(void *user); /* asked while it runs, may end it; NULL: never */
    void *user;
} sandbox_request;

typedef enum sandbox_status {
    SANDBOX_OK,     /* it ended by itself; `exit_code` is its own */
    SANDBOX_TRAP,   /* a signal ended it: a crash, or abort */
    SANDBOX_LIMIT,  /* it was ended at a limit, the one that `limit` names */
    SANDBOX_DENIED, /* it was refused something and then did not end with 0 */
    SANDBOX_STATUS_COUNT
} sandbox_status;

typedef struct sandbox_result {
    sandbox_status status;
    int exit_code;     /* its own, 128 + number after a signal, -1 after a limit */
    const char *limit; /* "memory", "time", "output", "file_size", or NULL */
    platform_jail_result facts;
} sandbox_result;

/* Runs the program to its end. Fails, with nothing run, when the program cannot be started: DENIED
 * when the profile does not let it read what it needs, UNAVAILABLE without process sandboxes. */
tars_status sandbox_run(const sandbox_request *request, sandbox_result *out, tars_error *err);
void sandbox_result_free(sandbox_result *result);
/* "ok", "trap", "limit", "denied" */
const char *sandbox_status_name(sandbox_status status);
/* What the sandbox lacks on this machine, found by making one with nothing in it. Fills `out`,
 * which is given back with sandbox_result_free. */
tars_status sandbox_probe(sandbox_result *out, tars_error *err);

#endif
