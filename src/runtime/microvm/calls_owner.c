/* Who owns files and what is permitted. A guest is the owner of all that it sees: it may set the
 * permission bits of what it may change, without those that give a program rights, and give it to
 * nobody else. */
#include "runtime/microvm/linux_internal.h"

static const uint64_t HERE = (uint64_t)LINUX_AT_CWD;
enum { NO_FOLLOW = 0x100 };

/* ---- permission bits --------------------------------------------------------------------- */

/* Bits for the user's and the group's rights, and for whose a folder's files are, are refused. */
static int64_t check_mode(linux_context *context, uint64_t mode) {
    enum { RIGHTS = 07000 };
    if ((mode & RIGHTS) != 0) {
        linux_refuse(context, "syscall");
        return -LINUX_EPERM;
    }
    return 0;
}

static int64_t set_mode(linux_context *context, uint64_t folder, uint64_t address, uint64_t mode,
                        bool follow) {
    linux_place place;
    int64_t result = linux_locate_to_change(context, folder, address, &place);
    if (result == 0) {
        result = check_mode(context, mode);
    }
    return result == 0
               ? linux_fault(context, platform_beneath_set_mode(place.mount->handle, place.below,
                                                                follow, (uint32_t)mode & 0777))
               : result;
}

/* An open file that may be changed. */
static int64_t take_to_change(linux_context *context, uint64_t number, linux_open **open) {
    int64_t result = linux_take(context, number, LINUX_KIND_FILE | LINUX_KIND_FOLDER, open);
    if (result == 0 && !(*open)->changeable) {
        linux_refuse(context, "path");
        result = -LINUX_EROFS;
    }
    return result;
}

/* As platform_beneath_set_mode says it of paths. */
static bool is_granted(const linux_context *context, const platform_entry *entry) {
    for (size_t i = 0; i < context->n_mounts; i++) {
        platform_entry root;
        if (platform_beneath_get_entry(context->mounts[i].handle, &root) != PLATFORM_FAULT_NONE ||
            (root.device == entry->device && root.inode == entry->inode)) {
            return true;
        }
    }
    return false;
}

LINUX_CALL(chmod) {
    return set_mode(context, HERE, arguments[0], arguments[1], true);
}

LINUX_CALL(fchmodat) {
    return set_mode(context, arguments[0], arguments[1], arguments[2], true);
}

LINUX_CALL(fchmodat2) {
    uint32_t flags = (uint32_t)arguments[3];
    return (flags & ~(uint32_t)NO_FOLLOW) != 0
               ? -LINUX_EINVAL
               : set_mode(context, arguments[0], arguments[1], arguments[2], flags == 0);
}

LINUX_CALL(fchmod) {
    linux_open *open;
    platform_entry entry = {.kind = PLATFORM_KIND_MISSING};
    uint32_t mode = (uint32_t)arguments[1] & 0777;
    int64_t result = take_to_change(context, arguments[0], &open);
    if (result == 0) {
        result = check_mode(context, arguments[1]);
    }
    if (result == 0) {
        result = linux_fault(context, platform_beneath_get_entry(open->handle, &entry));
    }
    if (result != 0 || (entry.mode == mode && open->kind == LINUX_KIND_FOLDER)) {
        return result;
    }
    return linux_fault(context, is_granted(context, &entry)
                                    ? PLATFORM_FAULT_OUTSIDE
                                    : platform_beneath_set_entry_mode(open->handle, mode));
}

/* ---- owners ------------------------------------------------------------------------------ */

/* It keeps what it has. */
static int64_t check_owner(linux_context *context, uint64_t user, uint64_t group) {
    const uint64_t wanted[2] = {user, group};
    for (size_t i = 0; i < 2; i++) {
        uint32_t number = (uint32_t)wanted[i];
        if (number != LINUX_USER_ID && number != UINT32_MAX) {
            linux_refuse(context, "syscall");
            return -LINUX_EPERM;
        }
    }
    return 0;
}

static int64_t set_owner(linux_context *context, uint64_t folder, const uint64_t path_and_owner[3],
                         bool follow) {
    linux_place place;
    platform_entry entry;
    int64_t result = linux_locate_to_change(context, folder, path_and_owner[0], &place);
    if (result == 0) {
        result = linux_look(context, &place, follow, &entry);
    }
    return result == 0 ? check_owner(context, path_and_owner[1], path_and_owner[2]) : result;
}

LINUX_CALL(chown) {
    return set_owner(context, HERE, arguments, true);
}

LINUX_CALL(lchown) {
    return set_owner(context, HERE, arguments, false);
}

LINUX_CALL(fchownat) {
    uint32_t flags = (uint32_t)arguments[4];
    return (flags & ~(uint32_t)NO_FOLLOW) != 0
               ? -LINUX_EINVAL
               : set_owner(context, arguments[0], arguments + 1, flags == 0);
}

LINUX_CALL(fchown) {
    linux_open *open;
    int64_t result = take_to_change(context, arguments[0], &open);
    return result == 0 ? check_owner(context, arguments[1], arguments[2]) : result;
}
