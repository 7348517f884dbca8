/* The linear memory of a guest that computes with a model: the guest's own part, then the packed
 * model, mapped read-only and shared by all guests.
 *
 *   0                 data, stack and arena of the guest, readable and writable
 *   arena_bytes       nothing, to the next multiple of 2 MiB: any access traps
 *   model_offset      the model's file: a store traps
 *   … 4 GiB + guard   nothing: any access traps
 *
 * Ownership: made by guest_memory_create, handed to Wasmtime at instantiation, released by it. */
#ifndef RUNTIME_WASM_MEMORY_H
#define RUNTIME_WASM_MEMORY_H

#include "platform/platform.h"
#include "runtime/wasm/library.h"

enum { WASM_PAGE_BYTES = 64 << 10 };

typedef struct guest_memory {
    uint8_t *space;
    size_t arena_bytes; /* whole pages */
    size_t model_offset;
    size_t end;                /* behind the model, whole pages */
    size_t size_bytes;         /* of the linear memory now */
    platform_mapping view;     /* the model's pages in it; empty without one */
    struct guest_memory *next; /* in the list of free structs */
} guest_memory;

/* UNAVAILABLE when arena and model exceed what 32-bit addresses reach. `model` may be NULL. */
tars_status guest_memory_create(size_t arena_bytes, const platform_mapping *model,
                                guest_memory **out, tars_error *err);
void guest_memory_destroy(guest_memory *memory);

/* Sets the engine up so that instances take the memory that the instantiating thread offers. */
void guest_memory_configure(const wasm_library *w, wasm_config_t *config);
/* The next instance on this thread takes this memory. Returns what was offered and not taken. */
guest_memory *guest_memory_offer(guest_memory *memory);

#endif
