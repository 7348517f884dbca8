/* A reader of GGUF files, versions 2 and 3. It reads the metadata only, never tensor data, and
 * believes nothing: every count, length, offset, type and dimension is checked against the file's
 * size before it is used.
 *
 * Cost: O(metadata · log n) time for n keys or tensors, each byte of metadata is read once, at
 * most GGUF_READ_BYTES beyond its end. Memory: at most GGUF_MEMORY_MULTIPLE · header_bytes +
 * GGUF_READ_BYTES from the arena (the worst case is a file of nothing but one-letter keys; a real
 * model needs about 1.3 times its metadata).
 *
 * Ownership: a gguf_file and all it points to live in the caller's arena; the source is not
 * needed after gguf_open returns, except by whoever reads the tensors. */
#ifndef ENGINE_GGUF_H
#define ENGINE_GGUF_H

#include "base/arena.h"
#include "base/error.h"
#include "engine/source.h"
#include "engine/tensor_type.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    GGUF_MEMORY_MULTIPLE = 6,
    GGUF_READ_BYTES = 64 << 10,
    GGUF_HEADER_MIN_BYTES = 24, /* magic, version, both counts */
    GGUF_DEFAULT_ALIGNMENT = 32,
    GGUF_MAX_ALIGNMENT = 1 << 26,
    GGUF_MAX_DIMS = 4,
    GGUF_MAX_KEY_BYTES = 65535,     /* the format's limit */
    GGUF_MAX_TENSOR_NAME_BYTES = 63 /* so that 64 bytes hold it with a NUL */
};

/* The numbers are the file format's. */
typedef enum gguf_value_type {
    GGUF_UINT8 = 0,
    GGUF_INT8 = 1,
    GGUF_UINT16 = 2,
    GGUF_INT16 = 3,
    GGUF_UINT32 = 4,
    GGUF_INT32 = 5,
    GGUF_FLOAT32 = 6,
    GGUF_BOOL = 7,
    GGUF_STRING = 8,
    GGUF_ARRAY = 9,
    GGUF_UINT64 = 10,
    GGUF_INT64 = 11,
    GGUF_FLOAT64 = 12,
    GGUF_VALUE_TYPES
} gguf_value_type;

/* Bytes without a terminating NUL; not necessarily UTF-8 when they come from a value. */
typedef struct gguf_text {
    const char *bytes;
    size_t length;
} gguf_text;

/* One key with its value. Use the access functions below rather than `value`. */
typedef struct gguf_key {
    gguf_text name;          /* UTF-8 without control characters, not empty */
    uint32_t type;           /* gguf_value_type */
    uint32_t element_type;   /* of an array, else equal to type */
    uint64_t count;          /* elements of an array, else 1 */
    const uint8_t *value;    /* little-endian, unaligned: a scalar, a string's length, or the
                                first element */
    const uint32_t *strings; /* [count] of an array of strings: offset of each in the header */
    uint64_t offset;         /* of the key in the file */
} gguf_key;

typedef struct gguf_tensor {
    gguf_text name;               /* UTF-8 without control characters, 1 … 63 bytes */
    uint32_t type;                /* tensor_type, known to tensor_type_get */
    uint32_t n_dims;              /* 1 … 4 */
    uint64_t dims[GGUF_MAX_DIMS]; /* dims[0] = columns, the contiguous one; unused ones are 1 */
    uint64_t offset;              /* from gguf_file.data_offset, a multiple of the alignment */
    uint64_t size_bytes;          /* > 0, and within the file */
    uint64_t info_offset;         /* of the tensor's description in the file */
} gguf_tensor;

typedef struct gguf_file {
    uint32_t version;
    uint32_t alignment;
    uint64_t file_bytes;
    uint64_t header_bytes; /* up to the end of the last tensor's description */
    uint64_t data_offset;  /* header_bytes rounded up to the alignment */
    const uint8_t *header; /* [header_bytes], the file's first bytes as they are */
    const gguf_key *keys;  /* [n_keys] in the file's order, no two alike */
    size_t n_keys;
    const gguf_tensor *tensors; /* [n_tensors] in the file's order, no two overlap */
    size_t n_tensors;
    const uint32_t *keys_by_name;    /* [n_keys] indices in byte order of the names */
    const uint32_t *tensors_by_name; /* [n_tensors] */
} gguf_file;

/* 0 in a field means the default. */
typedef struct gguf_limits {
    uint64_t max_metadata_bytes; /* 256 MiB; never more than 4 GiB - 1 */
    uint64_t max_keys;           /* 65,536 */
    uint64_t max_tensors;        /* 262,144 */
    uint64_t max_vocabulary;     /* 16,777,216 elements of any tokenizer.ggml array */
} gguf_limits;

/* Reads and checks the metadata. `limits` may be NULL. On failure *out is empty and *err names
 * what was found, where (key or tensor and byte offset) and what was expected: MALFORMED (broken
 * or truncated), UNSUPPORTED (a version, byte order or tensor type that is not read), LIMIT,
 * OUT_OF_MEMORY (the arena), or what the source says. */
tars_status gguf_open(const byte_source *source, const gguf_limits *limits, arena *memory,
                      gguf_file *out, tars_error *err);

/* Told of each problem; returns true to go on where that is safe. */
typedef bool (*gguf_problem_sink)(void *context, const tars_error *problem);

/* As gguf_open, but goes on after a problem as long as `sink` says so and the place of the next
 * item is known; *out then holds what could be read. Tensors whose size could not be told have
 * size_bytes 0, values that break a rule are kept. Returns the first problem's status. */
tars_status gguf_scan(const byte_source *source, const gguf_limits *limits, arena *memory,
                      gguf_problem_sink sink, void *context, gguf_file *out, tars_error *err);

/* Name of a value type, "uint32", "array" …; "unknown" for any other number. */
const char *gguf_type_name(uint32_t type);
bool gguf_text_equals(gguf_text text, const char *string);

/* The key or tensor of that name, or NULL. O(log n). */
const gguf_key *gguf_find(const gguf_file *file, const char *name);
const gguf_tensor *gguf_find_tensor(const gguf_file *file, const char *name);
/* The key "ARCHITECTURE.suffix" with the file's general.architecture, or NULL. */
const gguf_key *gguf_find_for_architecture(const gguf_file *file, const char *suffix);

/* Typed access by name. NOT_FOUND: there is no such key; MALFORMED: its value has another type or
 * does not fit; both name the key and where it stands. Integers of any width and sign are taken
 * when the value fits; f32 and f64 take either float type (rounded to nearest). */
tars_status gguf_get_u32(const gguf_file *file, const char *name, uint32_t *out, tars_error *err);
tars_status gguf_get_i64(const gguf_file *file, const char *name, int64_t *out, tars_error *err);
tars_status gguf_get_u64(const gguf_file *file, const char *name, uint64_t *out, tars_error *err);
tars_status gguf_get_f32(const gguf_file *file, const char *name, float *out, tars_error *err);
tars_status gguf_get_f64(const gguf_file *file, const char *name, double *out, tars_error *err);
tars_status gguf_get_bool(const gguf_file *file, const char *name, bool *out, tars_error *err);
tars_status gguf_get_text(const gguf_file *file, const char *name, gguf_text *out, tars_error *err);
/* The key when it is an array whose elements have that type; GGUF_VALUE_TYPES takes any integer
 * type (read it with gguf_element_i64). */
tars_status gguf_get_array(const gguf_file *file, const char *name, uint32_t element_type,
                           const gguf_key **out, tars_error *err);

/* The same on a key that was found, false when the type differs or the value does not fit. */
bool gguf_key_u64(const gguf_key *key, uint64_t *out);
bool gguf_key_i64(const gguf_key *key, int64_t *out);
bool gguf_key_f64(const gguf_key *key, double *out);
bool gguf_key_bool(const gguf_key *key, bool *out);
bool gguf_key_text(const gguf_key *key, gguf_text *out);

/* Element i < count of an array. The element type must be a string (text), an integer or bool
 * (i64; a UINT64 above 2^63-1 reads as negative), or a float (f64). */
gguf_text gguf_element_text(const gguf_file *file, const gguf_key *key, uint64_t i);
int64_t gguf_element_i64(const gguf_key *key, uint64_t i);
double gguf_element_f64(const gguf_key *key, uint64_t i);

#endif
