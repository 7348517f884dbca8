#include "runtime/process/sandbox.h"

#include "runtime/process/program.h"

#include <string.h>

/* What dynamically linked programs read to start, and the place to read and write nothing. */
static const platform_jail_grant system_libraries[] = {
    {.host = "/usr", .guest = "/usr", .optional = true},
    {.host = "/lib", .guest = "/lib", .optional = true},
    {.host = "/lib64", .guest = "/lib64", .optional = true},
    {.host = "/etc/ld.so.cache", .guest = "/etc/ld.so.cache", .optional = true},
    {.host = "/dev/null", .guest = "/dev/null", .writable = true, .optional = true},
};
enum { N_LIBRARIES = sizeof system_libraries / sizeof system_libraries[0] };

const char *sandbox_status_name(sandbox_status status) {
    static const char *const names[SANDBOX_STATUS_COUNT] = {"ok", "trap", "limit", "denied"};
    return names[status];
}

static bool lies_below(const char *path, const char *folder) {
    size_t length = strlen(folder);
    while (length > 0 && folder[length - 1] == '/') {
        length--;
    }
    return strncmp(path, folder, length) == 0 && (path[length] == '/' || path[length] == '\0');
}

/* A dynamically linked program without its loader would fail with a message that tells nothing. */
static tars_status check_program(const sandbox_request *request, tars_error *err) {
    char loader[PROGRAM_INTERPRETER_BYTES];
    tars_status status = program_interpreter(request->program, loader, err);
    if (status != TARS_OK || loader[0] == '\0' || request->profile->system_libraries) {
        return status;
    }
    for (size_t i = 0; i < request->n_folders; i++) {
        if (lies_below(loader, request->folders[i].guest)) {
            return TARS_OK;
        }
    }
    error_set(err, TARS_DENIED,
              "the profile %s runs statically linked programs only; this one needs %s",
              request->profile->name, loader);
    error_where(err, "%s", request->program);
    return error_hint(err, "link it with -static, use --profile standard, or grant the libraries: "
                           "--dir /lib64::/lib64:ro --dir /lib::/lib:ro --dir /usr::/usr:ro");
}

static tars_status check_request(const sandbox_request *request, tars_error *err) {
    const sandbox_limits *l = &request->limits;
    if (l->memory_bytes == 0 || l->timeout_ms == 0 || l->output_bytes == 0 || l->file_bytes == 0 ||
        l->n_files == 0 || l->n_threads == 0) {
        return error_set(err, TARS_USAGE, "a limit of the sandbox is 0; expected at least 1");
    }
    if (l->timeout_ms > UINT64_MAX / 2000000 || l->memory_bytes > UINT64_MAX / 8) {
        return error_set(err, TARS_USAGE, "a limit of the sandbox is beyond what can be counted");
    }
    if (request->n_folders > SANDBOX_MAX_FOLDERS) {
        return error_set(err, TARS_USAGE, "%zu folders are granted; at most %d can be",
                         request->n_folders, (int)SANDBOX_MAX_FOLDERS);
    }
    for (size_t i = 0; i < request->n_folders; i++) {
        const platform_jail_grant *g = &request->folders[i];
        if (g->host[0] == '\0' || g->guest[0] != '/' || g->guest[1] == '\0' ||
            strstr(g->guest, "/..") != NULL) {
            error_set(err, TARS_USAGE, "the folder \"%.80s\" cannot be granted as \"%.80s\"",
                      g->host, g->guest);
            return error_hint(err, "give a path of this machine and an absolute one for the "
                                   "program, below / and without ..");
        }
    }
    return TARS_OK;
}

/* How the end reads to who asked for the run. */
static void judge(sandbox_result *out) {
    static const char *const limits[] = {[PLATFORM_JAIL_TIME] = "time",
                                         [PLATFORM_JAIL_MEMORY] = "memory",
                                         [PLATFORM_JAIL_OUTPUT] = "output",
                                         [PLATFORM_JAIL_FILE_SIZE] = "file_size"};
    const platform_jail_result *f = &out->facts;
    if (f->end >= PLATFORM_JAIL_TIME) {
        out->status = SANDBOX_LIMIT;
        out->limit = limits[f->end];
        out->exit_code = -1;
        return;
    }
    bool exited = f->end == PLATFORM_JAIL_EXITED;
    out->exit_code = exited ? f->code : 128 + f->signal;
    out->status = exited ? SANDBOX_OK : SANDBOX_TRAP;
    if (out->exit_code != 0 && f->n_refusals > 0) {
        out->status = SANDBOX_DENIED;
    }
}

static tars_status run(const sandbox_request *request, const platform_jail_grant *grants,
                       size_t n_grants, sandbox_result *out, tars_error *err) {
    const sandbox_limits *l = &request->limits;
    platform_jail_options options = {
        .program = request->program,
        .arguments = request->arguments,
        .environment = request->environment,
        .grants = grants,
        .n_grants = n_grants,
        .folder = request->n_folders > 0 ? request->folders[0].guest : NULL,
        /* a granted folder is of no use without the calls for files */
        .file_calls = request->profile->file_calls || request->n_folders > 0,
        .calls = request->profile->calls,
        .input = request->input,
        .memory_bytes = l->memory_bytes,
        .output_bytes = l->output_bytes,
        .file_bytes = l->file_bytes,
        .timeout_ns = l->timeout_ms * 1000000,
        .n_files = l->n_files,
        .n_threads = l->n_threads,
        .goes_on = request->goes_on,
        .user = request->user,
    };
    tars_status status = platform_jail_run(&options, &out->facts, err);
    if (status == TARS_OK) {
        judge(out);
    }
    return status;
}

tars_status sandbox_run(const sandbox_request *request, sandbox_result *out, tars_error *err) {
    platform_jail_grant grants[SANDBOX_MAX_FOLDERS + N_LIBRARIES];
    *out = (sandbox_result){0};
    tars_status status = check_request(request, err);
    if (status == TARS_OK) {
        status = check_program(request, err);
    }
    if (status != TARS_OK) {
        return status;
    }
    size_t n = 0;
    for (size_t i = 0; request->profile->system_libraries && i < N_LIBRARIES; i++) {
        grants[n++] = system_libraries[i];
    }
    for (size_t i = 0; i < request->n_folders; i++) {
        grants[n++] = request->folders[i];
    }
    return run(request, grants, n, out, err);
}

void sandbox_result_free(sandbox_result *result) {
    platform_jail_free(&result->facts);
}

tars_status sandbox_probe(sandbox_result *out, tars_error *err) {
    static const char *const nothing[] = {NULL};
    sandbox_request request = {.arguments = nothing,
                               .environment = nothing,
                               .profile = runtime_profile_find("strict"),
                               .limits = SANDBOX_LIMITS_DEFAULTS,
                               .input = PLATFORM_NO_HANDLE};
    *out = (sandbox_result){0};
    return run(&request, NULL, 0, out, err);
}
