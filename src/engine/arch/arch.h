/* Architecture families: how a GGUF file's keys and tensors become hyper-parameters and roles.
 * One file a family, one row in arch.c. Ownership: constant tables; results are the caller's
 * plain memory. */
#ifndef ENGINE_ARCH_H
#define ENGINE_ARCH_H

#include "engine/gguf.h"
#include "engine/hparams.h"
#include "engine/pack.h"

/* Dimensions by name, so that a table can state shapes. */
typedef enum arch_dim {
    DIM_ONE, /* absent: a vector's rows */
    DIM_EMBD,
    DIM_VOCAB,
    DIM_FF,
    DIM_Q, /* n_heads · head_dim_k */
    DIM_K, /* n_kv_heads · head_dim_k */
    DIM_V, /* n_kv_heads · head_dim_v */
    DIM_O, /* n_heads · head_dim_v */
    DIM_CONTEXT,
    DIM_TOKEN_TYPES,
    DIM_ROPE_HALF,
    DIM_COUNT
} arch_dim;

typedef struct tensor_rule {
    const char *name; /* "blk.%.attn_q.weight": % stands for the layer */
    tensor_role role;
    bool is_required;
    arch_dim columns, rows; /* rows DIM_ONE: a vector */
} tensor_rule;

typedef struct arch_family {
    const char *name; /* general.architecture */
    /* Fills everything but counts of parameters, main_type and tied_output. n_vocab is set. */
    tars_status (*describe)(const gguf_file *file, model_hparams *p, tars_error *err);
    /* Inverse frequencies [rope_dim / 2] with scaling applied; also sets rope_magnitude. NULL for
     * families without RoPE. `factors` are those of a rope_freqs tensor, or NULL. */
    tars_status (*rope)(const gguf_file *file, model_hparams *p, const float *factors,
                        double *frequency, tars_error *err);
    const tensor_rule *tensors;
    size_t n_tensors;
} arch_family;

/* The file's family; UNSUPPORTED names the architecture and those that are known. */
tars_status arch_find(const gguf_file *file, const arch_family **out, tars_error *err);
/* describe() of the family and the checks that all families share. */
tars_status arch_describe(const arch_family *family, const gguf_file *file, model_hparams *out,
                          tars_error *err);
/* Role and layer of each tensor (both [n_tensors]); checks shapes, types and that none is
 * missing. Unknown tensors get ROLE_OTHER. */
tars_status arch_assign(const arch_family *family, const gguf_file *file, model_hparams *p,
                        uint32_t *roles, uint32_t *layers, tars_error *err);

/* True when the family's table says that the role is a vector. */
bool arch_role_is_vector(const arch_family *family, tensor_role role);

/* Helpers for families: "ARCH.suffix" with a range check. A missing key gives `otherwise`, or an
 * error when `otherwise` is negative. */
tars_status arch_key_u32(const gguf_file *file, const char *suffix, int64_t otherwise, uint32_t low,
                         uint32_t high, uint32_t *out, tars_error *err);
/* As above for a finite float within [low, high]; `otherwise` NaN: the key is required. */
tars_status arch_key_f32(const gguf_file *file, const char *suffix, float otherwise, float low,
                         float high, float *out, tars_error *err);
/* The RoPE of the llama kind: base, linear or yarn scaling, frequency factors. */
tars_status arch_rope_scaled(const gguf_file *file, model_hparams *p, const float *factors,
                             double *frequency, tars_error *err);

extern const arch_family arch_llama;
extern const arch_family arch_bert;

#endif
