/* The devices that programs take for granted. They are made here, of nothing of the host's; they
 * are neither listed in a folder nor changed. */
#include "runtime/microvm/linux_internal.h"

#include <string.h>

/* In an entry's mode, where the system has only permission bits. */
enum { DEVICE_BIT = 0x2000 };

static const struct {
    const char *path;
    linux_device device;
    uint32_t minor;
} names[] = {{"/dev/null", LINUX_DEVICE_NULL, 3},
             {"/dev/zero", LINUX_DEVICE_ZERO, 5},
             {"/dev/random", LINUX_DEVICE_RANDOM, 8},
             {"/dev/urandom", LINUX_DEVICE_RANDOM, 9}};
enum { N_NAMES = sizeof names / sizeof names[0] };

linux_device linux_device_of(const char *guest) {
    for (size_t i = 0; i < N_NAMES; i++) {
        if (strcmp(names[i].path, guest) == 0) {
            return names[i].device;
        }
    }
    return LINUX_DEVICE_NONE;
}

/* The bit, the last row of the device's and no times. */
void linux_device_entry(linux_device device, platform_entry *out) {
    *out = (platform_entry){.kind = PLATFORM_KIND_OTHER, .mode = DEVICE_BIT | 0666, .n_links = 1};
    for (size_t i = 0; i < N_NAMES; i++) {
        out->inode = names[i].device == device ? names[i].minor : out->inode;
    }
}

bool linux_is_device(const platform_entry *entry) {
    return entry->kind == PLATFORM_KIND_OTHER && (entry->mode & DEVICE_BIT) != 0;
}

uint32_t linux_device_minor(const platform_entry *entry) {
    return (uint32_t)entry->inode;
}

int64_t linux_device_read(linux_context *context, linux_open *open, uint64_t position,
                          linux_slice part, size_t *done) {
    (void)context;
    (void)position;
    *done = open->device == LINUX_DEVICE_NULL ? 0 : part.length;
    if (open->device == LINUX_DEVICE_ZERO) {
        memset(part.bytes, 0, part.length);
    }
    if (open->device == LINUX_DEVICE_RANDOM &&
        platform_random(part.bytes, part.length, NULL) != TARS_OK) {
        *done = 0;
        return -LINUX_EIO;
    }
    return 0;
}

int64_t linux_device_write(linux_context *context, linux_open *open, uint64_t position,
                           linux_slice part, size_t *done) {
    (void)context;
    (void)open;
    (void)position;
    *done = part.length;
    return 0;
}
