#include "platform/platform.h"

#include <errno.h>
#include <time.h>

static int64_t read_clock(clockid_t clock) {
    struct timespec t;
    if (clock_gettime(clock, &t) != 0) {
        return 0;
    }
    return (int64_t)t.tv_sec * 1000000000 + (int64_t)t.tv_nsec;
}

uint64_t platform_clock_ns(void) {
    return (uint64_t)read_clock(CLOCK_MONOTONIC);
}
int64_t platform_wall_clock_ns(void) {
    return read_clock(CLOCK_REALTIME);
}
uint64_t platform_process_cpu_ns(void) {
    return (uint64_t)read_clock(CLOCK_PROCESS_CPUTIME_ID);
}
uint64_t platform_thread_cpu_ns(void) {
    return (uint64_t)read_clock(CLOCK_THREAD_CPUTIME_ID);
}

void platform_sleep_ns(uint64_t duration_ns) {
    struct timespec left = {.tv_sec = (time_t)(duration_ns / 1000000000u),
                            .tv_nsec = (long)(duration_ns % 1000000000u)};
    while (nanosleep(&left, &left) != 0 && errno == EINTR) {
    }
}
