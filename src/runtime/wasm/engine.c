#include "runtime/wasm/engine.h"

#include "platform/platform.h"
#include "runtime/wasm/clock.h"
#include "runtime/wasm/compiled.h"
#include "runtime/wasm/guest_program.h"
#include "runtime/wasm/memory.h"

#include <stdlib.h>

static platform_mutex lock;
static bool is_made; /* under the lock */
static wasm_engine_guest guest;
static wasm_turn host_turn;
static wasm_metering metering = {.epochs = true}; /* under the lock */

/* ---- the engine ------------------------------------------------------------------------ */

/* Fixed, and tried by the tests: a wrong combination would abort. Bulk memory is off because its
 * instructions write through the library: into the model's pages that would not be a trap but
 * the end of the process. */
static wasm_engine_t *make_engine(const wasm_library *w) {
    wasm_config_t *c = w->wasm_config_new();
    w->wasmtime_config_strategy_set(c, WASMTIME_STRATEGY_CRANELIFT);
    w->wasmtime_config_epoch_interruption_set(c, metering.epochs);
    w->wasmtime_config_consume_fuel_set(c, metering.fuel);
    w->wasmtime_config_max_wasm_stack_set(c, (size_t)512 << 10);
    w->wasmtime_config_wasm_bulk_memory_set(c, false);
    w->wasmtime_config_wasm_component_model_async_set(c, false);
    w->wasmtime_config_wasm_component_model_set(c, false);
    w->wasmtime_config_wasm_exceptions_set(c, false);
    w->wasmtime_config_wasm_gc_set(c, false);
    w->wasmtime_config_wasm_function_references_set(c, false);
    w->wasmtime_config_wasm_reference_types_set(c, false);
    w->wasmtime_config_wasm_tail_call_set(c, false);
    w->wasmtime_config_wasm_threads_set(c, false);
    w->wasmtime_config_wasm_multi_memory_set(c, false);
    w->wasmtime_config_wasm_memory64_set(c, false);
    guest_memory_configure(w, c);
    return w->wasm_engine_new_with_config(c);
}

static wasm_trap_t *turn(void *env, wasmtime_caller_t *caller, const wasmtime_val_t *arguments,
                         size_t n_arguments, wasmtime_val_t *results, size_t n_results) {
    (void)env;
    (void)arguments;
    (void)n_arguments;
    (void)n_results;
    const wasm_library *w = guest.wasmtime;
    bool goes_on = false;
    void *data = w->wasmtime_context_get_data(w->wasmtime_caller_context(caller));
    wasm_trap_t *trap = host_turn(data, &goes_on);
    results[0].kind = WASMTIME_I32;
    results[0].of.i32 = goes_on;
    return trap;
}

static wasmtime_error_t *define_turn(const wasm_library *w, wasmtime_linker_t *linker) {
    wasm_valtype_t *i32 = w->wasm_valtype_new(WASM_I32);
    wasm_valtype_vec_t parameters = {0, NULL};
    wasm_valtype_vec_t results;
    w->wasm_valtype_vec_new(&results, 1, &i32);
    wasm_functype_t *type = w->wasm_functype_new(&parameters, &results);
    wasmtime_error_t *error =
        w->wasmtime_linker_define_func(linker, "tars", 4, "turn", 4, type, turn, NULL, NULL);
    w->wasm_functype_delete(type);
    return error;
}

static wasmtime_error_t *resolve_imports(const wasm_library *w, wasm_engine_guest *g) {
    wasmtime_linker_t *linker = w->wasmtime_linker_new(g->engine);
    wasmtime_error_t *error = define_turn(w, linker);
    if (!error) {
        error = w->wasmtime_linker_instantiate_pre(linker, g->module, &g->ready);
    }
    w->wasmtime_linker_delete(linker);
    return error;
}

static const char *how(void) {
    static const char *const names[2][2] = {{"guest, unmetered", "guest, fuel only"},
                                            {"guest", "guest, fuel"}};
    return names[metering.epochs][metering.fuel];
}

static tars_status compile(const wasm_library *w, const wasm_artifacts *artifacts,
                           wasm_engine_guest *g, tars_error *err) {
    g->engine = make_engine(w);
    g->metering = metering;
    if (!g->engine) {
        return error_set(err, TARS_UNAVAILABLE, "Wasmtime gives no engine");
    }
    wasmtime_error_t *error = wasm_compiled_get(w, g->engine, how(), guest_program,
                                                (size_t)guest_program_bytes, artifacts, &g->module);
    if (!error) {
        error = resolve_imports(w, g);
    }
    return error ? wasm_library_fail(w, TARS_UNAVAILABLE,
                                     "runtime wasm is unavailable: its guest does not compile",
                                     error, NULL, err)
                 : TARS_OK;
}

static tars_status find_parts(const wasm_library **w, tars_error *err) {
    if (guest_program_bytes == 0) {
        error_set(err, TARS_UNAVAILABLE,
                  "runtime wasm is unavailable: this tars was built without its guest");
        error_hint(err, "install clang-19, lld-19 and wasi-libc, and build again");
        return TARS_UNAVAILABLE;
    }
    return wasm_library_get(w, err);
}

tars_status wasm_engine_probe(tars_error *err) {
    const wasm_library *w;
    return find_parts(&w, err);
}

static void delete_parts(wasm_engine_guest *g) {
    if (g->ready) {
        g->wasmtime->wasmtime_instance_pre_delete(g->ready);
    }
    if (g->module) {
        g->wasmtime->wasmtime_module_delete(g->module);
    }
    if (g->engine) {
        g->wasmtime->wasm_engine_delete(g->engine);
    }
}

static tars_status make(wasm_turn turn_function, const wasm_artifacts *artifacts, tars_error *err) {
    wasm_engine_guest made = {0};
    tars_status status = find_parts(&made.wasmtime, err);
    if (status == TARS_OK) {
        status = compile(made.wasmtime, artifacts, &made, err);
    }
    if (status == TARS_OK) {
        guest = made;
        host_turn = turn_function;
        status = wasm_clock_add(made.wasmtime, made.engine, err);
    }
    if (status != TARS_OK) {
        delete_parts(&made);
    }
    is_made = status == TARS_OK;
    return status;
}

tars_status wasm_engine_get(wasm_turn turn_function, const wasm_artifacts *artifacts,
                            const wasm_engine_guest **out, tars_error *err) {
    platform_mutex_lock(&lock);
    tars_status status = is_made ? TARS_OK : make(turn_function, artifacts, err);
    platform_mutex_unlock(&lock);
    *out = status == TARS_OK ? &guest : NULL;
    return status;
}

tars_status wasm_engine_program(const wasm_engine_guest *like, const uint8_t *program,
                                size_t length, wasm_engine_guest *out, tars_error *err) {
    *out = (wasm_engine_guest){
        .wasmtime = like->wasmtime, .engine = like->engine, .metering = like->metering};
    wasmtime_error_t *error =
        like->wasmtime->wasmtime_module_new(out->engine, program, length, &out->module);
    if (!error) {
        error = resolve_imports(out->wasmtime, out);
    }
    return error ? wasm_library_fail(out->wasmtime, TARS_MALFORMED, "the program does not compile",
                                     error, NULL, err)
                 : TARS_OK;
}

tars_status wasm_set_metering(wasm_metering wanted, tars_error *err) {
    platform_mutex_lock(&lock);
    tars_status status = TARS_OK;
    if (is_made && (wanted.epochs != metering.epochs || wanted.fuel != metering.fuel)) {
        status = error_set(err, TARS_CONFLICT, "guests run already, metered in another way");
    } else {
        metering = wanted;
    }
    platform_mutex_unlock(&lock);
    return status;
}
