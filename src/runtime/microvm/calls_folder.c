#include "runtime/microvm/linux_internal.h"

#include <stdlib.h>
#include <string.h>

enum { RECORD_BYTES = 19 /* before the name */, PULSE_EVERY = 64 };
enum { TYPE_UNKNOWN = 0, TYPE_FOLDER = 4, TYPE_FILE = 8, TYPE_LINK = 10 };

static uint8_t type_of(platform_kind kind) {
    return kind == PLATFORM_KIND_FILE     ? TYPE_FILE
           : kind == PLATFORM_KIND_FOLDER ? TYPE_FOLDER
           : kind == PLATFORM_KIND_LINK   ? TYPE_LINK
                                          : TYPE_UNKNOWN;
}

/* ---- what a folder lists ----------------------------------------------------------------- */

/* The name that a mount has in a folder above it, or NULL. */
static const char *name_below(const char *folder, const linux_mount *m, size_t *length) {
    size_t above = strcmp(folder, "/") == 0 ? 0 : strlen(folder);
    if (m->length <= above || strncmp(m->guest, folder, above) != 0 || m->guest[above] != '/') {
        return NULL;
    }
    const char *name = m->guest + above + 1;
    const char *end = memchr(name, '/', m->length - above - 1);
    *length = end ? (size_t)(end - name) : m->length - above - 1;
    return name;
}

/* Whether a mount before this one has the same name there. */
static bool is_repeated(const linux_context *context, const char *folder, size_t index,
                        const char *name, size_t length) {
    for (size_t i = 0; i < index; i++) {
        size_t other_length;
        const char *other = name_below(folder, &context->mounts[i], &other_length);
        if (other && other_length == length && memcmp(other, name, length) == 0) {
            return true;
        }
    }
    return false;
}

/* The index-th of the names in a folder that is above granted ones; false behind the last. */
static bool name_above(const linux_context *context, const char *folder, uint64_t index,
                       const char **name, size_t *length) {
    uint64_t n = 0;
    for (size_t i = 0; i < context->n_mounts; i++) {
        *name = name_below(folder, &context->mounts[i], length);
        if (*name && !is_repeated(context, folder, i, *name, *length) && n++ == index) {
            return true;
        }
    }
    return false;
}

/* The entry `next` into the reading: 0 is ".", 1 is "..", whose number is the folder's own: a guest
 * learns nothing of what is above. */
static int64_t fill(linux_context *context, const linux_open *open, linux_reading *reading) {
    const char *name = reading->next == 0 ? "." : "..";
    size_t length = strlen(name);
    platform_kind kind = PLATFORM_KIND_FOLDER;
    uint64_t inode = reading->next;
    int64_t result = 0;
    if (reading->next < 2) {
        platform_entry entry;
        result = linux_entry_of(context, open, &entry);
        inode = entry.inode;
    } else if (open->kind == LINUX_KIND_ABOVE) {
        name = name_above(context, open->path, reading->next - 2, &name, &length) ? name : NULL;
    } else {
        result =
            linux_fault(context, platform_listing_next(&reading->listing, &name, &kind, &inode));
        length = result == 0 && name ? strlen(name) : 0;
    }
    reading->at_end = result == 0 && !name;
    if (result != 0 || reading->at_end) {
        return result;
    }
    if (length >= sizeof reading->name) {
        return -LINUX_ENAMETOOLONG;
    }
    memcpy(reading->name, name, length);
    reading->length = length;
    reading->type = type_of(kind);
    reading->inode = linux_inode(context, inode);
    reading->has_name = true;
    return 0;
}

/* ---- reading ----------------------------------------------------------------------------- */

static int64_t open_reading(linux_context *context, linux_open *open) {
    if (open->reading) {
        return 0;
    }
    linux_reading *reading = calloc(1, sizeof *reading);
    if (!reading) {
        return -LINUX_ENOMEM;
    }
    if (open->kind == LINUX_KIND_FOLDER) {
        platform_fault fault = platform_listing_open(open->handle, &reading->listing);
        if (fault != PLATFORM_FAULT_NONE) {
            free(reading);
            return linux_fault(context, fault);
        }
    }
    open->reading = reading;
    return 0;
}

static bool may_go_on(linux_context *context, uint64_t n_entries) {
    return n_entries % PULSE_EVERY != 0 || linux_pulse(context);
}

/* Goes to the open file's position. Reading on needs no step; going back starts again. */
static int64_t go_to(linux_context *context, const linux_open *open) {
    linux_reading *reading = open->reading;
    if (open->position < reading->next) {
        if (open->kind == LINUX_KIND_FOLDER) {
            platform_listing_rewind(&reading->listing);
        }
        reading->next = 0;
        reading->has_name = false;
        reading->at_end = false;
    }
    while (reading->next < open->position && !reading->at_end) {
        int64_t result = 0;
        if (!may_go_on(context, reading->next)) {
            return -LINUX_EINTR;
        }
        if (!reading->has_name) {
            result = fill(context, open, reading);
        }
        if (result != 0) {
            return result;
        }
        if (!reading->at_end) {
            reading->has_name = false;
            reading->next++;
        }
    }
    return 0;
}

/* struct linux_dirent64: number, next position, length, type, name and NUL, to a multiple of 8. */
static size_t encode(const linux_reading *reading, uint8_t *to, size_t room) {
    size_t length = (RECORD_BYTES + reading->length + 1 + 7) / 8 * 8;
    uint64_t next = reading->next + 1;
    uint16_t stored = (uint16_t)length;
    if (length > room) {
        return 0;
    }
    memset(to, 0, length);
    memcpy(to, &reading->inode, sizeof reading->inode);
    memcpy(to + 8, &next, sizeof next);
    memcpy(to + 16, &stored, sizeof stored);
    to[18] = reading->type;
    memcpy(to + RECORD_BYTES, reading->name, reading->length);
    return length;
}

static int64_t list(linux_context *context, linux_open *open, uint8_t *to, size_t room) {
    linux_reading *reading = open->reading;
    size_t used = 0;
    for (uint64_t n = 1;; n++) {
        if (!may_go_on(context, n)) {
            return -LINUX_EINTR;
        }
        if (!reading->has_name) {
            int64_t result = reading->at_end ? 0 : fill(context, open, reading);
            if (result != 0 || reading->at_end) {
                return used > 0 ? (int64_t)used : result;
            }
        }
        size_t length = encode(reading, to + used, room - used);
        if (length == 0) {
            return used > 0 ? (int64_t)used : -LINUX_EINVAL;
        }
        used += length;
        reading->has_name = false;
        reading->next++;
        open->position = reading->next;
    }
}

LINUX_CALL(getdents64) {
    linux_open *open;
    size_t room = (uint32_t)arguments[2];
    int64_t result = linux_take(context, arguments[0], LINUX_KIND_FOLDERS, &open);
    if (result != 0) {
        return result;
    }
    uint8_t *to = space_pointer(context->options.space, arguments[1], room, SPACE_WRITE);
    if (!to) {
        return -LINUX_EFAULT;
    }
    room = room < LINUX_MAX_TRANSFER_BYTES ? room : LINUX_MAX_TRANSFER_BYTES;
    result = open_reading(context, open);
    if (result == 0) {
        result = go_to(context, open);
    }
    return result == 0 ? list(context, open, to, room) : result;
}

/* ---- the working folder ------------------------------------------------------------------- */

LINUX_CALL(getcwd) {
    size_t length = strlen(context->folder) + 1;
    if (arguments[1] < length) {
        return -LINUX_ERANGE;
    }
    int64_t result = linux_put(context, arguments[0], context->folder, length);
    return result == 0 ? (int64_t)length : result;
}

LINUX_CALL(chdir) {
    linux_place place;
    platform_entry entry;
    int64_t result = linux_locate(context, (uint64_t)LINUX_AT_CWD, arguments[0], &place);
    if (result == 0) {
        result = linux_look(context, &place, true, &entry);
    }
    if (result == 0 && entry.kind != PLATFORM_KIND_FOLDER) {
        result = -LINUX_ENOTDIR;
    }
    if (result == 0) {
        memcpy(context->folder, place.guest, strlen(place.guest) + 1);
    }
    return result;
}

LINUX_CALL(fchdir) {
    linux_open *open;
    int64_t result = linux_take(context, arguments[0], LINUX_KIND_FOLDERS, &open);
    if (result == 0) {
        memcpy(context->folder, open->path, strlen(open->path) + 1);
    }
    return result;
}
