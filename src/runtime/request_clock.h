/* When a guest's calls must end: its time, and whether anybody still wants the result. Ownership:
 * values only. */
#ifndef RUNTIME_REQUEST_CLOCK_H
#define RUNTIME_REQUEST_CLOCK_H

#include <stdbool.h>
#include <stdint.h>

typedef enum request_clock_state {
    REQUEST_GOES_ON,
    REQUEST_TIME_IS_OVER,
    REQUEST_NOT_WANTED
} request_clock_state;

/* deadline_ns on the clock of platform_clock_ns, 0: none. goes_on may be NULL; it is asked once in
 * a millisecond, *asked_ns being when it was last. */
request_clock_state request_clock_look(uint64_t deadline_ns, bool (*goes_on)(void *user),
                                       void *user, uint64_t *asked_ns);
/* How long a call may wait before it must look again: at most wanted_ns, 5 ms and what is left. */
uint64_t request_clock_slice_ns(uint64_t deadline_ns, uint64_t wanted_ns);

#endif
