#include "store/import_guest.h"

#include "store/code_store.h"

#include <string.h>

#define ARENA_BYTES (UINT64_C(2) << 30) /* opened, touched only as needed */
#define MIN_ARENA_BYTES (UINT64_C(64) << 20)

tars_status import_guest_start(import_guest *g, const char *home, tars_error *err) {
    code_store store = {.home = home};
    wasm_artifacts artifacts = code_store_artifacts(&store);
    memset(g, 0, sizeof *g);
    tars_status status = TARS_OUT_OF_MEMORY;
    for (uint64_t n = ARENA_BYTES; status == TARS_OUT_OF_MEMORY && n >= MIN_ARENA_BYTES; n /= 2) {
        status = wasm_guest_start(NULL, (size_t)n, &artifacts, &g->instance, err);
    }
    if (status != TARS_OK) {
        error_hint(err,
                   "a guest needs about 5 GiB of address space (ulimit -v); or use --in native, "
                   "a child process with a system-call filter");
    }
    return status;
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
    tars_status status = wasm_guest_serve(g->instance, &g->talk.client, err);
    if (status == TARS_OK) {
        out->packed_bytes = g->talk.n_packed;
        memcpy(out->source_sha256, g->talk.client.result.source_sha256, SHA256_DIGEST_BYTES);
        sha256_final(&g->talk.hash, out->packed_sha256);
    }
    return status;
}
