/* A report on a model file that may be damaged or hostile: what can be read of it, and every
 * problem that was found on the way. Ownership: the report lives in the caller's arena. */
#ifndef ENGINE_INSPECT_H
#define ENGINE_INSPECT_H

#include "base/json.h"
#include "engine/gguf.h"
#include "engine/safetensors.h"

enum {
    INSPECT_MAX_PROBLEMS = 64,        /* more are counted but not kept */
    INSPECT_MAX_ELEMENTS = 16,        /* longer arrays are summarised */
    INSPECT_MAX_TEXT_BYTES = 64 << 10 /* longer strings are summarised */
};

typedef struct inspect_report {
    const char *format; /* "gguf", "safetensors" or "unknown" */
    uint64_t file_bytes;
    gguf_file gguf;               /* what could be read; empty for other formats */
    safetensors_file safetensors; /* the same */
    const tars_error *problems;   /* [n_problems] */
    size_t n_problems;
    size_t n_problems_left_out;
    const bool *key_repeats; /* [gguf.n_keys] an earlier key has the same name */
    char *name_buffer;       /* room for any key's name and a NUL */
} inspect_report;

/* Reads what it can; goes on after a problem wherever the place of the next item is known. Fails
 * only when the arena has no room for the report itself (OUT_OF_MEMORY); everything else, a
 * source that cannot be read included, becomes a problem of the report. Memory as gguf_open's and
 * safetensors_open's, and 192 KiB. */
tars_status inspect_source(const byte_source *source, arena *memory, inspect_report *out,
                           tars_error *err);

/* One JSON object: {"format","version","file_bytes","metadata":{},"tensors":[{"name","type",
 * "shape","bytes"}],"problems":[{"code","message","where","hint"}],"problems_left_out"}. Shapes
 * are in the file's order: GGUF names the columns first, safetensors last. Arrays of more than
 * INSPECT_MAX_ELEMENTS become {"type":"string","count":49152}. */
void inspect_write_json(const inspect_report *report, json_writer *writer);

#endif
