/* Every call that takes addresses, with addresses outside of memory, that wrap, at the very end and
 * unaligned, and with lengths that wrap: an error for each, and no byte changed that is not in a
 * result's place. */
#include "escape.h"

#define CALL(name) raw_##name

RAW(args_get, int32_t, int32_t)
RAW(args_sizes_get, int32_t, int32_t)
RAW(clock_res_get, int32_t, int32_t)
RAW(clock_time_get, int32_t, int64_t, int32_t)
RAW(environ_sizes_get, int32_t, int32_t)
RAW(fd_prestat_dir_name, int32_t, int32_t, int32_t)
RAW(fd_prestat_get, int32_t, int32_t)
RAW(fd_read, int32_t, int32_t, int32_t, int32_t)
RAW(fd_readdir, int32_t, int32_t, int32_t, int64_t, int32_t)
RAW(fd_tell, int32_t, int32_t)
RAW(fd_write, int32_t, int32_t, int32_t, int32_t)
RAW(path_create_directory, int32_t, int32_t, int32_t)
RAW(path_filestat_get, int32_t, int32_t, int32_t, int32_t, int32_t)
RAW(path_open, int32_t, int32_t, int32_t, int32_t, int32_t, int64_t, int64_t, int32_t, int32_t)
RAW(path_readlink, int32_t, int32_t, int32_t, int32_t, int32_t, int32_t)
RAW(path_rename, int32_t, int32_t, int32_t, int32_t, int32_t, int32_t)
RAW(path_symlink, int32_t, int32_t, int32_t, int32_t, int32_t)
RAW(path_unlink_file, int32_t, int32_t, int32_t)
RAW(poll_oneoff, int32_t, int32_t, int32_t, int32_t)
RAW(random_get, int32_t, int32_t)

static uint32_t end(void) {
    return (uint32_t)__builtin_wasm_memory_size(0) * 65536u;
}

/* `room`: bytes of memory behind the place, less than 8. */
static void try_place(uint32_t at, uint32_t room) {
    const int32_t a = (int32_t)at;
    MUST(CALL(clock_time_get)(1, 0, a) != 0);
    MUST(CALL(clock_res_get)(1, a) != 0);
    MUST(CALL(fd_prestat_get)(FOLDER, a) != 0);
    MUST(CALL(fd_tell)(FOLDER, a) != 0);
    if (room < 4) {
        MUST(CALL(fd_prestat_dir_name)(FOLDER, a, -1) != 0);
        MUST(CALL(args_sizes_get)(a, a) != 0);
        MUST(CALL(environ_sizes_get)(a, a) != 0);
        MUST(CALL(args_get)(a, a) != 0);
    }
    /* an array of one iovec of 8 bytes: its own place, and where it points to */
    MUST(CALL(fd_write)(1, a, 1, a) != 0);
    MUST(CALL(fd_read)(0, a, 1, a) != 0);
    MUST(CALL(fd_write)(1, a, 0x20000000, 8) != 0);
    MUST(CALL(fd_write)(1, a, -1, 8) != 0);
    MUST(CALL(fd_read)(0, a, -1, 8) != 0);
    MUST(CALL(random_get)(a, (int32_t)(end() - at + 1)) != 0 || at > end());
    MUST(CALL(random_get)(a, -1) != 0);
    MUST(CALL(fd_readdir)(FOLDER, a, -1, 0, 8) != 0);
    MUST(CALL(poll_oneoff)(a, a, 1000000, 8) != 0);
    MUST(CALL(poll_oneoff)(a, a, -1, 8) != 0);
    MUST(CALL(poll_oneoff)(a, a, 0, 8) != 0);
    MUST(CALL(path_open)(FOLDER, 0, a, -1, 0, 0, 0, 0, 8) != 0);
    MUST(CALL(path_filestat_get)(FOLDER, 0, a, 0x7fffffff, 8) != 0);
    MUST(CALL(path_readlink)(FOLDER, a, -1, a, -1, 8) != 0);
    MUST(CALL(path_symlink)(a, -1, FOLDER, a, -1) != 0);
    MUST(CALL(path_rename)(FOLDER, a, -1, FOLDER, a, -1) != 0);
    MUST(CALL(path_create_directory)(FOLDER, a, -1) != 0);
    MUST(CALL(path_unlink_file)(FOLDER, a, -1) != 0);
}

int main(void) {
    static uint8_t canary[4096];
    memset(canary, 0x5a, sizeof canary);
    static const int32_t before_end[] = {0, 1, 2, 3, 4, 7};
    for (size_t i = 0; i < sizeof before_end / sizeof before_end[0]; i++) {
        try_place(end() - (uint32_t)before_end[i], (uint32_t)before_end[i]);
    }
    static const uint32_t far[] = {0x7fffffff, 0x80000000, 0xfffffff0, 0xfffffffc, 0xffffffff};
    for (size_t i = 0; i < sizeof far / sizeof far[0]; i++) {
        try_place(far[i], 0);
    }
    for (size_t i = 0; i < sizeof canary; i++) {
        MUST(canary[i] == 0x5a);
    }
    /* unaligned results are no error */
    MUST(CALL(clock_time_get)(1, 0, (int32_t)(intptr_t)(canary + 1)) == 0);
    puts("all refused");
    return 0;
}
