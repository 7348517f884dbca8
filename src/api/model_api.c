#include "api/model_api.h"

#include "api/context.h"
#include "base/text.h"
#include "engine/tensor_type.h"
#include "store/store.h"

#include <stdlib.h>
#include <string.h>

static void fill_from_pack(tars_model *m, const char *path) {
    const model_hparams *p = m->pack.hparams;
    tars_model_entry *e = &m->entry;
    if (e->name[0] == '\0') {
        store_name_from_path(path, e->name);
    }
    if (e->sha256[0] == '\0') { /* of a converted model the store knows the publisher's file */
        sha256_hex(m->pack.trailer->source_sha256, e->sha256);
    }
    memcpy(e->architecture, p->architecture, sizeof e->architecture);
    text_buffer text;
    text_init(&text, e->quantization, sizeof e->quantization);
    text_append_string(&text, tensor_type_get(p->main_type)->name);
    e->packed_bytes = m->pack.size_bytes;
    e->parameters = p->n_parameters;
    e->context_length = p->context_length;
}

static tars_status open_pack(tars_model *m, tars_error *err) {
    tars_status status = pack_open(m->mapping.bytes, m->mapping.size_bytes, &m->pack, err);
    if (status != TARS_OK) {
        return status;
    }
    size_t bytes = model_memory_bytes(&m->pack);
    m->layers = malloc(bytes);
    if (!m->layers) {
        return error_set(err, TARS_OUT_OF_MEMORY, "no memory for the table of layers");
    }
    arena memory;
    arena_init(&memory, m->layers, bytes);
    status = model_open(&m->pack, &memory, &m->engine, err);
    if (status == TARS_OK) {
        const pack_bytes *blob = &m->pack.sections[PACK_TOKENIZER];
        status = tokenizer_open(blob->bytes, blob->size_bytes, &m->tokenizer, err);
    }
    return status == TARS_OK ? model_api_check(m, err) : status;
}

/* A path to a packed file, or a name of the store. */
static tars_status locate(tars_context *context, const char *name, tars_model *m, char *path,
                          tars_error *err) {
    if (strchr(name, '/') || strchr(name, '\\')) {
        size_t length = strlen(name);
        if (length >= MODEL_PATH_BYTES) {
            return error_set(err, TARS_USAGE, "the path of the model is too long");
        }
        memcpy(path, name, length + 1);
        return TARS_OK;
    }
    store *s = NULL;
    tars_status status = store_open(context->home, STORE_READ, &s, err);
    if (status == TARS_OK) {
        store_entry entry;
        status = store_locate(s, name, &entry, path, MODEL_PATH_BYTES, err);
        m->entry = entry.model;
    }
    store_close(s);
    return status;
}

tars_status tars_model_open(tars_context *context, const char *name, tars_model **out,
                            tars_error *err) {
    tars_error own_error;
    err = err ? err : &own_error; /* below, err is never NULL */
    *out = NULL;
    if (!context || !name || name[0] == '\0') {
        return error_set(err, TARS_USAGE, "a model's name or path is needed");
    }
    tars_model *m = calloc(1, sizeof *m);
    model_images *images = calloc(1, sizeof *images);
    if (!m || !images) {
        free(m);
        free(images);
        return error_set(err, TARS_OUT_OF_MEMORY, "no memory for a model");
    }
    m->images = images;
    char path[MODEL_PATH_BYTES];
    bool from_store = !strchr(name, '/') && !strchr(name, '\\');
    tars_status status = locate(context, name, m, path, err);
    if (status == TARS_OK) {
        status = platform_map(path, &m->mapping, err);
        if (status == TARS_OK) {
            status = open_pack(m, err);
            if (status == TARS_OK) {
                fill_from_pack(m, path);
            } else if (from_store && err && err->where[0] == '\0') {
                error_where(err, "model %s, file %s", name, path);
            }
        }
    }
    if (status != TARS_OK) {
        tars_model_close(m);
        return status;
    }
    *out = m;
    return TARS_OK;
}

void tars_model_close(tars_model *m) {
    if (!m) {
        return;
    }
    runtime_close(m->images->image); /* which reads the mapping */
    free(m->images);
    if (m->mapping.bytes) {
        platform_unmap(&m->mapping);
    }
    free(m->layers);
    free(m);
}

tars_status model_api_check(const tars_model *m, tars_error *err) {
    tars_status status = platform_mapping_check(&m->mapping, err);
    if (status != TARS_OK) {
        error_hint(err, "the model's file changed while it was in use: import it again");
    }
    return status;
}

tars_status tars_model_get_info(const tars_model *m, tars_model_info *out, tars_error *err) {
    if (!m || !out || out->size_bytes < sizeof *out) {
        return error_set(err, TARS_USAGE, "model, out and out->size_bytes are needed");
    }
    const model_hparams *p = m->pack.hparams;
    platform_page_report pages = {.kind = "unknown"};
    (void)platform_mapping_pages(&m->mapping, &pages, NULL);
    *out = (tars_model_info){
        .size_bytes = sizeof *out,
        .name = m->entry.name,
        .sha256 = m->entry.sha256,
        .packed_sha256 = m->entry.packed_sha256,
        .architecture = m->entry.architecture,
        .quantization = m->entry.quantization,
        .page_kind = pages.kind ? pages.kind : "unknown",
        .parameters = p->n_parameters,
        .packed_bytes = m->pack.size_bytes,
        .n_layers = p->n_layers,
        .n_embd = p->n_embd,
        .n_heads = p->n_heads,
        .n_kv_heads = p->n_kv_heads,
        .n_vocab = p->n_vocab,
        .context_length = p->context_length,
        .is_encoder = p->causal == 0,
        .has_chat_template = m->pack.sections[PACK_CHAT_TEMPLATE].size_bytes > 0,
    };
    return TARS_OK;
}
