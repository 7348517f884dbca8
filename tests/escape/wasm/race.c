/* Opens changing/file again and again, while somebody swaps the folder `changing` for a link that
 * leads to a folder outside, where `file` has other words. */
#include "escape.h"

int main(void) {
    int opened = 0;
    for (int i = 0; i < 20000; i++) {
        __wasi_fd_t fd;
        char text[64] = "";
        if (open_path(FOLDER, "changing/file", 0, __WASI_RIGHTS_FD_READ, &fd) != 0) {
            continue;
        }
        __wasi_iovec_t io = {(uint8_t *)text, sizeof text - 1};
        __wasi_size_t n = 0;
        MUST(__wasi_fd_read(fd, &io, 1, &n) == 0);
        MUST(strncmp(text, "inside", 6) == 0);
        MUST(__wasi_fd_close(fd) == 0);
        opened++;
    }
    printf("opened %s\n", opened > 0 ? "some" : "none");
    return 0;
}
