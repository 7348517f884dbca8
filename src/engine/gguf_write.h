/* Builds the header of a GGUF file, version 3, from a list of keys and tensors. The bytes are a
 * function of the lists alone. Ownership: the lists belong to the caller, the header to the arena
 * that was handed in. */
#ifndef ENGINE_GGUF_WRITE_H
#define ENGINE_GGUF_WRITE_H

#include "engine/gguf.h"

/* One key. Fill it with the functions below. */
typedef struct gguf_entry {
    const char *name;
    uint32_t type;          /* gguf_value_type */
    uint32_t element_type;  /* of an array: GGUF_STRING or a scalar type */
    size_t count;           /* elements of an array */
    uint64_t bits;          /* a scalar's bits, lowest first */
    gguf_text text;         /* of a string */
    const gguf_text *texts; /* [count] of an array of strings */
    const void *numbers;    /* [count] of an array of scalars, of the element's C type */
} gguf_entry;

gguf_entry gguf_entry_u32(const char *name, uint32_t value);
gguf_entry gguf_entry_u64(const char *name, uint64_t value);
gguf_entry gguf_entry_i32(const char *name, int32_t value);
gguf_entry gguf_entry_f32(const char *name, float value);
gguf_entry gguf_entry_bool(const char *name, bool value);
gguf_entry gguf_entry_string(const char *name, const char *value);
gguf_entry gguf_entry_text(const char *name, gguf_text value);
gguf_entry gguf_entry_texts(const char *name, const gguf_text *texts, size_t count);
/* `element_type` is a scalar type, `numbers` its C array (bool: bytes 0 and 1). */
gguf_entry gguf_entry_numbers(const char *name, uint32_t element_type, const void *numbers,
                              size_t count);

typedef struct gguf_tensor_entry {
    const char *name;
    uint32_t type;
    uint32_t n_dims;
    uint64_t dims[GGUF_MAX_DIMS];
    uint64_t offset;     /* filled in: from the start of the data */
    uint64_t size_bytes; /* filled in */
} gguf_tensor_entry;

typedef struct gguf_header {
    const uint8_t *bytes;
    size_t header_bytes; /* up to the last tensor's description */
    size_t data_offset;  /* bytes[header_bytes … data_offset) are zero */
    uint64_t data_bytes; /* of all tensors, each padded to the alignment, the last one not */
} gguf_header;

/* Lays the tensors out in order at multiples of GGUF_DEFAULT_ALIGNMENT (a "general.alignment"
 * entry must agree with it) and writes the header. Names must be unique and within the reader's
 * limits, or gguf_open will refuse the file. USAGE names a tensor whose shape or type cannot be. */
tars_status gguf_write_header(const gguf_entry *entries, size_t n_entries,
                              gguf_tensor_entry *tensors, size_t n_tensors, arena *memory,
                              gguf_header *out, tars_error *err);

#endif
