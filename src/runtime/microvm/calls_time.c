#include "runtime/microvm/linux_internal.h"

#include "base/checked.h"

enum {
    CLOCK_WALL = 0,
    CLOCK_STEADY,
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

/* That of the host's thread which makes the call; it never seems to go back. */
static uint64_t cpu_now(linux_context *context) {
    uint64_t now = platform_thread_cpu_ns();
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
           : is_cpu(clock) ? cpu_now(context)
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
        uint64_t used = linux_round_down(context, cpu_now(context));
        usage.user[0] = used / SECOND_NS;
        usage.user[1] = used % SECOND_NS / 1000;
        usage.peak_kib = space_peak_bytes(context->options.space) / 1024;
    }
    return linux_put(context, arguments[1], &usage, sizeof usage);
}

/* In hundredths of a second; the result counts from the guest's start. */
LINUX_CALL(times) {
    const uint64_t tick_ns = SECOND_NS / 100;
    const uint64_t ticks[4] = {linux_round_down(context, cpu_now(context)) / tick_ns, 0, 0, 0};
    uint64_t now = linux_round_down(context, now_of(context, CLOCK_STEADY)) / tick_ns;
    int64_t result = 0;
    if (arguments[0] != 0) {
        result = linux_put(context, arguments[0], ticks, sizeof ticks);
    }
    return result == 0 ? (int64_t)now : result;
}

/* ---- waiting --------------------------------------------------------------------------- */

static uint64_t later(uint64_t base, uint64_t ns) {
    return ns > PLATFORM_FOREVER - base ? PLATFORM_FOREVER : base + ns;
}

/* On this machine's steady clock: when the guest's clock shows that. */
static uint64_t moment_of(linux_context *context, uint32_t clock, uint64_t shows_ns) {
    uint64_t now = now_of(context, clock);
    return later(platform_clock_ns(), shows_ns > now ? shows_ns - now : 0);
}

LINUX_CALL(nanosleep) {
    uint64_t ns;
    int64_t result = linux_get_time(context, arguments[0], &ns);
    if (result != 0) {
        return result;
    }
    return linux_sleep_until(context, later(platform_clock_ns(), ns)) ? 0 : -LINUX_EINTR;
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
    uint64_t until = absolute ? moment_of(context, clock, ns) : later(platform_clock_ns(), ns);
    return linux_sleep_until(context, until) ? 0 : -LINUX_EINTR;
}

LINUX_CALL(sched_yield) {
    (void)arguments;
    linux_nap(context, 0);
    return 0;
}

/* ---- futex ----------------------------------------------------------------------------- */

enum { WAIT = 0, WAKE = 1, REQUEUE = 3, REQUEUE_IF = 4, WAIT_SET = 9, WAKE_SET = 10 };
enum { COMMAND_MASK = 127, ON_WALL_CLOCK = 256 };

static const uint32_t *word_at(linux_context *context, uint64_t address) {
    return address % sizeof(uint32_t) == 0
               ? space_pointer(context->options.space, address, sizeof(uint32_t), SPACE_READ)
               : NULL;
}

static int64_t wait_on(linux_context *context, const uint64_t *a, bool absolute) {
    const linux_machine *m = &context->machine;
    uint64_t until = PLATFORM_FOREVER;
    uint32_t wanted = (uint32_t)a[2];
    if (a[3] != 0) {
        uint64_t ns;
        int64_t result = linux_get_time(context, a[3], &ns);
        if (result != 0) {
            return result;
        }
        bool wall = ((uint32_t)a[1] & ON_WALL_CLOCK) != 0;
        until = absolute ? moment_of(context, wall ? CLOCK_WALL : CLOCK_STEADY, ns)
                         : later(platform_clock_ns(), ns);
    }
    const uint32_t *word = word_at(context, a[0]);
    if (!word || __atomic_load_n(word, __ATOMIC_ACQUIRE) != wanted) {
        return word ? -LINUX_EAGAIN : -LINUX_EFAULT;
    }
    if (m->futex_wait) {
        return m->futex_wait(m->user, a[0], wanted, until);
    }
    /* There is no other thread that could wake this one. */
    return linux_sleep_until(context, until) ? -LINUX_ETIMEDOUT : -LINUX_EINTR;
}

static int64_t wake(linux_context *context, uint64_t address, uint32_t count) {
    const linux_machine *m = &context->machine;
    return m->futex_wake ? m->futex_wake(m->user, address, count) : 0;
}

/* All who would wait elsewhere are woken instead and look again, as waiters have to. */
static int64_t requeue(linux_context *context, const uint64_t *a, const uint32_t *word,
                       bool compares) {
    if (compares && __atomic_load_n(word, __ATOMIC_ACQUIRE) != (uint32_t)a[5]) {
        return -LINUX_EAGAIN;
    }
    return wake(context, a[0], INT32_MAX);
}

LINUX_CALL(futex) {
    uint32_t command = (uint32_t)arguments[1] & COMMAND_MASK;
    const uint32_t *word = word_at(context, arguments[0]);
    bool takes_set = command == WAIT_SET || command == WAKE_SET;
    if (command > WAKE_SET || (command > REQUEUE_IF && !takes_set) || command == 2) {
        return -LINUX_ENOSYS;
    }
    if (!word) {
        return arguments[0] % sizeof(uint32_t) == 0 ? -LINUX_EFAULT : -LINUX_EINVAL;
    }
    if (takes_set && (uint32_t)arguments[5] == 0) {
        return -LINUX_EINVAL;
    }
    if (command == WAIT || command == WAIT_SET) {
        return wait_on(context, arguments, command == WAIT_SET);
    }
    return command == WAKE || command == WAKE_SET
               ? wake(context, arguments[0], (uint32_t)arguments[2])
               : requeue(context, arguments, word, command == REQUEUE_IF);
}
