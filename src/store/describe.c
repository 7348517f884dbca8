/* What a packed file says about itself. */
#include "store/store_internal.h"

#include "engine/pack.h"
#include "store/hex.h"

#include <stdio.h>
#include <string.h>

static void fill_entry(const pack_view *view, store_entry *out) {
    const model_hparams *hparams = view->hparams;
    const char *quantization = tensor_type_get(hparams->main_type)->name;
    tars_model_entry *model = &out->model;
    snprintf(model->architecture, sizeof model->architecture, "%.*s",
             (int)sizeof hparams->architecture, hparams->architecture);
    snprintf(model->quantization, sizeof model->quantization, "%s",
             quantization ? quantization : "unknown");
    hex_encode(view->trailer->source_sha256, SHA256_DIGEST_BYTES, model->sha256);
    model->packed_bytes = view->size_bytes;
    model->parameters = hparams->n_parameters;
    model->context_length = hparams->context_length;
    out->source_bytes = view->trailer->source_bytes;
    out->pack_version = view->header->version;
    out->arithmetic_version = view->header->arithmetic_version;
}

tars_status store_describe(const char *path, store_entry *out, tars_error *err) {
    platform_mapping mapping;
    tars_status status = platform_map(path, &mapping, err);
    if (status != TARS_OK) {
        return status;
    }
    pack_view view;
    status = pack_open(mapping.bytes, mapping.size_bytes, &view, err);
    if (status == TARS_OK) {
        fill_entry(&view, out);
    } else {
        error_where(err, "%s", path);
    }
    platform_unmap(&mapping);
    return status;
}
