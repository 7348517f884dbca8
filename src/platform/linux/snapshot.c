#include "platform/snapshot.h"

#include "platform/internal.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

enum { PAGE_BYTES = 4096, MAX_KEPT_BYTES = 8 << 20, MAX_REGIONS = 256 };

/* PAGEMAP_SCAN (Documentation/admin-guide/mm/pagemap.rst), since Linux 6.7; older headers lack it.
 */
typedef struct page_region {
    uint64_t start, end, categories;
} page_region;

typedef struct scan_argument {
    uint64_t size, flags, start, end, walk_end, vec, vec_len, max_pages;
    uint64_t category_inverted, category_mask, category_anyof_mask, return_mask;
} scan_argument;

#define SCAN_REQUEST _IOWR('f', 16, scan_argument)
enum { CATEGORY_FILE = 1 << 2, CATEGORY_PRESENT = 1 << 3, CATEGORY_SWAPPED = 1 << 4 };

tars_status platform_snapshot_begin(size_t size_bytes, platform_snapshot *out, tars_error *err) {
    *out = (platform_snapshot){.handle = PLATFORM_NO_HANDLE, .size_bytes = size_bytes};
    int handle = memfd_create("tars-snapshot", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (handle < 0 || ftruncate(handle, (off_t)size_bytes) != 0) {
        int number = errno;
        if (handle >= 0) {
            (void)close(handle);
        }
        return platform_fail(err, number, NULL, "cannot make a snapshot of %zu bytes", size_bytes);
    }
    out->handle = handle;
    return TARS_OK;
}

tars_status platform_snapshot_put(const platform_snapshot *snapshot, size_t offset,
                                  const void *bytes, size_t length, tars_error *err) {
    const uint8_t *from = bytes;
    for (size_t at = 0; at < length;) {
        ssize_t n = pwrite((int)snapshot->handle, from + at, length - at, (off_t)(offset + at));
        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n <= 0) {
            return platform_fail(err, errno, NULL, "cannot write a snapshot");
        }
        at += (size_t)n;
    }
    return TARS_OK;
}

/* What guests made is in no memory dump of this process. */
static bool keep_from_dumps(void *bytes, size_t size_bytes) {
    if (bytes == MAP_FAILED || madvise(bytes, size_bytes, MADV_DONTDUMP) == 0) {
        return bytes != MAP_FAILED;
    }
    int number = errno;
    (void)munmap(bytes, size_bytes);
    errno = number;
    return false;
}

tars_status platform_snapshot_seal(platform_snapshot *snapshot, tars_error *err) {
    const int all = F_SEAL_WRITE | F_SEAL_GROW | F_SEAL_SHRINK | F_SEAL_SEAL;
    void *bytes =
        fcntl((int)snapshot->handle, F_ADD_SEALS, all) == 0
            ? mmap(NULL, snapshot->size_bytes, PROT_READ, MAP_SHARED, (int)snapshot->handle, 0)
            : (void *)MAP_FAILED;
    if (!keep_from_dumps(bytes, snapshot->size_bytes)) {
        return platform_fail(err, errno, NULL, "cannot seal a snapshot");
    }
    snapshot->bytes = bytes;
    return TARS_OK;
}

tars_status platform_snapshot_adopt(platform_handle handle, platform_snapshot *out,
                                    tars_error *err) {
    const int needed = F_SEAL_WRITE | F_SEAL_GROW | F_SEAL_SHRINK;
    struct stat info;
    *out = (platform_snapshot){.handle = PLATFORM_NO_HANDLE};
    int seals = fcntl((int)handle, F_GET_SEALS);
    if (seals < 0 || (seals & needed) != needed || fstat((int)handle, &info) != 0 ||
        info.st_size <= 0) {
        return error_set(err, TARS_MALFORMED, "descriptor %d is no snapshot that was sealed",
                         (int)handle);
    }
    size_t size_bytes = (size_t)info.st_size;
    void *bytes = mmap(NULL, size_bytes, PROT_READ, MAP_SHARED, (int)handle, 0);
    if (!keep_from_dumps(bytes, size_bytes)) {
        return platform_fail(err, errno, NULL, "cannot map a snapshot of %zu bytes", size_bytes);
    }
    *out = (platform_snapshot){.handle = handle, .size_bytes = size_bytes, .bytes = bytes};
    return TARS_OK;
}

void platform_snapshot_destroy(platform_snapshot *snapshot) {
    if (snapshot->bytes) {
        (void)munmap(snapshot->bytes, snapshot->size_bytes);
    }
    if (snapshot->handle != PLATFORM_NO_HANDLE) {
        (void)close((int)snapshot->handle);
    }
    *snapshot = (platform_snapshot){.handle = PLATFORM_NO_HANDLE};
}

tars_status platform_snapshot_copy(const platform_snapshot *snapshot, void **out, tars_error *err) {
    void *copy = mmap(NULL, snapshot->size_bytes, PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_NORESERVE, (int)snapshot->handle, 0);
    *out = keep_from_dumps(copy, snapshot->size_bytes) ? copy : NULL;
    return *out ? TARS_OK : platform_fail(err, errno, NULL, "cannot map a copy of a snapshot");
}

/* ---- finding what was written -------------------------------------------------------------- */

/* The pages of [start, end) that are no longer the file's; false: unknown. `end` moves to where the
 * regions found end. */
static bool scan(int pagemap, uint64_t start, uint64_t *end, page_region regions[MAX_REGIONS],
                 size_t *n) {
    scan_argument a = {.size = sizeof a,
                       .start = start,
                       .end = *end,
                       .vec = (uint64_t)(uintptr_t)regions,
                       .vec_len = MAX_REGIONS,
                       .category_inverted = CATEGORY_FILE,
                       .category_mask = CATEGORY_FILE,
                       .category_anyof_mask = CATEGORY_PRESENT | CATEGORY_SWAPPED,
                       .return_mask = CATEGORY_PRESENT | CATEGORY_SWAPPED};
    long found = ioctl(pagemap, SCAN_REQUEST, &a);
    if (found < 0 || a.walk_end <= start) {
        return false;
    }
    *n = (size_t)found;
    *end = a.walk_end;
    return true;
}

/* Writes pages as `original` (NULL: zeros) has them. False: all have to be dropped. */
static bool write_back(int pagemap, const uint8_t *original, uint8_t *copy, size_t size_bytes,
                       size_t *n_written) {
    page_region regions[MAX_REGIONS];
    uint64_t base = (uint64_t)(uintptr_t)copy;
    uint64_t last = base + size_bytes;
    size_t total_bytes = 0;
    for (uint64_t at = base; at < last;) {
        uint64_t end = last;
        size_t n = 0;
        if (!scan(pagemap, at, &end, regions, &n)) {
            return false;
        }
        for (size_t i = 0; i < n; i++) {
            size_t offset = (size_t)(regions[i].start - base);
            size_t length = (size_t)(regions[i].end - regions[i].start);
            total_bytes += length;
            if (total_bytes > MAX_KEPT_BYTES) {
                return false;
            }
            if (original) {
                memcpy(copy + offset, original + offset, length);
            } else {
                memset(copy + offset, 0, length);
            }
        }
        at = end;
    }
    *n_written = total_bytes / PAGE_BYTES;
    return true;
}

static tars_status restore(const void *original, void *copy, size_t size_bytes, size_t *n_written,
                           tars_error *err) {
    size_t n = 0;
    /* Each time: an open one goes on telling of the process that opened it, also in its child. */
    int pagemap = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
    bool done = pagemap >= 0 && write_back(pagemap, original, copy, size_bytes, &n);
    if (pagemap >= 0) {
        (void)close(pagemap);
    }
    if (n_written) {
        *n_written = done ? n : 0;
    }
    if (!done && madvise(copy, size_bytes, MADV_DONTNEED) != 0) {
        return platform_fail(err, errno, NULL, "cannot drop pages");
    }
    return TARS_OK;
}

tars_status platform_snapshot_restore(const platform_snapshot *snapshot, void *copy,
                                      size_t *n_written, tars_error *err) {
    return restore(snapshot->bytes, copy, snapshot->size_bytes, n_written, err);
}

tars_status platform_zero(void *memory, size_t size_bytes, tars_error *err) {
    return restore(NULL, memory, size_bytes, NULL, err);
}

void platform_prefer_small_pages(void *memory, size_t size_bytes) {
    (void)madvise(memory, size_bytes, MADV_NOHUGEPAGE); /* large ones serve too */
}

tars_status platform_freeze(void *memory, size_t size_bytes, tars_error *err) {
    return mprotect(memory, size_bytes, PROT_READ) == 0
               ? TARS_OK
               : platform_fail(err, errno, NULL, "cannot make pages read-only");
}
