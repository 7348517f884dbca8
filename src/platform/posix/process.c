#include "base/text.h"
#include "platform/internal.h"
#include "platform/posix/process_os.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

enum { MAX_CHILD_NUMBER = 64, MAX_MAPPED = 40 };

/* Everything the child needs, made before fork: behind it only async-signal-safe calls may run. */
typedef struct child_plan {
    const platform_spawn_options *options;
    const char *path;
    int null_device;
    int report; /* write end; closes when the program starts, else carries an errno */
    pid_t parent;
} child_plan;

static void give_up(const child_plan *plan) {
    int number = errno;
    ssize_t written = write(plan->report, &number, sizeof number);
    (void)written;
    _exit(127);
}

static bool is_target(const platform_spawn_options *options, int number) {
    for (size_t i = 0; i < options->n_handles; i++) {
        if (options->handles[i].theirs == number) {
            return true;
        }
    }
    return false;
}

/* First copies everything out of the way of the numbers it shall have, then puts it there. */
static void place_handles(child_plan *plan) {
    const platform_spawn_options *options = plan->options;
    int copies[MAX_MAPPED];
    plan->report = fcntl(plan->report, F_DUPFD_CLOEXEC, MAX_CHILD_NUMBER);
    plan->null_device = fcntl(plan->null_device, F_DUPFD_CLOEXEC, MAX_CHILD_NUMBER);
    if (plan->report < 0) {
        _exit(127);
    }
    for (size_t i = 0; i < options->n_handles; i++) {
        copies[i] = fcntl((int)options->handles[i].mine, F_DUPFD_CLOEXEC, MAX_CHILD_NUMBER);
        if (copies[i] < 0) {
            give_up(plan);
        }
    }
    for (size_t i = 0; i < options->n_handles; i++) {
        if (dup2(copies[i], options->handles[i].theirs) < 0) {
            give_up(plan);
        }
    }
    for (int number = 0; number < MAX_CHILD_NUMBER; number++) {
        if (is_target(options, number)) {
            continue;
        }
        if (number > PLATFORM_STDERR) {
            (void)close(number);
        } else if (dup2(plan->null_device, number) < 0) {
            give_up(plan);
        }
    }
    platform_os_close_on_exec_from(MAX_CHILD_NUMBER);
}

void process_reset_signals(void) {
    for (int number = 1; number < NSIG; number++) {
        struct sigaction action;
        if (sigaction(number, NULL, &action) == 0 && action.sa_handler == SIG_IGN) {
            action.sa_handler = SIG_DFL;
            (void)sigaction(number, &action, NULL); /* exec resets handlers, not this */
        }
    }
    sigset_t none;
    (void)sigemptyset(&none);
    (void)sigprocmask(SIG_SETMASK, &none, NULL);
}

static void run_child(child_plan *plan) {
    static const char *const no_environment[] = {NULL};
    const platform_spawn_options *options = plan->options;
    place_handles(plan);
    process_reset_signals();
    if (options->dies_with_us && !platform_os_die_with_parent((intptr_t)plan->parent)) {
        _exit(127);
    }
    const char *const *environment = options->environment ? options->environment : no_environment;
    /* execve takes pointers to plain text but does not write */
    (void)execve(plan->path, (char *const *)(uintptr_t)options->arguments,
                 (char *const *)(uintptr_t)environment);
    give_up(plan);
}

static tars_status check_options(const platform_spawn_options *options, tars_error *err) {
    if (!options->arguments || !options->arguments[0] || options->n_handles > MAX_MAPPED) {
        return error_set(err, TARS_USAGE, "a program needs argv[0] and at most %d handles",
                         MAX_MAPPED);
    }
    for (size_t i = 0; i < options->n_handles; i++) {
        int theirs = options->handles[i].theirs;
        if (theirs < 0 || theirs >= MAX_CHILD_NUMBER) {
            return error_set(err, TARS_USAGE, "descriptor %d of a child is not in 0 … %d", theirs,
                             MAX_CHILD_NUMBER - 1);
        }
    }
    return TARS_OK;
}

static pid_t fork_child(child_plan *plan) {
    sigset_t all, before;
    (void)sigfillset(&all);
    (void)sigprocmask(SIG_SETMASK, &all, &before); /* no handler of ours may run in the child */
    pid_t id = fork();
    if (id == 0) {
        run_child(plan);
    }
    int number = errno;
    (void)sigprocmask(SIG_SETMASK, &before, NULL);
    errno = number;
    return id;
}

/* 0 when the program started, else the child's errno (or 127's stand-in). */
static int read_report(int report) {
    int number = 0;
    ssize_t n;
    do {
        n = read(report, &number, sizeof number);
    } while (n < 0 && errno == EINTR);
    return n == (ssize_t)sizeof number ? number : 0;
}

static tars_status spawn_with(child_plan *plan, platform_process *out, tars_error *err) {
    platform_handle report_read, report_write;
    tars_status status = platform_pipe(&report_read, &report_write, err);
    if (status != TARS_OK) {
        return status;
    }
    plan->report = (int)report_write;
    pid_t id = fork_child(plan);
    int number = errno;
    platform_handle_close(report_write);
    if (id < 0) {
        platform_handle_close(report_read);
        return platform_fail(err, number, NULL, "cannot make a process");
    }
    number = read_report((int)report_read);
    platform_handle_close(report_read);
    *out = (platform_process){.id = id, .handle = PLATFORM_NO_HANDLE};
    if (number != 0) {
        platform_process_kill(out);
        return platform_fail(err, number, plan->path, "cannot run the program");
    }
    out->handle = platform_os_process_handle((intptr_t)id);
    return TARS_OK;
}

tars_status platform_spawn(const platform_spawn_options *options, platform_process *out,
                           tars_error *err) {
    char own_path[PLATFORM_PATH_BYTES];
    *out = (platform_process){.id = -1, .handle = PLATFORM_NO_HANDLE};
    tars_status status = check_options(options, err);
    child_plan plan = {.options = options, .path = options->path, .parent = getpid()};
    if (status == TARS_OK && !options->path) {
        plan.path = own_path;
        status = platform_os_own_program(own_path, sizeof own_path, err);
    }
    if (status != TARS_OK) {
        return status;
    }
    plan.null_device = open("/dev/null", O_RDWR | O_CLOEXEC);
    if (plan.null_device < 0) {
        return platform_fail(err, errno, "/dev/null", "cannot open the null device");
    }
    status = spawn_with(&plan, out, err);
    (void)close(plan.null_device);
    return status;
}

static platform_exit decode(int how, const struct rusage *usage) {
    uint64_t us = (uint64_t)(usage->ru_utime.tv_sec + usage->ru_stime.tv_sec) * 1000000u +
                  (uint64_t)(usage->ru_utime.tv_usec + usage->ru_stime.tv_usec);
    return (platform_exit){.exited = WIFEXITED(how),
                           .code = WIFEXITED(how) ? WEXITSTATUS(how) : 0,
                           .signal = WIFSIGNALED(how) ? WTERMSIG(how) : 0,
                           .cpu_ns = us * 1000u,
                           .peak_resident_bytes =
                               (uint64_t)usage->ru_maxrss * PLATFORM_OS_MAXRSS_UNIT_BYTES};
}

/* Waits for the handle to say that the process ended, or a moment where there is none. */
static void wait_a_moment(const platform_process *process, uint64_t left_ns, unsigned round) {
    if (process->handle != PLATFORM_NO_HANDLE) {
        struct pollfd wait = {.fd = (int)process->handle, .events = POLLIN};
        uint64_t ms = left_ns / 1000000 + 1;
        (void)poll(&wait, 1, ms > 1000 ? 1000 : (int)ms);
        return;
    }
    uint64_t pause_ns = round < 20 ? 500000 : 10000000;
    platform_sleep_ns(left_ns < pause_ns ? left_ns : pause_ns);
}

tars_status platform_process_wait(platform_process *process, uint64_t timeout_ns,
                                  platform_exit *out, tars_error *err) {
    uint64_t start = platform_clock_ns();
    for (unsigned round = 0;; round++) {
        int how;
        struct rusage usage;
        pid_t id = wait4((pid_t)process->id, &how, WNOHANG, &usage);
        if (id > 0) {
            *out = decode(how, &usage);
            platform_handle_close(process->handle);
            *process = (platform_process){.id = -1, .handle = PLATFORM_NO_HANDLE};
            return TARS_OK;
        }
        if (id < 0 && errno != EINTR) {
            return platform_fail(err, errno, NULL, "cannot wait for process %lld",
                                 (long long)process->id);
        }
        uint64_t waited = platform_clock_ns() - start;
        if (timeout_ns != PLATFORM_FOREVER && waited >= timeout_ns) {
            return error_set(err, TARS_TIMEOUT, "process %lld still runs after %llu ms",
                             (long long)process->id, (unsigned long long)(timeout_ns / 1000000));
        }
        wait_a_moment(process, timeout_ns - waited, round);
    }
}

void platform_process_terminate(const platform_process *process) {
    if (process->id > 0) {
        (void)kill((pid_t)process->id, SIGTERM);
    }
}

void platform_process_kill(platform_process *process) {
    if (process->id > 0) {
        platform_exit how;
        (void)kill((pid_t)process->id, SIGKILL);
        (void)platform_process_wait(process, PLATFORM_FOREVER, &how, NULL);
    }
}

void platform_exit_describe(const platform_exit *how, char *out, size_t size_bytes) {
    text_buffer text;
    text_init(&text, out, size_bytes);
    if (how->exited) {
        text_format(&text, "exited with status %d", how->code);
    } else {
        text_format(&text, "was killed by signal %d (%s)", how->signal,
                    platform_os_signal_text(how->signal));
    }
}

int64_t platform_process_id(void) {
    return (int64_t)getpid();
}
