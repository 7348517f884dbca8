/* Makes small GGUF models of the llama family with random weights of a chosen type. The matrices
 * have row counts that are no multiple of 16. Ownership: the caller frees made_model.bytes. */
#ifndef TESTS_MODEL_MAKER_H
#define TESTS_MODEL_MAKER_H

#include "engine/gguf_write.h"
#include "engine/tensor_type.h"
#include "support/check.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct model_recipe {
    uint32_t matrix_type, vector_type;
    bool dims_padded;      /* every tensor has four dimensions, the last ones 1 */
    bool has_extra_tensor; /* one that no architecture knows, Q8_0, in the middle of the file */
} model_recipe;

enum { MADE_VOCAB = 37, MADE_MAX_TENSORS = 16 };

typedef struct made_model {
    uint8_t *bytes;
    size_t size_bytes;
    size_t data_offset;
    gguf_tensor_entry tensors[MADE_MAX_TENSORS];
    size_t n_tensors;
} made_model;

/* Where a block has 16-bit floats: offsets within the block, −1 for none. */
static inline void made_scale_offsets(uint32_t type, int offsets[2]) {
    offsets[0] = type == TENSOR_Q6_K ? 208 : 0;
    offsets[1] = type == TENSOR_Q4_1 || type == TENSOR_Q4_K ? 2 : -1;
}

static inline void made_fill(const gguf_tensor_entry *t, uint8_t *out, uint64_t *state) {
    const tensor_type_info *info = tensor_type_get(t->type);
    for (uint64_t i = 0; i < t->size_bytes; i++) {
        out[i] = (uint8_t)check_random(state);
    }
    int offsets[2];
    made_scale_offsets(t->type, offsets);
    for (uint64_t at = 0; at < t->size_bytes; at += info->block_bytes) {
        if (t->type == TENSOR_F32) {
            float value = (float)((int)(check_random(state) % 2001) - 1000) / 4000.0f;
            memcpy(out + at, &value, sizeof value);
            continue;
        }
        for (int i = 0; i < 2; i++) {
            if (offsets[i] >= 0) { /* below 1/128 in size, whatever the 16-bit type */
                out[at + (size_t)offsets[i] + 1] &= 0xA3;
            }
        }
    }
}

static inline void made_add(made_model *m, const model_recipe *recipe, const char *name,
                            uint32_t type, uint64_t columns, uint64_t rows) {
    gguf_tensor_entry *t = &m->tensors[m->n_tensors++];
    *t = (gguf_tensor_entry){.name = name,
                             .type = type,
                             .n_dims = recipe->dims_padded ? 4
                                       : rows == 1         ? 1
                                                           : 2,
                             .dims = {columns, rows, 1, 1}};
}

static inline void made_tensors(made_model *m, const model_recipe *r, uint64_t n_embd,
                                uint64_t n_ff) {
    uint32_t w = r->matrix_type;
    uint32_t v = r->vector_type;
    made_add(m, r, "token_embd.weight", w, n_embd, MADE_VOCAB);
    made_add(m, r, "output_norm.weight", v, n_embd, 1);
    made_add(m, r, "blk.0.attn_norm.weight", v, n_embd, 1);
    made_add(m, r, "blk.0.attn_q.weight", w, n_embd, n_embd);
    made_add(m, r, "blk.0.attn_k.weight", w, n_embd, n_embd / 4);
    if (r->has_extra_tensor) {
        made_add(m, r, "blk.0.of_another_kind", TENSOR_Q8_0, 64, 3);
    }
    made_add(m, r, "blk.0.attn_v.weight", w, n_embd, n_embd / 4);
    made_add(m, r, "blk.0.attn_v.bias", v, n_embd / 4, 1);
    made_add(m, r, "blk.0.attn_output.weight", w, n_embd, n_embd);
    made_add(m, r, "blk.0.ffn_norm.weight", v, n_embd, 1);
    made_add(m, r, "blk.0.ffn_gate.weight", w, n_embd, n_ff);
    made_add(m, r, "blk.0.ffn_up.weight", w, n_embd, n_ff);
    made_add(m, r, "blk.0.ffn_down.weight", w, n_ff, n_embd);
}

static inline made_model make_model(const model_recipe *recipe) {
    made_model m = {0};
    uint64_t block = tensor_type_get(recipe->matrix_type)->block_size;
    uint32_t n_embd = block == 1 ? 24 : (uint32_t)block;
    uint32_t n_ff = block == 1 ? 50 : (uint32_t)block;
    char names[MADE_VOCAB][8];
    gguf_text tokens[MADE_VOCAB];
    float scores[MADE_VOCAB];
    for (int i = 0; i < MADE_VOCAB; i++) {
        int length = snprintf(names[i], sizeof names[i], i < 3 ? "<%d>" : "t%d", i);
        tokens[i] = (gguf_text){names[i], (size_t)length};
        scores[i] = (float)-i;
    }
    gguf_entry entries[] = {
        gguf_entry_string("general.architecture", "llama"),
        gguf_entry_u32("llama.block_count", 1),
        gguf_entry_u32("llama.embedding_length", n_embd),
        gguf_entry_u32("llama.feed_forward_length", n_ff),
        gguf_entry_u32("llama.context_length", 64),
        gguf_entry_u32("llama.attention.head_count", 4),
        gguf_entry_u32("llama.attention.head_count_kv", 1),
        gguf_entry_f32("llama.attention.layer_norm_rms_epsilon", 1e-5f),
        gguf_entry_string("tokenizer.ggml.model", "llama"),
        gguf_entry_texts("tokenizer.ggml.tokens", tokens, MADE_VOCAB),
        gguf_entry_numbers("tokenizer.ggml.scores", GGUF_FLOAT32, scores, MADE_VOCAB),
        gguf_entry_string("some.other.key", "kept as it is"),
    };
    made_tensors(&m, recipe, n_embd, n_ff);
    size_t arena_bytes = 1 << 20;
    void *memory = malloc(arena_bytes);
    arena a;
    arena_init(&a, memory, arena_bytes);
    gguf_header header;
    tars_error err;
    CHECK_INT(gguf_write_header(entries, sizeof entries / sizeof entries[0], m.tensors, m.n_tensors,
                                &a, &header, &err),
              TARS_OK);
    m.data_offset = header.data_offset;
    m.size_bytes = header.data_offset + (size_t)header.data_bytes;
    m.bytes = calloc(1, m.size_bytes);
    memcpy(m.bytes, header.bytes, header.header_bytes);
    uint64_t state = 4711 + recipe->matrix_type;
    for (size_t i = 0; i < m.n_tensors; i++) {
        made_fill(&m.tensors[i], m.bytes + m.data_offset + m.tensors[i].offset, &state);
    }
    free(memory);
    return m;
}

#endif
