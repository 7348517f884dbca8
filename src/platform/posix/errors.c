#include "base/text.h"
#include "platform/internal.h"

#include <errno.h>
#include <string.h>

typedef struct errno_row {
    int number;
    tars_status status;
    const char *hint; /* or NULL */
} errno_row;

static const errno_row errno_table[] = {
    {ENOENT, TARS_NOT_FOUND, "check the spelling of the path"},
    {ENOTDIR, TARS_NOT_FOUND, "a part of the path is a file where a folder was expected"},
    {EACCES, TARS_UNAVAILABLE, "check the permissions of the file and of the folders above it"},
    {EPERM, TARS_UNAVAILABLE, "check the permissions, or run as a user that may do this"},
    {EROFS, TARS_UNAVAILABLE, "the file system is read-only; choose another place"},
    {ENOSPC, TARS_DISK_FULL, "free some space, or choose another place with TARS_HOME"},
    {EDQUOT, TARS_DISK_FULL, "free some space: the user's quota is used up"},
    {EFBIG, TARS_LIMIT, "the limit of file sizes (ulimit -f) is reached"},
    {ENOMEM, TARS_OUT_OF_MEMORY, "close other programs, or use a smaller model or context"},
    {EMFILE, TARS_LIMIT, "raise the limit of open files (ulimit -n)"},
    {ENFILE, TARS_LIMIT, "the machine's limit of open files is reached"},
    {EAGAIN, TARS_LIMIT, "a limit of processes, threads or locked memory is reached (ulimit -a)"},
    {EEXIST, TARS_CONFLICT, NULL},
    {ENOTEMPTY, TARS_CONFLICT, NULL},
    {ETXTBSY, TARS_CONFLICT, "the file is a running program"},
    {EISDIR, TARS_USAGE, "this is a folder; name a file"},
    {ENAMETOOLONG, TARS_USAGE, "choose a shorter path"},
    {ELOOP, TARS_USAGE, "symbolic links are not followed when writing, nor in a circle"},
    {ENXIO, TARS_USAGE, "this is a fifo or a device; name a regular file"},
    {ENOEXEC, TARS_UNSUPPORTED, "this is no program for this machine"},
    {EXDEV, TARS_USAGE, "both must lie on one file system"},
};

static const char *meaning_of(int number, char *buffer, size_t size_bytes) {
#if defined(__GLIBC__)
    return strerror_r(number, buffer, size_bytes); /* the GNU form returns the text */
#else
    return strerror_r(number, buffer, size_bytes) == 0 ? buffer : "unknown error";
#endif
}

tars_status platform_fail(tars_error *err, int error_number, const char *path, const char *format,
                          ...) {
    tars_status status = TARS_IO;
    const char *hint = NULL;
    for (size_t i = 0; i < sizeof errno_table / sizeof errno_table[0]; i++) {
        if (errno_table[i].number == error_number) {
            status = errno_table[i].status;
            hint = errno_table[i].hint;
        }
    }
    if (!err) {
        return status;
    }
    char what[200], buffer[128];
    text_buffer text;
    va_list arguments;
    va_start(arguments, format);
    text_init(&text, what, sizeof what);
    text_format_list(&text, format, arguments);
    va_end(arguments);
    const char *meaning = meaning_of(error_number, buffer, sizeof buffer);
    error_set(err, status, "%s: %s", what, meaning);
    error_cause(err, "%s (errno %d)", meaning, error_number);
    if (hint) {
        error_hint(err, "%s", hint);
    }
    if (path) {
        platform_where(err, path);
    }
    return status;
}
