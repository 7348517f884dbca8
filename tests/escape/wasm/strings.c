/* Paths that are no text: bytes that are no UTF-8, a NUL inside, 5,000 bytes, a gigabyte. */
#include "escape.h"

RAW(path_open, int32_t, int32_t, int32_t, int32_t, int32_t, int64_t, int64_t, int32_t, int32_t)

static __wasi_errno_t open_bytes(const char *bytes, uint32_t length) {
    uint32_t fd;
    return (__wasi_errno_t)raw_path_open(FOLDER, 0, (int32_t)(intptr_t)bytes, (int32_t)length, 0,
                                         __WASI_RIGHTS_FD_READ, 0, 0, (int32_t)(intptr_t)&fd);
}

int main(void) {
    static char long_path[5000];
    memset(long_path, 'a', sizeof long_path);
    MUST(open_bytes("in\xff\xfeside", 9) != 0);
    MUST(open_bytes("inside.txt\0.png", 15) != 0);
    MUST(open_bytes("", 0) != 0);
    MUST(open_bytes(long_path, sizeof long_path) != 0);
    MUST(open_bytes(long_path, 1u << 30) != 0);
    MUST(open_bytes(long_path, 0xffffffffu) != 0);
    MUST(open_bytes("inside.txt", 10) == 0);
    puts("all refused");
    return 0;
}
