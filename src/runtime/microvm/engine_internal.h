/* What the files of the engine's machine share. Ownership: as in engine_machine.h. */
#ifndef RUNTIME_MICROVM_ENGINE_INTERNAL_H
#define RUNTIME_MICROVM_ENGINE_INTERNAL_H

#include "runtime/microvm/engine_warm.h"

typedef struct engine_processor {
    engine_machine *machine;
    unsigned number;
    vmm_processor *processor;
    platform_thread thread;
    bool has_thread;
    atomic_uint_least64_t parked_at; /* the guest's address of PARK, 0: not parked */
    atomic_uint wake;                /* gate of PARK */
    uint64_t cpu_ns, n_exits;        /* of the request, once it has stopped */
} engine_processor;

enum { ENGINE_ORDER_NONE, ENGINE_ORDER_RUN, ENGINE_ORDER_QUIT };

struct engine_machine {
    const engine_snapshot *snapshot;
    const vmm_functions *vmm;
    vmm_machine *vm;
    uint8_t *data; /* a copy of the snapshot's */
    pages pages;   /* in it */
    /* The memory of requests. The first large page is in small ones: the rings, and what little
     * texts need. */
    void *scratch;
    void *more; /* behind it, in large pages, or NULL */
    size_t more_bytes;
    size_t given_bytes; /* from the rings on, that the request may use */
    unsigned n_workers;
    engine_processor *processors;
    atomic_uint orders;     /* gate: grows with each order */
    atomic_uint order;      /* ENGINE_ORDER_… */
    atomic_uint n_running;  /* gate: processors that have not stopped */
    atomic_uint is_ending;  /* they shall stop */
    atomic_uint news;       /* gate: the host wrote or read; grows */
    atomic_uint is_waiting; /* the first processor is parked on it */
    atomic_uint bell;       /* gate of who serves: a processor has something to tell; grows */
    platform_mutex lock;    /* of the next two */
    tars_status status;     /* why the guest was stopped */
    tars_error error;
    atomic_uint n_begun; /* gate: threads that are ready for orders */
    bool is_prepared, was_used, is_spoilt;
    engine_machine *next; /* of those that the pool has */
    engine_warmth warmth; /* in the pool */
};

/* The thread of a processor, which is its argument. */
void engine_processor_main(void *processor);
/* The first failure counts. */
void engine_machine_fail(engine_machine *m, const tars_error *error);
void engine_machine_ring(engine_machine *m);
/* Rings, in the machine's scratch. */
wire_area *engine_machine_area(const engine_machine *m);

#endif
