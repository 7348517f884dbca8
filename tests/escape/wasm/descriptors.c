/* Descriptors that nobody gave: guessed ones, closed ones, a preopened one replaced. */
#include "escape.h"

int main(void) {
    static const uint32_t guesses[] = {4,     5,          17,         63,         64,        1000,
                                       65535, 0x7fffffff, 0x80000000, 0xfffffffe, 0xffffffff};
    __wasi_fdstat_t stat;
    __wasi_filestat_t file;
    __wasi_size_t n = 0;
    char byte;
    __wasi_iovec_t io = {(uint8_t *)&byte, 1};
    for (size_t i = 0; i < sizeof guesses / sizeof guesses[0]; i++) {
        int fd = (int)guesses[i];
        MUST(__wasi_fd_fdstat_get(fd, &stat) == __WASI_ERRNO_BADF);
        MUST(__wasi_fd_filestat_get(fd, &file) == __WASI_ERRNO_BADF);
        MUST(__wasi_fd_read(fd, &io, 1, &n) == __WASI_ERRNO_BADF);
        MUST(__wasi_fd_close(fd) == __WASI_ERRNO_BADF);
        MUST(__wasi_fd_renumber(fd, 1) == __WASI_ERRNO_BADF);
    }
    __wasi_fd_t fd;
    MUST(open_path(FOLDER, "inside.txt", 0, __WASI_RIGHTS_FD_READ, &fd) == 0);
    MUST(__wasi_fd_close(fd) == 0);
    MUST(__wasi_fd_close(fd) == __WASI_ERRNO_BADF);
    MUST(__wasi_fd_read(fd, &io, 1, &n) == __WASI_ERRNO_BADF);
    /* over a preopened folder: then it is the file, and no folder any more */
    MUST(open_path(FOLDER, "inside.txt", 0, __WASI_RIGHTS_FD_READ, &fd) == 0);
    if (__wasi_fd_renumber(fd, FOLDER) == 0) {
        __wasi_fd_t other;
        MUST(open_path(FOLDER, "inside.txt", 0, __WASI_RIGHTS_FD_READ, &other) != 0);
    }
    puts("none there");
    return 0;
}
