#include "runtime/wasi/internal.h"

#include <stdlib.h>
#include <string.h>

enum { DIRENT_BYTES = 24, PULSE_EVERY = 64 };

/* Makes "." the entry 0 and ".." the entry 1; what the folder lists comes after them. The parent
 * has the folder's own number: a guest learns nothing of what is above. */
static wasi_errno fill(wasi_context *context, const wasi_descriptor *row, wasi_reading *reading) {
    const char *name = reading->next == 0 ? "." : "..";
    platform_kind kind = PLATFORM_KIND_FOLDER;
    uint64_t inode = 0;
    platform_fault fault;
    if (reading->next < 2) {
        platform_entry entry = {.kind = PLATFORM_KIND_MISSING};
        fault = platform_beneath_get_entry(row->handle, &entry);
        inode = entry.inode;
    } else {
        fault = platform_listing_next(&reading->listing, &name, &kind, &inode);
    }
    if (fault != PLATFORM_FAULT_NONE) {
        return wasi_fault(context, fault);
    }
    reading->at_end = !name;
    if (reading->at_end) {
        return WASI_SUCCESS;
    }
    size_t length = strlen(name);
    if (length >= sizeof reading->name) {
        return WASI_ENAMETOOLONG;
    }
    memcpy(reading->name, name, length);
    reading->length = length;
    reading->type = wasi_filetype(kind);
    reading->inode = wasi_inode(context, inode);
    reading->has_name = true;
    return WASI_SUCCESS;
}

static wasi_errno open_reading(wasi_context *context, wasi_descriptor *row) {
    if (row->reading) {
        return WASI_SUCCESS;
    }
    wasi_reading *reading = calloc(1, sizeof *reading);
    if (!reading) {
        return WASI_ENOMEM;
    }
    platform_fault fault = platform_listing_open(row->handle, &reading->listing);
    if (fault != PLATFORM_FAULT_NONE) {
        free(reading);
        return wasi_fault(context, fault);
    }
    row->reading = reading;
    return WASI_SUCCESS;
}

static bool may_go_on(wasi_context *context, uint64_t n_entries) {
    return n_entries % PULSE_EVERY != 0 || wasi_pulse(context);
}

/* Goes to a cookie. Reading on needs no step; going back starts again. */
static wasi_errno go_to(wasi_context *context, const wasi_descriptor *row, uint64_t cookie) {
    wasi_reading *reading = row->reading;
    if (cookie == 0 || cookie < reading->next) {
        platform_listing_rewind(&reading->listing);
        reading->next = 0;
        reading->has_name = false;
        reading->at_end = false;
    }
    while (reading->next < cookie && !reading->at_end) {
        wasi_errno result = WASI_SUCCESS;
        if (!may_go_on(context, reading->next)) {
            return WASI_EINTR;
        }
        if (!reading->has_name) {
            result = fill(context, row, reading);
        }
        if (result != WASI_SUCCESS) {
            return result;
        }
        if (!reading->at_end) {
            reading->has_name = false;
            reading->next++;
        }
    }
    return WASI_SUCCESS;
}

/* As much of the bytes as there is room for. */
static size_t put_part(uint8_t *to, size_t room, const void *bytes, size_t length) {
    size_t n = length < room ? length : room;
    if (n > 0) {
        memcpy(to, bytes, n);
    }
    return n;
}

static wasi_errno list(wasi_context *context, const wasi_descriptor *row, uint8_t *to, size_t room,
                       size_t *used) {
    wasi_reading *reading = row->reading;
    *used = 0;
    for (uint64_t n = 1; *used < room; n++) {
        uint8_t head[DIRENT_BYTES] = {0};
        if (!may_go_on(context, n)) {
            return WASI_EINTR;
        }
        if (!reading->has_name) {
            wasi_errno result = reading->at_end ? WASI_SUCCESS : fill(context, row, reading);
            if (result != WASI_SUCCESS || reading->at_end) {
                return result;
            }
        }
        wasi_encode(head, reading->next + 1, 8);
        wasi_encode(head + 8, reading->inode, 8);
        wasi_encode(head + 16, reading->length, 4);
        head[20] = reading->type;
        *used += put_part(to + *used, room - *used, head, sizeof head);
        size_t n_name = put_part(to + *used, room - *used, reading->name, reading->length);
        *used += n_name;
        if (*used == room) {
            return WASI_SUCCESS; /* it may have been cut and is kept: see go_to */
        }
        reading->has_name = false;
        reading->next++;
    }
    return WASI_SUCCESS;
}

WASI_CALL(fd_readdir) {
    wasi_descriptor *row;
    uint32_t buffer = wasi_u32(arguments, 1);
    uint32_t room = wasi_u32(arguments, 2);
    uint32_t used_at = wasi_u32(arguments, 4);
    size_t used = 0;
    wasi_errno result =
        wasi_take(context, arguments[0], WASI_KIND_FOLDER, WASI_RIGHT_FD_READDIR, &row);
    if (result == WASI_SUCCESS &&
        (!wasi_in_memory(memory, buffer, room) || !wasi_in_memory(memory, used_at, 4))) {
        result = WASI_EFAULT;
    }
    if (result == WASI_SUCCESS) {
        result = open_reading(context, row);
    }
    if (result == WASI_SUCCESS) {
        result = go_to(context, row, arguments[3]);
    }
    if (result == WASI_SUCCESS && room > 0) {
        result = list(context, row, memory.bytes + buffer, room, &used);
    }
    return result == WASI_SUCCESS ? wasi_put_u32(memory, used_at, (uint32_t)used) : result;
}
