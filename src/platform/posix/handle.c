#include "platform/internal.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <unistd.h>

enum { READ_CHUNK_BYTES = 65536, MAX_WAIT_HANDLES = 32 };

tars_status platform_pipe(platform_handle *read_end, platform_handle *write_end, tars_error *err) {
    int ends[2];
#if defined(__linux__)
    int result = pipe2(ends, O_CLOEXEC);
#else
    int result = pipe(ends);
    if (result == 0) {
        (void)fcntl(ends[0], F_SETFD, FD_CLOEXEC);
        (void)fcntl(ends[1], F_SETFD, FD_CLOEXEC);
    }
#endif
    if (result != 0) {
        return platform_fail(err, errno, NULL, "cannot make a pipe");
    }
    *read_end = ends[0];
    *write_end = ends[1];
    return TARS_OK;
}

void platform_handle_close(platform_handle handle) {
    if (handle != PLATFORM_NO_HANDLE) {
        (void)close((int)handle);
    }
}

static tars_status cancelled(tars_error *err) {
    return error_set(err, TARS_CANCELLED, "interrupted while waiting for input");
}

/* Reads where blocking is wanted whatever the descriptor's mode: a shared terminal may have been
 * left non-blocking by another program. */
static ssize_t read_blocking(int fd, void *buffer, size_t capacity) {
    ssize_t n = read(fd, buffer, capacity);
    if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) {
        struct pollfd wait = {.fd = fd, .events = POLLIN};
        if (poll(&wait, 1, -1) < 0) {
            return -1;
        }
        n = read(fd, buffer, capacity);
    }
    return n;
}

tars_status platform_handle_read(platform_handle handle, void *buffer, size_t capacity,
                                 size_t *length, tars_error *err) {
    *length = 0;
    for (;;) {
        ssize_t n = read_blocking((int)handle, buffer, capacity);
        if (n >= 0) {
            *length = (size_t)n;
            return TARS_OK;
        }
        if (errno == EINTR && platform_interrupted() > 0) {
            return cancelled(err);
        }
        if (errno != EINTR && errno != EAGAIN && errno != EWOULDBLOCK) {
            return platform_fail(err, errno, NULL, "cannot read from descriptor %d", (int)handle);
        }
    }
}

tars_status platform_handle_read_all(platform_handle handle, size_t max_bytes, char **out,
                                     size_t *length, tars_error *err) {
    *out = NULL;
    *length = 0;
    char *bytes = NULL;
    size_t used = 0;
    size_t capacity = 0;
    tars_status status;
    for (;;) {
        if (capacity - used < 2) { /* room for a byte and the NUL */
            size_t wanted = capacity < READ_CHUNK_BYTES ? READ_CHUNK_BYTES : capacity;
            char *grown = wanted > SIZE_MAX - capacity ? NULL : realloc(bytes, capacity + wanted);
            if (!grown) {
                status = error_set(err, TARS_OUT_OF_MEMORY,
                                   "no memory for more than %zu bytes of "
                                   "input",
                                   used);
                break;
            }
            bytes = grown;
            capacity += wanted;
        }
        size_t n;
        status = platform_handle_read(handle, bytes + used, capacity - used - 1, &n, err);
        if (status != TARS_OK) {
            break;
        }
        if (n == 0) {
            bytes[used] = '\0';
            *out = bytes;
            *length = used;
            return TARS_OK;
        }
        used += n;
        if (used > max_bytes) {
            status = error_set(err, TARS_LIMIT, "the input has more than %zu bytes", max_bytes);
            break;
        }
    }
    free(bytes);
    return status;
}

tars_status platform_handle_write(platform_handle handle, const void *bytes, size_t length,
                                  tars_error *err) {
    const char *p = bytes;
    while (length > 0) {
        ssize_t n = write((int)handle, p, length);
        if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) {
            struct pollfd wait = {.fd = (int)handle, .events = POLLOUT};
            (void)poll(&wait, 1, -1);
        } else if (n < 0 && errno != EINTR) {
            return platform_fail(err, errno, NULL, "cannot write to descriptor %d", (int)handle);
        } else if (n > 0) {
            p += n;
            length -= (size_t)n;
        }
    }
    return TARS_OK;
}

static uint64_t later(uint64_t timeout_ns) {
    uint64_t now = platform_clock_ns();
    return timeout_ns > UINT64_MAX - now ? UINT64_MAX : now + timeout_ns;
}

/* Milliseconds left, rounded up; -1: for ever. */
static int left_ms(uint64_t deadline_ns) {
    if (deadline_ns == UINT64_MAX) {
        return -1;
    }
    uint64_t now = platform_clock_ns();
    uint64_t left = deadline_ns > now ? (deadline_ns - now + 999999) / 1000000 : 0;
    return left > 1000000 ? 1000000 : (int)left;
}

tars_status platform_handle_wait(const platform_handle *handles, size_t n_handles,
                                 uint64_t timeout_ns, uint32_t *ready, tars_error *err) {
    struct pollfd waits[MAX_WAIT_HANDLES];
    *ready = 0;
    if (n_handles > MAX_WAIT_HANDLES) {
        return error_set(err, TARS_USAGE, "at most %d handles can be waited for, not %zu",
                         MAX_WAIT_HANDLES, n_handles);
    }
    for (size_t i = 0; i < n_handles; i++) {
        waits[i] = (struct pollfd){.fd = (int)handles[i], .events = POLLIN};
    }
    uint64_t deadline = later(timeout_ns);
    for (;;) {
        int n = poll(waits, (nfds_t)n_handles, left_ms(deadline));
        if (n < 0 && errno != EINTR) {
            return platform_fail(err, errno, NULL, "cannot wait for input");
        }
        if (n < 0 && platform_interrupted() > 0) {
            return cancelled(err);
        }
        for (size_t i = 0; i < n_handles && n > 0; i++) {
            *ready |= waits[i].revents != 0 ? 1u << i : 0u;
        }
        if (*ready != 0) {
            return TARS_OK;
        }
        if (deadline != UINT64_MAX && platform_clock_ns() >= deadline) {
            return error_set(err, TARS_TIMEOUT, "no input within the time allowed");
        }
    }
}
