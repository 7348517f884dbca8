/* The engine guest, compiled: what every instance of it starts from. Ownership: made once in a
 * process and kept; any thread may use it. */
#ifndef RUNTIME_WASM_ENGINE_H
#define RUNTIME_WASM_ENGINE_H

#include "runtime/wasm/library.h"
#include "runtime/wasm/run.h"

typedef struct wasm_engine_guest {
    const wasm_library *wasmtime;
    wasm_engine_t *engine;
    wasmtime_module_t *module;
    wasmtime_instance_pre_t *ready; /* imports resolved */
    wasm_metering metering;
} wasm_engine_guest;

/* The host's turn: called by the guest with the store's data; the trap ends it. */
typedef wasm_trap_t *(*wasm_turn)(void *store_data, bool *goes_on);

/* UNAVAILABLE when Wasmtime or the guest program is not there. `turn` is the same in all calls;
 * `artifacts` may be NULL: then the guest is compiled. */
tars_status wasm_engine_get(wasm_turn turn, const wasm_artifacts *artifacts,
                            const wasm_engine_guest **out, tars_error *err);
/* Another program in the place of the guest, in the engine of `like`: for tests of what a hostile
 * one can do. Module and instance_pre are the caller's to delete. MALFORMED. */
tars_status wasm_engine_program(const wasm_engine_guest *like, const uint8_t *program,
                                size_t length, wasm_engine_guest *out, tars_error *err);
/* As wasm_run (run.h), with that program and without the engine's start. */
tars_status wasm_run_program(const wasm_engine_guest *guest, const platform_mapping *model,
                             size_t arena_bytes, guest_client *client, tars_error *err);
/* Whether the two are there, without making an engine. */
tars_status wasm_engine_probe(tars_error *err);

#endif
