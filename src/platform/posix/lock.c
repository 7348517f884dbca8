#include "base/number.h"
#include "platform/internal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

/* The holder writes its process id into the file, for the message that others print. */
static void write_holder(int fd) {
    char text[NUMBER_MAX_BYTES + 1];
    size_t length = number_from_int64((int64_t)getpid(), text);
    text[length++] = '\n';
    if (ftruncate(fd, 0) == 0) {
        ssize_t written = pwrite(fd, text, length, 0);
        (void)written; /* only a hint */
    }
}

static tars_status locked_by_another(int fd, const char *path, tars_error *err) {
    char text[32];
    ssize_t n = pread(fd, text, sizeof text - 1, 0);
    size_t digits = 0;
    while (n > 0 && digits < (size_t)n && text[digits] >= '0' && text[digits] <= '9') {
        digits++;
    }
    text[digits] = '\0';
    error_set(err, TARS_CONFLICT, "locked by somebody else%s%s", digits ? ": process " : "", text);
    error_hint(err, "wait until it is done, or end that process");
    platform_where(err, path);
    return TARS_CONFLICT;
}

/* False when the name leads to another file by now: somebody removed the one that was locked. */
static bool is_still_named(int fd, const char *path) {
    struct stat mine, named;
    return fstat(fd, &mine) == 0 && stat(path, &named) == 0 && mine.st_ino == named.st_ino &&
           mine.st_dev == named.st_dev;
}

tars_status platform_lock_take(const char *path, uint64_t timeout_ns, platform_lock *out,
                               tars_error *err) {
    /* short at first: most locks are held for less than a millisecond */
    const uint64_t longest_pause_ns = 10000000;
    uint64_t pause_ns = 50000;
    uint64_t start = platform_clock_ns();
    out->handle = PLATFORM_NO_HANDLE;
    for (;;) {
        int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, 0600);
        if (fd < 0) {
            return platform_fail(err, errno, path, "cannot open the lock file");
        }
        int result = flock(fd, LOCK_EX | LOCK_NB);
        if (result == 0 && is_still_named(fd, path)) {
            write_holder(fd);
            out->handle = fd;
            return TARS_OK;
        }
        tars_status status = TARS_OK;
        if (result != 0 && errno != EWOULDBLOCK && errno != EINTR) {
            status = platform_fail(err, errno, path, "cannot lock the file");
        } else if (timeout_ns != PLATFORM_FOREVER && platform_clock_ns() - start >= timeout_ns) {
            status = locked_by_another(fd, path, err);
        } else if (platform_interrupted() > 0) {
            status = error_set(err, TARS_CANCELLED, "interrupted while waiting for a lock");
        }
        (void)close(fd);
        if (status != TARS_OK) {
            return status;
        }
        platform_sleep_ns(pause_ns);
        pause_ns = pause_ns * 2 < longest_pause_ns ? pause_ns * 2 : longest_pause_ns;
    }
}

void platform_lock_release(platform_lock *lock) {
    if (lock->handle != PLATFORM_NO_HANDLE) {
        int result = ftruncate((int)lock->handle, 0);
        (void)result; /* only a hint goes */
        platform_handle_close(lock->handle);
        lock->handle = PLATFORM_NO_HANDLE;
    }
}
