#include "runtime/process/programs.h"

#include "base/text.h"
#include "runtime/process/program.h"
#include "runtime/process/sandbox.h"

#include <stdlib.h>
#include <string.h>

typedef struct process_image {
    char path[PLATFORM_PATH_BYTES];
} process_image;

typedef struct process_instance {
    const process_image *image;
    const runtime_profile *profile;
    sandbox_limits limits;
} process_instance;

static tars_status process_open(const runtime_source *source, void **image, tars_error *err) {
    if (source->bytes) {
        return error_set(err, TARS_UNSUPPORTED, "the runtime native runs programs of files only");
    }
    process_image *i = malloc(sizeof *i);
    if (!i) {
        return error_set(err, TARS_OUT_OF_MEMORY, "no memory for an image");
    }
    size_t length = strlen(source->path);
    if (length >= sizeof i->path) {
        free(i);
        return error_set(err, TARS_USAGE, "the program's path has %zu bytes", length);
    }
    memcpy(i->path, source->path, length + 1);
    char loader[PROGRAM_INTERPRETER_BYTES];
    tars_status status = program_interpreter(i->path, loader, err);
    if (status != TARS_OK) {
        free(i);
        return status;
    }
    *image = i;
    return TARS_OK;
}

static tars_status process_spawn(void *image, const runtime_limits *limits,
                                 const runtime_profile *profile, void **instance, tars_error *err) {
    process_instance *p = malloc(sizeof *p);
    if (!p) {
        return error_set(err, TARS_OUT_OF_MEMORY, "no memory for an instance");
    }
    *p = (process_instance){.image = image,
                            .profile = profile,
                            .limits = {.memory_bytes = limits->memory_bytes,
                                       .timeout_ms = limits->timeout_ms,
                                       .output_bytes = limits->output_bytes,
                                       .file_bytes = limits->file_bytes,
                                       .n_files = limits->n_files,
                                       .n_threads = limits->n_threads}};
    *instance = p;
    return TARS_OK;
}

static void take_refusals(const platform_jail_result *f, runtime_violations *out) {
    for (size_t i = 0; i < f->n_refusals; i++) {
        const platform_jail_refusal *refusal = &f->refusals[i];
        char name[RUNTIME_NAME_BYTES];
        text_buffer text;
        text_init(&text, name, sizeof name);
        if (refusal->name) {
            text_append_string(&text, refusal->name);
        } else {
            text_format(&text, "call_%u", (unsigned)refusal->number);
        }
        runtime_violations_add(out, "syscall", name, refusal->count);
    }
}

static void take_missing(const platform_jail_result *f, runtime_outcome *out) {
    _Static_assert((int)RUNTIME_MAX_MISSING >= (int)PLATFORM_JAIL_MISSING, "room for all of them");
    _Static_assert((int)RUNTIME_MISSING_BYTES >= (int)PLATFORM_JAIL_TEXT_BYTES, "room for each");
    for (size_t i = 0; i < f->n_missing; i++) {
        memcpy(out->missing[i], f->missing[i], sizeof f->missing[i]);
    }
    out->n_missing = f->n_missing;
}

static void release(void *kept) {
    sandbox_result_free(kept);
    free(kept);
}

static runtime_bytes bytes_of(const platform_jail_bytes *bytes) {
    return (runtime_bytes){bytes->data ? bytes->data : "", bytes->data ? bytes->length : 0};
}

/* `result` is the outcome's from here on. */
static void take_result(sandbox_result *result, runtime_outcome *out) {
    static const runtime_end ends[SANDBOX_STATUS_COUNT] = {[SANDBOX_OK] = RUNTIME_OK,
                                                           [SANDBOX_TRAP] = RUNTIME_TRAP,
                                                           [SANDBOX_LIMIT] = RUNTIME_LIMIT,
                                                           [SANDBOX_DENIED] = RUNTIME_DENIED};
    const platform_jail_result *f = &result->facts;
    out->end = ends[result->status];
    out->exit_code = result->exit_code;
    out->signal = f->signal;
    out->limit = result->limit;
    if (f->signal != 0) {
        text_buffer text;
        text_init(&text, out->message, sizeof out->message);
        text_format(&text, "signal %d (%s) ended it", f->signal, f->signal_text);
    }
    out->output = bytes_of(&f->output);
    out->errors = bytes_of(&f->errors);
    out->usage.wall_ns = f->wall_ns;
    out->usage.cpu_ns = f->cpu_ns;
    out->usage.memory_peak_bytes = f->memory_peak_bytes;
    out->usage.bytes_in = f->bytes_in;
    out->usage.bytes_out = f->output.length + f->errors.length;
    take_refusals(f, &out->violations);
    if (result->limit) {
        runtime_violations_add(&out->violations, "limit", result->limit, 1);
    }
    take_missing(f, out);
    out->kept = result;
    out->release = release;
}

static tars_status process_poll(void *instance, const runtime_request *request,
                                const runtime_control *control, runtime_outcome *out,
                                tars_error *err) {
    const process_instance *p = instance;
    platform_jail_grant grants[RUNTIME_MAX_FOLDERS];
    _Static_assert((int)RUNTIME_MAX_FOLDERS <= (int)SANDBOX_MAX_FOLDERS, "all can be granted");
    for (size_t i = 0; i < request->n_folders; i++) {
        const runtime_folder *f = &request->folders[i];
        grants[i] =
            (platform_jail_grant){.host = f->host, .guest = f->guest, .writable = f->writable};
    }
    sandbox_request plan = {.program = p->image->path,
                            .arguments = request->arguments,
                            .environment = request->environment,
                            .folders = grants,
                            .n_folders = request->n_folders,
                            .profile = p->profile,
                            .limits = p->limits,
                            .input = request->input,
                            .goes_on = control->goes_on,
                            .user = control->user};
    sandbox_result *result = calloc(1, sizeof *result);
    if (!result) {
        return error_set(err, TARS_OUT_OF_MEMORY, "no memory for a result");
    }
    tars_status status = sandbox_run(&plan, result, err);
    if (status == TARS_OK) {
        take_result(result, out);
    } else {
        release(result);
    }
    return status;
}

/* Each request is a process of its own: nothing of it is left. */
static tars_status process_reset(void *instance, tars_error *err) {
    (void)instance;
    (void)err;
    return TARS_OK;
}

const runtime_functions process_programs = {
    .defaults = {.memory_bytes = 256 << 20,
                 .timeout_ms = 30000,
                 .output_bytes = 16 << 20,
                 .file_bytes = 64 << 20,
                 .n_files = 64,
                 .n_threads = 32},
    .open = process_open,
    .close = free,
    .spawn = process_spawn,
    .poll = process_poll,
    .reset = process_reset,
    .kill = free,
};
