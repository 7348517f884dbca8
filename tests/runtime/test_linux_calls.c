/* The guest's system calls: memory, time, process, streams; that no pointer and no number of a
 * guest's harms the host, and that limits are exact. */
#include "support/check.h"

#if defined(__linux__) && defined(__x86_64__)

#include "runtime/linux_fixture.h"

static const uint64_t MS = 1000000;

enum { PAGE = SPACE_PAGE_BYTES };

/* ---- every call, every pointer ------------------------------------------------------------ */

enum { FILE_FD = 3, FOLDER_FD, EPOLL_FD };

/* A call that works, and one of its pointers. */
typedef struct pointer_row {
    const char *name;
    uint64_t arguments[6];
    unsigned index;
    bool written; /* by the host */
} pointer_row;

/* With PATH "/data/file", PATH_2 "/data/new", FILE_FD and FOLDER_FD opened. */
static const pointer_row rows[] = {
    {"read", {FILE_FD, BUFFER, 5}, 1, true},
    {"write", {1, BUFFER, 5}, 1, false},
    {"write", {FILE_FD, BUFFER, 5}, 1, false},
    {"readv", {FILE_FD, VECTORS, 2}, 1, false},
    {"writev", {1, VECTORS, 2}, 1, false},
    {"pread64", {FILE_FD, BUFFER, 5, 0}, 1, true},
    {"pwrite64", {FILE_FD, BUFFER, 5, 0}, 1, false},
    {"preadv", {FILE_FD, VECTORS, 2, 0}, 1, false},
    {"pwritev", {FILE_FD, VECTORS, 2, 0}, 1, false},
    {"fstat", {FILE_FD, BUFFER}, 1, true},
    {"fstat", {1, BUFFER}, 1, true},
    {"stat", {PATH, BUFFER}, 0, false},
    {"stat", {PATH, BUFFER}, 1, true},
    {"lstat", {PATH, BUFFER}, 0, false},
    {"lstat", {PATH, BUFFER}, 1, true},
    {"newfstatat", {(uint64_t)LINUX_AT_CWD, PATH, BUFFER, 0}, 1, false},
    {"newfstatat", {(uint64_t)LINUX_AT_CWD, PATH, BUFFER, 0}, 2, true},
    {"statx", {(uint64_t)LINUX_AT_CWD, PATH, 0, 0x7FF, BUFFER}, 1, false},
    {"statx", {(uint64_t)LINUX_AT_CWD, PATH, 0, 0x7FF, BUFFER}, 4, true},
    {"open", {PATH, 0}, 0, false},
    {"openat", {(uint64_t)LINUX_AT_CWD, PATH, 0}, 1, false},
    {"creat", {PATH_2, 0600}, 0, false},
    {"access", {PATH, 0}, 0, false},
    {"faccessat", {(uint64_t)LINUX_AT_CWD, PATH, 0}, 1, false},
    {"faccessat2", {(uint64_t)LINUX_AT_CWD, PATH, 0, 0}, 1, false},
    {"getdents64", {FOLDER_FD, BUFFER, 1000}, 1, true},
    {"getcwd", {BUFFER, 100}, 0, true},
    {"mkdir", {PATH_2, 0700}, 0, false},
    {"mkdirat", {(uint64_t)LINUX_AT_CWD, PATH_2, 0700}, 1, false},
    {"unlink", {PATH}, 0, false},
    {"unlinkat", {(uint64_t)LINUX_AT_CWD, PATH, 0}, 1, false},
    {"rename", {PATH, PATH_2}, 0, false},
    {"rename", {PATH, PATH_2}, 1, false},
    {"renameat", {(uint64_t)LINUX_AT_CWD, PATH, (uint64_t)LINUX_AT_CWD, PATH_2}, 1, false},
    {"renameat", {(uint64_t)LINUX_AT_CWD, PATH, (uint64_t)LINUX_AT_CWD, PATH_2}, 3, false},
    {"renameat2", {(uint64_t)LINUX_AT_CWD, PATH, (uint64_t)LINUX_AT_CWD, PATH_2, 0}, 1, false},
    {"truncate", {PATH, 5}, 0, false},
    {"pipe", {BUFFER}, 0, true},
    {"pipe2", {BUFFER, 0}, 0, true},
    {"rt_sigaction", {2, BUFFER, BUFFER + 64, 8}, 1, false},
    {"rt_sigaction", {2, BUFFER, BUFFER + 64, 8}, 2, true},
    {"rt_sigprocmask", {0, BUFFER, BUFFER + 64, 8}, 1, false},
    {"rt_sigprocmask", {0, BUFFER, BUFFER + 64, 8}, 2, true},
    {"sigaltstack", {0, BUFFER}, 1, true},
    {"nanosleep", {BUFFER, 0}, 0, false},
    {"clock_nanosleep", {1, 0, BUFFER, 0}, 2, false},
    {"clock_gettime", {1, BUFFER}, 1, true},
    {"clock_getres", {1, BUFFER}, 1, true},
    {"gettimeofday", {BUFFER, BUFFER + 64}, 0, true},
    {"getrusage", {0, BUFFER}, 1, true},
    {"times", {BUFFER}, 0, true},
    {"gettimeofday", {BUFFER, BUFFER + 64}, 1, true},
    {"uname", {BUFFER}, 0, true},
    {"sysinfo", {BUFFER}, 0, true},
    {"getrlimit", {7, BUFFER}, 1, true},
    {"prlimit64", {0, 7, 0, BUFFER}, 3, true},
    {"prctl", {15, PATH}, 1, false},
    {"prctl", {16, BUFFER}, 1, true},
    {"arch_prctl", {0x1003, BUFFER}, 1, true},
    {"sched_getaffinity", {0, 8, BUFFER}, 2, true},
    {"readlink", {PATH_2 + 100, BUFFER, 100}, 0, false},
    {"readlink", {PATH_2 + 100, BUFFER, 100}, 1, true},
    {"readlinkat", {(uint64_t)LINUX_AT_CWD, PATH_2 + 100, BUFFER, 100}, 1, false},
    {"readlinkat", {(uint64_t)LINUX_AT_CWD, PATH_2 + 100, BUFFER, 100}, 2, true},
    {"getrandom", {BUFFER, 100, 0}, 0, true},
    {"fcntl", {FILE_FD, 5, BUFFER}, 2, true},
    {"futex", {BUFFER, 1, 1}, 0, false},
    {"poll", {VECTORS + 64, 1, 0}, 0, false},
    {"ppoll", {VECTORS + 64, 1, BUFFER, 0}, 0, false},
    {"select", {4, BUFFER + 200, BUFFER + 300, BUFFER + 400, BUFFER}, 1, true},
    {"select", {4, BUFFER + 200, BUFFER + 300, BUFFER + 400, BUFFER}, 2, true},
    {"select", {4, BUFFER + 200, BUFFER + 300, BUFFER + 400, BUFFER}, 3, true},
    {"select", {4, BUFFER + 200, BUFFER + 300, BUFFER + 400, BUFFER}, 4, false},
    {"pselect6", {4, BUFFER + 200, BUFFER + 300, BUFFER + 400, BUFFER, 0}, 1, true},
    {"pselect6", {4, BUFFER + 200, BUFFER + 300, BUFFER + 400, BUFFER, 0}, 4, false},
    {"ppoll", {VECTORS + 64, 1, BUFFER, 0}, 2, false},
    {"chmod", {PATH, 0600}, 0, false},
    {"fchmodat", {(uint64_t)LINUX_AT_CWD, PATH, 0600}, 1, false},
    {"fchmodat2", {(uint64_t)LINUX_AT_CWD, PATH, 0600, 0}, 1, false},
    {"chown", {PATH, UINT32_MAX, UINT32_MAX}, 0, false},
    {"lchown", {PATH, UINT32_MAX, UINT32_MAX}, 0, false},
    {"fchownat", {(uint64_t)LINUX_AT_CWD, PATH, UINT32_MAX, UINT32_MAX, 0}, 1, false},
    {"link", {PATH, PATH_2}, 0, false},
    {"link", {PATH, PATH_2}, 1, false},
    {"linkat", {(uint64_t)LINUX_AT_CWD, PATH, (uint64_t)LINUX_AT_CWD, PATH_2, 0}, 1, false},
    {"symlink", {PATH_2 + 200, PATH_2}, 0, false},
    {"symlink", {PATH_2 + 200, PATH_2}, 1, false},
    {"symlinkat", {PATH_2 + 200, (uint64_t)LINUX_AT_CWD, PATH_2}, 0, false},
    {"utimensat", {(uint64_t)LINUX_AT_CWD, PATH, BUFFER, 0}, 1, false},
    {"utimensat", {(uint64_t)LINUX_AT_CWD, PATH, BUFFER, 0}, 2, false},
    {"utimensat", {FILE_FD, 0, BUFFER, 0}, 2, false},
    {"epoll_ctl", {EPOLL_FD, 1, 1, BUFFER}, 3, false},
    {"epoll_wait", {EPOLL_FD, BUFFER, 4, 0}, 1, true},
    {"epoll_pwait", {EPOLL_FD, BUFFER, 4, 0, 0, 8}, 1, true},
};

static void begin_row(void) {
    tree_make();
    linux_prepare();
    linux_start();
    (void)put_text(PATH, "/data/file");
    (void)put_text(PATH_2, "/data/new");
    (void)put_text(PATH_2 + 100, "/proc/self/exe");
    CHECK_INT(open_path("/data/file", 2), FILE_FD);
    CHECK_INT(open_path("/data", 0x10000), FOLDER_FD);
    CHECK_INT(CALL(epoll_create1, 0), EPOLL_FD);
    (void)put_text(PATH, "/data/file");
    (void)put_text(PATH_2 + 200, "file");
    put_u64(VECTORS + 64, 1 | 4ull << 32); /* a poll for standard output */
    put_u64(VECTORS, BUFFER);
    put_u64(VECTORS + 8, 3);
    put_u64(VECTORS + 16, BUFFER + 100);
    put_u64(VECTORS + 24, 2);
}

static void end_row(void) {
    linux_finish_guest();
    CHECK_OUTSIDE();
    tree_remove();
}

static void every_call_works_at_all(void) {
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        begin_row();
        int64_t result = guest_call(rows[i].name, rows[i].arguments);
        if (result < 0) {
            check_fail(__FILE__, __LINE__, "row %zu, %s: %lld", i, rows[i].name, (long long)result);
        }
        end_row();
    }
}

static void hostile_pointers_are_refused(void) {
    static const uint64_t bad[] = {
        1,
        0x1000,
        SPACE_LOWEST - 4,
        DATA - 4,
        ABSENT_PAGE,
        NO_ACCESS,
        DATA + DATA_BYTES,
        SPACE_BYTES - 4,
        SPACE_BYTES,
        (1ull << 32) + BUFFER,
        0x00007FFFFFFFF000,
        0x0000800000000000,
        0xFFFF800000000000,
        0xFFFFFFFF80000000,
        UINT64_MAX - 3,
        UINT64_MAX & ~(uint64_t)7,
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        begin_row();
        for (size_t k = 0; k <= sizeof bad / sizeof bad[0]; k++) {
            bool last = k == sizeof bad / sizeof bad[0];
            uint64_t arguments[6];
            memcpy(arguments, rows[i].arguments, sizeof arguments);
            arguments[rows[i].index] = last ? READ_ONLY : bad[k];
            if (last && !rows[i].written) {
                continue;
            }
            int64_t result = guest_call(rows[i].name, arguments);
            if (result != -LINUX_EFAULT &&
                !(result == -LINUX_EINVAL && arguments[rows[i].index] % 4 != 0)) {
                check_fail(__FILE__, __LINE__, "row %zu, %s with 0x%llx: %lld", i, rows[i].name,
                           (unsigned long long)arguments[rows[i].index], (long long)result);
            }
        }
        CHECK_INT(linux_ended(g.context), LINUX_RUNS);
        end_row();
    }
}

/* What reaches beyond the last byte, by one. */
static void memory_ends_where_it_ends(void) {
    enum { END = DATA + DATA_BYTES };
    linux_begin_base();
    CHECK_INT(CALL(clock_gettime, 1, END - 16), 0);
    CHECK_INT(CALL(clock_gettime, 1, END - 15), -LINUX_EFAULT);
    CHECK_INT(CALL(getrandom, END - 100, 100, 0), 100);
    CHECK_INT(CALL(getrandom, END - 100, 101, 0), -LINUX_EFAULT);
    CHECK_INT(CALL(getrandom, END, 0, 0), 0);
    CHECK_INT(CALL(write, 1, END - 10, 10), 10);
    CHECK_INT(CALL(write, 1, END - 10, 11), -LINUX_EFAULT);
    CHECK_INT(CALL(write, 1, BUFFER, UINT64_MAX), -LINUX_EFAULT);
    CHECK_INT(CALL(write, 1, BUFFER, UINT64_MAX - BUFFER + 1), -LINUX_EFAULT);
    CHECK_INT(CALL(write, 1, 0, 0), 0);
    CHECK_INT(CALL(uname, END - 390), 0);
    CHECK_INT(CALL(uname, END - 389), -LINUX_EFAULT);
    (void)put_text(END - 4, "abc");
    CHECK_INT(CALL(prctl, 15, END - 4), 0);
    memcpy(bytes_at(END - 4), "abcd", 4); /* a text without an end */
    CHECK_INT(CALL(prctl, 15, END - 4), -LINUX_EFAULT);
    CHECK_INT(linux_output(g.context).length, 10);
    linux_finish_guest();
}

static void vectors_are_checked_as_copied(void) {
    static const struct {
        uint64_t address, length;
        int64_t expected;
    } pairs[] = {{BUFFER, 7, 7},
                 {0xFFFF800000000000, 0, 0}, /* of no length: not looked at */
                 {0xFFFF800000000000, 1, -LINUX_EFAULT},
                 {BUFFER, UINT64_MAX, -LINUX_EINVAL},
                 {BUFFER, INT64_MAX, -LINUX_EFAULT},
                 {ABSENT_PAGE, 1, -LINUX_EFAULT},
                 {DATA + DATA_BYTES - 1, 2, -LINUX_EFAULT},
                 {VECTORS, 16, 16}}; /* of itself */
    linux_begin_base();
    for (size_t i = 0; i < sizeof pairs / sizeof pairs[0]; i++) {
        put_u64(VECTORS, pairs[i].address);
        put_u64(VECTORS + 8, pairs[i].length);
        CHECK_INT(CALL(writev, 1, VECTORS, 1), pairs[i].expected);
    }
    put_u64(VECTORS, BUFFER);
    put_u64(VECTORS + 8, INT64_MAX);
    put_u64(VECTORS + 16, BUFFER);
    put_u64(VECTORS + 24, INT64_MAX);
    CHECK_INT(CALL(writev, 1, VECTORS, 2), -LINUX_EFAULT);
    CHECK_INT(CALL(writev, 1, VECTORS, 0), 0);
    CHECK_INT(CALL(writev, 1, VECTORS, 1025), -LINUX_EINVAL);
    CHECK_INT(CALL(writev, 1, VECTORS, UINT64_MAX), -LINUX_EINVAL);
    CHECK_INT(CALL(writev, 1, VECTORS, 1ull << 60), -LINUX_EINVAL);
    for (uint64_t i = 0; i < 1024; i++) {
        put_u64(VECTORS + 16 * i, BUFFER);
        put_u64(VECTORS + 16 * i + 8, 1);
    }
    CHECK_INT(CALL(writev, 1, VECTORS, 1024), 1024);
    for (uint64_t i = 0; i < 1024; i++) {
        put_u64(VECTORS + 16 * i + 8, 4096);
    }
    g.context->options.output_bytes = 8 << 20;
    CHECK_INT(CALL(writev, 1, VECTORS, 1024), 1 << 20); /* a call moves no more */
    linux_finish_guest();
}

/* ---- which calls there are ---------------------------------------------------------------- */

static void strangers_are_refused(void) {
    linux_begin_base();
    CHECK_INT(linux_call(g.context, 600, (const uint64_t[6]){0}), -LINUX_ENOSYS);
    CHECK_INT(linux_call(g.context, UINT64_MAX, (const uint64_t[6]){0}), -LINUX_ENOSYS);
    CHECK_INT(linux_call(g.context, 1 | 0x40000000, (const uint64_t[6]){1}), -LINUX_ENOSYS);
    CHECK_INT(linux_call(g.context, 161, (const uint64_t[6]){0}), -LINUX_ENOSYS);
    CHECK_INT(CALL(socket, 2, 1, 0), -LINUX_EPERM);
    CHECK_INT(CALL(socket, 2, 1, 0), -LINUX_EPERM);
    CHECK_INT(CALL(openat, HERE, put_text(PATH, "/data/file"), 0), -LINUX_EPERM);
    CHECK_INT(violations_of("syscall", "unknown"), 3);
    CHECK_INT(violations_of("syscall", "chroot"), 1);
    CHECK_INT(violations_of("syscall", "socket"), 2);
    CHECK_INT(violations_of("syscall", "openat"), 1);
    CHECK_INT(linux_ended(g.context), LINUX_RUNS);
    linux_finish_guest();
}

/* None of them needs anything but what it is given. */
static void every_number_is_survived(void) {
    static const uint64_t values[] = {0, 1, BUFFER, UINT64_MAX, 0xFFFF800000000000};
    for (size_t v = 0; v < sizeof values / sizeof values[0]; v++) {
        linux_begin_base();
        g.context->options.deadline_ns = platform_clock_ns() + 500 * MS;
        for (uint64_t number = 0; number < 1100; number++) {
            const linux_row *row = linux_find(number);
            bool ends = row && (strncmp(row->name, "exit", 4) == 0 || strstr(row->name, "kill"));
            if (ends) {
                continue;
            }
            uint64_t a[6] = {values[v], values[v], values[v], values[v], values[v], values[v]};
            int64_t result = linux_call(g.context, number, a);
            if (result < -4095) {
                check_fail(__FILE__, __LINE__, "call %llu: %lld", (unsigned long long)number,
                           (long long)result);
            }
        }
        linux_finish_guest();
    }
}

static void custom_profiles_name_calls(void) {
    static const char *const calls[] = {"lseek", "write", NULL};
    linux_prepare();
    g.options.calls = calls;
    g.options.n_folders = 0;
    linux_start();
    CHECK_INT(CALL(lseek, 1, 0, 0), -LINUX_ESPIPE);
    CHECK_INT(CALL(openat, HERE, put_text(PATH, "/"), 0), -LINUX_EPERM);
    CHECK_INT(CALL(getpid, 0), 1000); /* base is in every profile */
    linux_finish_guest();
}

static void calls_are_counted(void) {
    linux_begin_base();
    runtime_usage usage = {.n_calls = 0};
    (void)CALL(getpid, 0);
    (void)CALL(getpid, 0);
    CHECK_INT(write_text(1, "hello"), 5);
    linux_add_usage(g.context, &usage);
    CHECK_INT(usage.n_calls, 2);
    CHECK_STRING(usage.calls[0].name, "write");
    CHECK_INT(usage.calls[1].count, 2);
    CHECK_INT(usage.bytes_out, 5);
    linux_finish_guest();
}

/* ---- memory ------------------------------------------------------------------------------- */

static void pages_are_writable_or_executable(void) {
    linux_begin_base();
    int64_t at = CALL(mmap, 0, 2 * PAGE, 3, 0x22, UINT64_MAX, 0);
    CHECK(at > 0);
    CHECK_INT(CALL(mmap, 0, PAGE, 7, 0x22, UINT64_MAX, 0), -LINUX_EACCES);
    CHECK_INT(CALL(mprotect, (uint64_t)at, PAGE, 7), -LINUX_EACCES);
    CHECK_INT(CALL(mprotect, (uint64_t)at, PAGE, 6), -LINUX_EACCES);
    CHECK_INT(CALL(mprotect, (uint64_t)at, PAGE, 5), 0);
    CHECK(!space_pointer(&g.space, (uint64_t)at, 1, SPACE_WRITE));
    CHECK_INT(CALL(mprotect, (uint64_t)at, PAGE, 8), -LINUX_EINVAL);
    CHECK_INT(CALL(mprotect, (uint64_t)at + 1, PAGE, 1), -LINUX_EINVAL);
    CHECK_INT(CALL(mprotect, ABSENT_PAGE, PAGE, 1), -LINUX_ENOMEM);
    CHECK_INT(CALL(mprotect, 0xFFFF800000000000, PAGE, 1), -LINUX_ENOMEM);
    CHECK_INT(CALL(mprotect, (uint64_t)at, UINT64_MAX, 1), -LINUX_ENOMEM);
    CHECK_INT(violations_of("syscall", "mmap"), 1);
    CHECK_INT(violations_of("syscall", "mprotect"), 2);
    linux_finish_guest();
}

static void mmap_is_bounded(void) {
    static const struct {
        uint64_t a[6];
        int64_t expected;
    } maps[] = {
        {{0, 0, 3, 0x22, UINT64_MAX, 0}, -LINUX_EINVAL},
        {{0, PAGE, 3, 0x20, UINT64_MAX, 0}, -LINUX_EINVAL},
        {{0, PAGE, 3, 0x24, UINT64_MAX, 0}, -LINUX_EINVAL},
        {{0, PAGE, 99, 0x22, UINT64_MAX, 0}, -LINUX_EINVAL},
        {{0, UINT64_MAX, 3, 0x22, UINT64_MAX, 0}, -LINUX_ENOMEM},
        {{0, SPACE_BYTES, 3, 0x22, UINT64_MAX, 0}, -LINUX_ENOMEM},
        {{0, SPACE_BYTES / 2, 3, 0x22, UINT64_MAX, 0}, -LINUX_ENOMEM},
        {{0x1000, PAGE, 3, 0x32, UINT64_MAX, 0}, -LINUX_EACCES},
        {{0, PAGE, 3, 0x32, UINT64_MAX, 0}, -LINUX_EACCES},
        {{DATA + 1, PAGE, 3, 0x32, UINT64_MAX, 0}, -LINUX_EINVAL},
        {{DATA, PAGE, 3, 0x100022, UINT64_MAX, 0}, -LINUX_EEXIST},
        {{SPACE_BYTES - PAGE, 2 * PAGE, 3, 0x32, UINT64_MAX, 0}, -LINUX_ENOMEM},
        {{0xFFFF800000000000, PAGE, 3, 0x32, UINT64_MAX, 0}, -LINUX_ENOMEM},
        {{UINT64_MAX - 4095, PAGE, 3, 0x32, UINT64_MAX, 0}, -LINUX_ENOMEM},
        {{0, PAGE, 1, 2, UINT64_MAX, 0}, -LINUX_EBADF},
        {{0, PAGE, 1, 2, 1, 0}, -LINUX_EACCES},
        {{ABSENT_PAGE, PAGE, 3, 0x32, UINT64_MAX, 0}, ABSENT_PAGE},
    };
    linux_begin_base();
    for (size_t i = 0; i < sizeof maps / sizeof maps[0]; i++) {
        int64_t result = guest_call("mmap", maps[i].a);
        if (result != maps[i].expected) {
            check_fail(__FILE__, __LINE__, "row %zu: %lld", i, (long long)result);
        }
    }
    CHECK_INT(CALL(munmap, ABSENT_PAGE, PAGE), 0);
    CHECK_INT(CALL(munmap, ABSENT_PAGE, PAGE), 0);
    CHECK_INT(CALL(munmap, ABSENT_PAGE, 0), -LINUX_EINVAL);
    CHECK_INT(CALL(munmap, ABSENT_PAGE + 1, PAGE), -LINUX_EINVAL);
    CHECK_INT(CALL(munmap, 0, UINT64_MAX), -LINUX_EINVAL);
    CHECK_INT(CALL(mremap, DATA, PAGE, 2 * PAGE, 4, 0), -LINUX_EINVAL);
    CHECK_INT(CALL(mremap, DATA, PAGE, PAGE, 2, ABSENT_PAGE), -LINUX_EINVAL);
    CHECK_INT(CALL(mremap, ABSENT_PAGE, PAGE, 2 * PAGE, 1, 0), -LINUX_EFAULT);
    CHECK_INT(CALL(madvise, DATA, PAGE, 99), -LINUX_EINVAL);
    CHECK_INT(CALL(madvise, DATA + 1, PAGE, 4), -LINUX_EINVAL);
    put_u64(BUFFER, 7);
    CHECK_INT(CALL(madvise, BUFFER, PAGE, 8), 0);
    CHECK_INT(get_u64(BUFFER), 7);
    CHECK_INT(CALL(madvise, BUFFER, PAGE, 4), 0);
    CHECK_INT(get_u64(BUFFER), 0);
    CHECK_INT(CALL(brk, 0), 0x200000);
    CHECK_INT(CALL(brk, 0x201000), 0x201000);
    linux_finish_guest();
}

/* ---- time --------------------------------------------------------------------------------- */

static int64_t sleep_for(uint64_t ns) {
    put_u64(BUFFER, ns / 1000000000);
    put_u64(BUFFER + 8, ns % 1000000000);
    return CALL(nanosleep, BUFFER, 0);
}

static void clocks_go_on(void) {
    linux_begin_base();
    for (uint64_t clock = 0; clock < 8; clock++) {
        CHECK_INT(CALL(clock_gettime, clock, BUFFER), 0);
        CHECK_INT(CALL(clock_gettime, clock, BUFFER + 16), 0);
        uint64_t first = get_u64(BUFFER) * 1000000000 + get_u64(BUFFER + 8);
        uint64_t second = get_u64(BUFFER + 16) * 1000000000 + get_u64(BUFFER + 24);
        CHECK(second >= first);
    }
    CHECK_INT(CALL(getrusage, 0, BUFFER), 0);
    CHECK(get_u64(BUFFER) < 60 && get_u64(BUFFER + 8) < 1000000);
    CHECK_INT(get_u64(BUFFER + 32), space_peak_bytes(&g.space) / 1024);
    CHECK(get_u64(BUFFER + 32) > 0);
    CHECK_INT(CALL(getrusage, UINT64_MAX, BUFFER), 0); /* of its children */
    CHECK_INT(get_u64(BUFFER) + get_u64(BUFFER + 8) + get_u64(BUFFER + 32), 0);
    CHECK_INT(CALL(getrusage, 2, BUFFER), -LINUX_EINVAL);
    CHECK_INT(CALL(getrusage, UINT64_MAX - 1, BUFFER), -LINUX_EINVAL);
    int64_t ticks = CALL(times, 0);
    CHECK(ticks >= 0 && ticks < 6000 && CALL(times, BUFFER) >= ticks);
    CHECK(get_u64(BUFFER) < 6000 && get_u64(BUFFER + 8) == 0);
    CHECK_INT(CALL(clock_gettime, 8, BUFFER), -LINUX_EINVAL);
    CHECK_INT(CALL(clock_gettime, UINT64_MAX, BUFFER), -LINUX_EINVAL);
    CHECK_INT(CALL(clock_gettime, 1, BUFFER), 0);
    CHECK(get_u64(BUFFER) < 60); /* since the guest began, not since the host did */
    CHECK(CALL(time, 0) > 1600000000);
    uint64_t before = platform_clock_ns();
    CHECK_INT(sleep_for(20 * MS), 0);
    CHECK(platform_clock_ns() - before >= 20 * MS);
    put_u64(BUFFER, 0);
    put_u64(BUFFER + 8, 1000000000);
    CHECK_INT(CALL(nanosleep, BUFFER, 0), -LINUX_EINVAL);
    put_u64(BUFFER, UINT64_MAX);
    put_u64(BUFFER + 8, 0);
    CHECK_INT(CALL(nanosleep, BUFFER, 0), -LINUX_EINVAL);
    put_u64(BUFFER, 0); /* long ago */
    CHECK_INT(CALL(clock_nanosleep, 0, 1, BUFFER, 0), 0);
    CHECK_INT(CALL(clock_nanosleep, 9, 0, BUFFER, 0), -LINUX_EINVAL);
    CHECK_INT(CALL(clock_nanosleep, 2, 0, BUFFER, 0), -LINUX_EOPNOTSUPP);
    linux_finish_guest();
}

static void clocks_are_coarse_when_asked(void) {
    linux_prepare();
    g.options.n_folders = 0;
    g.options.clock_resolution_ns = MS;
    linux_start();
    for (uint64_t clock = 0; clock < 4; clock++) {
        CHECK_INT(CALL(clock_gettime, clock, BUFFER), 0);
        CHECK_INT(get_u64(BUFFER + 8) % MS, 0);
    }
    CHECK_INT(CALL(gettimeofday, BUFFER, 0), 0);
    CHECK_INT(get_u64(BUFFER + 8) % 1000, 0);
    CHECK_INT(CALL(clock_getres, 1, BUFFER), 0);
    CHECK_INT(get_u64(BUFFER + 8), MS);
    linux_finish_guest();
}

static bool says_no(void *user) {
    (void)user;
    return false;
}

static void waiting_ends_at_the_deadline(void) {
    static const struct {
        const char *name;
        uint64_t arguments[6];
    } waits[] = {{"nanosleep", {BUFFER, 0}},
                 {"clock_nanosleep", {1, 0, BUFFER, 0}},
                 {"futex", {BUFFER + 64, 0, 0, 0}},
                 {"futex", {BUFFER + 64, 128, 0, BUFFER}}};
    for (size_t i = 0; i < 2 * sizeof waits / sizeof waits[0]; i++) {
        linux_prepare();
        g.options.n_folders = 0;
        g.options.deadline_ns = i % 2 == 0 ? platform_clock_ns() + 30 * MS : 0;
        g.options.goes_on = i % 2 == 0 ? NULL : says_no;
        linux_start();
        put_u64(BUFFER, 1000);
        put_u64(BUFFER + 8, 0);
        uint64_t before = platform_clock_ns();
        CHECK_INT(guest_call(waits[i / 2].name, waits[i / 2].arguments), -LINUX_EINTR);
        CHECK(platform_clock_ns() - before < 2000 * MS);
        CHECK_INT(linux_ended(g.context), i % 2 == 0 ? LINUX_TIME : LINUX_STOPPED);
        CHECK_INT(CALL(getpid, 0), -LINUX_EINTR);
        linux_finish_guest();
    }
}

static void futex_is_alone(void) {
    linux_begin_base();
    put_u64(BUFFER, 5);
    put_u64(BUFFER + 16, 0);
    put_u64(BUFFER + 24, 10 * MS);
    CHECK_INT(CALL(futex, BUFFER, 128, 4, 0), -LINUX_EAGAIN);
    CHECK_INT(CALL(futex, BUFFER, 128, 5, BUFFER + 16), -LINUX_ETIMEDOUT);
    CHECK_INT(CALL(futex, BUFFER, 129, 1), 0);
    CHECK_INT(CALL(futex, BUFFER, 9, 5, BUFFER + 16, 0, 0), -LINUX_EINVAL);
    CHECK_INT(CALL(futex, BUFFER + 2, 0, 5, 0), -LINUX_EINVAL);
    CHECK_INT(CALL(futex, BUFFER, 6, 5, 0), -LINUX_ENOSYS);
    CHECK_INT(CALL(futex, BUFFER, 0, 5, 0), -LINUX_EINTR); /* nobody can ever wake it */
    CHECK_INT(linux_ended(g.context), LINUX_TIME);
    linux_finish_guest();
}

/* ---- the process -------------------------------------------------------------------------- */

static void programs_end(void) {
    linux_begin_base();
    CHECK_INT(CALL(exit_group, 0x1FF), 0);
    CHECK_INT(linux_ended(g.context), LINUX_EXITED);
    CHECK_INT(linux_code(g.context), 255);
    CHECK_INT(write_text(1, "late"), -LINUX_EINTR);
    CHECK_INT(linux_output(g.context).length, 0);
    linux_finish_guest();
    linux_begin_base();
    CHECK_INT(CALL(exit, 3), 0);
    CHECK_INT(linux_code(g.context), 3);
    linux_finish_guest();
}

static void signals_end_programs(void) {
    enum { ABORT = 6, CHILD = 17, URGENT = 23 };
    linux_begin_base();
    CHECK_INT(CALL(kill, 1000, 0), 0);
    CHECK_INT(CALL(kill, 1, 9), -LINUX_ESRCH);
    CHECK_INT(CALL(tgkill, 1000, 1001, 9), -LINUX_ESRCH);
    CHECK_INT(CALL(tkill, 1000, 65), -LINUX_EINVAL);
    CHECK_INT(CALL(tkill, 1000, CHILD), 0);
    put_u64(BUFFER, 0x400000); /* a handler */
    CHECK_INT(CALL(rt_sigaction, URGENT, BUFFER, BUFFER + 64, 8), 0);
    CHECK_INT(CALL(tkill, 1000, URGENT), -LINUX_ENOSYS);
    put_u64(BUFFER, 1);
    CHECK_INT(CALL(rt_sigaction, 10, BUFFER, 0, 8), 0);
    CHECK_INT(CALL(tkill, 1000, 10), 0);
    CHECK_INT(CALL(rt_sigaction, 9, BUFFER, 0, 8), -LINUX_EINVAL);
    CHECK_INT(CALL(rt_sigaction, 0, BUFFER, 0, 8), -LINUX_EINVAL);
    CHECK_INT(CALL(rt_sigaction, 65, BUFFER, 0, 8), -LINUX_EINVAL);
    CHECK_INT(CALL(rt_sigaction, UINT64_MAX, BUFFER, 0, 8), -LINUX_EINVAL);
    CHECK_INT(CALL(rt_sigaction, 10, 0, BUFFER + 64, 8), 0);
    CHECK_INT(get_u64(BUFFER + 64), 1);
    CHECK_INT(linux_ended(g.context), LINUX_RUNS);
    put_u64(BUFFER, UINT64_MAX);
    CHECK_INT(CALL(rt_sigprocmask, 0, BUFFER, 0, 8), 0);
    CHECK_INT(CALL(tgkill, 1000, 1000, ABORT), 0); /* blocked as musl's raise does */
    CHECK_INT(linux_ended(g.context), LINUX_RUNS);
    CHECK_INT(CALL(rt_sigprocmask, 1, BUFFER, 0, 8), 0);
    CHECK_INT(linux_ended(g.context), LINUX_SIGNALLED);
    CHECK_INT(linux_code(g.context), ABORT);
    linux_finish_guest();
}

static void it_learns_nothing_of_the_host(void) {
    linux_begin_base();
    CHECK_INT(CALL(getpid, 0), 1000);
    CHECK_INT(CALL(gettid, 0), 1000);
    CHECK_INT(CALL(getppid, 0), 1);
    CHECK_INT(CALL(getuid, 0), 65534);
    CHECK_INT(CALL(getegid, 0), 65534);
    CHECK_INT(CALL(set_tid_address, BUFFER), 1000);
    CHECK_INT(CALL(set_robust_list, BUFFER, 24), 0);
    CHECK_INT(CALL(set_robust_list, BUFFER, 25), -LINUX_EINVAL);
    CHECK_INT(CALL(rseq, BUFFER, 32, 0, 0), -LINUX_ENOSYS);
    CHECK_INT(CALL(clone3, BUFFER, 63), -LINUX_EINVAL);
    CHECK_INT(CALL(clone3, NO_ACCESS, 88), -LINUX_EFAULT);
    CHECK_INT(CALL(clone3, BUFFER, 88), -LINUX_EPERM); /* fork */
    CHECK_INT(violations_of("syscall", "clone3"), 1);
    CHECK_INT(CALL(clone, 0x3D0F00, BUFFER, BUFFER, BUFFER, 0), -LINUX_EAGAIN);
    CHECK_INT(violations_of("syscall", "clone"), 0);
    CHECK_INT(CALL(clone, 17, 0, 0, 0, 0), -LINUX_EPERM); /* fork */
    CHECK_INT(violations_of("syscall", "clone"), 1);
    CHECK_INT(CALL(wait4, UINT64_MAX, BUFFER, 0, 0), -LINUX_ECHILD);
    CHECK_INT(CALL(waitid, 0, 0, BUFFER, 4), -LINUX_ECHILD);
    CHECK_INT(CALL(getpgrp, 0), 1000);
    CHECK_INT(CALL(getpgid, 0), 1000);
    CHECK_INT(CALL(getpgid, 1), -LINUX_ESRCH);
    CHECK_INT(CALL(getsid, 1000), 1000);
    CHECK_INT(CALL(getgroups, 0, 0), 0);
    CHECK_INT(CALL(getgroups, UINT32_MAX, BUFFER), -LINUX_EINVAL);
    CHECK_INT(CALL(mknod, put_text(PATH, "/data/node"), 010644, 0), -LINUX_EPERM);
    CHECK_INT(CALL(uname, BUFFER), 0);
    CHECK_STRING((const char *)bytes_at(BUFFER), "Linux");
    CHECK_STRING((const char *)bytes_at(BUFFER + 65), "guest");
    CHECK_STRING((const char *)bytes_at(BUFFER + 4 * 65), "x86_64");
    CHECK_INT(CALL(prlimit64, 0, 7, 0, BUFFER), 0);
    CHECK_INT(get_u64(BUFFER), 11);
    CHECK_INT(CALL(prlimit64, 0, 3, 0, BUFFER), 0);
    CHECK_INT(get_u64(BUFFER), 1 << 20);
    CHECK_INT(CALL(prlimit64, 1, 3, 0, BUFFER), -LINUX_ESRCH);
    CHECK_INT(CALL(prlimit64, 0, 16, 0, BUFFER), -LINUX_EINVAL);
    put_u64(BUFFER, 12);
    put_u64(BUFFER + 8, 12);
    CHECK_INT(CALL(prlimit64, 0, 7, BUFFER, 0), -LINUX_EPERM);
    CHECK_INT(CALL(sysinfo, BUFFER), 0);
    CHECK_INT(get_u64(BUFFER + 32), SPACE_BYTES / 2);
    CHECK_INT(CALL(sched_getaffinity, 0, 128, BUFFER), 8);
    CHECK_INT(get_u64(BUFFER), 1);
    CHECK_INT(CALL(sched_getaffinity, 0, 4, BUFFER), -LINUX_EINVAL);
    CHECK_INT(CALL(readlink, put_text(PATH, "/proc/self/exe"), BUFFER, 100), 13);
    CHECK_BYTES(bytes_at(BUFFER), "/data/program", 13);
    CHECK_INT(CALL(readlink, PATH, BUFFER, 5), 5);
    CHECK_INT(CALL(readlink, PATH, BUFFER, 0), -LINUX_EINVAL);
    CHECK_INT(CALL(readlink, put_text(PATH, "/proc/self/cwd"), BUFFER, 9), -LINUX_ENOENT);
    linux_finish_guest();
}

static void the_thread_base_is_the_machines(void) {
    linux_begin_base();
    CHECK_INT(CALL(arch_prctl, 0x1002, 0x12345), 0);
    CHECK_INT(g.thread_base, 0x12345);
    CHECK_INT(CALL(arch_prctl, 0x1003, BUFFER), 0);
    CHECK_INT(get_u64(BUFFER), 0x12345);
    CHECK_INT(CALL(arch_prctl, 0x1002, 0x0000800000000000), -LINUX_EPERM);
    CHECK_INT(CALL(arch_prctl, 0x1002, UINT64_MAX), -LINUX_EPERM);
    CHECK_INT(CALL(arch_prctl, 0x1001, 0), -LINUX_EINVAL);
    CHECK_INT(CALL(arch_prctl, 0x3001, 0), -LINUX_EINVAL);
    linux_finish_guest();
}

/* ---- streams ------------------------------------------------------------------------------ */

static void output_is_limited_exactly(void) {
    linux_prepare();
    g.options.n_folders = 0;
    g.options.output_bytes = 10;
    linux_start();
    CHECK_INT(write_text(1, "hello"), 5);
    CHECK_INT(write_text(2, "world"), 5);
    CHECK_INT(linux_ended(g.context), LINUX_RUNS);
    (void)write_text(1, "!");
    CHECK_INT(linux_ended(g.context), LINUX_OUTPUT);
    CHECK_STRING(linux_output(g.context).data, "hello");
    CHECK_STRING(linux_errors(g.context).data, "world");
    linux_finish_guest();
    linux_prepare();
    g.options.n_folders = 0;
    g.options.output_bytes = 100000;
    linux_start();
    put_u64(VECTORS, DATA);
    put_u64(VECTORS + 8, 70000);
    put_u64(VECTORS + 16, DATA);
    put_u64(VECTORS + 24, 70000);
    (void)CALL(writev, 1, VECTORS, 2);
    CHECK_INT(linux_ended(g.context), LINUX_OUTPUT);
    CHECK_INT(linux_output(g.context).length, 100000);
    linux_finish_guest();
}

static void input_is_read(void) {
    platform_handle read_end, write_end;
    CHECK_INT(platform_pipe(&read_end, &write_end, NULL), TARS_OK);
    CHECK_INT(platform_handle_write(write_end, "abc", 3, NULL), TARS_OK);
    linux_prepare();
    g.options.n_folders = 0;
    g.options.input = read_end;
    linux_start();
    CHECK_STRING(read_text(0), "abc");
    CHECK_INT(CALL(fcntl, 0, 4, 0x800), 0);
    CHECK_INT(CALL(fcntl, 0, 3), 0x800);
    CHECK_INT(CALL(read, 0, BUFFER, 10), -LINUX_EAGAIN);
    CHECK_INT(CALL(fcntl, 0, 4, 0), 0);
    g.context->options.deadline_ns = platform_clock_ns() + 20 * MS;
    CHECK_INT(CALL(read, 0, BUFFER, 10), -LINUX_EINTR);
    CHECK_INT(linux_ended(g.context), LINUX_TIME);
    linux_finish_guest();
    platform_handle_close(read_end);
    platform_handle_close(write_end);
    linux_begin_base();
    CHECK_INT(CALL(read, 0, BUFFER, 10), 0); /* none: at its end */
    CHECK_INT(CALL(read, 1, BUFFER, 10), -LINUX_EBADF);
    CHECK_INT(CALL(write, 0, BUFFER, 10), -LINUX_EBADF);
    CHECK_INT(CALL(ioctl, 1, 0x5401, BUFFER), -LINUX_ENOTTY);
    CHECK_INT(CALL(ioctl, 3, 0x5401, BUFFER), -LINUX_EBADF);
    CHECK_INT(CALL(fstat, 1, BUFFER), 0);
    CHECK_INT(get_u32(BUFFER + 24), 0x1180); /* a pipe */
    put_text(PATH, "");
    CHECK_INT(CALL(newfstatat, 1, PATH, BUFFER, 0x1000), 0);
    CHECK_INT(CALL(newfstatat, 1, PATH, BUFFER, 0), -LINUX_ENOENT);
    linux_finish_guest();
}

/* ---- descriptors -------------------------------------------------------------------------- */

static void descriptors_are_the_guests(void) {
    static const uint64_t guesses[] = {3,          11,         12,         1000,
                                       0x7FFFFFFF, 0x80000000, 0xFFFFFFFF, 1ull << 32 | 3};
    linux_begin_base();
    for (size_t i = 0; i < sizeof guesses / sizeof guesses[0]; i++) {
        CHECK_INT(CALL(write, guesses[i], BUFFER, 1), -LINUX_EBADF);
        CHECK_INT(CALL(close, guesses[i]), -LINUX_EBADF);
        CHECK_INT(CALL(fstat, guesses[i], BUFFER), -LINUX_EBADF);
        CHECK_INT(CALL(dup, guesses[i]), -LINUX_EBADF);
        CHECK_INT(CALL(fcntl, guesses[i], 1), -LINUX_EBADF);
    }
    CHECK_INT(CALL(write, 1ull << 32 | 1, BUFFER, 1), 1); /* the upper half says nothing */
    for (int64_t i = 3; i < 11; i++) {
        CHECK_INT(CALL(dup, 1), i);
    }
    CHECK_INT(CALL(dup, 1), -LINUX_EMFILE);
    CHECK_INT(CALL(close, 5), 0);
    CHECK_INT(CALL(close, 5), -LINUX_EBADF);
    CHECK_INT(CALL(fcntl, 1, 0, 7), -LINUX_EMFILE);
    CHECK_INT(CALL(fcntl, 1, 0, 11), -LINUX_EINVAL);
    CHECK_INT(CALL(fcntl, 1, 1030, 4), 5);
    CHECK_INT(CALL(fcntl, 5, 1), 1);
    CHECK_INT(CALL(fcntl, 5, 2, 0), 0);
    CHECK_INT(CALL(fcntl, 5, 1), 0);
    CHECK_INT(CALL(fcntl, 5, 999), -LINUX_EINVAL);
    CHECK_INT(CALL(dup2, 2, 1), 1); /* 2>&1 the other way */
    CHECK_INT(write_text(1, "x"), 1);
    CHECK_STRING(linux_errors(g.context).data, "x");
    CHECK_INT(CALL(dup2, 1, 1), 1);
    CHECK_INT(CALL(dup2, 1, 11), -LINUX_EBADF);
    CHECK_INT(CALL(dup2, 1, UINT64_MAX), -LINUX_EBADF);
    CHECK_INT(CALL(dup3, 1, 1, 0), -LINUX_EINVAL);
    CHECK_INT(CALL(dup3, 1, 0, 0x80000), 0);
    CHECK_INT(write_text(0, "y"), 1);
    CHECK_INT(CALL(close, 0), 0);
    CHECK_INT(CALL(close, 1), 0);
    CHECK_INT(CALL(close, 2), 0);
    CHECK_INT(write_text(1, "z"), -LINUX_EBADF);
    linux_finish_guest();
}

static void pipes_lie_within(void) {
    linux_prepare();
    g.options.n_folders = 0;
    linux_start();
    CHECK_INT(CALL(pipe2, BUFFER, 0x800), 0);
    CHECK_INT(get_u32(BUFFER), 3);
    CHECK_INT(get_u32(BUFFER + 4), 4);
    CHECK_INT(CALL(read, 3, BUFFER, 10), -LINUX_EAGAIN);
    uint64_t written = 0;
    for (unsigned i = 0; i < 100; i++) {
        int64_t n = CALL(write, 4, DATA, 1000);
        written += n > 0 ? (uint64_t)n : 0;
    }
    CHECK_INT(written, 64 << 10);
    CHECK_INT(CALL(write, 4, DATA, 1), -LINUX_EAGAIN);
    CHECK_INT(CALL(read, 3, BUFFER, 5000), 5000);
    CHECK_INT(CALL(write, 4, put_text(PATH, "around"), 6), 6);
    for (uint64_t left = (64 << 10) - 5000; left > 0;) {
        int64_t n = CALL(read, 3, BUFFER, left < 7777 ? left : 7777);
        CHECK(n > 0);
        left -= n > 0 ? (uint64_t)n : left;
    }
    CHECK_STRING(read_text(3), "around");
    CHECK_INT(CALL(close, 4), 0);
    CHECK_INT(CALL(read, 3, BUFFER, 10), 0);
    CHECK_INT(CALL(pipe2, BUFFER, 1), -LINUX_EINVAL);
    CHECK_INT(CALL(pipe, BUFFER), 0);
    CHECK_INT(CALL(close, get_u32(BUFFER)), 0);
    CHECK_INT(write_text((int64_t)5, "x"), -LINUX_EPIPE);
    CHECK_INT(linux_ended(g.context), LINUX_SIGNALLED);
    CHECK_INT(linux_code(g.context), 13);
    linux_finish_guest();
}

static void pollfd(uint64_t index, uint32_t number, uint64_t events) {
    put_u64(VECTORS + 8 * index, number | events << 32);
}

static uint64_t found_at(uint64_t index) {
    return get_u64(VECTORS + 8 * index) >> 48;
}

static void poll_tells_what_is_ready(void) {
    enum { IN = 1, OUT = 4, ERROR = 8, END = 16, BAD = 32 };
    linux_prepare();
    g.options.n_folders = 0;
    linux_start();
    CHECK_INT(CALL(pipe, BUFFER), 0); /* 3, 4 */
    CHECK_INT(CALL(eventfd2, 0, 0x800), 5);
    pollfd(0, 0, IN); /* an empty input is at its end */
    pollfd(1, 1, IN | OUT);
    pollfd(2, 3, IN);
    pollfd(3, 4, OUT);
    pollfd(4, 5, IN);
    pollfd(5, 9, IN);
    pollfd(6, UINT32_MAX, IN);
    CHECK_INT(CALL(poll, VECTORS, 7, UINT64_MAX), 4);
    static const uint64_t expected[] = {IN, OUT, 0, OUT, 0, BAD, 0};
    for (uint64_t i = 0; i < 7; i++) {
        CHECK_INT(found_at(i), expected[i]);
    }
    uint64_t before = platform_clock_ns();
    pollfd(0, 3, IN);
    CHECK_INT(CALL(poll, VECTORS, 1, 20), 0);
    CHECK(platform_clock_ns() - before >= 20 * MS);
    CHECK_INT(write_text(4, "x"), 1);
    CHECK_INT(CALL(poll, VECTORS, 1, UINT64_MAX), 1);
    CHECK_INT(CALL(close, 4), 0);
    CHECK_INT(CALL(poll, VECTORS, 1, 0), 1);
    CHECK_INT(found_at(0), IN | END);
    CHECK_INT(CALL(pipe, BUFFER), 0); /* 4, 6 */
    CHECK_INT(CALL(close, 4), 0);
    pollfd(0, 6, OUT);
    CHECK_INT(CALL(poll, VECTORS, 1, 0), 1);
    CHECK_INT(found_at(0), OUT | ERROR);
    CHECK_INT(CALL(poll, VECTORS, 1025, 0), -LINUX_EINVAL);
    CHECK_INT(CALL(poll, VECTORS, UINT32_MAX, 0), -LINUX_EINVAL);
    CHECK_INT(CALL(poll, UINT64_MAX, 0, 0), 0);
    CHECK_INT(CALL(poll, VECTORS, 0, UINT64_MAX), -LINUX_EINTR); /* for ever */
    CHECK_INT(linux_ended(g.context), LINUX_TIME);
    linux_finish_guest();
}

static void events_are_counted(void) {
    linux_prepare();
    g.options.n_folders = 0;
    linux_start();
    CHECK_INT(CALL(eventfd2, 3, 0x800), 3);
    CHECK_INT(CALL(read, 3, BUFFER, 7), -LINUX_EINVAL);
    CHECK_INT(CALL(read, 3, BUFFER, 8), 8);
    CHECK_INT(get_u64(BUFFER), 3);
    CHECK_INT(CALL(read, 3, BUFFER, 8), -LINUX_EAGAIN);
    put_u64(BUFFER, UINT64_MAX);
    CHECK_INT(CALL(write, 3, BUFFER, 8), -LINUX_EINVAL);
    put_u64(BUFFER, UINT64_MAX - 1);
    CHECK_INT(CALL(write, 3, BUFFER, 8), 8);
    CHECK_INT(CALL(write, 3, BUFFER, 8), -LINUX_EAGAIN);
    CHECK_INT(CALL(write, 3, ABSENT_PAGE, 8), -LINUX_EAGAIN);
    CHECK_INT(CALL(read, 3, ABSENT_PAGE, 8), -LINUX_EFAULT);
    CHECK_INT(CALL(read, 3, BUFFER, 100), 8);
    CHECK_INT(get_u64(BUFFER), UINT64_MAX - 1);
    CHECK_INT(CALL(eventfd2, 2, 0x801), 4);
    CHECK_INT(CALL(read, 4, BUFFER, 8), 8);
    CHECK_INT(get_u64(BUFFER), 1);
    CHECK_INT(CALL(lseek, 4, 0, 0), -LINUX_ESPIPE);
    CHECK_INT(CALL(eventfd2, 2, 2), -LINUX_EINVAL);
    linux_finish_guest();
}

static int64_t watch(uint64_t operation, uint64_t number, uint32_t events, uint64_t data) {
    memcpy(bytes_at(VECTORS), &events, sizeof events);
    memcpy(bytes_at(VECTORS + 4), &data, sizeof data);
    return CALL(epoll_ctl, 3, operation, number, VECTORS);
}

static void epoll_watches_the_guests(void) {
    enum { ADD = 1, REMOVE = 2, CHANGE = 3, IN = 1, OUT = 4 };
    tree_make();
    linux_prepare();
    linux_start();
    CHECK_INT(CALL(epoll_create1, 0), 3);
    CHECK_INT(CALL(pipe, BUFFER), 0); /* 4, 5 */
    CHECK_INT(open_path("file", 0), 6);
    CHECK_INT(watch(ADD, 6, IN, 0), -LINUX_EPERM);
    CHECK_INT(watch(ADD, 3, IN, 0), -LINUX_EINVAL);
    CHECK_INT(watch(ADD, 99, IN, 0), -LINUX_EBADF);
    CHECK_INT(watch(4, 4, IN, 0), -LINUX_EINVAL);
    CHECK_INT(watch(CHANGE, 4, IN, 0), -LINUX_ENOENT);
    CHECK_INT(watch(ADD, 4, IN, 77), 0);
    CHECK_INT(watch(ADD, 4, IN, 77), -LINUX_EEXIST);
    CHECK_INT(CALL(epoll_wait, 3, BUFFER, 8, 0), 0);
    CHECK_INT(CALL(epoll_wait, 3, BUFFER, 0, 0), -LINUX_EINVAL);
    CHECK_INT(CALL(epoll_wait, 4, BUFFER, 1, 0), -LINUX_EINVAL);
    CHECK_INT(CALL(epoll_wait, 99, BUFFER, 1, 0), -LINUX_EBADF);
    CHECK_INT(write_text(5, "ab"), 2);
    CHECK_INT(CALL(epoll_wait, 3, BUFFER, 8, UINT64_MAX), 1);
    CHECK_INT(get_u32(BUFFER), IN);
    CHECK_INT(get_u32(BUFFER + 4), 77);
    CHECK_INT(CALL(epoll_wait, 3, BUFFER, 8, 0), 1); /* it still is */
    CHECK_INT(watch(CHANGE, 4, IN | 1u << 31, 78), 0);
    CHECK_INT(CALL(epoll_wait, 3, BUFFER, 8, 0), 1);
    CHECK_INT(CALL(epoll_wait, 3, BUFFER, 8, 0), 0); /* an edge is told once */
    CHECK_INT(write_text(5, "c"), 1);
    CHECK_INT(CALL(epoll_wait, 3, BUFFER, 8, 0), 1);
    CHECK_INT(watch(CHANGE, 4, IN | 1u << 30, 79), 0);
    CHECK_INT(CALL(epoll_wait, 3, BUFFER, 8, 0), 1);
    CHECK_INT(CALL(epoll_wait, 3, BUFFER, 8, 0), 0);
    CHECK_INT(watch(CHANGE, 4, IN, 80), 0);
    CHECK_INT(CALL(close, 4), 0); /* and another file gets its number */
    CHECK_INT(CALL(eventfd2, 5, 0), 4);
    CHECK_INT(CALL(epoll_wait, 3, BUFFER, 8, 0), 0);
    CHECK_INT(watch(ADD, 4, IN, 81), 0);
    CHECK_INT(CALL(epoll_wait, 3, BUFFER, 8, 0), 1);
    CHECK_INT(get_u32(BUFFER + 4), 81);
    CHECK_INT(watch(REMOVE, 4, 0, 0), 0);
    CHECK_INT(CALL(epoll_wait, 3, BUFFER, 8, 0), 0);
    linux_finish_guest();
    tree_remove();
}

static const check_test table[] = {
    {"every call works at all", every_call_works_at_all},
    {"hostile pointers are refused", hostile_pointers_are_refused},
    {"memory ends where it ends", memory_ends_where_it_ends},
    {"vectors are checked as copied", vectors_are_checked_as_copied},
    {"strangers are refused", strangers_are_refused},
    {"every number is survived", every_number_is_survived},
    {"custom profiles name calls", custom_profiles_name_calls},
    {"calls are counted", calls_are_counted},
    {"pages are writable or executable", pages_are_writable_or_executable},
    {"mmap is bounded", mmap_is_bounded},
    {"clocks go on", clocks_go_on},
    {"clocks are coarse when asked", clocks_are_coarse_when_asked},
    {"waiting ends at the deadline", waiting_ends_at_the_deadline},
    {"futex is alone", futex_is_alone},
    {"programs end", programs_end},
    {"signals end programs", signals_end_programs},
    {"it learns nothing of the host", it_learns_nothing_of_the_host},
    {"the thread base is the machine's", the_thread_base_is_the_machines},
    {"output is limited exactly", output_is_limited_exactly},
    {"input is read", input_is_read},
    {"descriptors are the guest's", descriptors_are_the_guests},
    {"pipes lie within", pipes_lie_within},
    {"poll tells what is ready", poll_tells_what_is_ready},
    {"events are counted", events_are_counted},
    {"epoll watches the guest's", epoll_watches_the_guests},
};

#else

static void is_not_here(void) {
    check_skip("micro-VMs are x86-64 Linux's");
}
static const check_test table[] = {{"is not here", is_not_here}};

#endif

CHECK_MAIN(table)
