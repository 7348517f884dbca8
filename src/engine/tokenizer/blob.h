/* The layout of a tokenizer blob, version 1, and look-ups in its tables. All numbers are
 * little-endian, all places are offsets from the blob's first byte. Private to the tokenizer's
 * files; tokenizer.h says who owns what.
 *
 * A *symbol* is what byte-level BPE merges: a token's id, or a number from n_tokens on for a text
 * that occurs in merges but is no token. */
#ifndef ENGINE_TOKENIZER_BLOB_H
#define ENGINE_TOKENIZER_BLOB_H

#include "engine/tokenizer/hash.h"
#include "engine/tokenizer/tokenizer.h"

enum {
    TOKENIZER_BLOB_VERSION = 1,
    TOKENIZER_MAGIC_BYTES = 8,
    TOKENIZER_IDS = 8,
    TOKENIZER_BYTE_VALUES = 256
};
#define TOKENIZER_MAGIC "TARStok\n"
#define TOKENIZER_NO_SYMBOL UINT32_MAX

enum tokenizer_attribute {
    ATTRIBUTE_TYPE = 7,  /* tokenizer_type */
    ATTRIBUTE_END = 8,   /* generation ends with it */
    ATTRIBUTE_SOUND = 16 /* its piece is a text that plain text can become */
};

/* In the order of tokenizer_header.ids. */
enum tokenizer_id_kind { ID_BOS, ID_EOS, ID_EOT, ID_UNK, ID_SEP, ID_PAD, ID_CLS, ID_MASK };

enum tokenizer_header_flags {
    HEADER_ADD_BOS = 1,
    HEADER_ADD_EOS = 2,
    HEADER_SPACE_PREFIX = 4,
    HEADER_LOWER_CASE = 8,
    HEADER_STRIP_ACCENTS = 16,
    HEADER_USER_DEFINED = 32, /* there are user-defined tokens */
    HEADER_BYTES_MISSING = 64 /* some byte has no token */
};

enum tokenizer_section {
    SECTION_OFFSETS,
    SECTION_ATTRIBUTES,
    SECTION_PRIORITIES,
    SECTION_SPECIALS,
    SECTION_BYTES,
    SECTION_TEXT_SLOTS,
    SECTION_PAIR_SLOTS,
    SECTION_TEXTS,
    TOKENIZER_SECTIONS
};

typedef struct tokenizer_place {
    uint64_t offset, size_bytes; /* the offset is a multiple of TOKENIZER_ALIGNMENT */
} tokenizer_place;

typedef struct tokenizer_header {
    char magic[TOKENIZER_MAGIC_BYTES];
    uint32_t version;
    uint32_t model;
    uint64_t size_bytes; /* of the blob */
    uint32_t split_rule; /* tokenizer_split_rule, BPE */
    uint32_t flags;
    uint32_t n_tokens;
    uint32_t n_specials;
    uint32_t n_text_slots; /* a power of two, or 0 */
    uint32_t n_pair_slots;
    uint32_t max_lookup_bytes; /* longest piece in the text table */
    uint32_t reserved;
    int32_t ids[TOKENIZER_IDS]; /* -1: none */
    tokenizer_seed seed;
    uint8_t special_starts[32]; /* bit b: a special token begins with byte b */
    tokenizer_place sections[TOKENIZER_SECTIONS];
} tokenizer_header;
_Static_assert(sizeof(tokenizer_header) == 264, "the header has no gaps");

typedef struct tokenizer_text_slot {
    uint32_t id_plus_1; /* 0: empty */
    uint32_t check;     /* upper half of the hash */
} tokenizer_text_slot;

typedef struct tokenizer_pair_slot {
    uint32_t left; /* TOKENIZER_NO_SYMBOL: empty */
    uint32_t right;
    uint32_t rank;   /* lower is merged first */
    uint32_t result; /* symbol */
} tokenizer_pair_slot;

/* Slots for that many entries: a power of two, so many that at most two thirds are taken. */
static inline uint32_t tokenizer_slots_for(uint32_t n_entries) {
    uint32_t slots = 2;
    while (slots < n_entries + n_entries / 2 + 1) {
        slots *= 2;
    }
    return slots;
}

static inline bool tokenizer_has(const tokenizer *t, unsigned header_flag) {
    return (t->header->flags & header_flag) != 0;
}

/* An id of a kind, -1 if there is none (or it is damaged). */
static inline int32_t tokenizer_id(const tokenizer *t, enum tokenizer_id_kind kind) {
    int32_t id = t->header->ids[kind];
    return id >= 0 && (uint32_t)id < t->header->n_tokens ? id : -1;
}

/* The token of that text in the text table, or TOKENIZER_NO_SYMBOL. */
uint32_t tokenizer_find_text(const tokenizer *t, const char *bytes, size_t length);
/* The merge of two symbols, or NULL. */
const tokenizer_pair_slot *tokenizer_find_pair(const tokenizer *t, uint32_t left, uint32_t right);

typedef struct tokenizer_special_match {
    size_t start, length; /* in the text */
    int32_t id;
} tokenizer_special_match;

/* The leftmost special token at or after `start`, the longest of those that begin there; only
 * user-defined ones unless `parse_special`. False when there is none. */
bool tokenizer_next_special(const tokenizer *t, const char *text, size_t length, size_t start,
                            bool parse_special, tokenizer_special_match *match);

#endif
