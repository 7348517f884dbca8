/* Threads of the guest: a row of the context each, which is a processor of the machine. */
#include "runtime/microvm/linux_internal.h"

#include <string.h>

enum {
    CLONE_VM = 0x100,
    CLONE_FS = 0x200,
    CLONE_FILES = 0x400,
    CLONE_SIGHAND = 0x800,
    CLONE_THREAD = 0x10000,
    CLONE_SYSVSEM = 0x40000,
    CLONE_SETTLS = 0x80000,
    CLONE_PARENT_SETTID = 0x100000,
    CLONE_CHILD_CLEARTID = 0x200000,
    CLONE_DETACHED = 0x400000, /* means nothing any more */
    CLONE_CHILD_SETTID = 0x1000000,
    OF_THREADS = CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD,
    KNOWN = OF_THREADS | CLONE_SYSVSEM | CLONE_SETTLS | CLONE_PARENT_SETTID | CLONE_CHILD_CLEARTID |
            CLONE_DETACHED | CLONE_CHILD_SETTID
};

LINUX_CALL(gettid) {
    (void)arguments;
    return context->current->number;
}

LINUX_CALL(set_tid_address) {
    context->current->exit_address = arguments[0];
    return context->current->number;
}

/* ---- the end ----------------------------------------------------------------------------- */

/* struct robust_list_head. */
typedef struct robust_head {
    uint64_t first;
    int64_t offset; /* of the word, from an entry */
    uint64_t pending;
} robust_head;
enum { MAX_ROBUST = 2048 };

LINUX_CALL(set_robust_list) {
    if (arguments[1] != sizeof(robust_head)) {
        return -LINUX_EINVAL;
    }
    context->current->robust_list = arguments[0];
    return 0;
}

LINUX_CALL(get_robust_list) {
    const uint64_t length = sizeof(robust_head);
    const linux_thread *found = arguments[0] == 0 ? context->current : NULL;
    for (unsigned i = 0; !found && i < context->n_threads; i++) {
        const linux_thread *t = &context->threads[i];
        found = t->is_live && t->number == (uint32_t)arguments[0] ? t : NULL;
    }
    if (!found) {
        return -LINUX_ESRCH;
    }
    int64_t result =
        linux_put(context, arguments[1], &found->robust_list, sizeof found->robust_list);
    return result == 0 ? linux_put(context, arguments[2], &length, sizeof length) : result;
}

/* A lock that the thread held when it ended is told to be so, and one who waits is woken. */
static void give_up_lock(linux_context *context, uint64_t address) {
    const uint32_t owner_mask = 0x3FFFFFFF, owner_died = 0x40000000, waited_for = 0x80000000;
    uint32_t *word =
        address % sizeof(uint32_t) == 0
            ? space_pointer(context->options.space, address, sizeof *word, SPACE_READ | SPACE_WRITE)
            : NULL;
    if (!word) {
        return;
    }
    uint32_t before = __atomic_load_n(word, __ATOMIC_SEQ_CST);
    while ((before & owner_mask) == context->current->number) {
        uint32_t after = (before & waited_for) | owner_died;
        if (__atomic_compare_exchange_n(word, &before, after, false, __ATOMIC_SEQ_CST,
                                        __ATOMIC_SEQ_CST)) {
            if ((before & waited_for) != 0) {
                (void)linux_wake(context, address, 1, UINT32_MAX);
            }
            return;
        }
    }
}

/* The lowest bit of an entry tells of a kind of lock that there is not here. */
static void give_up_locks(linux_context *context) {
    robust_head head;
    uint64_t at = context->current->robust_list;
    if (at == 0 || linux_get(context, at, &head, sizeof head) != 0) {
        return;
    }
    uint64_t entry = head.first;
    for (unsigned n = 0; n < MAX_ROBUST && (entry & ~(uint64_t)1) != at; n++) {
        uint64_t next;
        bool is_read = linux_get(context, entry & ~(uint64_t)1, &next, sizeof next) == 0;
        if (entry != head.pending) {
            give_up_lock(context, (entry & ~(uint64_t)1) + (uint64_t)head.offset);
        }
        if (!is_read) {
            return;
        }
        entry = next;
    }
    if (head.pending != 0) {
        give_up_lock(context, (head.pending & ~(uint64_t)1) + (uint64_t)head.offset);
    }
}

void linux_end_thread(linux_context *context) {
    linux_thread *t = context->current;
    give_up_locks(context);
    if (t->exit_address != 0) {
        const uint32_t none = 0;
        if (linux_put(context, t->exit_address, &none, sizeof none) == 0) {
            (void)linux_wake(context, t->exit_address, 1, UINT32_MAX);
        }
    }
    t->is_live = false;
    context->n_live--;
}

LINUX_CALL(exit) {
    if (context->n_live == 1) {
        return call_exit_group(context, arguments);
    }
    linux_end_thread(context);
    return 0;
}

/* ---- the beginning ----------------------------------------------------------------------- */

/* struct clone_args as far as threads need it; clone is one too. */
typedef struct clone_request {
    uint64_t flags, pid_descriptor, child_id_at, parent_id_at, exit_signal;
    uint64_t stack, stack_bytes, thread_base;
} clone_request;

static linux_thread *free_row(linux_context *context) {
    for (unsigned i = 0; i < context->n_threads; i++) {
        if (!context->threads[i].is_live) {
            return &context->threads[i];
        }
    }
    return NULL;
}

static bool may_write(linux_context *context, uint64_t flags, uint64_t wanted, uint64_t address) {
    return (flags & wanted) == 0 ||
           space_pointer(context->options.space, address, sizeof(uint32_t), SPACE_WRITE) != NULL;
}

static void put_number(linux_context *context, const clone_request *r, uint64_t flag,
                       uint64_t address, uint32_t number) {
    if ((r->flags & flag) != 0) {
        (void)linux_put(context, address, &number, sizeof number);
    }
}

/* All of what makes it a thread of this program, and nothing else. */
static int64_t begin_thread(linux_context *context, const clone_request *r) {
    const linux_machine *m = &context->machine;
    if ((r->flags & OF_THREADS) != OF_THREADS || (r->flags & ~(uint64_t)KNOWN) != 0) {
        linux_refuse(context, "syscall");
        return -LINUX_EPERM;
    }
    if (!may_write(context, r->flags, CLONE_PARENT_SETTID, r->parent_id_at) ||
        !may_write(context, r->flags, CLONE_CHILD_SETTID, r->child_id_at)) {
        return -LINUX_EFAULT;
    }
    linux_thread *t = free_row(context);
    if (!t) {
        context->n_threads_refused++;
    }
    if (!t || !m->clone) {
        return -LINUX_EAGAIN;
    }
    const linux_clone wanted = {.stack_pointer = r->stack + r->stack_bytes,
                                .thread_base = r->thread_base,
                                .has_thread_base = (r->flags & CLONE_SETTLS) != 0};
    int64_t result = m->clone(m->user, (unsigned)(t - context->threads), &wanted);
    if (result != 0) {
        return result;
    }
    *t = (linux_thread){.is_live = true,
                        .number = LINUX_PROCESS_ID + ++context->n_numbers,
                        .exit_address = (r->flags & CLONE_CHILD_CLEARTID) != 0 ? r->child_id_at : 0,
                        .mask = context->current->mask,
                        .signal_stack = {0, LINUX_STACK_DISABLED, 0}};
    memcpy(t->name, context->current->name, sizeof t->name);
    context->n_live++;
    put_number(context, r, CLONE_PARENT_SETTID, r->parent_id_at, t->number);
    put_number(context, r, CLONE_CHILD_SETTID, r->child_id_at, t->number);
    return t->number;
}

/* A signal at the thread's end, in the lowest byte, means nothing of threads. */
LINUX_CALL(clone) {
    const clone_request request = {.flags = (uint32_t)arguments[0] & ~(uint64_t)0xFF,
                                   .stack = arguments[1],
                                   .parent_id_at = arguments[2],
                                   .child_id_at = arguments[3],
                                   .thread_base = arguments[4]};
    return begin_thread(context, &request);
}

LINUX_CALL(clone3) {
    enum { LEAST_BYTES = 64, MOST_BYTES = 4096 };
    clone_request request;
    if (arguments[1] < LEAST_BYTES || arguments[1] > MOST_BYTES) {
        return -LINUX_EINVAL;
    }
    int64_t result = linux_get(context, arguments[0], &request, sizeof request);
    if (result == 0 && (request.stack == 0) != (request.stack_bytes == 0)) {
        result = -LINUX_EINVAL;
    }
    return result == 0 ? begin_thread(context, &request) : result;
}

/* Every call of a thread is a barrier to the others already, and no kind of it is told to be
 * there. */
LINUX_CALL(membarrier) {
    (void)context;
    return arguments[0] == 0 ? 0 : -LINUX_EINVAL;
}
