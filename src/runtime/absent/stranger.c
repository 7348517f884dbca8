/* Stands in for src/runtime/wasm/stranger.c in a build without Wasmtime's headers. */
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

tars_status stranger_run(const stranger_module *module, const stranger_options *options,
                         stranger_result *out, tars_error *err) {
    (void)module;
    (void)options;
    *out = (stranger_result){0};
    return absent(err);
}

void stranger_result_free(stranger_result *result) {
    (void)result;
}

const char *stranger_status_name(stranger_status status) {
    (void)status;
    return "error";
}
