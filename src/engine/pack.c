#include "engine/pack.h"

#include "base/checked.h"

#include <string.h>

_Static_assert(sizeof(pack_header) <= PACK_HEADER_BYTES, "the header fits its page");
_Static_assert(sizeof(model_hparams) % 8 == 0, "no padding at the end");

static tars_status damaged(tars_error *err, const char *what) {
    error_set(err, TARS_CORRUPT, "the packed model is damaged: %s", what);
    error_hint(err, "import the model again, or run `tars doctor`");
    return TARS_CORRUPT;
}

/* [offset, offset + size) lies within [low, high). */
static bool within(uint64_t offset, uint64_t size, uint64_t low, uint64_t high) {
    uint64_t end;
    return checked_add_u64(offset, size, &end) && offset >= low && end <= high;
}

static tars_status check_header(const pack_header *h, size_t size_bytes, tars_error *err) {
    if (memcmp(h->magic, "TARSPACK", 8) != 0) {
        error_set(err, TARS_MALFORMED, "this is no packed TARS model (wrong magic)");
        error_hint(err, "a GGUF file is imported first: tars import FILE");
        return TARS_MALFORMED;
    }
    if (h->version != PACK_VERSION || h->arithmetic_version != ARITHMETIC_VERSION) {
        error_set(err, TARS_UNSUPPORTED,
                  "packed format %u with arithmetic version %u; this program reads format %u with "
                  "arithmetic version %u",
                  h->version, h->arithmetic_version, (unsigned)PACK_VERSION,
                  (unsigned)ARITHMETIC_VERSION);
        error_hint(err, "import the model again with this version of tars");
        return TARS_UNSUPPORTED;
    }
    if (h->file_bytes != size_bytes) {
        error_set(err, TARS_CORRUPT, "the packed model has %zu bytes, its header says %llu",
                  size_bytes, (unsigned long long)h->file_bytes);
        error_hint(err, "the file was cut or appended to: import the model again");
        return TARS_CORRUPT;
    }
    uint64_t sections_bytes = (uint64_t)h->n_sections * sizeof(pack_section);
    if (h->toc_offset != PACK_HEADER_BYTES || h->n_sections > 64 || h->toc_bytes < sections_bytes ||
        !within(h->toc_offset, h->toc_bytes, PACK_HEADER_BYTES, h->data_offset) ||
        h->data_offset % PACK_DATA_ALIGNMENT != 0 ||
        !within(h->data_offset, h->data_bytes, 0, h->trailer_offset) ||
        h->trailer_offset % 64 != 0 ||
        !within(h->trailer_offset, h->trailer_bytes, 0, size_bytes) ||
        h->n_tensors > PACK_MAX_TENSORS ||
        h->trailer_bytes != sizeof(pack_trailer) + (uint64_t)h->n_tensors * SHA256_DIGEST_BYTES) {
        return damaged(err, "the regions named in its header do not fit");
    }
    return TARS_OK;
}

static tars_status check_header_digest(const uint8_t *base, const pack_header *h, tars_error *err) {
    pack_header copy = *h;
    memset(copy.header_sha256, 0, sizeof copy.header_sha256);
    sha256_context digest;
    sha256_init(&digest);
    sha256_update(&digest, &copy, sizeof copy);
    sha256_update(&digest, base + h->toc_offset, (size_t)h->toc_bytes);
    uint8_t found[SHA256_DIGEST_BYTES];
    sha256_final(&digest, found);
    if (memcmp(found, h->header_sha256, sizeof found) != 0) {
        return damaged(err, "the digest of its header differs");
    }
    return TARS_OK;
}

static bool hparams_plausible(const model_hparams *p) {
    return p->architecture[sizeof p->architecture - 1] == '\0' && p->n_layers >= 1 &&
           p->n_layers <= MODEL_MAX_LAYERS && p->n_embd >= 1 && p->n_embd <= MODEL_MAX_EMBD &&
           p->n_ff >= 1 && p->n_ff <= MODEL_MAX_FF && p->n_heads >= 1 &&
           p->n_heads <= MODEL_MAX_HEADS && p->n_kv_heads >= 1 && p->n_heads % p->n_kv_heads == 0 &&
           p->head_dim_k >= 1 && p->head_dim_k <= MODEL_MAX_HEAD_DIM && p->head_dim_v >= 1 &&
           p->head_dim_v <= MODEL_MAX_HEAD_DIM && p->n_vocab >= 1 &&
           p->n_vocab <= MODEL_MAX_VOCAB && p->context_length >= 1 && p->rope_dim % 2 == 0 &&
           p->rope_dim <= p->head_dim_k && p->n_experts <= MODEL_MAX_EXPERTS &&
           p->n_experts_used <= p->n_experts && tensor_type_get(p->main_type)->name;
}

/* What export reads and writes: the sizes in the source agree with those here. */
static bool source_plausible(const pack_tensor *t) {
    uint64_t bytes = t->size_bytes;
    uint64_t end;
    if (t->layout == PACK_LAYOUT_GROUPS && (!tensor_row_bytes(t->type, t->n_columns, &bytes) ||
                                            !checked_mul_u64(bytes, t->n_rows, &bytes) ||
                                            !checked_mul_u64(bytes, t->n_experts, &bytes))) {
        return false;
    }
    if (t->layout == PACK_LAYOUT_VECTOR &&
        ((t->type != TENSOR_F32 && t->type != TENSOR_F16 && t->type != TENSOR_BF16) ||
         !tensor_row_bytes(t->type, t->n_columns, &bytes))) {
        return false;
    }
    return t->source_bytes == bytes && checked_add_u64(t->source_offset, bytes, &end);
}

static bool tensor_plausible(const pack_tensor *t, const pack_header *h, uint32_t n_layers) {
    if (t->name[PACK_NAME_BYTES - 1] != '\0' || t->role >= ROLE_COUNT || t->layer >= n_layers ||
        t->offset % 64 != 0 ||
        !within(t->offset, t->size_bytes, h->data_offset, h->data_offset + h->data_bytes) ||
        !source_plausible(t)) {
        return false;
    }
    if (t->layout == PACK_LAYOUT_GROUPS) {
        uint64_t group_bytes;
        uint64_t groups = (t->n_rows + PACK_GROUP_ROWS - 1) / PACK_GROUP_ROWS;
        uint64_t total;
        return t->n_rows >= 1 && t->n_rows <= 1u << 30 && t->n_experts >= 1 &&
               t->n_experts <= MODEL_MAX_EXPERTS &&
               pack_group_bytes(t->type, t->n_columns, &group_bytes) &&
               group_bytes == t->group_bytes && checked_mul_u64(group_bytes, groups, &total) &&
               checked_mul_u64(total, t->n_experts, &total) && total == t->size_bytes;
    }
    if (t->layout == PACK_LAYOUT_VECTOR) {
        return t->n_columns <= 1u << 30 && t->size_bytes == t->n_columns * sizeof(float);
    }
    return t->layout == PACK_LAYOUT_PLAIN && t->role == ROLE_OTHER;
}

static tars_status read_sections(pack_view *view, tars_error *err) {
    const pack_header *h = view->header;
    const pack_section *sections = (const pack_section *)(view->base + h->toc_offset);
    for (uint32_t i = 0; i < h->n_sections; i++) {
        const pack_section *s = &sections[i];
        if (s->kind == 0 || s->kind >= PACK_SECTION_KINDS || s->offset % 8 != 0 ||
            view->sections[s->kind].bytes ||
            !within(s->offset, s->size_bytes, h->toc_offset, h->toc_offset + h->toc_bytes)) {
            return damaged(err, "a section of its table of contents does not fit");
        }
        view->sections[s->kind].bytes = view->base + s->offset;
        view->sections[s->kind].size_bytes = (size_t)s->size_bytes;
    }
    const pack_bytes *hparams = &view->sections[PACK_HPARAMS];
    const pack_bytes *tensors = &view->sections[PACK_TENSORS];
    if (hparams->size_bytes != sizeof(model_hparams) ||
        tensors->size_bytes != h->n_tensors * sizeof(pack_tensor) ||
        !hparams_plausible((const model_hparams *)hparams->bytes)) {
        return damaged(err, "its hyper-parameters or tensor table are not plausible");
    }
    view->hparams = (const model_hparams *)hparams->bytes;
    view->tensors = (const pack_tensor *)tensors->bytes;
    view->n_tensors = h->n_tensors;
    if (view->sections[PACK_ROPE].size_bytes != view->hparams->rope_dim / 2 * sizeof(double)) {
        return damaged(err, "its RoPE table has the wrong size");
    }
    for (uint32_t i = 0; i < h->n_tensors; i++) {
        if (!tensor_plausible(&view->tensors[i], h, view->hparams->n_layers)) {
            return damaged(err, "a tensor does not fit its data region");
        }
    }
    return TARS_OK;
}

static tars_status open_view(const void *base, size_t size_bytes, bool with_digest, pack_view *out,
                             tars_error *err) {
    memset(out, 0, sizeof *out);
    if (size_bytes < PACK_HEADER_BYTES) {
        error_set(err, TARS_CORRUPT, "the packed model has only %zu bytes", size_bytes);
        error_hint(err, "import the model again");
        return TARS_CORRUPT;
    }
    pack_view view = {.base = base, .size_bytes = size_bytes, .header = base};
    tars_status status = check_header(view.header, size_bytes, err);
    if (status == TARS_OK && with_digest) {
        status = check_header_digest(view.base, view.header, err);
    }
    if (status == TARS_OK) {
        status = read_sections(&view, err);
    }
    if (status != TARS_OK) {
        return status;
    }
    view.trailer = (const pack_trailer *)(view.base + view.header->trailer_offset);
    view.tensor_digests = (const uint8_t *)(view.trailer + 1);
    if (memcmp(view.trailer->magic, "TARSDIGS", 8) != 0 ||
        view.trailer->n_tensors != view.n_tensors) {
        return damaged(err, "its trailer of digests is missing");
    }
    *out = view;
    return TARS_OK;
}

tars_status pack_open(const void *base, size_t size_bytes, pack_view *out, tars_error *err) {
    return open_view(base, size_bytes, true, out, err);
}

tars_status pack_open_again(const void *base, size_t size_bytes, pack_view *out, tars_error *err) {
    return open_view(base, size_bytes, false, out, err);
}

const pack_tensor *pack_find(const pack_view *view, tensor_role role, uint32_t layer) {
    for (uint32_t i = 0; i < view->n_tensors; i++) {
        if (view->tensors[i].role == (uint32_t)role && view->tensors[i].layer == layer) {
            return &view->tensors[i];
        }
    }
    return NULL;
}

tars_status pack_verify_tensor(const pack_view *view, uint32_t index, tars_error *err) {
    const pack_tensor *t = &view->tensors[index];
    uint8_t found[SHA256_DIGEST_BYTES];
    sha256(view->base + t->offset, (size_t)t->size_bytes, found);
    if (memcmp(found, view->tensor_digests + (size_t)index * SHA256_DIGEST_BYTES, sizeof found) !=
        0) {
        error_set(err, TARS_CORRUPT, "the digest of tensor %s differs", t->name);
        error_hint(err, "the file was changed after import: import the model again");
        return TARS_CORRUPT;
    }
    return TARS_OK;
}
