/* The linear memory of a stranger's instance: address space of 4 GiB of which just the part that
 * the program has is readable and writable, and growth that is refused at a limit and counted.
 *
 * Ownership: a stranger_memory is the caller's and must outlive the instance; its pages are
 * Wasmtime's from instantiation on and go with the store. */
#ifndef RUNTIME_WASM_STRANGER_MEMORY_H
#define RUNTIME_WASM_STRANGER_MEMORY_H

#include "runtime/wasm/library.h"

#include <stdbool.h>

typedef struct stranger_memory {
    uint64_t limit_bytes;
    uint8_t *bytes; /* NULL: the module has no memory */
    size_t size_bytes;
    uint64_t n_refused; /* times that growth was refused; the first memory counts as such */
} stranger_memory;

/* Sets the engine up so that instances take their memory from what the instantiating thread
 * offers. The guard behind it is as large as compiled code may rely on. */
void stranger_memory_configure(const wasm_library *w, wasm_config_t *config);
/* The next instance on this thread is measured by it; NULL ends that. */
void stranger_memory_offer(stranger_memory *memory);

#endif
