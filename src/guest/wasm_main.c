/* The guest as a WebAssembly module: one export runs it, one import gives the host its turn.
 *
 * Linear memory: the program's data, then the arena up to the model, which the host maps
 * read-only at an offset of its choice and announces in its HELLO. */
#include "guest/serve.h"

#include <stdalign.h>

#define IMPORT(name) __attribute__((import_module("tars"), import_name(name)))
#define EXPORT(name) __attribute__((export_name(name)))

enum { PAGE_BYTES = 64 << 10, MODEL_ALIGNMENT = 2 << 20 };

/* Gives the host its turn: it takes and fills the rings. 0: the host wants the guest to end. */
IMPORT("turn") extern int32_t host_turn(void);

extern uint8_t __heap_base; /* the linker's: behind data and stack */

static wire_area area;

static bool wait_for_host(void *context) {
    (void)context;
    return host_turn() != 0;
}

static uint64_t memory_bytes(void) {
    return (uint64_t)__builtin_wasm_memory_size(0) * PAGE_BYTES;
}

static const void *model_at(uint64_t offset, uint64_t size_bytes) {
    uint64_t end = memory_bytes();
    bool fits = offset % MODEL_ALIGNMENT == 0 && offset >= (uintptr_t)&__heap_base &&
                offset <= end && size_bytes <= end - offset;
    return fits ? (const void *)(uintptr_t)offset : NULL;
}

static const kernel_table *kernels_named(const char *name) {
    unsigned features = kernel_wasm_is_fused() ? KERNEL_HAS_WASM_FUSED : 0;
    const kernel_table *named = name[0] ? kernel_by_name(name) : kernel_best(features);
    return named && kernel_usable(named, features) ? named : NULL;
}

/* Where the two rings lie. */
EXPORT("tars_wire") uint32_t tars_wire(void) {
    return (uint32_t)(uintptr_t)&area;
}

/* Serves until the host's turn returns 0. `arena_end` is where the memory that the guest may use
 * ends, at most where the model lies. Returns a tars_status. */
EXPORT("tars_serve") uint32_t tars_serve(uint32_t arena_end) {
    uintptr_t begin = ((uintptr_t)&__heap_base + 63) / 64 * 64;
    if (arena_end <= begin || arena_end > memory_bytes()) {
        return TARS_USAGE;
    }
    wire_port port = {.in = &area.to_guest, .out = &area.to_host, .wait = wait_for_host};
    arena memory;
    arena_init(&memory, (void *)begin, arena_end - begin);
    serve_place place = {.port = &port,
                         .model_at = model_at,
                         .state = &memory,
                         .memory = &memory,
                         .kernels = kernels_named};
    return (uint32_t)serve(&place, NULL);
}
