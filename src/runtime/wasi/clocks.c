#include "runtime/wasi/internal.h"

enum { CLOCK_WALL = 0, CLOCK_STEADY, CLOCK_PROCESS_CPU, CLOCK_THREAD_CPU, CLOCK_COUNT };

uint64_t wasi_round_down(const wasi_context *context, uint64_t time_ns) {
    uint64_t unit = context->options.clock_resolution_ns;
    return unit > 1 ? time_ns - time_ns % unit : time_ns;
}

/* A guest runs on one thread of the host and has one of its own: both clocks of processor time are
 * that thread's, which may have changed since, so that they could seem to go back. */
static uint64_t cpu_now(wasi_context *context) {
    uint64_t now = platform_thread_cpu_ns();
    uint64_t used = now > context->cpu_start_ns ? now - context->cpu_start_ns : 0;
    context->cpu_ns = used > context->cpu_ns ? used : context->cpu_ns;
    return context->cpu_ns;
}

bool wasi_clock_now(wasi_context *context, uint32_t clock, uint64_t *now_ns) {
    if (clock >= CLOCK_COUNT) {
        return false;
    }
    if (clock == CLOCK_WALL) {
        int64_t now = platform_wall_clock_ns();
        *now_ns = now > 0 ? (uint64_t)now : 0;
    } else if (clock == CLOCK_STEADY) {
        *now_ns = platform_clock_ns() - context->start_ns;
    } else {
        *now_ns = cpu_now(context);
    }
    return true;
}

WASI_CALL(clock_res_get) {
    uint64_t unit = context->options.clock_resolution_ns;
    if (wasi_u32(arguments, 0) >= CLOCK_COUNT) {
        return WASI_EINVAL;
    }
    return wasi_put_u64(memory, wasi_u32(arguments, 1), unit > 1 ? unit : 1);
}

/* The precision asked for never makes a clock finer than it is. */
WASI_CALL(clock_time_get) {
    uint64_t now;
    if (!wasi_clock_now(context, wasi_u32(arguments, 0), &now)) {
        return WASI_EINVAL;
    }
    return wasi_put_u64(memory, wasi_u32(arguments, 2), wasi_round_down(context, now));
}
