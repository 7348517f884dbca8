#include "platform/platform.h"

#include <errno.h>
#include <limits.h>
#include <linux/futex.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

bool platform_gate_wait(atomic_uint *gate, unsigned expected, uint64_t timeout_ns) {
    struct timespec limit = {.tv_sec = (time_t)(timeout_ns / 1000000000u),
                             .tv_nsec = (long)(timeout_ns % 1000000000u)};
    const struct timespec *wait = timeout_ns == PLATFORM_FOREVER ? NULL : &limit;
    long result = syscall(SYS_futex, (void *)gate, FUTEX_WAIT_PRIVATE, expected, wait, NULL, 0);
    return result == 0 || errno != ETIMEDOUT;
}

void platform_gate_wake_one(atomic_uint *gate) {
    (void)syscall(SYS_futex, (void *)gate, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
}

void platform_gate_wake_all(atomic_uint *gate) {
    (void)syscall(SYS_futex, (void *)gate, FUTEX_WAKE_PRIVATE, INT_MAX, NULL, NULL, 0);
}
