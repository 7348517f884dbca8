#include "runtime/wasm/programs.h"

#include "runtime/wasm/stranger.h"

#include <stdlib.h>
#include <string.h>

typedef struct wasm_instance {
    const stranger_module *module;
    const runtime_profile *profile;
    stranger_limits limits;
} wasm_instance;

static tars_status wasm_open(const runtime_source *source, void **image, tars_error *err) {
    const runtime_limits *l = source->limits;
    if (l->stack_bytes < STRANGER_MIN_STACK_BYTES || l->stack_bytes > STRANGER_MAX_STACK_BYTES) {
        return error_set(err, TARS_USAGE, "a stack of %llu bytes; 64 KiB to 16 MiB are possible",
                         (unsigned long long)l->stack_bytes);
    }
    stranger_code code =
        stranger_code_for(source->without_proposals, l->fuel > 0, l->memory_bytes, l->stack_bytes);
    char *read = NULL;
    size_t length = source->length;
    tars_status status = TARS_OK;
    if (!source->bytes) {
        status =
            platform_file_read_all(source->path, STRANGER_MAX_MODULE_BYTES, &read, &length, err);
    }
    if (status != TARS_OK) {
        return status;
    }
    const uint8_t *bytes = source->bytes ? source->bytes : (const uint8_t *)read;
    stranger_module *module = NULL;
    status = stranger_open(bytes, length, &code, source->artifacts, &module, err);
    if (status != TARS_OK) {
        error_where(err, "%s", source->path);
    }
    free(read);
    *image = module;
    return status;
}

static void wasm_close(void *image) {
    stranger_close(image);
}

static tars_status wasm_spawn(void *image, const runtime_limits *limits,
                              const runtime_profile *profile, void **instance, tars_error *err) {
    wasm_instance *i = malloc(sizeof *i);
    if (!i) {
        return error_set(err, TARS_OUT_OF_MEMORY, "no memory for an instance");
    }
    *i = (wasm_instance){.module = image,
                         .profile = profile,
                         .limits = {.memory_bytes = limits->memory_bytes,
                                    .table_elements = limits->table_elements,
                                    .fuel = limits->fuel,
                                    .timeout_ns = limits->timeout_ms * 1000000,
                                    .output_bytes = limits->output_bytes,
                                    .file_bytes = limits->file_bytes,
                                    .n_files = limits->n_files}};
    *instance = i;
    return TARS_OK;
}

static void release(void *kept) {
    stranger_result_free(kept);
    free(kept);
}

static runtime_bytes bytes_of(const wasi_bytes *bytes) {
    return (runtime_bytes){bytes->data ? bytes->data : "", bytes->data ? bytes->length : 0};
}

/* `result` is the outcome's from here on. */
static void take_result(stranger_result *result, runtime_outcome *out) {
    static const runtime_end ends[STRANGER_STATUS_COUNT] = {[STRANGER_OK] = RUNTIME_OK,
                                                            [STRANGER_TRAP] = RUNTIME_TRAP,
                                                            [STRANGER_LIMIT] = RUNTIME_LIMIT,
                                                            [STRANGER_DENIED] = RUNTIME_DENIED};
    out->end = ends[result->status];
    out->exit_code = result->exit_code;
    out->limit = result->limit;
    memcpy(out->message, result->message, sizeof out->message);
    _Static_assert(sizeof out->message == sizeof result->message, "the same room");
    out->output = bytes_of(&result->output);
    out->errors = bytes_of(&result->errors);
    out->usage = result->usage;
    out->violations = result->violations;
    out->kept = result;
    out->release = release;
}

static tars_status wasm_poll(void *instance, const runtime_request *request,
                             const runtime_control *control, runtime_outcome *out,
                             tars_error *err) {
    const wasm_instance *i = instance;
    wasi_folder folders[RUNTIME_MAX_FOLDERS];
    platform_kind kind = PLATFORM_KIND_MISSING;
    for (size_t f = 0; f < request->n_folders; f++) {
        (void)platform_path_kind(request->folders[f].host, &kind, NULL, NULL);
        if (kind == PLATFORM_KIND_FILE) {
            error_set(err, TARS_USAGE, "\"%.120s\" is a file; runtime wasm grants folders only",
                      request->folders[f].host);
            return error_hint(err, "grant the folder around it, or give the file with --stdin");
        }
        folders[f] = (wasi_folder){.host = request->folders[f].host,
                                   .guest = request->folders[f].guest,
                                   .writable = request->folders[f].writable};
    }
    stranger_options options = {
        .limits = i->limits,
        .wasi = {.arguments = request->arguments,
                 .environment = request->environment,
                 .folders = folders,
                 .n_folders = request->n_folders,
                 .input = request->input,
                 .allowed = i->profile->wasi_calls() & ~i->profile->wasi_refused,
                 .clock_resolution_ns = i->profile->clock_resolution_ns,
                 .goes_on = control->goes_on,
                 .user = control->user},
    };
    stranger_result *result = calloc(1, sizeof *result);
    if (!result) {
        return error_set(err, TARS_OUT_OF_MEMORY, "no memory for a result");
    }
    tars_status status = stranger_run(i->module, &options, result, err);
    if (status == TARS_OK) {
        take_result(result, out);
    } else {
        release(result);
    }
    return status;
}

/* Each request has a fresh instance of Wasmtime: nothing of it is left. */
static tars_status wasm_reset(void *instance, tars_error *err) {
    (void)instance;
    (void)err;
    return TARS_OK;
}

const runtime_functions stranger_programs = {
    .defaults = {.memory_bytes = 32 << 20,
                 .timeout_ms = 30000,
                 .output_bytes = 16 << 20,
                 .file_bytes = 64 << 20,
                 .stack_bytes = 1 << 20,
                 .n_files = 64,
                 .n_threads = 1,
                 .table_elements = 1000},
    .counts_fuel = true,
    .open = wasm_open,
    .close = wasm_close,
    .spawn = wasm_spawn,
    .poll = wasm_poll,
    .reset = wasm_reset,
    .kill = free,
};
