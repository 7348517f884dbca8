/* Under the profile strict clocks tell whole milliseconds, and the monotonic one does not tell how
 * long the machine has been running. */
#include "escape.h"

int main(int argc, char **argv) {
    __wasi_timestamp_t t;
    bool strict = argc > 1 && strcmp(argv[1], "strict") == 0;
    for (uint32_t clock = 0; clock < 2; clock++) {
        bool fine = false;
        for (int i = 0; i < 1000; i++) {
            MUST(__wasi_clock_time_get(clock, 1, &t) == 0);
            fine = fine || t % 1000000 != 0;
        }
        MUST(fine == !strict);
    }
    MUST(__wasi_clock_time_get(__WASI_CLOCKID_MONOTONIC, 1, &t) == 0);
    MUST(t < UINT64_C(10000000000));
    MUST(__wasi_clock_time_get(77, 1, &t) != 0);
    puts(strict ? "coarse" : "exact");
    return 0;
}
