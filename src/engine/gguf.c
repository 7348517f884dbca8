#include "engine/gguf.h"

#include "base/checked.h"
#include "base/utf8.h"
#include "engine/gguf_bytes.h"
#include "engine/index_sort.h"

#include <assert.h>
#include <string.h>

/* The file is walked twice. The first walk loads the metadata into one block of the arena, which
 * grows as the walk goes on, and checks only what is needed to find the next item. Only then is
 * the number of items known to be true, so that tables can be allocated. The second walk reads the
 * same bytes from the block, fills the tables and checks what the items say. */
typedef struct gguf_scanner {
    const byte_source *source;
    arena *memory;
    gguf_limits limits;
    uint8_t *block; /* the file's first `loaded` bytes */
    uint64_t loaded;
    uint64_t position; /* next byte to read, ≤ loaded */
    uint64_t claimed_keys;
    uint64_t claimed_tensors;
    gguf_problem_sink sink; /* NULL: stop at the first problem */
    void *sink_context;
    bool stopped;
    const char *item; /* what is being read, for messages: "header", "key", "tensor" */
    uint64_t item_number;
    uint64_t item_offset;
    gguf_text item_name;
    tars_error problem; /* being filled */
    tars_error first;   /* the first one reported */
} gguf_scanner;

/* Bytes of a scalar; 0: not a scalar. */
static const uint8_t gguf_scalar_bytes[GGUF_VALUE_TYPES] = {
    [GGUF_UINT8] = 1,  [GGUF_INT8] = 1,  [GGUF_UINT16] = 2,  [GGUF_INT16] = 2,
    [GGUF_UINT32] = 4, [GGUF_INT32] = 4, [GGUF_FLOAT32] = 4, [GGUF_BOOL] = 1,
    [GGUF_UINT64] = 8, [GGUF_INT64] = 8, [GGUF_FLOAT64] = 8,
};

enum {
    GGUF_KEY_MIN_BYTES = 8 + 1 + 4 + 1,
    GGUF_TENSOR_MIN_BYTES = 8 + 1 + 4 + 8 + 4 + 8,
    GGUF_SHOWN_NAME_BYTES = 64 /* names are cut to this in messages */
};

static int shown(gguf_text name) {
    return (int)(name.length < GGUF_SHOWN_NAME_BYTES ? name.length : GGUF_SHOWN_NAME_BYTES);
}

static unsigned long long ull(uint64_t value) {
    return value;
}

/* Hands s->problem on. Returns true when the scan may go on. */
static bool scan_report(gguf_scanner *s) {
    if (s->item_name.length > 0) {
        error_where(&s->problem, "%s '%.*s' at byte %llu", s->item, shown(s->item_name),
                    s->item_name.bytes, ull(s->item_offset));
    } else if (s->item_number > 0) {
        error_where(&s->problem, "%s number %llu at byte %llu", s->item, ull(s->item_number),
                    ull(s->item_offset));
    } else {
        error_where(&s->problem, "%s at byte %llu", s->item, ull(s->item_offset));
    }
    if (s->first.status == TARS_OK) {
        s->first = s->problem;
    }
    if (!s->sink || !s->sink(s->sink_context, &s->problem)) {
        s->stopped = true;
    }
    return !s->stopped;
}

/* As scan_report, for problems after which the next item's place is unknown. */
static bool scan_fail(gguf_scanner *s) {
    scan_report(s);
    return false;
}

static void scan_item(gguf_scanner *s, const char *item, uint64_t number) {
    s->item = item;
    s->item_number = number;
    s->item_offset = s->position;
    s->item_name = (gguf_text){NULL, 0};
}

static uint64_t scan_left(const gguf_scanner *s) {
    return s->source->size_bytes - s->position;
}

/* Grows the block until it holds `end` bytes; the caller has checked end against the file and
 * the limit. The block is the arena's last allocation, so growing it is allocating behind it. */
static bool scan_load(gguf_scanner *s, uint64_t end) {
    uint64_t target = end - s->loaded < GGUF_READ_BYTES ? s->loaded + GGUF_READ_BYTES : end;
    target = target < s->source->size_bytes ? target : s->source->size_bytes;
    size_t length = (size_t)(target - s->loaded);
    uint8_t *more = arena_alloc_raw(s->memory, length, 1);
    if (!more) {
        error_set(&s->problem, TARS_OUT_OF_MEMORY,
                  "no memory for %llu bytes of metadata: the arena has %zu of %zu bytes left",
                  ull(target), s->memory->size_bytes - s->memory->used_bytes,
                  s->memory->size_bytes);
        return scan_fail(s);
    }
    assert(s->loaded == 0 || more == s->block + s->loaded);
    s->block = s->loaded == 0 ? more : s->block;
    tars_status status = byte_source_read(s->source, s->loaded, more, length, &s->problem);
    if (status != TARS_OK) {
        s->problem.status = status; /* the source's own message stands */
        return scan_fail(s);
    }
    s->loaded = target;
    return true;
}

/* True when the next `length` bytes are loaded; reports a file that ends before. */
static bool scan_need(gguf_scanner *s, uint64_t length, const char *what) {
    if (length > scan_left(s)) {
        error_set(&s->problem, TARS_MALFORMED,
                  "the file ends inside %s: %llu bytes are needed at byte %llu, %llu are left",
                  what, ull(length), ull(s->position), ull(scan_left(s)));
        error_hint(&s->problem, "the file is truncated or damaged; fetch it again");
        return scan_fail(s);
    }
    if (length > s->limits.max_metadata_bytes ||
        s->position + length > s->limits.max_metadata_bytes) {
        error_set(&s->problem, TARS_LIMIT, "the metadata is larger than the limit of %llu bytes",
                  ull(s->limits.max_metadata_bytes));
        return scan_fail(s);
    }
    return length <= s->loaded - s->position || scan_load(s, s->position + length);
}

static bool scan_u32(gguf_scanner *s, const char *what, uint32_t *out) {
    if (!scan_need(s, 4, what)) {
        return false;
    }
    *out = gguf_read_u32(s->block + s->position);
    s->position += 4;
    return true;
}

static bool scan_u64(gguf_scanner *s, const char *what, uint64_t *out) {
    if (!scan_need(s, 8, what)) {
        return false;
    }
    *out = gguf_read_u64(s->block + s->position);
    s->position += 8;
    return true;
}

/* A length and that many bytes. */
static bool scan_text(gguf_scanner *s, const char *what, uint64_t max_bytes, gguf_text *out) {
    uint64_t length;
    if (!scan_u64(s, what, &length)) {
        return false;
    }
    if (length > scan_left(s) || length > max_bytes) {
        bool beyond = length > scan_left(s);
        error_set(&s->problem, TARS_MALFORMED, "%s is said to be %llu bytes long; %s %llu", what,
                  ull(length), beyond ? "bytes left in the file:" : "the limit is",
                  ull(beyond ? scan_left(s) : max_bytes));
        return scan_fail(s);
    }
    if (!scan_need(s, length, what)) {
        return false;
    }
    *out = (gguf_text){(const char *)s->block + s->position, (size_t)length};
    s->position += length;
    return true;
}

/* Refuses a count of items that the rest of the file cannot hold. */
static bool scan_count(gguf_scanner *s, const char *what, uint64_t count, uint64_t item_bytes,
                       uint64_t max_count) {
    if (count > scan_left(s) / item_bytes) {
        error_set(&s->problem, TARS_MALFORMED,
                  "%llu %s are announced, the %llu bytes left in the file hold at most %llu",
                  ull(count), what, ull(scan_left(s)), ull(scan_left(s) / item_bytes));
        error_hint(&s->problem, "the file is truncated or damaged; fetch it again");
        return scan_fail(s);
    }
    if (count > max_count) {
        error_set(&s->problem, TARS_LIMIT, "%llu %s are announced, the limit is %llu", ull(count),
                  what, ull(max_count));
        return scan_fail(s);
    }
    return true;
}

static bool scan_array(gguf_scanner *s, gguf_key *key) {
    if (!scan_u32(s, "an array's element type", &key->element_type) ||
        !scan_u64(s, "an array's length", &key->count)) {
        return false;
    }
    if (key->element_type >= GGUF_VALUE_TYPES || key->element_type == GGUF_ARRAY) {
        bool nested = key->element_type == GGUF_ARRAY;
        error_set(&s->problem, nested ? TARS_UNSUPPORTED : TARS_MALFORMED,
                  nested ? "an array of arrays is not read (element type %u)"
                         : "unknown type %u of an array's elements",
                  key->element_type);
        return scan_fail(s);
    }
    uint32_t element_bytes = gguf_scalar_bytes[key->element_type];
    bool strings = element_bytes == 0;
    if (!scan_count(s, "array elements", key->count, strings ? 8 : element_bytes, UINT64_MAX)) {
        return false;
    }
    uint64_t start = s->position;
    if (!strings) {
        if (!scan_need(s, key->count * element_bytes, "an array")) {
            return false;
        }
        s->position += key->count * element_bytes;
    }
    for (uint64_t i = 0; strings && i < key->count; i++) {
        gguf_text text;
        if (!scan_text(s, "a string in an array", UINT64_MAX, &text)) {
            return false;
        }
    }
    key->value = s->block + start;
    return true;
}

/* Reads one key; in the first walk the pointers are not kept. */
static bool scan_key(gguf_scanner *s, uint64_t number, gguf_key *key) {
    scan_item(s, "key", number);
    *key = (gguf_key){.offset = s->position, .count = 1};
    if (!scan_text(s, "a key", GGUF_MAX_KEY_BYTES, &key->name)) {
        return false;
    }
    s->item_name = key->name;
    if (!scan_u32(s, "a value's type", &key->type)) {
        return false;
    }
    key->element_type = key->type;
    if (key->type >= GGUF_VALUE_TYPES) {
        error_set(&s->problem, TARS_MALFORMED, "unknown value type %u (0 to %d are known)",
                  key->type, GGUF_VALUE_TYPES - 1);
        return scan_fail(s);
    }
    if (key->type == GGUF_ARRAY) {
        return scan_array(s, key);
    }
    uint64_t start = s->position;
    gguf_text text;
    if (key->type == GGUF_STRING) {
        if (!scan_text(s, "a string", UINT64_MAX, &text)) {
            return false;
        }
    } else {
        if (!scan_need(s, gguf_scalar_bytes[key->type], "a value")) {
            return false;
        }
        s->position += gguf_scalar_bytes[key->type];
    }
    key->value = s->block + start;
    return true;
}

static bool scan_tensor(gguf_scanner *s, uint64_t number, gguf_tensor *tensor) {
    scan_item(s, "tensor", number);
    *tensor = (gguf_tensor){.info_offset = s->position, .dims = {1, 1, 1, 1}};
    if (!scan_text(s, "a tensor's name", GGUF_MAX_KEY_BYTES, &tensor->name)) {
        return false;
    }
    s->item_name = tensor->name;
    if (!scan_u32(s, "a tensor's number of dimensions", &tensor->n_dims)) {
        return false;
    }
    if (tensor->n_dims > GGUF_MAX_DIMS) {
        error_set(&s->problem, TARS_MALFORMED, "%u dimensions, at most %d are possible",
                  tensor->n_dims, GGUF_MAX_DIMS);
        return scan_fail(s);
    }
    for (uint32_t i = 0; i < tensor->n_dims; i++) {
        if (!scan_u64(s, "a tensor's dimensions", &tensor->dims[i])) {
            return false;
        }
    }
    return scan_u32(s, "a tensor's type", &tensor->type) &&
           scan_u64(s, "a tensor's offset", &tensor->offset);
}

/* What a file is when it does not start with "GGUF". */
static const struct {
    const char *start;
    size_t length;
    const char *hint;
} gguf_other_formats[] = {
    {"FUGG", 4, "the magic is reversed: the file was written on another kind of machine"},
    {"lmgg", 4, "this is a GGML file, older than GGUF; convert the model again"},
    {"tjgg", 4, "this is a GGJT file, older than GGUF; convert the model again"},
    {"fmgg", 4, "this is a GGMF file, older than GGUF; convert the model again"},
    {"PK\003\004", 4, "this is a ZIP archive (a PyTorch checkpoint or a wheel)"},
    {"TARSPACK", 8, "this is a packed model; it needs no import"},
    {"version https://git-lfs", 23, "this is a Git LFS pointer; fetch the file itself"},
    {"<!DOCTYPE", 9, "this is a web page; check the address it was fetched from"},
    {"<html", 5, "this is a web page; check the address it was fetched from"},
};

static bool scan_magic(gguf_scanner *s) {
    uint64_t available = s->source->size_bytes < 32 ? s->source->size_bytes : 32;
    if (available < 4) {
        error_set(&s->problem, TARS_MALFORMED,
                  "no GGUF file: it has %llu bytes, the magic alone has 4",
                  ull(s->source->size_bytes));
        return scan_fail(s);
    }
    if (!scan_need(s, available, "the header")) {
        return false;
    }
    const uint8_t *m = s->block;
    if (memcmp(m, "GGUF", 4) != 0) {
        error_set(&s->problem, TARS_MALFORMED,
                  "no GGUF file: it starts with the bytes %02x %02x %02x %02x, not with \"GGUF\"",
                  m[0], m[1], m[2], m[3]);
        for (size_t i = 0; i < sizeof gguf_other_formats / sizeof gguf_other_formats[0]; i++) {
            if (gguf_other_formats[i].length <= available &&
                memcmp(m, gguf_other_formats[i].start, gguf_other_formats[i].length) == 0) {
                error_hint(&s->problem, "%s", gguf_other_formats[i].hint);
            }
        }
        return scan_fail(s);
    }
    s->position = 4;
    return true;
}

static bool scan_version(gguf_scanner *s, uint32_t *version) {
    if (!scan_u32(s, "the header", version)) {
        return false;
    }
    uint32_t v = *version;
    if (v == 2 || v == 3) {
        return true;
    }
    uint32_t swapped = v >> 24 | (v >> 8 & 0xFF00u) | (v << 8 & 0xFF0000u) | v << 24;
    if (swapped >= 1 && swapped <= 0xFFFF) {
        error_set(&s->problem, TARS_UNSUPPORTED,
                  "the file is big-endian (its version reads 0x%08x, which is %u byte-swapped)", v,
                  swapped);
        error_hint(&s->problem, "convert the model again with little-endian byte order");
    } else {
        error_set(&s->problem, TARS_UNSUPPORTED, "GGUF version %u, only 2 and 3 are read", v);
        error_hint(&s->problem, v == 1 ? "version 1 had 32-bit counts; convert the model again"
                                       : "the file is damaged or newer than this program");
    }
    return scan_fail(s);
}

static bool scan_header(gguf_scanner *s, uint32_t *version) {
    scan_item(s, "header", 0);
    if (!scan_magic(s) || !scan_version(s, version) ||
        !scan_u64(s, "the header", &s->claimed_tensors) ||
        !scan_u64(s, "the header", &s->claimed_keys)) {
        return false;
    }
    return scan_count(s, "keys", s->claimed_keys, GGUF_KEY_MIN_BYTES, s->limits.max_keys) &&
           scan_count(s, "tensors", s->claimed_tensors, GGUF_TENSOR_MIN_BYTES,
                      s->limits.max_tensors);
}

/* First walk. Counts the items that are whole; out->header_bytes is where they end. */
static void scan_walk(gguf_scanner *s, gguf_file *out) {
    bool whole = scan_header(s, &out->version);
    while (whole && out->n_keys < s->claimed_keys) {
        gguf_key key;
        whole = scan_key(s, out->n_keys + 1, &key);
        out->n_keys += whole ? 1 : 0;
        out->header_bytes = whole ? s->position : out->header_bytes;
    }
    while (whole && out->n_tensors < s->claimed_tensors) {
        gguf_tensor tensor;
        whole = scan_tensor(s, out->n_tensors + 1, &tensor);
        out->n_tensors += whole ? 1 : 0;
        out->header_bytes = whole ? s->position : out->header_bytes;
    }
}

/* Keys and tensor names end up in terminals, logs and C strings. */
static bool scan_check_name(gguf_scanner *s, gguf_text name, size_t max_bytes) {
    size_t bad = 0;
    if (name.length == 0 || name.length > max_bytes) {
        error_set(&s->problem, TARS_MALFORMED, "the name has %zu bytes, 1 to %zu are possible",
                  name.length, max_bytes);
        return scan_report(s);
    }
    if (!utf8_valid(name.bytes, name.length, &bad)) {
        error_set(&s->problem, TARS_MALFORMED, "the name is not UTF-8: byte %zu of it is 0x%02x",
                  bad, (unsigned)(uint8_t)name.bytes[bad]);
        return scan_report(s);
    }
    for (size_t i = 0; i < name.length; i++) {
        unsigned byte = (uint8_t)name.bytes[i];
        if (byte < 0x20 || byte == 0x7F) {
            error_set(&s->problem, TARS_MALFORMED,
                      "the name holds the control character 0x%02x at its byte %zu", byte, i);
            return scan_report(s);
        }
    }
    return true;
}

static bool scan_check_alignment(gguf_scanner *s, const gguf_key *key, gguf_file *out) {
    uint32_t value = key->type == GGUF_UINT32 ? gguf_read_u32(key->value) : 0;
    if (key->type != GGUF_UINT32) {
        error_set(&s->problem, TARS_MALFORMED, "the alignment is of type %s, it must be uint32",
                  gguf_type_name(key->type));
    } else if (value < 8 || value > GGUF_MAX_ALIGNMENT || (value & (value - 1)) != 0) {
        error_set(&s->problem, TARS_MALFORMED,
                  "the alignment is %u, it must be a power of two from 8 to %u", value,
                  (unsigned)GGUF_MAX_ALIGNMENT);
    } else {
        out->alignment = value;
        return true;
    }
    return scan_report(s);
}

static bool scan_check_key(gguf_scanner *s, const gguf_key *key, gguf_file *out) {
    static const char tokenizer[] = "tokenizer.ggml.";
    if (!scan_check_name(s, key->name, GGUF_MAX_KEY_BYTES)) {
        return false;
    }
    for (uint64_t i = 0; key->element_type == GGUF_BOOL && i < key->count; i++) {
        if (key->value[i] > 1) {
            error_set(&s->problem, TARS_MALFORMED, "a bool is %u, it must be 0 or 1",
                      (unsigned)key->value[i]);
            if (!scan_report(s)) {
                return false;
            }
            break;
        }
    }
    if (gguf_text_equals(key->name, "general.alignment")) {
        return scan_check_alignment(s, key, out);
    }
    if (key->count > s->limits.max_vocabulary && key->name.length > sizeof tokenizer - 1 &&
        memcmp(key->name.bytes, tokenizer, sizeof tokenizer - 1) == 0) {
        error_set(&s->problem, TARS_LIMIT, "a vocabulary table of %llu elements, the limit is %llu",
                  ull(key->count), ull(s->limits.max_vocabulary));
        return scan_report(s);
    }
    return true;
}

/* Sets tensor->size_bytes, which stays 0 when shape or type are wrong. */
static bool scan_check_shape(gguf_scanner *s, gguf_tensor *tensor) {
    if (tensor->n_dims == 0) {
        error_set(&s->problem, TARS_MALFORMED, "the tensor has no dimension, 1 to %d are possible",
                  GGUF_MAX_DIMS);
        return scan_report(s);
    }
    const tensor_type_info *info = tensor_type_get(tensor->type);
    if (!info->name) {
        error_set(&s->problem, TARS_UNSUPPORTED, "unknown or removed tensor type %u", tensor->type);
        error_hint(&s->problem, "convert the model again, or to another quantisation");
        return scan_report(s);
    }
    uint64_t n_elements = 1;
    for (uint32_t i = 0; i < tensor->n_dims; i++) {
        if (tensor->dims[i] == 0 || tensor->dims[i] > INT64_MAX ||
            !checked_mul_u64(n_elements, tensor->dims[i], &n_elements) || n_elements > INT64_MAX) {
            error_set(&s->problem, TARS_MALFORMED, "dimension %u of the tensor is %llu: %s", i,
                      ull(tensor->dims[i]),
                      tensor->dims[i] == 0 ? "it must be at least 1"
                                           : "the product of all exceeds 63 bits");
            return scan_report(s);
        }
    }
    if (tensor->dims[0] % info->block_size != 0) {
        error_set(&s->problem, TARS_MALFORMED, "%llu columns, type %s needs a multiple of %u",
                  ull(tensor->dims[0]), info->name, (unsigned)info->block_size);
        return scan_report(s);
    }
    uint64_t n_blocks = n_elements / info->block_size;
    uint64_t size_bytes;
    if (!checked_mul_u64(n_blocks, info->block_bytes, &size_bytes)) {
        error_set(&s->problem, TARS_MALFORMED, "%llu elements of type %s exceed 64 bits of bytes",
                  ull(n_elements), info->name);
        return scan_report(s);
    }
    tensor->size_bytes = size_bytes;
    return true;
}

static bool scan_check_place(gguf_scanner *s, const gguf_tensor *tensor, const gguf_file *out) {
    if (tensor->offset % out->alignment != 0) {
        error_set(&s->problem, TARS_MALFORMED,
                  "the tensor's offset %llu is no multiple of the alignment %u",
                  ull(tensor->offset), out->alignment);
        if (!scan_report(s)) {
            return false;
        }
    }
    uint64_t start, end;
    bool fits = checked_add_u64(out->data_offset, tensor->offset, &start) &&
                checked_add_u64(start, tensor->size_bytes, &end);
    if (!fits || end > out->file_bytes) {
        error_set(&s->problem, TARS_MALFORMED,
                  "the tensor's data lies outside the file: %llu bytes at %llu + %llu, the file "
                  "has %llu",
                  ull(tensor->size_bytes), ull(out->data_offset), ull(tensor->offset),
                  ull(out->file_bytes));
        error_hint(&s->problem, "the file is truncated or damaged; fetch it again");
        return scan_report(s);
    }
    return true;
}

static bool scan_check_tensor(gguf_scanner *s, gguf_tensor *tensor, const gguf_file *out) {
    return scan_check_name(s, tensor->name, GGUF_MAX_TENSOR_NAME_BYTES) &&
           scan_check_shape(s, tensor) &&
           (tensor->size_bytes == 0 || scan_check_place(s, tensor, out));
}

static int text_compare(gguf_text a, gguf_text b) {
    size_t shorter = a.length < b.length ? a.length : b.length;
    int order = shorter > 0 ? memcmp(a.bytes, b.bytes, shorter) : 0;
    return order != 0 ? order : (a.length > b.length) - (a.length < b.length);
}

static bool key_before(const void *context, uint32_t a, uint32_t b) {
    const gguf_key *keys = context;
    int order = text_compare(keys[a].name, keys[b].name);
    return order != 0 ? order < 0 : a < b;
}

static bool tensor_name_before(const void *context, uint32_t a, uint32_t b) {
    const gguf_tensor *tensors = context;
    int order = text_compare(tensors[a].name, tensors[b].name);
    return order != 0 ? order < 0 : a < b;
}

static bool tensor_place_before(const void *context, uint32_t a, uint32_t b) {
    const gguf_tensor *tensors = context;
    return tensors[a].offset != tensors[b].offset ? tensors[a].offset < tensors[b].offset : a < b;
}

static void index_fill(uint32_t *indices, size_t count) {
    for (size_t i = 0; i < count; i++) {
        indices[i] = (uint32_t)i;
    }
}

static bool scan_no_memory(gguf_scanner *s, const char *what, uint64_t count) {
    error_set(&s->problem, TARS_OUT_OF_MEMORY, "no memory for a table of %llu %s", ull(count),
              what);
    return scan_fail(s);
}

/* Where each string of an array starts, so that element i is found at once. */
static bool scan_index_strings(gguf_scanner *s, gguf_key *key) {
    if (key->type != GGUF_ARRAY || key->element_type != GGUF_STRING || key->count == 0) {
        return true;
    }
    uint32_t *strings =
        arena_alloc_raw(s->memory, (size_t)key->count * sizeof *strings, _Alignof(uint32_t));
    if (!strings) {
        return scan_no_memory(s, "strings", key->count);
    }
    const uint8_t *at = key->value;
    for (uint64_t i = 0; i < key->count; i++) {
        strings[i] = (uint32_t)(at - s->block);
        at += 8 + gguf_read_u64(at);
    }
    key->strings = strings;
    return true;
}

static bool scan_check_duplicate_keys(gguf_scanner *s, const gguf_file *out) {
    for (size_t i = 1; i < out->n_keys; i++) {
        const gguf_key *a = &out->keys[out->keys_by_name[i - 1]];
        const gguf_key *b = &out->keys[out->keys_by_name[i]];
        if (text_compare(a->name, b->name) == 0) {
            s->item = "key";
            s->item_offset = b->offset;
            s->item_name = b->name;
            error_set(&s->problem, TARS_MALFORMED,
                      "the key '%.*s' occurs twice, at byte %llu and at byte %llu", shown(b->name),
                      b->name.bytes, ull(a->offset), ull(b->offset));
            if (!scan_report(s)) {
                return false;
            }
        }
    }
    return true;
}

/* Second walk over the keys. */
static bool scan_keys(gguf_scanner *s, gguf_file *out) {
    gguf_key *keys = ARENA_ARRAY(s->memory, gguf_key, out->n_keys);
    uint32_t *by_name = ARENA_ARRAY(s->memory, uint32_t, out->n_keys);
    if (!keys || !by_name) {
        out->n_keys = 0;
        return scan_no_memory(s, "keys", s->claimed_keys);
    }
    out->keys = keys;
    out->keys_by_name = by_name;
    size_t n_read = 0;
    while (n_read < out->n_keys && scan_key(s, n_read + 1, &keys[n_read]) &&
           scan_check_key(s, &keys[n_read], out) && scan_index_strings(s, &keys[n_read])) {
        n_read++;
    }
    bool whole = n_read == out->n_keys;
    out->n_keys = n_read;
    index_fill(by_name, n_read);
    index_sort(by_name, n_read, key_before, keys);
    return whole && scan_check_duplicate_keys(s, out);
}
static void scan_at_tensor(gguf_scanner *s, const gguf_tensor *tensor) {
    s->item = "tensor";
    s->item_offset = tensor->info_offset;
    s->item_name = tensor->name;
}

/* No two tensors of one name, none that share bytes. `order` is scratch. */
static bool scan_check_tensors(gguf_scanner *s, const gguf_file *out, uint32_t *order) {
    const gguf_tensor *tensors = out->tensors;
    for (size_t i = 1; i < out->n_tensors; i++) {
        const gguf_tensor *a = &tensors[out->tensors_by_name[i - 1]];
        const gguf_tensor *b = &tensors[out->tensors_by_name[i]];
        if (text_compare(a->name, b->name) == 0) {
            scan_at_tensor(s, b);
            error_set(&s->problem, TARS_MALFORMED,
                      "the tensor '%.*s' occurs twice, described at byte %llu and at byte %llu",
                      shown(b->name), b->name.bytes, ull(a->info_offset), ull(b->info_offset));
            if (!scan_report(s)) {
                return false;
            }
        }
    }
    index_fill(order, out->n_tensors);
    index_sort(order, out->n_tensors, tensor_place_before, tensors);
    const gguf_tensor *last = NULL; /* the one that reaches furthest so far */
    for (size_t i = 0; i < out->n_tensors; i++) {
        const gguf_tensor *t = &tensors[order[i]];
        if (last && t->size_bytes > 0 && t->offset - last->offset < last->size_bytes) {
            scan_at_tensor(s, t);
            error_set(
                &s->problem, TARS_MALFORMED,
                "the tensor's data at offset %llu overlaps that of '%.*s', %llu bytes at %llu",
                ull(t->offset), shown(last->name), last->name.bytes, ull(last->size_bytes),
                ull(last->offset));
            if (!scan_report(s)) {
                return false;
            }
        }
        /* a size so large that the end wraps reaches furthest, too */
        if (t->size_bytes > 0 && (!last || t->size_bytes > UINT64_MAX - t->offset ||
                                  (last->size_bytes <= UINT64_MAX - last->offset &&
                                   t->offset + t->size_bytes > last->offset + last->size_bytes))) {
            last = t;
        }
    }
    return true;
}

/* Second walk over the tensors. */
static bool scan_tensors(gguf_scanner *s, gguf_file *out) {
    gguf_tensor *tensors = ARENA_ARRAY(s->memory, gguf_tensor, out->n_tensors);
    uint32_t *by_name = ARENA_ARRAY(s->memory, uint32_t, out->n_tensors);
    size_t mark = arena_mark(s->memory);
    uint32_t *by_place = ARENA_ARRAY(s->memory, uint32_t, out->n_tensors);
    if (!tensors || !by_name || !by_place) {
        out->n_tensors = 0;
        return scan_no_memory(s, "tensors", s->claimed_tensors);
    }
    out->tensors = tensors;
    out->tensors_by_name = by_name;
    size_t n_read = 0;
    while (n_read < out->n_tensors && scan_tensor(s, n_read + 1, &tensors[n_read]) &&
           scan_check_tensor(s, &tensors[n_read], out)) {
        n_read++;
    }
    bool whole = n_read == out->n_tensors;
    out->n_tensors = n_read;
    index_fill(by_name, n_read);
    index_sort(by_name, n_read, tensor_name_before, tensors);
    bool go_on = whole && scan_check_tensors(s, out, by_place);
    arena_reset(s->memory, mark);
    return go_on;
}

static gguf_limits limits_with_defaults(const gguf_limits *limits) {
    gguf_limits l = limits ? *limits : (gguf_limits){0};
    if (l.max_metadata_bytes == 0) {
        l.max_metadata_bytes = 256u << 20;
    }
    if (l.max_metadata_bytes > UINT32_MAX) {
        l.max_metadata_bytes = UINT32_MAX; /* offsets of strings have 32 bits */
    }
    l.max_keys = l.max_keys ? l.max_keys : 65536;
    l.max_tensors = l.max_tensors ? l.max_tensors : 262144;
    l.max_keys = l.max_keys < UINT32_MAX ? l.max_keys : UINT32_MAX;
    l.max_tensors = l.max_tensors < UINT32_MAX ? l.max_tensors : UINT32_MAX;
    l.max_vocabulary = l.max_vocabulary ? l.max_vocabulary : 1u << 24;
    return l;
}

tars_status gguf_scan(const byte_source *source, const gguf_limits *limits, arena *memory,
                      gguf_problem_sink sink, void *context, gguf_file *out, tars_error *err) {
    gguf_scanner s = {.source = source,
                      .memory = memory,
                      .limits = limits_with_defaults(limits),
                      .sink = sink,
                      .sink_context = context};
    *out = (gguf_file){.alignment = GGUF_DEFAULT_ALIGNMENT, .file_bytes = source->size_bytes};
    error_clear(err);
    size_t start = arena_mark(memory);
    scan_walk(&s, out);
    if (out->header_bytes == 0 && s.position >= GGUF_HEADER_MIN_BYTES) {
        out->header_bytes = GGUF_HEADER_MIN_BYTES;
    }
    out->header = s.block;
    if (!s.stopped) {
        /* what was read beyond the metadata goes back; the next table lies behind the block */
        arena_reset(memory, start + (size_t)out->header_bytes);
        s.loaded = out->header_bytes;
        s.position = GGUF_HEADER_MIN_BYTES;
        bool go_on = scan_keys(&s, out);
        bool aligned = checked_align_u64(out->header_bytes, out->alignment, &out->data_offset);
        assert(aligned && "the metadata's size has 32 bits");
        if (!aligned || !go_on || !scan_tensors(&s, out)) {
            out->n_tensors = go_on ? out->n_tensors : 0;
        }
    }
    if (s.first.status == TARS_OK) {
        return TARS_OK;
    }
    if (err) {
        *err = s.first;
    }
    return s.first.status;
}

tars_status gguf_open(const byte_source *source, const gguf_limits *limits, arena *memory,
                      gguf_file *out, tars_error *err) {
    size_t mark = arena_mark(memory);
    tars_status status = gguf_scan(source, limits, memory, NULL, NULL, out, err);
    if (status != TARS_OK) {
        arena_reset(memory, mark);
        *out = (gguf_file){0};
    }
    return status;
}
