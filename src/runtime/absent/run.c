/* Stands in for src/runtime/wasm in a build without Wasmtime's headers. */
#include "runtime/wasm/run.h"

static tars_status absent(tars_error *err) {
    error_set(err, TARS_UNAVAILABLE, "runtime wasm is unavailable: this tars was built without it");
    return error_hint(err, "fetch Wasmtime with tools/fetch_wasmtime.py and build again");
}

bool wasm_is_built_in(void) {
    return false;
}

const char *wasm_library_version(void) {
    return "none";
}

tars_status wasm_probe(tars_error *err) {
    return absent(err);
}

tars_status wasm_start(const platform_mapping *model, size_t arena_bytes,
                       const wasm_artifacts *artifacts, uint64_t *start_ns, tars_error *err) {
    (void)model;
    (void)arena_bytes;
    (void)artifacts;
    (void)start_ns;
    return absent(err);
}

tars_status wasm_run(const platform_mapping *model, size_t arena_bytes, guest_client *client,
                     const wasm_artifacts *artifacts, uint64_t *start_ns, tars_error *err) {
    (void)client;
    return wasm_start(model, arena_bytes, artifacts, start_ns, err);
}

tars_status wasm_guest_start(const platform_mapping *model, size_t arena_bytes,
                             const wasm_artifacts *artifacts, wasm_guest **out, tars_error *err) {
    (void)model;
    (void)arena_bytes;
    (void)artifacts;
    *out = NULL;
    return absent(err);
}

tars_status wasm_guest_serve(wasm_guest *r, guest_client *client, tars_error *err) {
    (void)r;
    (void)client;
    return absent(err);
}

void wasm_guest_end(wasm_guest *r) {
    (void)r;
}

tars_status wasm_set_metering(wasm_metering wanted, tars_error *err) {
    (void)wanted;
    return wasm_probe(err);
}
