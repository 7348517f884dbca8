#include "engine/safetensors.h"

#include "base/checked.h"
#include "engine/gguf_bytes.h"
#include "engine/index_sort.h"

#include <string.h>

typedef struct safetensors_scanner {
    const byte_source *source;
    arena *memory;
    gguf_problem_sink sink; /* NULL: stop at the first problem */
    void *sink_context;
    tars_error problem;
    tars_error first;
} safetensors_scanner;

/* Whether the file can hold it, and which GGUF type has the same bytes. */
static const struct {
    const char *name;
    uint8_t bytes;
    int16_t type;
} safetensors_dtypes[] = {
    {"F32", 4, TENSOR_F32},
    {"F16", 2, TENSOR_F16},
    {"BF16", 2, TENSOR_BF16},
    {"F64", 8, TENSOR_F64},
    {"I64", 8, TENSOR_I64},
    {"I32", 4, TENSOR_I32},
    {"I16", 2, TENSOR_I16},
    {"I8", 1, TENSOR_I8},
    {"U8", 1, SAFETENSORS_NO_TYPE},
    {"U16", 2, SAFETENSORS_NO_TYPE},
    {"U32", 4, SAFETENSORS_NO_TYPE},
    {"U64", 8, SAFETENSORS_NO_TYPE},
    {"BOOL", 1, SAFETENSORS_NO_TYPE},
    {"F8_E4M3", 1, SAFETENSORS_NO_TYPE},
    {"F8_E5M2", 1, SAFETENSORS_NO_TYPE},
    {"F8_E8M0", 1, SAFETENSORS_NO_TYPE},
    {"C64", 8, SAFETENSORS_NO_TYPE},
};

static unsigned long long ull(uint64_t value) {
    return value;
}

static int shown(size_t length) {
    return (int)(length < 64 ? length : 64);
}

/* Hands s->problem on. Returns true when the scan may go on. */
static bool scan_report(safetensors_scanner *s) {
    if (s->first.status == TARS_OK) {
        s->first = s->problem;
    }
    return s->sink && s->sink(s->sink_context, &s->problem);
}

static bool scan_report_tensor(safetensors_scanner *s, gguf_text name) {
    error_where(&s->problem, "tensor '%.*s'", shown(name.length), name.bytes);
    return scan_report(s);
}

static bool scan_report_header(safetensors_scanner *s) {
    error_where(&s->problem, "safetensors header at byte 0");
    return scan_report(s);
}

/* Reads and parses the header; the document, or NULL after a report. */
static json_value *scan_header(safetensors_scanner *s, safetensors_file *out) {
    uint8_t prefix[8];
    uint64_t size = s->source->size_bytes;
    tars_status status = TARS_MALFORMED;
    if (size < sizeof prefix + 2) {
        error_set(&s->problem, status, "no safetensors file: it has %llu bytes", ull(size));
        scan_report_header(s);
        return NULL;
    }
    status = byte_source_read(s->source, 0, prefix, sizeof prefix, &s->problem);
    if (status != TARS_OK) {
        scan_report(s);
        return NULL;
    }
    uint64_t length = gguf_read_u64(prefix);
    if (length > SAFETENSORS_MAX_HEADER_BYTES || length > size - sizeof prefix) {
        error_set(&s->problem, TARS_MALFORMED,
                  "the header is said to be %llu bytes long; the file has %llu, the limit is %u",
                  ull(length), ull(size), (unsigned)SAFETENSORS_MAX_HEADER_BYTES);
        error_hint(&s->problem, "the file is truncated, damaged or of another format");
        scan_report_header(s);
        return NULL;
    }
    char *text = arena_alloc_raw(s->memory, (size_t)length, 1);
    if (!text) {
        error_set(&s->problem, TARS_OUT_OF_MEMORY, "no memory for a header of %llu bytes",
                  ull(length));
        scan_report_header(s);
        return NULL;
    }
    json_value *root = NULL;
    status = byte_source_read(s->source, sizeof prefix, text, (size_t)length, &s->problem);
    if (status == TARS_OK) {
        /* one tensor has 8 values in at least 46 characters */
        json_limits limits = {.max_depth = 4, .max_values = 16 + (size_t)length / 4};
        status = json_parse(text, (size_t)length, &limits, s->memory, &root, &s->problem);
    }
    if (status == TARS_OK && root->type != JSON_OBJECT) {
        error_set(&s->problem, TARS_MALFORMED, "the header is no JSON object");
        root = NULL;
    }
    if (!root || status != TARS_OK) {
        s->problem.status = status != TARS_OK ? status : TARS_MALFORMED;
        if (s->problem.where[0] == '\0') {
            error_where(&s->problem, "safetensors header at byte 8");
        }
        scan_report(s);
        return NULL;
    }
    out->data_offset = sizeof prefix + length;
    return root;
}

/* A JSON number that is an unsigned integer. */
static bool number_u64(const json_value *value, uint64_t *out) {
    if (!value || value->type != JSON_NUMBER || !value->is_integer || value->integer < 0) {
        return false;
    }
    *out = (uint64_t)value->integer;
    return true;
}

/* Fills shape and dtype; false after setting the problem. */
static bool read_shape(safetensors_scanner *s, const json_value *entry, safetensors_tensor *t,
                       uint64_t *size_bytes) {
    const json_value *dtype = json_member(entry, "dtype");
    const json_value *shape = json_member(entry, "shape");
    if (!dtype || dtype->type != JSON_STRING || !shape || shape->type != JSON_ARRAY) {
        error_set(&s->problem, TARS_MALFORMED, "the tensor lacks \"dtype\" or \"shape\"");
        return false;
    }
    t->dtype = dtype->string;
    t->type = SAFETENSORS_NO_TYPE;
    uint64_t size = 0;
    for (size_t i = 0; i < sizeof safetensors_dtypes / sizeof safetensors_dtypes[0]; i++) {
        if (strcmp(safetensors_dtypes[i].name, dtype->string) == 0) {
            size = safetensors_dtypes[i].bytes;
            t->type = safetensors_dtypes[i].type;
        }
    }
    if (size == 0) {
        error_set(&s->problem, TARS_UNSUPPORTED, "unknown dtype '%.*s'",
                  shown(dtype->string_length), dtype->string);
        return false;
    }
    if (shape->count > SAFETENSORS_MAX_DIMS) {
        error_set(&s->problem, TARS_UNSUPPORTED, "%zu dimensions, at most %d are read",
                  shape->count, SAFETENSORS_MAX_DIMS);
        return false;
    }
    for (const json_value *d = shape->first; d; d = d->next) {
        if (!number_u64(d, &t->dims[t->n_dims]) ||
            !checked_mul_u64(size, t->dims[t->n_dims], &size)) {
            error_set(&s->problem, TARS_MALFORMED,
                      "dimension %u is no integer from 0, or the size exceeds 64 bits", t->n_dims);
            return false;
        }
        t->n_dims++;
    }
    *size_bytes = size;
    return true;
}

static bool read_tensor(safetensors_scanner *s, const safetensors_file *out,
                        const json_value *entry, safetensors_tensor *t) {
    uint64_t size_bytes, begin, end;
    if (!read_shape(s, entry, t, &size_bytes)) {
        return false;
    }
    const json_value *range = json_member(entry, "data_offsets");
    if (!range || range->type != JSON_ARRAY || range->count != 2 ||
        !number_u64(range->first, &begin) || !number_u64(range->first->next, &end)) {
        error_set(&s->problem, TARS_MALFORMED, "the tensor's \"data_offsets\" are no two integers");
        return false;
    }
    uint64_t data_bytes = out->file_bytes - out->data_offset;
    if (begin > end || end > data_bytes) {
        error_set(&s->problem, TARS_MALFORMED,
                  "the tensor's data lies at %llu to %llu, the file holds %llu bytes of data",
                  ull(begin), ull(end), ull(data_bytes));
        error_hint(&s->problem, "the file is truncated or damaged; fetch it again");
        return false;
    }
    if (end - begin != size_bytes) {
        error_set(&s->problem, TARS_MALFORMED,
                  "shape and dtype make %llu bytes, the data offsets %llu", ull(size_bytes),
                  ull(end - begin));
        return false;
    }
    t->offset = out->data_offset + begin;
    t->size_bytes = size_bytes;
    return true;
}

static bool name_before(const void *context, uint32_t a, uint32_t b) {
    const safetensors_tensor *tensors = context;
    gguf_text x = tensors[a].name, y = tensors[b].name;
    size_t shorter = x.length < y.length ? x.length : y.length;
    int order = shorter > 0 ? memcmp(x.bytes, y.bytes, shorter) : 0;
    return order != 0 ? order < 0 : x.length < y.length; /* JSON keys are unique */
}

static bool place_before(const void *context, uint32_t a, uint32_t b) {
    const safetensors_tensor *x = (const safetensors_tensor *)context + a;
    const safetensors_tensor *y = (const safetensors_tensor *)context + b;
    if (x->offset != y->offset) {
        return x->offset < y->offset;
    }
    return x->size_bytes != y->size_bytes ? x->size_bytes < y->size_bytes : a < b;
}

/* Every byte of the data belongs to exactly one tensor. */
static bool scan_cover(safetensors_scanner *s, const safetensors_file *out, uint32_t *order) {
    for (size_t i = 0; i < out->n_tensors; i++) {
        order[i] = (uint32_t)i;
    }
    index_sort(order, out->n_tensors, place_before, out->tensors);
    uint64_t end = out->data_offset;
    for (size_t i = 0; i < out->n_tensors; i++) {
        const safetensors_tensor *t = &out->tensors[order[i]];
        if (t->offset != end) {
            error_set(&s->problem, TARS_MALFORMED,
                      "the tensor's data starts at byte %llu, the one before it ends at %llu: %s",
                      ull(t->offset), ull(end), t->offset < end ? "they overlap" : "a gap");
            if (!scan_report_tensor(s, t->name)) {
                return false;
            }
        }
        end = t->offset + t->size_bytes > end ? t->offset + t->size_bytes : end;
    }
    if (end != out->file_bytes) {
        error_set(&s->problem, TARS_MALFORMED,
                  "the tensors end at byte %llu, the file at byte %llu", ull(end),
                  ull(out->file_bytes));
        return scan_report_header(s);
    }
    return true;
}

static void scan_tensors(safetensors_scanner *s, const json_value *root, safetensors_file *out) {
    safetensors_tensor *tensors = ARENA_ARRAY(s->memory, safetensors_tensor, root->count);
    uint32_t *by_name = ARENA_ARRAY(s->memory, uint32_t, root->count);
    uint32_t *by_place = ARENA_ARRAY(s->memory, uint32_t, root->count);
    if (!tensors || !by_name || !by_place) {
        error_set(&s->problem, TARS_OUT_OF_MEMORY, "no memory for %zu tensors", root->count);
        scan_report_header(s);
        return;
    }
    out->tensors = tensors;
    out->tensors_by_name = by_name;
    bool whole = true;
    for (const json_value *entry = root->first; entry; entry = entry->next) {
        if (entry->key_length == 12 && memcmp(entry->key, "__metadata__", 12) == 0) {
            out->metadata = entry;
            continue;
        }
        safetensors_tensor *t = &tensors[out->n_tensors];
        *t = (safetensors_tensor){.name = {entry->key, entry->key_length}, .dtype = ""};
        by_name[out->n_tensors] = (uint32_t)out->n_tensors;
        out->n_tensors++;
        if (!read_tensor(s, out, entry, t)) {
            whole = false;
            if (!scan_report_tensor(s, t->name)) {
                break;
            }
        }
    }
    index_sort(by_name, out->n_tensors, name_before, tensors);
    if (whole) {
        scan_cover(s, out, by_place);
    }
}

tars_status safetensors_scan(const byte_source *source, arena *memory, gguf_problem_sink sink,
                             void *context, safetensors_file *out, tars_error *err) {
    safetensors_scanner s = {
        .source = source, .memory = memory, .sink = sink, .sink_context = context};
    *out = (safetensors_file){.file_bytes = source->size_bytes};
    error_clear(err);
    const json_value *root = scan_header(&s, out);
    if (root) {
        scan_tensors(&s, root, out);
    }
    if (s.first.status != TARS_OK && err) {
        *err = s.first;
    }
    return s.first.status;
}

tars_status safetensors_open(const byte_source *source, arena *memory, safetensors_file *out,
                             tars_error *err) {
    size_t mark = arena_mark(memory);
    tars_status status = safetensors_scan(source, memory, NULL, NULL, out, err);
    if (status != TARS_OK) {
        arena_reset(memory, mark);
        *out = (safetensors_file){0};
    }
    return status;
}

bool safetensors_detect(const byte_source *source) {
    uint8_t start[9];
    if (source->size_bytes < sizeof start ||
        byte_source_read(source, 0, start, sizeof start, NULL) != TARS_OK) {
        return false;
    }
    uint64_t length = gguf_read_u64(start);
    return start[8] == '{' && length >= 2 && length <= SAFETENSORS_MAX_HEADER_BYTES;
}

const safetensors_tensor *safetensors_find(const safetensors_file *file, const char *name) {
    size_t low = 0, high = file->n_tensors, length = strlen(name);
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        const safetensors_tensor *t = &file->tensors[file->tensors_by_name[middle]];
        size_t shorter = t->name.length < length ? t->name.length : length;
        int order = shorter > 0 ? memcmp(t->name.bytes, name, shorter) : 0;
        order = order != 0 ? order : (t->name.length > length) - (t->name.length < length);
        if (order == 0) {
            return t;
        }
        low = order < 0 ? middle + 1 : low;
        high = order < 0 ? high : middle;
    }
    return NULL;
}
