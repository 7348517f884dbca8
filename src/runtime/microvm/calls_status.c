#include "runtime/microvm/linux_internal.h"

#include "runtime/disguise.h"

#include <string.h>

enum {
    KIND_PIPE = 0x1000,
    KIND_DEVICE = 0x2000,
    KIND_FOLDER = 0x4000,
    KIND_FILE = 0x8000,
    KIND_LINK = 0xA000
};
enum { BLOCK_BYTES = 512, TRANSFER_BYTES = 4096 };
static const int64_t SECOND_NS = 1000000000;

uint64_t linux_inode(const linux_context *context, uint64_t inode) {
    return disguise_number(inode, context->inode_keys);
}

/* What a program is told of a file; a stream is a pipe and nothing else. */
typedef struct status {
    uint64_t device, inode, n_links, size_bytes;
    uint32_t mode, special_major, special_minor;
    int64_t atime_ns, mtime_ns, ctime_ns;
} status;

/* Times are rounded as clocks are: a file that was just written would be one. */
static int64_t time_of(const linux_context *context, int64_t time_ns) {
    return time_ns > 0 ? (int64_t)linux_round_down(context, (uint64_t)time_ns) : 0;
}

static status status_of(const linux_context *context, const platform_entry *entry) {
    uint32_t kind = entry->kind == PLATFORM_KIND_FILE     ? KIND_FILE
                    : entry->kind == PLATFORM_KIND_FOLDER ? KIND_FOLDER
                    : entry->kind == PLATFORM_KIND_LINK   ? KIND_LINK
                    : linux_is_device(entry)              ? KIND_DEVICE
                                                          : KIND_PIPE;
    bool is_device = kind == KIND_DEVICE;
    return (status){.device = disguise_number(entry->device, context->device_keys),
                    .inode = linux_inode(context, entry->inode),
                    .n_links = entry->n_links,
                    .size_bytes = entry->size_bytes,
                    .mode = kind | (entry->mode & 0777),
                    .special_major = is_device ? 1 : 0,
                    .special_minor = is_device ? linux_device_minor(entry) : 0,
                    .atime_ns = time_of(context, entry->atime_ns),
                    .mtime_ns = time_of(context, entry->mtime_ns),
                    .ctime_ns = time_of(context, entry->ctime_ns)};
}

int64_t linux_entry_of(linux_context *context, const linux_open *open, platform_entry *out) {
    *out = (platform_entry){.kind = PLATFORM_KIND_OTHER, .mode = 0600, .n_links = 1};
    if ((open->kind & (LINUX_KIND_FILE | LINUX_KIND_FOLDER)) != 0) {
        return linux_fault(context, platform_beneath_get_entry(open->handle, out));
    }
    if (open->kind == LINUX_KIND_DEVICE) {
        linux_device_entry(open->device, out);
    }
    if (open->kind == LINUX_KIND_ABOVE) {
        linux_place place;
        int64_t result = linux_locate_text(context, 0, open->path, &place);
        return result == 0 ? linux_look(context, &place, true, out) : result;
    }
    return 0;
}

/* ---- the structures of x86-64 ------------------------------------------------------------ */

typedef struct time_pair {
    int64_t seconds, nanoseconds;
} time_pair;

typedef struct stat_structure {
    uint64_t device, inode, n_links;
    uint32_t mode, user, group, padding;
    uint64_t special_device;
    int64_t size_bytes, block_bytes, n_blocks;
    time_pair access, change, status_change;
    int64_t unused[3];
} stat_structure;
_Static_assert(sizeof(stat_structure) == 144, "struct stat of x86-64");

static time_pair pair_of(int64_t ns) {
    return (time_pair){ns / SECOND_NS, ns % SECOND_NS};
}

static uint64_t blocks_of(uint64_t size_bytes) {
    return size_bytes / BLOCK_BYTES + (size_bytes % BLOCK_BYTES != 0 ? 1 : 0);
}

static int64_t put_stat(linux_context *context, const platform_entry *entry, uint64_t address) {
    const status s = status_of(context, entry);
    const stat_structure out = {.device = s.device,
                                .inode = s.inode,
                                .n_links = s.n_links,
                                .mode = s.mode,
                                .user = LINUX_USER_ID,
                                .group = LINUX_USER_ID,
                                .special_device = s.special_major << 8 | s.special_minor,
                                .size_bytes = (int64_t)s.size_bytes,
                                .block_bytes = TRANSFER_BYTES,
                                .n_blocks = (int64_t)blocks_of(s.size_bytes),
                                .access = pair_of(s.atime_ns),
                                .change = pair_of(s.mtime_ns),
                                .status_change = pair_of(s.ctime_ns)};
    return linux_put(context, address, &out, sizeof out);
}

typedef struct statx_time {
    int64_t seconds;
    uint32_t nanoseconds;
    int32_t padding;
} statx_time;

typedef struct statx_structure {
    uint32_t mask, block_bytes;
    uint64_t attributes;
    uint32_t n_links, user, group;
    uint16_t mode, padding;
    uint64_t inode, size_bytes, n_blocks, attributes_mask;
    statx_time access, birth, status_change, change;
    uint32_t special_major, special_minor, device_major, device_minor;
    uint64_t unused[14];
} statx_structure;
_Static_assert(sizeof(statx_structure) == 256, "struct statx");

static statx_time statx_time_of(int64_t ns) {
    return (statx_time){.seconds = ns / SECOND_NS, .nanoseconds = (uint32_t)(ns % SECOND_NS)};
}

static int64_t put_statx(linux_context *context, const platform_entry *entry, uint64_t address) {
    enum { BASIC_FIELDS = 0x7FF };
    const status s = status_of(context, entry);
    const statx_structure out = {.mask = BASIC_FIELDS,
                                 .block_bytes = TRANSFER_BYTES,
                                 .n_links = (uint32_t)s.n_links,
                                 .user = LINUX_USER_ID,
                                 .group = LINUX_USER_ID,
                                 .mode = (uint16_t)s.mode,
                                 .inode = s.inode,
                                 .size_bytes = s.size_bytes,
                                 .n_blocks = blocks_of(s.size_bytes),
                                 .access = statx_time_of(s.atime_ns),
                                 .status_change = statx_time_of(s.ctime_ns),
                                 .change = statx_time_of(s.mtime_ns),
                                 .special_major = s.special_major,
                                 .special_minor = s.special_minor,
                                 .device_major = (uint32_t)(s.device >> 32),
                                 .device_minor = (uint32_t)s.device};
    return linux_put(context, address, &out, sizeof out);
}

/* ---- calls ------------------------------------------------------------------------------ */

static int64_t entry_of_number(linux_context *context, uint64_t number, platform_entry *out) {
    linux_open *open;
    int64_t result = linux_take(context, number, LINUX_KIND_ANY, &open);
    return result == 0 ? linux_entry_of(context, open, out) : result;
}

static int64_t entry_of_path(linux_context *context, uint64_t folder, uint64_t address, bool follow,
                             platform_entry *out) {
    linux_place place;
    int64_t result = linux_locate(context, folder, address, &place);
    return result == 0 ? linux_look(context, &place, follow, out) : result;
}

/* A path, or with the flag and an empty path what the descriptor itself is. */
static int64_t entry_of_either(linux_context *context, const uint64_t *a, uint64_t flags,
                               platform_entry *out) {
    enum { NO_FOLLOW = 0x100, NO_AUTOMOUNT = 0x800, EMPTY_PATH = 0x1000, SYNC_FLAGS = 0x6000 };
    uint64_t known = NO_FOLLOW | NO_AUTOMOUNT | EMPTY_PATH | SYNC_FLAGS;
    char first = 1;
    if (((uint32_t)flags & ~known) != 0) {
        return -LINUX_EINVAL;
    }
    if ((flags & EMPTY_PATH) != 0 && a[1] != 0 && linux_get(context, a[1], &first, 1) != 0) {
        return -LINUX_EFAULT;
    }
    bool empty = (flags & EMPTY_PATH) != 0 && (a[1] == 0 || first == '\0');
    if (empty && (int32_t)a[0] == LINUX_AT_CWD) {
        linux_place place;
        int64_t result = linux_locate_text(context, a[0], ".", &place);
        return result == 0 ? linux_look(context, &place, true, out) : result;
    }
    return empty ? entry_of_number(context, a[0], out)
                 : entry_of_path(context, a[0], a[1], (flags & NO_FOLLOW) == 0, out);
}

LINUX_CALL(fstat) {
    platform_entry entry;
    int64_t result = entry_of_number(context, arguments[0], &entry);
    return result == 0 ? put_stat(context, &entry, arguments[1]) : result;
}

LINUX_CALL(stat) {
    platform_entry entry;
    int64_t result = entry_of_path(context, (uint64_t)LINUX_AT_CWD, arguments[0], true, &entry);
    return result == 0 ? put_stat(context, &entry, arguments[1]) : result;
}

LINUX_CALL(lstat) {
    platform_entry entry;
    int64_t result = entry_of_path(context, (uint64_t)LINUX_AT_CWD, arguments[0], false, &entry);
    return result == 0 ? put_stat(context, &entry, arguments[1]) : result;
}

LINUX_CALL(newfstatat) {
    platform_entry entry;
    int64_t result = entry_of_either(context, arguments, arguments[3], &entry);
    return result == 0 ? put_stat(context, &entry, arguments[2]) : result;
}

LINUX_CALL(statx) {
    platform_entry entry;
    int64_t result = entry_of_either(context, arguments, arguments[2], &entry);
    return result == 0 ? put_statx(context, &entry, arguments[4]) : result;
}

/* ---- access ------------------------------------------------------------------------------ */

static int64_t check_access(linux_context *context, uint64_t folder, uint64_t address,
                            uint64_t wanted, bool follow) {
    enum { MAY_EXECUTE = 1, MAY_WRITE = 2, MAY_ALL = 7 };
    linux_place place;
    platform_entry entry;
    if (((uint32_t)wanted & ~(uint32_t)MAY_ALL) != 0) {
        return -LINUX_EINVAL;
    }
    int64_t result = linux_locate(context, folder, address, &place);
    if (result == 0) {
        result = linux_look(context, &place, follow, &entry);
    }
    if (result != 0) {
        return result;
    }
    if (place.device != LINUX_DEVICE_NONE) {
        return (wanted & MAY_EXECUTE) != 0 ? -LINUX_EACCES : 0;
    }
    if ((wanted & MAY_WRITE) != 0 && (!place.mount || !place.mount->writable)) {
        return -LINUX_EROFS; /* it asked and was told: no violation */
    }
    bool refused = entry.kind == PLATFORM_KIND_FILE &&
                   (((wanted & MAY_EXECUTE) != 0 && (entry.mode & 0111) == 0) ||
                    ((wanted & MAY_WRITE) != 0 && (entry.mode & 0222) == 0));
    return refused ? -LINUX_EACCES : 0;
}

LINUX_CALL(access) {
    return check_access(context, (uint64_t)LINUX_AT_CWD, arguments[0], arguments[1], true);
}

LINUX_CALL(faccessat) {
    return check_access(context, arguments[0], arguments[1], arguments[2], true);
}

LINUX_CALL(faccessat2) {
    enum { NO_FOLLOW = 0x100, EFFECTIVE = 0x200 };
    uint32_t flags = (uint32_t)arguments[3];
    return (flags & ~(uint32_t)(NO_FOLLOW | EFFECTIVE)) != 0
               ? -LINUX_EINVAL
               : check_access(context, arguments[0], arguments[1], arguments[2],
                              (flags & NO_FOLLOW) == 0);
}
