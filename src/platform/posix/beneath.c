#include "platform/posix/beneath.h"
#include "platform/internal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* The kernel says EAGAIN when folders were renamed while it resolved a "..": walking by ourselves
 * gives an answer then. */
enum { MAX_TRIES = 8 };

static const struct {
    int number;
    platform_fault fault;
} fault_table[] = {
    {ENOENT, PLATFORM_FAULT_MISSING},        {EEXIST, PLATFORM_FAULT_EXISTS},
    {ENOTDIR, PLATFORM_FAULT_NOT_FOLDER},    {EISDIR, PLATFORM_FAULT_IS_FOLDER},
    {ENOTEMPTY, PLATFORM_FAULT_NOT_EMPTY},   {ELOOP, PLATFORM_FAULT_LOOP},
    {EACCES, PLATFORM_FAULT_ACCESS},         {ENAMETOOLONG, PLATFORM_FAULT_NAME_TOO_LONG},
    {EPERM, PLATFORM_FAULT_NOT_PERMITTED},   {EROFS, PLATFORM_FAULT_READ_ONLY},
    {EINVAL, PLATFORM_FAULT_INVALID},        {EBUSY, PLATFORM_FAULT_BUSY},
    {ETXTBSY, PLATFORM_FAULT_BUSY},          {EAGAIN, PLATFORM_FAULT_BUSY},
    {EXDEV, PLATFORM_FAULT_CROSS_DEVICE},    {EFBIG, PLATFORM_FAULT_TOO_BIG},
    {EOVERFLOW, PLATFORM_FAULT_TOO_BIG},     {ENOSPC, PLATFORM_FAULT_NO_SPACE},
    {EDQUOT, PLATFORM_FAULT_QUOTA},          {EMFILE, PLATFORM_FAULT_TOO_MANY_FILES},
    {ENFILE, PLATFORM_FAULT_TOO_MANY_FILES}, {EMLINK, PLATFORM_FAULT_TOO_MANY_LINKS},
    {ENOMEM, PLATFORM_FAULT_MEMORY},         {EOPNOTSUPP, PLATFORM_FAULT_UNSUPPORTED},
    {ENOSYS, PLATFORM_FAULT_UNSUPPORTED},    {ENXIO, PLATFORM_FAULT_KIND},
};

platform_fault beneath_fault(int error_number) {
    for (size_t i = 0; i < sizeof fault_table / sizeof fault_table[0]; i++) {
        if (fault_table[i].number == error_number) {
            return fault_table[i].fault;
        }
    }
    return PLATFORM_FAULT_IO;
}

static platform_fault fault_of(int result) {
    return result == 0 ? PLATFORM_FAULT_NONE : beneath_fault(errno);
}

/* ---- who resolves ---------------------------------------------------------------------- */

enum { RESOLVER_UNKNOWN = 0, RESOLVER_KERNEL, RESOLVER_WALK };
static atomic_int resolver;

void platform_beneath_walk_only(bool walk_only) {
    atomic_store(&resolver, walk_only ? RESOLVER_WALK : RESOLVER_UNKNOWN);
}

/* Containers may refuse the call with EPERM, which otherwise could mean the file. */
static bool kernel_resolves(int folder) {
    int known = atomic_load(&resolver);
    if (known == RESOLVER_UNKNOWN) {
        int fd = beneath_os_open(folder, ".", BENEATH_FOLDER_FLAGS, 0);
        bool works = fd >= 0 || (errno != ENOSYS && errno != EPERM);
        if (fd >= 0) {
            (void)close(fd);
        }
        known = works ? RESOLVER_KERNEL : RESOLVER_WALK;
        atomic_store(&resolver, known);
    }
    return known == RESOLVER_KERNEL;
}

/* False: it has to be walked. Else *fd, or a fault. */
static bool kernel_open(int folder, const char *path, int flags, mode_t mode, int *fd,
                        platform_fault *fault) {
    if (!kernel_resolves(folder)) {
        return false;
    }
    for (unsigned i = 0; i < MAX_TRIES; i++) {
        *fd = beneath_os_open(folder, path, flags, mode);
        if (*fd >= 0 || errno != EAGAIN) {
            *fault = *fd >= 0         ? PLATFORM_FAULT_NONE
                     : errno == EXDEV ? PLATFORM_FAULT_OUTSIDE
                                      : beneath_fault(errno);
            return true;
        }
    }
    return false;
}

/* ---- the place of a name --------------------------------------------------------------- */

/* The last name of a path, without slashes behind it, and the length of what is before. */
static platform_fault split(const char *path, beneath_place *out, size_t *parent_length) {
    size_t end = strlen(path);
    if (end == 0 || end >= PLATFORM_PATH_BYTES) {
        return end == 0 ? PLATFORM_FAULT_MISSING : PLATFORM_FAULT_NAME_TOO_LONG;
    }
    if (path[0] == '/') {
        return PLATFORM_FAULT_OUTSIDE;
    }
    while (path[end - 1] == '/') {
        end--;
        out->must_folder = true;
    }
    size_t begin = end;
    while (begin > 0 && path[begin - 1] != '/') {
        begin--;
    }
    if (end - begin >= sizeof out->name) {
        return PLATFORM_FAULT_NAME_TOO_LONG;
    }
    memcpy(out->name, path + begin, end - begin);
    out->name[end - begin] = '\0';
    *parent_length = begin;
    return PLATFORM_FAULT_NONE;
}

/* Where the last name lies, which is not followed when it is a link. */
static platform_fault locate(int folder, const char *path, beneath_place *out) {
    char parent[PLATFORM_PATH_BYTES];
    size_t length = 0;
    *out = (beneath_place){.folder = folder};
    platform_fault fault = split(path, out, &length);
    if (fault != PLATFORM_FAULT_NONE) {
        return fault;
    }
    bool is_dots = strcmp(out->name, ".") == 0 || strcmp(out->name, "..") == 0;
    if (length == 0 && !is_dots) {
        return PLATFORM_FAULT_NONE;
    }
    memcpy(parent, path, length);
    parent[length] = '\0';
    if (!kernel_open(folder, is_dots ? path : parent, BENEATH_FOLDER_FLAGS, 0, &out->folder,
                     &fault)) {
        return beneath_walk(folder, path, false, out);
    }
    out->owned = fault == PLATFORM_FAULT_NONE;
    if (is_dots) {
        memcpy(out->name, ".", 2);
    }
    return fault;
}

static bool is_self(const beneath_place *place) {
    return strcmp(place->name, ".") == 0;
}

/* A slash behind a name is for folders alone. */
static platform_fault check_slash(const beneath_place *place) {
    struct stat s;
    if (!place->must_folder) {
        return PLATFORM_FAULT_NONE;
    }
    if (fstatat(place->folder, place->name, &s, AT_SYMLINK_NOFOLLOW) != 0) {
        return beneath_fault(errno);
    }
    return S_ISDIR(s.st_mode) ? PLATFORM_FAULT_NONE : PLATFORM_FAULT_NOT_FOLDER;
}

/* ---- looking and opening --------------------------------------------------------------- */

tars_status platform_beneath_root(const char *path, platform_handle *out, tars_error *err) {
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    *out = PLATFORM_NO_HANDLE;
    if (fd < 0) {
        return platform_fail(err, errno, path, "cannot open the folder");
    }
    *out = fd;
    return TARS_OK;
}

static bool ends_with_slash(const char *path) {
    size_t length = strlen(path);
    return length > 0 && path[length - 1] == '/';
}

static platform_fault look_at(const beneath_place *place, bool follow, platform_entry *out) {
    struct stat s;
    if (fstatat(place->folder, place->name, &s, AT_SYMLINK_NOFOLLOW) != 0) {
        return beneath_fault(errno);
    }
    beneath_entry_of(&s, out);
    if (follow && out->kind == PLATFORM_KIND_LINK) {
        return PLATFORM_FAULT_LOOP; /* it was put there meanwhile */
    }
    return place->must_folder && out->kind != PLATFORM_KIND_FOLDER ? PLATFORM_FAULT_NOT_FOLDER
                                                                   : PLATFORM_FAULT_NONE;
}

static platform_fault look_walking(int folder, const char *path, bool follow, platform_entry *out) {
    beneath_place place;
    platform_fault fault = beneath_walk(folder, path, follow, &place);
    if (fault == PLATFORM_FAULT_NONE) {
        fault = look_at(&place, follow, out);
        beneath_release(&place);
    }
    return fault;
}

platform_fault platform_beneath_look(platform_handle folder, const char *path, bool follow,
                                     platform_entry *out) {
    bool follows = follow || ends_with_slash(path);
    *out = (platform_entry){.kind = PLATFORM_KIND_MISSING};
#if defined(O_PATH)
    platform_fault fault;
    int fd = -1;
    int flags = O_PATH | O_CLOEXEC | (follows ? 0 : O_NOFOLLOW);
    if (kernel_open((int)folder, path, flags, 0, &fd, &fault)) {
        if (fault == PLATFORM_FAULT_NONE) {
            fault = platform_beneath_get_entry(fd, out);
            (void)close(fd);
        }
        return fault;
    }
#endif
    return look_walking((int)folder, path, follows, out);
}

static int system_flags(unsigned flags) {
    static const struct {
        unsigned ours;
        int theirs;
    } rows[] = {{PLATFORM_OPEN_APPEND, O_APPEND},    {PLATFORM_OPEN_CREATE, O_CREAT},
                {PLATFORM_OPEN_NEW, O_EXCL},         {PLATFORM_OPEN_EMPTY, O_TRUNC},
                {PLATFORM_OPEN_FOLDER, O_DIRECTORY}, {PLATFORM_OPEN_NO_LINK, O_NOFOLLOW},
                {PLATFORM_OPEN_SYNC, O_SYNC},        {PLATFORM_OPEN_DATA_SYNC, O_DSYNC}};
    unsigned access = flags & (PLATFORM_OPEN_READ | PLATFORM_OPEN_WRITE);
    int result = O_CLOEXEC | O_NOCTTY | O_NONBLOCK;
    result |= access == (PLATFORM_OPEN_READ | PLATFORM_OPEN_WRITE) ? O_RDWR
              : access == PLATFORM_OPEN_WRITE                      ? O_WRONLY
                                                                   : O_RDONLY;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        result |= (flags & rows[i].ours) != 0 ? rows[i].theirs : 0;
    }
    return result;
}

static platform_fault open_walking(int folder, const char *path, bool follow, int flags,
                                   mode_t mode, int *fd) {
    beneath_place place;
    platform_fault fault = beneath_walk(folder, path, follow, &place);
    if (fault != PLATFORM_FAULT_NONE) {
        return fault;
    }
    if (place.must_folder && (flags & O_CREAT) == 0) {
        flags |= O_DIRECTORY;
    }
    if (place.must_folder && (flags & O_CREAT) != 0) {
        fault = PLATFORM_FAULT_IS_FOLDER; /* a file cannot be made by such a name */
    } else {
        *fd = openat(place.folder, place.name, flags | O_NOFOLLOW, mode);
        fault = *fd >= 0 ? PLATFORM_FAULT_NONE : beneath_fault(errno);
    }
    beneath_release(&place);
    return fault;
}

/* What is there already: opening a device can do things. */
static platform_fault check_kind(int folder, const char *path, bool follow, bool may_be_missing) {
    platform_entry entry;
    platform_fault fault = platform_beneath_look(folder, path, follow, &entry);
    if (fault == PLATFORM_FAULT_NONE) {
        return entry.kind == PLATFORM_KIND_OTHER  ? PLATFORM_FAULT_KIND
               : entry.kind == PLATFORM_KIND_LINK ? PLATFORM_FAULT_LOOP
                                                  : PLATFORM_FAULT_NONE;
    }
    return fault == PLATFORM_FAULT_MISSING && may_be_missing ? PLATFORM_FAULT_NONE : fault;
}

platform_fault platform_beneath_open(platform_handle folder, const char *path, unsigned flags,
                                     uint32_t mode, platform_handle *out, platform_entry *entry) {
    unsigned maker = flags & (PLATFORM_OPEN_CREATE | PLATFORM_OPEN_NEW | PLATFORM_OPEN_EMPTY);
    bool is_new = (maker & PLATFORM_OPEN_NEW) != 0;
    bool follow = ((flags & PLATFORM_OPEN_NO_LINK) == 0 && !is_new) || ends_with_slash(path);
    *out = PLATFORM_NO_HANDLE;
    *entry = (platform_entry){.kind = PLATFORM_KIND_MISSING};
    if (((flags & PLATFORM_OPEN_FOLDER) != 0 && maker != 0) ||
        (is_new && (maker & PLATFORM_OPEN_CREATE) == 0)) {
        return PLATFORM_FAULT_INVALID;
    }
    platform_fault fault = PLATFORM_FAULT_NONE;
    if (!is_new) {
        fault = check_kind((int)folder, path, follow, (maker & PLATFORM_OPEN_CREATE) != 0);
    }
    if (fault != PLATFORM_FAULT_NONE) {
        return fault;
    }
    int fd = -1;
    int system = system_flags(flags);
    mode_t made = (maker & PLATFORM_OPEN_CREATE) != 0 ? (mode_t)(mode & 0777) : 0;
    if (!kernel_open((int)folder, path, system, made, &fd, &fault)) {
        fault = open_walking((int)folder, path, follow, system, made, &fd);
    }
    if (fault != PLATFORM_FAULT_NONE) {
        return fault;
    }
    fault = platform_beneath_get_entry(fd, entry);
    if (fault == PLATFORM_FAULT_NONE &&
        ((entry->kind != PLATFORM_KIND_FILE && entry->kind != PLATFORM_KIND_FOLDER) ||
         !beneath_os_is_stored(fd))) {
        fault = PLATFORM_FAULT_KIND;
    }
    if (fault != PLATFORM_FAULT_NONE) {
        (void)close(fd);
        return fault;
    }
    *out = fd;
    return PLATFORM_FAULT_NONE;
}

/* ---- names ----------------------------------------------------------------------------- */

static struct timespec system_time(platform_time t) {
    struct timespec out = {.tv_nsec = UTIME_OMIT};
    if (t.how == PLATFORM_TIME_NOW) {
        out.tv_nsec = UTIME_NOW;
    } else if (t.how == PLATFORM_TIME_SET) {
        int64_t second = t.ns / 1000000000 - (t.ns % 1000000000 < 0);
        out.tv_sec = (time_t)second;
        out.tv_nsec = (long)(t.ns - second * 1000000000);
    }
    return out;
}

platform_fault platform_beneath_set_times(platform_handle folder, const char *path, bool follow,
                                          platform_time access, platform_time change) {
    beneath_place place;
    const struct timespec times[2] = {system_time(access), system_time(change)};
    bool follows = follow || ends_with_slash(path);
    platform_fault fault =
        follows ? beneath_walk((int)folder, path, true, &place) : locate((int)folder, path, &place);
    if (fault == PLATFORM_FAULT_NONE) {
        fault = check_slash(&place);
    }
    if (fault == PLATFORM_FAULT_NONE) {
        fault = fault_of(utimensat(place.folder, place.name, times, AT_SYMLINK_NOFOLLOW));
    }
    beneath_release(&place);
    return fault;
}

platform_fault platform_beneath_set_entry_times(platform_handle handle, platform_time access,
                                                platform_time change) {
    const struct timespec times[2] = {system_time(access), system_time(change)};
    return fault_of(futimens((int)handle, times));
}

/* Only of what files are: a device's or a socket's bits say who may use it. The folder itself can
 * only be named by "." in itself, whatever is renamed. */
static platform_fault set_mode_at(int folder, const beneath_place *place, uint32_t mode) {
    platform_entry root, entry = {.kind = PLATFORM_KIND_MISSING};
    platform_fault fault = look_at(place, false, &entry);
    if (fault == PLATFORM_FAULT_NONE && is_self(place)) {
        fault = platform_beneath_get_entry(folder, &root);
        if (fault == PLATFORM_FAULT_NONE && root.device == entry.device &&
            root.inode == entry.inode) {
            return root.mode == mode ? PLATFORM_FAULT_NONE : PLATFORM_FAULT_OUTSIDE;
        }
    }
    if (fault != PLATFORM_FAULT_NONE) {
        return fault;
    }
    if (entry.kind != PLATFORM_KIND_FILE && entry.kind != PLATFORM_KIND_FOLDER) {
        return entry.kind == PLATFORM_KIND_LINK ? PLATFORM_FAULT_UNSUPPORTED : PLATFORM_FAULT_KIND;
    }
    /* a link that was put there meanwhile is not followed */
    return fault_of(beneath_os_set_mode(place->folder, place->name, (mode_t)(mode & 0777)));
}

platform_fault platform_beneath_set_mode(platform_handle folder, const char *path, bool follow,
                                         uint32_t mode) {
    beneath_place place;
    bool follows = follow || ends_with_slash(path);
    platform_fault fault =
        follows ? beneath_walk((int)folder, path, true, &place) : locate((int)folder, path, &place);
    if (fault == PLATFORM_FAULT_NONE) {
        fault = set_mode_at((int)folder, &place, mode);
    }
    beneath_release(&place);
    return fault;
}

platform_fault platform_beneath_set_entry_mode(platform_handle handle, uint32_t mode) {
    return fault_of(fchmod((int)handle, (mode_t)(mode & 0777)));
}

platform_fault platform_beneath_make_folder(platform_handle folder, const char *path,
                                            uint32_t mode) {
    beneath_place place;
    platform_fault fault = locate((int)folder, path, &place);
    if (fault == PLATFORM_FAULT_NONE) {
        fault = is_self(&place)
                    ? PLATFORM_FAULT_EXISTS
                    : fault_of(mkdirat(place.folder, place.name, (mode_t)(mode & 0777)));
    }
    beneath_release(&place);
    return fault;
}

platform_fault platform_beneath_remove_file(platform_handle folder, const char *path) {
    struct stat s;
    beneath_place place;
    platform_fault fault = locate((int)folder, path, &place);
    if (fault == PLATFORM_FAULT_NONE && is_self(&place)) {
        fault = PLATFORM_FAULT_IS_FOLDER;
    }
    if (fault == PLATFORM_FAULT_NONE) {
        fault = check_slash(&place);
    }
    if (fault == PLATFORM_FAULT_NONE) {
        fault = fault_of(unlinkat(place.folder, place.name, 0));
    }
    if (fault == PLATFORM_FAULT_NOT_PERMITTED && /* what POSIX says of folders */
        fstatat(place.folder, place.name, &s, AT_SYMLINK_NOFOLLOW) == 0 && S_ISDIR(s.st_mode)) {
        fault = PLATFORM_FAULT_IS_FOLDER;
    }
    beneath_release(&place);
    return fault;
}

platform_fault platform_beneath_remove_folder(platform_handle folder, const char *path) {
    beneath_place place;
    platform_fault fault = locate((int)folder, path, &place);
    if (fault == PLATFORM_FAULT_NONE) {
        fault = is_self(&place) ? PLATFORM_FAULT_INVALID
                                : fault_of(unlinkat(place.folder, place.name, AT_REMOVEDIR));
    }
    beneath_release(&place);
    return fault == PLATFORM_FAULT_EXISTS ? PLATFORM_FAULT_NOT_EMPTY : fault; /* POSIX: either */
}

/* Both places of a call that has two; both are to be released, whatever the result. */
static platform_fault locate_both(platform_handle from_folder, const char *from, bool follow,
                                  platform_handle to_folder, const char *to, beneath_place *source,
                                  beneath_place *target) {
    *target = (beneath_place){.folder = -1};
    platform_fault fault = follow ? beneath_walk((int)from_folder, from, true, source)
                                  : locate((int)from_folder, from, source);
    return fault == PLATFORM_FAULT_NONE ? locate((int)to_folder, to, target) : fault;
}

/* A target that ends with a slash must become a folder, so the source must be one. */
static platform_fault check_target(const beneath_place *source, const beneath_place *target) {
    struct stat s;
    if (!target->must_folder) {
        return PLATFORM_FAULT_NONE;
    }
    if (fstatat(source->folder, source->name, &s, AT_SYMLINK_NOFOLLOW) != 0) {
        return beneath_fault(errno);
    }
    return S_ISDIR(s.st_mode) ? PLATFORM_FAULT_NONE : PLATFORM_FAULT_NOT_FOLDER;
}

platform_fault platform_beneath_rename(platform_handle from_folder, const char *from,
                                       platform_handle to_folder, const char *to) {
    beneath_place source, target;
    platform_fault fault = locate_both(from_folder, from, false, to_folder, to, &source, &target);
    if (fault == PLATFORM_FAULT_NONE && (is_self(&source) || is_self(&target))) {
        fault = PLATFORM_FAULT_BUSY;
    }
    if (fault == PLATFORM_FAULT_NONE) {
        fault = check_slash(&source);
    }
    if (fault == PLATFORM_FAULT_NONE) {
        fault = check_target(&source, &target);
    }
    if (fault == PLATFORM_FAULT_NONE) {
        fault = fault_of(renameat(source.folder, source.name, target.folder, target.name));
    }
    beneath_release(&source);
    beneath_release(&target);
    return fault;
}

platform_fault platform_beneath_link(platform_handle from_folder, const char *from, bool follow,
                                     platform_handle to_folder, const char *to) {
    beneath_place source, target;
    platform_fault fault = locate_both(from_folder, from, follow, to_folder, to, &source, &target);
    if (fault == PLATFORM_FAULT_NONE) {
        fault = is_self(&target)   ? PLATFORM_FAULT_EXISTS
                : is_self(&source) ? PLATFORM_FAULT_NOT_PERMITTED /* a folder has one name */
                                   : check_slash(&source);
    }
    if (fault == PLATFORM_FAULT_NONE && target.must_folder) {
        fault = check_slash(&target);
        fault = fault == PLATFORM_FAULT_NONE ? PLATFORM_FAULT_EXISTS : fault;
    }
    if (fault == PLATFORM_FAULT_NONE) {
        fault = fault_of(linkat(source.folder, source.name, target.folder, target.name, 0));
    }
    beneath_release(&source);
    beneath_release(&target);
    return fault;
}

/* Without .. a link leads below its folder, wherever that is moved to. */
static bool climbs(const char *target) {
    for (const char *at = target; *at;) {
        size_t length = strcspn(at, "/");
        if (length == 2 && at[0] == '.' && at[1] == '.') {
            return true;
        }
        at += length + strspn(at + length, "/");
    }
    return false;
}

platform_fault platform_beneath_make_link(const char *target, platform_handle folder,
                                          const char *path) {
    beneath_place place;
    if (target[0] == '/' || climbs(target)) {
        return PLATFORM_FAULT_OUTSIDE;
    }
    platform_fault fault = locate((int)folder, path, &place);
    if (fault == PLATFORM_FAULT_NONE && is_self(&place)) {
        fault = PLATFORM_FAULT_EXISTS;
    }
    if (fault == PLATFORM_FAULT_NONE && place.must_folder) {
        fault = check_slash(&place);
        fault = fault == PLATFORM_FAULT_NONE ? PLATFORM_FAULT_EXISTS : fault;
    }
    if (fault == PLATFORM_FAULT_NONE) {
        fault = fault_of(symlinkat(target, place.folder, place.name));
    }
    beneath_release(&place);
    return fault;
}

platform_fault platform_beneath_read_link(platform_handle folder, const char *path,
                                          char target[PLATFORM_PATH_BYTES], size_t *length) {
    beneath_place place;
    *length = 0;
    platform_fault fault = ends_with_slash(path) ? beneath_walk((int)folder, path, true, &place)
                                                 : locate((int)folder, path, &place);
    if (fault == PLATFORM_FAULT_NONE && is_self(&place)) {
        fault = PLATFORM_FAULT_INVALID;
    }
    if (fault == PLATFORM_FAULT_NONE) {
        ssize_t n = readlinkat(place.folder, place.name, target, PLATFORM_PATH_BYTES);
        fault = n < 0                              ? beneath_fault(errno)
                : (size_t)n >= PLATFORM_PATH_BYTES ? PLATFORM_FAULT_NAME_TOO_LONG
                : n > 0 && target[0] == '/'        ? PLATFORM_FAULT_OUTSIDE
                                                   : PLATFORM_FAULT_NONE;
        *length = fault == PLATFORM_FAULT_NONE ? (size_t)n : 0;
        target[*length] = '\0';
    }
    beneath_release(&place);
    return fault;
}
