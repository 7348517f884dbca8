/* Import: foreign model file in, packed model out. The one place that reads GGUF. Runs inside a
 * sandbox; streams, so that neither file is ever whole in memory. Ownership: everything belongs
 * to the caller; nothing is kept. */
#ifndef ENGINE_IMPORT_H
#define ENGINE_IMPORT_H

#include "base/arena.h"
#include "base/sha256.h"
#include "engine/source.h"

#include <stdbool.h>

typedef struct import_result {
    uint64_t packed_bytes;
    uint8_t source_sha256[SHA256_DIGEST_BYTES];
    uint8_t packed_sha256[SHA256_DIGEST_BYTES];
} import_result;

typedef struct import_options {
    /* done of total source bytes; returning false cancels; may be NULL */
    bool (*progress)(void *user, uint64_t done, uint64_t total);
    void *progress_user;
    /* What the caller has taken of the source's bytes already; NULL: it is taken here. */
    const uint8_t *source_sha256;
    bool no_packed_sha256; /* the caller takes it of what the sink gets */
} import_options;

/* Reads a GGUF model from `source`, checks all of it (container, model, tokenizer, finite
 * weights) and writes the packed file to `sink` in order. `memory` bounds what it may use. */
tars_status import_gguf(const byte_source *source, const import_options *options,
                        const byte_sink *sink, arena *memory, import_result *out, tars_error *err);

/* The reverse: writes the GGUF file that the packed model came from, byte for byte up to padding.
 */
tars_status export_gguf(const void *packed, size_t packed_bytes, const byte_sink *sink,
                        arena *memory, tars_error *err);

#endif
