#include "runtime/microvm/programs.h"

#include "base/text.h"
#include "platform/snapshot.h"
#include "platform/vmm.h"
#include "runtime/microvm/host_process.h"
#include "runtime/microvm/machine.h"

#include <stdlib.h>
#include <string.h>

enum { MAX_PROGRAM_BYTES = 256 << 20 };

typedef struct microvm_image {
    char *bytes;
    size_t length;
    char name[PLATFORM_PATH_BYTES];
    bool isolate_host;
    platform_snapshot shared; /* its bytes, with isolate_host */
} microvm_image;

typedef struct microvm_instance {
    const microvm_image *image;
    const runtime_profile *profile;
    runtime_limits limits;
} microvm_instance;

bool microvm_is_built_in(void) {
    return platform_vmm() != NULL;
}

tars_status microvm_probe(tars_error *err) {
    return machine_probe(err);
}

static void microvm_close(void *image) {
    microvm_image *i = image;
    platform_snapshot_destroy(&i->shared);
    free(i->bytes);
    free(i);
}

static tars_status read_program(const runtime_source *source, microvm_image *i, tars_error *err) {
    text_buffer text;
    text_init(&text, i->name, sizeof i->name);
    text_append_string(&text, source->path);
    if (!source->bytes) {
        return platform_file_read_all(source->path, MAX_PROGRAM_BYTES, &i->bytes, &i->length, err);
    }
    i->bytes = malloc(source->length + 1);
    if (!i->bytes) {
        return error_set(err, TARS_OUT_OF_MEMORY, "no memory for a program");
    }
    memcpy(i->bytes, source->bytes, source->length);
    i->length = source->length;
    return TARS_OK;
}

/* For the processes that run it. */
static tars_status share(microvm_image *i, tars_error *err) {
    tars_status status = platform_snapshot_begin(i->length, &i->shared, err);
    if (status == TARS_OK) {
        status = platform_snapshot_put(&i->shared, 0, i->bytes, i->length, err);
    }
    if (status == TARS_OK) {
        status = platform_snapshot_seal(&i->shared, err);
    }
    return status;
}

static tars_status microvm_open(const runtime_source *source, void **image, tars_error *err) {
    microvm_image *i = calloc(1, sizeof *i);
    if (!i) {
        return error_set(err, TARS_OUT_OF_MEMORY, "no memory for an image");
    }
    i->shared.handle = PLATFORM_NO_HANDLE;
    i->isolate_host = source->isolate_host;
    tars_status status = read_program(source, i, err);
    if (status == TARS_OK) {
        machine_program program = {
            .bytes = (const uint8_t *)i->bytes, .length = i->length, .name = i->name};
        status = machine_check(&program, err);
    }
    if (status == TARS_OK && i->isolate_host) {
        status = share(i, err);
    }
    if (status != TARS_OK) {
        microvm_close(i);
        i = NULL;
    }
    *image = i;
    return status;
}

static tars_status microvm_spawn(void *image, const runtime_limits *limits,
                                 const runtime_profile *profile, void **instance, tars_error *err) {
    microvm_instance *i = malloc(sizeof *i);
    if (!i) {
        return error_set(err, TARS_OUT_OF_MEMORY, "no memory for an instance");
    }
    *i = (microvm_instance){.image = image, .profile = profile, .limits = *limits};
    *instance = i;
    return TARS_OK;
}

/* ---- the end ----------------------------------------------------------------------------- */

static void release(void *context) {
    linux_destroy(context);
}

static runtime_bytes bytes_of(linux_bytes bytes) {
    return (runtime_bytes){bytes.data ? bytes.data : "", bytes.data ? bytes.length : 0};
}

/* The limit that ended it, or NULL. */
static const char *limit_of(const machine_result *result, linux_end end) {
    if (result->end == MACHINE_TIME || (result->end == MACHINE_ENDED && end == LINUX_TIME)) {
        return "time";
    }
    if (result->end == MACHINE_MEMORY) {
        return "memory";
    }
    bool by_call = result->end == MACHINE_ENDED;
    return by_call && end == LINUX_OUTPUT      ? "output"
           : by_call && end == LINUX_FILE_SIZE ? "file_size"
                                               : NULL;
}

static void take_signal(int number, const char *message, runtime_outcome *out) {
    text_buffer text;
    text_init(&text, out->message, sizeof out->message);
    text_append_string(&text, message);
    out->end = RUNTIME_TRAP;
    out->signal = number;
    out->exit_code = 128 + number;
}

static void judge(const machine_result *result, const linux_context *context,
                  runtime_outcome *out) {
    linux_end end = linux_ended(context);
    bool is_refused = out->violations.count > 0;
    out->limit = limit_of(result, end);
    if (linux_threads_refused(context) > 0) {
        runtime_violations_add(&out->violations, "limit", "threads",
                               linux_threads_refused(context));
    }
    if (result->n_memory_refused > 0) {
        runtime_violations_add(&out->violations, "limit", "memory", result->n_memory_refused);
    }
    if (out->limit) {
        out->end = RUNTIME_LIMIT;
        if (result->n_memory_refused == 0 || strcmp(out->limit, "memory") != 0) {
            runtime_violations_add(&out->violations, "limit", out->limit, 1);
        }
        return;
    }
    if (result->end == MACHINE_FAULT) {
        take_signal(result->signal, result->message, out);
    } else if (end == LINUX_SIGNALLED) {
        take_signal((int)linux_code(context), "a signal that it sent itself", out);
    } else {
        out->end = RUNTIME_OK;
        out->exit_code = (int)linux_code(context);
    }
    bool gave_up = out->exit_code != 0 && result->n_memory_refused > 0 &&
                   result->end != MACHINE_FAULT; /* it was told so */
    if (gave_up) {
        out->end = RUNTIME_LIMIT;
        out->limit = "memory";
    } else if (out->exit_code != 0 && is_refused) {
        out->end = RUNTIME_DENIED;
    }
}

static tars_status take_result(const machine_result *result, linux_context *context,
                               runtime_outcome *out, tars_error *err) {
    linux_end end = linux_ended(context);
    if (result->end == MACHINE_STOPPED || (result->end == MACHINE_ENDED && end == LINUX_STOPPED)) {
        return error_set(err, TARS_CANCELLED, "the program was ended: cancelled");
    }
    if (result->end == MACHINE_ENDED && end == LINUX_NO_MEMORY) {
        return error_set(err, TARS_OUT_OF_MEMORY, "no memory for what the program asked for");
    }
    linux_add_usage(context, &out->usage);
    out->violations = *linux_violations(context);
    out->output = bytes_of(linux_output(context));
    out->errors = bytes_of(linux_errors(context));
    judge(result, context, out);
    return TARS_OK;
}

/* ---- running ----------------------------------------------------------------------------- */

tars_status microvm_run(const machine_program *program, const machine_limits *limits,
                        linux_options *options, runtime_outcome *out, tars_error *err) {
    uint64_t begin_ns = platform_clock_ns();
    uint64_t cpu_ns = platform_thread_cpu_ns();
    machine_result result;
    linux_context *context = NULL;
    tars_status status = machine_run(program, limits, options, &context, &result, err);
    out->usage.wall_ns = platform_clock_ns() - begin_ns;
    out->usage.cpu_ns = platform_thread_cpu_ns() - cpu_ns + result.others_cpu_ns;
    out->usage.start_ns = result.start_ns;
    out->usage.memory_peak_bytes = result.memory_peak_bytes;
    if (status == TARS_OK) {
        status = take_result(&result, context, out, err);
    }
    if (status == TARS_OK) {
        out->kept = context;
        out->release = release;
    } else if (context) {
        linux_destroy(context);
    }
    return status;
}

/* Where clocks are rounded there is one: another that counts would be a clock. */
static uint32_t count_threads(const microvm_instance *i) {
    return i->profile->clock_resolution_ns > 0 ? 1 : i->limits.n_threads;
}

/* Half of its threads: some runtimes have helpers beside one thread for each processor. */
static uint32_t count_processors(uint32_t n_threads) {
    uint32_t most = (n_threads + 1) / 2;
    uint32_t there = platform_cpu_count();
    return there < most ? there : most;
}

static tars_status run_apart(const microvm_instance *i, const runtime_request *request,
                             const runtime_control *control, runtime_outcome *out,
                             tars_error *err) {
    host_start start = {.request = {.memory_bytes = i->limits.memory_bytes,
                                    .stack_bytes = i->limits.stack_bytes,
                                    .output_bytes = i->limits.output_bytes,
                                    .file_bytes = i->limits.file_bytes,
                                    .timeout_ms = i->limits.timeout_ms,
                                    .clock_resolution_ns = i->profile->clock_resolution_ns,
                                    .n_files = i->limits.n_files,
                                    .n_threads = count_threads(i),
                                    .n_processors = count_processors(count_threads(i)),
                                    .file_calls = i->profile->file_calls},
                        .image = &i->image->shared,
                        .image_bytes = i->image->length,
                        .name = i->image->name,
                        .asked = request};
    return host_process_run(&start, control, out, err);
}

static tars_status microvm_poll(void *instance, const runtime_request *request,
                                const runtime_control *control, runtime_outcome *out,
                                tars_error *err) {
    const microvm_instance *i = instance;
    if (i->image->isolate_host) {
        return run_apart(i, request, control, out, err);
    }
    linux_folder folders[RUNTIME_MAX_FOLDERS];
    for (size_t f = 0; f < request->n_folders; f++) {
        folders[f] = (linux_folder){.host = request->folders[f].host,
                                    .guest = request->folders[f].guest,
                                    .writable = request->folders[f].writable};
    }
    linux_options options = {.folders = folders,
                             .n_folders = request->n_folders,
                             .files = i->profile->file_calls,
                             .input = request->input,
                             .output_bytes = i->limits.output_bytes,
                             .file_bytes = i->limits.file_bytes,
                             .n_files = i->limits.n_files,
                             .n_threads = count_threads(i),
                             .n_processors = count_processors(count_threads(i)),
                             .clock_resolution_ns = i->profile->clock_resolution_ns,
                             .goes_on = control->goes_on,
                             .user = control->user};
    machine_program program = {.bytes = (const uint8_t *)i->image->bytes,
                               .length = i->image->length,
                               .name = i->image->name,
                               .arguments = request->arguments,
                               .environment = request->environment};
    machine_limits limits = {.memory_bytes = i->limits.memory_bytes,
                             .stack_bytes = i->limits.stack_bytes,
                             .deadline_ns = platform_clock_ns() + i->limits.timeout_ms * 1000000};
    return microvm_run(&program, &limits, &options, out, err);
}

/* Each request is a machine of its own: nothing of it is left. */
static tars_status microvm_reset(void *instance, tars_error *err) {
    (void)instance;
    (void)err;
    return TARS_OK;
}

const runtime_functions microvm_programs = {
    .defaults = {.memory_bytes = 64 << 20,
                 .timeout_ms = 30000,
                 .output_bytes = 16 << 20,
                 .file_bytes = 64 << 20,
                 .stack_bytes = 1 << 20,
                 .n_files = 64,
                 .n_threads = 16},
    .isolates_host = true,
    .open = microvm_open,
    .close = microvm_close,
    .spawn = microvm_spawn,
    .poll = microvm_poll,
    .reset = microvm_reset,
    .kill = free,
};
