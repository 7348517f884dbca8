/* A file that grows for ever, by writing, by its size, by writing far behind its end. */
#include "escape.h"

int main(int argc, char **argv) {
    static uint8_t block[65536];
    const char *way = argc > 1 ? argv[1] : "";
    __wasi_fd_t fd;
    MUST(open_path(FOLDER, "bomb", __WASI_OFLAGS_CREAT,
                   __WASI_RIGHTS_FD_WRITE | __WASI_RIGHTS_FD_SEEK |
                       __WASI_RIGHTS_FD_FILESTAT_SET_SIZE | __WASI_RIGHTS_FD_ALLOCATE,
                   &fd) == 0);
    __wasi_ciovec_t io = {block, sizeof block};
    __wasi_size_t n = 0;
    if (strcmp(way, "size") == 0) {
        (void)__wasi_fd_filestat_set_size(fd, UINT64_C(1) << 40);
        return 20;
    }
    if (strcmp(way, "far") == 0) {
        (void)__wasi_fd_pwrite(fd, &io, 1, UINT64_C(1) << 40, &n);
        return 20;
    }
    if (strcmp(way, "allocate") == 0) {
        (void)__wasi_fd_allocate(fd, 0, UINT64_C(1) << 40);
        return 20;
    }
    for (int i = 0; i < 100000; i++) {
        MUST(__wasi_fd_write(fd, &io, 1, &n) == 0);
    }
    return 20;
}
