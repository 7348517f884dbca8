#include "base/text.h"
#include "platform/internal.h"
#include "platform/posix/sync.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* The folder's part of a path ("." without one) and where the name begins. */
static tars_status split_path(const char *path, char folder[PLATFORM_PATH_BYTES], const char **name,
                              tars_error *err) {
    size_t length = strlen(path);
    const char *slash = strrchr(path, '/');
    *name = slash ? slash + 1 : path;
    if (length >= PLATFORM_PATH_BYTES || **name == '\0') {
        error_set(err, TARS_USAGE, "%s cannot be the path of a file",
                  length >= PLATFORM_PATH_BYTES ? "a text of that length" : "a folder");
        platform_where(err, path);
        return TARS_USAGE;
    }
    size_t folder_length = slash ? (size_t)(slash - path) : 0;
    memcpy(folder, path, folder_length);
    folder[folder_length] = '\0';
    if (folder_length == 0) {
        memcpy(folder, slash ? "/" : ".", 2);
    }
    return TARS_OK;
}

static tars_status make_temporary_name(platform_writer *writer, tars_error *err) {
    uint64_t random;
    tars_status status = platform_random(&random, sizeof random, err);
    if (status == TARS_OK) {
        text_buffer text;
        text_init(&text, writer->temporary, sizeof writer->temporary);
        text_format(&text, ".tars-%016llx.part", (unsigned long long)random);
    }
    return status;
}

/* A file without a name where the system has that: a killed process then leaves nothing. It gets
 * its name through /proc, so that must be there too. */
static int open_unnamed(const platform_writer *writer) {
#if defined(O_TMPFILE)
    if (access("/proc/self/fd", X_OK) == 0) {
        return openat((int)writer->folder, ".", O_TMPFILE | O_WRONLY | O_CLOEXEC, 0600);
    }
#endif
    (void)writer;
    return -1;
}

static tars_status open_temporary(platform_writer *writer, tars_error *err) {
    int fd = open_unnamed(writer);
    if (fd < 0) {
        tars_status status = make_temporary_name(writer, err);
        if (status != TARS_OK) {
            return status;
        }
        fd = openat((int)writer->folder, writer->temporary,
                    O_CREAT | O_EXCL | O_NOFOLLOW | O_WRONLY | O_CLOEXEC, 0600);
        if (fd < 0) {
            return platform_fail(err, errno, writer->path, "cannot make a file in the folder");
        }
        writer->named = true;
    }
    writer->handle = fd;
    return TARS_OK;
}

static void finish(platform_writer *writer) {
    if (writer->handle != PLATFORM_NO_HANDLE) {
        platform_handle_close(writer->handle);
    }
    if (writer->folder != PLATFORM_NO_HANDLE) {
        if (writer->named) {
            (void)unlinkat((int)writer->folder, writer->temporary, 0);
        }
        platform_handle_close(writer->folder);
    }
    writer->handle = writer->folder = PLATFORM_NO_HANDLE;
    writer->named = false;
}

/* Only a regular file, or a link, may give way to the new one: root could rename over a device. */
static tars_status check_target(const platform_writer *writer, const char *name, tars_error *err) {
    struct stat s;
    if (fstatat((int)writer->folder, name, &s, AT_SYMLINK_NOFOLLOW) != 0 || S_ISREG(s.st_mode) ||
        S_ISLNK(s.st_mode)) {
        return TARS_OK;
    }
    error_set(err, TARS_USAGE, "found %s where a regular file is to be written",
              S_ISDIR(s.st_mode) ? "a folder" : "a device, fifo or socket");
    error_hint(err, "name a regular file");
    platform_where(err, writer->path);
    return TARS_USAGE;
}

tars_status platform_writer_open(const char *path, uint32_t mode, platform_writer *out,
                                 tars_error *err) {
    *out = (platform_writer){.handle = PLATFORM_NO_HANDLE, .folder = PLATFORM_NO_HANDLE};
    char folder[PLATFORM_PATH_BYTES];
    const char *name;
    tars_status status = split_path(path, folder, &name, err);
    if (status != TARS_OK) {
        return status;
    }
    memcpy(out->path, path, strlen(path) + 1);
    int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) {
        return platform_fail(err, errno, folder, "cannot open the folder to write in");
    }
    out->folder = fd;
    status = check_target(out, name, err);
    if (status == TARS_OK) {
        status = open_temporary(out, err);
    }
    if (status == TARS_OK && fchmod((int)out->handle, (mode_t)mode) != 0) {
        status = platform_fail(err, errno, path, "cannot set the file's permissions");
    }
    if (status != TARS_OK) {
        finish(out);
    }
    return status;
}

tars_status platform_writer_reserve(platform_writer *writer, uint64_t size_bytes, tars_error *err) {
    uint64_t free_bytes;
    struct stat s;
    if (fstat((int)writer->handle, &s) != 0) {
        return platform_fail(err, errno, writer->path, "cannot look at the file");
    }
    char folder[PLATFORM_PATH_BYTES];
    const char *name;
    tars_status status = split_path(writer->path, folder, &name, err);
    if (status == TARS_OK) {
        status = platform_disk_free(folder, &free_bytes, err);
    }
    uint64_t has = writer->written_bytes;
    if (status == TARS_OK && size_bytes > has && size_bytes - has > free_bytes) {
        error_set(err, TARS_DISK_FULL, "%llu bytes are to be written, the disk has %llu free",
                  (unsigned long long)(size_bytes - has), (unsigned long long)free_bytes);
        error_hint(err, "free some space, or choose another place with TARS_HOME");
        platform_where(err, writer->path);
        return TARS_DISK_FULL;
    }
    return status;
}

tars_status platform_writer_write(platform_writer *writer, const void *bytes, size_t length,
                                  tars_error *err) {
    tars_status status = platform_handle_write(writer->handle, bytes, length, err);
    if (status == TARS_OK) {
        writer->written_bytes += length;
    } else {
        platform_where(err, writer->path);
    }
    return status;
}

/* Gives the unnamed file a name; errno when that fails. */
static int link_unnamed(const platform_writer *writer, const char *name) {
    char source[64];
    text_buffer text;
    text_init(&text, source, sizeof source);
    text_format(&text, "/proc/self/fd/%d", (int)writer->handle);
    return linkat(AT_FDCWD, source, (int)writer->folder, name, AT_SYMLINK_FOLLOW) == 0 ? 0 : errno;
}

/* Puts the file under its final name where nothing is yet; errno when that fails. */
static int publish_new(platform_writer *writer, const char *name) {
    if (!writer->named) {
        return link_unnamed(writer, name);
    }
    int folder = (int)writer->folder;
    if (linkat(folder, writer->temporary, folder, name, 0) == 0) {
        return 0; /* finish() takes the temporary name away */
    }
    if (errno != EPERM && errno != EOPNOTSUPP && errno != ENOSYS) {
        return errno;
    }
    /* a file system without hard links: look first; only a race could replace a file */
    if (faccessat(folder, name, F_OK, AT_SYMLINK_NOFOLLOW) == 0) {
        return EEXIST;
    }
    if (renameat(folder, writer->temporary, folder, name) != 0) {
        return errno;
    }
    writer->named = false;
    return 0;
}

static int publish_over(platform_writer *writer, const char *name, tars_error *err) {
    if (!writer->named) {
        if (make_temporary_name(writer, err) != TARS_OK) {
            return EIO;
        }
        int number = link_unnamed(writer, writer->temporary);
        if (number != 0) {
            return number;
        }
        writer->named = true;
    }
    if (renameat((int)writer->folder, writer->temporary, (int)writer->folder, name) != 0) {
        return errno;
    }
    writer->named = false;
    return 0;
}

static tars_status commit(platform_writer *writer, unsigned flags, tars_error *err) {
    if (sync_descriptor((int)writer->handle) != 0) {
        return platform_fail(err, errno, writer->path, "cannot bring the file to the disk");
    }
    if (flags & PLATFORM_COMMIT_DROP_CACHE) {
        platform_file file = {.handle = writer->handle};
        platform_file_drop_cache(&file);
    }
    const char *slash = strrchr(writer->path, '/');
    const char *name = slash ? slash + 1 : writer->path;
    int number = flags & PLATFORM_COMMIT_REPLACE ? publish_over(writer, name, err)
                                                 : publish_new(writer, name);
    if (number != 0) {
        return platform_fail(err, number, writer->path, "cannot give the file its name");
    }
    /* Without this the name could be lost in a power cut. Some file systems refuse it. */
    if (sync_descriptor((int)writer->folder) != 0 && errno != EINVAL && errno != EROFS) {
        return platform_fail(err, errno, writer->path, "cannot bring the folder to the disk");
    }
    return TARS_OK;
}

tars_status platform_writer_commit(platform_writer *writer, unsigned flags, tars_error *err) {
    tars_status status = commit(writer, flags, err);
    finish(writer);
    return status;
}

void platform_writer_abandon(platform_writer *writer) {
    if (writer->path[0] != '\0') { /* a zeroed writer has no handles, though 0 is one */
        finish(writer);
    }
}
