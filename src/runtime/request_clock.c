#include "runtime/request_clock.h"

#include "platform/platform.h"

static const uint64_t ASK_EVERY_NS = 1000000;
static const uint64_t SLICE_NS = 5000000;

request_clock_state request_clock_look(uint64_t deadline_ns, bool (*goes_on)(void *user),
                                       void *user, uint64_t *asked_ns) {
    if (deadline_ns == 0 && !goes_on) {
        return REQUEST_GOES_ON;
    }
    uint64_t now = platform_clock_ns();
    if (deadline_ns != 0 && now >= deadline_ns) {
        return REQUEST_TIME_IS_OVER;
    }
    if (!goes_on || now - *asked_ns < ASK_EVERY_NS) {
        return REQUEST_GOES_ON;
    }
    *asked_ns = now;
    return goes_on(user) ? REQUEST_GOES_ON : REQUEST_NOT_WANTED;
}

uint64_t request_clock_slice_ns(uint64_t deadline_ns, uint64_t wanted_ns) {
    uint64_t slice = wanted_ns < SLICE_NS ? wanted_ns : SLICE_NS;
    if (deadline_ns == 0 || slice == 0) {
        return slice;
    }
    uint64_t now = platform_clock_ns();
    uint64_t left = deadline_ns > now ? deadline_ns - now : 0;
    return slice < left ? slice : left;
}
