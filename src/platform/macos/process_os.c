#include "platform/posix/process_os.h"
#include "platform/internal.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

void platform_os_close_on_exec_from(int first) {
    int most = getdtablesize();
    for (int fd = first; fd < most; fd++) {
        (void)fcntl(fd, F_SETFD, FD_CLOEXEC);
    }
}

/* The system has no such wish; a child that reads from a pipe of its parent sees its end. */
bool platform_os_die_with_parent(intptr_t parent) {
    return getppid() == (pid_t)parent;
}

platform_handle platform_os_process_handle(intptr_t id) {
    (void)id;
    return PLATFORM_NO_HANDLE;
}

tars_status platform_os_own_program(char *out, size_t size_bytes, tars_error *err) {
    return platform_executable_path(out, size_bytes, err);
}

const char *platform_os_signal_text(int number) {
    const char *text = strsignal(number);
    return text ? text : "unknown signal";
}

tars_status platform_harden(const platform_hardening *wanted, platform_hardening_report *report,
                            tars_error *err) {
    const struct {
        int resource;
        uint64_t value;
    } rows[] = {{RLIMIT_AS, wanted->address_space_bytes},
                {RLIMIT_NOFILE, wanted->n_files},
                {RLIMIT_CPU, wanted->cpu_seconds},
                {RLIMIT_FSIZE, wanted->file_size_bytes}};
    *report = (platform_hardening_report){
        .missing = "this system has no system-call filter and no ban of new privileges"};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct rlimit limit = {rows[i].value, rows[i].value};
        if (rows[i].value != 0 && setrlimit(rows[i].resource, &limit) != 0) {
            return platform_fail(err, errno, NULL, "cannot limit this process");
        }
    }
    struct rlimit no_core = {0, 0};
    report->limits = setrlimit(RLIMIT_CORE, &no_core) == 0;
    return TARS_OK;
}

tars_status platform_jail_run(const platform_jail_options *options, platform_jail_result *out,
                              tars_error *err) {
    (void)options;
    *out = (platform_jail_result){0};
    return platform_not_here(err, "running a program in a process sandbox");
}

void platform_jail_free(platform_jail_result *result) {
    *result = (platform_jail_result){0};
}

const char *platform_jail_call_name(size_t index) {
    (void)index;
    return NULL;
}

const char *platform_call_name(uint32_t number) {
    (void)number;
    return NULL;
}
