/* A process that has given up its rights goes on running the machine that it made before, and can
 * do nothing else with it. */
#include "support/check.h"

#if defined(__linux__) && defined(__x86_64__)

#include "forked_fixture.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/kvm.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { MOST_HANDLES = 64, MOST_THREADS = 8 };

static void give_up_rights(bool run_machines) {
    platform_hardening wanted = {
        .n_files = MOST_HANDLES, .filter_system_calls = true, .run_machines = run_machines};
    platform_hardening_report report;
    tars_error err;
    REQUIRE(platform_harden(&wanted, &report, &err) == TARS_OK);
    if (!report.system_calls_filtered) {
        _exit(NO_FILTERS);
    }
}

/* Threads of this process, each as a file that tells its state. */
static size_t open_threads(int out[MOST_THREADS]) {
    DIR *folder = opendir("/proc/self/task");
    REQUIRE(folder);
    size_t n = 0;
    const struct dirent *entry;
    while ((entry = readdir(folder)) && n < MOST_THREADS) {
        char path[300];
        snprintf(path, sizeof path, "/proc/self/task/%s/status", entry->d_name);
        int handle = entry->d_name[0] != '.' ? open(path, O_RDONLY | O_CLOEXEC) : -1;
        if (handle >= 0) {
            out[n++] = handle;
        }
    }
    closedir(folder);
    return n;
}

static bool is_filtered(int thread) {
    char text[4096];
    ssize_t length = pread(thread, text, sizeof text - 1, 0);
    REQUIRE(length > 0);
    text[length] = '\0';
    return strstr(text, "\nSeccomp:\t2\n") != NULL;
}

static void machines_are_out_of_reach(void) {
    static const unsigned long requests[] = {KVM_GET_API_VERSION,
                                             KVM_CREATE_VM,
                                             KVM_CHECK_EXTENSION,
                                             KVM_CREATE_VCPU,
                                             KVM_SET_USER_MEMORY_REGION,
                                             KVM_CREATE_IRQCHIP,
                                             KVM_GET_REGS,
                                             KVM_SET_REGS,
                                             KVM_SET_SREGS,
                                             KVM_SET_MSRS,
                                             KVM_SET_CPUID2,
                                             KVM_SET_SIGNAL_MASK,
                                             KVM_GET_TSC_KHZ,
                                             KVM_KVMCLOCK_CTRL,
                                             KVM_NMI};
    for (int handle = 0; handle < MOST_HANDLES; handle++) {
        for (size_t i = 0; i < sizeof requests / sizeof requests[0]; i++) {
            REQUIRE(ioctl(handle, requests[i], 0) == -1 && errno == ENOTTY);
        }
        REQUIRE(ioctl(handle, KVM_RUN, 1) == -1 && errno == ENOTTY);
    }
    REQUIRE(open("/dev/kvm", O_RDWR) == -1 && errno == EPERM);
}

static void signals_stay_inside(void) {
    pid_t own = getpid();
    pid_t thread = (pid_t)syscall(SYS_gettid);
    REQUIRE(syscall(SYS_tgkill, own, thread, SIGUSR1) == -1 && errno == EPERM);
    REQUIRE(syscall(SYS_tgkill, own, thread, 0) == -1 && errno == EPERM);
    REQUIRE(syscall(SYS_tgkill, 1, 1, SIGRTMIN + 5) == -1 && errno == EPERM);
    REQUIRE(syscall(SYS_tgkill, own + 1, thread, SIGRTMIN + 5) == -1 && errno == EPERM);
    REQUIRE(kill(own, SIGUSR1) == -1 && errno == EPERM);
}

typedef struct kicker {
    bench *b;
    atomic_uint may; /* gate */
} kicker;

static void kick_later(void *argument) {
    kicker *k = argument;
    while (atomic_load(&k->may) == 0) {
        (void)platform_gate_wait(&k->may, 0, PLATFORM_FOREVER);
    }
    platform_sleep_ns(20000000);
    k->b->vmm->kick(k->b->processor);
}

/* A call first, then a loop without end. */
static const uint8_t call_and_loop[] = {0x0F, 0x05, 0xEB, 0xFE};

static void run_behind_the_filter(void) {
    bench b;
    platform_thread thread;
    tars_error err;
    vmm_exit e;
    int threads[MOST_THREADS];
    REQUIRE(begin(&b, call_and_loop, sizeof call_and_loop));
    kicker k = {.b = &b, .may = 0};
    REQUIRE(platform_thread_create("kick", kick_later, &k, &thread, &err) == TARS_OK);
    size_t n_threads = open_threads(threads);
    REQUIRE(n_threads == 2 && !is_filtered(threads[0]) && !is_filtered(threads[1]));
    give_up_rights(true);
    REQUIRE(is_filtered(threads[0]) && is_filtered(threads[1]));
    machines_are_out_of_reach();
    signals_stay_inside();
    REQUIRE(b.vmm->run(b.processor, 30 * SECOND_NS, &e, &err) == TARS_OK);
    REQUIRE(e.kind == VMM_EXIT_PORT && e.port == PORT_CALL);
    vmm_registers *r = b.vmm->registers(b.processor);
    r->rip = e.in_supervisor ? r->rip : r->general[VMM_RCX];
    /* the clock of a run, and a kick of another thread */
    REQUIRE(b.vmm->run(b.processor, SECOND_NS / 100, &e, &err) == TARS_OK);
    REQUIRE(e.kind == VMM_EXIT_KICKED);
    atomic_store(&k.may, 1);
    platform_gate_wake_all(&k.may);
    uint64_t begin_ns = platform_clock_ns();
    REQUIRE(b.vmm->run(b.processor, 30 * SECOND_NS, &e, &err) == TARS_OK);
    REQUIRE(e.kind == VMM_EXIT_KICKED && platform_clock_ns() - begin_ns < 10 * SECOND_NS);
}

static void run_without_leave(void) {
    bench b;
    tars_error err;
    vmm_exit e;
    REQUIRE(begin(&b, call_and_loop, sizeof call_and_loop));
    give_up_rights(false);
    (void)b.vmm->run(b.processor, SECOND_NS, &e, &err); /* sets a clock: ends the process */
}

static void machines_run_on(void) {
    int status = 0;
    if (find_end(run_behind_the_filter, &status)) {
        CHECK_INT(WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status), 0);
    }
}

static void other_filters_stop_them(void) {
    int status = 0;
    if (find_end(run_without_leave, &status)) {
        CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGSYS);
    }
}

static const check_test table[] = {
    {"machines run on", machines_run_on},
    {"other filters stop them", other_filters_stop_them},
};

#else

static void no_machines(void) {
    check_skip("no virtual machines on this system");
}

static const check_test table[] = {{"machines run on", no_machines}};

#endif

CHECK_MAIN(table)
