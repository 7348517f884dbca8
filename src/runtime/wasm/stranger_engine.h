/* The engines that strangers' modules are compiled by: one for each way of compiling and size of
 * stack, with every proposal off that is not served. Ownership: made when first asked for and kept
 * as long as the process; any thread. */
#ifndef RUNTIME_WASM_STRANGER_ENGINE_H
#define RUNTIME_WASM_STRANGER_ENGINE_H

#include "runtime/wasm/library.h"
#include "runtime/wasm/stranger.h"

/* UNAVAILABLE without Wasmtime. */
tars_status stranger_engine_get(const stranger_code *code, const wasm_library **w,
                                wasm_engine_t **out, tars_error *err);
/* One that is the caller's and whose time is not counted: for compiling only. `is_alone`: without
 * threads of its own. */
tars_status stranger_engine_make(const stranger_code *code, bool is_alone, const wasm_library **w,
                                 wasm_engine_t **out, tars_error *err);
/* The stack that such an engine gives: a power of two, at most what was asked for. */
uint64_t stranger_engine_stack(uint64_t asked_bytes);

#endif
