/* The program inside a sandbox: greets, then serves requests over the wire until the host is
 * gone. Ownership: port, model's bytes and memory are the caller's. One thread. */
#ifndef GUEST_SERVE_H
#define GUEST_SERVE_H

#include "base/arena.h"
#include "engine/kernels/kernels.h"
#include "guest/wire.h"

/* Processors that compute together, the caller's being worker 0. */
typedef struct serve_team {
    unsigned n_workers; /* at least 1, when the functions may be NULL */
    /* How many of them the next run shall have, as the machine has time. */
    unsigned (*choose)(void);
    void (*run)(unsigned n_workers, void (*function)(void *argument, unsigned worker),
                void *argument);
    void (*relax)(void *context, unsigned spins); /* as of a barrier */
} serve_team;

typedef struct serve_place {
    wire_port *port;
    /* Where the host says the model lies; NULL when the range is not the guest's to read. */
    const void *(*model_at)(uint64_t offset, uint64_t size_bytes);
    arena *state;  /* of what lives as long as the guest; may be the next one */
    arena *memory; /* of requests */
    const kernel_table *(*kernels)(const char *name); /* "" asks for the best; NULL: not there */
    bool host_is_beside;    /* it takes frames while the guest computes: only waiting needs it */
    const serve_team *team; /* may change between requests; NULL: one worker */
} serve_place;

typedef struct guest guest;

/* Greets, and opens the model. */
tars_status serve_open(const serve_place *place, guest **out, tars_error *err);
/* Returns when the host is gone (TARS_UNAVAILABLE) or broke the protocol. A request that fails is
 * told to the host and does not end it. May be called again after the host was gone. */
tars_status serve_requests(guest *g, tars_error *err);
/* Both. */
tars_status serve(const serve_place *place, tars_error *err);

#endif
