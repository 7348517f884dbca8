#include "runtime/wasm/stranger_engine.h"

#include "runtime/wasm/clock.h"
#include "runtime/wasm/stranger_memory.h"

enum { SMALLEST_STACK_BITS = 16, N_STACKS = 9 /* 64 KiB … 16 MiB */ };

static platform_mutex lock;
static wasm_engine_t *engines[2][PROPOSAL_SETS][N_STACKS]; /* [fuel][without], under the lock */

static unsigned stack_index(uint64_t asked_bytes) {
    unsigned i = 0;
    while (i + 1 < N_STACKS && (uint64_t)1 << (SMALLEST_STACK_BITS + i + 1) <= asked_bytes) {
        i++;
    }
    return i;
}

uint64_t stranger_engine_stack(uint64_t asked_bytes) {
    return (uint64_t)1 << (SMALLEST_STACK_BITS + stack_index(asked_bytes));
}

/* Fixed but for its switches, all of which the tests try: a wrong combination would abort. */
static wasm_engine_t *make(const wasm_library *w, const stranger_code *code, bool is_alone) {
    wasm_config_t *c = w->wasm_config_new();
    size_t stack_bytes = (size_t)stranger_engine_stack(code->stack_bytes);
    bool simd = (code->without & PROPOSAL_SIMD) == 0;
    bool bulk_memory = (code->without & PROPOSAL_BULK_MEMORY) == 0;
    w->wasmtime_config_strategy_set(c, WASMTIME_STRATEGY_CRANELIFT);
    w->wasmtime_config_parallel_compilation_set(c, !is_alone);
    w->wasmtime_config_epoch_interruption_set(c, true);
    w->wasmtime_config_consume_fuel_set(c, code->fuel);
    w->wasmtime_config_async_stack_size_set(c, stack_bytes + ((size_t)1 << 20));
    w->wasmtime_config_max_wasm_stack_set(c, stack_bytes);
    w->wasmtime_config_wasm_component_model_async_set(c, false);
    w->wasmtime_config_wasm_component_model_set(c, false);
    w->wasmtime_config_wasm_exceptions_set(c, false);
    w->wasmtime_config_wasm_gc_set(c, false);
    w->wasmtime_config_gc_support_set(c, false);
    w->wasmtime_config_wasm_function_references_set(c, false);
    w->wasmtime_config_wasm_reference_types_set(c, bulk_memory);
    w->wasmtime_config_wasm_bulk_memory_set(c, bulk_memory);
    w->wasmtime_config_wasm_relaxed_simd_set(c, simd);
    w->wasmtime_config_wasm_simd_set(c, simd);
    w->wasmtime_config_wasm_multi_value_set(c, (code->without & PROPOSAL_MULTI_VALUE) == 0);
    w->wasmtime_config_wasm_tail_call_set(c, (code->without & PROPOSAL_TAIL_CALL) == 0);
    w->wasmtime_config_wasm_threads_set(c, false);
    w->wasmtime_config_wasm_multi_memory_set(c, false);
    w->wasmtime_config_wasm_memory64_set(c, false);
    w->wasmtime_config_wasm_custom_page_sizes_set(c, false);
    w->wasmtime_config_wasm_wide_arithmetic_set(c, false);
    w->wasmtime_config_wasm_stack_switching_set(c, false);
    w->wasmtime_config_wasm_compact_imports_set(c, false);
    w->wasmtime_config_wasm_branch_hinting_set(c, false);
    stranger_memory_configure(w, c);
    return w->wasm_engine_new_with_config(c);
}

tars_status stranger_engine_get(const stranger_code *code, const wasm_library **w,
                                wasm_engine_t **out, tars_error *err) {
    *out = NULL;
    tars_status status = wasm_library_get(w, err);
    if (status != TARS_OK) {
        return status;
    }
    platform_mutex_lock(&lock);
    wasm_engine_t **slot = &engines[code->fuel][code->without][stack_index(code->stack_bytes)];
    if (!*slot) {
        wasm_engine_t *made = make(*w, code, false);
        status = made ? wasm_clock_add(*w, made, err)
                      : error_set(err, TARS_UNAVAILABLE, "Wasmtime gives no engine");
        if (status == TARS_OK) {
            *slot = made;
        } else if (made) {
            (*w)->wasm_engine_delete(made);
        }
    }
    *out = *slot;
    platform_mutex_unlock(&lock);
    return status;
}

tars_status stranger_engine_make(const stranger_code *code, bool is_alone, const wasm_library **w,
                                 wasm_engine_t **out, tars_error *err) {
    tars_status status = wasm_library_get(w, err);
    *out = status == TARS_OK ? make(*w, code, is_alone) : NULL;
    return status == TARS_OK && !*out ? error_set(err, TARS_UNAVAILABLE, "Wasmtime gives no engine")
                                      : status;
}
