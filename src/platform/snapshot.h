/* Memory that copies start from: written once, sealed, and then the same for all that map it; what
 * a copy changes is its own. Neither is in memory dumps of the process. Ownership: begin to destroy; copies may outlive it and are given back
 * with platform_release and the snapshot's size. */
#ifndef PLATFORM_SNAPSHOT_H
#define PLATFORM_SNAPSHOT_H

#include "platform/platform.h"

typedef struct platform_snapshot {
    platform_handle handle;
    size_t size_bytes; /* whole pages */
    void *bytes;       /* once sealed: a mapping that cannot be written */
} platform_snapshot;

/* All zero; pages that stay so take no memory. UNAVAILABLE where this system has no such thing in
 * this version. */
tars_status platform_snapshot_begin(size_t size_bytes, platform_snapshot *out, tars_error *err);
tars_status platform_snapshot_put(const platform_snapshot *snapshot, size_t offset,
                                  const void *bytes, size_t length, tars_error *err);
/* From now on nobody can change it. */
tars_status platform_snapshot_seal(platform_snapshot *snapshot, tars_error *err);
/* Takes over the handle of one that another process sealed; its bytes cannot change.
 * After success platform_snapshot_destroy gives it back, after failure it is the caller's. */
tars_status platform_snapshot_adopt(platform_handle handle, platform_snapshot *out,
                                    tars_error *err);
void platform_snapshot_destroy(platform_snapshot *snapshot);
/* Readable and writable; a page takes memory once it is written. */
tars_status platform_snapshot_copy(const platform_snapshot *snapshot, void **out, tars_error *err);
/* Makes a copy as it was at first. Pages that were written are found and written again, which keeps
 * them in memory, as long as they are few; else, and where the system cannot find them, all are
 * dropped. *n_written (may be NULL): pages that were found, or 0. */
tars_status platform_snapshot_restore(const platform_snapshot *snapshot, void *copy,
                                      size_t *n_written, tars_error *err);
/* Makes memory of platform_reserve zero again: pages that were written are found and zeroed, as
 * long as they are few; else, and where the system cannot find them, all are given back. */
tars_status platform_zero(void *memory, size_t size_bytes, tars_error *err);
/* Untouched memory of platform_reserve of which few pages will be written: no large ones. */
void platform_prefer_small_pages(void *memory, size_t size_bytes);
/* From now on nothing in this process can write these whole pages. */
tars_status platform_freeze(void *memory, size_t size_bytes, tars_error *err);

#endif
