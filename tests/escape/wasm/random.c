/* Random bytes for all of the memory, again and again: the time limit ends it. */
#include "escape.h"

int main(void) {
    size_t n = (size_t)24 << 20;
    uint8_t *bytes = malloc(n);
    MUST(bytes != NULL);
    MUST(__wasi_random_get((uint8_t *)65536, 0xffffffff) != 0);
    for (;;) {
        MUST(__wasi_random_get(bytes, n) == 0);
    }
}
