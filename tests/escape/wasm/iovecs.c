/* 100,000 pieces in one write, pieces whose lengths sum up to more than 4 GiB, pieces that overlap
 * one another and themselves. Whatever is written is of the program's memory. */
#include "escape.h"

int main(void) {
    static __wasi_ciovec_t pieces[100000];
    __wasi_size_t n = 0;
    for (size_t i = 0; i < 100000; i++) {
        pieces[i] = (__wasi_ciovec_t){(const uint8_t *)"x", 1};
    }
    __wasi_errno_t e = __wasi_fd_write(1, pieces, 100000, &n);
    MUST(e != 0 || (n > 0 && n <= 100000));
    for (size_t i = 0; i < 16; i++) {
        pieces[i] = (__wasi_ciovec_t){(const uint8_t *)pieces, 0x7fffffff};
    }
    MUST(__wasi_fd_write(1, pieces, 16, &n) != 0);
    for (size_t i = 0; i < 4; i++) { /* over the array that describes them */
        pieces[i] = (__wasi_ciovec_t){(const uint8_t *)pieces, 64};
    }
    __wasi_iovec_t self[2] = {{(uint8_t *)self, sizeof self}, {(uint8_t *)self, sizeof self}};
    (void)__wasi_fd_read(0, self, 2, &n);
    return 0;
}
