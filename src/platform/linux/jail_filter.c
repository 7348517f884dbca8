#include "platform/linux/filter_code.h"
#include "platform/linux/jail.h"

#include <errno.h>
#include <sched.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

/* The rules are those of the security profiles (configuration.md § 8): the set `base`, and what
 * the file calls add. Whatever has no row is refused and counted. */

#if defined(FILTER_ARCHITECTURE)

#define NAMESPACES                                                                                 \
    (CLONE_NEWNS | CLONE_NEWCGROUP | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWUSER | CLONE_NEWPID |  \
     CLONE_NEWNET)

typedef enum call_test {
    ALWAYS,
    NOT_WRITABLE_CODE, /* protection without write and execute at once */
    OWN_PROCESS,       /* the first argument is the process */
    OWN_PROCESS_OR_ZERO,
    OWN_DESCRIPTOR,  /* AT_EMPTY_PATH: how the C library asks fstat */
    THREAD,          /* a clone that shares its process, in no new namespace */
    NAME,            /* a thread's name */
    SILENTLY_REFUSED /* with the row's errno: what every C library tries and can do without */
} call_test;

typedef struct call_row {
    uint16_t number;
    uint8_t test;
    uint8_t with_files; /* 1: with the file calls only; 2: without them only */
    uint8_t error;
} call_row;

static const call_row rows[] = {
    {SYS_brk, ALWAYS, 0, 0},
    {SYS_mmap, NOT_WRITABLE_CODE, 0, 0},
    {SYS_munmap, ALWAYS, 0, 0},
    {SYS_mremap, ALWAYS, 0, 0},
    {SYS_mprotect, NOT_WRITABLE_CODE, 0, 0},
    {SYS_madvise, ALWAYS, 0, 0},
    {SYS_set_tid_address, ALWAYS, 0, 0},
    {SYS_set_robust_list, ALWAYS, 0, 0},
    {SYS_prlimit64, OWN_PROCESS_OR_ZERO, 0, 0},
    {SYS_futex, ALWAYS, 0, 0},
    {SYS_sched_yield, ALWAYS, 0, 0},
    {SYS_nanosleep, ALWAYS, 0, 0},
    {SYS_clock_nanosleep, ALWAYS, 0, 0},
    {SYS_restart_syscall, ALWAYS, 0, 0},
    {SYS_clock_gettime, ALWAYS, 0, 0},
    {SYS_gettimeofday, ALWAYS, 0, 0},
    {SYS_getrandom, ALWAYS, 0, 0},
    {SYS_rt_sigaction, ALWAYS, 0, 0},
    {SYS_rt_sigprocmask, ALWAYS, 0, 0},
    {SYS_rt_sigreturn, ALWAYS, 0, 0},
    {SYS_sigaltstack, ALWAYS, 0, 0},
    {SYS_fstat, ALWAYS, 0, 0},
    {SYS_newfstatat, OWN_DESCRIPTOR, 2, 0},
    {SYS_ioctl, SILENTLY_REFUSED, 0, ENOTTY},
    {SYS_prctl, NAME, 0, 0},
    {SYS_getpid, ALWAYS, 0, 0},
    {SYS_getppid, ALWAYS, 0, 0},
    {SYS_gettid, ALWAYS, 0, 0},
    {SYS_getuid, ALWAYS, 0, 0},
    {SYS_geteuid, ALWAYS, 0, 0},
    {SYS_getgid, ALWAYS, 0, 0},
    {SYS_getegid, ALWAYS, 0, 0},
    {SYS_kill, OWN_PROCESS, 0, 0}, /* abort and raise */
    {SYS_tgkill, OWN_PROCESS, 0, 0},
    {SYS_uname, ALWAYS, 0, 0},
    {SYS_read, ALWAYS, 0, 0},
    {SYS_write, ALWAYS, 0, 0},
    {SYS_exit, ALWAYS, 0, 0},
    {SYS_exit_group, ALWAYS, 0, 0},
    {SYS_lseek, SILENTLY_REFUSED, 2, ESPIPE},      /* true: what is open are pipes */
    {SYS_readlinkat, SILENTLY_REFUSED, 2, ENOENT}, /* there is no /proc/self/exe */
#if defined(SYS_rseq)
    {SYS_rseq, ALWAYS, 0, 0},
#endif
#if defined(SYS_clone3)
    {SYS_clone3, SILENTLY_REFUSED, 0, ENOSYS}, /* its flags are behind a pointer; clone follows */
#endif
#if defined(__x86_64__)
    {SYS_arch_prctl, ALWAYS, 0, 0},
    {SYS_time, ALWAYS, 0, 0},
    {SYS_readlink, SILENTLY_REFUSED, 2, ENOENT},
#endif
    {SYS_clone, THREAD, 1, 0},
    {SYS_openat, ALWAYS, 1, 0},
#if defined(SYS_openat2)
    {SYS_openat2, ALWAYS, 1, 0},
#endif
    {SYS_close, ALWAYS, 1, 0},
    {SYS_lseek, ALWAYS, 1, 0},
    {SYS_newfstatat, ALWAYS, 1, 0},
#if defined(SYS_statx)
    {SYS_statx, ALWAYS, 1, 0},
#endif
    {SYS_getdents64, ALWAYS, 1, 0},
    {SYS_pread64, ALWAYS, 1, 0},
    {SYS_pwrite64, ALWAYS, 1, 0},
    {SYS_readv, ALWAYS, 1, 0},
    {SYS_writev, ALWAYS, 1, 0},
    {SYS_readlinkat, ALWAYS, 1, 0},
    {SYS_faccessat, ALWAYS, 1, 0},
#if defined(SYS_faccessat2)
    {SYS_faccessat2, ALWAYS, 1, 0},
#endif
    {SYS_getcwd, ALWAYS, 1, 0},
    {SYS_chdir, ALWAYS, 1, 0},
    {SYS_umask, ALWAYS, 1, 0},
    {SYS_ftruncate, ALWAYS, 1, 0},
    {SYS_fsync, ALWAYS, 1, 0},
    {SYS_fdatasync, ALWAYS, 1, 0},
    {SYS_fadvise64, ALWAYS, 1, 0},
    {SYS_unlinkat, ALWAYS, 1, 0},
    {SYS_mkdirat, ALWAYS, 1, 0},
    {SYS_renameat2, ALWAYS, 1, 0},
    {SYS_renameat, ALWAYS, 1, 0},
    {SYS_fcntl, ALWAYS, 1, 0},
    {SYS_dup, ALWAYS, 1, 0},
    {SYS_dup3, ALWAYS, 1, 0},
    {SYS_pipe2, ALWAYS, 1, 0},
    {SYS_ppoll, ALWAYS, 1, 0},
    {SYS_pselect6, ALWAYS, 1, 0},
    {SYS_epoll_create1, ALWAYS, 1, 0},
    {SYS_epoll_ctl, ALWAYS, 1, 0},
    {SYS_epoll_pwait, ALWAYS, 1, 0},
    {SYS_eventfd2, ALWAYS, 1, 0},
    {SYS_sched_getaffinity, ALWAYS, 1, 0},
    {SYS_getrusage, ALWAYS, 1, 0},
    {SYS_getxattr, SILENTLY_REFUSED, 1, EOPNOTSUPP}, /* what tools of the system ask in passing */
    {SYS_lgetxattr, SILENTLY_REFUSED, 1, EOPNOTSUPP},
    {SYS_fgetxattr, SILENTLY_REFUSED, 1, EOPNOTSUPP},
    {SYS_statfs, SILENTLY_REFUSED, 1, ENOSYS},
#if defined(__x86_64__)
    {SYS_open, ALWAYS, 1, 0},
    {SYS_stat, ALWAYS, 1, 0},
    {SYS_lstat, ALWAYS, 1, 0},
    {SYS_access, ALWAYS, 1, 0},
    {SYS_readlink, ALWAYS, 1, 0},
    {SYS_unlink, ALWAYS, 1, 0},
    {SYS_rmdir, ALWAYS, 1, 0},
    {SYS_mkdir, ALWAYS, 1, 0},
    {SYS_rename, ALWAYS, 1, 0},
    {SYS_dup2, ALWAYS, 1, 0},
    {SYS_pipe, ALWAYS, 1, 0},
    {SYS_poll, ALWAYS, 1, 0},
    {SYS_select, ALWAYS, 1, 0},
    {SYS_epoll_wait, ALWAYS, 1, 0},
#endif
};

enum { N_ROWS = sizeof rows / sizeof rows[0], TEST_INSTRUCTIONS = 3, PID = 0x7fffffff };
_Static_assert((5 + TEST_INSTRUCTIONS) * N_ROWS + 16 < FILTER_MAX_INSTRUCTIONS, "room");

/* What looks at one argument. Behind these instructions come two: refuse, allow. PID stands for
 * the process's own number. */
typedef struct test_code {
    uint8_t argument;
    uint8_t n;
    struct sock_filter code[TEST_INSTRUCTIONS];
} test_code;

#define EQUALS (BPF_JMP | BPF_JEQ | BPF_K)
#define HAS_BITS (BPF_JMP | BPF_JSET | BPF_K)
static const test_code tests[] = {
    [NOT_WRITABLE_CODE] = {2,
                           2,
                           {{BPF_ALU | BPF_AND | BPF_K, 0, 0, PROT_WRITE | PROT_EXEC},
                            {EQUALS, 0, 1, PROT_WRITE | PROT_EXEC}}},
    [OWN_PROCESS] = {0, 1, {{EQUALS, 1, 0, PID}}},
    [OWN_PROCESS_OR_ZERO] = {0, 2, {{EQUALS, 2, 0, 0}, {EQUALS, 1, 0, PID}}},
    [OWN_DESCRIPTOR] = {3, 1, {{HAS_BITS, 1, 0, 0x1000}}},
    [THREAD] = {0, 2, {{HAS_BITS, 1, 0, NAMESPACES}, {HAS_BITS, 1, 0, CLONE_THREAD}}},
    [NAME] = {0, 2, {{EQUALS, 2, 0, PR_SET_NAME}, {EQUALS, 1, 0, PR_GET_NAME}}},
};

static void emit_row(filter_code *p, const call_row *row, uint32_t refuse) {
    if (row->test == ALWAYS || row->test == SILENTLY_REFUSED) {
        filter_emit(p, EQUALS, row->number, 0, 1);
        filter_answer(p, row->test == ALWAYS ? SECCOMP_RET_ALLOW : SECCOMP_RET_ERRNO | row->error);
        return;
    }
    const test_code *test = &tests[row->test];
    filter_emit(p, EQUALS, row->number, 0, (uint8_t)(test->n + 3));
    filter_load_argument(p, test->argument);
    for (size_t i = 0; i < test->n; i++) {
        const struct sock_filter *code = &test->code[i];
        uint32_t value = code->k == PID ? (uint32_t)getpid() : code->k;
        filter_emit(p, code->code, value, code->jt, code->jf);
    }
    filter_answer(p, refuse);
    filter_answer(p, SECCOMP_RET_ALLOW);
}

/* Rows that the file calls add, and not what is refused in silence beside them. */
static bool is_nameable(const call_row *row) {
    return row->with_files == 1 && row->test != SILENTLY_REFUSED;
}

static bool is_named(const char *const *calls, uint32_t number) {
    const char *name = platform_call_name(number);
    for (; name && *calls; calls++) {
        if (strcmp(*calls, name) == 0) {
            return true;
        }
    }
    return false;
}

/* A row of with_files 2 stands for a call until that is named. */
static bool is_in_force(const call_row *row, const platform_jail_options *o) {
    bool with_files = o->calls ? is_named(o->calls, row->number) : o->file_calls;
    return row->with_files == 0 || (row->with_files == 1) == with_files;
}

static void build(filter_code *p, const platform_jail_options *o, bool listened) {
    uint32_t refuse = listened ? SECCOMP_RET_USER_NOTIF : SECCOMP_RET_ERRNO | EPERM;
    filter_begin(p);
    for (size_t i = 0; i < N_ROWS; i++) {
        if (is_in_force(&rows[i], o)) {
            emit_row(p, &rows[i], refuse);
        }
    }
    if (!listened) { /* nobody could let the start of the program through */
        filter_emit(p, EQUALS, SYS_execveat, 0, 1);
        filter_answer(p, SECCOMP_RET_ALLOW);
    }
    filter_answer(p, refuse);
}

const char *platform_jail_call_name(size_t index) {
    for (size_t i = 0; i < N_ROWS; i++) {
        const char *name = is_nameable(&rows[i]) ? platform_call_name(rows[i].number) : NULL;
        if (name && index-- == 0) {
            return name;
        }
    }
    return NULL;
}

int jail_filter_install(const platform_jail_options *options) {
    static filter_code program; /* too large for a small stack */
    for (int listened = 1; listened >= 0; listened--) {
        build(&program, options, listened != 0);
        struct sock_fprog kernel_form = {.len = program.length, .filter = program.code};
        unsigned flags = listened ? SECCOMP_FILTER_FLAG_NEW_LISTENER : 0;
        long result = syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, flags, &kernel_form);
        if (result >= 0) {
            return listened ? (int)result : -1;
        }
    }
    return -2;
}

void jail_filter_serve(int listener, jail_shared *shared) {
    union {
        struct seccomp_notif notice;
        char room[512]; /* a newer kernel's may be longer than the header's */
    } in;
    union {
        struct seccomp_notif_resp answer;
        char room[512];
    } out;
    memset(&in, 0, sizeof in);
    memset(&out, 0, sizeof out);
    if (ioctl(listener, SECCOMP_IOCTL_NOTIF_RECV, &in) != 0) {
        return; /* the process was killed meanwhile */
    }
    uint32_t number = (uint32_t)in.notice.data.nr;
    out.answer.id = in.notice.id;
    if (number == SYS_execveat && !shared->program_started) {
        shared->program_started = true;
        out.answer.flags = SECCOMP_USER_NOTIF_FLAG_CONTINUE;
    } else {
        shared->refused[number < JAIL_CALL_NUMBERS ? number : JAIL_CALL_NUMBERS - 1]++;
        out.answer.error = -EPERM;
    }
    (void)ioctl(listener, SECCOMP_IOCTL_NOTIF_SEND, &out);
}

#else

const char *platform_jail_call_name(size_t index) {
    (void)index;
    return NULL;
}

int jail_filter_install(const platform_jail_options *options) {
    (void)options;
    return -2;
}

void jail_filter_serve(int listener, jail_shared *shared) {
    (void)listener;
    (void)shared;
}

#endif
