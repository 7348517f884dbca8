#include "platform/snapshot.h"

#include "platform/internal.h"

#if !defined(__linux__) /* which has its own */

static tars_status not_here(tars_error *err) {
    return platform_not_here(err, "a sealed snapshot");
}

tars_status platform_snapshot_begin(size_t size_bytes, platform_snapshot *out, tars_error *err) {
    *out = (platform_snapshot){.handle = PLATFORM_NO_HANDLE, .size_bytes = size_bytes};
    return not_here(err);
}

tars_status platform_snapshot_put(const platform_snapshot *snapshot, size_t offset,
                                  const void *bytes, size_t length, tars_error *err) {
    (void)snapshot;
    (void)offset;
    (void)bytes;
    (void)length;
    return not_here(err);
}

tars_status platform_snapshot_seal(platform_snapshot *snapshot, tars_error *err) {
    (void)snapshot;
    return not_here(err);
}

tars_status platform_snapshot_adopt(platform_handle handle, platform_snapshot *out,
                                    tars_error *err) {
    (void)handle;
    *out = (platform_snapshot){.handle = PLATFORM_NO_HANDLE};
    return not_here(err);
}

void platform_snapshot_destroy(platform_snapshot *snapshot) {
    (void)snapshot; /* there is none */
}

tars_status platform_snapshot_copy(const platform_snapshot *snapshot, void **out, tars_error *err) {
    (void)snapshot;
    *out = NULL;
    return not_here(err);
}

tars_status platform_snapshot_restore(const platform_snapshot *snapshot, void *copy,
                                      size_t *n_written, tars_error *err) {
    (void)snapshot;
    (void)copy;
    (void)n_written;
    return not_here(err);
}

tars_status platform_zero(void *memory, size_t size_bytes, tars_error *err) {
    (void)memory;
    (void)size_bytes;
    return not_here(err);
}

void platform_prefer_small_pages(void *memory, size_t size_bytes) {
    (void)memory; /* they are what is given here */
    (void)size_bytes;
}

tars_status platform_freeze(void *memory, size_t size_bytes, tars_error *err) {
    (void)memory;
    (void)size_bytes;
    return not_here(err);
}

#endif
