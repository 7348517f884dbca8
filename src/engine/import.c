#include "engine/import.h"

#include "base/checked.h"
#include "base/utf8.h"
#include "engine/arch/arch.h"
#include "engine/arith.h"
#include "engine/import_tokenizer.h"
#include "engine/pack.h"

#include <string.h>

enum { COPY_BYTES = 256 << 10, SECTION_ALIGNMENT = 64, MAX_SECTIONS = PACK_SECTION_KINDS };

/* Everything one import holds. */
typedef struct importer {
    const byte_source *source;
    const byte_sink *sink;
    const import_options *options;
    arena *memory;
    gguf_file file;
    const arch_family *family;
    model_hparams hparams;
    uint32_t *roles, *layers;
    pack_tensor *tensors;
    uint8_t (*digests)[SHA256_DIGEST_BYTES];
    pack_bytes sections[PACK_SECTION_KINDS];
    pack_header header;
    uint8_t *buffer; /* COPY_BYTES */
    uint8_t *rows;   /* 16 source rows of the widest matrix */
    uint8_t *group;  /* one packed group of the widest matrix */
    uint64_t written;
    uint64_t read; /* source bytes done, for progress */
    sha256_context packed_digest;
} importer;

static tars_status no_memory(tars_error *err, const char *what) {
    error_set(err, TARS_OUT_OF_MEMORY, "no memory for %s", what);
    error_hint(err, "raise the memory limit of the import");
    return TARS_OUT_OF_MEMORY;
}

static tars_status report(importer *im, uint64_t bytes, tars_error *err) {
    im->read += bytes;
    if (im->options && im->options->progress &&
        !im->options->progress(im->options->progress_user, im->read, im->source->size_bytes * 2)) {
        return error_set(err, TARS_CANCELLED, "the import was cancelled");
    }
    return TARS_OK;
}

static tars_status put(importer *im, const void *bytes, size_t length, tars_error *err) {
    if (!im->options || !im->options->no_packed_sha256) {
        sha256_update(&im->packed_digest, bytes, length);
    }
    im->written += length;
    return im->sink->write(im->sink->context, bytes, length, err);
}

static tars_status put_zeros_to(importer *im, uint64_t offset, tars_error *err) {
    static const uint8_t zeros[4096];
    tars_status status = TARS_OK;
    while (status == TARS_OK && im->written < offset) {
        uint64_t left = offset - im->written;
        status = put(im, zeros, left < sizeof zeros ? (size_t)left : sizeof zeros, err);
    }
    return status;
}

/* ---- table of contents ----------------------------------------------------------------- */

static tars_status plan_tensor(importer *im, size_t i, uint64_t *offset, tars_error *err) {
    const gguf_tensor *t = &im->file.tensors[i];
    pack_tensor *p = &im->tensors[i];
    memcpy(p->name, t->name.bytes, t->name.length); /* at most 63 bytes, the reader says */
    p->role = im->roles[i];
    p->layer = im->layers[i];
    p->type = t->type;
    p->n_dims = t->n_dims;
    p->n_experts = 1;
    memcpy(p->dims, t->dims, sizeof p->dims);
    p->n_columns = t->dims[0];
    p->n_rows = t->dims[1];
    p->source_offset = t->offset;
    p->source_bytes = t->size_bytes;
    p->size_bytes = t->size_bytes;
    p->layout = PACK_LAYOUT_PLAIN;
    bool is_matrix =
        p->role != ROLE_OTHER && !arch_role_is_vector(im->family, (tensor_role)p->role);
    if (is_matrix) {
        p->layout = PACK_LAYOUT_GROUPS;
        uint64_t groups = (p->n_rows + PACK_GROUP_ROWS - 1) / PACK_GROUP_ROWS;
        if (!pack_group_bytes(p->type, p->n_columns, &p->group_bytes) ||
            !checked_mul_u64(p->group_bytes, groups, &p->size_bytes)) {
            return error_set(err, TARS_UNSUPPORTED, "tensor %s cannot be packed", p->name);
        }
    } else if (p->role != ROLE_OTHER) {
        p->layout = PACK_LAYOUT_VECTOR;
        p->size_bytes = p->n_columns * sizeof(float);
    }
    uint64_t alignment = p->role == ROLE_OTHER ? SECTION_ALIGNMENT : PACK_PAGE_BYTES;
    if (!checked_align_u64(*offset, alignment, offset)) {
        return error_set(err, TARS_LIMIT, "the packed model would be too large");
    }
    p->offset = *offset;
    if (!checked_add_u64(*offset, p->size_bytes, offset)) {
        return error_set(err, TARS_LIMIT, "the packed model would be too large");
    }
    return TARS_OK;
}

static tars_status plan_header_section(importer *im, tars_error *err) {
    size_t size_bytes;
    if (!checked_to_size(im->file.data_offset, &size_bytes)) {
        return no_memory(err, "the metadata");
    }
    uint8_t *copy = arena_alloc(im->memory, size_bytes, 64);
    if (!copy) {
        return no_memory(err, "the metadata");
    }
    memcpy(copy, im->file.header, (size_t)im->file.header_bytes);
    im->sections[PACK_GGUF_HEADER] = (pack_bytes){copy, size_bytes};
    return TARS_OK;
}

static tars_status read_factors(importer *im, float **out, tars_error *err) {
    *out = NULL;
    for (size_t i = 0; i < im->file.n_tensors; i++) {
        const gguf_tensor *t = &im->file.tensors[i];
        if (im->roles[i] != ROLE_ROPE_FACTORS) {
            continue;
        }
        if (t->type != TENSOR_F32) {
            return error_set(err, TARS_UNSUPPORTED, "rope_freqs.weight is %s; F32 is needed",
                             tensor_type_get(t->type)->name);
        }
        size_t count = 0;
        float *factors =
            checked_to_size(t->dims[0], &count) ? ARENA_ARRAY(im->memory, float, count) : NULL;
        if (!factors) {
            return no_memory(err, "the RoPE factors");
        }
        tars_status status = byte_source_read(im->source, im->file.data_offset + t->offset, factors,
                                              count * sizeof(float), err);
        for (size_t j = 0; status == TARS_OK && j < count; j++) {
            if (!(factors[j] >= 1e-6f && factors[j] <= 1e6f)) {
                status = error_set(err, TARS_MALFORMED,
                                   "rope_freqs.weight[%zu] is out of the possible range", j);
            }
        }
        *out = factors;
        return status;
    }
    return TARS_OK;
}

static tars_status plan_sections(importer *im, tars_error *err) {
    model_hparams *p = &im->hparams;
    const void *blob = NULL;
    size_t blob_bytes = 0;
    tars_status status = import_tokenizer(&im->file, im->memory, &blob, &blob_bytes, err);
    if (status != TARS_OK) {
        return status;
    }
    im->sections[PACK_TOKENIZER] = (pack_bytes){blob, blob_bytes};
    if (im->family->rope && p->rope_dim > 0) {
        float *factors = NULL;
        double *frequency = ARENA_ARRAY(im->memory, double, p->rope_dim / 2);
        status = frequency ? read_factors(im, &factors, err) : no_memory(err, "the RoPE table");
        if (status == TARS_OK) {
            status = im->family->rope(&im->file, p, factors, frequency, err);
        }
        if (status != TARS_OK) {
            return status;
        }
        im->sections[PACK_ROPE] =
            (pack_bytes){(const uint8_t *)frequency, p->rope_dim / 2 * sizeof(double)};
    }
    gguf_text text = {0};
    const gguf_key *key = gguf_find(&im->file, "tokenizer.chat_template");
    if (key && gguf_key_text(key, &text)) {
        im->sections[PACK_CHAT_TEMPLATE] = (pack_bytes){(const uint8_t *)text.bytes, text.length};
    }
    im->sections[PACK_HPARAMS] = (pack_bytes){(const uint8_t *)p, sizeof *p};
    im->sections[PACK_TENSORS] =
        (pack_bytes){(const uint8_t *)im->tensors, im->file.n_tensors * sizeof(pack_tensor)};
    return plan_header_section(im, err);
}

/* Offsets of all regions; fills header and section table (toc[]). */
static tars_status plan_regions(importer *im, pack_section *toc, tars_error *err) {
    pack_header *h = &im->header;
    memcpy(h->magic, "TARSPACK", 8);
    h->version = PACK_VERSION;
    h->arithmetic_version = ARITHMETIC_VERSION;
    h->n_tensors = (uint32_t)im->file.n_tensors;
    h->toc_offset = PACK_HEADER_BYTES;
    for (uint32_t kind = 1; kind < PACK_SECTION_KINDS; kind++) {
        if (im->sections[kind].bytes) {
            toc[h->n_sections++].kind = kind;
        }
    }
    uint64_t offset = h->toc_offset + h->n_sections * sizeof(pack_section);
    for (uint32_t i = 0; i < h->n_sections; i++) {
        offset = (offset + SECTION_ALIGNMENT - 1) / SECTION_ALIGNMENT * SECTION_ALIGNMENT;
        toc[i].offset = offset;
        toc[i].size_bytes = im->sections[toc[i].kind].size_bytes;
        offset += toc[i].size_bytes;
    }
    h->toc_bytes = offset - h->toc_offset;
    h->data_offset = (offset + PACK_DATA_ALIGNMENT - 1) / PACK_DATA_ALIGNMENT * PACK_DATA_ALIGNMENT;
    offset = h->data_offset;
    for (size_t i = 0; i < im->file.n_tensors; i++) {
        tars_status status = plan_tensor(im, i, &offset, err);
        if (status != TARS_OK) {
            return status;
        }
    }
    h->data_bytes = offset - h->data_offset;
    if (!checked_align_u64(offset, SECTION_ALIGNMENT, &h->trailer_offset)) {
        return error_set(err, TARS_LIMIT, "the packed model would be too large");
    }
    h->trailer_bytes = sizeof(pack_trailer) + (uint64_t)h->n_tensors * SHA256_DIGEST_BYTES;
    h->file_bytes = h->trailer_offset + h->trailer_bytes;
    return TARS_OK;
}

static tars_status write_front(importer *im, tars_error *err) {
    pack_section toc[MAX_SECTIONS] = {0};
    tars_status status = plan_regions(im, toc, err);
    if (status != TARS_OK) {
        return status;
    }
    pack_header *h = &im->header;
    sha256_context digest;
    sha256_init(&digest);
    sha256_update(&digest, h, sizeof *h);
    sha256_update(&digest, toc, h->n_sections * sizeof(pack_section));
    static const uint8_t zeros[SECTION_ALIGNMENT];
    uint64_t at = h->toc_offset + h->n_sections * sizeof(pack_section);
    for (uint32_t i = 0; i < h->n_sections; i++) {
        const pack_bytes *s = &im->sections[toc[i].kind];
        sha256_update(&digest, zeros, (size_t)(toc[i].offset - at));
        sha256_update(&digest, s->bytes, s->size_bytes);
        at = toc[i].offset + s->size_bytes;
    }
    sha256_final(&digest, h->header_sha256);
    status = put(im, h, sizeof *h, err);
    if (status == TARS_OK) {
        status = put_zeros_to(im, h->toc_offset, err);
    }
    if (status == TARS_OK) {
        status = put(im, toc, h->n_sections * sizeof(pack_section), err);
    }
    for (uint32_t i = 0; status == TARS_OK && i < h->n_sections; i++) {
        status = put_zeros_to(im, toc[i].offset, err);
        if (status == TARS_OK) {
            const pack_bytes *s = &im->sections[toc[i].kind];
            status = put(im, s->bytes, s->size_bytes, err);
        }
    }
    return status;
}

/* ---- tensors --------------------------------------------------------------------------- */

/* `first` to `last`: where the weight is, in rows or elements. */
static tars_status not_finite(const pack_tensor *t, const char *unit, uint64_t first, uint64_t last,
                              tars_error *err) {
    error_set(err, TARS_MALFORMED, "tensor %s has a weight that is not finite (%s %llu to %llu)",
              t->name, unit, (unsigned long long)first, (unsigned long long)last);
    error_hint(err, "the file is broken or hostile: get it again from its publisher");
    return TARS_MALFORMED;
}

static tars_status write_matrix(importer *im, const pack_tensor *t, sha256_context *digest,
                                tars_error *err) {
    uint64_t row_bytes = t->source_bytes / t->n_rows;
    for (uint64_t row = 0; row < t->n_rows; row += PACK_GROUP_ROWS) {
        size_t n = t->n_rows - row < PACK_GROUP_ROWS ? (size_t)(t->n_rows - row) : PACK_GROUP_ROWS;
        size_t bytes = n * (size_t)row_bytes;
        tars_status status =
            byte_source_read(im->source, im->file.data_offset + t->source_offset + row * row_bytes,
                             im->rows, bytes, err);
        if (status != TARS_OK) {
            return status;
        }
        pack_group(t->type, im->rows, (size_t)row_bytes, n, (size_t)t->n_columns, im->group);
        if (!pack_group_finite(t->type, im->group, (size_t)t->n_columns)) {
            return not_finite(t, "rows", row, row + n - 1, err);
        }
        sha256_update(digest, im->group, (size_t)t->group_bytes);
        status = put(im, im->group, (size_t)t->group_bytes, err);
        if (status == TARS_OK) {
            status = report(im, bytes, err);
        }
        if (status != TARS_OK) {
            return status;
        }
    }
    return TARS_OK;
}

static tars_status write_vector(importer *im, const pack_tensor *t, sha256_context *digest,
                                tars_error *err) {
    size_t element = t->type == TENSOR_F32 ? 4 : 2;
    float values[256];
    for (uint64_t i = 0; i < t->n_columns; i += 256) {
        size_t n = t->n_columns - i < 256 ? (size_t)(t->n_columns - i) : 256;
        tars_status status =
            byte_source_read(im->source, im->file.data_offset + t->source_offset + i * element,
                             im->buffer, n * element, err);
        if (status != TARS_OK) {
            return status;
        }
        tensor_dequantize_row(t->type, im->buffer, values, n);
        for (size_t j = 0; j < n; j++) {
            if ((arith_bits(values[j]) & 0x7F800000u) == 0x7F800000u) {
                return not_finite(t, "elements", i, i + n - 1, err);
            }
        }
        sha256_update(digest, values, n * sizeof(float));
        status = put(im, values, n * sizeof(float), err);
        if (status != TARS_OK) {
            return status;
        }
    }
    return report(im, t->source_bytes, err);
}

static tars_status write_plain(importer *im, const pack_tensor *t, sha256_context *digest,
                               tars_error *err) {
    for (uint64_t at = 0; at < t->source_bytes; at += COPY_BYTES) {
        uint64_t left = t->source_bytes - at;
        size_t n = left < COPY_BYTES ? (size_t)left : COPY_BYTES;
        tars_status status = byte_source_read(
            im->source, im->file.data_offset + t->source_offset + at, im->buffer, n, err);
        if (status == TARS_OK) {
            sha256_update(digest, im->buffer, n);
            status = put(im, im->buffer, n, err);
        }
        if (status == TARS_OK) {
            status = report(im, n, err);
        }
        if (status != TARS_OK) {
            return status;
        }
    }
    return TARS_OK;
}

static tars_status write_tensors(importer *im, tars_error *err) {
    for (size_t i = 0; i < im->file.n_tensors; i++) {
        const pack_tensor *t = &im->tensors[i];
        tars_status status = put_zeros_to(im, t->offset, err);
        if (status != TARS_OK) {
            return status;
        }
        sha256_context digest;
        sha256_init(&digest);
        status = t->layout == PACK_LAYOUT_GROUPS   ? write_matrix(im, t, &digest, err)
                 : t->layout == PACK_LAYOUT_VECTOR ? write_vector(im, t, &digest, err)
                                                   : write_plain(im, t, &digest, err);
        if (status != TARS_OK) {
            return status;
        }
        sha256_final(&digest, im->digests[i]);
    }
    return TARS_OK;
}

static tars_status digest_source(importer *im, uint8_t out[SHA256_DIGEST_BYTES], tars_error *err) {
    if (im->options && im->options->source_sha256) {
        memcpy(out, im->options->source_sha256, SHA256_DIGEST_BYTES);
        return report(im, im->source->size_bytes, err);
    }
    sha256_context digest;
    sha256_init(&digest);
    for (uint64_t at = 0; at < im->source->size_bytes; at += COPY_BYTES) {
        uint64_t left = im->source->size_bytes - at;
        size_t n = left < COPY_BYTES ? (size_t)left : COPY_BYTES;
        tars_status status = byte_source_read(im->source, at, im->buffer, n, err);
        if (status == TARS_OK) {
            status = report(im, n, err);
        }
        if (status != TARS_OK) {
            return status;
        }
        sha256_update(&digest, im->buffer, n);
    }
    sha256_final(&digest, out);
    return TARS_OK;
}

static tars_status write_trailer(importer *im, const uint8_t source_sha256[SHA256_DIGEST_BYTES],
                                 tars_error *err) {
    pack_trailer trailer = {.n_tensors = im->header.n_tensors,
                            .source_bytes = im->source->size_bytes};
    memcpy(trailer.magic, "TARSDIGS", 8);
    memcpy(trailer.source_sha256, source_sha256, SHA256_DIGEST_BYTES);
    tars_status status = put_zeros_to(im, im->header.trailer_offset, err);
    if (status == TARS_OK) {
        status = put(im, &trailer, sizeof trailer, err);
    }
    if (status == TARS_OK) {
        status = put(im, im->digests, im->file.n_tensors * SHA256_DIGEST_BYTES, err);
    }
    return status;
}

/* Buffers for the widest matrix. */
static tars_status make_buffers(importer *im, tars_error *err) {
    uint64_t rows_bytes = 0;
    uint64_t group_bytes = 0;
    for (size_t i = 0; i < im->file.n_tensors; i++) {
        const pack_tensor *t = &im->tensors[i];
        if (t->layout == PACK_LAYOUT_GROUPS) {
            uint64_t bytes = t->source_bytes / t->n_rows * PACK_GROUP_ROWS;
            rows_bytes = bytes > rows_bytes ? bytes : rows_bytes;
            group_bytes = t->group_bytes > group_bytes ? t->group_bytes : group_bytes;
        }
    }
    im->rows = rows_bytes <= SIZE_MAX ? arena_alloc_raw(im->memory, (size_t)rows_bytes, 64) : NULL;
    im->group =
        group_bytes <= SIZE_MAX ? arena_alloc_raw(im->memory, (size_t)group_bytes, 64) : NULL;
    return im->rows && im->group ? TARS_OK : no_memory(err, "16 rows of the widest matrix");
}

static tars_status read_model(importer *im, tars_error *err) {
    tars_status status = gguf_open(im->source, NULL, im->memory, &im->file, err);
    if (status == TARS_OK && im->file.n_tensors > PACK_MAX_TENSORS) {
        error_set(err, TARS_LIMIT, "the file has %zu tensors; %u are possible", im->file.n_tensors,
                  (unsigned)PACK_MAX_TENSORS);
        status = error_where(err, "tensor count at byte 8");
    }
    if (status == TARS_OK) {
        status = arch_find(&im->file, &im->family, err);
    }
    if (status == TARS_OK) {
        status = arch_describe(im->family, &im->file, &im->hparams, err);
    }
    if (status != TARS_OK) {
        return status;
    }
    size_t n = im->file.n_tensors;
    im->roles = ARENA_ARRAY(im->memory, uint32_t, n);
    im->layers = ARENA_ARRAY(im->memory, uint32_t, n);
    im->tensors = ARENA_ARRAY(im->memory, pack_tensor, n);
    im->digests = arena_array(im->memory, n, SHA256_DIGEST_BYTES, 8);
    im->buffer = arena_alloc_raw(im->memory, COPY_BYTES, 64);
    if (!im->roles || !im->layers || !im->tensors || !im->digests || !im->buffer) {
        return no_memory(err, "the table of tensors");
    }
    return arch_assign(im->family, &im->file, &im->hparams, im->roles, im->layers, err);
}

/* Names out of the file stand in messages, and messages are shown on terminals: what is no
 * printable UTF-8 becomes '?'. */
static void make_plain(char *text) {
    size_t length = strlen(text);
    for (size_t i = 0; i < length;) {
        uint32_t code = 0;
        size_t n = utf8_decode(text + i, length - i, &code);
        bool is_printable = n > 0 && code >= 0x20 && !(code >= 0x7f && code < 0xa0);
        for (size_t j = 0; !is_printable && j < (n > 0 ? n : 1); j++) {
            text[i + j] = '?';
        }
        i += n > 0 ? n : 1;
    }
}

static tars_status finish(tars_status status, tars_error *err) {
    if (status != TARS_OK && err) {
        make_plain(err->message);
        make_plain(err->hint);
        make_plain(err->where);
    }
    return status;
}

tars_status import_gguf(const byte_source *source, const import_options *options,
                        const byte_sink *sink, arena *memory, import_result *out, tars_error *err) {
    memset(out, 0, sizeof *out);
    importer im = {.source = source, .sink = sink, .options = options, .memory = memory};
    sha256_init(&im.packed_digest);
    tars_status status = read_model(&im, err);
    if (status == TARS_OK) {
        status = digest_source(&im, out->source_sha256, err);
    }
    if (status == TARS_OK) {
        status = plan_sections(&im, err);
    }
    if (status == TARS_OK) {
        status = write_front(&im, err);
    }
    if (status == TARS_OK) {
        status = make_buffers(&im, err);
    }
    if (status == TARS_OK) {
        status = write_tensors(&im, err);
    }
    if (status == TARS_OK) {
        status = write_trailer(&im, out->source_sha256, err);
    }
    if (status == TARS_OK) {
        out->packed_bytes = im.written;
        sha256_final(&im.packed_digest, out->packed_sha256);
        if (options && options->no_packed_sha256) {
            memset(out->packed_sha256, 0, sizeof out->packed_sha256);
        }
    }
    return finish(status, err);
}
