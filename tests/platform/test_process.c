#include "platform/platform.h"
#include "scratch.h"

#include <dirent.h>
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>

/* This program is also the child that it starts: main() looks for "--child". */

/* ---- what the child does ----------------------------------------------------------------- */

static int child_report(void) {
    extern char **environ;
    for (int fd = 0; fd < 1024; fd++) {
        if (fcntl(fd, F_GETFD) >= 0) {
            char target[256], link[64];
            snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
            ssize_t n = readlink(link, target, sizeof target - 1);
            target[n > 0 ? n : 0] = '\0';
            bool is_null = strcmp(target, "/dev/null") == 0;
            printf("fd %d %s\n", fd, is_null ? "null" : "open");
        }
    }
    for (char **variable = environ; *variable; variable++) {
        if (strncmp(*variable, "ASAN_", 5) != 0 && strncmp(*variable, "UBSAN_", 6) != 0) {
            printf("env %s\n", *variable);
        }
    }
    struct sigaction action;
    sigaction(SIGPIPE, NULL, &action);
    sigset_t blocked;
    sigprocmask(SIG_BLOCK, NULL, &blocked);
    printf("sigpipe %s, sigterm %s\n", action.sa_handler == SIG_IGN ? "ignored" : "default",
           sigismember(&blocked, SIGTERM) ? "blocked" : "open");
    return 5;
}

static int child_copy(void) {
    char buffer[1000];
    size_t n;
    while (platform_handle_read(9, buffer, sizeof buffer, &n, NULL) == TARS_OK && n > 0) {
        if (platform_handle_write(10, buffer, n, NULL) != TARS_OK) {
            return 1;
        }
    }
    return 0;
}

static int child_sleep(void) {
    platform_sleep_ns(UINT64_C(30000000000));
    return 0;
}

/* Starts a grandchild that sleeps, says its id, and ends. */
static int child_with_grandchild(void) {
    const char *const arguments[] = {"test", "--child", "sleep", NULL};
    platform_process process;
    if (platform_spawn(&(platform_spawn_options){.arguments = arguments, .dies_with_us = true},
                       &process, NULL) != TARS_OK) {
        return 1;
    }
    printf("%lld\n", (long long)process.id);
    fflush(stdout);
    return 0;
}

static volatile uint64_t burnt;

static int burn(void) {
    for (;;) {
        burnt++;
    }
    return 0;
}

static int harden_fully(void) {
    platform_hardening_report report;
    tars_error err;
    platform_hardening wanted = {
        .n_files = 64, .cpu_seconds = 20, .file_size_bytes = 1 << 20, .filter_system_calls = true};
    if (platform_harden(&wanted, &report, &err) != TARS_OK || !report.limits ||
        !report.no_new_privileges || !report.not_dumpable) {
        return 60;
    }
    return report.system_calls_filtered ? 0 : 77;
}

static tars_status harden_only(platform_hardening wanted) {
    platform_hardening_report report;
    return platform_harden(&wanted, &report, NULL);
}

static int child_cpu(void) {
    return harden_only((platform_hardening){.cpu_seconds = 1}) == TARS_OK ? burn() : 1;
}

static int child_memory(void) {
    if (harden_only((platform_hardening){.address_space_bytes = 64 << 20}) != TARS_OK) {
        return 1;
    }
    void *memory = NULL;
    tars_error err;
    return platform_reserve(256 << 20, false, &memory, &err) == TARS_OUT_OF_MEMORY ? 0 : 2;
}

static int child_files(void) {
    if (harden_only((platform_hardening){.n_files = 8}) != TARS_OK) {
        return 1;
    }
    platform_file files[16];
    tars_error err = {.status = TARS_OK};
    int n = 0;
    while (n < 16 && platform_file_open("/proc/self/exe", &files[n], &err) == TARS_OK) {
        n++;
    }
    struct rlimit limit;
    getrlimit(RLIMIT_NOFILE, &limit);
    getrlimit(RLIMIT_CORE, &limit);
    return n < 8 && err.status == TARS_LIMIT && limit.rlim_cur == 0 ? 0 : 2;
}

/* What the import needs must still work behind the filter. */
static int child_filtered_work(void) {
    int result = harden_fully();
    if (result != 0) {
        return result;
    }
    platform_file file;
    platform_file_info info;
    tars_error err;
    char buffer[64], *all;
    size_t length;
    if (platform_file_adopt(9, "source", &file, &err) != TARS_OK ||
        platform_file_get_info(&file, &info, &err) != TARS_OK || info.size_bytes != 10 ||
        platform_file_read_at(&file, 2, buffer, 8, &err) != TARS_OK ||
        platform_handle_write(10, buffer, 8, &err) != TARS_OK) {
        return 61;
    }
    (void)lseek(9, 0, SEEK_SET);
    if (platform_handle_read_all(9, 100, &all, &length, &err) != TARS_OK || length != 10) {
        return 62;
    }
    free(all);
    for (size_t size = 16; size < 64 << 20; size *= 4) { /* brk, mmap, mremap, munmap */
        char *memory = malloc(size);
        char *grown = memory ? realloc(memory, 2 * size) : NULL;
        if (!grown) {
            return 63;
        }
        memset(grown, 1, 2 * size);
        free(grown);
    }
    void *reserved;
    if (platform_reserve(4 << 20, true, &reserved, &err) != TARS_OK ||
        platform_random(buffer, 16, &err) != TARS_OK || platform_clock_ns() == 0 ||
        platform_process_cpu_ns() == 0) {
        return 64;
    }
    platform_release(reserved, 4 << 20);
    platform_sleep_ns(1000000);
    printf("done\n"); /* stdio asks whether it is a terminal */
    fflush(stdout);
    return 0;
}

/* Each of these must fail with EPERM and leave the process running. */
static int child_filtered_refusals(void) {
    int result = harden_fully();
    if (result != 0) {
        return result;
    }
    platform_file file;
    tars_error err;
    if (platform_file_open("/etc/passwd", &file, &err) == TARS_OK) {
        return 61;
    }
    if (open("/etc/passwd", O_RDONLY) >= 0 || errno != EPERM) {
        return 62;
    }
    if (socket(AF_INET, SOCK_STREAM, 0) >= 0 || errno != EPERM) {
        return 63;
    }
    if (fork() >= 0 || errno != EPERM) {
        return 64;
    }
    char *const no_arguments[] = {NULL};
    if (execve("/bin/true", no_arguments, no_arguments) == 0 || errno != EPERM) {
        return 65;
    }
    if (mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) != MAP_FAILED ||
        errno != EPERM) {
        return 66;
    }
    void *page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (page == MAP_FAILED || mprotect(page, 4096, PROT_READ | PROT_EXEC) == 0 || errno != EPERM) {
        return 67;
    }
    if (kill(1, 0) == 0 || errno != EPERM || unlink("/nonexistent") == 0 || errno != EPERM) {
        return 68;
    }
    return 0;
}

static int child_forbidden_call(void) {
    int result = harden_fully();
    if (result == 0) {
        (void)syscall(SYS_mount, "none", "/", "none", 0, NULL);
        result = 61;
    }
    return result;
}

static int run_as_child(const char *what) {
    static const struct {
        const char *name;
        int (*run)(void);
    } rows[] = {{"report", child_report},
                {"copy", child_copy},
                {"sleep", child_sleep},
                {"grandchild", child_with_grandchild},
                {"burn", burn},
                {"cpu", child_cpu},
                {"memory", child_memory},
                {"files", child_files},
                {"filtered-work", child_filtered_work},
                {"filtered-refusals", child_filtered_refusals},
                {"forbidden-call", child_forbidden_call}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        if (strcmp(rows[i].name, what) == 0) {
            int status = rows[i].run();
            fflush(stdout);
            _exit(status); /* no leak check: it would need calls that the filter refuses */
        }
    }
    return 99;
}

/* ---- pipes ------------------------------------------------------------------------------- */

static void pipes_carry_bytes(void) {
    platform_handle in, out;
    tars_error err;
    CHECK_INT(platform_pipe(&in, &out, &err), TARS_OK);
    CHECK_INT(fcntl((int)in, F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
    CHECK_INT(fcntl((int)out, F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
    uint32_t ready = 7;
    uint64_t before = platform_clock_ns();
    CHECK_INT(platform_handle_wait(&in, 1, 30000000, &ready, &err), TARS_TIMEOUT);
    CHECK_INT(ready, 0);
    CHECK(platform_clock_ns() - before >= 30000000);
    CHECK_INT(platform_handle_write(out, "hello", 5, &err), TARS_OK);
    platform_handle other_in, other_out;
    CHECK_INT(platform_pipe(&other_in, &other_out, &err), TARS_OK);
    const platform_handle both[2] = {other_in, in};
    CHECK_INT(platform_handle_wait(both, 2, PLATFORM_FOREVER, &ready, &err), TARS_OK);
    CHECK_INT(ready, 2);
    char buffer[16];
    size_t length;
    CHECK_INT(platform_handle_read(in, buffer, sizeof buffer, &length, &err), TARS_OK);
    CHECK_INT(length, 5);
    CHECK_BYTES(buffer, "hello", 5);
    platform_handle_close(other_out); /* an end counts as readable */
    CHECK_INT(platform_handle_wait(both, 2, PLATFORM_FOREVER, &ready, &err), TARS_OK);
    CHECK_INT(ready, 1);
    CHECK_INT(platform_handle_read(other_in, buffer, sizeof buffer, &length, &err), TARS_OK);
    CHECK_INT(length, 0);
    platform_handle_close(other_in);
    /* non-blocking descriptors wait all the same */
    fcntl((int)in, F_SETFL, O_NONBLOCK);
    CHECK_INT(platform_handle_write(out, "ab", 2, &err), TARS_OK);
    platform_handle_close(out);
    char *all;
    CHECK_INT(platform_handle_read_all(in, 1, &all, &length, &err), TARS_LIMIT);
    CHECK(all == NULL);
    platform_handle_close(in);
    CHECK_INT(platform_handle_read(in, buffer, 1, &length, &err), TARS_IO);
    CHECK_INT(platform_handle_wait(both, 33, 0, &ready, &err), TARS_USAGE);
}

static void write_slowly(void *argument) {
    platform_handle out = *(platform_handle *)argument;
    for (int i = 0; i < 5; i++) {
        platform_sleep_ns(3000000);
        platform_handle_write(out, "0123456789", 10, NULL);
    }
    platform_handle_close(out);
}

static void reads_to_the_end(void) {
    platform_handle in, out;
    tars_error err;
    CHECK_INT(platform_pipe(&in, &out, &err), TARS_OK);
    platform_thread thread;
    CHECK_INT(platform_thread_create("writer", write_slowly, &out, &thread, &err), TARS_OK);
    char *all;
    size_t length;
    CHECK_INT(platform_handle_read_all(in, 50, &all, &length, &err), TARS_OK);
    CHECK_INT(length, 50);
    CHECK(all && strlen(all) == 50);
    free(all);
    platform_thread_join(&thread);
    platform_handle_close(in);
}

static void a_broken_pipe_is_an_error(void) {
    platform_ignore_broken_pipes();
    platform_handle in, out;
    tars_error err;
    CHECK_INT(platform_pipe(&in, &out, &err), TARS_OK);
    platform_handle_close(in);
    CHECK_INT(platform_handle_write(out, "x", 1, &err), TARS_IO);
    CHECK(strstr(err.message, "Broken pipe") != NULL);
    platform_handle_close(out);
}

/* ---- spawning ---------------------------------------------------------------------------- */

typedef struct child_run {
    platform_exit how;
    char *output; /* freed by the caller */
    size_t length;
} child_run;

/* The test at hand cannot be done because this program cannot start itself. */
static bool cannot_spawn(void) {
    if (scratch_is_emulated()) {
        check_skip("an emulated program cannot execute itself");
        return true;
    }
    return false;
}

/* Runs this program as a child with its output kept; `source` becomes descriptor 9. */
static child_run run_child(const char *what, platform_handle source) {
    const char *const arguments[] = {"test", "--child", what, NULL};
    /* sanitizers: no leak check, which cannot work in a hardened process */
    const char *const environment[] = {"A=1", "ASAN_OPTIONS=detect_leaks=0", NULL};
    platform_handle in, out;
    tars_error err = {.message = ""};
    child_run run = {.output = NULL};
    CHECK_INT(platform_pipe(&in, &out, &err), TARS_OK);
    const platform_spawn_handle handles[] = {{out, 1}, {out, 10}, {source, 9}};
    platform_spawn_options options = {.arguments = arguments,
                                      .environment = environment,
                                      .handles = handles,
                                      .n_handles = source == PLATFORM_NO_HANDLE ? 2 : 3,
                                      .dies_with_us = true};
    platform_process process;
    CHECK_INT(platform_spawn(&options, &process, &err), TARS_OK);
    CHECK_STRING(err.message, "");
    platform_handle_close(out);
    CHECK_INT(platform_handle_read_all(in, 1 << 20, &run.output, &run.length, &err), TARS_OK);
    platform_handle_close(in);
    CHECK_INT(platform_process_wait(&process, PLATFORM_FOREVER, &run.how, &err), TARS_OK);
    return run;
}

static void a_child_gets_what_is_given(void) {
    if (cannot_spawn()) {
        return;
    }
    scratch_make();
    scratch_write(scratch_path("source"), "0123456789", 10);
    int open_here = open("/dev/zero", O_RDONLY); /* not close-on-exec */
    int far = fcntl(open_here, F_DUPFD, 500);    /* neither is this */
    signal(SIGPIPE, SIG_IGN);
    sigset_t term;
    sigemptyset(&term);
    sigaddset(&term, SIGTERM);
    sigprocmask(SIG_BLOCK, &term, NULL);
    platform_file source;
    tars_error err;
    CHECK_INT(platform_file_open(scratch_path("source"), &source, &err), TARS_OK);
    child_run run = run_child("report", source.handle);
    sigprocmask(SIG_UNBLOCK, &term, NULL);
    CHECK_STRING(run.output, "fd 0 null\nfd 1 open\nfd 2 null\nfd 9 open\nfd 10 open\nenv A=1\n"
                             "sigpipe default, sigterm open\n");
    CHECK(run.how.exited && run.how.code == 5);
    CHECK(run.how.peak_resident_bytes > 100000);
    free(run.output);
    platform_file_close(&source);
    close(far);
    close(open_here);
    scratch_remove();
}

/* Descriptors that swap places with each other. */
static void handles_may_overlap(void) {
    if (cannot_spawn()) {
        return;
    }
    platform_handle in, out;
    tars_error err;
    CHECK_INT(platform_pipe(&in, &out, &err), TARS_OK);
    CHECK_INT(dup2((int)in, 10), 10);
    CHECK_INT(dup2((int)out, 9), 9);
    platform_handle_close(in);
    platform_handle_close(out);
    platform_handle back_in, back_out;
    CHECK_INT(platform_pipe(&back_in, &back_out, &err), TARS_OK);
    const char *const arguments[] = {"test", "--child", "copy", NULL};
    const platform_spawn_handle handles[] = {{10, 9}, {back_out, 10}};
    platform_process process;
    CHECK_INT(
        platform_spawn(
            &(platform_spawn_options){.arguments = arguments, .handles = handles, .n_handles = 2},
            &process, &err),
        TARS_OK);
    platform_handle_close(10);
    platform_handle_close(back_out);
    CHECK_INT(platform_handle_write(9, "through", 7, &err), TARS_OK);
    platform_handle_close(9);
    char *text;
    size_t length;
    CHECK_INT(platform_handle_read_all(back_in, 100, &text, &length, &err), TARS_OK);
    CHECK_STRING(text, "through");
    free(text);
    platform_handle_close(back_in);
    platform_exit how;
    CHECK_INT(platform_process_wait(&process, PLATFORM_FOREVER, &how, &err), TARS_OK);
    CHECK(how.exited && how.code == 0);
}

static void spawn_refusals(void) {
    if (cannot_spawn()) {
        return;
    }
    platform_process process;
    tars_error err;
    const char *const arguments[] = {"x", NULL};
    platform_spawn_options options = {.path = "/nonexistent/program", .arguments = arguments};
    CHECK_INT(platform_spawn(&options, &process, &err), TARS_NOT_FOUND);
    CHECK_STRING(err.message, "cannot run the program: No such file or directory");
    CHECK_STRING(err.where, "/nonexistent/program");
    options.path = "/etc/passwd";
    CHECK_INT(platform_spawn(&options, &process, &err), TARS_UNAVAILABLE);
    CHECK_INT(waitpid(-1, NULL, WNOHANG), -1); /* no zombie stays */
    const platform_spawn_handle bad[] = {{1, 64}};
    options = (platform_spawn_options){.arguments = arguments, .handles = bad, .n_handles = 1};
    CHECK_INT(platform_spawn(&options, &process, &err), TARS_USAGE);
    const char *const none[] = {NULL};
    CHECK_INT(platform_spawn(&(platform_spawn_options){.arguments = none}, &process, &err),
              TARS_USAGE);
    const platform_spawn_handle closed[] = {{1000, 5}};
    options = (platform_spawn_options){.arguments = arguments, .handles = closed, .n_handles = 1};
    CHECK_INT(platform_spawn(&options, &process, &err), TARS_IO);
}

static platform_process start_child(const char *what) {
    const char *const arguments[] = {"test", "--child", what, NULL};
    platform_process process;
    tars_error err;
    CHECK_INT(platform_spawn(&(platform_spawn_options){.arguments = arguments}, &process, &err),
              TARS_OK);
    return process;
}

static void children_are_waited_for_and_killed(void) {
    if (cannot_spawn()) {
        return;
    }
    platform_exit how;
    tars_error err;
    char text[80];
    platform_process process = start_child("sleep");
    uint64_t before = platform_clock_ns();
    CHECK_INT(platform_process_wait(&process, 50000000, &how, &err), TARS_TIMEOUT);
    CHECK(platform_clock_ns() - before >= 50000000);
    platform_process_terminate(&process);
    CHECK_INT(platform_process_wait(&process, PLATFORM_FOREVER, &how, &err), TARS_OK);
    CHECK(!how.exited && how.signal == SIGTERM);
    platform_exit_describe(&how, text, sizeof text);
    CHECK_STRING(text, "was killed by signal 15 (Terminated)");
    platform_process_terminate(&process); /* nobody: nothing happens */
    platform_process_kill(&process);

    process = start_child("burn");
    pid_t id = (pid_t)process.id;
    platform_sleep_ns(30000000);
    platform_process_kill(&process);
    CHECK(id > 0 && kill(id, 0) == -1);

    process = start_child("burn");
    platform_sleep_ns(60000000);
    if (process.id <= 0) {
        return; /* start_child recorded the failure; kill(-1) would end everybody */
    }
    kill((pid_t)process.id, SIGKILL);
    CHECK_INT(platform_process_wait(&process, PLATFORM_FOREVER, &how, &err), TARS_OK);
    CHECK(how.cpu_ns > 10000000 && how.signal == SIGKILL);
    how = (platform_exit){.exited = true, .code = 3};
    platform_exit_describe(&how, text, sizeof text);
    CHECK_STRING(text, "exited with status 3");
    CHECK_INT(platform_process_id(), getpid());
}

static void a_grandchild_dies_with_its_parent(void) {
    if (cannot_spawn()) {
        return;
    }
    prctl(PR_SET_CHILD_SUBREAPER, 1);
    child_run run = run_child("grandchild", PLATFORM_NO_HANDLE);
    CHECK(run.how.exited && run.how.code == 0);
    pid_t id = (pid_t)atoi(run.output ? run.output : "0");
    free(run.output);
    CHECK(id > 0);
    int how = 0;
    CHECK_INT(waitpid(id, &how, 0), id);
    CHECK(WIFSIGNALED(how) && WTERMSIG(how) == SIGKILL);
    prctl(PR_SET_CHILD_SUBREAPER, 0);
}

/* ---- hardening --------------------------------------------------------------------------- */

static void limits_hold(void) {
    if (cannot_spawn()) {
        return;
    }
    child_run run = run_child("cpu", PLATFORM_NO_HANDLE);
    CHECK(!run.how.exited && (run.how.signal == SIGXCPU || run.how.signal == SIGKILL));
    free(run.output);
    run = run_child("files", PLATFORM_NO_HANDLE);
    CHECK(run.how.exited && run.how.code == 0);
    free(run.output);
    run = run_child("memory", PLATFORM_NO_HANDLE);
    CHECK(run.how.exited && run.how.code == 0);
    free(run.output);
}

static void the_filter_leaves_reading_and_writing(void) {
    if (cannot_spawn()) {
        return;
    }
    scratch_make();
    scratch_write(scratch_path("source"), "0123456789", 10);
    platform_file source;
    tars_error err;
    CHECK_INT(platform_file_open(scratch_path("source"), &source, &err), TARS_OK);
    child_run run = run_child("filtered-work", source.handle);
    if (run.how.exited && run.how.code == 77) {
        check_skip("no system-call filters here");
    } else {
        char text[80];
        platform_exit_describe(&run.how, text, sizeof text);
        CHECK_STRING(text, "exited with status 0");
        CHECK_STRING(run.output, "23456789done\n");
    }
    free(run.output);
    platform_file_close(&source);
    scratch_remove();
}

static void the_filter_refuses_the_rest(void) {
    if (cannot_spawn()) {
        return;
    }
    child_run run = run_child("filtered-refusals", PLATFORM_NO_HANDLE);
    bool available = !(run.how.exited && run.how.code == 77);
    char text[80];
    free(run.output);
    if (!available) {
        check_skip("no system-call filters here");
        return;
    }
    platform_exit_describe(&run.how, text, sizeof text);
    CHECK_STRING(text, "exited with status 0");
    run = run_child("forbidden-call", PLATFORM_NO_HANDLE);
    platform_exit_describe(&run.how, text, sizeof text);
    CHECK_STRING(text, "was killed by signal 31 (Bad system call)");
    free(run.output);
}

/* ---- terminal and signals ---------------------------------------------------------------- */

static void terminals_are_told(void) {
    CHECK(!platform_is_terminal(PLATFORM_NO_HANDLE));
    int null = open("/dev/null", O_RDWR);
    CHECK(!platform_is_terminal(null));
    CHECK_INT(platform_terminal_width(null), 0);
    close(null);
    int terminal = posix_openpt(O_RDWR | O_NOCTTY);
    if (terminal < 0) {
        check_skip("no pseudo terminal to be had");
        return;
    }
    CHECK(platform_is_terminal(terminal));
    CHECK_INT(platform_terminal_width(terminal), 0);
    close(terminal);
}

static atomic_uint notified;
static void note(void *user) {
    atomic_fetch_add(&notified, *(unsigned *)user);
}

static void interrupt_from_thread(void *argument) {
    platform_sleep_ns(50000000);
    pthread_kill(*(pthread_t *)argument, SIGINT);
}

static void interrupts_set_a_flag(void) {
    tars_error err;
    unsigned step = 10;
    struct sigaction before, after;
    sigaction(SIGINT, NULL, &before);
    CHECK_INT(platform_interrupt_install(note, &step, &err), TARS_OK);
    CHECK_INT(platform_interrupted(), 0);
    raise(SIGINT);
    CHECK_INT(platform_interrupted(), 1);
    raise(SIGTERM);
    CHECK_INT(platform_interrupted(), 2);
    CHECK_INT(atomic_load(&notified), 20);
    platform_interrupt_clear();
    CHECK_INT(platform_interrupted(), 0);
    /* a read that waits ends at once */
    platform_handle in, out;
    CHECK_INT(platform_pipe(&in, &out, &err), TARS_OK);
    pthread_t self = pthread_self();
    platform_thread thread;
    char byte;
    size_t length;
    uint32_t ready;
    CHECK_INT(platform_thread_create("kill", interrupt_from_thread, &self, &thread, &err), TARS_OK);
    CHECK_INT(platform_handle_read(in, &byte, 1, &length, &err), TARS_CANCELLED);
    platform_thread_join(&thread);
    platform_interrupt_clear();
    CHECK_INT(platform_thread_create("kill", interrupt_from_thread, &self, &thread, &err), TARS_OK);
    CHECK_INT(platform_handle_wait(&in, 1, PLATFORM_FOREVER, &ready, &err), TARS_CANCELLED);
    platform_thread_join(&thread);
    platform_handle_close(in);
    platform_handle_close(out);
    platform_interrupt_remove();
    platform_interrupt_clear();
    sigaction(SIGINT, NULL, &after);
    CHECK(before.sa_handler == after.sa_handler);
}

static void the_third_interrupt_ends(void) {
    fflush(stdout);
    pid_t id = fork();
    if (id == 0) {
        platform_interrupt_install(NULL, NULL, NULL);
        raise(SIGINT);
        raise(SIGINT);
        raise(SIGINT);
        raise(SIGINT);
        _exit(0);
    }
    int how;
    waitpid(id, &how, 0);
    CHECK(WIFSIGNALED(how) && WTERMSIG(how) == SIGINT);
}

static const check_test tests[] = {
    {"pipes carry bytes", pipes_carry_bytes},
    {"reads to the end", reads_to_the_end},
    {"a broken pipe is an error", a_broken_pipe_is_an_error},
    {"a child gets what is given and no more", a_child_gets_what_is_given},
    {"handles may overlap", handles_may_overlap},
    {"spawn refusals", spawn_refusals},
    {"children are waited for and killed", children_are_waited_for_and_killed},
    {"a grandchild dies with its parent", a_grandchild_dies_with_its_parent},
    {"limits hold", limits_hold},
    {"the filter leaves reading and writing", the_filter_leaves_reading_and_writing},
    {"the filter refuses the rest", the_filter_refuses_the_rest},
    {"terminals are told", terminals_are_told},
    {"interrupts set a flag", interrupts_set_a_flag},
    {"the third interrupt ends", the_third_interrupt_ends},
};

int main(int argc, char **argv) {
    if (argc == 3 && strcmp(argv[1], "--child") == 0) {
        return run_as_child(argv[2]);
    }
    return check_main(argc, argv, tests, sizeof tests / sizeof tests[0]);
}
