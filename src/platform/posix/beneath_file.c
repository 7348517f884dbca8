#include "platform/posix/beneath.h"
#include "platform/posix/sync.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#if defined(__APPLE__)
#define ATIME st_atimespec
#define MTIME st_mtimespec
#define CTIME st_ctimespec
#else
#define ATIME st_atim
#define MTIME st_mtim
#define CTIME st_ctim
#endif

static int64_t nanoseconds(struct timespec t) {
    return (int64_t)t.tv_sec * 1000000000 + (int64_t)t.tv_nsec;
}

static platform_kind kind_of(mode_t mode) {
    return S_ISREG(mode)   ? PLATFORM_KIND_FILE
           : S_ISDIR(mode) ? PLATFORM_KIND_FOLDER
           : S_ISLNK(mode) ? PLATFORM_KIND_LINK
                           : PLATFORM_KIND_OTHER;
}

void beneath_entry_of(const struct stat *s, platform_entry *out) {
    *out = (platform_entry){.kind = kind_of(s->st_mode),
                            .mode = (uint32_t)s->st_mode & 07777u,
                            .size_bytes = s->st_size > 0 ? (uint64_t)s->st_size : 0,
                            .device = (uint64_t)s->st_dev,
                            .inode = (uint64_t)s->st_ino,
                            .n_links = (uint64_t)s->st_nlink,
                            .atime_ns = nanoseconds(s->ATIME),
                            .mtime_ns = nanoseconds(s->MTIME),
                            .ctime_ns = nanoseconds(s->CTIME)};
}

platform_fault platform_beneath_get_entry(platform_handle handle, platform_entry *out) {
    struct stat s;
    if (fstat((int)handle, &s) != 0) {
        return beneath_fault(errno);
    }
    beneath_entry_of(&s, out);
    return PLATFORM_FAULT_NONE;
}

static platform_fault moved(ssize_t n, size_t *done) {
    *done = n > 0 ? (size_t)n : 0;
    return n >= 0 ? PLATFORM_FAULT_NONE : beneath_fault(errno);
}

static bool in_file(uint64_t offset, uint64_t length) {
    return offset <= INT64_MAX && length <= INT64_MAX - offset;
}

platform_fault platform_beneath_read(platform_handle file, uint64_t offset, void *bytes,
                                     size_t length, size_t *done) {
    ssize_t n;
    *done = 0;
    if (!in_file(offset, length)) {
        return PLATFORM_FAULT_INVALID;
    }
    do {
        n = pread((int)file, bytes, length, (off_t)offset);
    } while (n < 0 && errno == EINTR);
    return moved(n, done);
}

platform_fault platform_beneath_write(platform_handle file, uint64_t offset, const void *bytes,
                                      size_t length, size_t *done) {
    ssize_t n;
    *done = 0;
    if (!in_file(offset, length)) {
        return PLATFORM_FAULT_TOO_BIG;
    }
    do {
        n = pwrite((int)file, bytes, length, (off_t)offset);
    } while (n < 0 && errno == EINTR);
    return moved(n, done);
}

platform_fault platform_beneath_append(platform_handle file, const void *bytes, size_t length,
                                       size_t *done, uint64_t *end) {
    ssize_t n;
    do {
        n = write((int)file, bytes, length);
    } while (n < 0 && errno == EINTR);
    platform_fault fault = moved(n, done);
    off_t position = lseek((int)file, 0, SEEK_CUR);
    *end = position > 0 ? (uint64_t)position : 0;
    return fault;
}

platform_fault platform_beneath_set_append(platform_handle file, bool append) {
    int flags = fcntl((int)file, F_GETFL);
    if (flags < 0 ||
        fcntl((int)file, F_SETFL, append ? flags | O_APPEND : flags & ~O_APPEND) != 0) {
        return beneath_fault(errno);
    }
    return PLATFORM_FAULT_NONE;
}

platform_fault platform_beneath_resize(platform_handle file, uint64_t size_bytes) {
    if (size_bytes > INT64_MAX) {
        return PLATFORM_FAULT_TOO_BIG;
    }
    return ftruncate((int)file, (off_t)size_bytes) == 0 ? PLATFORM_FAULT_NONE
                                                        : beneath_fault(errno);
}

platform_fault platform_beneath_allocate(platform_handle file, uint64_t offset, uint64_t length) {
    struct stat s;
    if (length == 0 || !in_file(offset, length)) {
        return length == 0 ? PLATFORM_FAULT_INVALID : PLATFORM_FAULT_TOO_BIG;
    }
    int number = beneath_os_allocate((int)file, (off_t)offset, (off_t)length);
    if (number != EOPNOTSUPP) {
        return number == 0 ? PLATFORM_FAULT_NONE : beneath_fault(number);
    }
    if (fstat((int)file, &s) != 0) { /* without room set aside: at least the length */
        return beneath_fault(errno);
    }
    bool grows = (uint64_t)s.st_size < offset + length;
    return grows ? platform_beneath_resize(file, offset + length) : PLATFORM_FAULT_NONE;
}

platform_fault platform_beneath_sync(platform_handle handle, bool data_only) {
#if defined(__linux__)
    int result = data_only ? fdatasync((int)handle) : sync_descriptor((int)handle);
#else
    (void)data_only;
    int result = sync_descriptor((int)handle);
#endif
    return result == 0 ? PLATFORM_FAULT_NONE : beneath_fault(errno);
}

/* ---- listings -------------------------------------------------------------------------- */

platform_fault platform_listing_open(platform_handle folder, platform_listing *out) {
    out->stream = NULL;
    int fd =
        openat((int)folder, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC); /* a position of its own */
    if (fd < 0) {
        return beneath_fault(errno);
    }
    out->stream = fdopendir(fd);
    if (!out->stream) {
        platform_fault fault = beneath_fault(errno);
        (void)close(fd);
        return fault;
    }
    return PLATFORM_FAULT_NONE;
}

static platform_kind kind_in(int folder, const char *name) {
    struct stat s;
    return folder >= 0 && fstatat(folder, name, &s, AT_SYMLINK_NOFOLLOW) == 0
               ? kind_of(s.st_mode)
               : PLATFORM_KIND_MISSING;
}

platform_fault platform_listing_next(platform_listing *listing, const char **name,
                                     platform_kind *kind, uint64_t *inode) {
    DIR *stream = listing->stream;
    const struct dirent *entry;
    *name = NULL;
    do {
        errno = 0;
        entry = readdir(stream);
    } while (entry && (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0));
    if (!entry) {
        return errno == 0 ? PLATFORM_FAULT_NONE : beneath_fault(errno);
    }
    *name = entry->d_name;
    *inode = (uint64_t)entry->d_ino;
    *kind = entry->d_type == DT_REG       ? PLATFORM_KIND_FILE
            : entry->d_type == DT_DIR     ? PLATFORM_KIND_FOLDER
            : entry->d_type == DT_LNK     ? PLATFORM_KIND_LINK
            : entry->d_type == DT_UNKNOWN ? kind_in(dirfd(stream), entry->d_name)
                                          : PLATFORM_KIND_OTHER;
    return PLATFORM_FAULT_NONE;
}

void platform_listing_rewind(platform_listing *listing) {
    rewinddir(listing->stream);
}

void platform_listing_close(platform_listing *listing) {
    if (listing->stream) {
        (void)closedir(listing->stream);
        listing->stream = NULL;
    }
}
