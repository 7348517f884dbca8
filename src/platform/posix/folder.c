#include "platform/internal.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

static tars_status make_one(const char *path, tars_error *err) {
    struct stat s;
    if (mkdir(path, 0700) == 0) {
        return TARS_OK;
    }
    int number = errno;
    if (stat(path, &s) == 0) { /* mkdir names the error differently on read-only systems */
        return S_ISDIR(s.st_mode) ? TARS_OK
                                  : platform_fail(err, ENOTDIR, path, "cannot make the folder");
    }
    return platform_fail(err, number, path, "cannot make the folder");
}

tars_status platform_make_folders(const char *path, tars_error *err) {
    char part[PLATFORM_PATH_BYTES];
    size_t length = strlen(path);
    if (length == 0 || length >= sizeof part) {
        return platform_fail(err, length == 0 ? ENOENT : ENAMETOOLONG, path,
                             "cannot make the folder");
    }
    for (size_t i = 1; i <= length; i++) {
        bool part_ends = (path[i] == '/' && path[i - 1] != '/') || path[i] == '\0';
        if (!part_ends) {
            continue;
        }
        memcpy(part, path, i);
        part[i] = '\0';
        tars_status status = make_one(part, err);
        if (status != TARS_OK) {
            return status;
        }
    }
    return TARS_OK;
}

static platform_kind kind_in(int folder, const struct dirent *entry) {
    struct stat s;
    if (folder < 0 || fstatat(folder, entry->d_name, &s, AT_SYMLINK_NOFOLLOW) != 0) {
        return PLATFORM_KIND_MISSING; /* removed meanwhile */
    }
    return S_ISREG(s.st_mode)   ? PLATFORM_KIND_FILE
           : S_ISDIR(s.st_mode) ? PLATFORM_KIND_FOLDER
           : S_ISLNK(s.st_mode) ? PLATFORM_KIND_LINK
                                : PLATFORM_KIND_OTHER;
}

tars_status platform_list_folder(const char *path,
                                 bool (*visit)(void *user, const char *name, platform_kind kind),
                                 void *user, tars_error *err) {
    DIR *folder = opendir(path);
    if (!folder) {
        return platform_fail(err, errno, path, "cannot open the folder");
    }
    tars_status status = TARS_OK;
    for (;;) {
        errno = 0;
        const struct dirent *entry = readdir(folder);
        if (!entry) {
            if (errno != 0) {
                status = platform_fail(err, errno, path, "cannot read the folder");
            }
            break;
        }
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0) {
            continue;
        }
        platform_kind kind = kind_in(dirfd(folder), entry);
        if (kind != PLATFORM_KIND_MISSING && !visit(user, entry->d_name, kind)) {
            break;
        }
    }
    (void)closedir(folder);
    return status;
}

tars_status platform_remove(const char *path, tars_error *err) {
    if (unlink(path) == 0) {
        return TARS_OK;
    }
    int number = errno;
    struct stat s;
    if (lstat(path, &s) == 0 && S_ISDIR(s.st_mode)) {
        if (rmdir(path) == 0) {
            return TARS_OK;
        }
        number = errno;
    }
    return platform_fail(err, number, path, "cannot remove the file or folder");
}

tars_status platform_rename(const char *from, const char *to, tars_error *err) {
    return rename(from, to) == 0 ? TARS_OK
                                 : platform_fail(err, errno, from, "cannot rename the file");
}

tars_status platform_disk_free(const char *path, uint64_t *free_bytes, tars_error *err) {
    struct statvfs s;
    *free_bytes = 0;
    if (statvfs(path, &s) != 0) {
        return platform_fail(err, errno, path, "cannot ask for the free space");
    }
    *free_bytes = (uint64_t)s.f_bavail * (uint64_t)s.f_frsize;
    return TARS_OK;
}
