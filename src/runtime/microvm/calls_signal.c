/* Signals: recorded, and delivered where a thread goes on. One that ends a process by default and
 * is not caught ends the guest. */
#include "runtime/microvm/linux_internal.h"

enum { SET_BYTES = 8, IGNORED = 1, KILL = 9, STOP = 19, SEGMENT = 11 };
enum { CODE_USER = 0, CODE_THREAD = -6 };
#define NEVER_BLOCKED ((uint64_t)1 << (KILL - 1) | (uint64_t)1 << (STOP - 1))

/* SIGCHLD, SIGCONT, SIGURG, SIGWINCH, and those that stop a process. */
static bool ends_process(uint32_t number) {
    static const uint64_t harmless = (uint64_t)1 << 16 | (uint64_t)1 << 17 | (uint64_t)1 << 18 |
                                     (uint64_t)1 << 19 | (uint64_t)1 << 20 | (uint64_t)1 << 21 |
                                     (uint64_t)1 << 22 | (uint64_t)1 << 27;
    return (harmless & linux_bit_of(number)) == 0;
}

static bool is_caught(const linux_context *context, uint32_t number) {
    return context->actions[number].handler > IGNORED;
}

static void end_by(linux_context *context, uint32_t number) {
    context->code = number;
    linux_finish(context, LINUX_SIGNALLED);
}

/* ---- what waits to be delivered ------------------------------------------------------------ */

static uint64_t ready_for(const linux_context *context, const linux_thread *t) {
    return (context->pending | t->pending) & ~t->mask;
}

bool linux_has_signal(const linux_context *context) {
    return context->machine.registers && ready_for(context, context->current) != 0;
}

/* Those that nobody catches and that are not blocked: ignored, or the guest's end. */
static void take_uncaught(linux_context *context, linux_thread *t) {
    uint64_t ready = ready_for(context, t);
    for (uint32_t i = 1; i <= LINUX_N_SIGNALS && ready != 0; i++) {
        if ((ready & linux_bit_of(i)) != 0 && !is_caught(context, i)) {
            t->pending &= ~linux_bit_of(i);
            context->pending &= ~linux_bit_of(i);
            if (context->actions[i].handler == 0 && ends_process(i)) {
                end_by(context, i);
                return;
            }
        }
    }
}

static void wake(linux_context *context, const linux_thread *t) {
    const linux_machine *m = &context->machine;
    if (t != context->current && m->wake && ready_for(context, t) != 0) {
        m->wake(m->user, (unsigned)(t - context->threads));
    }
}

/* To a thread, or with NULL to all: who does not block it takes it. */
static int64_t send_to(linux_context *context, linux_thread *thread, uint32_t number) {
    if (number > LINUX_N_SIGNALS) {
        return -LINUX_EINVAL;
    }
    if (number == 0 || context->actions[number].handler == IGNORED) {
        return 0;
    }
    if (is_caught(context, number) && !context->machine.registers) {
        return -LINUX_ENOSYS;
    }
    *(thread ? &thread->pending : &context->pending) |= linux_bit_of(number);
    for (unsigned i = 0; i < context->n_threads && context->end == LINUX_RUNS; i++) {
        linux_thread *t = &context->threads[i];
        if (t->is_live && (!thread || t == thread)) {
            take_uncaught(context, t);
            wake(context, t);
        }
    }
    return 0;
}

int64_t linux_send(linux_context *context, uint32_t number) {
    return send_to(context, context->current, number);
}

/* ---- delivery ------------------------------------------------------------------------------ */

/* The lowest; 0: there is none. */
static uint32_t take_next(linux_context *context, bool *of_thread) {
    linux_thread *t = context->current;
    uint64_t ready = ready_for(context, t);
    if (ready == 0) {
        return 0;
    }
    uint32_t number = (uint32_t)__builtin_ctzll(ready) + 1;
    *of_thread = (t->pending & linux_bit_of(number)) != 0;
    *(*of_thread ? &t->pending : &context->pending) &= ~linux_bit_of(number);
    return number;
}

/* A call that a signal interrupted is made again behind the handler, when that wants it. */
static void settle_call(vmm_registers *r, uint64_t number, bool again) {
    enum { SYSCALL_BYTES = 2 };
    if (r->general[VMM_RAX] == (uint64_t)-LINUX_RESTART) {
        r->general[VMM_RAX] = again ? number : (uint64_t)-LINUX_EINTR;
        r->rip -= again ? SYSCALL_BYTES : 0;
    }
}

static void deliver_one(linux_context *context, const linux_signal_info *info) {
    enum { ONCE_BIT = 31, NO_DEFER = 0x40000000 };
    uint32_t number = (uint32_t)info->signal;
    linux_signal_action *action = &context->actions[number];
    linux_thread *t = context->current;
    if (!linux_push_frame(context, info)) {
        end_by(context, SEGMENT);
        return;
    }
    t->mask |= action->mask | ((action->flags & NO_DEFER) != 0 ? 0 : linux_bit_of(number));
    t->mask &= ~NEVER_BLOCKED;
    if ((action->flags >> ONCE_BIT & 1) != 0) {
        *action = (linux_signal_action){.handler = 0};
    }
}

void linux_deliver(linux_context *context, bool after_call, uint64_t number) {
    enum { RESTARTS = 0x10000000, RETURN = 15 };
    const linux_machine *m = &context->machine;
    bool of_thread = false;
    uint32_t next;
    if (!m->registers) {
        return;
    }
    vmm_registers *r = m->registers(m->user);
    after_call = after_call && number != RETURN; /* its registers are those of another place */
    take_uncaught(context, context->current);
    while (context->end == LINUX_RUNS && (next = take_next(context, &of_thread)) != 0) {
        if (after_call) {
            settle_call(r, number, (context->actions[next].flags & RESTARTS) != 0);
        }
        const linux_signal_info info = {.signal = (int32_t)next,
                                        .code = of_thread ? CODE_THREAD : CODE_USER};
        deliver_one(context, &info);
        after_call = false;
    }
    if (after_call) {
        settle_call(r, number, true);
    }
}

/* A thread cannot go on behind its own exception, so one that is blocked ends the guest, too. */
bool linux_raise(linux_context *context, const linux_exception *e) {
    if (context->end != LINUX_RUNS || !context->machine.registers ||
        !is_caught(context, e->signal) || (context->current->mask & linux_bit_of(e->signal)) != 0) {
        return false;
    }
    const linux_signal_info info = {.signal = (int32_t)e->signal,
                                    .code = e->code,
                                    .address = e->address,
                                    .exception = e->number,
                                    .error = e->error,
                                    .is_fault = true};
    deliver_one(context, &info);
    return context->end == LINUX_RUNS;
}

/* ---- calls --------------------------------------------------------------------------------- */

LINUX_CALL(kill) {
    int32_t process = (int32_t)arguments[0];
    return process == 0 || process == LINUX_PROCESS_ID || process == -LINUX_PROCESS_ID
               ? send_to(context, NULL, (uint32_t)arguments[1])
               : -LINUX_ESRCH;
}

static int64_t send_to_number(linux_context *context, uint64_t thread, uint64_t signal) {
    for (unsigned i = 0; i < context->n_threads; i++) {
        linux_thread *t = &context->threads[i];
        if (t->is_live && t->number == (uint32_t)thread) {
            return send_to(context, t, (uint32_t)signal);
        }
    }
    return -LINUX_ESRCH;
}

LINUX_CALL(tkill) {
    return send_to_number(context, arguments[0], arguments[1]);
}

LINUX_CALL(tgkill) {
    return (uint32_t)arguments[0] == LINUX_PROCESS_ID
               ? send_to_number(context, arguments[1], arguments[2])
               : -LINUX_ESRCH;
}

LINUX_CALL(rt_sigaction) {
    uint32_t number = (uint32_t)arguments[0];
    linux_signal_action wanted = {.handler = 0};
    if (number == 0 || number > LINUX_N_SIGNALS || arguments[3] != SET_BYTES) {
        return -LINUX_EINVAL;
    }
    linux_signal_action *action = &context->actions[number];
    int64_t result = 0;
    if (arguments[1] != 0) {
        result = number == KILL || number == STOP
                     ? -LINUX_EINVAL
                     : linux_get(context, arguments[1], &wanted, sizeof wanted);
    }
    if (result == 0 && arguments[2] != 0) {
        result = linux_put(context, arguments[2], action, sizeof *action);
    }
    if (result == 0 && arguments[1] != 0) {
        *action = wanted;
    }
    return result;
}

LINUX_CALL(rt_sigprocmask) {
    enum { BLOCK = 0, UNBLOCK = 1, SET = 2 };
    linux_thread *t = context->current;
    uint64_t before = t->mask;
    uint64_t wanted = 0;
    uint32_t how = (uint32_t)arguments[0];
    if (arguments[3] != SET_BYTES || (arguments[1] != 0 && how > SET)) {
        return -LINUX_EINVAL;
    }
    int64_t result = 0;
    if (arguments[1] != 0) {
        result = linux_get(context, arguments[1], &wanted, sizeof wanted);
    }
    if (result == 0 && arguments[2] != 0) {
        result = linux_put(context, arguments[2], &before, sizeof before);
    }
    if (result == 0 && arguments[1] != 0) {
        uint64_t mask = how == BLOCK ? before | wanted : how == UNBLOCK ? before & ~wanted : wanted;
        t->mask = mask & ~NEVER_BLOCKED;
        take_uncaught(context, t);
    }
    return result;
}

LINUX_CALL(rt_sigpending) {
    uint64_t pending = (context->pending | context->current->pending) & context->current->mask;
    return arguments[1] > SET_BYTES
               ? -LINUX_EINVAL
               : linux_put(context, arguments[0], &pending, (size_t)arguments[1]);
}

LINUX_CALL(sigaltstack) {
    enum { ON_STACK = 1, LEAST_BYTES = 2048 };
    linux_thread *t = context->current;
    uint64_t wanted[3] = {0, 0, 0}; /* address, flags, size */
    uint64_t told[3] = {t->signal_stack[0], t->signal_stack[1], t->signal_stack[2]};
    int64_t result = 0;
    bool is_on = linux_on_signal_stack(context);
    told[1] |= is_on ? ON_STACK : 0;
    if (arguments[0] != 0) {
        result = linux_get(context, arguments[0], wanted, sizeof wanted);
    }
    if (result == 0 && arguments[1] != 0) {
        result = linux_put(context, arguments[1], told, sizeof told);
    }
    if (result != 0 || arguments[0] == 0) {
        return result;
    }
    wanted[1] &= UINT32_MAX; /* an int and its padding */
    bool disabled = (wanted[1] & LINUX_STACK_DISABLED) != 0;
    if (is_on || (!disabled && wanted[2] < LEAST_BYTES)) {
        return is_on ? -LINUX_EPERM : -LINUX_ENOMEM;
    }
    for (size_t i = 0; i < 3; i++) {
        t->signal_stack[i] = disabled ? (i == 1 ? LINUX_STACK_DISABLED : 0) : wanted[i];
    }
    t->signal_stack[1] &= ~(uint64_t)ON_STACK;
    return 0;
}
