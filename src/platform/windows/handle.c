#include "platform/windows/native.h"

#include <stdlib.h>
#include <string.h>

tars_status platform_pipe(platform_handle *read_end, platform_handle *write_end, tars_error *err) {
    HANDLE in, out;
    if (!CreatePipe(&in, &out, NULL, 0)) {
        return native_fail(err, GetLastError(), NULL, "cannot make a pipe");
    }
    *read_end = (platform_handle)in;
    *write_end = (platform_handle)out;
    return TARS_OK;
}

void platform_handle_close(platform_handle handle) {
    if (handle != PLATFORM_NO_HANDLE) {
        (void)CloseHandle(native_handle(handle));
    }
}

tars_status platform_handle_read(platform_handle handle, void *buffer, size_t capacity,
                                 size_t *length, tars_error *err) {
    DWORD n = 0;
    DWORD part = capacity < (1u << 30) ? (DWORD)capacity : 1u << 30;
    *length = 0;
    if (!ReadFile(native_handle(handle), buffer, part, &n, NULL)) {
        DWORD number = GetLastError();
        return number == ERROR_BROKEN_PIPE || number == ERROR_HANDLE_EOF
                   ? TARS_OK /* the end */
                   : native_fail(err, number, NULL, "cannot read from a handle");
    }
    if (n == 0 && platform_interrupted() > 0) {
        return error_set(err, TARS_CANCELLED, "interrupted while waiting for input");
    }
    *length = n;
    return TARS_OK;
}

tars_status platform_handle_read_all(platform_handle handle, size_t max_bytes, char **out,
                                     size_t *length, tars_error *err) {
    size_t used = 0;
    size_t capacity = 65536;
    char *bytes = malloc(capacity);
    tars_status status = TARS_OK;
    *out = NULL;
    *length = 0;
    while (bytes && status == TARS_OK) {
        size_t n;
        status = platform_handle_read(handle, bytes + used, capacity - used - 1, &n, err);
        if (status == TARS_OK && n == 0) {
            bytes[used] = '\0';
            *out = bytes;
            *length = used;
            return TARS_OK;
        }
        used += n;
        if (used > max_bytes) {
            status = error_set(err, TARS_LIMIT, "the input has more than %llu bytes",
                               (unsigned long long)max_bytes);
        } else if (capacity - used < 2) {
            char *grown = capacity > SIZE_MAX / 2 ? NULL : realloc(bytes, 2 * capacity);
            if (!grown) {
                status = error_set(err, TARS_OUT_OF_MEMORY, "no memory for the input");
            } else {
                bytes = grown;
                capacity *= 2;
            }
        }
    }
    if (!bytes) {
        return error_set(err, TARS_OUT_OF_MEMORY, "no memory for the input");
    }
    free(bytes);
    return status;
}

tars_status platform_handle_write(platform_handle handle, const void *bytes, size_t length,
                                  tars_error *err) {
    const uint8_t *p = bytes;
    while (length > 0) {
        DWORD n = 0;
        DWORD part = length < (1u << 30) ? (DWORD)length : 1u << 30;
        if (!WriteFile(native_handle(handle), p, part, &n, NULL)) {
            return native_fail(err, GetLastError(), NULL, "cannot write to a handle");
        }
        p += n;
        length -= n;
    }
    return TARS_OK;
}

tars_status platform_handle_wait(const platform_handle *handles, size_t n_handles,
                                 uint64_t timeout_ns, uint32_t *ready, tars_error *err) {
    uint64_t start = platform_clock_ns();
    *ready = 0;
    if (n_handles > 32) {
        return error_set(err, TARS_USAGE, "at most 32 handles can be waited for");
    }
    for (;;) { /* pipes cannot be waited for, so they are looked at again and again */
        for (size_t i = 0; i < n_handles; i++) {
            DWORD available = 0;
            BOOL open = PeekNamedPipe(native_handle(handles[i]), NULL, 0, NULL, &available, NULL);
            *ready |= !open || available > 0 ? 1u << i : 0u;
        }
        if (*ready != 0) {
            return TARS_OK;
        }
        if (platform_interrupted() > 0) {
            return error_set(err, TARS_CANCELLED, "interrupted while waiting for input");
        }
        if (timeout_ns != PLATFORM_FOREVER && platform_clock_ns() - start >= timeout_ns) {
            return error_set(err, TARS_TIMEOUT, "no input within the time allowed");
        }
        Sleep(1);
    }
}
