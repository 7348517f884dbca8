/* What the files of a machine share; nothing else includes it. Ownership: all belongs to the
 * machine.
 *
 * Each row is a processor with a thread of the host, which runs one thread of the guest after
 * another; row 0 is the caller of machine_run. Two locks: `lock` is held by who answers the guest
 * or changes its memory, that is, outside of runs; `gate_lock` says who runs. Nobody runs while
 * pages that the guest can reach are changed. */
#ifndef RUNTIME_MICROVM_MACHINE_INTERNAL_H
#define RUNTIME_MICROVM_MACHINE_INTERNAL_H

#include "platform/vmm.h"
#include "runtime/microvm/machine.h"
#include "runtime/microvm/pages.h"

typedef struct machine machine;

typedef struct machine_thread {
    machine *machine;
    unsigned row;
    vmm_processor *processor; /* NULL until the row is first used */
    vmm_tables tables;
    bool has_host; /* a thread of its own, to be joined */
    platform_thread host;
    bool has_guest; /* under the lock: a thread of the guest that is not at its end */
    bool runs;      /* under gate_lock */
    bool is_asleep; /* under the lock */
    platform_condition woken;
    uint64_t page_table; /* that the processor has */
    uint64_t thread_base;
    uint64_t cpu_begin_ns; /* of the host's thread, when it began to serve */
    uint64_t guest_cpu_ns; /* cpu_ns when its guest's thread began */
    uint64_t cpu_ns;       /* under the lock: used so far, as of the last exit */
} machine_thread;

struct machine {
    const vmm_functions *vmm;
    vmm_machine *vm;
    pages pages;
    space space;
    uint8_t *ram;
    uint64_t ram_bytes;
    const machine_limits *limits;
    const linux_options *options;
    linux_context *calls;
    machine_result *result;
    machine_thread threads[VMM_MAX_PROCESSORS];
    unsigned n_threads;
    platform_mutex lock;
    machine_thread *current; /* who holds the lock for the guest */
    bool is_over;
    bool is_held; /* the holder of the lock lets nobody run */
    tars_status status;
    tars_error *error;
    platform_mutex gate_lock;
    platform_condition gate; /* somebody stopped running, or may run again */
    bool is_closed;
};

/* ---- machine_exits.c ---- */

/* What the guest's thread wants; under the lock. False: the guest is at its end. */
bool machine_take_exit(machine_thread *t, const vmm_exit *e);
/* False: its time is over, or nobody wants it any more. Under the lock. */
bool machine_look_after(machine *m);

/* ---- machine_threads.c ---- */

/* What the guest's calls need of the machine; `user` is the machine. */
extern const linux_machine machine_calls;

tars_status machine_add_processor(machine *m, unsigned row, tars_error *err);
/* Runs the guest from row 0, which is started, to its end; all other threads have ended then. */
tars_status machine_run_threads(machine *m, tars_error *err);
/* Nobody else runs until machine_release; under the lock. */
void machine_hold(machine *m);
void machine_release(machine *m);
/* Ends the guest: its machine does not work. Under the lock. */
void machine_fail(machine *m, tars_status status, const tars_error *err);

#endif
