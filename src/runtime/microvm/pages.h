/* What the processors of a micro-VM read and the guest never writes: page tables, descriptor
 * tables, the task segment with its bitmap of ports, and the entry page.
 *
 *   0 … 4 GiB        identity: a guest address is a physical one
 *   SYSTEM_ADDRESS   the entry page (user, read and execute); for each processor descriptor tables
 *                    and task segment (supervisor, read-only), a stack for faults (supervisor,
 *                    writable)
 *
 * The page tables themselves lie behind these, and no page table maps them.
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

enum { PAGE_READ = 1, PAGE_WRITE = 2, PAGE_EXECUTE = 4 };

typedef struct pages {
    uint8_t *memory; /* at SYSTEM_ADDRESS for the guest */
    size_t size_bytes;
    uint64_t *ram; /* entries of the guest's pages, by number */
    size_t n_ram;
    unsigned n_processors;
    uint64_t table; /* physical address of the first table */
} pages;

/* Tables for so many bytes of guest memory from address 0 on, none of it mapped, and for 1 to
 * VMM_MAX_PROCESSORS processors. */
tars_status pages_create(uint64_t ram_bytes, unsigned n_processors, pages *out, tars_error *err);
void pages_destroy(pages *p);
/* Whether it lies in the entry page. */
bool pages_is_entry(uint64_t address);
/* What a guest's pages allow from now on; 0: nothing, any access faults. True when a page
 * that was there changed: then the processor must forget what it knows (vmm.map of the slot again),
 * also of rights that were added, since it may hold the narrower ones. */
bool pages_set(pages *p, size_t first, size_t count, unsigned rights);
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
