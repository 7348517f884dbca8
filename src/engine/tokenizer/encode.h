/* What the three encoders share. Private to the tokenizer's files. */
#ifndef ENGINE_TOKENIZER_ENCODE_H
#define ENGINE_TOKENIZER_ENCODE_H

#include "engine/tokenizer/blob.h"

/* One call of tokenizer_encode. */
typedef struct tokenizer_run {
    const tokenizer *t;
    unsigned flags;
    int32_t *ids;
    size_t capacity, count;
    arena *scratch;
    tars_error *err;
} tokenizer_run;

static inline void run_emit(tokenizer_run *run, uint32_t id) {
    if (run->count < run->capacity) {
        run->ids[run->count] = (int32_t)id;
    }
    run->count++;
}

tars_status run_out_of_memory(tokenizer_run *run, size_t length);

/* Each encodes one stretch of text between special tokens; `offset` is its place in the whole
 * text, for messages. */
tars_status bpe_encode(tokenizer_run *run, const char *text, size_t length, size_t offset);
/* `at_start`: nothing, or a special token, stands before it. */
tars_status spm_encode(tokenizer_run *run, const char *text, size_t length, size_t offset,
                       bool at_start);
tars_status wpm_encode(tokenizer_run *run, const char *text, size_t length);

/* Merges one word of bytes; the ids go to `run`. Also used to build the table of whole words. */
tars_status bpe_merge_word(tokenizer_run *run, const char *word, size_t length, size_t offset);

#endif
