/* A reader of safetensors files: a length, a JSON header, then tensor data without gaps. It reads
 * the header only and checks all of it: dtype, shape, range of every tensor, and that the tensors
 * cover the data exactly once.
 *
 * Memory: at most SAFETENSORS_MEMORY_MULTIPLE · header_bytes + 1 KiB from the arena, most of it
 * JSON. Time: O(header · log n) for n tensors.
 *
 * Ownership: a safetensors_file and all it points to live in the caller's arena; the source is
 * not needed after safetensors_open returns, except by whoever reads the tensors. */
#ifndef ENGINE_SAFETENSORS_H
#define ENGINE_SAFETENSORS_H

#include "base/arena.h"
#include "base/json.h"
#include "engine/gguf.h"

enum {
    SAFETENSORS_MEMORY_MULTIPLE = 64,
    SAFETENSORS_MAX_HEADER_BYTES = 100000000, /* the format's own limit */
    SAFETENSORS_MAX_DIMS = 8,
    SAFETENSORS_NO_TYPE = -1
};

typedef struct safetensors_tensor {
    gguf_text name;
    const char *dtype; /* as the file names it: "F32" … */
    int type;          /* tensor_type, or SAFETENSORS_NO_TYPE when GGUF has none for it */
    uint32_t n_dims;   /* 0 … 8; 0 is one value */
    uint64_t dims[SAFETENSORS_MAX_DIMS]; /* in the file's order: the last one is contiguous */
    uint64_t offset;                     /* from the file's start */
    uint64_t size_bytes;
} safetensors_tensor;

typedef struct safetensors_file {
    uint64_t file_bytes;
    uint64_t data_offset;
    const json_value *metadata;        /* the object "__metadata__", or NULL */
    const safetensors_tensor *tensors; /* [n_tensors] in the header's order */
    size_t n_tensors;
    const uint32_t *tensors_by_name; /* [n_tensors] indices in byte order of the names */
} safetensors_file;

/* On failure *out is empty and *err names the tensor and what is wrong: MALFORMED, UNSUPPORTED (a
 * dtype that is not known), LIMIT, OUT_OF_MEMORY, or what the source says. */
tars_status safetensors_open(const byte_source *source, arena *memory, safetensors_file *out,
                             tars_error *err);
/* As safetensors_open, but goes on after a problem with one tensor as long as `sink` says so; such
 * a tensor has size_bytes 0. Returns the first problem's status. */
tars_status safetensors_scan(const byte_source *source, arena *memory, gguf_problem_sink sink,
                             void *context, safetensors_file *out, tars_error *err);
/* True when the first bytes look like a safetensors file rather than something else. */
bool safetensors_detect(const byte_source *source);
/* The tensor of that name, or NULL. O(log n). */
const safetensors_tensor *safetensors_find(const safetensors_file *file, const char *name);

#endif
