/* Rights can be given up and not be taken back. */
#include "escape.h"

int main(void) {
    __wasi_fd_t fd;
    __wasi_fdstat_t stat;
    __wasi_size_t n = 0;
    char byte;
    __wasi_iovec_t in = {(uint8_t *)&byte, 1};
    const __wasi_rights_t read = __WASI_RIGHTS_FD_READ | __WASI_RIGHTS_FD_SEEK;
    MUST(open_path(FOLDER, "inside.txt", 0, read, &fd) == 0);
    MUST(__wasi_fd_read(fd, &in, 1, &n) == 0);
    MUST(__wasi_fd_fdstat_set_rights(fd, ~(__wasi_rights_t)0, ~(__wasi_rights_t)0) != 0);
    MUST(__wasi_fd_fdstat_set_rights(fd, read | __WASI_RIGHTS_FD_WRITE, 0) != 0);
    MUST(__wasi_fd_fdstat_set_rights(fd, __WASI_RIGHTS_FD_SEEK, 0) == 0);
    MUST(__wasi_fd_read(fd, &in, 1, &n) == __WASI_ERRNO_NOTCAPABLE);
    MUST(__wasi_fd_fdstat_set_rights(fd, read, 0) != 0);
    MUST(__wasi_fd_fdstat_get(fd, &stat) == 0);
    MUST(stat.fs_rights_base == __WASI_RIGHTS_FD_SEEK);
    puts("given up");
    return 0;
}
