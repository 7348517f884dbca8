/* A build without WebAssembly: the probe says so before any of these could be called. */
#include "runtime/wasm/programs.h"

#include "runtime/wasm/compile_process.h"
#include "runtime/wasm/models.h"

static tars_status refuse(const runtime_source *source, void **image, tars_error *err) {
    (void)source;
    *image = NULL;
    return error_set(err, TARS_UNAVAILABLE,
                     "runtime wasm is unavailable: it is not built into this tars");
}

const runtime_functions stranger_programs = {.open = refuse};
const runtime_functions wasm_models = {.open = refuse};

tars_status stranger_validate(const uint8_t *bytes, size_t length, tars_error *err) {
    (void)bytes;
    (void)length;
    error_set(err, TARS_UNAVAILABLE, "runtime wasm is unavailable: it is not built into this tars");
    return error_hint(err, "fetch Wasmtime with tools/fetch_wasmtime.py and build again");
}

tars_status stranger_open(const uint8_t *bytes, size_t length, const stranger_code *code,
                          const wasm_artifacts *artifacts, stranger_module **out, tars_error *err) {
    (void)code;
    (void)artifacts;
    *out = NULL;
    return stranger_validate(bytes, length, err);
}

void stranger_close(stranger_module *module) {
    (void)module;
}

int compile_child_main(int argc, char **argv) {
    (void)argc;
    (void)argv;
    return 2;
}
