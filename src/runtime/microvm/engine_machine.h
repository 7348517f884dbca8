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

/* What a request needs. */
typedef struct engine_wish {
    unsigned n_workers; /* processors, 1 to the snapshot's most */
    bool computes;      /* it passes over the weights, or over all of a file */
    uint64_t memory_bytes;
} engine_wish;

/* With those processors, and with memory as it is wished: a request has it quickest then. */
tars_status engine_machine_create(const engine_snapshot *snapshot, const engine_wish *wish,
                                  engine_machine **out, tars_error *err);
/* Processors of the machine that is made for a wish. */
unsigned engine_machine_workers(const engine_snapshot *snapshot, const engine_wish *wish);
/* It has as many. */
bool engine_machine_suits(const engine_machine *m, const engine_wish *wish);
bool engine_machine_computes(wire_kind request);
/* What serve would begin with, in advance, for a process that gives up its rights in between:
 * afterwards serving takes memory, time, signals of this process to its own threads, and
 * processors that run (platform_hardening). */
tars_status engine_machine_prepare(engine_machine *m, const engine_wish *wish, tars_error *err);
/* Serves the client's request with so many bytes of memory, or those of prepare. Afterwards the
 * machine serves no other before it was reset. A guest that does not end soon after the client's
 * check refused, or that did what it may not, is stopped where it is. */
tars_status engine_machine_serve(engine_machine *m, uint64_t memory_bytes, guest_client *client,
                                 engine_usage *usage, tars_error *err);
/* As after create: nothing of the request is left in it. CONFLICT when the request failed, timed
 * out or was cut off: such a machine is not used again. */
tars_status engine_machine_reset(engine_machine *m, engine_usage *usage, tars_error *err);
void engine_machine_destroy(engine_machine *m);
/* What requests can ask for, in bytes. */
uint64_t engine_machine_most_bytes(void);

#endif
