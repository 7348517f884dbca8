#include "runtime/microvm/linux_internal.h"

#include <string.h>

enum { ALLOW_READ = 1, ALLOW_WRITE = 2, ALLOW_EXECUTE = 4, ALLOW_GROWING = 0x03000000 };
enum {
    KIND_PRIVATE = 2, /* 1 and 3: shared */
    KIND_SHARED_CHECKED = 3,
    KIND_MASK = 15,
    AT_ADDRESS = 0x10,
    ANONYMOUS = 0x20,
    AT_VACANT = 0x100000
};

/* EINVAL for bits that are no protection. */
static int64_t access_of(uint64_t protection, unsigned *access) {
    uint64_t known = ALLOW_READ | ALLOW_WRITE | ALLOW_EXECUTE;
    *access = ((protection & ALLOW_READ) != 0 ? (unsigned)SPACE_READ : 0) |
              ((protection & ALLOW_WRITE) != 0 ? (unsigned)SPACE_WRITE : 0) |
              ((protection & ALLOW_EXECUTE) != 0 ? (unsigned)SPACE_EXECUTE : 0);
    return (protection & ~known) == 0 ? 0 : -LINUX_EINVAL;
}

/* The bytes of a file, read into pages that are already mapped for writing. What lies behind the
 * file's end is zero. */
static int64_t fill_from(linux_context *context, linux_open *open, uint64_t at, uint64_t length,
                         uint64_t offset) {
    uint64_t total = 0;
    while (total < length) {
        uint64_t left = length - total;
        size_t part = left < LINUX_CHUNK_BYTES ? (size_t)left : LINUX_CHUNK_BYTES;
        size_t done = 0;
        uint8_t *to = space_pointer(context->options.space, at + total, part, SPACE_WRITE);
        if (!to || !linux_pulse(context)) {
            return -LINUX_EINTR;
        }
        int64_t result = linux_fault(
            context, platform_beneath_read(open->handle, offset + total, to, part, &done));
        context->bytes_in += done;
        total += done;
        if (result != 0 || done == 0) {
            return result;
        }
    }
    return 0;
}

/* A private copy: later writes to the file are not seen, as POSIX leaves open. A shared mapping is
 * one too when it cannot be written. */
static int64_t map_file(linux_context *context, const uint64_t *a, space_place place,
                        unsigned access) {
    linux_open *open;
    space *s = context->options.space;
    uint64_t at = 0;
    int64_t result = linux_take(context, a[4], LINUX_KIND_FILE, &open);
    if (result != 0) {
        return result == -LINUX_EBADF ? result : -LINUX_EACCES;
    }
    bool shared = (a[3] & KIND_MASK) != KIND_PRIVATE;
    if (!open->readable || (shared && (access & SPACE_WRITE) != 0)) {
        return shared && open->readable ? -LINUX_EOPNOTSUPP : -LINUX_EACCES;
    }
    if (a[5] % SPACE_PAGE_BYTES != 0 || a[5] > INT64_MAX || a[1] > INT64_MAX - a[5]) {
        return -LINUX_EINVAL;
    }
    if ((access & SPACE_WRITE) != 0 && (access & SPACE_EXECUTE) != 0) {
        return linux_space_error(context, SPACE_DENIED);
    }
    result =
        linux_space_error(context, space_map(s, a[0], place, a[1], SPACE_READ | SPACE_WRITE, &at));
    if (result == 0) {
        result = fill_from(context, open, at, a[1], a[5]);
        if (result == 0) {
            result = linux_space_error(context, space_protect(s, at, a[1], access));
        }
        if (result != 0) {
            (void)space_unmap(s, at, a[1]);
        }
    }
    return result == 0 ? (int64_t)at : result;
}

LINUX_CALL(mmap) {
    unsigned access;
    uint64_t flags = arguments[3];
    uint64_t type = flags & KIND_MASK;
    int64_t result = access_of(arguments[2], &access);
    if (result != 0 || type == 0 || type > KIND_SHARED_CHECKED || arguments[1] == 0) {
        return -LINUX_EINVAL;
    }
    space_place place = (flags & AT_VACANT) != 0    ? SPACE_VACANT
                        : (flags & AT_ADDRESS) != 0 ? SPACE_REPLACE
                                                    : SPACE_ANYWHERE;
    if ((flags & ANONYMOUS) == 0) {
        return map_file(context, arguments, place, access);
    }
    uint64_t at = 0;
    result = linux_space_error(
        context, space_map(context->options.space, arguments[0], place, arguments[1], access, &at));
    return result == 0 ? (int64_t)at : result;
}

LINUX_CALL(munmap) {
    return linux_space_error(context,
                             space_unmap(context->options.space, arguments[0], arguments[1]));
}

LINUX_CALL(mprotect) {
    unsigned access;
    int64_t result = access_of(arguments[2] & ~(uint64_t)ALLOW_GROWING, &access);
    return result != 0
               ? result
               : linux_space_error(context, space_protect(context->options.space, arguments[0],
                                                          arguments[1], access));
}

LINUX_CALL(mremap) {
    enum { MAY_MOVE = 1, FIXED = 2 };
    uint64_t flags = arguments[3];
    uint64_t at = arguments[4];
    bool fixed = (flags & FIXED) != 0;
    if ((flags & ~(uint64_t)(MAY_MOVE | FIXED)) != 0 || (fixed && (flags & MAY_MOVE) == 0)) {
        return -LINUX_EINVAL;
    }
    space_result result = space_remap(context->options.space, arguments[0], arguments[1],
                                      arguments[2], (flags & MAY_MOVE) != 0, fixed, &at);
    return result == SPACE_OK       ? (int64_t)at
           : result == SPACE_ABSENT ? -LINUX_EFAULT
                                    : linux_space_error(context, result);
}

/* MADV_DONTNEED makes pages zero; all other advice changes nothing that a program can see. */
LINUX_CALL(madvise) {
    enum { ADVICE_UNNEEDED = 4 };
    static const uint8_t known[] = {0, 1, 2, 3, 4, 8, 10, 11, 12, 13, 14, 15, 16, 17, 20, 21, 25};
    uint32_t advice = (uint32_t)arguments[2];
    bool found = advice <= UINT8_MAX && memchr(known, (int)advice, sizeof known) != NULL;
    if (!found || arguments[0] % SPACE_PAGE_BYTES != 0) {
        return -LINUX_EINVAL;
    }
    return advice == ADVICE_UNNEEDED
               ? linux_space_error(context,
                                   space_clear(context->options.space, arguments[0], arguments[1]))
               : 0;
}

LINUX_CALL(brk) {
    return (int64_t)space_brk(context->options.space, arguments[0]);
}
