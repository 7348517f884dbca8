#include "runtime/disguise.h"
#include "runtime/wasi/internal.h"

enum { SET_ACCESS = 1, SET_ACCESS_NOW = 2, SET_CHANGE = 4, SET_CHANGE_NOW = 8, SET_ALL = 15 };

uint8_t wasi_filetype(platform_kind kind) {
    return kind == PLATFORM_KIND_FILE     ? WASI_FILETYPE_FILE
           : kind == PLATFORM_KIND_FOLDER ? WASI_FILETYPE_FOLDER
           : kind == PLATFORM_KIND_LINK   ? WASI_FILETYPE_LINK
                                          : WASI_FILETYPE_UNKNOWN;
}

uint64_t wasi_inode(const wasi_context *context, uint64_t inode) {
    return disguise_number(inode, context->inode_keys);
}

/* Times are rounded as clocks are: a file that was just written would be one. */
static uint64_t time_of(const wasi_context *context, int64_t time_ns) {
    return time_ns > 0 ? wasi_round_down(context, (uint64_t)time_ns) : 0;
}

void wasi_encode_filestat(const wasi_context *context, const platform_entry *entry,
                          uint8_t out[64]) {
    wasi_encode(out, disguise_number(entry->device, context->device_keys), 8);
    wasi_encode(out + 8, wasi_inode(context, entry->inode), 8);
    wasi_encode(out + 16, wasi_filetype(entry->kind), 8);
    wasi_encode(out + 24, entry->n_links, 8);
    wasi_encode(out + 32, entry->size_bytes, 8);
    wasi_encode(out + 40, time_of(context, entry->atime_ns), 8);
    wasi_encode(out + 48, time_of(context, entry->mtime_ns), 8);
    wasi_encode(out + 56, time_of(context, entry->ctime_ns), 8);
}

static bool time_to_set(uint64_t time_ns, bool set, bool now, platform_time *out) {
    *out = (platform_time){.how = set   ? PLATFORM_TIME_SET
                                  : now ? PLATFORM_TIME_NOW
                                        : PLATFORM_TIME_KEEP,
                           .ns = set && time_ns <= INT64_MAX ? (int64_t)time_ns : 0};
    return !(set && now) && (!set || time_ns <= INT64_MAX);
}

wasi_errno wasi_times_of(uint64_t atime, uint64_t mtime, uint32_t flags, platform_time *access,
                         platform_time *change) {
    bool valid = (flags & ~(uint32_t)SET_ALL) == 0;
    valid = time_to_set(atime, (flags & SET_ACCESS) != 0, (flags & SET_ACCESS_NOW) != 0, access) &&
            valid;
    valid = time_to_set(mtime, (flags & SET_CHANGE) != 0, (flags & SET_CHANGE_NOW) != 0, change) &&
            valid;
    return valid ? WASI_SUCCESS : WASI_EINVAL;
}

/* ---- calls ----------------------------------------------------------------------------- */

WASI_CALL(fd_fdstat_get) {
    wasi_descriptor *row;
    uint8_t out[24] = {0};
    wasi_errno result = wasi_take(context, arguments[0], WASI_KIND_ANY, 0, &row);
    if (result != WASI_SUCCESS) {
        return result;
    }
    /* A stream is no terminal: a program that finds one asks and colours. */
    out[0] = row->kind == WASI_KIND_FILE     ? WASI_FILETYPE_FILE
             : row->kind == WASI_KIND_FOLDER ? WASI_FILETYPE_FOLDER
                                             : WASI_FILETYPE_UNKNOWN;
    wasi_encode(out + 2, row->flags, 2);
    wasi_encode(out + 8, row->rights, 8);
    wasi_encode(out + 16, row->inheriting, 8);
    return wasi_put(memory, wasi_u32(arguments, 1), out, sizeof out);
}

WASI_CALL(fd_fdstat_set_flags) {
    wasi_descriptor *row;
    uint32_t flags = wasi_u32(arguments, 1);
    (void)memory;
    wasi_errno result =
        wasi_take(context, arguments[0], WASI_KIND_ANY, WASI_RIGHT_FD_FDSTAT_SET_FLAGS, &row);
    if (result != WASI_SUCCESS) {
        return result;
    }
    if ((flags & ~(uint32_t)WASI_FLAGS_ALL) != 0) {
        return WASI_EINVAL;
    }
    uint32_t changed = flags ^ row->flags;
    if ((changed & ~(uint32_t)(WASI_FLAG_APPEND | WASI_FLAG_NONBLOCK)) != 0) {
        return WASI_ENOTSUP; /* no system changes how an open file is synchronised */
    }
    if ((changed & WASI_FLAG_APPEND) != 0 && row->kind == WASI_KIND_FILE) {
        bool append = (flags & WASI_FLAG_APPEND) != 0;
        result = wasi_fault(context, platform_beneath_set_append(row->handle, append));
    }
    if (result == WASI_SUCCESS) {
        row->flags = (uint16_t)flags;
    }
    return result;
}

WASI_CALL(fd_fdstat_set_rights) {
    wasi_descriptor *row;
    (void)memory;
    wasi_errno result = wasi_take(context, arguments[0], WASI_KIND_ANY, 0, &row);
    if (result != WASI_SUCCESS) {
        return result;
    }
    if ((arguments[1] & ~row->rights) != 0 || (arguments[2] & ~row->inheriting) != 0) {
        wasi_refuse(context, "wasi");
        return WASI_ENOTCAPABLE;
    }
    row->rights = arguments[1];
    row->inheriting = arguments[2];
    return WASI_SUCCESS;
}

WASI_CALL(fd_filestat_get) {
    wasi_descriptor *row;
    uint8_t out[64] = {0};
    wasi_errno result =
        wasi_take(context, arguments[0], WASI_KIND_ANY, WASI_RIGHT_FD_FILESTAT_GET, &row);
    if (result == WASI_SUCCESS && (row->kind & WASI_KIND_STREAMS) == 0) {
        platform_entry entry = {.kind = PLATFORM_KIND_MISSING};
        result = wasi_fault(context, platform_beneath_get_entry(row->handle, &entry));
        wasi_encode_filestat(context, &entry, out);
    }
    return result == WASI_SUCCESS ? wasi_put(memory, wasi_u32(arguments, 1), out, sizeof out)
                                  : result;
}

WASI_CALL(fd_filestat_set_times) {
    wasi_descriptor *row;
    platform_time access, change;
    (void)memory;
    wasi_errno result = wasi_take(context, arguments[0], WASI_KIND_FILE | WASI_KIND_FOLDER,
                                  WASI_RIGHT_FD_FILESTAT_SET_TIMES, &row);
    if (result == WASI_SUCCESS) {
        result =
            wasi_times_of(arguments[1], arguments[2], wasi_u32(arguments, 3), &access, &change);
    }
    return result == WASI_SUCCESS
               ? wasi_fault(context, platform_beneath_set_entry_times(row->handle, access, change))
               : result;
}

WASI_CALL(fd_filestat_set_size) {
    wasi_descriptor *row;
    (void)memory;
    wasi_errno result =
        wasi_take(context, arguments[0], WASI_KIND_FILE, WASI_RIGHT_FD_FILESTAT_SET_SIZE, &row);
    if (result != WASI_SUCCESS) {
        return result;
    }
    if (arguments[1] > INT64_MAX) {
        return WASI_EINVAL;
    }
    if (arguments[1] > context->options.file_bytes) {
        wasi_finish(context, WASI_FILE_SIZE);
        return WASI_EFBIG;
    }
    return wasi_fault(context, platform_beneath_resize(row->handle, arguments[1]));
}
