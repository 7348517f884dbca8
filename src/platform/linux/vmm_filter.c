/* The two filters of system calls of a process that runs one virtual machine. Whatever is missing
 * in their table ends the process. */
#include "platform/linux/vmm_walls.h"

#if defined(__x86_64__)

#include "platform/linux/filter_code.h"
#include "platform/linux/kvm.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Of the kernel's interface, newer than some C libraries' headers. */
enum {
    CALL_CLONE3 = 435,
    CALL_OPENAT2 = 437,
    CALL_LANDLOCK_CREATE = 444,
    CALL_LANDLOCK_ADD = 445,
    CALL_LANDLOCK_ENTER = 446,
    CALL_OPEN_TREE = 428,
    CALL_MOUNT_SETATTR = 442,
    CALL_FCHMODAT2 = 452
};

/* Who has it: the machine that runs; with folders; with folders to write; only who sets up. */
typedef enum call_need { RUNS, READS, CHANGES, SETS_UP } call_need;

typedef enum call_rule {
    ALLOW,
    BELOW,           /* relative to a folder: where the first argument is one */
    BELOW_BOTH,      /* the first and the third */
    BELOW_SECOND,    /* the second */
    BELOW_TO_READ,   /* as BELOW, where nothing can be made; else ENOSYS, as its mode is not seen */
    BELOW_MODE,      /* as BELOW; the third argument, */
    BELOW_LAST_MODE, /* or the fourth, gives nobody the owner's rights */
    MODE,            /* nor does the second */
    WITHOUT_EXECUTE, /* the third argument has no PROT_EXEC */
    OF_MACHINES,     /* ioctl by its requests; of others ENOTTY */
    OF_FLAGS,        /* fcntl: only flags */
    OF_OWN_CLOCK,    /* prctl: the thread's name, and whether it reads the clock */
    OF_THREADS, /* clone: a thread of this process, nothing else; from here on in both phases */
    TO_ITSELF,  /* tgkill: the signal that stops processors, to this process */
    IS_UNKNOWN, /* ENOSYS: the C library then asks in a way that can be looked at */
    IS_REFUSED  /* EPERM: the C library tries it in place of a newer one */
} call_rule;

typedef struct call_row {
    uint32_t number;
    call_need need;
    call_rule rule;
} call_row;

static const call_row calls[] = {
    {SYS_futex, RUNS, ALLOW},
    {SYS_ioctl, RUNS, OF_MACHINES},
    {SYS_timer_settime, RUNS, ALLOW},
    {SYS_clock_gettime, RUNS, ALLOW},
    {SYS_rt_sigtimedwait, RUNS, ALLOW},
    {SYS_rt_sigprocmask, RUNS, ALLOW},
    {SYS_prctl, RUNS, OF_OWN_CLOCK},
    {SYS_read, RUNS, ALLOW},
    {SYS_write, RUNS, ALLOW},
    {SYS_pread64, RUNS, ALLOW},
    {SYS_pwrite64, RUNS, ALLOW},
    {SYS_lseek, RUNS, ALLOW},
    {SYS_close, RUNS, ALLOW},
    {SYS_fstat, RUNS, ALLOW},
    {SYS_newfstatat, RUNS, BELOW}, /* also how the C library asks fstat */
    {SYS_fcntl, RUNS, OF_FLAGS},
    {SYS_poll, RUNS, ALLOW},
    {SYS_ppoll, RUNS, ALLOW},
    {SYS_mmap, RUNS, WITHOUT_EXECUTE},
    {SYS_mprotect, RUNS, WITHOUT_EXECUTE},
    {SYS_munmap, RUNS, ALLOW},
    {SYS_mremap, RUNS, ALLOW},
    {SYS_madvise, RUNS, ALLOW},
    {SYS_brk, RUNS, ALLOW},
    {SYS_sched_yield, RUNS, ALLOW},
    {SYS_sched_getaffinity, RUNS, ALLOW},
    {SYS_clock_nanosleep, RUNS, ALLOW},
    {SYS_nanosleep, RUNS, ALLOW},
    {SYS_gettimeofday, RUNS, ALLOW},
    {SYS_getrandom, RUNS, ALLOW},
    {SYS_getpid, RUNS, ALLOW},
    {SYS_gettid, RUNS, ALLOW},
    {SYS_tgkill, RUNS, TO_ITSELF},
    {SYS_timer_create, RUNS, ALLOW},
    {SYS_timer_delete, RUNS, ALLOW},
    {SYS_rt_sigaction, RUNS, ALLOW},
    {SYS_rt_sigreturn, RUNS, ALLOW},
    {SYS_sigaltstack, RUNS, ALLOW},
    {SYS_restart_syscall, RUNS, ALLOW},
    {SYS_clone, RUNS, OF_THREADS},
    {CALL_CLONE3, RUNS, IS_UNKNOWN},
    {SYS_set_robust_list, RUNS, ALLOW},
#if defined(SYS_rseq)
    {SYS_rseq, RUNS, ALLOW},
#endif
    {SYS_exit, RUNS, ALLOW},
    {SYS_exit_group, RUNS, ALLOW},

    {CALL_OPENAT2, READS, BELOW_TO_READ},
    {SYS_openat, READS, BELOW_LAST_MODE},
    {SYS_readlinkat, READS, BELOW},
    {SYS_getdents64, READS, ALLOW},
    {SYS_fstatfs, READS, ALLOW},

    {SYS_ftruncate, CHANGES, ALLOW},
    {SYS_fallocate, CHANGES, ALLOW},
    {SYS_fsync, CHANGES, ALLOW},
    {SYS_fdatasync, CHANGES, ALLOW},
    {SYS_fchmod, CHANGES, MODE},
    {SYS_mkdirat, CHANGES, BELOW_MODE},
    {SYS_unlinkat, CHANGES, BELOW},
    {SYS_renameat, CHANGES, BELOW_BOTH},
    {SYS_linkat, CHANGES, BELOW_BOTH},
    {SYS_symlinkat, CHANGES, BELOW_SECOND},
    {SYS_utimensat, CHANGES, BELOW},
    {SYS_fchmodat, CHANGES, BELOW_MODE},
    {CALL_FCHMODAT2, CHANGES, BELOW_MODE},
    {SYS_chmod, CHANGES, IS_REFUSED},

    {SYS_open, SETS_UP, ALLOW},
    {SYS_access, SETS_UP, ALLOW},
    {SYS_readlink, SETS_UP, ALLOW},
    {SYS_dup3, SETS_UP, ALLOW},
    {SYS_getuid, SETS_UP, ALLOW},
    {SYS_geteuid, SETS_UP, ALLOW},
    {SYS_getgid, SETS_UP, ALLOW},
    {SYS_getegid, SETS_UP, ALLOW},
    {SYS_getppid, SETS_UP, ALLOW},
    {SYS_getrlimit, SETS_UP, ALLOW},
    {SYS_setrlimit, SETS_UP, ALLOW},
    {SYS_prlimit64, SETS_UP, ALLOW},
    {SYS_uname, SETS_UP, ALLOW},
    {SYS_sysinfo, SETS_UP, ALLOW},
    {SYS_capset, SETS_UP, ALLOW},
    {SYS_unshare, SETS_UP, ALLOW},
    {SYS_mount, SETS_UP, ALLOW},
    {SYS_umount2, SETS_UP, ALLOW},
    {SYS_pivot_root, SETS_UP, ALLOW},
    {SYS_chdir, SETS_UP, ALLOW},
    {SYS_fchdir, SETS_UP, ALLOW},
    {CALL_OPEN_TREE, SETS_UP, ALLOW},
    {CALL_MOUNT_SETATTR, SETS_UP, ALLOW},
    {CALL_LANDLOCK_CREATE, SETS_UP, ALLOW},
    {CALL_LANDLOCK_ADD, SETS_UP, ALLOW},
    {CALL_LANDLOCK_ENTER, SETS_UP, ALLOW},
    {SYS_seccomp, SETS_UP, ALLOW},
};

enum { N_CALLS = sizeof calls / sizeof calls[0], MOST_INSTRUCTIONS_OF_A_ROW = 8 };

/* What a machine and its processors are asked while it runs. */
static const unsigned long requests[] = {
    KVM_RUN,
    KVM_SET_USER_MEMORY_REGION,
    KVM_GET_SREGS,
    KVM_SET_SREGS,
    KVM_GET_XSAVE,
    KVM_SET_XSAVE,
    KVM_CREATE_VCPU,
    KVM_SET_CPUID2,
    KVM_GET_VCPU_MMAP_SIZE,
    KVM_SET_XCRS,
    KVM_SET_MSRS,
    KVM_SET_SIGNAL_MASK,
    KVM_SET_DEBUGREGS,
    KVM_SET_VCPU_EVENTS,
};
enum { N_REQUESTS = sizeof requests / sizeof requests[0] };

_Static_assert(MOST_INSTRUCTIONS_OF_A_ROW *N_CALLS + 2 * N_REQUESTS + 32 < FILTER_MAX_INSTRUCTIONS,
               "the filter has room");

#define KILL SECCOMP_RET_KILL_PROCESS

/* Goes on with the next instruction when the argument is that, else ends the process. */
static void need_argument(filter_code *p, unsigned index, uint32_t mask, uint32_t value) {
    filter_load_argument(p, index);
    filter_emit(p, BPF_ALU | BPF_AND | BPF_K, mask, 0, 0);
    filter_emit(p, BPF_JMP | BPF_JEQ | BPF_K, value, 1, 0);
    filter_answer(p, KILL);
}

/* A folder that is open, not the working folder; an absolute path is the other walls' matter. */
static void need_folder(filter_code *p, unsigned index) {
    filter_load_argument(p, index);
    filter_emit(p, BPF_JMP | BPF_JEQ | BPF_K, (uint32_t)AT_FDCWD, 0, 1);
    filter_answer(p, KILL);
}

/* Allows when the loaded argument is one of the values. */
static void allow_values(filter_code *p, const uint32_t *values, size_t n) {
    for (size_t i = 0; i < n; i++) {
        filter_emit(p, BPF_JMP | BPF_JEQ | BPF_K, values[i], 0, 1);
        filter_answer(p, SECCOMP_RET_ALLOW);
    }
}

static void emit_requests(filter_code *p) {
    filter_load_argument(p, 1);
    for (size_t i = 0; i < N_REQUESTS; i++) {
        const uint32_t request = (uint32_t)requests[i];
        allow_values(p, &request, 1);
    }
    filter_emit(p, BPF_ALU | BPF_AND | BPF_K, 0xFF00u, 0, 0);
    filter_emit(p, BPF_JMP | BPF_JEQ | BPF_K, (uint32_t)KVMIO << 8, 0, 1);
    filter_answer(p, KILL);
    filter_answer(p, SECCOMP_RET_ERRNO | ENOTTY);
}

static void emit_rule(filter_code *p, call_rule rule) {
    enum {
        THREAD = CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD | CLONE_SYSVSEM |
                 CLONE_SETTLS | CLONE_PARENT_SETTID | CLONE_CHILD_CLEARTID,
        IGNORED = 0x00400000, /* CLONE_DETACHED, which some C libraries still say */
        RIGHTS = 07000        /* set-user-ID and its like */
    };
    static const uint32_t flags[] = {F_GETFL, F_SETFL, F_SETFD};
    static const uint32_t own[] = {PR_SET_TSC, PR_SET_NAME};
    switch (rule) {
    case ALLOW:
        break;
    case BELOW:
        need_folder(p, 0);
        break;
    case BELOW_BOTH:
        need_folder(p, 0);
        need_folder(p, 2);
        break;
    case BELOW_SECOND:
        need_folder(p, 1);
        break;
    case BELOW_TO_READ:
        need_folder(p, 0);
        break;
    case BELOW_MODE:
        need_folder(p, 0);
        need_argument(p, 2, RIGHTS, 0);
        break;
    case BELOW_LAST_MODE:
        need_folder(p, 0);
        need_argument(p, 3, RIGHTS, 0);
        break;
    case MODE:
        need_argument(p, 1, RIGHTS, 0);
        break;
    case WITHOUT_EXECUTE:
        need_argument(p, 2, PROT_EXEC, 0);
        break;
    case OF_MACHINES:
        emit_requests(p);
        return;
    case OF_FLAGS:
        filter_load_argument(p, 1);
        allow_values(p, flags, sizeof flags / sizeof flags[0]);
        filter_answer(p, KILL);
        return;
    case OF_THREADS:
        need_argument(p, 0, ~(uint32_t)IGNORED, THREAD);
        break;
    case OF_OWN_CLOCK:
        filter_load_argument(p, 0);
        allow_values(p, own, sizeof own / sizeof own[0]);
        filter_answer(p, SECCOMP_RET_ERRNO | EPERM);
        return;
    case TO_ITSELF:
        need_argument(p, 0, UINT32_MAX, (uint32_t)getpid());
        need_argument(p, 2, UINT32_MAX, (uint32_t)kvm_tick_signal());
        break;
    case IS_UNKNOWN:
        filter_answer(p, SECCOMP_RET_ERRNO | ENOSYS);
        return;
    case IS_REFUSED:
        filter_answer(p, SECCOMP_RET_ERRNO | EPERM);
        return;
    }
    filter_answer(p, SECCOMP_RET_ALLOW);
}

static bool is_wanted(const call_row *row, vmm_filter_wanted wanted) {
    const bool rows[] = {[RUNS] = true,
                         [READS] = wanted.reads_paths,
                         [CHANGES] = wanted.changes_paths,
                         [SETS_UP] = false};
    return wanted.phase == VMM_FILTER_WIDE || rows[row->need];
}

/* A row's code is jumped over as a whole, so its length has to be known first. */
static void emit_row(filter_code *p, const call_row *row, vmm_filter_wanted wanted) {
    static filter_code one; /* the process has one thread */
    one.length = 0;
    one.truncated = false;
    bool is_plain = wanted.phase == VMM_FILTER_WIDE && row->rule < OF_THREADS;
    bool is_unseen = row->rule == BELOW_TO_READ && wanted.changes_paths;
    emit_rule(&one, is_plain ? ALLOW : is_unseen ? IS_UNKNOWN : row->rule);
    filter_emit(p, BPF_JMP | BPF_JEQ | BPF_K, row->number, 0, (uint8_t)one.length);
    for (unsigned short i = 0; i < one.length; i++) {
        filter_emit(p, one.code[i].code, one.code[i].k, one.code[i].jt, one.code[i].jf);
    }
}

bool vmm_filter_install(vmm_filter_wanted wanted, const char **reason) {
    filter_code program;
    filter_begin(&program);
    for (size_t i = 0; i < N_CALLS; i++) {
        if (is_wanted(&calls[i], wanted)) {
            emit_row(&program, &calls[i], wanted);
        }
    }
    filter_answer(&program, KILL);
    struct sock_fprog kernel_form = {.len = program.length, .filter = program.code};
    long answer = -1;
    if (!program.truncated) {
        answer =
            syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_TSYNC, &kernel_form);
    }
    *reason = answer > 0 ? "a thread of this process cannot be brought under it"
              : errno == EINVAL || errno == ENOSYS ? "this kernel has none"
                                                   : "the system refused it";
    return answer == 0;
}

#endif
