#include "base/text.h"
#include "platform/linux/jail.h"
#include "platform/posix/process_os.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/futex.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { EMPTY_PATH = 0x1000 };

/* The texts of errno are not for a forked process: the few that occur here. */
static const char *reason(int number) {
    static const struct {
        int number;
        const char *text;
    } rows[] = {
        {EPERM, "not permitted to this user"},
        {EACCES, "not permitted to this user"},
        {ENOSYS, "this kernel has none"},
        {EINVAL, "this kernel does not take it"},
        {EOPNOTSUPP, "switched off in this kernel"},
        {ENOSPC, "the system's limit of namespaces is reached"},
        {EUSERS, "the system's limit of namespaces is reached"},
        {ENOENT, "it is not there"},
        {EROFS, "the file system is read-only"},
        {EEXIST, "another filter was here first"},
        {EBUSY, "another program holds it"},
        {EAGAIN, "a limit of processes is reached"},
        {ENOMEM, "no memory"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        if (rows[i].number == number) {
            return rows[i].text;
        }
    }
    return NULL;
}

void jail_miss(jail_shared *shared, const char *what, int error_number) {
    if (shared->n_missing == PLATFORM_JAIL_MISSING) {
        return;
    }
    text_buffer text;
    text_init(&text, shared->missing[shared->n_missing++], PLATFORM_JAIL_TEXT_BYTES);
    const char *why = reason(error_number);
    if (why) {
        text_format(&text, "%s: %s", what, why);
    } else {
        text_format(&text, "%s: error %d of the system", what, error_number);
    }
}

void jail_give_up(jail_shared *shared, const char *step, int error_number) {
    text_buffer text;
    text_init(&text, shared->step, sizeof shared->step);
    text_append_string(&text, step);
    shared->error_number = error_number != 0 ? error_number : EPERM;
    _exit(127);
}

/* Root becomes nobody; a user namespace of its own then keeps the count of its processes apart and
 * leaves it without a name outside. */
static void become_nobody(jail_plan *plan) {
    tars_error err;
    if (plan->was_root) {
        if (platform_drop_privileges(JAIL_USER, JAIL_USER, &err) != TARS_OK) {
            jail_miss(plan->shared, "user without privileges", EPERM);
        } else if (unshare(CLONE_NEWUSER) != 0) {
            jail_miss(plan->shared, "user namespace", errno);
        }
    }
}

/* Whoever is root in some namespace gets no capability from it when the program starts. */
static void give_up_capabilities(void) {
    const unsigned long root_is_nobody = 1 | 2; /* SECBIT_NOROOT and its lock */
    (void)prctl(PR_SET_SECUREBITS, root_is_nobody, 0, 0, 0);
    for (unsigned long capability = 0; capability < 64; capability++) {
        (void)prctl(PR_CAPBSET_DROP, capability, 0, 0, 0);
    }
}

static void limit(jail_plan *plan) {
    const platform_jail_options *o = plan->options;
    /* A group of processes ends what takes too much; the address space is then only a backstop. */
    uint64_t address_space =
        plan->group.memory_limited ? o->memory_bytes * 4 + (UINT64_C(1) << 30) : o->memory_bytes;
    platform_hardening wanted = {.address_space_bytes = address_space,
                                 .n_files = o->n_files,
                                 .cpu_seconds = o->timeout_ns / 1000000000u * o->n_threads + 2,
                                 .file_size_bytes = o->file_bytes,
                                 .n_processes = o->n_threads};
    platform_hardening_report report;
    tars_error err;
    if (platform_harden(&wanted, &report, &err) != TARS_OK) {
        jail_give_up(plan->shared, err.message, errno);
    }
    if (!report.no_new_privileges) {
        jail_give_up(plan->shared, "ruling out new privileges", EPERM);
    }
}

static void tell_listener(jail_shared *shared, unsigned value) {
    atomic_store(&shared->listener, value);
    (void)syscall(SYS_futex, (void *)&shared->listener, FUTEX_WAKE, INT_MAX, NULL, NULL, 0);
}

void jail_guest_run(jail_plan *plan) {
    const platform_jail_options *o = plan->options;
    jail_shared *shared = plan->shared;
    (void)setsid(); /* one group that the keeper can kill, and no terminal */
    if (!jail_group_join(&plan->group)) {
        jail_give_up(shared, "joining its cgroup", errno);
    }
    const char *folder = o->folder ? o->folder : "/";
    become_nobody(plan);
    give_up_capabilities();
    if (chdir(folder) != 0 && chdir("/") != 0) { /* it may be a file, or closed to the user */
        jail_give_up(shared, "changing to the working folder", errno);
    }
    limit(plan);
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
    process_reset_signals();
    if (plan->rules >= 0 && !jail_rules_enter(plan->rules)) {
        jail_give_up(shared, "entering Landlock's rules", errno);
    }
    int listener = jail_filter_install(o);
    if (listener == -2) {
        jail_give_up(shared, "installing the filter of system calls", errno);
    }
    if (listener == -1) {
        jail_miss(shared, "names of refused system calls", ENOSYS);
    }
    tell_listener(shared, listener >= 0 ? (unsigned)listener + JAIL_LISTENER_FIRST
                                        : (unsigned)JAIL_LISTENER_NONE);
    if (plan->program < 0) {
        _exit(0);
    }
    /* execveat takes pointers to plain text but does not write */
    (void)syscall(SYS_execveat, plan->program, "", o->arguments, o->environment, EMPTY_PATH);
    jail_give_up(shared, "", errno);
}
