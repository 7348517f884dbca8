/* The parent's side of an import: runs the child (import_child.h), takes its stream and its frames,
 * and believes nothing that it can check itself. A child that crashes, hangs, takes too much or
 * lies is an error message. Ownership: nothing is kept. */
#ifndef STORE_IMPORT_PROCESS_H
#define STORE_IMPORT_PROCESS_H

#include "base/error.h"
#include "base/sha256.h"
#include "platform/platform.h"

#include <tars/model.h>

enum { IMPORT_MAX_SOURCES = 12, IMPORT_STALL_TIMEOUT_MS = 120000 };

typedef struct import_process_options {
    const char *program_path;
    const char *const *arguments; /* after the verb, NULL at the end */
    const platform_handle *sources;
    size_t n_sources;
    const char *step; /* for progress */
    uint64_t max_stream_bytes;
    uint32_t stall_timeout_ms; /* without a byte or a frame; 0: IMPORT_STALL_TIMEOUT_MS */
    tars_progress progress;    /* may be NULL */
    void *user;
    byte_sink sink; /* receives the stream; its failure ends the child */
} import_process_options;

typedef struct import_process_result {
    uint64_t bytes;                       /* of the stream */
    char stream_sha256[SHA256_HEX_BYTES]; /* computed here */
    char source_sha256[SHA256_HEX_BYTES]; /* as the child says */
    bool could_not_begin; /* with an error: the child told it before it read any source */
} import_process_result;

/* Returns when the child has ended. The child's own error object is passed through. */
tars_status import_process_run(const import_process_options *options, import_process_result *out,
                               tars_error *err);

#endif
