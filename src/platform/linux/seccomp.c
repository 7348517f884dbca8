#include "platform/linux/seccomp.h"

#include "platform/linux/filter_code.h"
#include "platform/linux/kvm.h"

#include <errno.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#if defined(FILTER_ARCHITECTURE)

typedef enum call_rule {
    ALLOW,
    ALLOW_WITHOUT_EXEC, /* the third argument must not contain PROT_EXEC */
    REFUSE,             /* EPERM: asks for something outside, which the caller can live without */
    NO_TERMINAL,        /* ENOTTY */
    ONLY_MACHINES       /* with machines; else as what is missing */
} call_rule;

typedef struct call_row {
    uint32_t number;
    call_rule rule;
} call_row;

/* Reading and writing what is open, memory, time, ending. Whatever is missing ends the process. */
static const call_row calls[] = {
    {SYS_read, ALLOW},
    {SYS_readv, ALLOW},
    {SYS_pread64, ALLOW},
    {SYS_preadv, ALLOW},
    {SYS_write, ALLOW},
    {SYS_writev, ALLOW},
    {SYS_pwrite64, ALLOW},
    {SYS_lseek, ALLOW},
    {SYS_close, ALLOW},
    {SYS_fstat, ALLOW},
    {SYS_newfstatat, ALLOW}, /* how the C library asks fstat; tells sizes and times only */
    {SYS_fsync, ALLOW},
    {SYS_fdatasync, ALLOW},
    {SYS_fadvise64, ALLOW},
    {SYS_ppoll, ALLOW},
#if defined(SYS_poll)
    {SYS_poll, ALLOW},
#endif
    {SYS_mmap, ALLOW_WITHOUT_EXEC},
    {SYS_mprotect, ALLOW_WITHOUT_EXEC},
    {SYS_munmap, ALLOW},
    {SYS_mremap, ALLOW},
    {SYS_madvise, ALLOW},
    {SYS_brk, ALLOW},
    {SYS_futex, ALLOW},
    {SYS_sched_yield, ALLOW},
    {SYS_sched_getaffinity, ALLOW},
    {SYS_clock_gettime, ALLOW},
    {SYS_clock_nanosleep, ALLOW},
    {SYS_nanosleep, ALLOW},
    {SYS_gettimeofday, ALLOW},
    {SYS_getrusage, ALLOW},
    {SYS_getrandom, ALLOW},
    {SYS_getpid, ALLOW},
    {SYS_gettid, ALLOW},
    {SYS_getuid, ALLOW},
    {SYS_geteuid, ALLOW},
    {SYS_rt_sigaction, ALLOW},
    {SYS_rt_sigprocmask, ALLOW},
    {SYS_rt_sigreturn, ALLOW},
    {SYS_sigaltstack, ALLOW},
    {SYS_restart_syscall, ALLOW},
    {SYS_set_robust_list, ALLOW}, /* a thread that was made before may begin only now */
#if defined(SYS_rseq)
    {SYS_rseq, ALLOW},
#endif
    {SYS_exit, ALLOW},
    {SYS_exit_group, ALLOW},
    {SYS_timer_settime, ONLY_MACHINES},
    {SYS_rt_sigtimedwait, ONLY_MACHINES},
    {SYS_ioctl, NO_TERMINAL},
    {SYS_openat, REFUSE},
    {SYS_readlinkat, REFUSE},
    {SYS_faccessat, REFUSE},
    {SYS_unlinkat, REFUSE},
    {SYS_renameat2, REFUSE},
    {SYS_mkdirat, REFUSE},
    {SYS_linkat, REFUSE},
    {SYS_fcntl, REFUSE},
    {SYS_dup, REFUSE},
    {SYS_dup3, REFUSE},
    {SYS_pipe2, REFUSE},
    {SYS_socket, REFUSE},
    {SYS_socketpair, REFUSE},
    {SYS_connect, REFUSE},
    {SYS_bind, REFUSE},
    {SYS_sendto, REFUSE},
    {SYS_clone, REFUSE},
    {SYS_execve, REFUSE},
    {SYS_execveat, REFUSE},
    {SYS_kill, REFUSE},
    {SYS_tgkill, REFUSE},
    {SYS_prctl, REFUSE},
    {SYS_prlimit64, REFUSE},
    {SYS_uname, REFUSE},
    {SYS_sysinfo, REFUSE},
#if defined(SYS_statx)
    {SYS_statx, REFUSE},
#endif
#if defined(SYS_clone3)
    {SYS_clone3, REFUSE},
#endif
#if defined(__x86_64__)
    {SYS_open, REFUSE},
    {SYS_stat, REFUSE},
    {SYS_lstat, REFUSE},
    {SYS_access, REFUSE},
    {SYS_readlink, REFUSE},
    {SYS_unlink, REFUSE},
    {SYS_rename, REFUSE},
    {SYS_mkdir, REFUSE},
    {SYS_dup2, REFUSE},
    {SYS_pipe, REFUSE},
    {SYS_fork, REFUSE},
    {SYS_vfork, REFUSE},
#endif
};

enum { N_CALLS = sizeof calls / sizeof calls[0] };
_Static_assert(5 * N_CALLS + 32 < FILTER_MAX_INSTRUCTIONS, "the filter has room");

/* If the loaded number is the row's: its answer; else the next row, with the number still loaded.
 */
static void emit_row(filter_code *p, const call_row *row, seccomp_wanted wanted) {
    static const uint32_t actions[] = {[ALLOW] = SECCOMP_RET_ALLOW,
                                       [REFUSE] = SECCOMP_RET_ERRNO | EPERM,
                                       [NO_TERMINAL] = SECCOMP_RET_ERRNO | ENOTTY,
                                       [ONLY_MACHINES] = SECCOMP_RET_ALLOW};
    if (row->rule == ONLY_MACHINES && !wanted.machines) {
        return;
    }
    if (row->rule != ALLOW_WITHOUT_EXEC || wanted.code) {
        filter_emit(p, BPF_JMP | BPF_JEQ | BPF_K, row->number, 0, 1);
        filter_answer(p, row->rule == ALLOW_WITHOUT_EXEC ? SECCOMP_RET_ALLOW : actions[row->rule]);
        return;
    }
    filter_emit(p, BPF_JMP | BPF_JEQ | BPF_K, row->number, 0, 4);
    filter_load_argument(p, 2);
    filter_emit(p, BPF_JMP | BPF_JSET | BPF_K, PROT_EXEC, 0, 1);
    filter_answer(p, SECCOMP_RET_ERRNO | EPERM);
    filter_answer(p, SECCOMP_RET_ALLOW);
}

/* Allowed with these arguments; with others the rows of the table answer. */
typedef struct argument_rule {
    uint32_t number;
    struct {
        unsigned index;
        uint32_t value;
    } needed[2];
} argument_rule;

static void emit_rule(filter_code *p, const argument_rule *rule) {
    enum { N_NEEDED = sizeof rule->needed / sizeof rule->needed[0] };
    filter_emit(p, BPF_JMP | BPF_JEQ | BPF_K, rule->number, 0, 2 * N_NEEDED + 1);
    for (unsigned i = 0; i < N_NEEDED; i++) {
        filter_load_argument(p, rule->needed[i].index);
        filter_emit(p, BPF_JMP | BPF_JEQ | BPF_K, rule->needed[i].value, 0,
                    (uint8_t)(2 * (N_NEEDED - 1 - i) + 1));
    }
    filter_answer(p, SECCOMP_RET_ALLOW);
    filter_load(p, offsetof(struct seccomp_data, nr));
}

/* Virtual processors run, and the signal that stops them goes to threads of this process alone. The
 * kernel, too, takes the low half of these arguments. */
static void emit_machines(filter_code *p) {
    const argument_rule rules[] = {
        {SYS_ioctl, {{1, (uint32_t)KVM_RUN}, {2, 0}}},
        {SYS_tgkill, {{0, (uint32_t)getpid()}, {2, (uint32_t)kvm_tick_signal()}}},
    };
    for (size_t i = 0; i < sizeof rules / sizeof rules[0]; i++) {
        emit_rule(p, &rules[i]);
    }
}

static void build(filter_code *p, seccomp_wanted wanted) {
    filter_begin(p);
    if (wanted.machines) {
        emit_machines(p);
    }
    for (size_t i = 0; i < N_CALLS; i++) {
        emit_row(p, &calls[i], wanted);
    }
    filter_answer(p, SECCOMP_RET_KILL_PROCESS);
}

bool seccomp_install(seccomp_wanted wanted, const char **reason) {
    filter_code program;
    build(&program, wanted);
    struct sock_fprog kernel_form = {.len = program.length, .filter = program.code};
    long answer =
        syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_TSYNC, &kernel_form);
    if (answer == 0) {
        return true;
    }
    if (answer > 0) {
        *reason = "a thread of this process cannot be brought under the system-call filter";
        return false;
    }
    /* kernels before the call: it filters this thread, which is the only one there */
    if (errno == ENOSYS && prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &kernel_form, 0, 0) == 0) {
        return true;
    }
    *reason = errno == EINVAL ? "this kernel has no system-call filters"
                              : "the system refused the system-call filter";
    return false;
}

#else

bool seccomp_install(seccomp_wanted wanted, const char **reason) {
    (void)wanted;
    *reason = "no system-call filter for this kind of CPU";
    return false;
}

#endif
