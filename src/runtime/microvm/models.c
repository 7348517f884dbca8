#include "runtime/microvm/models.h"

#include "runtime/microvm/engine_pool.h"

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
        engine_pool *pool; /* of it */
    } rows[MOST_SNAPSHOTS];
    size_t n_rows;
} microvm_image;

typedef struct microvm_instance {
    microvm_image *image;
    runtime_limits limits;
    engine_pool *pool;       /* of the machine */
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
        engine_pool_destroy(i->rows[k].pool);
        engine_snapshot_destroy(i->rows[k].snapshot);
    }
    free(i);
}

static tars_status add_row(microvm_image *i, const char *isa, const engine_boot_check *check,
                           engine_pool **out, tars_error *err) {
    engine_snapshot *made;
    tars_status status =
        engine_snapshot_create(i->mapping, isa, platform_cpu_count(), check, &made, err);
    if (status == TARS_OK) {
        status = engine_pool_create(made, &engine_pool_defaults, out, err);
    }
    if (status != TARS_OK) {
        engine_snapshot_destroy(made);
        return status;
    }
    memcpy(i->rows[i->n_rows].isa, isa, strlen(isa) + 1);
    i->rows[i->n_rows].snapshot = made;
    i->rows[i->n_rows++].pool = *out;
    return TARS_OK;
}

static tars_status find_pool(microvm_image *i, const char *isa, const engine_boot_check *check,
                             engine_pool **out, tars_error *err) {
    for (size_t k = 0; k < i->n_rows; k++) {
        if (strcmp(i->rows[k].isa, isa) == 0) {
            *out = i->rows[k].pool;
            return TARS_OK;
        }
    }
    if (i->n_rows == MOST_SNAPSHOTS || strlen(isa) >= sizeof i->rows[0].isa) {
        return error_set(err, TARS_LIMIT, "more than %d sets of kernels for one model",
                         (int)MOST_SNAPSHOTS);
    }
    return add_row(i, isa, check, out, err);
}

static tars_status get_pool(microvm_image *i, const char *isa, const engine_boot_check *check,
                            engine_pool **out, tars_error *err) {
    platform_mutex_lock(&i->lock);
    tars_status status = find_pool(i, isa, check, out, err);
    platform_mutex_unlock(&i->lock);
    return status;
}

static tars_status microvm_warm(void *image, const runtime_limits *limits, unsigned count,
                                tars_error *err) {
    const engine_wish wish = {
        .n_workers = limits->n_threads, .computes = true, .memory_bytes = limits->memory_bytes};
    engine_pool *pool = NULL;
    tars_status status = get_pool(image, "", NULL, &pool, err);
    return status == TARS_OK ? engine_pool_warm(pool, &wish, count, err) : status;
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

static void leave_machine(microvm_instance *i) {
    engine_pool_give_up(i->pool, i->machine);
    i->machine = NULL;
}

/* Passes over weights are what several processors share. */
static engine_wish wish_for(const microvm_instance *i, const guest_client *client) {
    bool computes = engine_machine_computes(client->kind->request);
    return (engine_wish){.n_workers = computes ? i->limits.n_threads : 1,
                         .computes = computes,
                         .memory_bytes = i->limits.memory_bytes};
}

static tars_status have_machine(microvm_instance *i, const guest_client *client, tars_error *err) {
    const guest_client_request *request = &client->request;
    const engine_boot_check check = {request->check, request->user};
    const engine_wish wish = wish_for(i, client);
    engine_pool *pool = NULL;
    tars_status status = get_pool(i->image, request->isa ? request->isa : "", &check, &pool, err);
    bool fits = pool == i->pool && i->machine && engine_machine_suits(i->machine, &wish);
    if (status != TARS_OK || fits) {
        return status;
    }
    leave_machine(i);
    i->pool = pool;
    return engine_pool_take(pool, &wish, &i->machine, err);
}

static tars_status serve(microvm_instance *i, guest_client *client, engine_usage *usage,
                         uint64_t begin_ns, runtime_outcome *out, tars_error *err) {
    tars_status status = have_machine(i, client, err);
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
        leave_machine(i);
    }
    return TARS_OK;
}

static void microvm_kill(void *instance) {
    microvm_instance *i = instance;
    leave_machine(i);
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
    .warm = microvm_warm,
    .spawn = microvm_spawn,
    .poll = microvm_poll,
    .reset = microvm_reset,
    .kill = microvm_kill,
};
