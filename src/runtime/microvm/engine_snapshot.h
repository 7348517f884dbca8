/* The engine with a model, prepared in a machine once: what all its machines start from. The
 * program starts as any program of Linux does, opens the model and tells that it is ready; its
 * memory and its processor are kept as they are then.
 *
 * Ownership: create to destroy, when the last machine is gone; the model's mapping is borrowed as
 * long. Constant in between: any number of threads. */
#ifndef RUNTIME_MICROVM_ENGINE_SNAPSHOT_H
#define RUNTIME_MICROVM_ENGINE_SNAPSHOT_H

#include "guest/machine.h"
#include "platform/snapshot.h"
#include "runtime/microvm/pages.h"

enum {
    ENGINE_SLOT_CODE,
    ENGINE_SLOT_DATA,
    ENGINE_SLOT_SYSTEM,
    ENGINE_SLOT_MODEL,
    ENGINE_SLOT_SCRATCH, /* its first large page; the rest: */
    ENGINE_SLOT_MORE
};
enum { ENGINE_DATA_BYTES = ENGINE_DATA_END - ENGINE_DATA };

/* Of the slot of a model: whole pages. */
static inline size_t engine_model_slot_bytes(const platform_mapping *mapping) {
    return mapping ? (mapping->size_bytes + PAGE_BYTES - 1) / PAGE_BYTES * PAGE_BYTES : 0;
}

typedef struct engine_snapshot {
    const vmm_functions *vmm;
    const platform_mapping *model; /* or NULL */
    uint32_t n_vocab;              /* of the model */
    char isa[16];                  /* its kernels */
    unsigned most_workers;
    uint8_t *code;          /* ENGINE_LARGE_BYTES, read-only */
    platform_snapshot data; /* from ENGINE_DATA to ENGINE_DATA_END, then the system area */
    pages layout;           /* of the system area; without memory */
    vmm_state *state;       /* of the first processor */
    engine_ready ready;
    uint64_t ticks_per_ms; /* of the processors' time-stamp counter */
    uint64_t random_at;    /* address of the random bytes that the program was started with */
    uint64_t state_bytes;  /* of the guest's own state */
    uint64_t boot_ns;      /* that this took */
} engine_snapshot;

/* A slot of a machine of the engine. */
typedef struct engine_slot {
    unsigned slot;
    uint64_t address;
    void *host;
    size_t size_bytes; /* 0: there is none */
    bool read_only;
} engine_slot;
tars_status engine_map_slots(const vmm_functions *vmm, vmm_machine *vm, const engine_slot *slots,
                             size_t n, tars_error *err);

/* Asked at least every 10 ms while an engine starts: CANCELLED or TIMEOUT ends it. */
typedef struct engine_boot_check {
    tars_status (*ask)(void *user, tars_error *err);
    void *user;
} engine_boot_check;

/* `isa`: the kernels that it must take, or "" for its best. `check` may be NULL. UNAVAILABLE where
 * there are no machines, no program for them in this build, or no such kernels; what the model's
 * bytes are refused for; what the check says. */
tars_status engine_snapshot_create(const platform_mapping *mapping, const char *isa,
                                   unsigned most_workers, const engine_boot_check *check,
                                   engine_snapshot **out, tars_error *err);
/* The same with another program in the place of the engine, as a model could make of it that took
 * it over. TIMEOUT when it is not ready after limit_ns. */
typedef struct engine_boot_program {
    const uint8_t *bytes; /* an ELF file; borrowed for the call */
    size_t length;
    uint64_t limit_ns;
} engine_boot_program;
tars_status engine_snapshot_create_from(const engine_boot_program *program,
                                        const platform_mapping *mapping, const char *isa,
                                        unsigned most_workers, const engine_boot_check *check,
                                        engine_snapshot **out, tars_error *err);
void engine_snapshot_destroy(engine_snapshot *snapshot);

#endif
