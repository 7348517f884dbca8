/* Opens files until there are no more descriptors, closes all, and can open again. */
#include "escape.h"

int main(void) {
    static __wasi_fd_t fds[100000];
    size_t n = 0;
    while (n < 100000 && open_path(FOLDER, "inside.txt", 0, __WASI_RIGHTS_FD_READ, &fds[n]) == 0) {
        n++;
    }
    printf("%zu\n", n);
    for (size_t i = 0; i < n; i++) {
        MUST(__wasi_fd_close(fds[i]) == 0);
    }
    MUST(open_path(FOLDER, "inside.txt", 0, __WASI_RIGHTS_FD_READ, &fds[0]) == 0);
    return 0;
}
