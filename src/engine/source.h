/* Where bytes come from: a file, a memory block, a pipe's spool. Ownership: whoever makes the
 * source keeps its context alive as long as it is used. */
#ifndef ENGINE_SOURCE_H
#define ENGINE_SOURCE_H

#include "base/error.h"

#include <stddef.h>
#include <stdint.h>

typedef struct byte_source {
    void *context;
    uint64_t size_bytes;
    /* Fills exactly `length` bytes from `offset`, or fails (IO, CORRUPT). The caller has checked
     * offset + length <= size_bytes. Called from one thread. */
    tars_status (*read_at)(void *context, uint64_t offset, void *buffer, size_t length,
                           tars_error *err);
} byte_source;

/* Where bytes go, in order. Fails with DISK_FULL, IO or whatever the receiver says. */
typedef struct byte_sink {
    void *context;
    tars_status (*write)(void *context, const void *bytes, size_t length, tars_error *err);
} byte_sink;

/* A source over memory that stays valid while the source is used. */
byte_source byte_source_memory(const void *bytes, size_t size_bytes);
/* Checked read: MALFORMED-free, fails with CORRUPT when the range leaves the source. */
tars_status byte_source_read(const byte_source *source, uint64_t offset, void *buffer,
                             size_t length, tars_error *err);

#endif
