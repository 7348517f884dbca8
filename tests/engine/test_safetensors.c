/* The safetensors reader and the conversion of a BERT encoder to GGUF. */
#include "support/check.h"

#include "engine/gguf.h"
#include "engine/safetensors.h"
#include "engine/safetensors_to_gguf.h"
#include "tiny_bert.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { ARENA_BYTES = 1 << 20 };

/* Opens a copy without a spare byte in an arena of the promised size. */
static tars_status open_copy(const uint8_t *bytes, size_t size, tars_error *err) {
    uint8_t *exact = malloc(size ? size : 1);
    memcpy(exact, bytes, size);
    size_t arena_bytes = SAFETENSORS_MEMORY_MULTIPLE * size + 1024;
    void *memory = malloc(arena_bytes);
    arena a;
    arena_init(&a, memory, arena_bytes);
    byte_source source = byte_source_memory(exact, size);
    safetensors_file file;
    tars_status status = safetensors_open(&source, &a, &file, err);
    if (status == TARS_OK) {
        uint64_t sum = file.data_offset;
        for (size_t i = 0; i < file.n_tensors; i++) {
            sum += file.tensors[i].size_bytes;
            CHECK(file.tensors[i].offset + file.tensors[i].size_bytes <= size);
        }
        CHECK_INT(sum, size);
    } else {
        CHECK(status != TARS_OUT_OF_MEMORY && err->message[0] && err->where[0]);
    }
    free(memory);
    free(exact);
    return status;
}

/* A file of this header and so many zero bytes. */
static tars_status open_text(const char *header, size_t data_bytes, tars_error *err) {
    size_t length = strlen(header);
    uint8_t *file = calloc(8 + length + data_bytes, 1);
    uint64_t n = length;
    memcpy(file, &n, 8);
    memcpy(file + 8, header, length);
    tars_status status = open_copy(file, 8 + length + data_bytes, err);
    free(file);
    return status;
}

static void test_headers(void) {
    static const struct {
        const char *header;
        size_t data_bytes;
        tars_status status;
        const char *says;
    } cases[] = {
        {"{}", 0, TARS_OK, ""},
        {"{\"__metadata__\":{\"format\":\"pt\"}}      ", 0, TARS_OK, ""},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]}}", 8, TARS_OK, ""},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[],\"data_offsets\":[0,4]}}", 4, TARS_OK, ""},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[0],\"data_offsets\":[0,0]}}", 0, TARS_OK, ""},
        {"{\"a\":{\"dtype\":\"U8\",\"shape\":[2],\"data_offsets\":[1,3]},"
         "\"b\":{\"dtype\":\"BOOL\",\"shape\":[1],\"data_offsets\":[0,1]}}",
         3, TARS_OK, ""},
        {"[]", 0, TARS_MALFORMED, "no JSON object"},
        {"{", 0, TARS_MALFORMED, ""},
        {"{\"a\":1}", 0, TARS_MALFORMED, "lacks"},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]}}", 7, TARS_MALFORMED,
         "holds 7 bytes"},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]}}", 9, TARS_MALFORMED,
         "the tensors end"},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,7]}}", 8, TARS_MALFORMED,
         "make 8 bytes"},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[8,0]}}", 8, TARS_MALFORMED,
         "lies at 8 to 0"},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[-8,0]}}", 8, TARS_MALFORMED,
         "no two integers"},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8,9]}}", 8, TARS_MALFORMED,
         "no two integers"},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[2.5],\"data_offsets\":[0,8]}}", 8, TARS_MALFORMED,
         "dimension 0"},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[-2],\"data_offsets\":[0,8]}}", 8, TARS_MALFORMED,
         "dimension 0"},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[4611686018427387904,1],\"data_offsets\":[0,0]}}", 0,
         TARS_MALFORMED, "exceeds 64 bits"},
        {"{\"a\":{\"dtype\":\"F33\",\"shape\":[2],\"data_offsets\":[0,8]}}", 8, TARS_UNSUPPORTED,
         "unknown dtype 'F33'"},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[1,1,1,1,1,1,1,1,1],\"data_offsets\":[0,4]}}", 4,
         TARS_UNSUPPORTED, "9 dimensions"},
        {"{\"a\":{\"dtype\":\"U8\",\"shape\":[2],\"data_offsets\":[0,2]},"
         "\"b\":{\"dtype\":\"U8\",\"shape\":[2],\"data_offsets\":[1,3]}}",
         3, TARS_MALFORMED, "overlap"},
        {"{\"a\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0,1]},"
         "\"b\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[2,3]}}",
         3, TARS_MALFORMED, "a gap"},
        {"{\"a\":{\"dtype\":\"U8\",\"shape\":[0],\"data_offsets\":[0,0]},"
         "\"a\":{\"dtype\":\"U8\",\"shape\":[0],\"data_offsets\":[0,0]}}",
         0, TARS_MALFORMED, ""},
        {"{\"a\":{\"b\":{\"c\":{\"d\":{\"e\":1}}}}}", 0, TARS_LIMIT, ""},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        tars_error err;
        tars_status status = open_text(cases[i].header, cases[i].data_bytes, &err);
        if (status != cases[i].status ||
            (status != TARS_OK && !strstr(err.message, cases[i].says))) {
            check_fail(__FILE__, __LINE__, "%s: %s, %s", cases[i].header, tars_status_code(status),
                       err.message);
        }
    }
}

static void test_header_length(void) {
    static const uint64_t lengths[] = {0,          3,          11,        100000001,
                                       0x7FFFFFFF, 0xFFFFFFFF, INT64_MAX, UINT64_MAX};
    for (size_t i = 0; i < sizeof lengths / sizeof lengths[0]; i++) {
        uint8_t file[18] = "........{}        ";
        tars_error err;
        memcpy(file, &lengths[i], 8);
        CHECK(open_copy(file, sizeof file, &err) != TARS_OK);
    }
    tars_error err;
    for (size_t size = 0; size < 10; size++) {
        CHECK_INT(open_copy((const uint8_t *)"\2\0\0\0\0\0\0\0{}", size, &err), TARS_MALFORMED);
    }
    CHECK_INT(open_copy((const uint8_t *)"\2\0\0\0\0\0\0\0{}", 10, &err), TARS_OK);
}

static void test_lookup(void) {
    uint8_t file[TINY_BERT_BYTES];
    size_t size = tiny_bert_weights("BF16", "bert.", file);
    void *memory = malloc(ARENA_BYTES);
    arena a;
    arena_init(&a, memory, ARENA_BYTES);
    byte_source source = byte_source_memory(file, size);
    safetensors_file f;
    tars_error err;
    CHECK(safetensors_detect(&source));
    CHECK_INT(safetensors_open(&source, &a, &f, &err), TARS_OK);
    CHECK_INT(f.n_tensors, 23);
    for (size_t i = 0; i < f.n_tensors; i++) {
        char name[96];
        snprintf(name, sizeof name, "bert.%s", tiny_bert_tensors[i].name);
        CHECK(safetensors_find(&f, name) == &f.tensors[i]);
        CHECK(safetensors_find(&f, tiny_bert_tensors[i].name) == NULL);
        CHECK_INT(f.tensors[i].type, i == 0 ? TENSOR_I64 : TENSOR_BF16);
    }
    source = byte_source_memory("GGUF\3\0\0\0\0\0\0\0", 12);
    CHECK(!safetensors_detect(&source));
    free(memory);
}

static void test_cut_and_flipped(void) {
    uint8_t file[TINY_BERT_BYTES];
    size_t size = tiny_bert_weights("F32", "", file);
    tars_error err;
    CHECK_INT(open_copy(file, size, &err), TARS_OK);
    for (size_t length = 0; length < size; length++) {
        CHECK_INT(open_copy(file, length, &err), TARS_MALFORMED);
    }
    for (size_t i = 0; i < size; i++) {
        for (unsigned bit = 0; bit < 8; bit++) {
            file[i] ^= (uint8_t)(1u << bit);
            open_copy(file, size, &err);
            file[i] ^= (uint8_t)(1u << bit);
        }
    }
}

/* The files of a model as texts; NULL for a file that is missing. */
typedef struct model_texts {
    const char *config, *tokenizer, *vocabulary, *tokenizer_config, *pooling, *sentence, *modules;
} model_texts;

typedef struct converted {
    void *memory;
    arena a;
    uint8_t weights[TINY_BERT_BYTES];
    byte_source files[8];
    byte_source result;
    gguf_file gguf;
    tars_error err;
} converted;

static const byte_source *text_source(byte_source *slot, const char *text) {
    if (!text) {
        return NULL;
    }
    *slot = byte_source_memory(text, strlen(text));
    return slot;
}

/* Converts and opens the result as GGUF; `status` is the first failure. The caller frees memory. */
static tars_status convert(converted *c, const char *dtype, const char *prefix,
                           const model_texts *texts) {
    size_t size = tiny_bert_weights(dtype, prefix, c->weights);
    c->memory = malloc(ARENA_BYTES);
    arena_init(&c->a, c->memory, ARENA_BYTES);
    c->files[0] = byte_source_memory(c->weights, size);
    safetensors_sources sources = {
        .weights = &c->files[0],
        .config = text_source(&c->files[1], texts->config ? texts->config : tiny_bert_config),
        .tokenizer = text_source(&c->files[2], texts->tokenizer),
        .vocabulary = text_source(&c->files[3], texts->vocabulary),
        .tokenizer_config = text_source(&c->files[4], texts->tokenizer_config),
        .pooling = text_source(&c->files[5], texts->pooling),
        .sentence = text_source(&c->files[6], texts->sentence),
        .modules = text_source(&c->files[7], texts->modules),
    };
    tars_status status = safetensors_to_gguf(&sources, &c->a, &c->result, &c->err);
    return status == TARS_OK ? gguf_open(&c->result, NULL, &c->a, &c->gguf, &c->err) : status;
}

static void check_converted_tensors(converted *c, unsigned value_bytes) {
    const gguf_file *f = &c->gguf;
    safetensors_file s;
    CHECK_INT(f->n_tensors, 21);
    CHECK_INT(safetensors_open(&c->files[0], &c->a, &s, &c->err), TARS_OK);
    const gguf_tensor *t = gguf_find_tensor(f, "blk.0.ffn_down.weight");
    const safetensors_tensor *from = safetensors_find(&s, "encoder.layer.0.output.dense.weight");
    CHECK(t && from);
    if (t && from) {
        CHECK(t->dims[0] == 6 && t->dims[1] == 4 && t->n_dims == 2);
        uint8_t bytes[96];
        CHECK_INT(t->size_bytes, 24 * value_bytes);
        CHECK_INT(byte_source_read(&c->result, f->data_offset + t->offset, bytes,
                                   (size_t)t->size_bytes, &c->err),
                  TARS_OK);
        CHECK_BYTES(bytes, c->weights + from->offset, (size_t)t->size_bytes);
    }
    /* the whole file in pieces of any size is the whole file */
    uint8_t *whole = malloc((size_t)c->result.size_bytes);
    uint8_t *pieces = malloc((size_t)c->result.size_bytes);
    CHECK_INT(byte_source_read(&c->result, 0, whole, (size_t)c->result.size_bytes, &c->err),
              TARS_OK);
    for (size_t step = 1; step < 80; step++) {
        for (uint64_t at = 0; at < c->result.size_bytes; at += step) {
            uint64_t left = c->result.size_bytes - at;
            byte_source_read(&c->result, at, pieces + at, (size_t)(left < step ? left : step),
                             &c->err);
        }
        CHECK(memcmp(whole, pieces, (size_t)c->result.size_bytes) == 0);
    }
    free(whole);
    free(pieces);
}

static void check_word(const gguf_file *f, size_t id, const char *text, int type) {
    const gguf_key *tokens, *types;
    CHECK_INT(gguf_get_array(f, "tokenizer.ggml.tokens", GGUF_STRING, &tokens, NULL), TARS_OK);
    CHECK_INT(gguf_get_array(f, "tokenizer.ggml.token_type", GGUF_INT32, &types, NULL), TARS_OK);
    CHECK(gguf_text_equals(gguf_element_text(f, tokens, id), text));
    CHECK_INT(gguf_element_i64(types, id), type);
}

static void check_u32(const gguf_file *f, const char *key, uint32_t expected) {
    uint32_t found = 0xDEAD;
    CHECK_INT(gguf_get_u32(f, key, &found, NULL), TARS_OK);
    if (found != expected) {
        check_fail(__FILE__, __LINE__, "%s is %u, expected %u", key, found, expected);
    }
}

static void check_model_keys(const gguf_file *f) {
    check_u32(f, "bert.block_count", 1);
    check_u32(f, "bert.embedding_length", 4);
    check_u32(f, "bert.feed_forward_length", 6);
    check_u32(f, "bert.attention.head_count", 2);
    check_u32(f, "bert.vocab_size", 7);
    check_u32(f, "tokenizer.ggml.cls_token_id", 2);
    check_u32(f, "tokenizer.ggml.seperator_token_id", 3);
    check_u32(f, "tokenizer.ggml.unknown_token_id", 1);
    check_u32(f, "tokenizer.ggml.padding_token_id", 0);
    CHECK(gguf_find(f, "tokenizer.ggml.mask_token_id") == NULL);
    check_word(f, 0, "[PAD]", 3);
    check_word(f, 2, "[CLS]", 3);
    check_word(f, 4, "\xE2\x96\x81word", 1);
    check_word(f, 5, "ing", 1);
    check_word(f, 6, "[PAD6]", 5);
}

static void test_conversion(void) {
    static const char *const dtypes[] = {"F32", "F16", "BF16"};
    for (size_t i = 0; i < 3; i++) {
        converted c;
        const model_texts texts = {.vocabulary = tiny_bert_vocabulary,
                                   .tokenizer = i == 1 ? tiny_bert_tokenizer : NULL};
        tars_status status = convert(&c, dtypes[i], "", &texts);
        if (status != TARS_OK) {
            check_fail(__FILE__, __LINE__, "%s (%s)", c.err.message, c.err.where);
        } else {
            check_model_keys(&c.gguf);
            check_u32(&c.gguf, "bert.pooling_type", 1);
            check_u32(&c.gguf, "bert.context_length", 8);
            CHECK_INT(gguf_find_tensor(&c.gguf, "token_embd.weight")->dims[1], 7);
            check_converted_tensors(&c, i == 0 ? 4 : 2);
        }
        free(c.memory);
    }
}

static void test_settings(void) {
    const model_texts texts = {
        .vocabulary = "[PAD]\r\n[UNK]\r\n<s>\r\n[SEP]\r\nword\r\n##ing",
        .tokenizer_config = "{\"cls_token\":{\"content\":\"<s>\"},\"do_lower_case\":false}",
        .pooling = "{\"pooling_mode_cls_token\":true,\"pooling_mode_mean_tokens\":false}",
        .sentence = "{\"max_seq_length\":5}",
        .modules = "[{\"type\":\"sentence_transformers.models.Transformer\"},"
                   "{\"type\":\"sentence_transformers.models.Normalize\"}]"};
    converted c;
    CHECK_INT(convert(&c, "F32", "bert.", &texts), TARS_OK);
    check_u32(&c.gguf, "bert.pooling_type", 2);
    check_u32(&c.gguf, "bert.context_length", 5);
    check_u32(&c.gguf, "tokenizer.ggml.cls_token_id", 2);
    check_word(&c.gguf, 2, "<s>", 3);
    const gguf_tensor *positions = gguf_find_tensor(&c.gguf, "position_embd.weight");
    CHECK(positions && positions->dims[0] == 4 && positions->dims[1] == 5);
    bool lowercase = true;
    CHECK_INT(gguf_get_bool(&c.gguf, "tokenizer.ggml.normalizer.lowercase", &lowercase, NULL),
              TARS_OK);
    CHECK(!lowercase);
    free(c.memory);
}

static const char refused_config[] =
    "{\"hidden_size\":4,\"num_hidden_layers\":%s,\"intermediate_size\":6,\"num_attention_heads"
    "\":2,\"max_position_embeddings\":8,\"type_vocab_size\":2,\"vocab_size\":7,%s}";
static const struct {
    const char *layers, *rest;
    model_texts texts;
    tars_status status;
    const char *says;
} refused_models[] = {
    {"1", "\"model_type\":\"roberta\"", {0}, TARS_UNSUPPORTED, "roberta"},
    {"1", "\"model_type\":\"bert\",\"hidden_act\":\"relu\"", {0}, TARS_UNSUPPORTED, "relu"},
    {"1",
     "\"model_type\":\"bert\",\"position_embedding_type\":\"relative_key\"",
     {0},
     TARS_UNSUPPORTED,
     "relative_key"},
    {"1", "\"is_decoder\":true,\"model_type\":\"bert\"", {0}, TARS_UNSUPPORTED, "is_decoder"},
    {"1", "\"other\":1", {0}, TARS_MALFORMED, "model_type"},
    {"0", "\"model_type\":\"bert\"", {0}, TARS_MALFORMED, "num_hidden_layers"},
    {"1.5", "\"model_type\":\"bert\"", {0}, TARS_MALFORMED, "num_hidden_layers"},
    {"-1", "\"model_type\":\"bert\"", {0}, TARS_MALFORMED, "num_hidden_layers"},
    {"4294967297", "\"model_type\":\"bert\"", {0}, TARS_MALFORMED, "num_hidden_layers"},
    {"\"1\"", "\"model_type\":\"bert\"", {0}, TARS_MALFORMED, "num_hidden_layers"},
    {"2", "\"model_type\":\"bert\"", {0}, TARS_MALFORMED, "encoder.layer.1."},
    {"1", "\"model_type\":\"bert\",\"layer_norm_eps\":0", {0}, TARS_MALFORMED, "layer_norm"},
    {"1",
     "\"model_type\":\"bert\"",
     {.pooling = "{\"pooling_mode_max_tokens\":true}"},
     TARS_UNSUPPORTED,
     "pooling_mode_max_tokens"},
    {"1",
     "\"model_type\":\"bert\"",
     {.pooling = "{\"pooling_mode_mean_tokens\":true,\"pooling_mode_cls_token\":true}"},
     TARS_UNSUPPORTED,
     "besides another"},
    {"1",
     "\"model_type\":\"bert\"",
     {.modules = "[{\"type\":\"sentence_transformers.models.Dense\"}]"},
     TARS_UNSUPPORTED,
     "models.Dense"},
    {"1",
     "\"model_type\":\"bert\"",
     {.vocabulary = "[UNK]\n[SEP]\nword\n"},
     TARS_MALFORMED,
     "special token '[CLS]'"},
    {"1",
     "\"model_type\":\"bert\"",
     {.vocabulary = "a\nb\nc\nd\ne\nf\ng\nh\n"},
     TARS_MALFORMED,
     "the embedding matrix has 7 rows"},
    {"1", "\"model_type\":\"bert\"", {.vocabulary = "[UNK]\n\xFF\n"}, TARS_MALFORMED, "UTF-8"},
    {"1",
     "\"model_type\":\"bert\"",
     {.tokenizer = "{\"model\":{\"type\":\"BPE\"}}"},
     TARS_UNSUPPORTED,
     "BPE"},
    {"1",
     "\"model_type\":\"bert\"",
     {.tokenizer = "{\"model\":{\"vocab\":{\"a\":0,\"b\":0}}}"},
     TARS_MALFORMED,
     "two tokens have the id 0"},
    {"1",
     "\"model_type\":\"bert\"",
     {.tokenizer = "{\"model\":{\"vocab\":{\"a\":\"0\"}}}"},
     TARS_MALFORMED,
     "no id"},
    {"1", "\"model_type\":\"bert\"", {.tokenizer = "{}"}, TARS_MALFORMED, "vocab"},
    {"1", "\"model_type\":\"bert\"", {.tokenizer = "{"}, TARS_MALFORMED, ""},
};

static void test_refusals(void) {
    for (size_t i = 0; i < sizeof refused_models / sizeof refused_models[0]; i++) {
        char config[512];
        snprintf(config, sizeof config, refused_config, refused_models[i].layers,
                 refused_models[i].rest);
        model_texts texts = refused_models[i].texts;
        texts.config = config;
        texts.vocabulary = texts.vocabulary ? texts.vocabulary : tiny_bert_vocabulary;
        converted c;
        tars_status status = convert(&c, "F32", "", &texts);
        if (status != refused_models[i].status || !strstr(c.err.message, refused_models[i].says) ||
            (i != 21 && c.err.where[0] == '\0' && status != TARS_MALFORMED)) {
            check_fail(__FILE__, __LINE__, "case %zu: %s, %s (%s)", i, tars_status_code(status),
                       c.err.message, c.err.where);
        }
        free(c.memory);
    }
}

/* Replaces every occurrence of `from` by `to`, of equal length, in the weights' header. */
static size_t patch(uint8_t *file, const char *from, const char *to) {
    uint64_t header;
    size_t length = strlen(from), found = 0;
    memcpy(&header, file, 8);
    for (size_t i = 8; i + length <= 8 + header; i++) {
        if (memcmp(file + i, from, length) == 0) {
            memcpy(file + i, to, length);
            found++;
        }
    }
    return found;
}

static void test_patched_weights(void) {
    static const struct {
        const char *from, *to;
        tars_status status;
        const char *says;
    } cases[] = {
        {"LayerNorm.bias", "LayerNorm.beta", TARS_OK, ""},
        {"LayerNorm.weight\":", "LayerNorm.gamma\" :", TARS_OK, ""},
        {"query.weight", "query.weighs", TARS_MALFORMED, "query.weight"},
        {"\"F32\"", "\"I32\"", TARS_UNSUPPORTED, "dtype I32"},
        {"[4,6]", "[6,4]", TARS_MALFORMED, "2 dimensions, 6 x 4, expected 4 x 6"},
        {"[4,6]", "[24 ]", TARS_MALFORMED, "1 dimensions, 1 x 24"},
        {"pooler.dense.bias", "encoder.dense.bia", TARS_UNSUPPORTED, "22 tensors"},
        {"embeddings.position_ids", "embeddings.position_idx", TARS_UNSUPPORTED, "22 tensors"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        uint8_t weights[TINY_BERT_BYTES];
        size_t size = tiny_bert_weights("F32", "", weights);
        CHECK(patch(weights, cases[i].from, cases[i].to) > 0);
        byte_source files[3] = {
            byte_source_memory(weights, size),
            byte_source_memory(tiny_bert_config, sizeof tiny_bert_config - 1),
            byte_source_memory(tiny_bert_vocabulary, sizeof tiny_bert_vocabulary - 1)};
        const safetensors_sources sources = {
            .weights = &files[0], .config = &files[1], .vocabulary = &files[2]};
        void *memory = malloc(ARENA_BYTES);
        arena a;
        arena_init(&a, memory, ARENA_BYTES);
        byte_source out;
        tars_error err;
        tars_status status = safetensors_to_gguf(&sources, &a, &out, &err);
        if (status != cases[i].status || !strstr(err.message, cases[i].says) ||
            (status != TARS_OK && !strstr(err.where, "model.safetensors"))) {
            check_fail(__FILE__, __LINE__, "%s: %s, %s (%s)", cases[i].to, tars_status_code(status),
                       err.message, err.where);
        }
        free(memory);
    }
}

static void test_more_refusals(void) {
    static const struct {
        model_texts texts;
        tars_status status;
        const char *says;
    } cases[] = {
        {{.config = "[]", .vocabulary = "a"}, TARS_MALFORMED, "no JSON object"},
        {{.config = "{\"model_type\":\"bert\",\"hidden_size\":4,\"num_hidden_layers\":1,"
                    "\"intermediate_size\":6,\"num_attention_heads\":3,\"vocab_size\":7,"
                    "\"max_position_embeddings\":8,\"type_vocab_size\":2}",
          .vocabulary = "a"},
         TARS_MALFORMED,
         "a multiple of num_attention_heads"},
        {{.tokenizer = "{\"model\":{\"vocab\":{\"[UNK]\":0}},"
                       "\"added_tokens\":[{\"id\":7,\"content\":\"x\"}]}"},
         TARS_MALFORMED,
         "an added token has the id 7"},
        {{.vocabulary = tiny_bert_vocabulary, .tokenizer_config = "{\"a\":"}, TARS_MALFORMED, ""},
        {{.vocabulary = tiny_bert_vocabulary, .modules = "[1,2"}, TARS_MALFORMED, ""},
        {{.vocabulary = tiny_bert_vocabulary, .sentence = "nul"}, TARS_MALFORMED, ""},
        {{.tokenizer = "{\"model\":{\"vocab\":{\"[UNK]\":0,\"[CLS]\":1,\"[SEP]\":2}},"
                       "\"added_tokens\":[{\"id\":6,\"content\":\"[NEW]\",\"special\":true}]}"},
         TARS_OK,
         ""},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        converted c;
        tars_status status = convert(&c, "F32", "", &cases[i].texts);
        if (status != cases[i].status || !strstr(c.err.message, cases[i].says) ||
            (status != TARS_OK && c.err.where[0] == '\0')) {
            check_fail(__FILE__, __LINE__, "case %zu: %s, %s (%s)", i, tars_status_code(status),
                       c.err.message, c.err.where);
        }
        if (status == TARS_OK) {
            check_word(&c.gguf, 6, "[NEW]", 3);
            check_word(&c.gguf, 3, "[PAD3]", 5);
        }
        free(c.memory);
    }
}

/* A source that fails at a given read. */
typedef struct failing {
    const byte_source *inner;
    int *reads;
    int fail_at;
} failing;

static tars_status failing_read(void *context, uint64_t offset, void *buffer, size_t length,
                                tars_error *err) {
    failing *f = context;
    if (++*f->reads == f->fail_at) {
        return error_set(err, TARS_IO, "the disk says no");
    }
    return f->inner->read_at(f->inner->context, offset, buffer, length, err);
}

static void test_failing_sources(void) {
    uint8_t weights[TINY_BERT_BYTES];
    byte_source inner[3] = {
        byte_source_memory(weights, tiny_bert_weights("F32", "", weights)),
        byte_source_memory(tiny_bert_config, sizeof tiny_bert_config - 1),
        byte_source_memory(tiny_bert_vocabulary, sizeof tiny_bert_vocabulary - 1)};
    int needed = 0;
    for (int fail_at = 0; fail_at <= needed; fail_at++) {
        int reads = 0;
        failing f[3];
        byte_source outer[3];
        for (size_t i = 0; i < 3; i++) {
            f[i] = (failing){&inner[i], &reads, fail_at};
            outer[i] = (byte_source){&f[i], inner[i].size_bytes, failing_read};
        }
        const safetensors_sources sources = {
            .weights = &outer[0], .config = &outer[1], .vocabulary = &outer[2]};
        void *memory = malloc(ARENA_BYTES);
        arena a;
        arena_init(&a, memory, ARENA_BYTES);
        byte_source out;
        tars_error err;
        uint8_t *bytes = malloc(8192);
        tars_status status = safetensors_to_gguf(&sources, &a, &out, &err);
        if (status == TARS_OK) { /* every tensor is one more read */
            CHECK(out.size_bytes <= 8192);
            status = byte_source_read(&out, 0, bytes, (size_t)out.size_bytes, &err);
        }
        CHECK_INT(status, fail_at == 0 ? TARS_OK : TARS_IO);
        needed = fail_at == 0 ? reads : needed;
        free(bytes);
        free(memory);
    }
    CHECK(needed > 21);
    byte_source huge = {NULL, 65u << 20, failing_read}; /* refused before a read */
    const safetensors_sources sources = {
        .weights = &inner[0], .config = &huge, .vocabulary = &inner[2]};
    uint8_t memory[8192];
    arena a;
    arena_init(&a, memory, sizeof memory);
    byte_source out;
    tars_error err;
    CHECK_INT(safetensors_to_gguf(&sources, &a, &out, &err), TARS_LIMIT);
    CHECK_STRING(err.where, "config.json");
}

static void test_missing_files(void) {
    byte_source any = byte_source_memory("{}", 2);
    const safetensors_sources cases[] = {
        {.config = &any, .vocabulary = &any},
        {.weights = &any, .vocabulary = &any},
        {.weights = &any, .config = &any},
    };
    static const char *const says[] = {"model.safetensors", "config.json", "vocab.txt"};
    for (size_t i = 0; i < 3; i++) {
        uint8_t memory[64];
        arena a;
        arena_init(&a, memory, sizeof memory);
        byte_source out;
        tars_error err;
        CHECK_INT(safetensors_to_gguf(&cases[i], &a, &out, &err), TARS_USAGE);
        CHECK(strstr(err.message, says[i]) != NULL);
    }
}

static void test_every_arena_size(void) {
    uint8_t weights[TINY_BERT_BYTES];
    size_t refused = 0, needed = 0;
    byte_source w = byte_source_memory(weights, tiny_bert_weights("F32", "", weights));
    byte_source config = byte_source_memory(tiny_bert_config, sizeof tiny_bert_config - 1);
    byte_source words = byte_source_memory(tiny_bert_tokenizer, sizeof tiny_bert_tokenizer - 1);
    const safetensors_sources sources = {.weights = &w, .config = &config, .tokenizer = &words};
    for (size_t size = 0; size < ARENA_BYTES; size += size < 2048 ? 1 : 97) {
        void *memory = malloc(size ? size : 1);
        arena a;
        arena_init(&a, memory, size);
        byte_source out;
        tars_error err;
        tars_status status = safetensors_to_gguf(&sources, &a, &out, &err);
        CHECK(status == TARS_OK || status == TARS_OUT_OF_MEMORY);
        refused += status != TARS_OK;
        needed = a.peak_bytes;
        free(memory);
        if (status == TARS_OK) {
            break;
        }
    }
    CHECK(refused > 2000 && needed < ARENA_BYTES / 2);
}

static const check_test tests[] = {
    {"headers", test_headers},
    {"header length", test_header_length},
    {"lookup", test_lookup},
    {"cut and flipped", test_cut_and_flipped},
    {"conversion", test_conversion},
    {"settings", test_settings},
    {"refusals", test_refusals},
    {"patched weights", test_patched_weights},
    {"more refusals", test_more_refusals},
    {"failing sources", test_failing_sources},
    {"missing files", test_missing_files},
    {"every arena size", test_every_arena_size},
};

CHECK_MAIN(tests)
