/* What a model is: hyper-parameters as the packed file stores them. Ownership: plain memory. */
#ifndef ENGINE_HPARAMS_H
#define ENGINE_HPARAMS_H

#include <stdint.h>

enum {
    MODEL_MAX_LAYERS = 1024,
    MODEL_MAX_EMBD = 1 << 17,
    MODEL_MAX_FF = 1 << 20,
    MODEL_MAX_HEADS = 1024,
    MODEL_MAX_HEAD_DIM = 1024,
    MODEL_MAX_VOCAB = 1 << 24,
    MODEL_MAX_CONTEXT = 1 << 24,
    MODEL_MAX_EXPERTS = 1024
};

typedef enum rope_pairing {
    ROPE_NONE = 0,
    ROPE_ADJACENT = 1, /* (x0,x1), (x2,x3) … */
    ROPE_HALVES = 2    /* (x0,x_{d/2}) … */
} rope_pairing;

typedef enum norm_kind { NORM_RMS = 1, NORM_LAYER = 2 } norm_kind;
typedef enum activation_kind {
    ACTIVATION_SILU = 1,
    ACTIVATION_GELU_ERF = 2,
    ACTIVATION_GELU_TANH = 3
} activation_kind;
typedef enum pooling_kind {
    POOLING_NONE = 0,
    POOLING_MEAN = 1,
    POOLING_CLS = 2,
    POOLING_LAST = 3
} pooling_kind;

/* Written to packed files as it stands: little-endian, fixed size, only appended to (with a new
 * packed version). All counts are within the limits above; the importer checked them. */
typedef struct model_hparams {
    char architecture[32]; /* as GGUF names it, NUL-terminated */
    uint32_t n_layers;
    uint32_t n_embd;
    uint32_t n_ff;
    uint32_t n_heads;
    uint32_t n_kv_heads; /* divides n_heads */
    uint32_t head_dim_k;
    uint32_t head_dim_v;
    uint32_t n_vocab;
    uint32_t context_length; /* trained for */
    uint32_t rope_dim;       /* even, ≤ head_dim_k; 0 without RoPE */
    uint32_t rope_pairing;
    float rope_magnitude; /* factor on sine and cosine (yarn), else 1 */
    float norm_eps;
    uint32_t norm;       /* norm_kind */
    uint32_t activation; /* activation_kind of the feed-forward block */
    uint32_t gated;      /* 1: act(gate)·up, 0: act(up) */
    uint32_t causal;     /* 1: decoder with a cache, 0: encoder */
    uint32_t pooling;    /* pooling_kind of an encoder */
    uint32_t n_token_types;
    uint32_t tied_output; /* 1: the output matrix is the token embedding */
    uint32_t main_type;   /* tensor_type that holds most weights */
    uint32_t n_experts;   /* 0: dense */
    uint32_t n_experts_used;
    uint64_t n_parameters;
    uint32_t reserved[24]; /* zero */
} model_hparams;

#endif
