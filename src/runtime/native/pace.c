#include "runtime/native/pace.h"

enum {
    LOST_SHARE = 4,          /* halve when more than 1/4 of the workers' time was lost */
    IGNORED_NS = 200 * 1000, /* less than that is not worth a change */
    RETRY_AFTER = 50         /* times what the failed step lost: trying costs 2 % of the time */
};

void pace_init(pace *p, unsigned n_max) {
    *p = (pace){.n_max = n_max, .n_now = n_max};
}

unsigned pace_workers(pace *p, uint64_t now_ns) {
    if (p->n_now < p->n_max && now_ns >= p->retry_at_ns) {
        p->n_now = p->n_now < p->n_max / 2 ? p->n_now * 2 : p->n_max;
    }
    return p->n_now;
}

void pace_note(pace *p, uint64_t now_ns, uint64_t step_ns, uint64_t waited_ns) {
    if (p->n_now > 1 && waited_ns > IGNORED_NS && waited_ns > step_ns / LOST_SHARE * p->n_now) {
        p->n_now /= 2;
        p->retry_at_ns = now_ns + waited_ns * RETRY_AFTER;
    }
}
