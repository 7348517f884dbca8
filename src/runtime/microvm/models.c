#include "runtime/microvm/models.h"

#include "runtime/microvm/engine_machine.h"

#include <stdlib.h>
#include <string.h>

/* Prepared when they are first asked for: with the best kernels, and with each that was named. */
enum { MOST_SNAPSHOTS = 4 };

typedef struct microvm_image {
    const platform_mapping *mapping; /* NULL: an engine without a model */
    platform_mutex lock;             /* of the rest */
    struct {
        char isa[16]; /* as it was asked for; "": the best */
        engine_snapshot *snapshot;
    } rows[MOST_SNAPSHOTS];
    size_t n_rows;
} microvm_image;

typedef struct microvm_instance {
    microvm_image *image;
    runtime_limits limits;
    engine_machine *machine; /* of the last request, or NULL */
} microvm_instance;

static tars_status microvm_open(const runtime_source *source, void **image, tars_error *err) {
    microvm_image *i = calloc(1, sizeof *i);
    if (!i) {
        return error_set(err, TARS_OUT_OF_MEMORY, "no memory for an image");
    }
    i->mapping = source->model ? source->model->mapping : NULL;
    *image = i;
    return TARS_OK;
}

static void microvm_close(void *image) {
    microvm_image *i = image;
    for (size_t k = 0; k < i->n_rows; k++) {
        engine_snapshot_destroy(i->rows[k].snapshot);
    }
    free(i);
}

static tars_status find_snapshot(microvm_image *i, const char *isa, const engine_boot_check *check,
                                 const engine_snapshot **out, tars_error *err) {
    for (size_t k = 0; k < i->n_rows; k++) {
        if (strcmp(i->rows[k].isa, isa) == 0) {
            *out = i->rows[k].snapshot;
            return TARS_OK;
        }
    }
    if (i->n_rows == MOST_SNAPSHOTS || strlen(isa) >= sizeof i->rows[0].isa) {
        return error_set(err, TARS_LIMIT, "more than %d sets of kernels for one model",
                         (int)MOST_SNAPSHOTS);
    }
    engine_snapshot *made;
    tars_status status =
        engine_snapshot_create(i->mapping, isa, platform_cpu_count(), check, &made, err);
    if (status == TARS_OK) {
        memcpy(i->rows[i->n_rows].isa, isa, strlen(isa) + 1);
        i->rows[i->n_rows++].snapshot = made;
        *out = made;
    }
    return status;
}

static tars_status get_snapshot(microvm_image *i, const guest_client_request *request,
                                const engine_snapshot **out, tars_error *err) {
    const engine_boot_check check = {request->check, request->user};
    platform_mutex_lock(&i->lock);
    tars_status status = find_snapshot(i, request->isa ? request->isa : "", &check, out, err);
    platform_mutex_unlock(&i->lock);
    return status;
}

static tars_status microvm_spawn(void *image, const runtime_limits *limits,
                                 const runtime_profile *profile, void **instance, tars_error *err) {
    (void)profile; /* the engine asks its host for nothing but the wire */
    microvm_instance *i = malloc(sizeof *i);
    if (!i) {
        return error_set(err, TARS_OUT_OF_MEMORY, "no memory for an instance");
    }
    *i = (microvm_instance){.image = image, .limits = *limits};
    *instance = i;
    return TARS_OK;
}

static tars_status serve(microvm_instance *i, guest_client *client, engine_usage *usage,
                         uint64_t begin_ns, runtime_outcome *out, tars_error *err) {
    const engine_snapshot *snapshot = NULL;
    tars_status status = get_snapshot(i->image, &client->request, &snapshot, err);
    if (status == TARS_OK && !i->machine) {
        status = engine_machine_create(snapshot, i->limits.n_threads, &i->machine, err);
    }
    out->usage.start_ns = platform_clock_ns() - begin_ns;
    if (status == TARS_OK) {
        status = engine_machine_serve(i->machine, i->limits.memory_bytes, client, usage, err);
    }
    out->usage.start_ns += usage->start_ns;
    return status;
}

static tars_status microvm_poll(void *instance, const runtime_request *request,
                                const runtime_control *control, runtime_outcome *out,
                                tars_error *err) {
    (void)control; /* the client's check asks */
    microvm_instance *i = instance;
    uint64_t begin_ns = platform_clock_ns();
    uint64_t cpu_ns = platform_thread_cpu_ns();
    engine_usage usage = {.start_ns = 0};
    tars_status status = serve(i, request->client, &usage, begin_ns, out, err);
    out->usage.wall_ns = platform_clock_ns() - begin_ns;
    out->usage.cpu_ns = platform_thread_cpu_ns() - cpu_ns + usage.cpu_ns;
    out->usage.memory_peak_bytes = request->client->result.memory_bytes;
    out->exit_code = 0;
    return status;
}

/* In place when the request ended well, else in a new machine. */
static tars_status microvm_reset(void *instance, tars_error *err) {
    microvm_instance *i = instance;
    engine_usage usage;
    if (i->machine && engine_machine_reset(i->machine, &usage, err) != TARS_OK) {
        engine_machine_destroy(i->machine);
        i->machine = NULL;
    }
    return TARS_OK;
}

static void microvm_kill(void *instance) {
    microvm_instance *i = instance;
    engine_machine_destroy(i->machine);
    free(i);
}

static uint64_t most_memory(uint64_t model_bytes) {
    (void)model_bytes; /* it lies behind all memory */
    return engine_machine_most_bytes();
}

const runtime_functions microvm_models = {
    .defaults = {.memory_bytes = 64 << 20, .n_threads = 1},
    .keeps_images = true,
    .most_threads = ENGINE_MAX_WORKERS,
    .most_memory = most_memory,
    .open = microvm_open,
    .close = microvm_close,
    .spawn = microvm_spawn,
    .poll = microvm_poll,
    .reset = microvm_reset,
    .kill = microvm_kill,
};
