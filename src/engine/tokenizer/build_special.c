/* Special tokens: the ids that a vocabulary names, the ends of generation, the sorted table that
 * finds special tokens in a text. */
#include "engine/index_sort.h"
#include "engine/tokenizer/build.h"

#include <string.h>

typedef struct id_name {
    const char *key;   /* as model files call it */
    const char *usual; /* WPM: its text when no key names it; NULL: none */
} id_name;

/* In the order of tokenizer_id_kind. */
static const id_name id_names[TOKENIZER_IDS] = {
    [ID_BOS] = {"bos_token_id", NULL},          [ID_EOS] = {"eos_token_id", NULL},
    [ID_EOT] = {"eot_token_id", NULL},          [ID_UNK] = {"unknown_token_id", "[UNK]"},
    [ID_SEP] = {"seperator_token_id", "[SEP]"}, [ID_PAD] = {"padding_token_id", "[PAD]"},
    [ID_CLS] = {"cls_token_id", "[CLS]"},       [ID_MASK] = {"mask_token_id", "[MASK]"},
};

typedef struct end_name {
    const char *text;
    bool ends_turn; /* may be taken for the end of a turn when the file names none */
} end_name;

/* Texts of tokens after which models stop; the preferred end of a turn first. */
static const end_name end_names[END_NAMES] = {
    {"<|eot_id|>", true},
    {"<|im_end|>", true},
    {"<end_of_turn>", true},
    {"<|end|>", true},
    {"<end_of_utterance>", true},
    {"<EOT>", true},
    {"[EOT]", true},
    {"<|endoftext|>", true},
    {"<|eom_id|>", false},
    {"<|end_of_text|>", false},
    {"<|return|>", false},
    {"<|call|>", false},
    {"<\uFF5Cend\u2581of\u2581sentence\uFF5C>", false},
};

static int32_t find_raw(const tokenizer_builder *b, const char *text) {
    size_t length = strlen(text);
    for (uint32_t id = 0; id < b->v->n_tokens; id++) {
        const tokenizer_text *token = &b->v->tokens[id];
        if (token->length == length && memcmp(token->bytes, text, length) == 0) {
            return (int32_t)id;
        }
    }
    return -1;
}

/* WPM: what the file does not name. */
static tars_status find_usual_ids(tokenizer_builder *b) {
    if (b->ids[ID_CLS] < 0) {
        b->ids[ID_CLS] = b->ids[ID_BOS];
    }
    if (b->ids[ID_SEP] < 0) {
        b->ids[ID_SEP] = b->ids[ID_EOS];
    }
    for (unsigned kind = 0; kind < TOKENIZER_IDS; kind++) {
        if (b->ids[kind] < 0 && id_names[kind].usual) {
            b->ids[kind] = find_raw(b, id_names[kind].usual);
        }
    }
    if (b->ids[ID_UNK] < 0) {
        error_set(b->err, TARS_MALFORMED,
                  "a WordPiece vocabulary needs an unknown token; none is named, none is [UNK]");
        return error_where(b->err, "tokenizer.ggml.unknown_token_id");
    }
    return TARS_OK;
}

tars_status builder_find_ids(tokenizer_builder *b) {
    const tokenizer_vocabulary *v = b->v;
    const int64_t given[TOKENIZER_IDS] = {
        [ID_BOS] = v->bos, [ID_EOS] = v->eos, [ID_EOT] = v->eot, [ID_UNK] = v->unk,
        [ID_SEP] = v->sep, [ID_PAD] = v->pad, [ID_CLS] = v->cls, [ID_MASK] = v->mask,
    };
    for (unsigned kind = 0; kind < TOKENIZER_IDS; kind++) {
        if (given[kind] < -1 || given[kind] >= (int64_t)v->n_tokens) {
            error_set(b->err, TARS_MALFORMED, "%s is %lld, but the vocabulary has the ids 0 to %u",
                      id_names[kind].key, (long long)given[kind], v->n_tokens - 1);
            error_hint(b->err, "the file is damaged or badly converted; fetch another one");
            return error_where(b->err, "tokenizer.ggml.%s", id_names[kind].key);
        }
        b->ids[kind] = (int32_t)given[kind];
    }
    for (size_t i = 0; i < END_NAMES; i++) {
        b->ends[i] = find_raw(b, end_names[i].text);
    }
    return v->model == TOKENIZER_WPM ? find_usual_ids(b) : TARS_OK;
}

static void mark_end(tokenizer_builder *b, int32_t id) {
    if (id >= 0) {
        b->attributes[id] |= ATTRIBUTE_END;
    }
}

void builder_mark_ends(tokenizer_builder *b) {
    for (size_t i = 0; i < END_NAMES; i++) {
        mark_end(b, b->ends[i]);
        if (end_names[i].ends_turn && b->header->ids[ID_EOT] < 0) {
            b->header->ids[ID_EOT] = b->ends[i];
        }
    }
    mark_end(b, b->header->ids[ID_EOS]);
    mark_end(b, b->header->ids[ID_EOT]);
}

static bool is_special(tokenizer_type type) {
    return type == TOKENIZER_CONTROL || type == TOKENIZER_UNKNOWN || type == TOKENIZER_USER_DEFINED;
}

static int compare_pieces(tokenizer_text a, tokenizer_text b) {
    size_t shorter = a.length < b.length ? a.length : b.length;
    int order = memcmp(a.bytes, b.bytes, shorter);
    return order != 0 ? order : (a.length > b.length) - (a.length < b.length);
}

static bool comes_before(const void *context, uint32_t a, uint32_t b) {
    const tokenizer *view = context;
    int order =
        compare_pieces(tokenizer_piece(view, (int32_t)a), tokenizer_piece(view, (int32_t)b));
    return order < 0 || (order == 0 && a < b);
}

tars_status builder_sort_specials(tokenizer_builder *b) {
    uint32_t n = 0;
    for (uint32_t id = 0; id < b->v->n_tokens; id++) {
        tokenizer_type type = builder_type(b, id);
        tokenizer_text piece = tokenizer_piece(&b->view, (int32_t)id);
        if (!is_special(type) || piece.length == 0) {
            continue;
        }
        if (piece.length > TOKENIZER_MAX_SPECIAL_BYTES) {
            error_set(b->err, TARS_LIMIT, "a special token has %zu bytes, at most %d are read",
                      piece.length, TOKENIZER_MAX_SPECIAL_BYTES);
            return error_where(b->err, "tokenizer.ggml.tokens, token %u", id);
        }
        b->specials[n++] = id;
        uint8_t first = (uint8_t)piece.bytes[0];
        b->header->special_starts[first / 8] |= (uint8_t)(1u << first % 8);
        if (type == TOKENIZER_USER_DEFINED) {
            b->header->flags |= HEADER_USER_DEFINED;
        }
    }
    index_sort(b->specials, n, comes_before, &b->view);
    uint32_t kept = 0; /* of equal texts the lowest id */
    for (uint32_t i = 0; i < n; i++) {
        if (kept == 0 || compare_pieces(tokenizer_piece(&b->view, (int32_t)b->specials[kept - 1]),
                                        tokenizer_piece(&b->view, (int32_t)b->specials[i])) != 0) {
            b->specials[kept++] = b->specials[i];
        }
    }
    b->header->n_specials = kept;
    return TARS_OK;
}
