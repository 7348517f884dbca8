/* Standard output through one buffered writer that checks every write. Ownership: the output is
 * the caller's plain memory; it does not own the handle. */
#ifndef CLI_OUTPUT_H
#define CLI_OUTPUT_H

#include "base/error.h"
#include "base/json.h"
#include "platform/platform.h"

#include <stdbool.h>
#include <stddef.h>

enum { OUTPUT_BUFFER_BYTES = 16384 };

typedef struct output {
    platform_handle handle;
    bool is_terminal; /* control characters of foreign text are then shown as '?' */
    bool failed;      /* a write failed; everything later is dropped */
    bool broken_pipe; /* the reader went away: no error to report */
    tars_error error; /* of the write that failed */
    char *memory;     /* without a handle: what was flushed, malloc'ed */
    size_t memory_bytes;
    size_t used;
    char buffer[OUTPUT_BUFFER_BYTES];
} output;

void output_init(output *out, platform_handle handle, bool is_terminal);
/* Bytes as they are. */
void output_bytes(output *out, const char *bytes, size_t length);
void output_text(output *out, const char *string);
/* text_format's language: %s arguments cannot drive a terminal. At most 4 KiB an item. */
void output_format(output *out, const char *format, ...) BASE_PRINTF(2, 3);
/* Text that a model or a file brought: as it is into a file or pipe, without control characters on
 * a terminal. */
void output_foreign(output *out, const char *bytes, size_t length);
/* Writes what is buffered; false when that or an earlier write failed. */
bool output_flush(output *out);
/* Flushes and says what became of it: DISK_FULL or IO with the system's words; a reader that went
 * away is TARS_OK. */
tars_status output_finish(output *out, tars_error *err);
/* A json_writer over the output. */
void output_json(output *out, json_writer *writer);
/* A document that `write` prints: as it is, or as {"text":"…"}. */
tars_status output_document(output *out, bool as_json, void (*write)(output *out), tars_error *err);

#endif
