#include "engine/model.h"

#include "engine/arith.h"

#include <string.h>

size_t model_memory_bytes(const pack_view *pack) {
    return (size_t)pack->hparams->n_layers * sizeof(layer_weights) + 64;
}

static weight weight_of(const pack_view *pack, const pack_tensor *t) {
    return (weight){.data = pack->base + t->offset,
                    .type = t->type,
                    .activation_block = tensor_type_get(t->type)->activation_block,
                    .n_columns = (size_t)t->n_columns,
                    .n_rows = (size_t)t->n_rows,
                    .n_groups = (size_t)((t->n_rows + PACK_GROUP_ROWS - 1) / PACK_GROUP_ROWS),
                    .group_bytes = (size_t)t->group_bytes};
}

/* Where a role's tensor goes within a layer. Offsets, so that a role is one row here. */
typedef struct slot {
    tensor_role role;
    size_t offset; /* within layer_weights */
    bool is_matrix;
} slot;

static const slot layer_slots[] = {
    {ROLE_ATTN_NORM, offsetof(layer_weights, attn_norm.scale), false},
    {ROLE_FFN_NORM, offsetof(layer_weights, ffn_norm.scale), false},
    {ROLE_ATTN_OUTPUT_NORM, offsetof(layer_weights, attn_output_norm.scale), false},
    {ROLE_ATTN_OUTPUT_NORM_BIAS, offsetof(layer_weights, attn_output_norm.bias), false},
    {ROLE_LAYER_OUTPUT_NORM, offsetof(layer_weights, layer_output_norm.scale), false},
    {ROLE_LAYER_OUTPUT_NORM_BIAS, offsetof(layer_weights, layer_output_norm.bias), false},
    {ROLE_ATTN_Q, offsetof(layer_weights, q), true},
    {ROLE_ATTN_K, offsetof(layer_weights, k), true},
    {ROLE_ATTN_V, offsetof(layer_weights, v), true},
    {ROLE_ATTN_OUTPUT, offsetof(layer_weights, attn_output), true},
    {ROLE_FFN_GATE, offsetof(layer_weights, gate), true},
    {ROLE_FFN_UP, offsetof(layer_weights, up), true},
    {ROLE_FFN_DOWN, offsetof(layer_weights, down), true},
    {ROLE_ATTN_Q_BIAS, offsetof(layer_weights, q.bias), false},
    {ROLE_ATTN_K_BIAS, offsetof(layer_weights, k.bias), false},
    {ROLE_ATTN_V_BIAS, offsetof(layer_weights, v.bias), false},
    {ROLE_ATTN_OUTPUT_BIAS, offsetof(layer_weights, attn_output.bias), false},
    {ROLE_FFN_GATE_BIAS, offsetof(layer_weights, gate.bias), false},
    {ROLE_FFN_UP_BIAS, offsetof(layer_weights, up.bias), false},
    {ROLE_FFN_DOWN_BIAS, offsetof(layer_weights, down.bias), false},
};

/* The same for what a model has once. */
static const slot model_slots[] = {
    {ROLE_TOKEN_EMBD, offsetof(model, token_embd), true},
    {ROLE_POSITION_EMBD, offsetof(model, position_embd), true},
    {ROLE_TOKEN_TYPES, offsetof(model, token_types), true},
    {ROLE_OUTPUT, offsetof(model, output), true},
    {ROLE_EMBD_NORM, offsetof(model, embd_norm.scale), false},
    {ROLE_EMBD_NORM_BIAS, offsetof(model, embd_norm.bias), false},
    {ROLE_OUTPUT_NORM, offsetof(model, output_norm.scale), false},
    {ROLE_OUTPUT_NORM_BIAS, offsetof(model, output_norm.bias), false},
};

static const slot *slot_of(const slot *slots, size_t count, uint32_t role) {
    for (size_t i = 0; i < count; i++) {
        if ((uint32_t)slots[i].role == role) {
            return &slots[i];
        }
    }
    return NULL;
}

/* Elements that the forward pass reads of a norm or bias. */
static uint64_t vector_length(const model_hparams *p, uint32_t role) {
    switch (role) {
    case ROLE_ATTN_Q_BIAS:
        return (uint64_t)p->n_heads * p->head_dim_k;
    case ROLE_ATTN_K_BIAS:
        return (uint64_t)p->n_kv_heads * p->head_dim_k;
    case ROLE_ATTN_V_BIAS:
        return (uint64_t)p->n_kv_heads * p->head_dim_v;
    case ROLE_FFN_GATE_BIAS:
    case ROLE_FFN_UP_BIAS:
        return p->n_ff;
    default:
        return p->n_embd;
    }
}

static tars_status place(const pack_view *pack, const pack_tensor *t, const slot *s, void *target,
                         tars_error *err) {
    bool is_matrix = t->layout == PACK_LAYOUT_GROUPS;
    if (is_matrix != s->is_matrix) {
        return error_set(err, TARS_CORRUPT, "tensor %s is a %s where the model needs a %s", t->name,
                         is_matrix ? "matrix" : "vector", s->is_matrix ? "matrix" : "vector");
    }
    if (!is_matrix && t->n_columns != vector_length(pack->hparams, t->role)) {
        return error_set(err, TARS_CORRUPT, "tensor %s has %llu elements where %llu are needed",
                         t->name, (unsigned long long)t->n_columns,
                         (unsigned long long)vector_length(pack->hparams, t->role));
    }
    uint8_t *place_at = (uint8_t *)target + s->offset;
    if (is_matrix) {
        weight w = weight_of(pack, t);
        w.bias = ((weight *)place_at)->bias; /* may have come first */
        memcpy(place_at, &w, sizeof w);
    } else {
        const float *vector = (const float *)(pack->base + t->offset);
        memcpy(place_at, &vector, sizeof vector);
    }
    return TARS_OK;
}

static bool shaped(const weight *w, size_t n_columns, size_t n_rows) {
    return w->data && w->n_columns == n_columns && w->n_rows == n_rows;
}

static tars_status missing(const char *what, uint32_t layer, tars_error *err) {
    error_set(err, TARS_CORRUPT, "the packed model lacks %s of layer %u, or its shape is wrong",
              what, layer);
    error_hint(err, "import the model again");
    return TARS_CORRUPT;
}

static tars_status check_layer(const model *m, uint32_t index, tars_error *err) {
    const model_hparams *p = m->hparams;
    const layer_weights *l = &m->layers[index];
    size_t n_q = (size_t)p->n_heads * p->head_dim_k;
    size_t n_k = (size_t)p->n_kv_heads * p->head_dim_k;
    size_t n_v = (size_t)p->n_kv_heads * p->head_dim_v;
    if (!shaped(&l->q, p->n_embd, n_q) || !shaped(&l->k, p->n_embd, n_k) ||
        !shaped(&l->v, p->n_embd, n_v) ||
        !shaped(&l->attn_output, (size_t)p->n_heads * p->head_dim_v, p->n_embd)) {
        return missing("an attention matrix", index, err);
    }
    if (!shaped(&l->up, p->n_embd, p->n_ff) || !shaped(&l->down, p->n_ff, p->n_embd) ||
        (p->gated && !shaped(&l->gate, p->n_embd, p->n_ff))) {
        return missing("a feed-forward matrix", index, err);
    }
    bool norms = p->causal ? l->attn_norm.scale && l->ffn_norm.scale
                           : l->attn_output_norm.scale && l->layer_output_norm.scale;
    return norms ? TARS_OK : missing("a norm", index, err);
}

static tars_status check_model(model *m, tars_error *err) {
    const model_hparams *p = m->hparams;
    if (!shaped(&m->token_embd, p->n_embd, p->n_vocab)) {
        return missing("the token embedding (not", 0, err);
    }
    if (p->causal) {
        if (!m->output.data) {
            m->output = m->token_embd;
        }
        if (!shaped(&m->output, p->n_embd, p->n_vocab) || !m->output_norm.scale) {
            return missing("the output matrix or norm (not", 0, err);
        }
    } else if (p->n_kv_heads != p->n_heads || p->head_dim_v != p->head_dim_k ||
               (uint64_t)p->n_heads * p->head_dim_k != p->n_embd) {
        return error_set(err, TARS_CORRUPT, "%u heads of %u channels do not make an encoder's %u",
                         p->n_heads, p->head_dim_k, p->n_embd);
    } else if (!shaped(&m->position_embd, p->n_embd, p->context_length) || !m->embd_norm.scale ||
               (m->token_types.data && m->token_types.n_columns != p->n_embd)) {
        return missing("the position embedding or its norm (not", 0, err);
    }
    for (uint32_t i = 0; i < p->n_layers; i++) {
        tars_status status = check_layer(m, i, err);
        if (status != TARS_OK) {
            return status;
        }
    }
    return TARS_OK;
}

tars_status model_open(const pack_view *pack, arena *memory, model *out, tars_error *err) {
    memset(out, 0, sizeof *out);
    out->pack = *pack;
    out->hparams = pack->hparams;
    out->layers = ARENA_ARRAY(memory, layer_weights, pack->hparams->n_layers);
    if (!out->layers) {
        return error_set(err, TARS_OUT_OF_MEMORY, "no memory for the table of %u layers",
                         pack->hparams->n_layers);
    }
    for (uint32_t i = 0; i < pack->n_tensors; i++) {
        const pack_tensor *t = &pack->tensors[i];
        const slot *global =
            slot_of(model_slots, sizeof model_slots / sizeof model_slots[0], t->role);
        const slot *local =
            slot_of(layer_slots, sizeof layer_slots / sizeof layer_slots[0], t->role);
        tars_status status = TARS_OK;
        if (global) {
            status = place(pack, t, global, out, err);
        } else if (local) {
            status = place(pack, t, local, &out->layers[t->layer], err);
        }
        if (status != TARS_OK) {
            return status;
        }
    }
    if (pack->hparams->rope_dim > 0) {
        out->rope_frequency = (const double *)pack->sections[PACK_ROPE].bytes;
    }
    out->attention_scale = 1.0f / arith_sqrt((float)pack->hparams->head_dim_k);
    return check_model(out, err);
}

void model_row(const weight *w, size_t row, float *out) {
    pack_row(w->type, w->data + row / PACK_GROUP_ROWS * w->group_bytes, row % PACK_GROUP_ROWS,
             w->n_columns, out);
}
