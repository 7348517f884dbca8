/* The way back: a packed model to the GGUF file it came from. */
#include "engine/arith.h"
#include "engine/import.h"
#include "engine/index_sort.h"
#include "engine/pack.h"

#include <string.h>

typedef struct exporter {
    const pack_view *view;
    const byte_sink *sink;
    uint64_t written;
    uint8_t *rows;
    uint32_t *order; /* [n_tensors] as they stand in the source */
} exporter;

static tars_status put(exporter *ex, const void *bytes, size_t length, tars_error *err) {
    ex->written += length;
    return ex->sink->write(ex->sink->context, bytes, length, err);
}

static tars_status write_vector(exporter *ex, const pack_tensor *t, tars_error *err) {
    const float *values = (const float *)(ex->view->base + t->offset);
    if (t->type == TENSOR_F32) {
        return put(ex, values, (size_t)t->source_bytes, err);
    }
    tars_status status = TARS_OK;
    for (uint64_t i = 0; status == TARS_OK && i < t->n_columns; i++) {
        /* exact: the value was widened from the same type */
        uint16_t half =
            t->type == TENSOR_F16 ? arith_f32_to_f16(values[i]) : arith_f32_to_bf16(values[i]);
        status = put(ex, &half, sizeof half, err);
    }
    return status;
}

static tars_status write_matrix(exporter *ex, const pack_tensor *t, tars_error *err) {
    size_t row_bytes = (size_t)(t->source_bytes / t->n_rows);
    tars_status status = TARS_OK;
    for (uint64_t row = 0; status == TARS_OK && row < t->n_rows; row += PACK_GROUP_ROWS) {
        size_t n = t->n_rows - row < PACK_GROUP_ROWS ? (size_t)(t->n_rows - row) : PACK_GROUP_ROWS;
        unpack_group(t->type, ex->view->base + t->offset + row / PACK_GROUP_ROWS * t->group_bytes,
                     n, (size_t)t->n_columns, ex->rows, row_bytes);
        status = put(ex, ex->rows, n * row_bytes, err);
    }
    return status;
}

static bool is_before(const void *context, uint32_t a, uint32_t b) {
    const pack_tensor *tensors = context;
    return tensors[a].source_offset < tensors[b].source_offset ||
           (tensors[a].source_offset == tensors[b].source_offset && a < b);
}

static tars_status write_tensors(exporter *ex, uint64_t data_offset, tars_error *err) {
    for (uint32_t i = 0; i < ex->view->n_tensors; i++) {
        const pack_tensor *t = &ex->view->tensors[ex->order[i]];
        static const uint8_t zeros[4096];
        tars_status status = TARS_OK;
        if (ex->written > data_offset + t->source_offset) {
            status = error_set(err, TARS_CORRUPT, "tensor %s overlaps the one before it", t->name);
        }
        while (status == TARS_OK && ex->written < data_offset + t->source_offset) {
            uint64_t left = data_offset + t->source_offset - ex->written;
            status = put(ex, zeros, left < sizeof zeros ? (size_t)left : sizeof zeros, err);
        }
        if (status == TARS_OK) {
            status = t->layout == PACK_LAYOUT_GROUPS ? write_matrix(ex, t, err)
                     : t->layout == PACK_LAYOUT_VECTOR
                         ? write_vector(ex, t, err)
                         : put(ex, ex->view->base + t->offset, (size_t)t->size_bytes, err);
        }
        if (status != TARS_OK) {
            return status;
        }
    }
    return TARS_OK;
}

/* Every tensor lies within the source's size: a damaged table must not make an endless file. */
static tars_status check_source(const pack_view *view, const pack_bytes *header, tars_error *err) {
    uint64_t room = view->trailer->source_bytes;
    bool fits = header->bytes && header->size_bytes <= room;
    room -= fits ? header->size_bytes : 0;
    for (uint32_t i = 0; fits && i < view->n_tensors; i++) {
        const pack_tensor *t = &view->tensors[i]; /* pack_open checked this sum */
        fits = t->source_offset + t->source_bytes <= room;
    }
    if (!fits) {
        error_set(err, TARS_CORRUPT,
                  "the packed model's tensors do not fit the %llu bytes of its source",
                  (unsigned long long)view->trailer->source_bytes);
        error_hint(err, "import the model again");
        return TARS_CORRUPT;
    }
    return TARS_OK;
}

tars_status export_gguf(const void *packed, size_t packed_bytes, const byte_sink *sink,
                        arena *memory, tars_error *err) {
    pack_view view;
    tars_status status = pack_open(packed, packed_bytes, &view, err);
    if (status != TARS_OK) {
        return status;
    }
    size_t rows_bytes = 1;
    for (uint32_t i = 0; i < view.n_tensors; i++) {
        const pack_tensor *t = &view.tensors[i];
        if (t->layout == PACK_LAYOUT_GROUPS) {
            size_t bytes = (size_t)(t->source_bytes / t->n_rows) * PACK_GROUP_ROWS;
            rows_bytes = bytes > rows_bytes ? bytes : rows_bytes;
        }
    }
    exporter ex = {.view = &view,
                   .sink = sink,
                   .rows = arena_alloc_raw(memory, rows_bytes, 64),
                   .order = ARENA_ARRAY(memory, uint32_t, view.n_tensors)};
    if (!ex.rows || !ex.order) {
        return error_set(err, TARS_OUT_OF_MEMORY, "no memory for 16 rows of the widest matrix");
    }
    for (uint32_t i = 0; i < view.n_tensors; i++) {
        ex.order[i] = i;
    }
    index_sort(ex.order, view.n_tensors, is_before, view.tensors);
    const pack_bytes *header = &view.sections[PACK_GGUF_HEADER];
    status = check_source(&view, header, err);
    if (status != TARS_OK) {
        return status;
    }
    status = put(&ex, header->bytes, header->size_bytes, err);
    return status == TARS_OK ? write_tensors(&ex, header->size_bytes, err) : status;
}
