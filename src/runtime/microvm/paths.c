#include "runtime/microvm/linux_internal.h"

#include <string.h>

/* ---- faults ---------------------------------------------------------------------------- */

int64_t linux_fault(linux_context *context, platform_fault fault) {
    static const uint8_t numbers[PLATFORM_FAULT_COUNT] = {
        [PLATFORM_FAULT_NONE] = 0,
        [PLATFORM_FAULT_OUTSIDE] = LINUX_EACCES,
        [PLATFORM_FAULT_KIND] = LINUX_EACCES,
        [PLATFORM_FAULT_MISSING] = LINUX_ENOENT,
        [PLATFORM_FAULT_EXISTS] = LINUX_EEXIST,
        [PLATFORM_FAULT_NOT_FOLDER] = LINUX_ENOTDIR,
        [PLATFORM_FAULT_IS_FOLDER] = LINUX_EISDIR,
        [PLATFORM_FAULT_NOT_EMPTY] = LINUX_ENOTEMPTY,
        [PLATFORM_FAULT_LOOP] = LINUX_ELOOP,
        [PLATFORM_FAULT_NAME_TOO_LONG] = LINUX_ENAMETOOLONG,
        [PLATFORM_FAULT_ACCESS] = LINUX_EACCES,
        [PLATFORM_FAULT_NOT_PERMITTED] = LINUX_EPERM,
        [PLATFORM_FAULT_READ_ONLY] = LINUX_EROFS,
        [PLATFORM_FAULT_INVALID] = LINUX_EINVAL,
        [PLATFORM_FAULT_BUSY] = LINUX_EBUSY,
        [PLATFORM_FAULT_CROSS_DEVICE] = LINUX_EXDEV,
        [PLATFORM_FAULT_TOO_BIG] = LINUX_EFBIG,
        [PLATFORM_FAULT_NO_SPACE] = LINUX_ENOSPC,
        [PLATFORM_FAULT_QUOTA] = LINUX_EDQUOT,
        [PLATFORM_FAULT_TOO_MANY_FILES] = LINUX_EMFILE,
        [PLATFORM_FAULT_TOO_MANY_LINKS] = LINUX_EMLINK,
        [PLATFORM_FAULT_MEMORY] = LINUX_ENOMEM,
        [PLATFORM_FAULT_UNSUPPORTED] = LINUX_EOPNOTSUPP,
        [PLATFORM_FAULT_IO] = LINUX_EIO,
    };
    if (fault == PLATFORM_FAULT_OUTSIDE) {
        linux_refuse(context, "path");
    }
    return -(int64_t)numbers[fault];
}

/* ---- texts ----------------------------------------------------------------------------- */

/* Adds the components of `path` to a path without a slash at its end ("" is /). A .. takes one
 * away, as it would without links; what is above / is /. False when it becomes too long. */
static bool add_components(char out[LINUX_PATH_BYTES], const char *path) {
    size_t length = strlen(out);
    for (const char *at = path; *at;) {
        size_t n = strcspn(at, "/");
        bool is_self = n == 0 || (n == 1 && at[0] == '.');
        bool is_parent = n == 2 && at[0] == '.' && at[1] == '.';
        if (is_parent) {
            while (length > 0 && out[length - 1] != '/') {
                length--;
            }
            length -= length > 0 ? 1 : 0;
        } else if (!is_self) {
            if (n + 1 >= LINUX_PATH_BYTES - length) {
                return false;
            }
            out[length] = '/';
            memcpy(out + length + 1, at, n);
            length += n + 1;
        }
        out[length] = '\0';
        at += n;
        at += *at == '/' ? 1 : 0;
    }
    return true;
}

/* Whether only a folder is meant. */
static bool names_folder(const char *path) {
    size_t length = strlen(path);
    const char *last = path + length;
    while (last > path && last[-1] != '/') {
        last--;
    }
    return *last == '\0' || strcmp(last, ".") == 0 || strcmp(last, "..") == 0;
}

/* Whether `path` is, or lies below, the folder whose name has that length. */
static bool lies_in(const char *path, const char *folder, size_t length) {
    return strncmp(path, folder, length) == 0 && (path[length] == '/' || path[length] == '\0');
}

static const linux_mount *mount_of(const linux_context *context, const char *path) {
    const linux_mount *found = NULL;
    for (size_t i = 0; i < context->n_mounts; i++) {
        const linux_mount *m = &context->mounts[i];
        if (lies_in(path, m->guest, m->length) && (!found || m->length > found->length)) {
            found = m;
        }
    }
    return found;
}

bool linux_is_above(const linux_context *context, const char *guest) {
    size_t length = strcmp(guest, "/") == 0 ? 0 : strlen(guest);
    for (size_t i = 0; i < context->n_mounts; i++) {
        const linux_mount *m = &context->mounts[i];
        if (m->length > length && strncmp(m->guest, guest, length) == 0 &&
            m->guest[length] == '/') {
            return true;
        }
    }
    return length == 0; /* there is always a root */
}

/* ---- places ---------------------------------------------------------------------------- */

/* Where a relative path begins. */
static int64_t start_of(linux_context *context, uint64_t folder, const char *path,
                        char out[LINUX_PATH_BYTES]) {
    const char *from = "/";
    if (path[0] != '/' && (int32_t)folder == LINUX_AT_CWD) {
        from = context->folder;
    } else if (path[0] != '/') {
        linux_open *open;
        int64_t result = linux_take(context, folder, LINUX_KIND_FOLDERS, &open);
        if (result != 0) {
            return result == -LINUX_EBADF ? result : -LINUX_ENOTDIR;
        }
        from = open->path;
    }
    size_t length = strcmp(from, "/") == 0 ? 0 : strlen(from);
    memcpy(out, from, length);
    out[length] = '\0';
    return 0;
}

int64_t linux_locate_text(linux_context *context, uint64_t folder, const char *path,
                          linux_place *out) {
    out->mount = NULL;
    out->device = LINUX_DEVICE_NONE;
    out->guest[0] = '\0';
    memcpy(out->below, ".", 2);
    if (path[0] == '\0') {
        return -LINUX_ENOENT;
    }
    int64_t result = start_of(context, folder, path, out->guest);
    if (result != 0) {
        return result;
    }
    if (!add_components(out->guest, path)) {
        return -LINUX_ENAMETOOLONG;
    }
    out->device = linux_device_of(out->guest);
    if (out->device != LINUX_DEVICE_NONE) {
        return names_folder(path) ? -LINUX_ENOTDIR : 0;
    }
    const linux_mount *m = mount_of(context, out->guest);
    if (m && out->guest[m->length] != '\0') {
        size_t length = strlen(out->guest + m->length + 1);
        memcpy(out->below, out->guest + m->length + 1, length + 1);
        if (names_folder(path)) { /* shorter than the guest's path by a slash at least */
            memcpy(out->below + length, "/", 2);
        }
    }
    if (out->guest[0] == '\0') {
        memcpy(out->guest, "/", 2);
    }
    out->mount = m;
    return m || linux_is_above(context, out->guest) ? 0 : -LINUX_ENOENT;
}

int64_t linux_locate(linux_context *context, uint64_t folder, uint64_t address, linux_place *out) {
    char path[LINUX_PATH_BYTES];
    size_t length;
    space_text text = space_get_text(context->options.space, address, path, sizeof path, &length);
    return text == SPACE_TEXT_OK      ? linux_locate_text(context, folder, path, out)
           : text == SPACE_TEXT_FAULT ? -LINUX_EFAULT
                                      : -LINUX_ENAMETOOLONG;
}

int64_t linux_locate_to_change(linux_context *context, uint64_t folder, uint64_t address,
                               linux_place *out) {
    int64_t result = linux_locate(context, folder, address, out);
    if (result == 0 && (!out->mount || !out->mount->writable)) {
        linux_refuse(context, "path");
        return -LINUX_EROFS;
    }
    return result;
}

int64_t linux_look(linux_context *context, const linux_place *place, bool follow,
                   platform_entry *out) {
    if (place->mount) {
        return linux_fault(context,
                           platform_beneath_look(place->mount->handle, place->below, follow, out));
    }
    if (place->device != LINUX_DEVICE_NONE) {
        linux_device_entry(place->device, out);
        return 0;
    }
    *out = (platform_entry){.kind = PLATFORM_KIND_FOLDER, .mode = 0555, .n_links = 2};
    for (const char *c = place->guest; *c; c++) { /* a number that names tell apart */
        out->inode = (out->inode ^ (uint8_t)*c) * 0x100000001B3u;
    }
    return 0;
}
