/* Tokenizers: byte-level BPE, SentencePiece (llama's "spm") and WordPiece (bert).
 *
 * A vocabulary from a model file is checked once and compiled by tokenizer_build into a *blob*:
 * ready-to-use tables, position-independent, little-endian, the same bytes for the same
 * vocabulary. A tokenizer is a small view of a blob that is mapped somewhere; opening one builds
 * nothing and touches only the header.
 *
 * A piece is the bytes that a token stands for: byte-level letters and U+2581 are translated when
 * the blob is built ("Ġthe" and "▁the" are both " the" here), a byte token is one byte, a
 * WordPiece that starts a word begins with a space.
 *
 * Cost: encoding n bytes takes O(n log n) time whatever the text and the vocabulary, within the
 * scratch of tokenizer_scratch_bytes. Ownership: the caller owns blob, text, ids and scratch;
 * nothing is kept after a call. A tokenizer is read-only: any number of threads may share it,
 * each with its own scratch. */
#ifndef ENGINE_TOKENIZER_H
#define ENGINE_TOKENIZER_H

#include "base/arena.h"
#include "base/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef enum tokenizer_model {
    TOKENIZER_NO_MODEL = 0,
    TOKENIZER_BPE = 1, /* GGUF: tokenizer.ggml.model = "gpt2" */
    TOKENIZER_SPM = 2, /* "llama" */
    TOKENIZER_WPM = 3  /* "bert" */
} tokenizer_model;

/* The numbers are GGUF's. */
typedef enum tokenizer_type {
    TOKENIZER_NO_TYPE = 0, /* of what is no token */
    TOKENIZER_NORMAL = 1,
    TOKENIZER_UNKNOWN = 2,
    TOKENIZER_CONTROL = 3,
    TOKENIZER_USER_DEFINED = 4,
    TOKENIZER_UNUSED = 5,
    TOKENIZER_BYTE = 6 /* spelled <0x00> … <0xFF> */
} tokenizer_type;

enum {
    TOKENIZER_MAX_TOKENS = 1 << 24,
    TOKENIZER_MAX_MERGES = 1 << 24,
    TOKENIZER_MAX_TOKEN_BYTES = 64 << 10,
    TOKENIZER_MAX_SPECIAL_BYTES = 512,    /* control, unknown and user-defined tokens */
    TOKENIZER_MAX_SPM_PIECE_BYTES = 1024, /* tokens that SentencePiece can merge into */
    TOKENIZER_MAX_WORD_CHARACTERS = 100,  /* WordPiece: longer words are unknown, as in BERT */
    TOKENIZER_MAX_TEXT_BYTES = 1 << 29,   /* of one text to encode */
    TOKENIZER_ALIGNMENT = 8               /* of a blob */
};

/* Bytes, not necessarily UTF-8. */
typedef struct tokenizer_text {
    const char *bytes;
    size_t length;
} tokenizer_text;

/* What a model file says. */
typedef struct tokenizer_vocabulary {
    tokenizer_model model;
    const char *pre; /* BPE: name of the pre-tokenizer; NULL or "default": gpt-2 */
    uint32_t n_tokens;
    const tokenizer_text *tokens; /* [n_tokens] */
    const float *scores;          /* [n_tokens] SPM; NULL: all 0 */
    const int32_t *types;         /* [n_tokens] tokenizer_type; NULL: see tokenizer_build */
    uint32_t n_merges;
    const tokenizer_text *merges; /* [n_merges] BPE: "left right", best first */
    /* ids, -1 where there is none */
    int64_t bos, eos, eot, unk, sep, pad, cls, mask;
    bool add_bos, add_eos; /* BPE, SPM: with TOKENIZER_ADD_SPECIAL, where the id exists */
    bool add_space_prefix; /* SPM */
    bool lower_case;       /* WPM */
    bool strip_accents;    /* WPM; BERT's default is lower_case */
} tokenizer_vocabulary;

/* What a file without the keys means (as llama.cpp takes it). SPM: bos 1, eos 2, unk 0, BOS and
 * space prefix are added. BPE: no ids; BOS is added for the llama-3 family. WPM: lower case,
 * accents stripped; no ids (see tokenizer_build). Sets everything but the arrays and their
 * counts; call it first, then set what the file says. */
void tokenizer_vocabulary_init(tokenizer_vocabulary *vocabulary, tokenizer_model model,
                               const char *pre, uint32_t n_tokens);

/* Upper bounds of the memory that tokenizer_build takes from `memory` (returned; less is kept) and,
 * until it returns, from `scratch`. SIZE_MAX when it cannot be addressed. Looks at the texts. */
size_t tokenizer_build_bytes(const tokenizer_vocabulary *vocabulary, size_t *scratch_bytes);

/* Checks the whole vocabulary and compiles it. `scratch` and `memory` may be the same arena; the
 * blob lives in `memory`, aligned to TOKENIZER_ALIGNMENT. Time is linear in the vocabulary's
 * bytes (times log of the longest token).
 *
 * Without types: every token is normal, but `<0xHH>` of SPM are byte tokens, and the tokens named
 * by bos … mask are control tokens (unk: the unknown token). WPM finds the special tokens that the
 * file does not name by their usual texts ([UNK], [CLS], …), and takes bos for cls, eos for sep.
 * A WPM vocabulary is accepted in GGUF's form ("▁word", "ing") and in that of vocab.txt ("word",
 * "##ing"), told apart by which of the two marks is more frequent. Of several normal tokens of
 * the same text the first is used. Merges may name texts that are no tokens.
 *
 * A token with a well-known text that ends a generation, such as <|im_end|>, is a control token
 * whatever the file calls it. Text never becomes a control token by merging; what a vocabulary
 * calls a control or an unknown token is only matched with TOKENIZER_PARSE_SPECIAL.
 *
 * MALFORMED: no tokens, no merges (BPE), an unknown token type, a byte token that is not <0xHH>,
 * a merge with an empty side, a NaN score, an id that is no token, no unknown token (WPM).
 * UNSUPPORTED: an unknown pre-tokenizer. LIMIT: the limits above. OUT_OF_MEMORY: an arena. */
tars_status tokenizer_build(const tokenizer_vocabulary *vocabulary, arena *scratch, arena *memory,
                            const void **blob, size_t *size_bytes, tars_error *err);

/* A view of a blob. The members are private to the tokenizer's files. */
typedef struct tokenizer {
    const struct tokenizer_header *header;
    const uint32_t *offsets;    /* [n_tokens + 1] of the pieces in texts */
    const char *texts;          /* pieces one after another */
    const uint8_t *attributes;  /* [n_tokens] type and flags */
    const uint32_t *priorities; /* [n_tokens] SPM: best score first, else NULL */
    const uint32_t *specials;   /* [n_specials] ids in byte order of their pieces */
    const uint32_t *bytes;      /* [256] symbol of each byte, or TOKENIZER_NO_SYMBOL */
    const struct tokenizer_text_slot *text_slots; /* hash table text → id */
    const struct tokenizer_pair_slot *pair_slots; /* hash table (left, right) → merge, or NULL */
} tokenizer;

/* Fills the view of a blob. Checks the header; what it points to is checked when it is used, so
 * that a damaged blob gives wrong ids at worst. CORRUPT: this is no blob of this version, is cut,
 * or its tables do not fit. */
tars_status tokenizer_open(const void *blob, size_t size_bytes, tokenizer *out, tars_error *err);

enum tokenizer_encode_flags {
    TOKENIZER_ADD_SPECIAL = 1,   /* BOS and EOS as the file says; WPM: always [CLS] and [SEP] */
    TOKENIZER_PARSE_SPECIAL = 2, /* control and unknown tokens written in the text become ids;
                                    user-defined tokens always do (leftmost, then longest) */
    TOKENIZER_STRICT = 4         /* refuse what no token stands for instead of dropping it */
};

/* Text to ids. *count is the number of ids of the whole text, also when `capacity` is too small
 * (then LIMIT, and the first `capacity` ids are there); `ids` may be NULL with capacity 0.
 *
 * Any bytes may be given. Byte-level BPE and SPM keep invalid UTF-8 as it is, byte by byte (a
 * byte for which BPE has no token becomes U+FFFD); WPM takes it as U+FFFD, which its normaliser
 * removes. A byte of valid text for which BPE has no token is dropped (UNSUPPORTED with STRICT);
 * SPM puts the unknown token for a character (UNSUPPORTED if there is none). */
tars_status tokenizer_encode(const tokenizer *t, const char *text, size_t length, unsigned flags,
                             int32_t *ids, size_t capacity, size_t *count, arena *scratch,
                             tars_error *err);
/* Upper bounds for a text of that length; SIZE_MAX beyond TOKENIZER_MAX_TEXT_BYTES. */
size_t tokenizer_max_ids(const tokenizer *t, size_t length);
size_t tokenizer_scratch_bytes(const tokenizer *t, size_t length);

enum tokenizer_decode_flags {
    TOKENIZER_SHOW_SPECIAL =
        1,                 /* print control and unknown tokens; without it they print nothing */
    TOKENIZER_CONTINUE = 2 /* the ids go on a text: keep the first one's leading space (SPM
                              and WPM take it away from the first piece of a text) */
};

/* Ids to bytes, exactly those that the pieces hold. *length is the length of the whole text, also
 * when `capacity` is too small (then LIMIT); no NUL is added. MALFORMED: an id that is no token.
 * WPM: no space before . , ! and ?. */
tars_status tokenizer_decode(const tokenizer *t, const int32_t *ids, size_t n_ids, unsigned flags,
                             char *text, size_t capacity, size_t *length, tars_error *err);

/* Receives text; returns false to stop. */
typedef bool (*tokenizer_sink)(void *context, const char *bytes, size_t length);

enum { TOKENIZER_STREAM_MAX_PENDING = 3 };

/* Decodes token by token into valid UTF-8: whole characters only, an incomplete one is held back,
 * and what can never become one gives U+FFFD. Plain memory, may be copied. */
typedef struct tokenizer_stream {
    const tokenizer *tokenizer;
    unsigned flags; /* tokenizer_decode_flags */
    bool at_start;  /* nothing was printed so far */
    uint8_t n_pending;
    char pending[TOKENIZER_STREAM_MAX_PENDING];
} tokenizer_stream;

void tokenizer_stream_init(tokenizer_stream *stream, const tokenizer *t, unsigned flags);
/* False: the sink stopped, or the id is no token (nothing is printed then). */
bool tokenizer_stream_push(tokenizer_stream *stream, int32_t id, tokenizer_sink sink,
                           void *context);
/* Ends the text: a held back rest gives one U+FFFD. */
bool tokenizer_stream_finish(tokenizer_stream *stream, tokenizer_sink sink, void *context);

tokenizer_model tokenizer_get_model(const tokenizer *t);
uint32_t tokenizer_n_tokens(const tokenizer *t);
/* The bytes that a token stands for; empty for an id that is no token. A view of the blob. */
tokenizer_text tokenizer_piece(const tokenizer *t, int32_t id);
/* TOKENIZER_NO_TYPE for an id that is no token. */
tokenizer_type tokenizer_get_type(const tokenizer *t, int32_t id);
/* The special token, control, unknown or user-defined, of exactly that text, or -1. */
int32_t tokenizer_find_special(const tokenizer *t, const char *text, size_t length);
/* Special ids, -1 where there is none. eot: the end of a turn, from the file or by its usual
 * names. */
int32_t tokenizer_bos(const tokenizer *t);
int32_t tokenizer_eos(const tokenizer *t);
int32_t tokenizer_eot(const tokenizer *t);
int32_t tokenizer_unk(const tokenizer *t);
int32_t tokenizer_pad(const tokenizer *t);
/* Generation ends with this token: eos, eot, or a token that is known to end an answer, such as
 * <|im_end|>, <|eot_id|>, <end_of_turn>, <|end|>, <|endoftext|>. */
bool tokenizer_is_end(const tokenizer *t, int32_t id);
bool tokenizer_adds_bos(const tokenizer *t);

#endif
