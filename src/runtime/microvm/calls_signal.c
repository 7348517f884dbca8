/* Signals are recorded and never delivered to a handler; one that a program sends itself and that
 * ends a process by default ends it here, as abort wants. */
#include "runtime/microvm/linux_internal.h"

enum { SET_BYTES = 8, IGNORED = 1, KILL = 9, STOP = 19 };

static uint64_t bit_of(uint32_t number) {
    return (uint64_t)1 << (number - 1);
}

/* SIGCHLD, SIGCONT, SIGURG, SIGWINCH, and those that stop a process. */
static bool ends_process(uint32_t number) {
    static const uint64_t harmless = (uint64_t)1 << 16 | (uint64_t)1 << 17 | (uint64_t)1 << 18 |
                                     (uint64_t)1 << 19 | (uint64_t)1 << 20 | (uint64_t)1 << 21 |
                                     (uint64_t)1 << 22 | (uint64_t)1 << 27;
    return (harmless & bit_of(number)) == 0;
}

static void end_by(linux_context *context, uint32_t number) {
    context->code = number;
    linux_finish(context, LINUX_SIGNALLED);
}

/* What was sent while it was blocked. */
static void take_pending(linux_context *context) {
    for (uint32_t i = 1; i <= LINUX_N_SIGNALS && context->end == LINUX_RUNS; i++) {
        uint64_t ready = context->signals_pending & ~context->signal_mask;
        if ((ready & bit_of(i)) != 0) {
            context->signals_pending &= ~bit_of(i);
            if (context->actions[i].handler == 0 && ends_process(i)) {
                end_by(context, i);
            }
        }
    }
}

int64_t linux_send(linux_context *context, uint32_t number) {
    if (number > LINUX_N_SIGNALS) {
        return -LINUX_EINVAL;
    }
    if (number == 0) {
        return 0;
    }
    uint64_t handler = context->actions[number].handler;
    if (handler > IGNORED) {
        return -LINUX_ENOSYS;
    }
    context->signals_pending |= handler == IGNORED ? 0 : bit_of(number);
    take_pending(context);
    return 0;
}

LINUX_CALL(kill) {
    int32_t process = (int32_t)arguments[0];
    return process == 0 || process == LINUX_PROCESS_ID || process == -LINUX_PROCESS_ID
               ? linux_send(context, (uint32_t)arguments[1])
               : -LINUX_ESRCH;
}

/* With a machine that has threads, any number may be one of them. */
static bool is_thread(const linux_context *context, uint32_t number) {
    return context->machine.clone ? number >= LINUX_PROCESS_ID : number == LINUX_PROCESS_ID;
}

LINUX_CALL(tkill) {
    return is_thread(context, (uint32_t)arguments[0]) ? linux_send(context, (uint32_t)arguments[1])
                                                      : -LINUX_ESRCH;
}

LINUX_CALL(tgkill) {
    return (uint32_t)arguments[0] == LINUX_PROCESS_ID && is_thread(context, (uint32_t)arguments[1])
               ? linux_send(context, (uint32_t)arguments[2])
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
    uint64_t before = context->signal_mask;
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
        context->signal_mask = mask & ~(bit_of(KILL) | bit_of(STOP));
        take_pending(context);
    }
    return result;
}

LINUX_CALL(sigaltstack) {
    enum { DISABLED = 2, LEAST_BYTES = 2048 };
    uint64_t wanted[3] = {0, 0, 0}; /* address, flags, size */
    int64_t result = 0;
    if (arguments[0] != 0) {
        result = linux_get(context, arguments[0], wanted, sizeof wanted);
    }
    if (result == 0 && arguments[1] != 0) {
        result =
            linux_put(context, arguments[1], context->signal_stack, sizeof context->signal_stack);
    }
    if (result != 0 || arguments[0] == 0) {
        return result;
    }
    wanted[1] &= UINT32_MAX; /* an int and its padding */
    bool disabled = (wanted[1] & DISABLED) != 0;
    if (!disabled && wanted[2] < LEAST_BYTES) {
        return -LINUX_ENOMEM;
    }
    for (size_t i = 0; i < 3; i++) {
        context->signal_stack[i] = disabled ? (i == 1 ? DISABLED : 0) : wanted[i];
    }
    return 0;
}
