#include "base/text.h"
#include "platform/internal.h"
#include "platform/linux/seccomp.h"

#include <errno.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>

/* Lowers a limit, hard and soft; 0 leaves it. A limit that is lower already stays. */
static bool set_limit(int resource, uint64_t wanted) {
    struct rlimit limit;
    if (wanted == 0) {
        return true;
    }
    if (getrlimit((__rlimit_resource_t)resource, &limit) != 0) {
        return false;
    }
    rlim_t value = (rlim_t)wanted;
    limit.rlim_cur = limit.rlim_cur < value ? limit.rlim_cur : value;
    limit.rlim_max = limit.rlim_max < value ? limit.rlim_max : value;
    return setrlimit((__rlimit_resource_t)resource, &limit) == 0;
}

static tars_status set_limits(const platform_hardening *wanted, tars_error *err) {
    const struct {
        int resource;
        uint64_t value;
        const char *name;
    } rows[] = {{RLIMIT_AS, wanted->address_space_bytes, "address space"},
                {RLIMIT_NOFILE, wanted->n_files, "open files"},
                {RLIMIT_CPU, wanted->cpu_seconds, "processor time"},
                {RLIMIT_FSIZE, wanted->file_size_bytes, "file sizes"},
                {RLIMIT_NPROC, wanted->n_processes, "processes"}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        if (!set_limit(rows[i].resource, rows[i].value)) {
            return platform_fail(err, errno, NULL, "cannot limit the %s of this process",
                                 rows[i].name);
        }
    }
    struct rlimit no_core = {0, 0};
    return setrlimit(RLIMIT_CORE, &no_core) == 0
               ? TARS_OK
               : platform_fail(err, errno, NULL, "cannot forbid memory dumps");
}

static void add_missing(text_buffer *missing, const char *what) {
    if (missing->length > 0) {
        text_append_string(missing, "; ");
    }
    text_append_string(missing, what);
}

tars_status platform_harden(const platform_hardening *wanted, platform_hardening_report *report,
                            tars_error *err) {
    *report = (platform_hardening_report){.missing = ""};
    text_buffer missing;
    text_init(&missing, report->missing, sizeof report->missing);
    tars_status status = set_limits(wanted, err);
    if (status != TARS_OK) {
        return status;
    }
    report->limits = true;
    report->not_dumpable = prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) == 0;
    if (!report->not_dumpable) {
        add_missing(&missing, "other processes of the user may look into this one");
    }
    report->no_new_privileges = prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0;
    if (!report->no_new_privileges) {
        add_missing(&missing, "new privileges cannot be ruled out");
    }
    if (wanted->filter_system_calls) {
        const char *reason = "";
        report->system_calls_filtered = seccomp_install(
            (seccomp_wanted){.code = wanted->allow_code, .machines = wanted->run_machines},
            &reason);
        if (!report->system_calls_filtered) {
            add_missing(&missing, reason);
        }
    }
    return TARS_OK;
}
