#include "runtime/microvm/linux_internal.h"

#include "base/checked.h"

enum {
    CLOCK_WALL = LINUX_CLOCK_WALL,
    CLOCK_STEADY = LINUX_CLOCK_STEADY,
    CLOCK_PROCESS_CPU,
    CLOCK_THREAD_CPU,
    CLOCK_STEADY_RAW,
    CLOCK_WALL_COARSE,
    CLOCK_STEADY_COARSE,
    CLOCK_BOOT,
    CLOCK_COUNT
};
static const uint64_t SECOND_NS = 1000000000;

uint64_t linux_round_down(const linux_context *context, uint64_t time_ns) {
    uint64_t unit = context->options.clock_resolution_ns;
    return unit > 1 ? time_ns - time_ns % unit : time_ns;
}

/* That of the process never seems to go back. */
static uint64_t cpu_now(linux_context *context, bool of_all) {
    const linux_machine *m = &context->machine;
    if (m->cpu_ns && !of_all) {
        return m->cpu_ns(m->user, false);
    }
    uint64_t now = m->cpu_ns ? m->cpu_ns(m->user, true) : platform_thread_cpu_ns();
    uint64_t used = now > context->cpu_start_ns ? now - context->cpu_start_ns : 0;
    context->cpu_ns = used > context->cpu_ns ? used : context->cpu_ns;
    return context->cpu_ns;
}

static uint64_t wall_now(void) {
    int64_t now = platform_wall_clock_ns();
    return now > 0 ? (uint64_t)now : 0;
}

static bool is_wall(uint32_t clock) {
    return clock == CLOCK_WALL || clock == CLOCK_WALL_COARSE;
}

static bool is_cpu(uint32_t clock) {
    return clock == CLOCK_PROCESS_CPU || clock == CLOCK_THREAD_CPU;
}

/* The steady clock begins with the guest: it tells nothing of when the host was started. */
static uint64_t now_of(linux_context *context, uint32_t clock) {
    return is_wall(clock)  ? wall_now()
           : is_cpu(clock) ? cpu_now(context, clock == CLOCK_PROCESS_CPU)
                           : platform_clock_ns() - context->start_ns;
}

int64_t linux_get_time(const linux_context *context, uint64_t address, uint64_t *ns) {
    int64_t pair[2]; /* guest and host are little-endian alike */
    if (!space_get(context->options.space, address, pair, sizeof pair)) {
        return -LINUX_EFAULT;
    }
    if (pair[0] < 0 || pair[1] < 0 || pair[1] >= (int64_t)SECOND_NS) {
        return -LINUX_EINVAL;
    }
    bool fits = checked_mul_u64((uint64_t)pair[0], SECOND_NS, ns) &&
                checked_add_u64(*ns, (uint64_t)pair[1], ns);
    *ns = fits ? *ns : UINT64_MAX;
    return 0;
}

static int64_t put_time(linux_context *context, uint64_t address, uint64_t ns, uint64_t unit_ns) {
    const uint64_t pair[2] = {ns / SECOND_NS, ns % SECOND_NS / unit_ns};
    return linux_put(context, address, pair, sizeof pair);
}

LINUX_CALL(clock_gettime) {
    uint32_t clock = (uint32_t)arguments[0];
    if (clock >= CLOCK_COUNT) {
        return -LINUX_EINVAL;
    }
    return put_time(context, arguments[1], linux_round_down(context, now_of(context, clock)), 1);
}

LINUX_CALL(clock_getres) {
    uint64_t unit = context->options.clock_resolution_ns;
    if ((uint32_t)arguments[0] >= CLOCK_COUNT) {
        return -LINUX_EINVAL;
    }
    return arguments[1] == 0 ? 0 : put_time(context, arguments[1], unit > 1 ? unit : 1, 1);
}

LINUX_CALL(gettimeofday) {
    static const uint32_t zone[2] = {0, 0};
    int64_t result = 0;
    if (arguments[0] != 0) {
        result = put_time(context, arguments[0], linux_round_down(context, wall_now()), 1000);
    }
    if (result == 0 && arguments[1] != 0) {
        result = linux_put(context, arguments[1], zone, sizeof zone);
    }
    return result;
}

LINUX_CALL(time) {
    uint64_t now = linux_round_down(context, wall_now()) / SECOND_NS;
    int64_t result = 0;
    if (arguments[0] != 0) {
        result = linux_put(context, arguments[0], &now, sizeof now);
    }
    return result == 0 ? (int64_t)now : result;
}

/* ---- what was used --------------------------------------------------------------------- */

/* All of it counts as the program's own, none as the system's. */
LINUX_CALL(getrusage) {
    enum { CHILDREN = -1, SELF = 0, THREAD = 1 };
    int32_t who = (int32_t)arguments[0];
    struct {
        uint64_t user[2], system[2]; /* seconds and microseconds */
        uint64_t peak_kib, rest[13];
    } usage = {.peak_kib = 0};
    if (who < CHILDREN || who > THREAD) {
        return -LINUX_EINVAL;
    }
    if (who != CHILDREN) {
        uint64_t used = linux_round_down(context, cpu_now(context, who == SELF));
        usage.user[0] = used / SECOND_NS;
        usage.user[1] = used % SECOND_NS / 1000;
        usage.peak_kib = space_peak_bytes(context->options.space) / 1024;
    }
    return linux_put(context, arguments[1], &usage, sizeof usage);
}

/* In hundredths of a second; the result counts from the guest's start. */
LINUX_CALL(times) {
    const uint64_t tick_ns = SECOND_NS / 100;
    const uint64_t ticks[4] = {linux_round_down(context, cpu_now(context, true)) / tick_ns, 0, 0,
                               0};
    uint64_t now = linux_round_down(context, now_of(context, CLOCK_STEADY)) / tick_ns;
    int64_t result = 0;
    if (arguments[0] != 0) {
        result = linux_put(context, arguments[0], ticks, sizeof ticks);
    }
    return result == 0 ? (int64_t)now : result;
}

/* ---- waiting --------------------------------------------------------------------------- */

uint64_t linux_later(uint64_t base_ns, uint64_t ns) {
    return ns > PLATFORM_FOREVER - base_ns ? PLATFORM_FOREVER : base_ns + ns;
}

uint64_t linux_moment_of(linux_context *context, uint32_t clock, uint64_t shows_ns) {
    uint64_t now = now_of(context, clock);
    return linux_later(platform_clock_ns(), shows_ns > now ? shows_ns - now : 0);
}

LINUX_CALL(nanosleep) {
    uint64_t ns;
    int64_t result = linux_get_time(context, arguments[0], &ns);
    if (result != 0) {
        return result;
    }
    return linux_sleep_until(context, linux_later(platform_clock_ns(), ns)) ? 0 : -LINUX_EINTR;
}

LINUX_CALL(clock_nanosleep) {
    enum { ABSOLUTE = 1 };
    uint64_t ns;
    uint32_t clock = (uint32_t)arguments[0];
    int64_t result = linux_get_time(context, arguments[2], &ns);
    if (clock >= CLOCK_COUNT || is_cpu(clock)) {
        return clock < CLOCK_COUNT ? -LINUX_EOPNOTSUPP : -LINUX_EINVAL;
    }
    if (result != 0) {
        return result;
    }
    bool absolute = ((uint32_t)arguments[1] & ABSOLUTE) != 0;
    uint64_t until =
        absolute ? linux_moment_of(context, clock, ns) : linux_later(platform_clock_ns(), ns);
    return linux_sleep_until(context, until) ? 0 : -LINUX_EINTR;
}

LINUX_CALL(sched_yield) {
    (void)arguments;
    linux_nap(context, 0);
    return 0;
}
