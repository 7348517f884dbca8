/* Pre-tokenizers of byte-level BPE: they cut a text into words, within which merges happen. Each
 * rule is the regular expression that the models of its family were trained with, as a scanner
 * that looks at every character a bounded number of times. Nothing here allocates. */
#ifndef ENGINE_TOKENIZER_SPLIT_H
#define ENGINE_TOKENIZER_SPLIT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The numbers stand in packed files. \s is White_Space; (?i) knows that U+017F is a long s.
 *
 * GPT2:   's|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+
 * LLAMA3: (?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}|
 *          ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+
 * QWEN2:  the same with \p{N} for \p{N}{1,3}
 * SMOLLM: each \p{N} by itself, then GPT2 on the texts between them */
typedef enum tokenizer_split_rule {
    TOKENIZER_SPLIT_NONE = 0,
    TOKENIZER_SPLIT_GPT2 = 1,
    TOKENIZER_SPLIT_LLAMA3 = 2,
    TOKENIZER_SPLIT_QWEN2 = 3,
    TOKENIZER_SPLIT_SMOLLM = 4
} tokenizer_split_rule;

typedef struct tokenizer_pre {
    const char *name; /* as in GGUF's tokenizer.ggml.pre */
    tokenizer_split_rule rule;
    bool whole_words; /* a word that is a token is taken without looking at merges */
    bool adds_bos;    /* unless the file says otherwise */
} tokenizer_pre;

/* NULL for an unknown name; NULL and "default" give gpt-2. */
const tokenizer_pre *tokenizer_pre_find(const char *name);
/* The table's rows; NULL after the last. */
const tokenizer_pre *tokenizer_pre_at(size_t index);

typedef struct tokenizer_split {
    tokenizer_split_rule rule;
    const char *text;
    size_t length, position;
    size_t limit; /* where the part ends that the rule sees as a whole text */
} tokenizer_split;

void tokenizer_split_init(tokenizer_split *split, tokenizer_split_rule rule, const char *text,
                          size_t length);
/* The next word, never empty; false after the last. The words are the whole text. An invalid byte
 * counts as a symbol character of its own. */
bool tokenizer_split_next(tokenizer_split *split, size_t *start, size_t *end);

#endif
