/* A machine of the engine, made from a snapshot: its memory, its processors and a host thread for
 * each of them, which waits until a request is served.
 *
 * Ownership: create to destroy; the snapshot lives longer. One thread at a time, any one. */
#ifndef RUNTIME_MICROVM_ENGINE_MACHINE_H
#define RUNTIME_MICROVM_ENGINE_MACHINE_H

#include "runtime/guest_client.h"
#include "runtime/microvm/engine_snapshot.h"

typedef struct engine_machine engine_machine;

typedef struct engine_usage {
    uint64_t start_ns;      /* until the processors were told to run */
    uint64_t cpu_ns;        /* of the processors' threads */
    uint64_t n_exits;       /* that took the guest's processors to the host */
    uint64_t touched_bytes; /* of the snapshot that it changed, when it was reset; else 0 */
} engine_usage;

/* With 1 to the snapshot's most_workers processors, and with memory for requests of so many bytes
 * (0: none yet). */
tars_status engine_machine_create(const engine_snapshot *snapshot, unsigned n_workers,
                                  uint64_t memory_bytes, engine_machine **out, tars_error *err);
unsigned engine_machine_workers(const engine_machine *m);
/* Serves the client's request with so many bytes of memory: quickest with as many as before.
 * Afterwards the machine serves no other before it was reset. A guest that does not end soon after
 * the client's check refused, or that did what it may not, is stopped where it is. */
tars_status engine_machine_serve(engine_machine *m, uint64_t memory_bytes, guest_client *client,
                                 engine_usage *usage, tars_error *err);
/* As after create: nothing of the request is left in it. CONFLICT when the request failed, timed
 * out or was cut off: such a machine is not used again. */
tars_status engine_machine_reset(engine_machine *m, engine_usage *usage, tars_error *err);
/* Gives the memory back that requests took in a machine that was reset since, and has address space
 * for requests of so many bytes from now on. */
tars_status engine_machine_rest(engine_machine *m, uint64_t memory_bytes, tars_error *err);
void engine_machine_destroy(engine_machine *m);
/* What requests can ask for, in bytes. */
uint64_t engine_machine_most_bytes(void);

#endif
