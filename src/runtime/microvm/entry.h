/* The way back from a call of the guest. Ownership: nothing is kept. */
#ifndef RUNTIME_MICROVM_ENTRY_H
#define RUNTIME_MICROVM_ENTRY_H

#include "platform/vmm.h"

/* Flags that a program may set itself (SYSRET restores them from R11): all but those that would
 * give it ports or another mode. */
#define ENTRY_USER_FLAGS ((uint64_t)0x240DD5)
#define ENTRY_FIXED_FLAGS ((uint64_t)2)
#define ENTRY_CANONICAL_END ((uint64_t)1 << 47)

/* The processor goes on behind its call, with the result. False: its registers lead to no
 * address. */
static inline bool entry_return(vmm_registers *r, const vmm_exit *e, uint64_t result) {
    uint64_t back = r->general[VMM_RCX];
    uint64_t flags = (r->general[VMM_R11] & ENTRY_USER_FLAGS) | ENTRY_FIXED_FLAGS;
    r->general[VMM_RAX] = result;
    if (back >= ENTRY_CANONICAL_END) {
        return false;
    }
    if (e->in_supervisor) { /* the entry page returns, with flags that it may have */
        r->general[VMM_R11] = flags;
    } else {
        r->rip = back;
        r->rflags = flags;
    }
    return true;
}

#endif
