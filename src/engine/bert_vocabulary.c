#include "engine/bert_vocabulary.h"

#include "base/utf8.h"

#include <string.h>

/* The special tokens by the name of their entry in tokenizer_config.json and their usual text. */
typedef struct special_token {
    const char *config_key;
    const char *usual;
    gguf_text text; /* filled in */
    uint32_t id;    /* filled in */
    bool required;
} special_token;

enum { SPECIAL_UNKNOWN, SPECIAL_SEPARATOR, SPECIAL_PADDING, SPECIAL_FIRST, SPECIAL_MASK };

static unsigned long long ull(uint64_t value) {
    return value;
}

static gguf_text text_of(const char *string) {
    return (gguf_text){string, strlen(string)};
}

static bool text_same(gguf_text a, gguf_text b) {
    return a.length == b.length && (a.length == 0 || memcmp(a.bytes, b.bytes, a.length) == 0);
}

static bool text_starts(gguf_text text, const char *start) {
    size_t length = strlen(start);
    return text.length >= length && memcmp(text.bytes, start, length) == 0;
}

static tars_status no_memory(tars_error *err) {
    return error_set(err, TARS_OUT_OF_MEMORY, "no memory for the vocabulary");
}

/* GGUF marks the start of a word with U+2581 where the source marks continuations with "##".
 * Tokens in brackets are names, not text, and stay as they are. */
static bool word_form(gguf_text token, arena *memory, gguf_text *out) {
    static const uint8_t start[3] = {0xE2, 0x96, 0x81};
    bool name = token.length >= 2 && token.bytes[0] == '[' && token.bytes[token.length - 1] == ']';
    if (name) {
        *out = token;
        return true;
    }
    if (token.length > 2 && text_starts(token, "##")) {
        *out = (gguf_text){token.bytes + 2, token.length - 2};
        return true;
    }
    char *bytes = arena_alloc_raw(memory, token.length + 3, 1);
    if (!bytes) {
        return false;
    }
    memcpy(bytes, start, 3);
    if (token.length > 0) {
        memcpy(bytes + 3, token.bytes, token.length);
    }
    *out = (gguf_text){bytes, token.length + 3};
    return true;
}

/* Puts one token in its place. */
static tars_status put_token(bert_vocabulary *v, uint64_t id, gguf_text token, arena *memory,
                             tars_error *err) {
    size_t bad = 0;
    if (id >= v->count) {
        return error_set(err, TARS_MALFORMED,
                         "the token '%.*s' has the id %llu, the embedding matrix has %zu rows",
                         (int)(token.length < 40 ? token.length : 40), token.bytes, ull(id),
                         v->count);
    }
    if (!utf8_valid(token.bytes, token.length, &bad)) {
        return error_set(err, TARS_MALFORMED, "the token with the id %llu is not UTF-8 at byte %zu",
                         ull(id), bad);
    }
    if (v->texts[id].bytes) {
        return error_set(err, TARS_MALFORMED, "two tokens have the id %llu: '%.*s' is the second",
                         ull(id), (int)(token.length < 40 ? token.length : 40), token.bytes);
    }
    v->types[id] = BERT_TOKEN_NORMAL;
    return word_form(token, memory, &v->texts[id]) ? TARS_OK : no_memory(err);
}

static tars_status read_lines(bert_vocabulary *v, gguf_text lines, arena *memory, tars_error *err) {
    uint64_t id = 0;
    tars_status status = TARS_OK;
    for (size_t at = 0; at < lines.length && status == TARS_OK; id++) {
        const char *start = lines.bytes + at;
        size_t length = 0;
        while (length < lines.length - at && start[length] != '\n') {
            length++;
        }
        at += length + 1;
        length -= length > 0 && start[length - 1] == '\r' ? 1 : 0;
        status = put_token(v, id, (gguf_text){start, length}, memory, err);
    }
    if (status != TARS_OK) {
        error_where(err, "vocab.txt line %llu", ull(id));
    }
    return status;
}

static tars_status read_tokenizer(bert_vocabulary *v, const json_value *tokenizer, arena *memory,
                                  tars_error *err) {
    const json_value *model = json_member(tokenizer, "model");
    const json_value *tokens = json_member(model, "vocab");
    const char *type = json_string_or(json_member(model, "type"), "WordPiece");
    const char *prefix = json_string_or(json_member(model, "continuing_subword_prefix"), "##");
    tars_status status = TARS_OK;
    if (strcmp(type, "WordPiece") != 0 || strcmp(prefix, "##") != 0) {
        status = error_set(err, TARS_UNSUPPORTED,
                           "a tokenizer of type '%s' with the prefix '%s', only WordPiece with "
                           "'##' is converted",
                           type, prefix);
    } else if (!tokens || tokens->type != JSON_OBJECT) {
        status = error_set(err, TARS_MALFORMED, "there is no object \"vocab\" in \"model\"");
    }
    const json_value *token = tokens && status == TARS_OK ? tokens->first : NULL;
    for (; token && status == TARS_OK; token = token->next) {
        int64_t id = token->type == JSON_NUMBER && token->is_integer ? token->integer : -1;
        if (id < 0) {
            status = error_set(err, TARS_MALFORMED, "the token '%.*s' has no id that is an integer",
                               (int)(token->key_length < 40 ? token->key_length : 40), token->key);
        } else {
            status =
                put_token(v, (uint64_t)id, (gguf_text){token->key, token->key_length}, memory, err);
        }
    }
    if (status != TARS_OK) {
        error_where(err, "tokenizer.json, model.vocab");
    }
    return status;
}

/* Tokens that tokenizer.json adds to the model's own: special ones become control tokens. */
static tars_status read_added(bert_vocabulary *v, const json_value *tokenizer, tars_error *err) {
    const json_value *added = json_member(tokenizer, "added_tokens");
    for (const json_value *t = added ? added->first : NULL; t; t = t->next) {
        const json_value *content = json_member(t, "content");
        int64_t id = json_integer_or(json_member(t, "id"), -1);
        if (id < 0 || (uint64_t)id >= v->count || !content || content->type != JSON_STRING) {
            error_set(err, TARS_MALFORMED,
                      "an added token has the id %lld, the embedding matrix has %zu rows",
                      (long long)id, v->count);
            error_where(err, "tokenizer.json, added_tokens");
            return TARS_MALFORMED;
        }
        if (!v->texts[id].bytes) {
            v->texts[id] = (gguf_text){content->string, content->string_length};
            v->types[id] = BERT_TOKEN_NORMAL;
        }
        if (json_bool_or(json_member(t, "special"), false)) {
            v->types[id] = BERT_TOKEN_CONTROL;
        }
    }
    return TARS_OK;
}

/* The text of a special token: a string, or an object with "content". */
static gguf_text special_text(const json_value *config, const special_token *special) {
    const json_value *value = json_member(config, special->config_key);
    if (value && value->type == JSON_OBJECT) {
        value = json_member(value, "content");
    }
    return value && value->type == JSON_STRING ? (gguf_text){value->string, value->string_length}
                                               : text_of(special->usual);
}

/* Finds the special tokens' ids in one pass over the vocabulary. */
static tars_status find_specials(bert_vocabulary *v, const json_value *config, tars_error *err) {
    special_token specials[BERT_SPECIAL_TOKENS] = {
        [SPECIAL_UNKNOWN] = {"unk_token", "[UNK]", {NULL, 0}, BERT_NO_TOKEN, true},
        [SPECIAL_SEPARATOR] = {"sep_token", "[SEP]", {NULL, 0}, BERT_NO_TOKEN, true},
        [SPECIAL_PADDING] = {"pad_token", "[PAD]", {NULL, 0}, BERT_NO_TOKEN, false},
        [SPECIAL_FIRST] = {"cls_token", "[CLS]", {NULL, 0}, BERT_NO_TOKEN, true},
        [SPECIAL_MASK] = {"mask_token", "[MASK]", {NULL, 0}, BERT_NO_TOKEN, false},
    };
    for (size_t k = 0; k < BERT_SPECIAL_TOKENS; k++) {
        specials[k].text = special_text(config, &specials[k]);
    }
    for (size_t i = 0; i < v->count; i++) {
        for (size_t k = 0; v->texts[i].bytes && k < BERT_SPECIAL_TOKENS; k++) {
            gguf_text found = v->texts[i];
            if (text_starts(found, "\xE2\x96\x81")) { /* a special token without brackets */
                found = (gguf_text){found.bytes + 3, found.length - 3};
            }
            if (specials[k].id == BERT_NO_TOKEN && text_same(found, specials[k].text)) {
                specials[k].id = (uint32_t)i;
                v->texts[i] = found;
                v->types[i] = BERT_TOKEN_CONTROL;
            }
        }
    }
    for (size_t k = 0; k < BERT_SPECIAL_TOKENS; k++) {
        if (specials[k].required && specials[k].id == BERT_NO_TOKEN) {
            return error_set(err, TARS_MALFORMED, "the vocabulary lacks the special token '%.*s'",
                             (int)(specials[k].text.length < 40 ? specials[k].text.length : 40),
                             specials[k].text.bytes);
        }
    }
    v->unknown = specials[SPECIAL_UNKNOWN].id;
    v->separator = specials[SPECIAL_SEPARATOR].id;
    v->padding = specials[SPECIAL_PADDING].id;
    v->first = specials[SPECIAL_FIRST].id;
    v->mask = specials[SPECIAL_MASK].id;
    return TARS_OK;
}

/* "[PAD7]" for ids without a token: rows that only pad the embedding matrix. */
static bool fill_unused(bert_vocabulary *v, arena *memory) {
    for (size_t i = 0; i < v->count; i++) {
        if (v->texts[i].bytes) {
            continue;
        }
        char digits[24];
        size_t n = 0;
        for (size_t rest = i; n == 0 || rest > 0; rest /= 10) {
            digits[n++] = (char)('0' + rest % 10);
        }
        static const char start[] = "[PAD";
        size_t length = sizeof start - 1 + n + 1;
        char *text = arena_alloc_raw(memory, length, 1);
        if (!text) {
            return false;
        }
        memcpy(text, start, sizeof start - 1);
        for (size_t d = 0; d < n; d++) {
            text[sizeof start - 1 + d] = digits[n - 1 - d];
        }
        text[length - 1] = ']';
        v->texts[i] = (gguf_text){text, length};
        v->types[i] = BERT_TOKEN_UNUSED;
    }
    return true;
}

/* tokenizer.json is what the fast tokenizers obey; tokenizer_config.json is for the others. */
static void read_normalizer(bert_vocabulary *v, const json_value *tokenizer,
                            const json_value *config) {
    const json_value *normalizer = json_member(tokenizer, "normalizer");
    const json_value *strip = json_member(config, "strip_accents");
    v->lowercase = json_bool_or(json_member(config, "do_lower_case"), true);
    if (normalizer && normalizer->type == JSON_OBJECT) {
        v->lowercase = json_bool_or(json_member(normalizer, "lowercase"), v->lowercase);
        strip = json_member(normalizer, "strip_accents");
    }
    v->strip_accents = json_bool_or(strip, v->lowercase); /* null: as lowercase */
}

tars_status bert_vocabulary_read(const json_value *tokenizer, gguf_text lines,
                                 const json_value *tokenizer_config, size_t count, arena *memory,
                                 bert_vocabulary *out, tars_error *err) {
    *out = (bert_vocabulary){.texts = ARENA_ARRAY(memory, gguf_text, count),
                             .types = ARENA_ARRAY(memory, int32_t, count),
                             .count = count};
    if (!out->texts || !out->types) {
        return no_memory(err);
    }
    tars_status status = tokenizer ? read_tokenizer(out, tokenizer, memory, err)
                                   : read_lines(out, lines, memory, err);
    if (status == TARS_OK && tokenizer) {
        status = read_added(out, tokenizer, err);
    }
    if (status == TARS_OK) {
        status = find_specials(out, tokenizer_config, err);
    }
    if (status != TARS_OK) {
        return status;
    }
    read_normalizer(out, tokenizer, tokenizer_config);
    return fill_unused(out, memory) ? TARS_OK : no_memory(err);
}
