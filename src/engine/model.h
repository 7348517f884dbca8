/* A packed model opened for computing: pointers into the mapped file. Ownership: borrows the
 * packed bytes; the layer table lives in the caller's arena. Read-only after model_open, so any
 * number of threads may share it. */
#ifndef ENGINE_MODEL_H
#define ENGINE_MODEL_H

#include "engine/pack.h"

/* A matrix in groups of 16 rows. data is NULL when the model has no such matrix. */
typedef struct weight {
    const uint8_t *data;
    uint32_t type;
    uint32_t activation_block; /* 0: f32 activations, else 32 or 256 */
    size_t n_columns, n_rows, n_groups, group_bytes;
    const float *bias; /* [n_rows] or NULL */
} weight;

typedef struct norm_weight {
    const float *scale; /* [n_embd], NULL: no such norm */
    const float *bias;  /* or NULL */
} norm_weight;

typedef struct layer_weights {
    norm_weight attn_norm, ffn_norm;                 /* before the block (decoders) */
    norm_weight attn_output_norm, layer_output_norm; /* after the block (encoders) */
    weight q, k, v, attn_output;
    weight gate, up, down;
} layer_weights;

typedef struct model {
    pack_view pack;
    const model_hparams *hparams;
    weight token_embd;    /* rows are looked up */
    weight position_embd; /* encoders */
    weight token_types;   /* encoders */
    weight output;        /* the token embedding again when tied */
    norm_weight embd_norm, output_norm;
    layer_weights *layers;        /* [n_layers] */
    const double *rope_frequency; /* [rope_dim / 2] or NULL */
    float attention_scale;        /* 1 / sqrt(head_dim_k) */
} model;

/* Bytes of arena that model_open takes. */
size_t model_memory_bytes(const pack_view *pack);
/* Finds every tensor the architecture needs; CORRUPT when one is missing or misshapen. */
tars_status model_open(const pack_view *pack, arena *memory, model *out, tars_error *err);
/* One row of a matrix, widened to f32. out[n_columns] */
void model_row(const weight *w, size_t row, float *out);

#endif
