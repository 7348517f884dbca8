/* Shared by the files of stranger.h only. Ownership: as there. */
#ifndef RUNTIME_WASM_STRANGER_INTERNAL_H
#define RUNTIME_WASM_STRANGER_INTERNAL_H

#include "runtime/wasm/library.h"
#include "runtime/wasm/stranger.h"

struct stranger_module {
    const wasm_library *w;
    wasm_engine_t *engine;
    wasmtime_module_t *module;
    wasmtime_instance_pre_t *ready; /* imports resolved */
    stranger_code code;
};

/* What an error of parsing or compiling in this way means here. `error` is given back. */
tars_status stranger_refuse(const wasm_library *w, const stranger_code *code,
                            wasmtime_error_t *error, tars_error *err);

/* A call of the guest to WASI; `env` is the row of wasi_functions. The store's data is what
 * stranger.c keeps of the run. */
wasm_trap_t *stranger_call_host(void *env, wasmtime_caller_t *caller, wasmtime_val_raw_t *values,
                                size_t n_values);

#endif
