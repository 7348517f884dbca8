/* A gigabyte on standard output and standard error. */
#include "escape.h"

int main(void) {
    static uint8_t block[65536];
    memset(block, 'f', sizeof block);
    for (int i = 0; i < 16384; i++) {
        __wasi_ciovec_t io = {block, sizeof block};
        __wasi_size_t n = 0;
        MUST(__wasi_fd_write(1 + i % 2, &io, 1, &n) == 0);
    }
    return 20;
}
