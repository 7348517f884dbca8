/* A BERT encoder of one layer in Hugging Face's files, made in memory, for the tests and the fuzz
 * target of the converter. Ownership: the caller owns the buffers handed in. */
#ifndef TESTS_TINY_BERT_H
#define TESTS_TINY_BERT_H

#include <stdint.h>
#include <stdio.h>
#include <string.h>

enum { TINY_BERT_BYTES = 8192 };

static const char tiny_bert_config[] =
    "{\"model_type\":\"bert\",\"_name_or_path\":\"tiny\",\"hidden_size\":4,\"num_hidden_layers\":1,"
    "\"intermediate_size\":6,\"num_attention_heads\":2,\"max_position_embeddings\":8,"
    "\"type_vocab_size\":2,\"vocab_size\":7,\"hidden_act\":\"gelu\",\"layer_norm_eps\":1e-12}";

static const char tiny_bert_vocabulary[] = "[PAD]\n[UNK]\n[CLS]\n[SEP]\nword\n##ing\n";

static const char tiny_bert_tokenizer[] =
    "{\"added_tokens\":[{\"id\":0,\"content\":\"[PAD]\",\"special\":true}],"
    "\"normalizer\":{\"type\":\"BertNormalizer\",\"lowercase\":true,\"strip_accents\":null},"
    "\"model\":{\"type\":\"WordPiece\",\"unk_token\":\"[UNK]\",\"vocab\":{\"[PAD]\":0,\"[UNK]\":1,"
    "\"[CLS]\":2,\"[SEP]\":3,\"word\":4,\"##ing\":5}}}";

/* name, rows (0: a vector), columns */
static const struct {
    const char *name;
    unsigned rows, columns;
} tiny_bert_tensors[] = {
    {"embeddings.position_ids", 1, 8}, /* I64, to be left out */
    {"embeddings.word_embeddings.weight", 7, 4},
    {"embeddings.position_embeddings.weight", 8, 4},
    {"embeddings.token_type_embeddings.weight", 2, 4},
    {"embeddings.LayerNorm.weight", 0, 4},
    {"embeddings.LayerNorm.bias", 0, 4},
    {"encoder.layer.0.attention.self.query.weight", 4, 4},
    {"encoder.layer.0.attention.self.query.bias", 0, 4},
    {"encoder.layer.0.attention.self.key.weight", 4, 4},
    {"encoder.layer.0.attention.self.key.bias", 0, 4},
    {"encoder.layer.0.attention.self.value.weight", 4, 4},
    {"encoder.layer.0.attention.self.value.bias", 0, 4},
    {"encoder.layer.0.attention.output.dense.weight", 4, 4},
    {"encoder.layer.0.attention.output.dense.bias", 0, 4},
    {"encoder.layer.0.attention.output.LayerNorm.weight", 0, 4},
    {"encoder.layer.0.attention.output.LayerNorm.bias", 0, 4},
    {"encoder.layer.0.intermediate.dense.weight", 6, 4},
    {"encoder.layer.0.intermediate.dense.bias", 0, 6},
    {"encoder.layer.0.output.dense.weight", 4, 6},
    {"encoder.layer.0.output.dense.bias", 0, 4},
    {"encoder.layer.0.output.LayerNorm.weight", 0, 4},
    {"encoder.layer.0.output.LayerNorm.bias", 0, 4},
    {"pooler.dense.bias", 0, 4}, /* to be left out */
};

/* Writes model.safetensors with the dtype ("F32", "F16", "BF16") and names that start with
 * `prefix`; value i of the file's data is the float i, or its low 16 bits. Returns its size. */
static inline size_t tiny_bert_weights(const char *dtype, const char *prefix,
                                       uint8_t file[TINY_BERT_BYTES]) {
    char *text = (char *)file + 8;
    size_t n = 1, data = 0, count = sizeof tiny_bert_tensors / sizeof tiny_bert_tensors[0];
    text[0] = '{';
    for (size_t i = 0; i < count; i++) {
        unsigned rows = tiny_bert_tensors[i].rows, columns = tiny_bert_tensors[i].columns;
        size_t value_bytes = i == 0 ? 8 : strcmp(dtype, "F32") == 0 ? 4 : 2;
        size_t size = (rows ? rows : 1) * columns * value_bytes;
        char shape[32];
        snprintf(shape, sizeof shape, rows ? "%u,%u" : "%.0u%u", rows, columns);
        n += (size_t)snprintf(text + n, TINY_BERT_BYTES - 8 - n,
                              "%s\"%s%s\":{\"dtype\":\"%s\",\"shape\":[%s],"
                              "\"data_offsets\":[%zu,%zu]}",
                              i ? "," : "", prefix, tiny_bert_tensors[i].name, i ? dtype : "I64",
                              shape, data, data + size);
        data += size;
    }
    text[n++] = '}';
    uint64_t header = n;
    memcpy(file, &header, 8);
    size_t start = 8 + n;
    for (size_t at = 0; at + 4 <= data; at += 4) {
        float value = (float)(at / 4);
        memcpy(file + start + at, &value, 4);
    }
    return start + data;
}

#endif
