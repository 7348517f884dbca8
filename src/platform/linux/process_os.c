#include "platform/posix/process_os.h"
#include "platform/internal.h"

#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

void platform_os_close_on_exec_from(int first) {
#if defined(SYS_close_range)
    const unsigned only_on_exec = 4; /* CLOSE_RANGE_CLOEXEC, since Linux 5.11 */
    if (syscall(SYS_close_range, (unsigned)first, ~0u, only_on_exec) == 0) {
        return;
    }
#endif
    struct rlimit limit;
    rlim_t most = 65536;
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur < most) {
        most = limit.rlim_cur;
    }
    for (int fd = first; fd < (int)most; fd++) {
        (void)fcntl(fd, F_SETFD, FD_CLOEXEC);
    }
}

bool platform_os_die_with_parent(intptr_t parent) {
    return prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) == 0 && getppid() == (pid_t)parent;
}

platform_handle platform_os_process_handle(intptr_t id) {
#if defined(SYS_pidfd_open)
    return (platform_handle)syscall(SYS_pidfd_open, (pid_t)id, 0); /* close-on-exec by itself */
#else
    (void)id;
    return PLATFORM_NO_HANDLE;
#endif
}

tars_status platform_os_own_program(char *out, size_t size_bytes, tars_error *err) {
    static const char link[] = "/proc/self/exe";
    if (access(link, X_OK) == 0 && size_bytes >= sizeof link) {
        memcpy(out, link, sizeof link);
        return TARS_OK;
    }
    return platform_executable_path(out, size_bytes, err);
}

const char *platform_os_signal_text(int number) {
#if defined(__GLIBC__) && (__GLIBC__ > 2 || __GLIBC_MINOR__ >= 32)
    const char *text = sigdescr_np(number);
#else
    const char *text = strsignal(number);
#endif
    return text ? text : "unknown signal";
}
