#include "platform/internal.h"

#include <errno.h>
#include <sys/mman.h>
#include <unistd.h>

#if defined(__APPLE__) && !defined(MAP_NORESERVE)
#define MAP_NORESERVE 0
#endif

#define HUGE_PAGE_BYTES ((size_t)2 << 20)

static size_t round_up(size_t size_bytes, size_t unit) {
    return (size_bytes + unit - 1) / unit * unit;
}

static size_t page_bytes(void) {
    return (size_t)sysconf(_SC_PAGESIZE);
}

/* Address space of that size at a 2 MiB boundary, without memory behind it; NULL on failure. */
static uint8_t *reserve_aligned(size_t size_bytes, int protection) {
    size_t whole = size_bytes + HUGE_PAGE_BYTES;
    if (whole < size_bytes) {
        errno = ENOMEM;
        return NULL;
    }
    uint8_t *start =
        mmap(NULL, whole, protection, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (start == MAP_FAILED) {
        return NULL;
    }
    size_t before = (size_t)(-(uintptr_t)start & (HUGE_PAGE_BYTES - 1));
    size_t after = HUGE_PAGE_BYTES - before;
    if (before > 0) {
        (void)munmap(start, before);
    }
    (void)munmap(start + before + size_bytes, after);
    return start + before;
}

tars_status platform_reserve(size_t size_bytes, bool huge_pages, void **out, tars_error *err) {
    size_t size = round_up(size_bytes, page_bytes());
    *out = NULL;
    if (size_bytes == 0 || size < size_bytes) {
        return error_set(err, TARS_OUT_OF_MEMORY, "cannot reserve %zu bytes of memory", size_bytes);
    }
    void *memory;
    if (size >= HUGE_PAGE_BYTES) {
        memory = reserve_aligned(size, PROT_READ | PROT_WRITE);
    } else {
        memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        memory = memory == MAP_FAILED ? NULL : memory;
    }
    if (!memory) {
        return platform_fail(err, errno, NULL, "cannot reserve %zu bytes of memory", size_bytes);
    }
#if defined(MADV_HUGEPAGE)
    if (huge_pages && size >= HUGE_PAGE_BYTES) {
        (void)madvise(memory, size, MADV_HUGEPAGE); /* small pages serve too */
    }
#else
    (void)huge_pages;
#endif
    *out = memory;
    return TARS_OK;
}

bool platform_discard(void *memory, size_t size_bytes) {
#if defined(__linux__)
    return madvise(memory, size_bytes, MADV_DONTNEED) == 0;
#else
    (void)memory; /* elsewhere the advice promises no zeros */
    (void)size_bytes;
    return false;
#endif
}

void platform_release(void *memory, size_t size_bytes) {
    if (memory) {
        (void)munmap(memory, round_up(size_bytes, page_bytes()));
    }
}

static tars_status map_file(platform_mapping *mapping, tars_error *err) {
    const char *name = mapping->file.name;
    if (mapping->info.size_bytes == 0 || mapping->info.size_bytes > SIZE_MAX / 2) {
        error_set(err, TARS_CORRUPT, "a file of %llu bytes cannot be a model",
                  (unsigned long long)mapping->info.size_bytes);
        platform_where(err, name);
        return TARS_CORRUPT;
    }
    size_t size = round_up((size_t)mapping->info.size_bytes, page_bytes());
    uint8_t *place = reserve_aligned(size, PROT_NONE);
    if (!place) {
        return platform_fail(err, errno, name, "no address space for %zu bytes", size);
    }
    void *bytes = mmap(place, (size_t)mapping->info.size_bytes, PROT_READ, MAP_SHARED | MAP_FIXED,
                       (int)mapping->file.handle, 0);
    if (bytes == MAP_FAILED) {
        int number = errno;
        (void)munmap(place, size);
        return platform_fail(err, number, name, "cannot map the file");
    }
#if defined(MADV_HUGEPAGE)
    (void)madvise(bytes, size, MADV_HUGEPAGE); /* before the first touch; small pages serve too */
#endif
    mapping->bytes = bytes;
    mapping->size_bytes = (size_t)mapping->info.size_bytes;
    return TARS_OK;
}

tars_status platform_map(const char *path, platform_mapping *out, tars_error *err) {
    *out = (platform_mapping){.bytes = NULL};
    tars_status status = platform_file_open(path, &out->file, err);
    if (status != TARS_OK) {
        return status;
    }
    status = platform_file_get_info(&out->file, &out->info, err);
    if (status == TARS_OK) {
        status = map_file(out, err);
    }
    if (status == TARS_OK && !platform_guard_add(out)) {
        status = error_set(err, TARS_LIMIT, "too many models are mapped at once");
        (void)munmap((void *)(uintptr_t)out->bytes, out->size_bytes);
    }
    if (status != TARS_OK) {
        platform_file_close(&out->file);
        out->bytes = NULL;
        out->size_bytes = 0;
    }
    return status;
}

void platform_unmap(platform_mapping *mapping) {
    if (mapping->bytes) {
        platform_guard_remove(mapping);
        (void)munmap((void *)(uintptr_t)mapping->bytes, mapping->size_bytes);
        platform_file_close(&mapping->file);
        mapping->bytes = NULL;
        mapping->size_bytes = 0;
    }
}

tars_status platform_mapping_check(const platform_mapping *mapping, tars_error *err) {
    platform_file_info now;
    tars_status status = platform_file_get_info(&mapping->file, &now, err);
    if (status != TARS_OK) {
        return status;
    }
    bool same =
        now.size_bytes == mapping->info.size_bytes && now.mtime_ns == mapping->info.mtime_ns;
    bool damaged = atomic_load_explicit(&mapping->damaged, memory_order_acquire) != 0;
    if (same && !damaged) {
        return TARS_OK;
    }
    if (now.size_bytes != mapping->info.size_bytes) {
        error_set(err, TARS_CORRUPT, "the file had %llu bytes when it was opened and has %llu now",
                  (unsigned long long)mapping->info.size_bytes, (unsigned long long)now.size_bytes);
    } else {
        error_set(err, TARS_CORRUPT, "the file was %s while it was in use",
                  damaged ? "cut or could not be read" : "written");
    }
    error_hint(err, "import the model again, and do not change files of the store");
    platform_where(err, mapping->file.name);
    return TARS_CORRUPT;
}

tars_status platform_mapping_warm(const platform_mapping *mapping, tars_error *err) {
    void *bytes = (void *)(uintptr_t)mapping->bytes;
#if defined(__linux__) && defined(MADV_POPULATE_READ)
    if (madvise(bytes, mapping->size_bytes, MADV_POPULATE_READ) == 0) {
        return TARS_OK;
    }
    if (errno != EINVAL) { /* EINVAL: older than Linux 5.14 */
        return platform_fail(err, errno, mapping->file.name, "cannot read the file's pages");
    }
#else
    (void)err;
#endif
    (void)madvise(bytes, mapping->size_bytes, MADV_WILLNEED);
    size_t step = page_bytes();
    for (size_t i = 0; i < mapping->size_bytes; i += step) {
        (void)*(const volatile uint8_t *)(mapping->bytes + i);
    }
    return TARS_OK;
}

tars_status platform_space_reserve(size_t size_bytes, void **out, tars_error *err) {
    *out = reserve_aligned(round_up(size_bytes, page_bytes()), PROT_NONE);
    return *out ? TARS_OK
                : platform_fail(err, errno, NULL, "no address space for %zu bytes", size_bytes);
}

tars_status platform_space_open(void *space, size_t offset, size_t size_bytes, tars_error *err) {
    if (mprotect((uint8_t *)space + offset, size_bytes, PROT_READ | PROT_WRITE) != 0) {
        return platform_fail(err, errno, NULL, "cannot open %zu bytes of memory", size_bytes);
    }
    return TARS_OK;
}

tars_status platform_space_map(void *space, size_t offset, const platform_mapping *mapping,
                               platform_mapping *view, tars_error *err) {
    *view = (platform_mapping){.bytes = NULL};
    void *bytes = mmap((uint8_t *)space + offset, mapping->size_bytes, PROT_READ,
                       MAP_SHARED | MAP_FIXED, (int)mapping->file.handle, 0);
    if (bytes == MAP_FAILED) {
        return platform_fail(err, errno, mapping->file.name, "cannot map the file");
    }
#if defined(MADV_HUGEPAGE)
    (void)madvise(bytes, mapping->size_bytes, MADV_HUGEPAGE); /* small pages serve too */
#endif
    view->bytes = bytes;
    view->size_bytes = mapping->size_bytes;
    if (!platform_guard_add(view)) {
        view->bytes = NULL;
        return error_set(err, TARS_LIMIT, "too many guests see a model at once");
    }
    return TARS_OK;
}

void platform_space_unmap(platform_mapping *view) {
    if (view->bytes) {
        platform_guard_remove(view);
        (void)munmap((void *)(uintptr_t)view->bytes, view->size_bytes);
        view->bytes = NULL;
    }
}

void platform_space_release(void *space, size_t size_bytes) {
    if (space) {
        (void)munmap(space, round_up(size_bytes, page_bytes()));
    }
}
