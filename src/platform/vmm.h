/* Virtual machines without devices, as a table of functions for each way of having them. A machine
 * has memory slots and processors that start in ring 3 of 64-bit mode; what they ask of their host
 * are writes to one port.
 *
 * Ownership: create to destroy; a machine's processors go before it. Memory that is mapped is the
 * caller's and outlives the mapping.
 * Threads: a machine's functions are called by one thread at a time. A processor is run by the
 * thread that attached it, in which one real-time signal is blocked until it is detached; only
 * kick may be called by others, none of which may do so when the processor is destroyed. */
#ifndef PLATFORM_VMM_H
#define PLATFORM_VMM_H

#include "base/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct vmm_machine vmm_machine;
typedef struct vmm_processor vmm_processor;
/* All that a processor holds: general, system, control, debug and vector registers,
 * model-specific registers and pending events. */
typedef struct vmm_state vmm_state;

/* General registers in the order of their numbers in instructions. */
enum {
    VMM_RAX,
    VMM_RCX,
    VMM_RDX,
    VMM_RBX,
    VMM_RSP,
    VMM_RBP,
    VMM_RSI,
    VMM_RDI,
    VMM_R8,
    VMM_R9,
    VMM_R10,
    VMM_R11,
    VMM_R12,
    VMM_R13,
    VMM_R14,
    VMM_R15,
    VMM_GENERAL = 16
};

typedef struct vmm_registers {
    uint64_t general[VMM_GENERAL];
    uint64_t rip, rflags;
} vmm_registers;

enum { VMM_MAX_PROCESSORS = 64 };

/* Where a processor finds its tables, all guest addresses that only the host writes. */
typedef struct vmm_tables {
    uint64_t page_table; /* physical */
    uint64_t gdt, idt, tss;
    uint32_t gdt_bytes, idt_bytes, tss_bytes;
    uint16_t kernel_code, kernel_data, user_code, user_data, task; /* selectors, user ones with 3 */
    uint64_t call_entry;                                           /* where SYSCALL leads */
    bool hides_time; /* reading the time-stamp counter faults */
} vmm_tables;

typedef enum vmm_exit_kind {
    VMM_EXIT_PORT,     /* it wrote to a port */
    VMM_EXIT_KICKED,   /* vmm.kick, or the clock of the run */
    VMM_EXIT_MEMORY,   /* it touched an address that no slot has */
    VMM_EXIT_SHUTDOWN, /* a fault while a fault was handled */
    VMM_EXIT_OTHER     /* anything else: `detail` is the backend's number */
} vmm_exit_kind;

typedef struct vmm_exit {
    vmm_exit_kind kind;
    uint16_t port;
    /* Ring 0 at the exit, in the entry page, which the instruction pointer must not be made to
     * leave: run refuses that. Paravirtual hosts stay in ring 3. */
    bool in_supervisor;
    uint64_t address; /* of MEMORY */
    uint64_t faulted; /* the address of the last page fault (CR2) */
    uint32_t detail;
} vmm_exit;

typedef struct vmm_functions {
    const char *name; /* "kvm" */
    /* UNAVAILABLE with the reason and what to do, found out by making a machine. */
    tars_status (*probe)(tars_error *err);
    tars_status (*create)(vmm_machine **out, tars_error *err);
    void (*destroy)(vmm_machine *machine);
    /* Host memory as guest memory from a page boundary on; 0 bytes: takes the slot away. What the
     * processor knows of pages of a slot that is taken away or changed is forgotten. The memory is
     * in no dump of the process from then on. */
    tars_status (*map)(vmm_machine *machine, unsigned slot, uint64_t guest_address, void *host,
                       size_t size_bytes, bool read_only, tars_error *err);
    /* From now on what a processor knows of pages of other slots is kept when a slot is taken away
     * or changed, where the system can do that: else all is forgotten, which costs. For machines
     * whose tables do not change. */
    void (*keep_others)(vmm_machine *machine);
    /* Up to VMM_MAX_PROCESSORS, each after the memory of the tables is there. */
    tars_status (*processor_create)(vmm_machine *machine, vmm_processor **out, tars_error *err);
    void (*processor_destroy)(vmm_processor *processor); /* detached */
    /* Ring 3, ready to run at rip with rsp, all other registers 0. */
    tars_status (*start)(vmm_processor *processor, const vmm_tables *tables, uint64_t rip,
                         uint64_t rsp, tars_error *err);
    /* Between runs. A state may be loaded into processors of any machine of this host, any number
     * of times, and then stands for start. */
    tars_status (*save)(vmm_processor *processor, vmm_state **out, tars_error *err);
    tars_status (*load)(vmm_processor *processor, const vmm_state *state, tars_error *err);
    void (*state_destroy)(vmm_state *state);
    /* The calling thread will run it. */
    tars_status (*attach)(vmm_processor *processor, tars_error *err);
    void (*detach)(vmm_processor *processor);
    /* Runs until something is to be done, at most about slice_ns. */
    tars_status (*run)(vmm_processor *processor, uint64_t slice_ns, vmm_exit *out, tars_error *err);
    /* As they are since the last exit; changes hold from the next run on. */
    vmm_registers *(*registers)(vmm_processor *processor);
    /* The bases of FS and GS, from the next run on. */
    void (*set_segment_bases)(vmm_processor *processor, uint64_t fs, uint64_t gs);
    /* The vector registers in the format of XSAVE; how long it is, or 0. Then to set them; false:
     * they are none. Between runs. */
    size_t (*get_vectors)(vmm_processor *processor, uint8_t *out, size_t capacity);
    bool (*set_vectors)(vmm_processor *processor, const uint8_t *bytes, size_t length);
    /* The next run begins in ring 3, whatever it was at the last exit. */
    void (*to_user)(vmm_processor *processor, const vmm_tables *tables);
    /* Another first table from the next run on; what was known of pages is forgotten, but for
     * tables at addresses that were tables before. */
    void (*set_page_table)(vmm_processor *processor, uint64_t page_table);
    /* Of its time-stamp counter; 0: unknown. */
    uint64_t (*ticks_per_ms)(const vmm_processor *processor);
    /* The next run, or the one that goes on, ends with KICKED. */
    void (*kick)(vmm_processor *processor);
} vmm_functions;

/* The best of this system; NULL when it has none in this version. */
const vmm_functions *platform_vmm(void);

#endif
