#include "store/import_guest.h"

#include "runtime/microvm/engine_machine.h"
#include "runtime/microvm/engine_program.h"
#include "runtime/microvm/machine.h"
#include "runtime/wasm/run.h"
#include "store/code_store.h"

#include <string.h>

#define ARENA_BYTES (UINT64_C(2) << 30) /* opened, touched only as needed */
#define MIN_ARENA_BYTES (UINT64_C(64) << 20)
#define WASM_SPACE_BYTES (UINT64_C(5) << 30) /* what its addresses reach, and guards */

struct import_place {
    const char *name;
    bool has_machines;
    const char *hint; /* when a guest does not start */
    tars_status (*probe)(tars_error *err);
    /* OUT_OF_MEMORY: less may do. */
    tars_status (*start)(import_guest *g, uint64_t arena_bytes, const char *home, tars_error *err);
    tars_status (*serve)(import_guest *g, tars_error *err);
};

/* ---- places ------------------------------------------------------------------------------ */

static tars_status microvm_probe(tars_error *err) {
    tars_status status = engine_program_check(err);
    return status == TARS_OK ? machine_probe(err) : status;
}

/* The snapshot that its one machine is made from ends with the process, as the machine does. */
static tars_status microvm_start(import_guest *g, uint64_t arena_bytes, const char *home,
                                 tars_error *err) {
    (void)home;
    engine_snapshot *snapshot;
    engine_machine *machine = NULL;
    tars_status status = engine_snapshot_create(NULL, "", 1, NULL, &snapshot, err);
    if (status != TARS_OK) {
        return status;
    }
    const engine_wish wish = {.n_workers = 1, .computes = true, .memory_bytes = arena_bytes};
    status = engine_machine_create(snapshot, &wish, &machine, err);
    if (status == TARS_OK) {
        status = engine_machine_prepare(machine, &wish, err);
    }
    if (status != TARS_OK) {
        engine_machine_destroy(machine);
        engine_snapshot_destroy(snapshot);
        return status;
    }
    g->instance = machine;
    g->address_space_bytes = arena_bytes;
    return TARS_OK;
}

static tars_status microvm_serve(import_guest *g, tars_error *err) {
    engine_usage usage;
    return engine_machine_serve(g->instance, 0, &g->talk.client, &usage, err);
}

/* Compiles the guest, or takes what HOME/cache has of it. */
static tars_status wasm_start_guest(import_guest *g, uint64_t arena_bytes, const char *home,
                                    tars_error *err) {
    code_store store = {.home = home};
    wasm_artifacts artifacts = code_store_artifacts(&store);
    wasm_guest *instance;
    tars_status status = wasm_guest_start(NULL, (size_t)arena_bytes, &artifacts, &instance, err);
    g->instance = instance;
    g->address_space_bytes = WASM_SPACE_BYTES;
    return status;
}

static tars_status wasm_serve(import_guest *g, tars_error *err) {
    return wasm_guest_serve(g->instance, &g->talk.client, err);
}

static const import_place places[] = {
    {"microvm", true, "use --in wasm, or --in native, a child process with a system-call filter",
     microvm_probe, microvm_start, microvm_serve},
    {"wasm", false,
     "a guest needs about 5 GiB of address space (ulimit -v); or use --in native, a child process "
     "with a system-call filter",
     wasm_probe, wasm_start_guest, wasm_serve},
};

const import_place *import_place_named(const char *name) {
    for (size_t i = 0; i < sizeof places / sizeof places[0]; i++) {
        if (strcmp(places[i].name, name) == 0) {
            return &places[i];
        }
    }
    return NULL;
}

const char *import_place_name(const import_place *place) {
    return place->name;
}

tars_status import_place_probe(const import_place *place, tars_error *err) {
    return place->probe(err);
}

bool import_place_has_machines(const import_place *place) {
    return place->has_machines;
}

/* ---- the guest ---------------------------------------------------------------------------- */

tars_status import_guest_start(import_guest *g, const import_place *place, const char *home,
                               tars_error *err) {
    memset(g, 0, sizeof *g);
    g->place = place;
    tars_status status = TARS_OUT_OF_MEMORY;
    for (uint64_t n = ARENA_BYTES; status == TARS_OUT_OF_MEMORY && n >= MIN_ARENA_BYTES; n /= 2) {
        status = place->start(g, n, home, err);
    }
    return status == TARS_OK ? status : error_hint(err, "%s", place->hint);
}

/* What the guest's progress calls, and what cancels it. */
typedef struct watcher {
    const import_options *options;
    bool is_cancelled;
} watcher;

static void watch(void *user, uint64_t done, uint64_t total) {
    watcher *w = user;
    const import_options *o = w->options;
    w->is_cancelled =
        w->is_cancelled || (o->progress && !o->progress(o->progress_user, done, total));
}

static tars_status check(void *user, tars_error *err) {
    const watcher *w = user;
    return w->is_cancelled ? error_set(err, TARS_CANCELLED, "the import was cancelled") : TARS_OK;
}

tars_status import_guest_run(import_guest *g, const guest_import_request *request,
                             const import_options *options, const byte_sink *sink,
                             import_result *out, tars_error *err) {
    watcher w = {.options = options};
    guest_import_sink told = {.packed = *sink, .user = &w, .progress = watch, .check = check};
    guest_import_init(&g->talk, request, &told);
    tars_status status = g->place->serve(g, err);
    if (status == TARS_OK) {
        out->packed_bytes = g->talk.n_packed;
        memcpy(out->source_sha256, g->talk.client.result.source_sha256, SHA256_DIGEST_BYTES);
        sha256_final(&g->talk.hash, out->packed_sha256);
    }
    return status;
}
