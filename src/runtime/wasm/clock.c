#include "runtime/wasm/clock.h"

#include "platform/platform.h"

static platform_mutex lock;
static const wasm_library *library;                        /* before the thread starts */
static _Atomic(wasm_engine_t *) engines[WASM_MAX_ENGINES]; /* the first n_engines */
static atomic_size_t n_engines;
static atomic_uint n_running; /* guests; gate of the clock's thread */

static void clock_main(void *argument) {
    (void)argument;
    for (;;) {
        if (atomic_load_explicit(&n_running, memory_order_acquire) == 0) {
            (void)platform_gate_wait(&n_running, 0, PLATFORM_FOREVER);
            continue;
        }
        platform_sleep_ns((uint64_t)WASM_TICK_MS * 1000 * 1000);
        size_t n = atomic_load(&n_engines);
        for (size_t i = 0; i < n; i++) {
            library->wasmtime_engine_increment_epoch(atomic_load(&engines[i]));
        }
    }
}

static tars_status add(const wasm_library *w, wasm_engine_t *engine, tars_error *err) {
    size_t n = atomic_load(&n_engines);
    if (n == WASM_MAX_ENGINES) {
        return error_set(err, TARS_LIMIT, "more than %d engines for WebAssembly",
                         (int)WASM_MAX_ENGINES);
    }
    tars_status status = TARS_OK;
    if (!library) {
        library = w;
        platform_thread thread; /* runs as long as the process */
        status = platform_thread_create("tars-epoch", clock_main, NULL, &thread, err);
        library = status == TARS_OK ? w : NULL;
    }
    if (status == TARS_OK) {
        atomic_store(&engines[n], engine);
        atomic_store(&n_engines, n + 1);
    }
    return status;
}

tars_status wasm_clock_add(const wasm_library *w, wasm_engine_t *engine, tars_error *err) {
    platform_mutex_lock(&lock);
    tars_status status = add(w, engine, err);
    platform_mutex_unlock(&lock);
    return status;
}

void wasm_clock_begin(void) {
    if (atomic_fetch_add(&n_running, 1) == 0) {
        platform_gate_wake_all(&n_running);
    }
}

void wasm_clock_end(void) {
    atomic_fetch_sub(&n_running, 1);
}
