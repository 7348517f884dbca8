#include "platform/internal.h"
#include "platform/posix/sync.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#if defined(__APPLE__)
#define MTIME st_mtimespec
#define CTIME st_ctimespec
#else
#define MTIME st_mtim
#define CTIME st_ctim
#endif

static int64_t nanoseconds(struct timespec t) {
    return (int64_t)t.tv_sec * 1000000000 + (int64_t)t.tv_nsec;
}

static platform_file_info info_of(const struct stat *s) {
    return (platform_file_info){.size_bytes = s->st_size > 0 ? (uint64_t)s->st_size : 0,
                                .device = (uint64_t)s->st_dev,
                                .inode = (uint64_t)s->st_ino,
                                .mtime_ns = nanoseconds(s->MTIME),
                                .ctime_ns = nanoseconds(s->CTIME),
                                .mode = (uint32_t)s->st_mode & 07777u,
                                .owner = (uint32_t)s->st_uid};
}

static platform_kind kind_of(mode_t mode) {
    return S_ISREG(mode)   ? PLATFORM_KIND_FILE
           : S_ISDIR(mode) ? PLATFORM_KIND_FOLDER
           : S_ISLNK(mode) ? PLATFORM_KIND_LINK
                           : PLATFORM_KIND_OTHER;
}

static tars_status check_regular(mode_t mode, const char *path, tars_error *err) {
    if (S_ISREG(mode)) {
        return TARS_OK;
    }
    const char *what = S_ISDIR(mode)    ? "a folder"
                       : S_ISFIFO(mode) ? "a fifo"
                       : S_ISCHR(mode)  ? "a character device"
                       : S_ISBLK(mode)  ? "a block device"
                       : S_ISLNK(mode)  ? "a symbolic link"
                                        : "a socket";
    error_set(err, TARS_USAGE, "found %s where a regular file was expected", what);
    error_hint(err, "name a regular file");
    platform_where(err, path);
    return TARS_USAGE;
}

/* Opens and checks again what was opened: between the two the path may have changed. */
static tars_status open_regular(const char *path, int flags, mode_t mode, platform_file *out,
                                tars_error *err) {
    int fd = open(path, flags | O_CLOEXEC | O_NONBLOCK | O_NOCTTY, mode);
    if (fd < 0) {
        return platform_fail(err, errno, path, "cannot open the file");
    }
    tars_status status = platform_file_adopt(fd, path, out, err);
    if (status != TARS_OK) {
        (void)close(fd);
    }
    return status;
}

tars_status platform_file_open(const char *path, platform_file *out, tars_error *err) {
    struct stat s;
    out->handle = PLATFORM_NO_HANDLE;
    if (stat(path, &s) != 0) {
        return platform_fail(err, errno, path, "cannot open the file");
    }
    tars_status status = check_regular(s.st_mode, path, err); /* opening a device can do things */
    return status == TARS_OK ? open_regular(path, O_RDONLY, 0, out, err) : status;
}

/* A file to write in: no device, no fifo and no link is opened. */
static tars_status open_to_write(const char *path, int flags, uint32_t mode, platform_file *out,
                                 tars_error *err) {
    struct stat s;
    out->handle = PLATFORM_NO_HANDLE;
    if (lstat(path, &s) == 0) {
        tars_status status = check_regular(s.st_mode, path, err);
        if (status != TARS_OK) {
            return status;
        }
    }
    return open_regular(path, O_RDWR | O_CREAT | O_NOFOLLOW | flags, (mode_t)mode, out, err);
}

tars_status platform_file_open_append(const char *path, uint32_t mode, platform_file *out,
                                      tars_error *err) {
    return open_to_write(path, O_APPEND, mode, out, err);
}

tars_status platform_file_open_update(const char *path, uint32_t mode, platform_file *out,
                                      tars_error *err) {
    return open_to_write(path, 0, mode, out, err);
}

tars_status platform_file_adopt(platform_handle handle, const char *name, platform_file *out,
                                tars_error *err) {
    struct stat s;
    out->handle = PLATFORM_NO_HANDLE;
    if (fstat((int)handle, &s) != 0) {
        return platform_fail(err, errno, name, "cannot use descriptor %d", (int)handle);
    }
    tars_status status = check_regular(s.st_mode, name, err);
    if (status != TARS_OK) {
        return status;
    }
    out->handle = handle;
    platform_name_of(name, out->name, sizeof out->name);
    return TARS_OK;
}

void platform_file_close(platform_file *file) {
    platform_handle_close(file->handle);
    file->handle = PLATFORM_NO_HANDLE;
}

tars_status platform_file_get_info(const platform_file *file, platform_file_info *out,
                                   tars_error *err) {
    struct stat s;
    if (file->handle < 0 || fstat((int)file->handle, &s) != 0) {
        return platform_fail(err, errno, file->name, "cannot look at the file");
    }
    *out = info_of(&s);
    return TARS_OK;
}

tars_status platform_file_read_at(const platform_file *file, uint64_t offset, void *buffer,
                                  size_t length, tars_error *err) {
    char *p = buffer;
    size_t done = 0;
    if (offset > INT64_MAX || length > INT64_MAX - offset) {
        error_set(err, TARS_CORRUPT, "offset %llu is beyond any file's end",
                  (unsigned long long)offset);
        platform_where(err, file->name);
        return TARS_CORRUPT;
    }
    while (done < length) {
        size_t part = length - done < (1u << 30) ? length - done : 1u << 30;
        ssize_t n = pread((int)file->handle, p + done, part, (off_t)(offset + done));
        if (n < 0 && errno != EINTR) {
            return platform_fail(err, errno, file->name, "cannot read the file");
        }
        if (n == 0) {
            uint64_t end = offset + done;
            error_set(err, TARS_CORRUPT, "the file ends at byte %llu, expected %zu more",
                      (unsigned long long)end, length - done);
            error_hint(err, "the file was cut; fetch or import it again");
            platform_where(err, file->name);
            return TARS_CORRUPT;
        }
        done += n > 0 ? (size_t)n : 0;
    }
    return TARS_OK;
}

tars_status platform_file_write(const platform_file *file, const void *bytes, size_t length,
                                tars_error *err) {
    tars_status status = platform_handle_write(file->handle, bytes, length, err);
    if (status != TARS_OK) {
        platform_where(err, file->name);
    }
    return status;
}

tars_status platform_file_write_at(const platform_file *file, uint64_t offset, const void *bytes,
                                   size_t length, tars_error *err) {
    const char *p = bytes;
    for (size_t done = 0; done < length;) {
        ssize_t n = pwrite((int)file->handle, p + done, length - done, (off_t)(offset + done));
        if (n < 0 && errno != EINTR) {
            return platform_fail(err, errno, file->name, "cannot write to the file");
        }
        done += n > 0 ? (size_t)n : 0;
    }
    return TARS_OK;
}

tars_status platform_file_truncate(const platform_file *file, uint64_t size_bytes,
                                   tars_error *err) {
    if (size_bytes > INT64_MAX || ftruncate((int)file->handle, (off_t)size_bytes) != 0) {
        return platform_fail(err, size_bytes > INT64_MAX ? EFBIG : errno, file->name,
                             "cannot set the file's size to %llu bytes",
                             (unsigned long long)size_bytes);
    }
    return TARS_OK;
}

tars_status platform_file_sync(const platform_file *file, tars_error *err) {
    if (sync_descriptor((int)file->handle) != 0) {
        return platform_fail(err, errno, file->name, "cannot bring the file to the disk");
    }
    return TARS_OK;
}

void platform_file_drop_cache(const platform_file *file) {
#if defined(POSIX_FADV_DONTNEED)
    (void)posix_fadvise((int)file->handle, 0, 0, POSIX_FADV_DONTNEED); /* only a wish */
#else
    (void)file;
#endif
}

static tars_status read_whole(const platform_file *file, size_t max_bytes, char **out,
                              size_t *length, tars_error *err) {
    platform_file_info info = {0};
    tars_status status = platform_file_get_info(file, &info, err);
    if (status != TARS_OK) {
        return status;
    }
    if (info.size_bytes > max_bytes || info.size_bytes >= SIZE_MAX) {
        error_set(err, TARS_LIMIT, "the file has %llu bytes, at most %zu are allowed",
                  (unsigned long long)info.size_bytes, max_bytes);
        platform_where(err, file->name);
        return TARS_LIMIT;
    }
    if (info.size_bytes == 0) { /* also what /proc says of files that are not empty */
        return platform_handle_read_all(file->handle, max_bytes, out, length, err);
    }
    char *bytes = malloc((size_t)info.size_bytes + 1);
    if (!bytes) {
        return platform_fail(err, ENOMEM, file->name, "no memory for %llu bytes",
                             (unsigned long long)info.size_bytes);
    }
    status = platform_file_read_at(file, 0, bytes, (size_t)info.size_bytes, err);
    if (status != TARS_OK) {
        free(bytes);
        return status;
    }
    bytes[info.size_bytes] = '\0';
    *out = bytes;
    *length = (size_t)info.size_bytes;
    return TARS_OK;
}

tars_status platform_file_read_all(const char *path, size_t max_bytes, char **out, size_t *length,
                                   tars_error *err) {
    platform_file file;
    *out = NULL;
    *length = 0;
    tars_status status = platform_file_open(path, &file, err);
    if (status != TARS_OK) {
        return status;
    }
    status = read_whole(&file, max_bytes, out, length, err);
    platform_file_close(&file);
    return status;
}

tars_status platform_path_kind(const char *path, platform_kind *kind, platform_file_info *info,
                               tars_error *err) {
    struct stat s;
    *kind = PLATFORM_KIND_MISSING;
    if (stat(path, &s) != 0) {
        return errno == ENOENT || errno == ENOTDIR
                   ? TARS_OK
                   : platform_fail(err, errno, path, "cannot look at the path");
    }
    *kind = kind_of(s.st_mode);
    if (info) {
        *info = info_of(&s);
    }
    return TARS_OK;
}
