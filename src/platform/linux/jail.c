#include "platform/linux/jail.h"

#include "base/text.h"
#include "platform/internal.h"
#include "platform/linux/procfs.h"
#include "platform/posix/process_os.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

enum { CHUNK_BYTES = 65536, GRACE_MS = 3000, NOTHING = -1 };

typedef struct jail_run {
    jail_plan plan;
    platform_jail_result *result;
    pid_t keeper;
    int ours[3], theirs[3]; /* of the guest's channels 0, 1, 2 */
    int control_ours, control_theirs;
    char chunk[CHUNK_BYTES]; /* of input, on its way */
    size_t chunk_start, chunk_end;
    bool input_ended, output_cut;
} jail_run;

static void close_one(int *fd) {
    if (*fd >= 0) {
        (void)close(*fd);
    }
    *fd = NOTHING;
}

/* Above the standard numbers, where the keeper puts the guest's channels. */
static bool make_pipe(int *read_end, int *write_end) {
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) != 0) {
        return false;
    }
    *read_end = fcntl(ends[0], F_DUPFD_CLOEXEC, 3);
    *write_end = fcntl(ends[1], F_DUPFD_CLOEXEC, 3);
    (void)close(ends[0]);
    (void)close(ends[1]);
    return *read_end >= 0 && *write_end >= 0;
}

static tars_status open_program(jail_run *run, tars_error *err) {
    const char *path = run->plan.options->program;
    struct stat info;
    if (!path) {
        return TARS_OK;
    }
    int file = open(path, O_PATH | O_CLOEXEC);
    if (file >= 0) {
        run->plan.program = fcntl(file, F_DUPFD_CLOEXEC, 3);
        (void)close(file);
    }
    if (run->plan.program < 0 || fstat(run->plan.program, &info) != 0) {
        return platform_fail(err, errno, path, "cannot open the program");
    }
    if (!S_ISREG(info.st_mode)) {
        error_set(err, TARS_USAGE, "the program is no regular file");
        platform_where(err, path);
        return TARS_USAGE;
    }
    return TARS_OK;
}

static tars_status check_grants(const platform_jail_options *options, tars_error *err) {
    for (size_t i = 0; i < options->n_grants; i++) {
        const platform_jail_grant *grant = &options->grants[i];
        if (access(grant->host, F_OK) != 0 && !grant->optional) {
            return platform_fail(err, errno, grant->host, "cannot grant the folder");
        }
    }
    return TARS_OK;
}

/* The answer of a container's filter comes before ours, and nobody tells us of it. */
static void look_for_filter(jail_shared *shared) {
    char text[4096];
    uint64_t mode = 0;
    if (procfs_read("/proc/self/status", text, sizeof text) &&
        procfs_find(text, "Seccomp:", 1, &mode) && mode != 0) {
        jail_miss(shared, "names of refused system calls that an outer filter refuses", EEXIST);
    }
}

static tars_status prepare(jail_run *run, tars_error *err) {
    tars_status status = check_grants(run->plan.options, err);
    if (status == TARS_OK) {
        status = open_program(run, err);
    }
    if (status != TARS_OK) {
        return status;
    }
    void *memory =
        mmap(NULL, sizeof(jail_shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED || !memory) {
        (void)platform_fail(err, errno, NULL, "cannot share memory with the sandbox");
        return TARS_OUT_OF_MEMORY;
    }
    run->plan.shared = memory;
    if (!make_pipe(&run->theirs[0], &run->ours[0]) || !make_pipe(&run->ours[1], &run->theirs[1]) ||
        !make_pipe(&run->ours[2], &run->theirs[2]) ||
        !make_pipe(&run->control_theirs, &run->control_ours)) {
        return platform_fail(err, errno, NULL, "cannot make a pipe");
    }
    (void)fcntl(run->ours[0], F_SETFL, O_NONBLOCK);
    for (int i = 0; i < 3; i++) {
        run->plan.channels[i] = run->theirs[i];
    }
    run->plan.control = run->control_theirs;
    run->plan.was_root = geteuid() == 0;
    run->plan.user = (uint32_t)geteuid();
    run->plan.group_id = (uint32_t)getegid();
    jail_group_make(&run->plan.group, run->plan.options, run->plan.shared);
    look_for_filter(run->plan.shared);
    return TARS_OK;
}

/* The ends that only the caller may hold, or nobody would see them close. */
static void leave_to_caller(jail_run *run) {
    for (int i = 0; i < 3; i++) {
        (void)close(run->ours[i]);
    }
    (void)close(run->control_ours);
}

/* In namespaces of its own as far as that goes; a user's first one is the user namespace. */
static tars_status start_keeper(jail_run *run, tars_error *err) {
    const unsigned long tries[] = {
        CLONE_NEWPID | (run->plan.was_root ? 0 : (unsigned long)CLONE_NEWUSER), 0};
    sigset_t all, before;
    (void)sigfillset(&all);
    (void)sigprocmask(SIG_SETMASK, &all, &before); /* no handler of ours may run in the child */
    long id = -1;
    int number = 0;
    for (size_t i = 0; i < 2 && id < 0; i++) {
        run->plan.shared->pid_namespace = tries[i] != 0;
        run->plan.user_namespace = (tries[i] & CLONE_NEWUSER) != 0;
        id = syscall(SYS_clone, tries[i] | SIGCHLD, NULL, NULL, NULL, NULL);
        if (id == 0) {
            leave_to_caller(run);
            jail_keeper_run(&run->plan);
        }
        number = errno;
        if (id < 0 && tries[i] != 0) {
            jail_miss(run->plan.shared,
                      run->plan.was_root ? "process namespace" : "user and process namespace",
                      number);
        }
    }
    (void)sigprocmask(SIG_SETMASK, &before, NULL);
    if (id < 0) {
        return platform_fail(err, number, NULL, "cannot make a process");
    }
    run->keeper = (pid_t)id;
    close_one(&run->theirs[1]);
    close_one(&run->theirs[2]);
    close_one(&run->control_theirs);
    return TARS_OK;
}

static void feed_input(jail_run *run, const struct pollfd *from, const struct pollfd *to) {
    if (from->revents != 0 && run->chunk_start == run->chunk_end) {
        ssize_t n = read(from->fd, run->chunk, sizeof run->chunk);
        run->input_ended = n == 0 || (n < 0 && errno != EINTR && errno != EAGAIN);
        run->chunk_start = 0;
        run->chunk_end = n > 0 ? (size_t)n : 0;
    }
    if (to->revents != 0 && run->chunk_start < run->chunk_end) {
        ssize_t n =
            write(run->ours[0], run->chunk + run->chunk_start, run->chunk_end - run->chunk_start);
        run->chunk_start += n > 0 ? (size_t)n : 0;
        run->result->bytes_in += n > 0 ? (uint64_t)n : 0;
    }
    if (run->input_ended && run->chunk_start == run->chunk_end) {
        close_one(&run->ours[0]);
    }
}

static tars_status keep(jail_run *run, platform_jail_bytes *to, const char *bytes, size_t length,
                        tars_error *err) {
    const platform_jail_result *r = run->result;
    uint64_t room = run->plan.options->output_bytes - r->output.length - r->errors.length;
    if (length > room) {
        length = (size_t)room;
        run->output_cut = true;
        close_one(&run->control_ours); /* the keeper ends the program */
    }
    char *grown = realloc(to->data, to->length + length + 1);
    if (!grown) {
        return error_set(err, TARS_OUT_OF_MEMORY, "no memory for the program's output");
    }
    memcpy(grown + to->length, bytes, length);
    to->data = grown;
    to->length += length;
    grown[to->length] = '\0';
    return TARS_OK;
}

static tars_status take_output(jail_run *run, int channel, tars_error *err) {
    char bytes[CHUNK_BYTES];
    ssize_t n = read(run->ours[channel], bytes, sizeof bytes);
    if (n < 0 && (errno == EINTR || errno == EAGAIN)) {
        return TARS_OK;
    }
    if (n <= 0) {
        close_one(&run->ours[channel]);
        return TARS_OK;
    }
    platform_jail_bytes *to =
        channel == PLATFORM_STDOUT ? &run->result->output : &run->result->errors;
    return run->output_cut ? TARS_OK : keep(run, to, bytes, (size_t)n, err);
}

/* Moves bytes until both output channels end, which is when the keeper and all others ended. */
static tars_status pump(jail_run *run, tars_error *err) {
    const platform_jail_options *o = run->plan.options;
    uint64_t start = platform_clock_ns();
    uint64_t last_ns = o->timeout_ns + GRACE_MS * UINT64_C(1000000);
    if (o->input == PLATFORM_NO_HANDLE) {
        run->input_ended = true;
        close_one(&run->ours[0]);
    }
    while (run->ours[1] != NOTHING || run->ours[2] != NOTHING) {
        bool full = run->chunk_start < run->chunk_end;
        struct pollfd waits[] = {
            {.fd = run->ours[1], .events = POLLIN},
            {.fd = run->ours[2], .events = POLLIN},
            {.fd = full ? run->ours[0] : NOTHING, .events = POLLOUT},
            {.fd = full || run->input_ended ? NOTHING : (int)o->input, .events = POLLIN},
        };
        (void)poll(waits, 4, o->goes_on ? 20 : 100);
        if (platform_interrupted() > 0) {
            return error_set(err, TARS_CANCELLED, "interrupted while the program ran");
        }
        if (o->goes_on && !o->goes_on(o->user)) {
            return error_set(err, TARS_CANCELLED, "the program was ended: cancelled");
        }
        tars_status status = TARS_OK;
        for (int i = 1; i <= 2 && status == TARS_OK; i++) {
            status = waits[i - 1].revents != 0 ? take_output(run, i, err) : TARS_OK;
        }
        if (status != TARS_OK) {
            return status;
        }
        if (run->ours[0] != NOTHING) {
            feed_input(run, &waits[3], &waits[2]);
        }
        if (platform_clock_ns() - start > last_ns) {
            (void)kill(run->keeper, SIGKILL);
        }
    }
    int unread = 0;
    if (ioctl(run->theirs[0], FIONREAD, &unread) == 0 && unread > 0) {
        run->result->bytes_in -= (uint64_t)unread; /* handed over, but never taken */
    }
    return TARS_OK;
}

static void name_end(jail_run *run, bool memory_hit) {
    static const struct {
        int signal;
        platform_jail_end end;
    } limits[] = {{SIGXCPU, PLATFORM_JAIL_TIME}, {SIGXFSZ, PLATFORM_JAIL_FILE_SIZE}};
    const jail_shared *shared = run->plan.shared;
    platform_jail_result *r = run->result;
    int how = shared->wait_status;
    r->end = WIFEXITED(how) ? PLATFORM_JAIL_EXITED : PLATFORM_JAIL_SIGNALLED;
    r->code = WIFEXITED(how) ? WEXITSTATUS(how) : 0;
    r->signal = WIFSIGNALED(how) ? WTERMSIG(how) : 0;
    r->signal_text = r->signal != 0 ? platform_os_signal_text(r->signal) : "";
    for (size_t i = 0; i < sizeof limits / sizeof limits[0]; i++) {
        r->end = r->signal == limits[i].signal ? limits[i].end : r->end;
    }
    /* Without a group the system only refuses more memory: a program that failed with its memory
     * nearly full is taken to have failed of that. */
    bool failed = r->signal != 0 || r->code != 0;
    uint64_t nearly = run->plan.options->memory_bytes / 4 * 3;
    bool starved = !run->plan.group.memory_limited && failed && r->memory_peak_bytes >= nearly;
    if (memory_hit || starved) {
        r->end = PLATFORM_JAIL_MEMORY;
    }
    r->end = shared->timed_out ? PLATFORM_JAIL_TIME : r->end;
    r->end = run->output_cut ? PLATFORM_JAIL_OUTPUT : r->end;
}

static void copy_facts(jail_run *run) {
    const jail_shared *shared = run->plan.shared;
    platform_jail_result *r = run->result;
    r->wall_ns = shared->wall_ns;
    r->cpu_ns = shared->cpu_ns;
    r->n_missing = shared->n_missing;
    memcpy(r->missing, shared->missing, sizeof r->missing);
    for (uint32_t i = 0; i < JAIL_CALL_NUMBERS && r->n_refusals < PLATFORM_JAIL_REFUSALS; i++) {
        if (shared->refused[i] > 0) {
            r->refusals[r->n_refusals++] =
                (platform_jail_refusal){i, platform_call_name(i), shared->refused[i]};
        }
    }
}

static tars_status conclude(jail_run *run, tars_error *err) {
    jail_shared *shared = run->plan.shared;
    bool memory_hit = false;
    bool limited = run->plan.group.memory_limited;
    run->result->memory_peak_bytes = shared->peak_resident_bytes;
    jail_group_end(&run->plan.group, &run->result->memory_peak_bytes, &memory_hit);
    run->plan.group.memory_limited = limited;
    copy_facts(run);
    if (shared->error_number != 0 && shared->step[0] == '\0') {
        return platform_fail(err, shared->error_number, run->plan.options->program,
                             "cannot run the program");
    }
    if (shared->error_number != 0) {
        return platform_fail(err, shared->error_number, NULL, "the sandbox failed at %s",
                             shared->step);
    }
    if (!shared->guest_ended) {
        return error_set(err, TARS_FAILED, "the sandbox was ended before its program");
    }
    name_end(run, memory_hit);
    return TARS_OK;
}

static void finish(jail_run *run) {
    if (run->keeper > 0) {
        int how;
        (void)kill(run->keeper, SIGKILL);
        while (waitpid(run->keeper, &how, 0) < 0 && errno == EINTR) {
        }
        run->keeper = 0;
    }
    for (int i = 0; i < 3; i++) {
        close_one(&run->ours[i]);
        close_one(&run->theirs[i]);
    }
    close_one(&run->control_ours);
    close_one(&run->control_theirs);
    close_one(&run->plan.program);
}

tars_status platform_jail_run(const platform_jail_options *options, platform_jail_result *out,
                              tars_error *err) {
    *out = (platform_jail_result){.signal_text = ""};
    jail_run *run = malloc(sizeof *run);
    if (!run) {
        return error_set(err, TARS_OUT_OF_MEMORY, "no memory for a sandbox");
    }
    *run = (jail_run){.plan = {.options = options, .program = NOTHING, .rules = NOTHING},
                      .result = out,
                      .ours = {NOTHING, NOTHING, NOTHING},
                      .theirs = {NOTHING, NOTHING, NOTHING},
                      .control_ours = NOTHING,
                      .control_theirs = NOTHING};
    tars_status status = prepare(run, err);
    if (status == TARS_OK) {
        status = start_keeper(run, err);
    }
    if (status == TARS_OK) {
        status = pump(run, err);
    }
    finish(run);
    if (status == TARS_OK) {
        status = conclude(run, err);
    } else if (run->plan.shared) {
        bool hit;
        uint64_t peak;
        jail_group_end(&run->plan.group, &peak, &hit);
    }
    if (run->plan.shared) {
        (void)munmap(run->plan.shared, sizeof(jail_shared));
    }
    free(run);
    return status;
}

void platform_jail_free(platform_jail_result *result) {
    free(result->output.data);
    free(result->errors.data);
    result->output = result->errors = (platform_jail_bytes){0};
}
