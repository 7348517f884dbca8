/* The frames that the import child sends its parent: one JSON object a line. The parent trusts
 * none of it: a frame that is not exactly one of these is a failure of the child. Ownership: a
 * frame is plain memory of the caller's. */
#ifndef STORE_FRAME_H
#define STORE_FRAME_H

#include "base/error.h"
#include "base/sha256.h"

#include <stddef.h>
#include <stdint.h>

enum { FRAME_LINE_BYTES = 8192 /* longest frame with its newline */ };

typedef enum frame_kind {
    FRAME_PROGRESS, /* {"progress":{"done":1,"total":2}}; 0 of 0, first of all: only now is a source
                       read */
    FRAME_RESULT,   /* {"result":{"bytes":1,"source_sha256":"…","stream_sha256":"…"}} */
    FRAME_ERROR     /* {"error":{"code":"…","message":"…","hint":"…","where":"…","cause":"…"}} */
} frame_kind;

typedef struct import_frame {
    frame_kind kind;
    uint64_t done; /* of total bytes of the source; total 0 is unknown */
    uint64_t total;
    uint64_t bytes;                       /* of the stream that was written */
    char source_sha256[SHA256_HEX_BYTES]; /* what the child read */
    char stream_sha256[SHA256_HEX_BYTES]; /* what the child wrote */
    tars_error error;
} import_frame;

/* Writes the frame with its newline; returns its length, at most FRAME_LINE_BYTES. */
size_t frame_format(const import_frame *frame, char line[FRAME_LINE_BYTES]);
/* Reads a line without its newline. MALFORMED when it is no frame. */
tars_status frame_parse(const char *line, size_t length, import_frame *out, tars_error *err);

#endif
