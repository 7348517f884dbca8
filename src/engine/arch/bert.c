/* The bert family: encoders with learned positions, layer norms after each block, GELU by erf
 * (as the original network; GGUF does not say which form was trained). */
#include "engine/arch/arch.h"

static tars_status describe(const gguf_file *file, model_hparams *p, tars_error *err) {
    tars_status status =
        arch_key_u32(file, "block_count", -1, 1, MODEL_MAX_LAYERS, &p->n_layers, err);
    if (status == TARS_OK) {
        status = arch_key_u32(file, "embedding_length", -1, 1, MODEL_MAX_EMBD, &p->n_embd, err);
    }
    if (status == TARS_OK) {
        status = arch_key_u32(file, "feed_forward_length", -1, 1, MODEL_MAX_FF, &p->n_ff, err);
    }
    if (status == TARS_OK) {
        status =
            arch_key_u32(file, "context_length", -1, 1, MODEL_MAX_CONTEXT, &p->context_length, err);
    }
    if (status == TARS_OK) {
        status =
            arch_key_u32(file, "attention.head_count", -1, 1, MODEL_MAX_HEADS, &p->n_heads, err);
    }
    if (status == TARS_OK &&
        (p->n_embd % p->n_heads != 0 || p->n_embd / p->n_heads > MODEL_MAX_HEAD_DIM)) {
        status = error_set(err, TARS_MALFORMED, "%u channels cannot be cut into %u heads",
                           p->n_embd, p->n_heads);
    }
    if (status == TARS_OK) {
        p->n_kv_heads = p->n_heads;
        p->head_dim_k = p->head_dim_v = p->n_embd / p->n_heads;
        status = arch_key_f32(file, "attention.layer_norm_epsilon", __builtin_nanf(""), 0.0f, 1.0f,
                              &p->norm_eps, err);
    }
    if (status == TARS_OK) {
        status = arch_key_u32(file, "pooling_type", POOLING_MEAN, POOLING_NONE, POOLING_LAST,
                              &p->pooling, err);
    }
    uint64_t types = 2;
    const gguf_key *key = gguf_find(file, "tokenizer.ggml.token_type_count");
    if (status == TARS_OK && key && (!gguf_key_u64(key, &types) || types < 1 || types > 1024)) {
        status = error_set(err, TARS_MALFORMED, "token_type_count is not between 1 and 1024");
    }
    p->n_token_types = (uint32_t)types;
    p->norm = NORM_LAYER;
    p->activation = ACTIVATION_GELU_ERF;
    return status;
}

static const tensor_rule tensors[] = {
    {"token_embd.weight", ROLE_TOKEN_EMBD, true, DIM_EMBD, DIM_VOCAB},
    {"position_embd.weight", ROLE_POSITION_EMBD, true, DIM_EMBD, DIM_CONTEXT},
    {"token_types.weight", ROLE_TOKEN_TYPES, false, DIM_EMBD, DIM_TOKEN_TYPES},
    {"token_embd_norm.weight", ROLE_EMBD_NORM, true, DIM_EMBD, DIM_ONE},
    {"token_embd_norm.bias", ROLE_EMBD_NORM_BIAS, false, DIM_EMBD, DIM_ONE},
    {"blk.%.attn_q.weight", ROLE_ATTN_Q, true, DIM_EMBD, DIM_Q},
    {"blk.%.attn_k.weight", ROLE_ATTN_K, true, DIM_EMBD, DIM_K},
    {"blk.%.attn_v.weight", ROLE_ATTN_V, true, DIM_EMBD, DIM_V},
    {"blk.%.attn_output.weight", ROLE_ATTN_OUTPUT, true, DIM_O, DIM_EMBD},
    {"blk.%.attn_q.bias", ROLE_ATTN_Q_BIAS, false, DIM_Q, DIM_ONE},
    {"blk.%.attn_k.bias", ROLE_ATTN_K_BIAS, false, DIM_K, DIM_ONE},
    {"blk.%.attn_v.bias", ROLE_ATTN_V_BIAS, false, DIM_V, DIM_ONE},
    {"blk.%.attn_output.bias", ROLE_ATTN_OUTPUT_BIAS, false, DIM_EMBD, DIM_ONE},
    {"blk.%.attn_output_norm.weight", ROLE_ATTN_OUTPUT_NORM, true, DIM_EMBD, DIM_ONE},
    {"blk.%.attn_output_norm.bias", ROLE_ATTN_OUTPUT_NORM_BIAS, false, DIM_EMBD, DIM_ONE},
    {"blk.%.ffn_up.weight", ROLE_FFN_UP, true, DIM_EMBD, DIM_FF},
    {"blk.%.ffn_up.bias", ROLE_FFN_UP_BIAS, false, DIM_FF, DIM_ONE},
    {"blk.%.ffn_down.weight", ROLE_FFN_DOWN, true, DIM_FF, DIM_EMBD},
    {"blk.%.ffn_down.bias", ROLE_FFN_DOWN_BIAS, false, DIM_EMBD, DIM_ONE},
    {"blk.%.layer_output_norm.weight", ROLE_LAYER_OUTPUT_NORM, true, DIM_EMBD, DIM_ONE},
    {"blk.%.layer_output_norm.bias", ROLE_LAYER_OUTPUT_NORM_BIAS, false, DIM_EMBD, DIM_ONE},
};

const arch_family arch_bert = {.name = "bert",
                               .describe = describe,
                               .rope = NULL,
                               .tensors = tensors,
                               .n_tensors = sizeof tensors / sizeof tensors[0]};
