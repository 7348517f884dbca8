/* The child of compile_process.h. */
#include "guest/wire.h"
#include "runtime/wasm/compile_process.h"
#include "runtime/wasm/stranger_engine.h"
#include "runtime/wasm/stranger_internal.h"

#include <stdlib.h>
#include <string.h>

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define CHILD_IS_SANITIZED true
#else
#define CHILD_IS_SANITIZED false
#endif

enum { CHILD_FILES = 64, CHILD_CPU_SECONDS = COMPILE_TIMEOUT_MS / 1000 };

/* Everything that needs the system is done before the module is read. */
static tars_status prepare(const stranger_code *code, const wasm_library **w,
                           wasm_engine_t **engine, tars_error *err) {
    tars_status status = stranger_engine_make(code, true, w, engine, err);
    platform_hardening wanted = {
        /* sanitizers keep their shadow in terabytes of address space */
        .address_space_bytes = CHILD_IS_SANITIZED ? 0 : (uint64_t)COMPILE_MAX_MEMORY_MIB << 20,
        .n_files = CHILD_FILES,
        .cpu_seconds = CHILD_CPU_SECONDS,
        .file_size_bytes = 1, /* it writes to a pipe only; 0 would mean: as it is */
        .filter_system_calls = !CHILD_IS_SANITIZED,
        .allow_code = true,
    };
    platform_hardening_report report;
    return status == TARS_OK ? platform_harden(&wanted, &report, err) : status;
}

static tars_status compile(const wasm_library *w, const stranger_code *how, wasm_engine_t *engine,
                           wasm_byte_vec_t *code, tars_error *err) {
    char *bytes = NULL;
    size_t length = 0;
    wasmtime_module_t *module = NULL;
    tars_status status =
        platform_handle_read_all(PLATFORM_STDIN, STRANGER_MAX_MODULE_BYTES, &bytes, &length, err);
    if (status != TARS_OK) {
        return status;
    }
    wasmtime_error_t *error =
        w->wasmtime_module_new(engine, (const uint8_t *)bytes, length, &module);
    if (error) {
        return stranger_refuse(w, how, error, err);
    }
    error = w->wasmtime_module_serialize(module, code);
    return error ? wasm_library_fail(w, TARS_FAILED, "the code cannot be written", error, NULL, err)
                 : TARS_OK;
}

static bool write_all(const void *bytes, size_t length) {
    return platform_handle_write(PLATFORM_STDOUT, bytes, length, NULL) == TARS_OK;
}

/* argv[0] is the verb. Ends without giving anything back: the process is over. */
int compile_child_main(int argc, char **argv) {
    stranger_code code = {.stack_bytes = 1 << 20};
    if (argc != 2 || !stranger_code_read(argv[1], &code)) {
        static const char usage[] = COMPILE_CHILD_VERB " is run by tars, not by hand\n";
        (void)platform_handle_write(PLATFORM_STDERR, usage, sizeof usage - 1, NULL);
        return 2;
    }
    const wasm_library *w = NULL;
    wasm_engine_t *engine = NULL;
    wasm_byte_vec_t out = {0, NULL};
    wire_error failure;
    memset(&failure, 0, sizeof failure);
    tars_status status = prepare(&code, &w, &engine, &failure.error);
    if (status == TARS_OK) {
        status = compile(w, &code, engine, &out, &failure.error);
    }
    uint32_t said = (uint32_t)status;
    failure.status = said;
    bool written =
        write_all(&said, sizeof said) &&
        (status == TARS_OK ? write_all(out.data, out.size) : write_all(&failure, sizeof failure));
    _Exit(written && status == TARS_OK ? 0 : 1);
}
