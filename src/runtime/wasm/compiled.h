/* Modules, compiled now or by an earlier process. Ownership: the module is the caller's to delete;
 * everything else is borrowed for the call. */
#ifndef RUNTIME_WASM_COMPILED_H
#define RUNTIME_WASM_COMPILED_H

#include "runtime/wasm/artifacts.h"
#include "runtime/wasm/library.h"

/* The part that every way of getting code shares; see stranger_module.c for the one with a child.
 */
void wasm_compiled_key(const char *how, const uint8_t *program, size_t length,
                       uint8_t key[SHA256_DIGEST_BYTES]);
/* The code as an earlier process kept it; NULL when there is none that fits. */
wasmtime_module_t *wasm_compiled_load(const wasm_library *w, wasm_engine_t *engine,
                                      const wasm_artifacts *artifacts,
                                      const uint8_t key[SHA256_DIGEST_BYTES]);
/* `how` names everything about the engine that compiled code depends on, besides Wasmtime's version
 * and the CPU. `artifacts` may be NULL: then it is compiled. */
wasmtime_error_t *wasm_compiled_get(const wasm_library *w, wasm_engine_t *engine, const char *how,
                                    const uint8_t *program, size_t length,
                                    const wasm_artifacts *artifacts, wasmtime_module_t **out);

#endif
