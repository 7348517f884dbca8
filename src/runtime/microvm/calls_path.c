#include "runtime/microvm/linux_internal.h"

#include <stdlib.h>
#include <string.h>

static const uint64_t HERE = (uint64_t)LINUX_AT_CWD;

/* ---- opening --------------------------------------------------------------------------- */

enum {
    OPEN_WRITE = 1,
    OPEN_READ_WRITE = 2,
    OPEN_ACCESS = 3,
    OPEN_CREATE = 0x40,
    OPEN_NEW = 0x80,
    OPEN_EMPTY = 0x200,
    OPEN_APPEND = 0x400,
    OPEN_NO_WAIT = 0x800,
    OPEN_DATA_SYNC = 0x1000,
    OPEN_FOLDER = 0x10000,
    OPEN_NO_LINK = 0x20000,
    OPEN_CLOSE_ON_EXEC = 0x80000,
    OPEN_SYNC = 0x100000,
    OPEN_TEMPORARY = 0x400000
};

static bool reads(uint32_t flags) {
    return (flags & OPEN_ACCESS) != OPEN_WRITE;
}

static bool writes(uint32_t flags) {
    return (flags & OPEN_ACCESS) != 0;
}

static unsigned platform_flags(uint32_t flags) {
    static const struct {
        uint32_t theirs;
        unsigned ours;
    } rows[] = {{OPEN_CREATE, PLATFORM_OPEN_CREATE},       {OPEN_EMPTY, PLATFORM_OPEN_EMPTY},
                {OPEN_APPEND, PLATFORM_OPEN_APPEND},       {OPEN_FOLDER, PLATFORM_OPEN_FOLDER},
                {OPEN_NO_LINK, PLATFORM_OPEN_NO_LINK},     {OPEN_SYNC, PLATFORM_OPEN_SYNC},
                {OPEN_DATA_SYNC, PLATFORM_OPEN_DATA_SYNC}, {OPEN_NEW, PLATFORM_OPEN_NEW}};
    unsigned result = (reads(flags) ? (unsigned)PLATFORM_OPEN_READ : 0) |
                      (writes(flags) ? (unsigned)PLATFORM_OPEN_WRITE : 0);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        result |= (flags & rows[i].theirs) != 0 ? rows[i].ours : 0;
    }
    return result;
}

/* EINVAL, EROFS … before anything is made or emptied. */
static int64_t check_opening(linux_context *context, const linux_place *place, uint32_t flags) {
    bool changes = writes(flags) || (flags & (OPEN_CREATE | OPEN_EMPTY)) != 0;
    if ((flags & OPEN_ACCESS) == OPEN_ACCESS ||
        ((flags & OPEN_FOLDER) != 0 && (flags & OPEN_CREATE) != 0)) {
        return -LINUX_EINVAL;
    }
    if ((flags & OPEN_TEMPORARY) != 0) {
        return -LINUX_EOPNOTSUPP;
    }
    if (changes && (!place->mount || !place->mount->writable)) {
        linux_refuse(context, "path");
        return -LINUX_EROFS;
    }
    return linux_has_room(context) ? 0 : -LINUX_EMFILE;
}

/* Fills what is not of the descriptor's kind alone. */
static int64_t keep(linux_context *context, linux_open *open, const linux_place *place,
                    uint32_t flags) {
    size_t length = strlen(place->guest);
    open->readable = reads(flags);
    open->writable = writes(flags);
    open->appends = (flags & OPEN_APPEND) != 0;
    open->no_wait = (flags & OPEN_NO_WAIT) != 0;
    if ((open->kind & LINUX_KIND_FOLDERS) != 0) {
        open->readable = false; /* by read */
        open->writable = false;
        open->path = malloc(length + 1);
        if (!open->path) {
            linux_open_release(open);
            return -LINUX_ENOMEM;
        }
        memcpy(open->path, place->guest, length + 1);
    }
    return linux_add(context, open, 0, (flags & OPEN_CLOSE_ON_EXEC) != 0);
}

static int64_t open_device(linux_context *context, const linux_place *place, uint32_t flags) {
    bool is_new = (flags & OPEN_CREATE) != 0 && (flags & OPEN_NEW) != 0;
    if ((flags & OPEN_ACCESS) == OPEN_ACCESS) {
        return -LINUX_EINVAL;
    }
    if ((flags & OPEN_FOLDER) != 0 || is_new) {
        return is_new ? -LINUX_EEXIST : -LINUX_ENOTDIR;
    }
    if (!linux_has_room(context)) {
        return -LINUX_EMFILE;
    }
    linux_open *open = linux_open_new(LINUX_KIND_DEVICE);
    if (!open) {
        return -LINUX_ENOMEM;
    }
    open->device = place->device;
    return keep(context, open, place, flags);
}

static int64_t open_place(linux_context *context, const linux_place *place, uint32_t flags,
                          uint32_t mode) {
    platform_handle handle = PLATFORM_NO_HANDLE;
    platform_entry entry = {.kind = PLATFORM_KIND_FOLDER};
    if (place->device != LINUX_DEVICE_NONE) {
        return open_device(context, place, flags);
    }
    int64_t result = check_opening(context, place, flags);
    if (result == 0 && (flags & OPEN_CREATE) == 0) {
        flags &= ~(uint32_t)OPEN_NEW; /* it means nothing then */
    }
    if (result == 0 && place->mount) {
        unsigned how = platform_flags(flags);
        how |= (how & PLATFORM_OPEN_EMPTY) != 0 ? (unsigned)PLATFORM_OPEN_WRITE : 0;
        result = linux_fault(context,
                             platform_beneath_open(place->mount->handle, place->below, how,
                                                   mode & ~context->file_mask, &handle, &entry));
    }
    if (result != 0) {
        return result;
    }
    linux_kind kind = entry.kind != PLATFORM_KIND_FOLDER ? LINUX_KIND_FILE
                      : place->mount                     ? LINUX_KIND_FOLDER
                                                         : LINUX_KIND_ABOVE;
    linux_open *open = linux_open_new(kind);
    if (!open) {
        if (handle != PLATFORM_NO_HANDLE) {
            platform_handle_close(handle);
        }
        return -LINUX_ENOMEM;
    }
    open->handle = handle;
    open->changeable = place->mount && place->mount->writable;
    return keep(context, open, place, flags);
}

static int64_t open_path(linux_context *context, uint64_t folder, uint64_t address, uint64_t flags,
                         uint64_t mode) {
    linux_place place;
    int64_t result = linux_locate(context, folder, address, &place);
    return result == 0 ? open_place(context, &place, (uint32_t)flags, (uint32_t)mode) : result;
}

LINUX_CALL(open) {
    return open_path(context, HERE, arguments[0], arguments[1], arguments[2]);
}

LINUX_CALL(openat) {
    return open_path(context, arguments[0], arguments[1], arguments[2], arguments[3]);
}

LINUX_CALL(creat) {
    return open_path(context, HERE, arguments[0], OPEN_CREATE | OPEN_EMPTY | OPEN_WRITE,
                     arguments[1]);
}

LINUX_CALL(umask) {
    uint32_t before = context->file_mask;
    context->file_mask = (uint32_t)arguments[0] & 0777;
    return before;
}

/* ---- making and removing ---------------------------------------------------------------- */

static int64_t make_folder(linux_context *context, uint64_t folder, uint64_t address,
                           uint64_t mode) {
    linux_place place;
    int64_t result = linux_locate_to_change(context, folder, address, &place);
    return result == 0 ? linux_fault(context, platform_beneath_make_folder(
                                                  place.mount->handle, place.below,
                                                  (uint32_t)mode & 0777 & ~context->file_mask))
                       : result;
}

LINUX_CALL(mkdir) {
    return make_folder(context, HERE, arguments[0], arguments[1]);
}

LINUX_CALL(mkdirat) {
    return make_folder(context, arguments[0], arguments[1], arguments[2]);
}

static int64_t remove_name(linux_context *context, uint64_t folder, uint64_t address,
                           bool is_folder) {
    linux_place place;
    int64_t result = linux_locate_to_change(context, folder, address, &place);
    if (result != 0) {
        return result;
    }
    return linux_fault(context,
                       is_folder ? platform_beneath_remove_folder(place.mount->handle, place.below)
                                 : platform_beneath_remove_file(place.mount->handle, place.below));
}

LINUX_CALL(unlink) {
    return remove_name(context, HERE, arguments[0], false);
}

LINUX_CALL(rmdir) {
    return remove_name(context, HERE, arguments[0], true);
}

LINUX_CALL(unlinkat) {
    enum { FOLDER = 0x200 };
    uint32_t flags = (uint32_t)arguments[2];
    return (flags & ~(uint32_t)FOLDER) != 0
               ? -LINUX_EINVAL
               : remove_name(context, arguments[0], arguments[1], flags != 0);
}

static int64_t rename_path(linux_context *context, const uint64_t from[2], const uint64_t to[2]) {
    linux_place source, target;
    int64_t result = linux_locate_to_change(context, from[0], from[1], &source);
    if (result == 0) {
        result = linux_locate_to_change(context, to[0], to[1], &target);
    }
    if (result == 0 && source.mount != target.mount) {
        result = -LINUX_EXDEV;
    }
    return result == 0
               ? linux_fault(context, platform_beneath_rename(source.mount->handle, source.below,
                                                              target.mount->handle, target.below))
               : result;
}

LINUX_CALL(rename) {
    return rename_path(context, (const uint64_t[2]){HERE, arguments[0]},
                       (const uint64_t[2]){HERE, arguments[1]});
}

LINUX_CALL(renameat) {
    return rename_path(context, arguments, arguments + 2);
}

/* Without flags: programs ask again so when they are refused one. */
LINUX_CALL(renameat2) {
    return (uint32_t)arguments[4] != 0 ? -LINUX_EINVAL
                                       : rename_path(context, arguments, arguments + 2);
}

/* ---- links ------------------------------------------------------------------------------ */

static int64_t make_name(linux_context *context, const uint64_t from[2], const uint64_t to[2],
                         bool follow) {
    linux_place source, target;
    int64_t result = linux_locate_to_change(context, from[0], from[1], &source);
    if (result == 0) {
        result = linux_locate_to_change(context, to[0], to[1], &target);
    }
    if (result == 0 && source.mount != target.mount) {
        result = -LINUX_EXDEV;
    }
    return result == 0
               ? linux_fault(context,
                             platform_beneath_link(source.mount->handle, source.below, follow,
                                                   target.mount->handle, target.below))
               : result;
}

LINUX_CALL(link) {
    return make_name(context, (const uint64_t[2]){HERE, arguments[0]},
                     (const uint64_t[2]){HERE, arguments[1]}, false);
}

LINUX_CALL(linkat) {
    enum { FOLLOW = 0x400 };
    uint32_t flags = (uint32_t)arguments[4];
    return (flags & ~(uint32_t)FOLLOW) != 0
               ? -LINUX_EINVAL
               : make_name(context, arguments, arguments + 2, flags != 0);
}

static int64_t make_link(linux_context *context, uint64_t target_at, uint64_t folder,
                         uint64_t address) {
    char target[PLATFORM_PATH_BYTES];
    size_t length;
    linux_place place;
    space_text text =
        space_get_text(context->options.space, target_at, target, sizeof target, &length);
    if (text != SPACE_TEXT_OK) {
        return text == SPACE_TEXT_FAULT ? -LINUX_EFAULT : -LINUX_ENAMETOOLONG;
    }
    if (length == 0) {
        return -LINUX_ENOENT;
    }
    int64_t result = linux_locate_to_change(context, folder, address, &place);
    return result == 0
               ? linux_fault(context,
                             platform_beneath_make_link(target, place.mount->handle, place.below))
               : result;
}

LINUX_CALL(symlink) {
    return make_link(context, arguments[0], HERE, arguments[1]);
}

LINUX_CALL(symlinkat) {
    return make_link(context, arguments[0], arguments[1], arguments[2]);
}

/* The one path of /proc that is known: the program itself. */
static bool is_own_program(const char *guest) {
    return strcmp(guest, "/proc/self/exe") == 0 || strcmp(guest, "/proc/1000/exe") == 0;
}

static int64_t read_link(linux_context *context, uint64_t folder, uint64_t path_at, uint64_t buffer,
                         uint64_t room) {
    char target[PLATFORM_PATH_BYTES];
    const char *found = target;
    size_t length = 0;
    linux_place place;
    if ((int32_t)room <= 0) {
        return -LINUX_EINVAL;
    }
    place.guest[0] = '\0';
    int64_t result = linux_locate(context, folder, path_at, &place);
    if (is_own_program(place.guest) && context->options.program) {
        found = context->options.program;
        length = strlen(found);
        result = 0;
    } else if (result == 0) {
        result = place.mount
                     ? linux_fault(context, platform_beneath_read_link(
                                                place.mount->handle, place.below, target, &length))
                     : -LINUX_EINVAL;
    }
    if (result != 0) {
        return result;
    }
    length = length < (uint32_t)room ? length : (uint32_t)room;
    result = linux_put(context, buffer, found, length);
    return result == 0 ? (int64_t)length : result;
}

LINUX_CALL(readlink) {
    return read_link(context, HERE, arguments[0], arguments[1], arguments[2]);
}

LINUX_CALL(readlinkat) {
    return read_link(context, arguments[0], arguments[1], arguments[2], arguments[3]);
}

/* ---- times ------------------------------------------------------------------------------ */

/* Two times, of access and of change; in place of nanoseconds stand "now" and "as it is". */
static int64_t get_times(linux_context *context, uint64_t address, platform_time out[2]) {
    enum { NOW = 0x3FFFFFFF, KEEP = 0x3FFFFFFE, SECOND_NS = 1000000000 };
    int64_t pairs[2][2];
    out[0] = out[1] = (platform_time){.how = PLATFORM_TIME_NOW};
    if (address == 0) {
        return 0;
    }
    int64_t result = linux_get(context, address, pairs, sizeof pairs);
    for (size_t i = 0; i < 2 && result == 0; i++) {
        int64_t seconds = pairs[i][0];
        int64_t rest = pairs[i][1];
        if (rest == NOW || rest == KEEP) {
            out[i].how = rest == NOW ? PLATFORM_TIME_NOW : PLATFORM_TIME_KEEP;
        } else if (rest < 0 || rest >= SECOND_NS || seconds < INT64_MIN / SECOND_NS + 1 ||
                   seconds > INT64_MAX / SECOND_NS - 1) {
            result = -LINUX_EINVAL;
        } else {
            out[i] = (platform_time){.how = PLATFORM_TIME_SET, .ns = seconds * SECOND_NS + rest};
        }
    }
    return result;
}

static int64_t set_times_of(linux_context *context, uint64_t number, const platform_time times[2]) {
    linux_open *open;
    int64_t result = linux_take(context, number, LINUX_KIND_FILE | LINUX_KIND_FOLDER, &open);
    if (result == 0 && !open->changeable) {
        linux_refuse(context, "path");
        result = -LINUX_EROFS;
    }
    return result == 0 ? linux_fault(context, platform_beneath_set_entry_times(open->handle,
                                                                               times[0], times[1]))
                       : result;
}

LINUX_CALL(utimensat) {
    enum { NO_FOLLOW = 0x100 };
    linux_place place;
    platform_time times[2];
    uint32_t flags = (uint32_t)arguments[3];
    if ((flags & ~(uint32_t)NO_FOLLOW) != 0) {
        return -LINUX_EINVAL;
    }
    int64_t result = get_times(context, arguments[2], times);
    if (result == 0 && arguments[1] == 0) {
        return set_times_of(context, arguments[0], times);
    }
    if (result == 0) {
        result = linux_locate_to_change(context, arguments[0], arguments[1], &place);
    }
    return result == 0
               ? linux_fault(context, platform_beneath_set_times(place.mount->handle, place.below,
                                                                 flags == 0, times[0], times[1]))
               : result;
}
