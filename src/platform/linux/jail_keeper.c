#include "base/text.h"
#include "platform/linux/jail.h"
#include "platform/posix/process_os.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { ROUND_MS = 20 };

static void place_channels(jail_plan *plan) {
    for (int i = 0; i < 3; i++) {
        if (dup2(plan->channels[i], i) < 0) {
            jail_give_up(plan->shared, "placing the standard channels", errno);
        }
    }
    platform_os_close_on_exec_from(3);
}

static bool write_file(const char *path, const char *text) {
    int file = open(path, O_WRONLY | O_CLOEXEC);
    if (file < 0) {
        return false;
    }
    bool done = write(file, text, strlen(text)) == (ssize_t)strlen(text);
    int number = errno;
    (void)close(file);
    errno = number;
    return done;
}

/* Nobody inside is the caller outside, and nobody else is anybody. */
static void map_user(jail_plan *plan) {
    char map[64];
    text_buffer text;
    text_init(&text, map, sizeof map);
    text_format(&text, "%d %u 1\n", (int)JAIL_USER, (unsigned)plan->user);
    bool done = write_file("/proc/self/uid_map", map) && write_file("/proc/self/setgroups", "deny");
    text_init(&text, map, sizeof map);
    text_format(&text, "%d %u 1\n", (int)JAIL_USER, (unsigned)plan->group_id);
    if (!done || !write_file("/proc/self/gid_map", map)) {
        jail_miss(plan->shared, "mapping of users", errno);
    }
}

static void enter_namespaces(jail_plan *plan) {
    static const struct {
        int flag;
        const char *name;
    } rows[] = {{CLONE_NEWNET, "network namespace"},
                {CLONE_NEWIPC, "IPC namespace"},
                {CLONE_NEWUTS, "UTS namespace"},
                {CLONE_NEWNS, "mount namespace"}};
    bool mounts = false;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        if (unshare(rows[i].flag) != 0) {
            jail_miss(plan->shared, rows[i].name, errno);
        } else {
            mounts = rows[i].flag == CLONE_NEWNS;
        }
    }
    if (mounts) {
        jail_root_enter(plan);
    }
    const platform_jail_options *o = plan->options;
    for (size_t i = 0; !plan->shared->private_root && i < o->n_grants; i++) {
        if (strcmp(o->grants[i].host, o->grants[i].guest) != 0) {
            jail_give_up(plan->shared, "granting a folder under another name", EPERM);
        }
    }
}

/* Everything but the keeper. In a namespace of processes "all" are those of the jail. */
static void kill_all(const jail_plan *plan, pid_t guest) {
    if (plan->shared->pid_namespace && getpid() == 1) {
        (void)kill(-1, SIGKILL);
    } else if (guest > 1) {
        (void)kill(-guest, SIGKILL);
        (void)kill(guest, SIGKILL);
    }
}

/* Collects what ended; false when nothing is left. Ends the rest with the guest. */
static bool collect(const jail_plan *plan, pid_t guest) {
    for (;;) {
        int how;
        pid_t id = waitpid(-1, &how, WNOHANG);
        if (id == 0) {
            return true;
        }
        if (id < 0) {
            return errno == EINTR;
        }
        if (id == guest) {
            plan->shared->wait_status = how;
            plan->shared->guest_ended = true;
            kill_all(plan, guest);
        }
    }
}

/* The listener's number once the guest has told it; -1: none will come. */
static int wait_for_listener(const jail_plan *plan, pid_t guest) {
    jail_shared *shared = plan->shared;
    for (;;) {
        unsigned value = atomic_load(&shared->listener);
        if (value != JAIL_LISTENER_WAITED_FOR) {
            return value >= JAIL_LISTENER_FIRST ? (int)(value - JAIL_LISTENER_FIRST) : -1;
        }
        if (!collect(plan, guest)) {
            return -1;
        }
        struct timespec round = {.tv_nsec = ROUND_MS * 1000000L};
        (void)syscall(SYS_futex, (void *)&shared->listener, FUTEX_WAIT, value, &round, NULL, 0);
    }
}

static void serve(const jail_plan *plan, pid_t guest, uint64_t start_ns) {
    jail_shared *shared = plan->shared;
    int listener = wait_for_listener(plan, guest);
    struct pollfd waits[3] = {
        {.fd = listener, .events = POLLIN},
        {.fd = plan->control, .events = POLLIN},
        {.fd = (int)platform_os_process_handle(guest), .events = POLLIN},
    };
    bool killed = false;
    while (collect(plan, guest)) {
        (void)poll(waits, 3, ROUND_MS);
        if ((waits[0].revents & POLLIN) != 0) {
            jail_filter_serve(listener, shared);
        } else if (waits[0].revents != 0) {
            waits[0].fd = -1;
        }
        bool late = platform_clock_ns() - start_ns >= plan->options->timeout_ns;
        if (!killed && (late || waits[1].revents != 0)) {
            killed = true;
            shared->timed_out = late && waits[1].revents == 0;
            waits[1].fd = -1;
            kill_all(plan, guest);
        }
        if (shared->guest_ended) {
            waits[2].fd = -1;
        }
    }
    struct rusage usage;
    if (getrusage(RUSAGE_CHILDREN, &usage) == 0) {
        shared->cpu_ns = ((uint64_t)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * 1000000u +
                          (uint64_t)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec)) *
                         1000u;
        shared->peak_resident_bytes = (uint64_t)usage.ru_maxrss * PLATFORM_OS_MAXRSS_UNIT_BYTES;
    }
    shared->wall_ns = platform_clock_ns() - start_ns;
}

void jail_keeper_run(jail_plan *plan) {
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
    (void)prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0);
    (void)setsid(); /* Ctrl-C is for the caller, whose end is the keeper's */
    process_reset_signals();
    place_channels(plan);
    if (plan->user_namespace) {
        map_user(plan);
    }
    enter_namespaces(plan);
    plan->rules = jail_rules_make(plan);
    bool opens_files = plan->options->file_calls || plan->options->calls;
    if (opens_files && plan->rules < 0 && !plan->shared->private_root) {
        /* every file that its user may read would lie open: that is no sandbox */
        jail_give_up(plan->shared,
                     "keeping files apart (neither Landlock nor a mount namespace is to be had; "
                     "a static program in the strictest profile needs neither)",
                     EPERM);
    }
    uint64_t start_ns = platform_clock_ns();
    /* With one table of descriptors the keeper gets the filter's listener by its number; starting
     * the program gives that a table of its own. */
    long guest = syscall(SYS_clone, CLONE_FILES | SIGCHLD, NULL, NULL, NULL, NULL);
    if (guest == 0) {
        jail_guest_run(plan);
    }
    if (guest < 0) {
        jail_give_up(plan->shared, "making a process", errno);
    }
    serve(plan, (pid_t)guest, start_ns);
    _exit(0);
}
