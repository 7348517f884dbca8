#include "engine/gguf_write.h"

#include "base/checked.h"
#include "engine/gguf_bytes.h"

#include <assert.h>
#include <string.h>

/* Bytes of a scalar, 0 for strings and arrays. */
static unsigned scalar_bytes(uint32_t type) {
    static const uint8_t bytes[GGUF_VALUE_TYPES] = {1, 1, 2, 2, 4, 4, 4, 1, 0, 0, 8, 8, 8};
    return type < GGUF_VALUE_TYPES ? bytes[type] : 0;
}

static gguf_entry entry_scalar(const char *name, uint32_t type, uint64_t bits) {
    return (gguf_entry){.name = name, .type = type, .bits = bits};
}

gguf_entry gguf_entry_u32(const char *name, uint32_t value) {
    return entry_scalar(name, GGUF_UINT32, value);
}

gguf_entry gguf_entry_u64(const char *name, uint64_t value) {
    return entry_scalar(name, GGUF_UINT64, value);
}

gguf_entry gguf_entry_i32(const char *name, int32_t value) {
    return entry_scalar(name, GGUF_INT32, (uint32_t)value);
}

gguf_entry gguf_entry_f32(const char *name, float value) {
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    return entry_scalar(name, GGUF_FLOAT32, bits);
}

gguf_entry gguf_entry_bool(const char *name, bool value) {
    return entry_scalar(name, GGUF_BOOL, value ? 1 : 0);
}

gguf_entry gguf_entry_text(const char *name, gguf_text value) {
    return (gguf_entry){.name = name, .type = GGUF_STRING, .text = value};
}

gguf_entry gguf_entry_string(const char *name, const char *value) {
    return gguf_entry_text(name, (gguf_text){value, strlen(value)});
}

gguf_entry gguf_entry_texts(const char *name, const gguf_text *texts, size_t count) {
    return (gguf_entry){.name = name,
                        .type = GGUF_ARRAY,
                        .element_type = GGUF_STRING,
                        .count = count,
                        .texts = texts};
}

gguf_entry gguf_entry_numbers(const char *name, uint32_t element_type, const void *numbers,
                              size_t count) {
    return (gguf_entry){.name = name,
                        .type = GGUF_ARRAY,
                        .element_type = element_type,
                        .count = count,
                        .numbers = numbers};
}

/* Writes when `bytes` is there, counts in any case: the size and the bytes come from one walk. */
typedef struct header_writer {
    uint8_t *bytes;
    size_t position;
    bool overflow;
} header_writer;

static void put_bytes(header_writer *w, const void *bytes, size_t length) {
    if (w->bytes && length > 0) {
        memcpy(w->bytes + w->position, bytes, length);
    }
    w->overflow = !checked_add_size(w->position, length, &w->position) || w->overflow;
}

static void put_number(header_writer *w, uint64_t value, unsigned length) {
    uint8_t bytes[8];
    gguf_write_bytes(bytes, value, length);
    put_bytes(w, bytes, length);
}

static void put_text(header_writer *w, gguf_text text) {
    put_number(w, text.length, 8);
    put_bytes(w, text.bytes, text.length);
}

/* The i-th element's bits from a C array of that element type. */
static uint64_t number_bits(const void *numbers, unsigned element_bytes, size_t i) {
    const uint8_t *at = (const uint8_t *)numbers + i * element_bytes;
    uint64_t u64;
    uint32_t u32;
    uint16_t u16;
    switch (element_bytes) {
    case 1:
        return *at;
    case 2:
        memcpy(&u16, at, sizeof u16);
        return u16;
    case 4:
        memcpy(&u32, at, sizeof u32);
        return u32;
    default:
        memcpy(&u64, at, sizeof u64);
        return u64;
    }
}

static void put_entry(header_writer *w, const gguf_entry *entry) {
    put_text(w, (gguf_text){entry->name, strlen(entry->name)});
    put_number(w, entry->type, 4);
    if (entry->type == GGUF_STRING) {
        put_text(w, entry->text);
    } else if (entry->type != GGUF_ARRAY) {
        put_number(w, entry->bits, scalar_bytes(entry->type));
    } else {
        unsigned element_bytes = scalar_bytes(entry->element_type);
        put_number(w, entry->element_type, 4);
        put_number(w, entry->count, 8);
        for (size_t i = 0; i < entry->count; i++) {
            if (element_bytes == 0) {
                put_text(w, entry->texts[i]);
            } else {
                put_number(w, number_bits(entry->numbers, element_bytes, i), element_bytes);
            }
        }
    }
}

static void put_tensor(header_writer *w, const gguf_tensor_entry *tensor) {
    put_text(w, (gguf_text){tensor->name, strlen(tensor->name)});
    put_number(w, tensor->n_dims, 4);
    for (uint32_t d = 0; d < tensor->n_dims; d++) {
        put_number(w, tensor->dims[d], 8);
    }
    put_number(w, tensor->type, 4);
    put_number(w, tensor->offset, 8);
}

static void put_header(header_writer *w, const gguf_entry *entries, size_t n_entries,
                       const gguf_tensor_entry *tensors, size_t n_tensors) {
    put_bytes(w, "GGUF", 4);
    put_number(w, 3, 4);
    put_number(w, n_tensors, 8);
    put_number(w, n_entries, 8);
    for (size_t i = 0; i < n_entries; i++) {
        put_entry(w, &entries[i]);
    }
    for (size_t i = 0; i < n_tensors; i++) {
        put_tensor(w, &tensors[i]);
    }
}

/* Sets offset and size of each tensor. */
static tars_status lay_out(gguf_tensor_entry *tensors, size_t n_tensors, uint64_t *data_bytes,
                           tars_error *err) {
    uint64_t end = 0;
    for (size_t i = 0; i < n_tensors; i++) {
        gguf_tensor_entry *t = &tensors[i];
        uint64_t size_bytes = 0;
        bool fits = t->n_dims >= 1 && t->n_dims <= GGUF_MAX_DIMS &&
                    tensor_row_bytes(t->type, t->dims[0], &size_bytes);
        for (uint32_t d = 1; fits && d < t->n_dims; d++) {
            fits = checked_mul_u64(size_bytes, t->dims[d], &size_bytes);
        }
        fits = fits && checked_align_u64(end, GGUF_DEFAULT_ALIGNMENT, &t->offset) &&
               checked_add_u64(t->offset, size_bytes, &end);
        if (!fits) {
            return error_set(err, TARS_USAGE,
                             "the tensor '%s' cannot be described: %u dimensions, %llu columns, "
                             "type %u",
                             t->name, t->n_dims, (unsigned long long)t->dims[0], t->type);
        }
        t->size_bytes = size_bytes;
    }
    *data_bytes = end;
    return TARS_OK;
}

tars_status gguf_write_header(const gguf_entry *entries, size_t n_entries,
                              gguf_tensor_entry *tensors, size_t n_tensors, arena *memory,
                              gguf_header *out, tars_error *err) {
    *out = (gguf_header){0};
    uint64_t data_bytes = 0;
    tars_status status = lay_out(tensors, n_tensors, &data_bytes, err);
    if (status != TARS_OK) {
        return status;
    }
    header_writer w = {0};
    put_header(&w, entries, n_entries, tensors, n_tensors);
    uint64_t data_offset = 0;
    size_t size = 0;
    uint8_t *bytes = NULL;
    if (!w.overflow && checked_align_u64(w.position, GGUF_DEFAULT_ALIGNMENT, &data_offset) &&
        checked_to_size(data_offset, &size)) {
        bytes = arena_alloc(memory, size, 8); /* zeroed: the padding too */
    }
    if (!bytes) {
        return error_set(err, TARS_OUT_OF_MEMORY, "no memory for a GGUF header of %zu bytes",
                         w.position);
    }
    size_t header_bytes = w.position;
    w = (header_writer){.bytes = bytes};
    put_header(&w, entries, n_entries, tensors, n_tensors);
    assert(w.position == header_bytes);
    *out = (gguf_header){bytes, header_bytes, size, data_bytes};
    return TARS_OK;
}
