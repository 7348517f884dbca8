#include "runtime/wasi/internal.h"

enum { FOLLOW = 1 };
enum { OPEN_CREATE = 1, OPEN_FOLDER = 2, OPEN_NEW = 4, OPEN_EMPTY = 8, OPEN_ALL = 15 };

/* A folder's descriptor and a path below it. */
static wasi_errno take_path(wasi_context *context, wasi_memory memory, uint64_t folder,
                            uint64_t rights, uint64_t at, uint64_t length, wasi_descriptor **row,
                            char path[PLATFORM_PATH_BYTES]) {
    path[0] = '\0';
    wasi_errno result = wasi_take(context, folder, WASI_KIND_FOLDER, rights, row);
    return result == WASI_SUCCESS ? wasi_get_path(memory, (uint32_t)at, (uint32_t)length, path)
                                  : result;
}

/* ---- opening --------------------------------------------------------------------------- */

typedef struct opening {
    uint32_t how, flags; /* oflags, fdflags */
    uint64_t rights, inheriting;
    bool follow;
} opening;

/* Programs ask for every right that there is (or for more than a folder for reading can give) and
 * use few: what cannot be had is left out in silence, except for reading and writing, which they
 * would miss. */
static wasi_errno check_opening(wasi_context *context, const wasi_descriptor *row,
                                const opening *o) {
    uint64_t needed = WASI_RIGHT_PATH_OPEN;
    needed |= (o->how & OPEN_CREATE) != 0 ? WASI_RIGHT_PATH_CREATE_FILE : 0;
    needed |= (o->how & OPEN_EMPTY) != 0 ? WASI_RIGHT_PATH_FILESTAT_SET_SIZE : 0;
    bool bad = (o->how & ~(uint32_t)OPEN_ALL) != 0 || (o->flags & ~(uint32_t)WASI_FLAGS_ALL) != 0 ||
               ((o->how & OPEN_FOLDER) != 0 && (o->how & ~(uint32_t)OPEN_FOLDER) != 0);
    uint64_t missing =
        (needed & ~row->rights) |
        (o->rights & ~row->inheriting &
         (WASI_RIGHT_FD_READ | ((o->how & OPEN_FOLDER) == 0 ? WASI_RIGHT_FD_WRITE : (uint64_t)0)));
    if (bad) {
        return WASI_EINVAL;
    }
    if (missing == 0) {
        return WASI_SUCCESS;
    }
    bool granted_to_read =
        !row->writable && (missing & ~(WASI_RIGHT_PATH_OPEN | WASI_RIGHT_FD_READ)) != 0;
    wasi_refuse(context, granted_to_read ? "path" : "wasi");
    return granted_to_read ? WASI_EROFS : WASI_ENOTCAPABLE;
}

static unsigned platform_flags(const opening *o) {
    bool folder = (o->how & OPEN_FOLDER) != 0;
    bool writes = !folder && ((o->rights & WASI_RIGHT_FD_WRITE) != 0 || (o->how & OPEN_EMPTY) != 0);
    bool reads = (o->rights & WASI_RIGHT_FD_READ) != 0 || !writes;
    const struct {
        bool set;
        unsigned flag;
    } rows[] = {{reads, PLATFORM_OPEN_READ},
                {writes, PLATFORM_OPEN_WRITE},
                {folder, PLATFORM_OPEN_FOLDER},
                {!o->follow, PLATFORM_OPEN_NO_LINK},
                {(o->how & OPEN_CREATE) != 0, PLATFORM_OPEN_CREATE},
                {(o->how & OPEN_CREATE) != 0 && (o->how & OPEN_NEW) != 0, PLATFORM_OPEN_NEW},
                {(o->how & OPEN_EMPTY) != 0, PLATFORM_OPEN_EMPTY},
                {(o->flags & WASI_FLAG_APPEND) != 0, PLATFORM_OPEN_APPEND},
                {(o->flags & WASI_FLAG_DSYNC) != 0, PLATFORM_OPEN_DATA_SYNC},
                {(o->flags & (WASI_FLAG_SYNC | WASI_FLAG_RSYNC)) != 0, PLATFORM_OPEN_SYNC}};
    unsigned flags = 0;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        flags |= rows[i].set ? rows[i].flag : 0;
    }
    return flags;
}

WASI_CALL(path_open) {
    wasi_descriptor *row;
    char path[PLATFORM_PATH_BYTES];
    opening o = {.follow = (wasi_u32(arguments, 1) & FOLLOW) != 0,
                 .how = wasi_u32(arguments, 4),
                 .rights = arguments[5],
                 .inheriting = arguments[6],
                 .flags = wasi_u32(arguments, 7)};
    uint32_t at = wasi_u32(arguments, 8);
    wasi_errno result =
        take_path(context, memory, arguments[0], 0, arguments[2], arguments[3], &row, path);
    if (result == WASI_SUCCESS) {
        result = wasi_in_memory(memory, at, 4) ? check_opening(context, row, &o) : WASI_EFAULT;
    }
    if (result == WASI_SUCCESS && !wasi_has_room(context)) {
        result = WASI_EMFILE; /* before a file is made or emptied */
    }
    if (result != WASI_SUCCESS) {
        return result;
    }
    platform_entry entry;
    wasi_descriptor opened = {.writable = row->writable, .flags = (uint16_t)o.flags};
    result = wasi_fault(context, platform_beneath_open(row->handle, path, platform_flags(&o), 0666,
                                                       &opened.handle, &entry));
    if (result != WASI_SUCCESS) {
        return result;
    }
    bool folder = entry.kind == PLATFORM_KIND_FOLDER;
    uint64_t possible = folder ? WASI_RIGHTS_OF_FOLDERS : WASI_RIGHTS_OF_FILES;
    if (!folder && (o.rights & WASI_RIGHT_FD_WRITE) == 0) { /* its handle cannot write */
        possible &= ~(WASI_RIGHTS_CHANGE_FILES & ~WASI_RIGHT_FD_FILESTAT_SET_TIMES);
    }
    opened.kind = folder ? WASI_KIND_FOLDER : WASI_KIND_FILE;
    opened.rights = o.rights & row->inheriting & possible;
    opened.inheriting = folder ? o.inheriting & row->inheriting : 0;
    uint32_t number;
    result = wasi_add(context, &opened, &number);
    if (result != WASI_SUCCESS) {
        platform_handle_close(opened.handle);
        return result;
    }
    return wasi_put_u32(memory, at, number);
}

/* ---- looking --------------------------------------------------------------------------- */

WASI_CALL(path_filestat_get) {
    wasi_descriptor *row;
    char path[PLATFORM_PATH_BYTES];
    uint8_t out[64];
    platform_entry entry;
    bool follow = (wasi_u32(arguments, 1) & FOLLOW) != 0;
    wasi_errno result = take_path(context, memory, arguments[0], WASI_RIGHT_PATH_FILESTAT_GET,
                                  arguments[2], arguments[3], &row, path);
    if (result == WASI_SUCCESS) {
        result = wasi_fault(context, platform_beneath_look(row->handle, path, follow, &entry));
    }
    if (result != WASI_SUCCESS) {
        return result;
    }
    wasi_encode_filestat(context, &entry, out);
    return wasi_put(memory, wasi_u32(arguments, 4), out, sizeof out);
}

WASI_CALL(path_filestat_set_times) {
    wasi_descriptor *row;
    char path[PLATFORM_PATH_BYTES];
    platform_time access, change;
    bool follow = (wasi_u32(arguments, 1) & FOLLOW) != 0;
    wasi_errno result = take_path(context, memory, arguments[0], WASI_RIGHT_PATH_FILESTAT_SET_TIMES,
                                  arguments[2], arguments[3], &row, path);
    if (result == WASI_SUCCESS) {
        result =
            wasi_times_of(arguments[4], arguments[5], wasi_u32(arguments, 6), &access, &change);
    }
    return result == WASI_SUCCESS
               ? wasi_fault(context,
                            platform_beneath_set_times(row->handle, path, follow, access, change))
               : result;
}

/* As much of the target as there is room for, without a NUL. */
WASI_CALL(path_readlink) {
    wasi_descriptor *row;
    char path[PLATFORM_PATH_BYTES], target[PLATFORM_PATH_BYTES];
    size_t length = 0;
    uint32_t buffer = wasi_u32(arguments, 3);
    uint32_t room = wasi_u32(arguments, 4);
    uint32_t used_at = wasi_u32(arguments, 5);
    wasi_errno result = take_path(context, memory, arguments[0], WASI_RIGHT_PATH_READLINK,
                                  arguments[1], arguments[2], &row, path);
    if (result == WASI_SUCCESS &&
        (!wasi_in_memory(memory, buffer, room) || !wasi_in_memory(memory, used_at, 4))) {
        result = WASI_EFAULT;
    }
    if (result == WASI_SUCCESS) {
        result =
            wasi_fault(context, platform_beneath_read_link(row->handle, path, target, &length));
    }
    if (result != WASI_SUCCESS) {
        return result;
    }
    length = length < room ? length : room;
    (void)wasi_put(memory, buffer, target, length);
    return wasi_put_u32(memory, used_at, (uint32_t)length);
}

/* ---- names ----------------------------------------------------------------------------- */

WASI_CALL(path_create_directory) {
    wasi_descriptor *row;
    char path[PLATFORM_PATH_BYTES];
    wasi_errno result = take_path(context, memory, arguments[0], WASI_RIGHT_PATH_CREATE_DIRECTORY,
                                  arguments[1], arguments[2], &row, path);
    return result == WASI_SUCCESS
               ? wasi_fault(context, platform_beneath_make_folder(row->handle, path, 0777))
               : result;
}

WASI_CALL(path_remove_directory) {
    wasi_descriptor *row;
    char path[PLATFORM_PATH_BYTES];
    wasi_errno result = take_path(context, memory, arguments[0], WASI_RIGHT_PATH_REMOVE_DIRECTORY,
                                  arguments[1], arguments[2], &row, path);
    return result == WASI_SUCCESS
               ? wasi_fault(context, platform_beneath_remove_folder(row->handle, path))
               : result;
}

WASI_CALL(path_unlink_file) {
    wasi_descriptor *row;
    char path[PLATFORM_PATH_BYTES];
    wasi_errno result = take_path(context, memory, arguments[0], WASI_RIGHT_PATH_UNLINK_FILE,
                                  arguments[1], arguments[2], &row, path);
    return result == WASI_SUCCESS
               ? wasi_fault(context, platform_beneath_remove_file(row->handle, path))
               : result;
}

WASI_CALL(path_rename) {
    wasi_descriptor *from_row, *to_row;
    char from[PLATFORM_PATH_BYTES], to[PLATFORM_PATH_BYTES];
    wasi_errno result = take_path(context, memory, arguments[0], WASI_RIGHT_PATH_RENAME_SOURCE,
                                  arguments[1], arguments[2], &from_row, from);
    if (result == WASI_SUCCESS) {
        result = take_path(context, memory, arguments[3], WASI_RIGHT_PATH_RENAME_TARGET,
                           arguments[4], arguments[5], &to_row, to);
    }
    return result == WASI_SUCCESS
               ? wasi_fault(context,
                            platform_beneath_rename(from_row->handle, from, to_row->handle, to))
               : result;
}

WASI_CALL(path_link) {
    wasi_descriptor *from_row, *to_row;
    char from[PLATFORM_PATH_BYTES], to[PLATFORM_PATH_BYTES];
    bool follow = (wasi_u32(arguments, 1) & FOLLOW) != 0;
    wasi_errno result = take_path(context, memory, arguments[0], WASI_RIGHT_PATH_LINK_SOURCE,
                                  arguments[2], arguments[3], &from_row, from);
    if (result == WASI_SUCCESS) {
        result = take_path(context, memory, arguments[4], WASI_RIGHT_PATH_LINK_TARGET, arguments[5],
                           arguments[6], &to_row, to);
    }
    return result == WASI_SUCCESS
               ? wasi_fault(context, platform_beneath_link(from_row->handle, from, follow,
                                                           to_row->handle, to))
               : result;
}

WASI_CALL(path_symlink) {
    wasi_descriptor *row;
    char target[PLATFORM_PATH_BYTES], path[PLATFORM_PATH_BYTES];
    wasi_errno result = take_path(context, memory, arguments[2], WASI_RIGHT_PATH_SYMLINK,
                                  arguments[3], arguments[4], &row, path);
    if (result == WASI_SUCCESS) {
        result = wasi_get_path(memory, wasi_u32(arguments, 0), wasi_u32(arguments, 1), target);
    }
    return result == WASI_SUCCESS
               ? wasi_fault(context, platform_beneath_make_link(target, row->handle, path))
               : result;
}
