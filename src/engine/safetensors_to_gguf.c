#include "engine/safetensors_to_gguf.h"

#include "base/checked.h"
#include "base/text.h"
#include "engine/bert_vocabulary.h"
#include "engine/gguf_write.h"
#include "engine/hparams.h"
#include "engine/safetensors.h"

#include <assert.h>
#include <string.h>

enum { CONVERT_JSON_MAX_BYTES = 64 << 20, CONVERT_NAME_BYTES = 64, CONVERT_MAX_ENTRIES = 32 };

/* A tensor of the GGUF file and where its bytes are. */
typedef struct converted_tensor {
    uint64_t start;         /* in the GGUF file */
    uint64_t size_bytes;    /* may be less than the source tensor's */
    uint64_t source_offset; /* in the safetensors file */
} converted_tensor;

/* Behind the byte_source that is handed out. */
typedef struct converted_file {
    const byte_source *weights;
    const uint8_t *header; /* [data_offset] */
    uint64_t data_offset;
    const converted_tensor *tensors; /* [n_tensors] ascending, disjoint */
    size_t n_tensors;
} converted_file;

typedef struct converter {
    const safetensors_sources *sources;
    arena *memory;
    tars_error *err;
    const json_value *config;
    safetensors_file weights;
    const char *prefix; /* of the encoder's tensors: "", "bert." */
    uint32_t n_embd, n_layers, n_ff, n_heads, n_context, n_token_types, n_vocab;
    float norm_eps;
    uint32_t pooling; /* pooling_kind */
    bert_vocabulary vocabulary;
    gguf_entry entries[CONVERT_MAX_ENTRIES];
    size_t n_entries;
    gguf_tensor_entry *tensors;
    converted_tensor *places;
    size_t n_tensors;
} converter;

/* Sizes that a tensor's shape is made of. */
typedef enum size_name { SIZE_EMBD, SIZE_FF, SIZE_VOCAB, SIZE_POSITIONS, SIZE_TYPES } size_name;

typedef struct tensor_rule {
    const char *source; /* Hugging Face's name, in a layer without "encoder.layer.N." */
    const char *target; /* GGUF's name, in a layer without "blk.N." */
    uint32_t n_dims;
    size_name columns;
    size_name rows; /* of a matrix */
} tensor_rule;

static const tensor_rule model_rules[] = {
    {"embeddings.word_embeddings.weight", "token_embd.weight", 2, SIZE_EMBD, SIZE_VOCAB},
    {"embeddings.position_embeddings.weight", "position_embd.weight", 2, SIZE_EMBD, SIZE_POSITIONS},
    {"embeddings.token_type_embeddings.weight", "token_types.weight", 2, SIZE_EMBD, SIZE_TYPES},
    {"embeddings.LayerNorm.weight", "token_embd_norm.weight", 1, SIZE_EMBD, SIZE_EMBD},
    {"embeddings.LayerNorm.bias", "token_embd_norm.bias", 1, SIZE_EMBD, SIZE_EMBD},
};

static const tensor_rule layer_rules[] = {
    {"attention.self.query.weight", "attn_q.weight", 2, SIZE_EMBD, SIZE_EMBD},
    {"attention.self.query.bias", "attn_q.bias", 1, SIZE_EMBD, SIZE_EMBD},
    {"attention.self.key.weight", "attn_k.weight", 2, SIZE_EMBD, SIZE_EMBD},
    {"attention.self.key.bias", "attn_k.bias", 1, SIZE_EMBD, SIZE_EMBD},
    {"attention.self.value.weight", "attn_v.weight", 2, SIZE_EMBD, SIZE_EMBD},
    {"attention.self.value.bias", "attn_v.bias", 1, SIZE_EMBD, SIZE_EMBD},
    {"attention.output.dense.weight", "attn_output.weight", 2, SIZE_EMBD, SIZE_EMBD},
    {"attention.output.dense.bias", "attn_output.bias", 1, SIZE_EMBD, SIZE_EMBD},
    {"attention.output.LayerNorm.weight", "attn_output_norm.weight", 1, SIZE_EMBD, SIZE_EMBD},
    {"attention.output.LayerNorm.bias", "attn_output_norm.bias", 1, SIZE_EMBD, SIZE_EMBD},
    {"intermediate.dense.weight", "ffn_up.weight", 2, SIZE_EMBD, SIZE_FF},
    {"intermediate.dense.bias", "ffn_up.bias", 1, SIZE_FF, SIZE_FF},
    {"output.dense.weight", "ffn_down.weight", 2, SIZE_FF, SIZE_EMBD},
    {"output.dense.bias", "ffn_down.bias", 1, SIZE_EMBD, SIZE_EMBD},
    {"output.LayerNorm.weight", "layer_output_norm.weight", 1, SIZE_EMBD, SIZE_EMBD},
    {"output.LayerNorm.bias", "layer_output_norm.bias", 1, SIZE_EMBD, SIZE_EMBD},
};

enum {
    MODEL_RULES = sizeof model_rules / sizeof model_rules[0],
    LAYER_RULES = sizeof layer_rules / sizeof layer_rules[0]
};

static unsigned long long ull(uint64_t value) {
    return value;
}

/* Reads one of the small files whole. */
static tars_status read_text(converter *c, const byte_source *source, const char *file,
                             gguf_text *out) {
    if (source->size_bytes > CONVERT_JSON_MAX_BYTES) {
        error_set(c->err, TARS_LIMIT, "%s has %llu bytes, the limit is %d", file,
                  ull(source->size_bytes), CONVERT_JSON_MAX_BYTES);
        error_where(c->err, "%s", file);
        return TARS_LIMIT;
    }
    char *bytes = arena_alloc_raw(c->memory, (size_t)source->size_bytes, 1);
    if (!bytes) {
        return error_set(c->err, TARS_OUT_OF_MEMORY, "no memory for %s, %llu bytes", file,
                         ull(source->size_bytes));
    }
    *out = (gguf_text){bytes, (size_t)source->size_bytes};
    return byte_source_read(source, 0, bytes, out->length, c->err);
}

/* Parses one of the JSON files; *out stays NULL when there is none. */
static tars_status read_json(converter *c, const byte_source *source, const char *file,
                             const json_value **out) {
    gguf_text text = {NULL, 0};
    json_value *root = NULL;
    *out = NULL;
    if (!source) {
        return TARS_OK;
    }
    tars_status status = read_text(c, source, file, &text);
    if (status == TARS_OK) {
        status = json_parse(text.bytes, text.length, NULL, c->memory, &root, c->err);
        if (status != TARS_OK && c->err) {
            char position[sizeof c->err->where];
            memcpy(position, c->err->where, sizeof position);
            error_where(c->err, "%s, %s", file, position);
        }
    }
    *out = root;
    return status;
}

static tars_status refuse_config(converter *c, tars_status status, const char *key,
                                 const char *found, const char *expected) {
    error_set(c->err, status, "\"%s\" is %s, expected %s", key, found, expected);
    error_where(c->err, "config.json, %s", key);
    return status;
}

/* An integer of config.json from 1 to the limit. */
static tars_status config_u32(converter *c, const char *key, uint32_t limit, uint32_t *out) {
    const json_value *value = json_member(c->config, key);
    if (!value || value->type != JSON_NUMBER || !value->is_integer || value->integer < 1 ||
        value->integer > (int64_t)limit) {
        char expected[48];
        text_buffer text;
        text_init(&text, expected, sizeof expected);
        text_format(&text, "an integer from 1 to %u", limit);
        return refuse_config(c, TARS_MALFORMED, key, value ? "something else" : "missing",
                             expected);
    }
    *out = (uint32_t)value->integer;
    return TARS_OK;
}

/* Settings of config.json that must have one value, or be absent. */
static tars_status check_fixed_settings(converter *c) {
    static const struct {
        const char *key;
        const char *value;
    } fixed[] = {
        {"model_type", "bert"},
        {"hidden_act", "gelu"},
        {"position_embedding_type", "absolute"},
    };
    for (size_t i = 0; i < sizeof fixed / sizeof fixed[0]; i++) {
        const json_value *value = json_member(c->config, fixed[i].key);
        if (value && value->type != JSON_NULL &&
            strcmp(json_string_or(value, "no string"), fixed[i].value) != 0) {
            return refuse_config(c, TARS_UNSUPPORTED, fixed[i].key,
                                 json_string_or(value, "no string"), fixed[i].value);
        }
    }
    if (!json_member(c->config, "model_type")) {
        return refuse_config(c, TARS_MALFORMED, "model_type", "missing", "bert");
    }
    if (json_bool_or(json_member(c->config, "is_decoder"), false)) {
        return refuse_config(c, TARS_UNSUPPORTED, "is_decoder", "true", "false");
    }
    return TARS_OK;
}

static tars_status read_config(converter *c) {
    const struct {
        const char *key;
        uint32_t limit;
        uint32_t *out;
    } sizes[] = {
        {"hidden_size", MODEL_MAX_EMBD, &c->n_embd},
        {"num_hidden_layers", MODEL_MAX_LAYERS, &c->n_layers},
        {"intermediate_size", MODEL_MAX_FF, &c->n_ff},
        {"num_attention_heads", MODEL_MAX_HEADS, &c->n_heads},
        {"max_position_embeddings", MODEL_MAX_CONTEXT, &c->n_context},
        {"type_vocab_size", 1024, &c->n_token_types},
        {"vocab_size", MODEL_MAX_VOCAB, &c->n_vocab},
    };
    if (!c->config || c->config->type != JSON_OBJECT) {
        error_set(c->err, TARS_MALFORMED, "config.json is no JSON object");
        error_where(c->err, "config.json");
        return TARS_MALFORMED;
    }
    tars_status status = check_fixed_settings(c);
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0] && status == TARS_OK; i++) {
        status = config_u32(c, sizes[i].key, sizes[i].limit, sizes[i].out);
    }
    if (status != TARS_OK) {
        return status;
    }
    if (c->n_embd % c->n_heads != 0) {
        return refuse_config(c, TARS_MALFORMED, "hidden_size", "no multiple",
                             "a multiple of num_attention_heads");
    }
    double eps = json_number_or(json_member(c->config, "layer_norm_eps"), 1e-12);
    if (!(eps > 0 && eps < 1)) {
        return refuse_config(c, TARS_MALFORMED, "layer_norm_eps", "out of range",
                             "a number between 0 and 1");
    }
    c->norm_eps = (float)eps;
    return TARS_OK;
}

/* 1_Pooling/config.json says how a sentence's vector comes from its tokens' vectors. */
static tars_status read_pooling(converter *c) {
    static const struct {
        const char *key;
        int pooling; /* pooling_kind, or -1: refused as unsupported */
    } modes[] = {
        {"pooling_mode_mean_tokens", POOLING_MEAN}, {"pooling_mode_cls_token", POOLING_CLS},
        {"pooling_mode_lasttoken", POOLING_LAST},   {"pooling_mode_max_tokens", -1},
        {"pooling_mode_mean_sqrt_len_tokens", -1},  {"pooling_mode_weightedmean_tokens", -1},
    };
    const json_value *config;
    tars_status status = read_json(c, c->sources->pooling, "1_Pooling/config.json", &config);
    if (status != TARS_OK) {
        return status;
    }
    c->pooling = POOLING_MEAN; /* what sentence-transformers does without the file */
    size_t chosen = 0;
    for (size_t i = 0; config && i < sizeof modes / sizeof modes[0]; i++) {
        if (!json_bool_or(json_member(config, modes[i].key), false)) {
            continue;
        }
        chosen++;
        if (modes[i].pooling < 0 || chosen > 1) {
            error_set(c->err, TARS_UNSUPPORTED,
                      "%s%s: only one of mean, first and last token is implemented", modes[i].key,
                      chosen > 1 ? " besides another mode" : "");
            error_where(c->err, "1_Pooling/config.json");
            return TARS_UNSUPPORTED;
        }
        c->pooling = (uint32_t)modes[i].pooling;
    }
    return TARS_OK;
}

/* modules.json lists the steps; those after pooling may only normalise. */
static tars_status check_modules(converter *c) {
    static const char *const known[] = {"Transformer", "Pooling", "Normalize"};
    const json_value *modules;
    tars_status status = read_json(c, c->sources->modules, "modules.json", &modules);
    const json_value *module = modules && modules->type == JSON_ARRAY ? modules->first : NULL;
    for (; module && status == TARS_OK; module = module->next) {
        const char *type = json_string_or(json_member(module, "type"), "");
        bool is_known = false;
        for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) {
            size_t length = strlen(type), tail = strlen(known[i]);
            is_known = is_known || (length > tail && type[length - tail - 1] == '.' &&
                                    strcmp(type + length - tail, known[i]) == 0);
        }
        if (!is_known) {
            status = error_set(c->err, TARS_UNSUPPORTED,
                               "the model has a step of type '%s'; only Transformer, Pooling and "
                               "Normalize are implemented",
                               type);
            error_where(c->err, "modules.json");
        }
    }
    return status;
}

/* Texts are cut to what the sentence model was trained for. */
static tars_status read_sentence_length(converter *c) {
    const json_value *config;
    tars_status status = read_json(c, c->sources->sentence, "sentence_bert_config.json", &config);
    int64_t length = json_integer_or(json_member(config, "max_seq_length"), 0);
    if (status == TARS_OK && length > 0 && length < (int64_t)c->n_context) {
        c->n_context = (uint32_t)length;
    }
    return status;
}

static tars_status read_vocabulary(converter *c) {
    const json_value *tokenizer, *tokenizer_config;
    gguf_text lines = {NULL, 0};
    tars_status status = read_json(c, c->sources->tokenizer, "tokenizer.json", &tokenizer);
    if (status == TARS_OK) {
        status =
            read_json(c, c->sources->tokenizer_config, "tokenizer_config.json", &tokenizer_config);
    }
    if (status == TARS_OK && !tokenizer) {
        status = read_text(c, c->sources->vocabulary, "vocab.txt", &lines);
    }
    return status != TARS_OK ? status
                             : bert_vocabulary_read(tokenizer, lines, tokenizer_config, c->n_vocab,
                                                    c->memory, &c->vocabulary, c->err);
}

static uint64_t size_of(const converter *c, size_name name) {
    const uint64_t sizes[] = {[SIZE_EMBD] = c->n_embd,
                              [SIZE_FF] = c->n_ff,
                              [SIZE_VOCAB] = c->n_vocab,
                              [SIZE_POSITIONS] = c->n_context,
                              [SIZE_TYPES] = c->n_token_types};
    return sizes[name];
}

/* The tensor "PREFIX LAYER NAME"; files converted from TensorFlow call a norm's weight and bias
 * gamma and beta. */
static const safetensors_tensor *find_tensor(const converter *c, const char *layer,
                                             const char *name, char *full, size_t capacity) {
    static const struct {
        const char *now, *before;
    } renamed[] = {{"LayerNorm.weight", "LayerNorm.gamma"}, {"LayerNorm.bias", "LayerNorm.beta"}};
    text_buffer text;
    text_init(&text, full, capacity);
    text_format(&text, "%s%s%s", c->prefix, layer, name);
    const safetensors_tensor *t = safetensors_find(&c->weights, full);
    for (size_t i = 0; !t && i < 2; i++) {
        size_t tail = strlen(renamed[i].now);
        if (text.length > tail && strcmp(full + text.length - tail, renamed[i].now) == 0) {
            char old[192];
            text_buffer old_text;
            text_init(&old_text, old, sizeof old);
            text_append(&old_text, full, text.length - tail);
            text_append_string(&old_text, renamed[i].before);
            t = safetensors_find(&c->weights, old);
        }
    }
    return t;
}

static tars_status refuse_tensor(converter *c, tars_status status, const char *name) {
    error_where(c->err, "model.safetensors, tensor '%s'", name);
    return status;
}

/* Adds one tensor after checking its type and shape. `layer` and `block` are "" or the layer's
 * part of the names. */
static tars_status add_tensor(converter *c, const tensor_rule *rule, const char *layer,
                              const char *block) {
    char source_name[192];
    const safetensors_tensor *t =
        find_tensor(c, layer, rule->source, source_name, sizeof source_name);
    if (!t) {
        error_set(c->err, TARS_MALFORMED, "the model lacks the tensor '%s'", source_name);
        return refuse_tensor(c, TARS_MALFORMED, source_name);
    }
    if (t->type != TENSOR_F32 && t->type != TENSOR_F16 && t->type != TENSOR_BF16) {
        error_set(c->err, TARS_UNSUPPORTED, "the tensor is of dtype %s, expected F32, F16 or BF16",
                  t->dtype);
        return refuse_tensor(c, TARS_UNSUPPORTED, source_name);
    }
    uint64_t columns = size_of(c, rule->columns);
    uint64_t rows = rule->n_dims == 2 ? size_of(c, rule->rows) : 1;
    bool cut = rule->rows == SIZE_POSITIONS; /* the first rows of the table are used */
    bool fits = t->n_dims == rule->n_dims && t->dims[t->n_dims - 1] == columns &&
                (t->n_dims == 1 || t->dims[0] == rows || (cut && t->dims[0] > rows));
    if (!fits) {
        error_set(c->err, TARS_MALFORMED,
                  "the tensor has %u dimensions, %llu x %llu, expected %llu x %llu", t->n_dims,
                  ull(t->n_dims > 1 ? t->dims[0] : 1), ull(t->n_dims ? t->dims[t->n_dims - 1] : 1),
                  ull(rows), ull(columns));
        return refuse_tensor(c, TARS_MALFORMED, source_name);
    }
    char *name = arena_alloc(c->memory, CONVERT_NAME_BYTES, 1);
    if (!name) {
        return error_set(c->err, TARS_OUT_OF_MEMORY, "no memory for the tensors' names");
    }
    text_buffer text;
    text_init(&text, name, CONVERT_NAME_BYTES);
    text_format(&text, "%s%s", block, rule->target);
    c->tensors[c->n_tensors] = (gguf_tensor_entry){
        .name = name, .type = (uint32_t)t->type, .n_dims = rule->n_dims, .dims = {columns, rows}};
    c->places[c->n_tensors] = (converted_tensor){.source_offset = t->offset};
    c->n_tensors++;
    return TARS_OK;
}

static tars_status add_tensors(converter *c) {
    size_t capacity = MODEL_RULES + LAYER_RULES * (size_t)c->n_layers;
    c->tensors = ARENA_ARRAY(c->memory, gguf_tensor_entry, capacity);
    c->places = ARENA_ARRAY(c->memory, converted_tensor, capacity);
    if (!c->tensors || !c->places) {
        return error_set(c->err, TARS_OUT_OF_MEMORY, "no memory for %zu tensors", capacity);
    }
    c->prefix =
        safetensors_find(&c->weights, "bert.embeddings.word_embeddings.weight") ? "bert." : "";
    tars_status status = TARS_OK;
    for (size_t i = 0; i < MODEL_RULES && status == TARS_OK; i++) {
        status = add_tensor(c, &model_rules[i], "", "");
    }
    for (uint32_t n = 0; n < c->n_layers && status == TARS_OK; n++) {
        char layer[40], block[24];
        text_buffer text;
        text_init(&text, layer, sizeof layer);
        text_format(&text, "encoder.layer.%u.", n);
        text_init(&text, block, sizeof block);
        text_format(&text, "blk.%u.", n);
        for (size_t i = 0; i < LAYER_RULES && status == TARS_OK; i++) {
            status = add_tensor(c, &layer_rules[i], layer, block);
        }
    }
    return status;
}

/* A tensor of the encoder that no rule knows would change the result. Other parts (the pooler, a
 * training head, the constant position_ids) are left out. */
static tars_status check_leftovers(converter *c) {
    size_t encoder_tensors = 0, prefix = strlen(c->prefix);
    for (size_t i = 0; i < c->weights.n_tensors; i++) {
        gguf_text name = c->weights.tensors[i].name;
        if (name.length <= prefix || memcmp(name.bytes, c->prefix, prefix) != 0) {
            continue;
        }
        name = (gguf_text){name.bytes + prefix, name.length - prefix};
        bool position_ids = gguf_text_equals(name, "embeddings.position_ids") ||
                            gguf_text_equals(name, "embeddings.token_type_ids");
        bool encoder = (name.length > 8 && memcmp(name.bytes, "encoder.", 8) == 0) ||
                       (name.length > 11 && memcmp(name.bytes, "embeddings.", 11) == 0);
        encoder_tensors += encoder && !position_ids ? 1 : 0;
    }
    if (encoder_tensors == c->n_tensors) {
        return TARS_OK;
    }
    error_set(c->err, TARS_UNSUPPORTED,
              "the encoder has %zu tensors, a BERT encoder of %u layers has %zu", encoder_tensors,
              c->n_layers, c->n_tensors);
    error_where(c->err, "model.safetensors");
    return TARS_UNSUPPORTED;
}

static void add_entry(converter *c, gguf_entry entry) {
    assert(c->n_entries < CONVERT_MAX_ENTRIES);
    c->entries[c->n_entries++] = entry;
}

static void add_token_id(converter *c, const char *name, uint32_t id) {
    if (id != BERT_NO_TOKEN) {
        add_entry(c, gguf_entry_u32(name, id));
    }
}

static void add_entries(converter *c) {
    const bert_vocabulary *v = &c->vocabulary;
    const char *name = json_string_or(json_member(c->config, "_name_or_path"), "bert");
    add_entry(c, gguf_entry_string("general.architecture", "bert"));
    add_entry(c, gguf_entry_string("general.name", name));
    add_entry(c, gguf_entry_u32("bert.vocab_size", c->n_vocab));
    add_entry(c, gguf_entry_u32("bert.context_length", c->n_context));
    add_entry(c, gguf_entry_u32("bert.embedding_length", c->n_embd));
    add_entry(c, gguf_entry_u32("bert.feed_forward_length", c->n_ff));
    add_entry(c, gguf_entry_u32("bert.block_count", c->n_layers));
    add_entry(c, gguf_entry_u32("bert.attention.head_count", c->n_heads));
    add_entry(c, gguf_entry_u32("bert.attention.head_count_kv", c->n_heads));
    add_entry(c, gguf_entry_f32("bert.attention.layer_norm_epsilon", c->norm_eps));
    add_entry(c, gguf_entry_bool("bert.attention.causal", false));
    add_entry(c, gguf_entry_u32("bert.pooling_type", c->pooling));
    add_entry(c, gguf_entry_string("tokenizer.ggml.model", "bert"));
    add_entry(c, gguf_entry_string("tokenizer.ggml.pre", "default"));
    add_entry(c, gguf_entry_texts("tokenizer.ggml.tokens", v->texts, v->count));
    add_entry(c, gguf_entry_numbers("tokenizer.ggml.token_type", GGUF_INT32, v->types, v->count));
    add_entry(c, gguf_entry_u32("tokenizer.ggml.token_type_count", c->n_token_types));
    add_entry(c, gguf_entry_bool("tokenizer.ggml.normalizer.lowercase", v->lowercase));
    add_entry(c, gguf_entry_bool("tokenizer.ggml.normalizer.strip_accents", v->strip_accents));
    add_token_id(c, "tokenizer.ggml.bos_token_id", v->first);
    add_token_id(c, "tokenizer.ggml.eos_token_id", v->separator);
    add_token_id(c, "tokenizer.ggml.cls_token_id", v->first);
    add_token_id(c, "tokenizer.ggml.seperator_token_id", v->separator);
    add_token_id(c, "tokenizer.ggml.padding_token_id", v->padding);
    add_token_id(c, "tokenizer.ggml.unknown_token_id", v->unknown);
    add_token_id(c, "tokenizer.ggml.mask_token_id", v->mask);
}

/* The first tensor that ends behind `offset`, or n_tensors. */
static size_t first_tensor_behind(const converted_file *file, uint64_t offset) {
    size_t low = 0, high = file->n_tensors;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        const converted_tensor *t = &file->tensors[middle];
        bool behind = t->start + t->size_bytes > offset;
        low = behind ? low : middle + 1;
        high = behind ? middle : high;
    }
    return low;
}

static tars_status read_converted(void *context, uint64_t offset, void *buffer, size_t length,
                                  tars_error *err) {
    const converted_file *file = context;
    uint8_t *out = buffer;
    size_t next = first_tensor_behind(file, offset);
    while (length > 0) {
        size_t n = length;
        if (offset < file->data_offset) {
            n = file->data_offset - offset < n ? (size_t)(file->data_offset - offset) : n;
            memcpy(out, file->header + offset, n);
        } else {
            const converted_tensor *t = &file->tensors[next];
            assert(next < file->n_tensors); /* the file ends with the last tensor */
            if (offset < t->start) {
                n = t->start - offset < n ? (size_t)(t->start - offset) : n;
                memset(out, 0, n);
            } else {
                uint64_t left = t->start + t->size_bytes - offset;
                n = left < n ? (size_t)left : n;
                tars_status status = byte_source_read(
                    file->weights, t->source_offset + (offset - t->start), out, n, err);
                if (status != TARS_OK) {
                    return status;
                }
                next += n == left ? 1 : 0;
            }
        }
        out += n;
        offset += n;
        length -= n;
    }
    return TARS_OK;
}

static tars_status finish(converter *c, byte_source *out) {
    gguf_header header;
    add_entries(c);
    tars_status status = gguf_write_header(c->entries, c->n_entries, c->tensors, c->n_tensors,
                                           c->memory, &header, c->err);
    if (status != TARS_OK) {
        return status;
    }
    for (size_t i = 0; i < c->n_tensors; i++) {
        c->places[i].start = header.data_offset + c->tensors[i].offset;
        c->places[i].size_bytes = c->tensors[i].size_bytes;
    }
    converted_file *file = ARENA_NEW(c->memory, converted_file);
    if (!file) {
        return error_set(c->err, TARS_OUT_OF_MEMORY, "no memory for the converted model");
    }
    *file = (converted_file){c->sources->weights, header.bytes, header.data_offset, c->places,
                             c->n_tensors};
    *out = (byte_source){.context = file,
                         .size_bytes = header.data_offset + header.data_bytes,
                         .read_at = read_converted};
    return TARS_OK;
}

tars_status safetensors_to_gguf(const safetensors_sources *sources, arena *memory, byte_source *out,
                                tars_error *err) {
    *out = (byte_source){0};
    error_clear(err);
    const char *missing = !sources->weights  ? "model.safetensors"
                          : !sources->config ? "config.json"
                          : !sources->tokenizer && !sources->vocabulary
                              ? "tokenizer.json or vocab.txt"
                              : NULL;
    if (missing) {
        error_set(err, TARS_USAGE, "the model's folder lacks %s", missing);
        error_hint(err, "fetch it from where the model came from");
        return TARS_USAGE;
    }
    converter *c = ARENA_NEW(memory, converter);
    if (!c) {
        return error_set(err, TARS_OUT_OF_MEMORY, "no memory to convert the model");
    }
    *c = (converter){.sources = sources, .memory = memory, .err = err};
    tars_status status = read_json(c, sources->config, "config.json", &c->config);
    tars_status (*const steps[])(converter *) = {
        read_config, read_pooling, check_modules, read_sentence_length, read_vocabulary,
    };
    for (size_t i = 0; i < sizeof steps / sizeof steps[0] && status == TARS_OK; i++) {
        status = steps[i](c);
    }
    if (status == TARS_OK) {
        status = safetensors_open(sources->weights, memory, &c->weights, err);
    }
    if (status == TARS_OK) {
        status = add_tensors(c);
    }
    if (status == TARS_OK) {
        status = check_leftovers(c);
    }
    return status == TARS_OK ? finish(c, out) : status;
}
