/* Wasmtime's C library, loaded when it is first needed: a process that runs no WebAssembly does
 * not pay for its 30 MB, and a machine without it still has everything else.
 *
 * Ownership: loaded once and kept; the table may be used by any thread. */
#ifndef RUNTIME_WASM_LIBRARY_H
#define RUNTIME_WASM_LIBRARY_H

#include "base/error.h"

#include <wasmtime.h>

#define WASM_LIBRARY_FUNCTIONS(F)                                                                  \
    F(wasm_config_new)                                                                             \
    F(wasm_engine_new_with_config)                                                                 \
    F(wasm_engine_delete)                                                                          \
    F(wasm_byte_vec_delete)                                                                        \
    F(wasm_importtype_vec_delete)                                                                  \
    F(wasm_importtype_module)                                                                      \
    F(wasm_importtype_name)                                                                        \
    F(wasm_importtype_type)                                                                        \
    F(wasm_externtype_kind)                                                                        \
    F(wasm_trap_delete)                                                                            \
    F(wasm_trap_message)                                                                           \
    F(wasm_trap_trace)                                                                             \
    F(wasm_frame_vec_delete)                                                                       \
    F(wasm_frame_func_index)                                                                       \
    F(wasm_frame_module_offset)                                                                    \
    F(wasmtime_frame_func_name)                                                                    \
    F(wasm_functype_new)                                                                           \
    F(wasm_functype_delete)                                                                        \
    F(wasm_valtype_new)                                                                            \
    F(wasm_valtype_delete)                                                                         \
    F(wasm_valtype_vec_new)                                                                        \
    F(wasmtime_config_strategy_set)                                                                \
    F(wasmtime_config_parallel_compilation_set)                                                    \
    F(wasmtime_config_consume_fuel_set)                                                            \
    F(wasmtime_config_epoch_interruption_set)                                                      \
    F(wasmtime_config_max_wasm_stack_set)                                                          \
    F(wasmtime_config_wasm_simd_set)                                                               \
    F(wasmtime_config_wasm_relaxed_simd_set)                                                       \
    F(wasmtime_config_wasm_multi_value_set)                                                        \
    F(wasmtime_config_wasm_bulk_memory_set)                                                        \
    F(wasmtime_config_wasm_reference_types_set)                                                    \
    F(wasmtime_config_wasm_function_references_set)                                                \
    F(wasmtime_config_gc_support_set)                                                              \
    F(wasmtime_config_wasm_gc_set)                                                                 \
    F(wasmtime_config_wasm_exceptions_set)                                                         \
    F(wasmtime_config_wasm_component_model_set)                                                    \
    F(wasmtime_config_wasm_component_model_async_set)                                              \
    F(wasmtime_config_wasm_tail_call_set)                                                          \
    F(wasmtime_config_wasm_threads_set)                                                            \
    F(wasmtime_config_wasm_multi_memory_set)                                                       \
    F(wasmtime_config_wasm_memory64_set)                                                           \
    F(wasmtime_config_wasm_custom_page_sizes_set)                                                  \
    F(wasmtime_config_wasm_wide_arithmetic_set)                                                    \
    F(wasmtime_config_wasm_stack_switching_set)                                                    \
    F(wasmtime_config_wasm_compact_imports_set)                                                    \
    F(wasmtime_config_wasm_branch_hinting_set)                                                     \
    F(wasmtime_config_async_stack_size_set)                                                        \
    F(wasmtime_config_memory_init_cow_set)                                                         \
    F(wasmtime_config_memory_reservation_set)                                                      \
    F(wasmtime_config_memory_guard_size_set)                                                       \
    F(wasmtime_config_host_memory_creator_set)                                                     \
    F(wasmtime_engine_increment_epoch)                                                             \
    F(wasmtime_error_new)                                                                          \
    F(wasmtime_error_message)                                                                      \
    F(wasmtime_error_delete)                                                                       \
    F(wasmtime_trap_code)                                                                          \
    F(wasmtime_trap_new)                                                                           \
    F(wasmtime_module_new)                                                                         \
    F(wasmtime_module_validate)                                                                    \
    F(wasmtime_module_imports)                                                                     \
    F(wasmtime_module_serialize)                                                                   \
    F(wasmtime_module_deserialize)                                                                 \
    F(wasmtime_module_delete)                                                                      \
    F(wasmtime_linker_new)                                                                         \
    F(wasmtime_linker_delete)                                                                      \
    F(wasmtime_linker_define_func_unchecked)                                                       \
    F(wasmtime_linker_define_func)                                                                 \
    F(wasmtime_linker_instantiate_pre)                                                             \
    F(wasmtime_instance_pre_instantiate)                                                           \
    F(wasmtime_instance_pre_delete)                                                                \
    F(wasmtime_instance_export_get)                                                                \
    F(wasmtime_store_new)                                                                          \
    F(wasmtime_store_context)                                                                      \
    F(wasmtime_store_delete)                                                                       \
    F(wasmtime_store_limiter)                                                                      \
    F(wasmtime_store_epoch_deadline_callback)                                                      \
    F(wasmtime_context_set_epoch_deadline)                                                         \
    F(wasmtime_context_set_fuel)                                                                   \
    F(wasmtime_context_get_fuel)                                                                   \
    F(wasmtime_context_get_data)                                                                   \
    F(wasmtime_caller_context)                                                                     \
    F(wasmtime_func_call)                                                                          \
    F(wasmtime_memory_data)                                                                        \
    F(wasmtime_memory_data_size)                                                                   \
    F(wasmtime_memory_grow)

typedef struct wasm_library {
#define WASM_LIBRARY_MEMBER(name) __typeof__(&name) name;
    WASM_LIBRARY_FUNCTIONS(WASM_LIBRARY_MEMBER)
#undef WASM_LIBRARY_MEMBER
} wasm_library;

/* The loaded library. UNAVAILABLE, with what was looked for, when it cannot be had. */
tars_status wasm_library_get(const wasm_library **out, tars_error *err);
/* The message of one of Wasmtime's errors or traps as *err, and gives them back. Either may be
 * NULL. `status` is what the error amounts to. */
tars_status wasm_library_fail(const wasm_library *w, tars_status status, const char *what,
                              wasmtime_error_t *error, wasm_trap_t *trap, tars_error *err);

#endif
