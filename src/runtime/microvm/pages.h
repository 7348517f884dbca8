/* What the processors of a micro-VM read and the guest never writes: page tables, descriptor
 * tables, the task segment with its bitmap of ports, and the entry page.
 *
 *   0 … 4 GiB, and as much as was asked for behind them: identity, a guest address is a physical
 *   one, but for
 *   SYSTEM_ADDRESS   the entry page (user, read and execute); for each processor descriptor tables
 *                    and task segment (supervisor, read-only), a stack for faults (supervisor,
 *                    writable)
 *
 * The page tables themselves lie behind these, and no page table maps them. Processors keep what
 * they read of a table, and some machines of this kind notice no change that the host makes. Hence
 * a table that they may know is only ever added to; for any other change it is written anew at an
 * address where there was none, and so are those above it. An address is used again when all has
 * been forgotten.
 *
 * Ownership: pages_create to pages_destroy; the memory is given to the machine by its user. */
#ifndef RUNTIME_MICROVM_PAGES_H
#define RUNTIME_MICROVM_PAGES_H

#include "platform/vmm.h"

enum {
    PAGE_BYTES = 4096,
    PORT_CALL = 0x80,  /* SYSCALL, from the entry page */
    PORT_FAULT = 0x90, /* and up: exception number port − PORT_FAULT */
    N_FAULTS = 32
};
#define SYSTEM_ADDRESS ((uint64_t)0xF0000000)
#define PAGES_MAX_RAM_BYTES ((uint64_t)3 << 30)
#define PAGES_LARGE_BYTES ((uint64_t)2 << 20)
#define PAGES_FAR ((uint64_t)4 << 30) /* where far memory begins */
#define PAGES_MAX_FAR_BYTES ((uint64_t)500 << 30)

enum { PAGE_READ = 1, PAGE_WRITE = 2, PAGE_EXECUTE = 4 };

typedef struct pages {
    uint8_t *memory; /* at SYSTEM_ADDRESS for the guest */
    size_t size_bytes;
    size_t n_ram; /* pages of the guest */
    size_t n_far; /* large pages from PAGES_FAR on */
    unsigned n_processors;
    uint64_t table;                      /* physical address of the first table */
    size_t level_4, level_3, level_2[4]; /* tables, by their pages in `memory` */
    size_t first_far;                    /* the first of those of the large pages */
    size_t n_pages, n_free, next;        /* of `memory`; where the next free one is looked for */
    struct page_use *uses;               /* of each page of `memory` */
    struct page_leaf *leaves;            /* last tables, 2 MiB of the guest's memory each */
    uint32_t generation;                 /* grows when processors get to know tables */
} pages;

/* Tables for so many bytes of guest memory from address 0 on, none of it mapped, and for 1 to
 * VMM_MAX_PROCESSORS processors. */
tars_status pages_create(uint64_t ram_bytes, unsigned n_processors, pages *out, tars_error *err);
/* The same with large pages from PAGES_FAR on, none of it mapped, for a machine whose pages do not
 * change once it runs but to be added. */
tars_status pages_create_far(uint64_t ram_bytes, unsigned n_processors, uint64_t far_bytes,
                             pages *out, tars_error *err);
void pages_destroy(pages *p);
/* The same tables in other memory of the same size, which is its user's: for a copy of a machine.
 * Nothing in them can be changed. */
void pages_move(const pages *p, void *memory, pages *out);
/* Maps memory in large pages, from a boundary of them on: in the place of the guest's pages there,
 * elsewhere below SYSTEM_ADDRESS, or far. Before the machine runs. */
void pages_set_large(pages *p, uint64_t address, uint64_t size_bytes, unsigned rights);
/* Whether it lies in the entry page. */
bool pages_is_entry(uint64_t address);
/* What a guest's pages allow from now on; 0: nothing, any access faults. While a page changes that
 * was there no processor may run, and those that run again need the table that is the first one
 * then. False: not all of it was done for want of fresh pages; once no processor runs and all is
 * forgotten (vmm.map of the slot again) pages_forgotten makes room for another try. */
bool pages_set(pages *p, size_t first, size_t count, unsigned rights);
/* Processors get to know the tables as they are. */
void pages_seen(pages *p);
void pages_forgotten(pages *p);
/* Those of a processor, by number from 0 on. */
void pages_tables(const pages *p, unsigned processor, vmm_tables *out);

/* What the handler of a fault left on the processor's stack. */
typedef struct page_fault_frame {
    uint64_t error, rip, rsp, rflags;
    bool has_error;
} page_fault_frame;
void pages_read_fault(const pages *p, unsigned processor, unsigned exception,
                      page_fault_frame *out);

#endif
