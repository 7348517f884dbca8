/* The vocabulary of a BERT encoder, from tokenizer.json or vocab.txt, in the form in which GGUF
 * keeps it. Ownership: everything lives in the caller's arena. */
#ifndef ENGINE_BERT_VOCABULARY_H
#define ENGINE_BERT_VOCABULARY_H

#include "base/json.h"
#include "engine/gguf.h"

/* GGUF's token types that occur here */
enum { BERT_TOKEN_NORMAL = 1, BERT_TOKEN_CONTROL = 3, BERT_TOKEN_UNUSED = 5 };

enum { BERT_SPECIAL_TOKENS = 5 };
#define BERT_NO_TOKEN UINT32_MAX

typedef struct bert_vocabulary {
    gguf_text *texts; /* [count] "▁word" for the start of a word, "ing" for a continuation */
    int32_t *types;   /* [count] */
    size_t count;
    uint32_t unknown, separator, padding, first, mask; /* ids, or BERT_NO_TOKEN */
    bool lowercase;
    bool strip_accents;
} bert_vocabulary;

/* `count` is the number of rows of the embedding matrix; ids that no token has become unused
 * tokens. One of `tokenizer` (tokenizer.json, parsed) and `lines` (vocab.txt) is there;
 * `tokenizer_config` may be NULL. */
tars_status bert_vocabulary_read(const json_value *tokenizer, gguf_text lines,
                                 const json_value *tokenizer_config, size_t count, arena *memory,
                                 bert_vocabulary *out, tars_error *err);

#endif
