/* What a handler of a signal finds on its stack, as the kernel of x86-64 lays it out (struct
 * rt_sigframe), and the way back from it. All that comes back is the guest's to choose, so of the
 * registers only those are taken that it could set itself. */
#include "runtime/microvm/linux_internal.h"

#include <stdlib.h>
#include <string.h>

enum { RED_ZONE_BYTES = 128, FRAME_ALIGN = 16, VECTORS_ALIGN = 64, MAX_VECTOR_BYTES = 4096 };
enum { USER_CODE = 0x33, USER_DATA = 0x2B /* what programs of Linux see */ };

/* Registers in the frame's order. */
static const uint8_t order[VMM_GENERAL] = {VMM_R8,  VMM_R9,  VMM_R10, VMM_R11, VMM_R12, VMM_R13,
                                           VMM_R14, VMM_R15, VMM_RDI, VMM_RSI, VMM_RBP, VMM_RBX,
                                           VMM_RDX, VMM_RAX, VMM_RCX, VMM_RSP};

typedef struct signal_frame {
    uint64_t return_address;
    uint64_t flags, link;
    uint64_t stack[3];
    uint64_t general[VMM_GENERAL], rip, rflags;
    uint16_t cs, gs, fs, ss;
    uint64_t error, exception, old_mask, address;
    uint64_t vectors_at;
    uint64_t reserved[8];
    uint64_t mask;
    struct {
        int32_t signal, number, code, padding;
        union {
            struct {
                int32_t process;
                uint32_t user;
            } sender;
            uint64_t address;
            uint8_t bytes[112];
        } of;
    } info;
} signal_frame;
_Static_assert(sizeof(signal_frame) == 440, "struct rt_sigframe");

/* In the first 512 bytes of the vector registers, where processors store nothing. */
enum { VECTORS_WORDS_AT = 464, HEADER_AT = 512, HEADER_BYTES = 64 };
typedef struct vector_words {
    uint32_t magic, total_bytes;
    uint64_t parts;
    uint32_t bytes;
    uint32_t padding[7];
} vector_words;
#define MAGIC_BEFORE 0x46505853u
#define MAGIC_BEHIND 0x46505845u

bool linux_on_signal_stack(const linux_context *context) {
    const linux_machine *m = &context->machine;
    const uint64_t *stack = context->current->signal_stack;
    if (!m->registers || (stack[1] & LINUX_STACK_DISABLED) != 0) {
        return false;
    }
    uint64_t at = m->registers(m->user)->general[VMM_RSP];
    return at > stack[0] && at - stack[0] <= stack[2];
}

/* ---- to the handler ------------------------------------------------------------------------ */

static uint64_t stack_for(const linux_context *context, const linux_signal_action *action) {
    enum { ON_STACK = 0x08000000 };
    const linux_machine *m = &context->machine;
    const uint64_t *stack = context->current->signal_stack;
    bool changes = (action->flags & ON_STACK) != 0 && (stack[1] & LINUX_STACK_DISABLED) == 0 &&
                   !linux_on_signal_stack(context);
    return changes ? stack[0] + stack[2] : m->registers(m->user)->general[VMM_RSP] - RED_ZONE_BYTES;
}

/* Below `top`; returns where they are, 0 when that is no place. */
static uint64_t push_vectors(linux_context *context, uint64_t top) {
    const linux_machine *m = &context->machine;
    uint8_t bytes[MAX_VECTOR_BYTES + sizeof(uint32_t)];
    size_t length = m->get_vectors(m->user, bytes, MAX_VECTOR_BYTES);
    if (length < HEADER_AT + HEADER_BYTES || top < sizeof bytes + VECTORS_ALIGN) {
        return 0;
    }
    vector_words words = {.magic = MAGIC_BEFORE,
                          .total_bytes = (uint32_t)(length + sizeof(uint32_t)),
                          .bytes = (uint32_t)length};
    memcpy(&words.parts, bytes + HEADER_AT, sizeof words.parts);
    memcpy(bytes + VECTORS_WORDS_AT, &words, sizeof words);
    const uint32_t behind = MAGIC_BEHIND;
    memcpy(bytes + length, &behind, sizeof behind);
    uint64_t at = (top - length - sizeof behind) / VECTORS_ALIGN * VECTORS_ALIGN;
    return linux_put(context, at, bytes, length + sizeof behind) == 0 ? at : 0;
}

static void fill(const linux_context *context, const linux_signal_info *info, signal_frame *f) {
    enum { HAS_VECTORS = 1, HAS_STACK_SEGMENT = 6 };
    const linux_machine *m = &context->machine;
    const vmm_registers *r = m->registers(m->user);
    const linux_thread *t = context->current;
    f->flags = HAS_VECTORS | HAS_STACK_SEGMENT;
    memcpy(f->stack, t->signal_stack, sizeof f->stack);
    for (size_t i = 0; i < VMM_GENERAL; i++) {
        f->general[i] = r->general[order[i]];
    }
    f->rip = r->rip;
    f->rflags = r->rflags | 0x200; /* as programs see it: interrupts on */
    f->cs = USER_CODE;
    f->ss = USER_DATA;
    f->mask = f->old_mask = t->mask;
    f->info.signal = info->signal;
    f->info.code = info->code;
    if (info->is_fault) {
        f->error = info->error;
        f->exception = info->exception;
        f->address = info->address;
        f->info.of.address = info->address;
    } else {
        f->info.of.sender.process = LINUX_PROCESS_ID;
        f->info.of.sender.user = LINUX_USER_ID;
    }
}

bool linux_push_frame(linux_context *context, const linux_signal_info *info) {
    enum { HAS_RESTORER = 0x04000000, CLEARED_FLAGS = 0x10500 /* RF DF TF */ };
    const linux_machine *m = &context->machine;
    const linux_signal_action *action = &context->actions[info->signal];
    signal_frame f;
    memset(&f, 0, sizeof f);
    uint64_t vectors = push_vectors(context, stack_for(context, action));
    if (vectors < sizeof f + FRAME_ALIGN || (action->flags & HAS_RESTORER) == 0 ||
        action->handler > (uint64_t)INT64_MAX >> 16) {
        return false;
    }
    uint64_t at = (vectors - sizeof f) / FRAME_ALIGN * FRAME_ALIGN - sizeof(uint64_t);
    f.return_address = action->restorer;
    f.vectors_at = vectors;
    fill(context, info, &f);
    if (linux_put(context, at, &f, sizeof f) != 0) {
        return false;
    }
    vmm_registers *r = m->registers(m->user);
    r->general[VMM_RDI] = (uint64_t)info->signal;
    r->general[VMM_RSI] = at + offsetof(signal_frame, info);
    r->general[VMM_RDX] = at + offsetof(signal_frame, flags);
    r->general[VMM_RAX] = 0;
    r->general[VMM_RSP] = at;
    r->rip = action->handler;
    r->rflags &= ~(uint64_t)CLEARED_FLAGS;
    return true;
}

/* ---- and back ------------------------------------------------------------------------------ */

/* Parts of the registers that the guest does not have, or that are in another format, are not
 * taken from it. */
static bool load_vectors(linux_context *context, uint64_t at) {
    const linux_machine *m = &context->machine;
    uint8_t own[MAX_VECTOR_BYTES];
    uint8_t bytes[MAX_VECTOR_BYTES];
    size_t length = m->get_vectors(m->user, own, sizeof own);
    enum { LEGACY_BYTES = 512, LEGACY_PARTS = 3, MXCSR_AT = 24, MXCSR_BITS = 0xFFBF };
    uint64_t parts = LEGACY_PARTS;
    vector_words words;
    if (length < HEADER_AT + HEADER_BYTES || linux_get(context, at, bytes, LEGACY_BYTES) != 0) {
        return false;
    }
    memcpy(&words, bytes + VECTORS_WORDS_AT, sizeof words);
    memset(bytes + LEGACY_BYTES, 0, sizeof bytes - LEGACY_BYTES);
    if (words.magic == MAGIC_BEFORE && words.bytes == length) {
        uint64_t theirs;
        if (linux_get(context, at + LEGACY_BYTES, bytes + LEGACY_BYTES, length - LEGACY_BYTES) !=
            0) {
            return false;
        }
        memcpy(&theirs, bytes + HEADER_AT, sizeof theirs);
        parts = theirs & LINUX_VECTOR_PARTS;
    }
    memset(bytes + HEADER_AT, 0, HEADER_BYTES);
    memcpy(bytes + HEADER_AT, &parts, sizeof parts);
    memset(bytes + VECTORS_WORDS_AT, 0, sizeof words);
    uint32_t mxcsr;
    memcpy(&mxcsr, bytes + MXCSR_AT, sizeof mxcsr);
    mxcsr &= MXCSR_BITS;
    memcpy(bytes + MXCSR_AT, &mxcsr, sizeof mxcsr);
    return m->set_vectors(m->user, bytes, length);
}

/* Its result is the RAX that the frame has: the call is seen by nobody. */
LINUX_CALL(rt_sigreturn) {
    enum { SEGMENT = 11 };
    const linux_machine *m = &context->machine;
    linux_thread *t = context->current;
    signal_frame f;
    (void)arguments;
    if (!m->registers) {
        return -LINUX_ENOSYS;
    }
    vmm_registers *r = m->registers(m->user);
    uint64_t at = r->general[VMM_RSP] - sizeof(uint64_t);
    bool fits = linux_get(context, at, &f, sizeof f) == 0 && f.rip <= (uint64_t)INT64_MAX >> 16 &&
                (f.vectors_at == 0 || load_vectors(context, f.vectors_at));
    if (!fits) {
        context->code = SEGMENT;
        linux_finish(context, LINUX_SIGNALLED);
        return -LINUX_EFAULT;
    }
    for (size_t i = 0; i < VMM_GENERAL; i++) {
        r->general[order[i]] = f.general[i];
    }
    r->rip = f.rip;
    r->rflags = f.rflags; /* those that it may have are left of it, as behind any call */
    t->mask = f.mask & ~(linux_bit_of(9) | linux_bit_of(19));
    return (int64_t)r->general[VMM_RAX];
}
