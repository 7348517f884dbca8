/* Two granted folders, the second read-only: nothing is moved, linked or written into it. */
#include "escape.h"

int main(void) {
    __wasi_fd_t fd;
    const __wasi_rights_t write = __WASI_RIGHTS_FD_WRITE;
    MUST(__wasi_path_rename(FOLDER, "inside.txt", FOLDER + 1, "moved") != 0);
    MUST(__wasi_path_rename(FOLDER + 1, "inside.txt", FOLDER, "moved") != 0);
    MUST(__wasi_path_link(FOLDER, 0, "inside.txt", FOLDER + 1, "linked") != 0);
    MUST(__wasi_path_symlink("inside.txt", FOLDER + 1, "linked") != 0);
    MUST(__wasi_path_create_directory(FOLDER + 1, "new") != 0);
    MUST(__wasi_path_remove_directory(FOLDER + 1, "sub") != 0);
    MUST(__wasi_path_unlink_file(FOLDER + 1, "inside.txt") != 0);
    MUST(open_path(FOLDER + 1, "inside.txt", 0, write, &fd) != 0);
    MUST(open_path(FOLDER + 1, "new", __WASI_OFLAGS_CREAT, __WASI_RIGHTS_FD_READ, &fd) != 0);
    MUST(open_path(FOLDER + 1, "inside.txt", __WASI_OFLAGS_TRUNC, __WASI_RIGHTS_FD_READ, &fd) != 0);
    MUST(__wasi_path_filestat_set_times(FOLDER + 1, 0, "inside.txt", 0, 0,
                                        __WASI_FSTFLAGS_MTIM_NOW) != 0);
    MUST(open_path(FOLDER + 1, "inside.txt", 0, __WASI_RIGHTS_FD_READ, &fd) == 0);
    MUST(__wasi_fd_filestat_set_size(fd, 0) != 0);
    MUST(__wasi_fd_allocate(fd, 0, 4096) != 0);
    __wasi_ciovec_t io = {(const uint8_t *)"x", 1};
    __wasi_size_t n = 0;
    MUST(__wasi_fd_write(fd, &io, 1, &n) != 0);
    MUST(__wasi_fd_pwrite(fd, &io, 1, 0, &n) != 0);
    puts("read only");
    return 0;
}
