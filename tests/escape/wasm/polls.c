/* 2^20 subscriptions, none, and a wait for ever. */
#include "escape.h"

int main(int argc, char **argv) {
    static __wasi_event_t events[4];
    __wasi_size_t n = 0;
    size_t count = (size_t)1 << 20;
    if (argc > 1 && strcmp(argv[1], "wait") == 0) {
        __wasi_subscription_t s;
        memset(&s, 0, sizeof s);
        s.u.tag = __WASI_EVENTTYPE_CLOCK;
        s.u.u.clock.id = __WASI_CLOCKID_MONOTONIC;
        s.u.u.clock.timeout = ~UINT64_C(0) / 2;
        (void)__wasi_poll_oneoff(&s, events, 1, &n);
        return 20; /* the time limit came first */
    }
    /* it need not be there: the count alone must be refused before anything is made of it */
    __wasi_subscription_t *many = malloc(count / 8 * sizeof *many);
    MUST(many != NULL);
    MUST(__wasi_poll_oneoff(many, events, count, &n) != 0);
    MUST(__wasi_poll_oneoff(many, events, 0, &n) != 0);
    puts("refused");
    return 0;
}
