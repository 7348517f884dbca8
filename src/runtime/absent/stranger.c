/* Stands in for src/runtime/wasm/stranger.c in a build without Wasmtime's headers:
 * what is used outside of src/runtime. */
#include "runtime/wasm/stranger.h"

static tars_status absent(tars_error *err) {
    error_set(err, TARS_UNAVAILABLE, "runtime wasm is unavailable: this tars was built without it");
    return error_hint(err, "fetch Wasmtime with tools/fetch_wasmtime.py and build again");
}

tars_status stranger_validate(const uint8_t *bytes, size_t length, tars_error *err) {
    (void)bytes;
    (void)length;
    return absent(err);
}

tars_status stranger_open(const uint8_t *bytes, size_t length, const stranger_code *code,
                          const wasm_artifacts *artifacts, stranger_module **out, tars_error *err) {
    (void)bytes;
    (void)length;
    (void)code;
    (void)artifacts;
    *out = NULL;
    return absent(err);
}

void stranger_close(stranger_module *module) {
    (void)module;
}
