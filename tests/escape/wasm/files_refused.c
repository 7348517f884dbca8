/* Calls that the profile strict does not have. */
#include "escape.h"

int main(void) {
    __wasi_fd_t fd;
    __wasi_filestat_t stat;
    MUST(open_path(FOLDER, "inside.txt", 0, __WASI_RIGHTS_FD_READ, &fd) == __WASI_ERRNO_NOTCAPABLE);
    MUST(__wasi_path_filestat_get(FOLDER, 0, "inside.txt", &stat) == __WASI_ERRNO_NOTCAPABLE);
    MUST(__wasi_path_unlink_file(FOLDER, "inside.txt") == __WASI_ERRNO_NOTCAPABLE);
    return 7;
}
