/* The compiler of vocabularies, shared by its files. Ownership: a builder lives for one call of
 * tokenizer_build; its tables are in the blob or in the scratch arena. */
#ifndef ENGINE_TOKENIZER_BUILD_H
#define ENGINE_TOKENIZER_BUILD_H

#include "engine/tokenizer/blob.h"
#include "engine/tokenizer/split.h"

enum {
    BYTE_LETTERS = 256 + 68, /* code points that byte-level BPE writes bytes as */
    END_NAMES = 13           /* well-known texts of tokens that end a generation */
};

typedef struct tokenizer_builder {
    const tokenizer_vocabulary *v;
    const tokenizer_pre *pre; /* BPE */
    arena *scratch;
    tars_error *err;
    int32_t ids[TOKENIZER_IDS];           /* checked; -1: none */
    int32_t ends[END_NAMES];              /* the tokens of those names; -1: none */
    bool is_plain_wpm;                    /* "word", "##ing" as in vocab.txt */
    int16_t byte_of_letter[BYTE_LETTERS]; /* -1: none */
    uint16_t letter_of_byte[TOKENIZER_BYTE_VALUES];

    /* the blob's tables */
    tokenizer_header *header;
    uint32_t *offsets;
    char *texts;
    uint8_t *attributes;
    uint32_t *priorities;
    uint32_t *specials;
    uint32_t *bytes;
    tokenizer_text_slot *text_slots;
    tokenizer_pair_slot *pair_slots;
    tokenizer view; /* of the blob while it grows */
} tokenizer_builder;

/* ---- one token (build_piece.c) ---- */
void builder_init_letters(tokenizer_builder *b);
tokenizer_type builder_type(const tokenizer_builder *b, uint32_t id);
/* The byte that "<0xHH>" names, or -1. */
int builder_parse_byte(tokenizer_text text);
/* Writes a token's piece; `out` has room for its text and one byte more. Returns its length.
 * *is_sound: plain text can become it, and it prints that text. */
size_t builder_write_piece(const tokenizer_builder *b, uint32_t id, char *out, bool *is_sound);
/* True when plain text may become this token through the text table. */
bool builder_is_matchable(const tokenizer_builder *b, uint32_t id);
/* Enters a token's piece in the text table unless the same text is there. */
void builder_add_text(tokenizer_builder *b, uint32_t id);

/* ---- ids and ends of generation (build_special.c) ---- */
/* Checks the ids that the vocabulary names and finds by text those that it does not. */
tars_status builder_find_ids(tokenizer_builder *b);
/* Marks the tokens that end a generation and chooses the end of a turn. */
void builder_mark_ends(tokenizer_builder *b);
/* Fills the sorted table of special tokens and the header's bits. */
tars_status builder_sort_specials(tokenizer_builder *b);

/* ---- byte-level BPE (build_bpe.c) ---- */
size_t builder_bpe_scratch_bytes(const tokenizer_vocabulary *v);
/* Fills bytes and pair_slots. */
tars_status builder_add_merges(tokenizer_builder *b);
/* Enters the tokens that a word of their text becomes. */
tars_status builder_add_whole_words(tokenizer_builder *b);

#endif
