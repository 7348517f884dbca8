/* The program inside a sandbox: greets, then serves requests over the wire until the host is
 * gone. Ownership: port, model's bytes and memory are the caller's. One thread. */
#ifndef GUEST_SERVE_H
#define GUEST_SERVE_H

#include "base/arena.h"
#include "engine/kernels/kernels.h"
#include "guest/wire.h"

typedef struct serve_place {
    wire_port *port;
    /* Where the host says the model lies; NULL when the range is not the guest's to read. */
    const void *(*model_at)(uint64_t offset, uint64_t size_bytes);
    arena *memory;
    const kernel_table *(*kernels)(const char *name); /* "" asks for the best; NULL: not there */
} serve_place;

/* Returns when the host is gone (TARS_UNAVAILABLE) or broke the protocol. A request that fails is
 * told to the host and does not end it. */
tars_status serve(const serve_place *place, tars_error *err);

#endif
