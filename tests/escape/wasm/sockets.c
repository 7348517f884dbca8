/* There are no sockets: each call is refused and named. */
#include "escape.h"

int main(void) {
    __wasi_fd_t fd;
    __wasi_size_t n = 0;
    __wasi_roflags_t flags;
    char byte = 0;
    __wasi_iovec_t in = {(uint8_t *)&byte, 1};
    __wasi_ciovec_t out = {(const uint8_t *)&byte, 1};
    for (int i = 0; i < 5; i++) {
        MUST(__wasi_sock_accept(i, 0, &fd) == __WASI_ERRNO_NOTCAPABLE);
        MUST(__wasi_sock_recv(i, &in, 1, 0, &n, &flags) == __WASI_ERRNO_NOTCAPABLE);
        MUST(__wasi_sock_send(i, &out, 1, 0, &n) == __WASI_ERRNO_NOTCAPABLE);
        MUST(__wasi_sock_shutdown(i, __WASI_SDFLAGS_RD) == __WASI_ERRNO_NOTCAPABLE);
    }
    return 7;
}
