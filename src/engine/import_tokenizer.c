#include "engine/import_tokenizer.h"

#include "engine/tokenizer/tokenizer.h"

#include <string.h>

enum { PRE_BYTES = 64 };

static tars_status no_memory(tars_error *err) {
    return error_set(err, TARS_OUT_OF_MEMORY, "no memory for the vocabulary");
}

static tars_status wrong_type(const char *key, const char *expected, tars_error *err) {
    error_set(err, TARS_MALFORMED, "key %s is no %s", key, expected);
    error_where(err, "%s", key);
    return TARS_MALFORMED;
}

typedef struct model_name {
    const char *name; /* tokenizer.ggml.model */
    tokenizer_model model;
} model_name;

static const model_name model_names[] = {
    {"gpt2", TOKENIZER_BPE}, {"llama", TOKENIZER_SPM}, {"bert", TOKENIZER_WPM}};

static tars_status read_model(const gguf_file *file, tokenizer_model *out, tars_error *err) {
    gguf_text name = {0};
    tars_status status = gguf_get_text(file, "tokenizer.ggml.model", &name, err);
    if (status != TARS_OK) {
        return status == TARS_NOT_FOUND
                   ? error_set(err, TARS_MALFORMED, "key tokenizer.ggml.model is missing")
                   : status;
    }
    for (size_t i = 0; i < sizeof model_names / sizeof model_names[0]; i++) {
        if (gguf_text_equals(name, model_names[i].name)) {
            *out = model_names[i].model;
            return TARS_OK;
        }
    }
    error_set(err, TARS_UNSUPPORTED, "tokenizer \"%.*s\" is not supported",
              (int)(name.length < 60 ? name.length : 60), name.bytes);
    error_where(err, "tokenizer.ggml.model");
    error_hint(err, "supported tokenizers: gpt2 (byte-level BPE), llama (SentencePiece), bert");
    return TARS_UNSUPPORTED;
}

/* The pre-tokenizer's name as a C string in `out`; "" when there is none. */
static tars_status read_pre(const gguf_file *file, char out[PRE_BYTES], tars_error *err) {
    out[0] = '\0';
    const gguf_key *key = gguf_find(file, "tokenizer.ggml.pre");
    gguf_text text;
    if (!key) {
        return TARS_OK;
    }
    if (!gguf_key_text(key, &text) || text.length >= PRE_BYTES) {
        return wrong_type("tokenizer.ggml.pre", "short text", err);
    }
    memcpy(out, text.bytes, text.length);
    out[text.length] = '\0';
    if (strlen(out) != text.length) { /* a NUL within the name */
        return wrong_type("tokenizer.ggml.pre", "short text", err);
    }
    return TARS_OK;
}

static tars_status read_texts(const gguf_file *file, const char *name, arena *memory,
                              const tokenizer_text **out, uint32_t *count, tars_error *err) {
    const gguf_key *key = NULL;
    tars_status status = gguf_get_array(file, name, GGUF_STRING, &key, err);
    if (status != TARS_OK) {
        return status;
    }
    if (key->count > TOKENIZER_MAX_TOKENS) {
        return error_set(err, TARS_LIMIT, "%s has %llu elements; %u are possible", name,
                         (unsigned long long)key->count, (unsigned)TOKENIZER_MAX_TOKENS);
    }
    tokenizer_text *texts = ARENA_ARRAY(memory, tokenizer_text, (size_t)key->count);
    if (!texts) {
        return no_memory(err);
    }
    for (uint64_t i = 0; i < key->count; i++) {
        gguf_text text = gguf_element_text(file, key, i);
        texts[i] = (tokenizer_text){text.bytes, text.length};
    }
    *out = texts;
    *count = (uint32_t)key->count;
    return TARS_OK;
}

/* An optional array beside the tokens: at least as long, longer is tolerated. */
static tars_status find_parallel(const gguf_file *file, const char *name, uint32_t element_type,
                                 uint32_t n_tokens, const gguf_key **out, tars_error *err) {
    *out = NULL;
    if (!gguf_find(file, name)) {
        return TARS_OK;
    }
    tars_status status = gguf_get_array(file, name, element_type, out, err);
    if (status == TARS_OK && (*out)->count < n_tokens) {
        error_set(err, TARS_MALFORMED, "%s has %llu elements for %u tokens", name,
                  (unsigned long long)(*out)->count, n_tokens);
        error_where(err, "%s", name);
        status = TARS_MALFORMED;
    }
    return status;
}

static tars_status read_scores(const gguf_file *file, arena *memory, tokenizer_vocabulary *v,
                               tars_error *err) {
    const gguf_key *key = NULL;
    tars_status status =
        find_parallel(file, "tokenizer.ggml.scores", GGUF_FLOAT32, v->n_tokens, &key, err);
    if (status != TARS_OK || !key) {
        return status;
    }
    float *scores = ARENA_ARRAY(memory, float, v->n_tokens);
    if (!scores) {
        return no_memory(err);
    }
    for (uint32_t i = 0; i < v->n_tokens; i++) {
        scores[i] = (float)gguf_element_f64(key, i);
    }
    v->scores = scores;
    return TARS_OK;
}

static tars_status read_types(const gguf_file *file, arena *memory, tokenizer_vocabulary *v,
                              tars_error *err) {
    const gguf_key *key = NULL;
    tars_status status =
        find_parallel(file, "tokenizer.ggml.token_type", GGUF_VALUE_TYPES, v->n_tokens, &key, err);
    if (status != TARS_OK || !key) {
        return status;
    }
    int32_t *types = ARENA_ARRAY(memory, int32_t, v->n_tokens);
    if (!types) {
        return no_memory(err);
    }
    for (uint32_t i = 0; i < v->n_tokens; i++) {
        int64_t type = gguf_element_i64(key, i);
        types[i] = type >= INT32_MIN && type <= INT32_MAX ? (int32_t)type : -1;
    }
    v->types = types;
    return TARS_OK;
}

static tars_status read_ids(const gguf_file *file, tokenizer_vocabulary *v, tars_error *err) {
    const struct {
        const char *name;
        int64_t *target;
    } ids[] = {
        {"tokenizer.ggml.bos_token_id", &v->bos},
        {"tokenizer.ggml.eos_token_id", &v->eos},
        {"tokenizer.ggml.eot_token_id", &v->eot},
        {"tokenizer.ggml.unknown_token_id", &v->unk},
        {"tokenizer.ggml.seperator_token_id", &v->sep}, /* spelled so in the format */
        {"tokenizer.ggml.padding_token_id", &v->pad},
        {"tokenizer.ggml.cls_token_id", &v->cls},
        {"tokenizer.ggml.mask_token_id", &v->mask},
    };
    for (size_t i = 0; i < sizeof ids / sizeof ids[0]; i++) {
        const gguf_key *key = gguf_find(file, ids[i].name);
        uint64_t id = 0;
        if (!key) {
            continue;
        }
        if (!gguf_key_u64(key, &id)) {
            return wrong_type(ids[i].name, "token id", err);
        }
        if (id >= v->n_tokens) {
            error_set(err, TARS_MALFORMED, "key %s is %llu; the vocabulary has %u tokens",
                      ids[i].name, (unsigned long long)id, v->n_tokens);
            error_where(err, "%s", ids[i].name);
            return TARS_MALFORMED;
        }
        *ids[i].target = (int64_t)id;
    }
    return TARS_OK;
}

static tars_status read_flags(const gguf_file *file, tokenizer_vocabulary *v, tars_error *err) {
    const struct {
        const char *name;
        bool *target;
    } flags[] = {
        {"tokenizer.ggml.add_bos_token", &v->add_bos},
        {"tokenizer.ggml.add_eos_token", &v->add_eos},
        {"tokenizer.ggml.add_space_prefix", &v->add_space_prefix},
        {"tokenizer.ggml.normalizer.lowercase", &v->lower_case},
        {"tokenizer.ggml.normalizer.strip_accents", &v->strip_accents},
    };
    for (size_t i = 0; i < sizeof flags / sizeof flags[0]; i++) {
        const gguf_key *key = gguf_find(file, flags[i].name);
        if (key && !gguf_key_bool(key, flags[i].target)) {
            return wrong_type(flags[i].name, "bool", err);
        }
    }
    return TARS_OK;
}

tars_status import_tokenizer(const gguf_file *file, arena *memory, const void **blob,
                             size_t *size_bytes, tars_error *err) {
    tokenizer_model model = TOKENIZER_BPE;
    char pre[PRE_BYTES];
    const tokenizer_text *tokens = NULL;
    uint32_t n_tokens = 0;
    tars_status status = read_model(file, &model, err);
    if (status == TARS_OK) {
        status = read_pre(file, pre, err);
    }
    if (status == TARS_OK) {
        status = read_texts(file, "tokenizer.ggml.tokens", memory, &tokens, &n_tokens, err);
    }
    if (status != TARS_OK) {
        return status;
    }
    tokenizer_vocabulary v = {.model = model};
    tokenizer_vocabulary_init(&v, model, pre[0] ? pre : NULL, n_tokens);
    v.tokens = tokens;
    status = read_scores(file, memory, &v, err);
    if (status == TARS_OK) {
        status = read_types(file, memory, &v, err);
    }
    if (status == TARS_OK && model == TOKENIZER_BPE) {
        status = read_texts(file, "tokenizer.ggml.merges", memory, &v.merges, &v.n_merges, err);
        if (status == TARS_NOT_FOUND) {
            status = error_set(err, TARS_MALFORMED, "key tokenizer.ggml.merges is missing");
        }
    }
    if (status == TARS_OK) {
        status = read_ids(file, &v, err);
    }
    if (status == TARS_OK) {
        status = read_flags(file, &v, err);
    }
    return status == TARS_OK ? tokenizer_build(&v, memory, memory, blob, size_bytes, err) : status;
}
