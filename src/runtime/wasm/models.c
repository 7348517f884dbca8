#include "runtime/wasm/models.h"

#include "runtime/wasm/run.h"

#include <stdlib.h>

typedef struct wasm_image {
    const platform_mapping *mapping; /* NULL: an engine without a model */
    const wasm_artifacts *artifacts;
} wasm_image;

typedef struct wasm_instance {
    const wasm_image *image;
    uint64_t memory_bytes;
} wasm_instance;

static tars_status wasm_open(const runtime_source *source, void **image, tars_error *err) {
    wasm_image *i = malloc(sizeof *i);
    if (!i) {
        return error_set(err, TARS_OUT_OF_MEMORY, "no memory for an image");
    }
    *i = (wasm_image){.mapping = source->model ? source->model->mapping : NULL,
                      .artifacts = source->artifacts};
    *image = i;
    return TARS_OK;
}

static tars_status wasm_spawn(void *image, const runtime_limits *limits,
                              const runtime_profile *profile, void **instance, tars_error *err) {
    (void)profile; /* the engine asks its host for nothing but the wire */
    wasm_instance *i = malloc(sizeof *i);
    if (!i) {
        return error_set(err, TARS_OUT_OF_MEMORY, "no memory for an instance");
    }
    *i = (wasm_instance){.image = image, .memory_bytes = limits->memory_bytes};
    *instance = i;
    return TARS_OK;
}

static tars_status wasm_poll(void *instance, const runtime_request *request,
                             const runtime_control *control, runtime_outcome *out,
                             tars_error *err) {
    (void)control; /* the client's check asks */
    const wasm_instance *i = instance;
    uint64_t begin_ns = platform_clock_ns();
    uint64_t cpu_ns = platform_thread_cpu_ns();
    tars_status status = wasm_run(i->image->mapping, (size_t)i->memory_bytes, request->client,
                                  i->image->artifacts, &out->usage.start_ns, err);
    out->usage.wall_ns = platform_clock_ns() - begin_ns;
    out->usage.cpu_ns = platform_thread_cpu_ns() - cpu_ns;
    out->usage.memory_peak_bytes = request->client->result.memory_bytes;
    out->exit_code = 0;
    return status;
}

/* Each request has a fresh instance of Wasmtime: nothing of it is left. */
static tars_status wasm_reset(void *instance, tars_error *err) {
    (void)instance;
    (void)err;
    return TARS_OK;
}

/* 32-bit addresses; the model begins at a multiple of 2 MiB, and a page is left. */
static uint64_t most_memory(uint64_t model_bytes) {
    const uint64_t all = ((uint64_t)4 << 30) - ((uint64_t)4 << 20);
    return model_bytes < all ? all - model_bytes : 0;
}

const runtime_functions wasm_models = {
    .defaults = {.memory_bytes = 64 << 20, .n_threads = 1},
    .most_threads = 1,
    .most_memory = most_memory,
    .open = wasm_open,
    .close = free,
    .spawn = wasm_spawn,
    .poll = wasm_poll,
    .reset = wasm_reset,
    .kill = free,
};
