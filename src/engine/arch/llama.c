/* The llama family: RMS norms, RoPE on adjacent pairs, grouped-query attention, SiLU-gated
 * feed-forward. */
#include "engine/arch/arch.h"

static tars_status describe_heads(const gguf_file *file, model_hparams *p, tars_error *err) {
    tars_status status =
        arch_key_u32(file, "attention.head_count", -1, 1, MODEL_MAX_HEADS, &p->n_heads, err);
    if (status == TARS_OK) {
        status = arch_key_u32(file, "attention.head_count_kv", p->n_heads, 1, p->n_heads,
                              &p->n_kv_heads, err);
    }
    if (status == TARS_OK && p->n_heads % p->n_kv_heads != 0) {
        status = error_set(err, TARS_MALFORMED, "%u heads cannot share %u key/value heads",
                           p->n_heads, p->n_kv_heads);
    }
    bool divides = status == TARS_OK && p->n_embd % p->n_heads == 0;
    int64_t head_dim = divides ? (int64_t)(p->n_embd / p->n_heads) : -1;
    if (status == TARS_OK) {
        status = arch_key_u32(file, "attention.key_length", head_dim, 1, MODEL_MAX_HEAD_DIM,
                              &p->head_dim_k, err);
    }
    if (status == TARS_OK) {
        status = arch_key_u32(file, "attention.value_length", head_dim, 1, MODEL_MAX_HEAD_DIM,
                              &p->head_dim_v, err);
    }
    if (status == TARS_OK) {
        status = arch_key_u32(file, "rope.dimension_count", p->head_dim_k, 2, p->head_dim_k,
                              &p->rope_dim, err);
    }
    if (status == TARS_OK && p->rope_dim % 2 != 0) {
        status = error_set(err, TARS_MALFORMED, "rope.dimension_count is %u; it must be even",
                           p->rope_dim);
    }
    return status;
}

static tars_status describe(const gguf_file *file, model_hparams *p, tars_error *err) {
    tars_status status =
        arch_key_u32(file, "block_count", -1, 1, MODEL_MAX_LAYERS, &p->n_layers, err);
    if (status == TARS_OK) {
        status = arch_key_u32(file, "embedding_length", -1, 1, MODEL_MAX_EMBD, &p->n_embd, err);
    }
    if (status == TARS_OK) {
        status = arch_key_u32(file, "feed_forward_length", -1, 1, MODEL_MAX_FF, &p->n_ff, err);
    }
    uint32_t context = 0;
    if (status == TARS_OK) {
        status = arch_key_u32(file, "context_length", -1, 1, UINT32_MAX, &context, err);
        p->context_length = context < MODEL_MAX_CONTEXT ? context : MODEL_MAX_CONTEXT;
    }
    if (status == TARS_OK) {
        status = describe_heads(file, p, err);
    }
    if (status == TARS_OK) {
        status = arch_key_f32(file, "attention.layer_norm_rms_epsilon", __builtin_nanf(""), 0.0f,
                              1.0f, &p->norm_eps, err);
    }
    if (status == TARS_OK) {
        status = arch_key_u32(file, "expert_count", 0, 0, MODEL_MAX_EXPERTS, &p->n_experts, err);
    }
    if (status == TARS_OK && p->n_experts > 0) {
        status = error_set(err, TARS_UNSUPPORTED,
                           "a mixture of %u experts is not supported for architecture llama",
                           p->n_experts);
    }
    p->rope_pairing = ROPE_ADJACENT;
    p->norm = NORM_RMS;
    p->activation = ACTIVATION_SILU;
    p->gated = 1;
    p->causal = 1;
    return status;
}

static const tensor_rule tensors[] = {
    {"token_embd.weight", ROLE_TOKEN_EMBD, true, DIM_EMBD, DIM_VOCAB},
    {"output.weight", ROLE_OUTPUT, false, DIM_EMBD, DIM_VOCAB},
    {"output_norm.weight", ROLE_OUTPUT_NORM, true, DIM_EMBD, DIM_ONE},
    {"rope_freqs.weight", ROLE_ROPE_FACTORS, false, DIM_ROPE_HALF, DIM_ONE},
    {"blk.%.attn_norm.weight", ROLE_ATTN_NORM, true, DIM_EMBD, DIM_ONE},
    {"blk.%.attn_q.weight", ROLE_ATTN_Q, true, DIM_EMBD, DIM_Q},
    {"blk.%.attn_k.weight", ROLE_ATTN_K, true, DIM_EMBD, DIM_K},
    {"blk.%.attn_v.weight", ROLE_ATTN_V, true, DIM_EMBD, DIM_V},
    {"blk.%.attn_output.weight", ROLE_ATTN_OUTPUT, true, DIM_O, DIM_EMBD},
    {"blk.%.attn_q.bias", ROLE_ATTN_Q_BIAS, false, DIM_Q, DIM_ONE},
    {"blk.%.attn_k.bias", ROLE_ATTN_K_BIAS, false, DIM_K, DIM_ONE},
    {"blk.%.attn_v.bias", ROLE_ATTN_V_BIAS, false, DIM_V, DIM_ONE},
    {"blk.%.attn_output.bias", ROLE_ATTN_OUTPUT_BIAS, false, DIM_EMBD, DIM_ONE},
    {"blk.%.ffn_norm.weight", ROLE_FFN_NORM, true, DIM_EMBD, DIM_ONE},
    {"blk.%.ffn_gate.weight", ROLE_FFN_GATE, true, DIM_EMBD, DIM_FF},
    {"blk.%.ffn_up.weight", ROLE_FFN_UP, true, DIM_EMBD, DIM_FF},
    {"blk.%.ffn_down.weight", ROLE_FFN_DOWN, true, DIM_FF, DIM_EMBD},
    {"blk.%.ffn_gate.bias", ROLE_FFN_GATE_BIAS, false, DIM_FF, DIM_ONE},
    {"blk.%.ffn_up.bias", ROLE_FFN_UP_BIAS, false, DIM_FF, DIM_ONE},
    {"blk.%.ffn_down.bias", ROLE_FFN_DOWN_BIAS, false, DIM_EMBD, DIM_ONE},
};

const arch_family arch_llama = {.name = "llama",
                                .describe = describe,
                                .rope = arch_rope_scaled,
                                .tensors = tensors,
                                .n_tensors = sizeof tensors / sizeof tensors[0]};
