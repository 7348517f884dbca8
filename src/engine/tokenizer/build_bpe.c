/* The merges of byte-level BPE. Texts that occur in merges but are no token get symbols of their
 * own, so that merging goes through them as it does where merging compares texts. */
#include "engine/tokenizer/build.h"
#include "engine/tokenizer/encode.h"
#include "engine/tokenizer/merge.h"

#include "base/checked.h"
#include "base/utf8.h"

#include <string.h>

enum { SYMBOLS_PER_MERGE = 3 };

/* The texts of symbols as the file writes them, found by a hash table. */
typedef struct symbol_table {
    const tokenizer_builder *b;
    tokenizer_text_slot *slots; /* id_plus_1 is a symbol + 1 */
    uint32_t n_slots;
    tokenizer_text *extra; /* [n_extra] texts of the symbols from n_tokens on */
    uint32_t n_extra;
    char *joined;      /* room for the text of a merge's result */
    size_t join_bytes; /* of `joined`, used by results that are no tokens */
} symbol_table;

static size_t merge_texts_bytes(const tokenizer_vocabulary *v) {
    size_t total = 0;
    for (uint32_t i = 0; i < v->n_merges; i++) {
        total += v->merges[i].length;
    }
    return total;
}

static size_t longest_token_bytes(const tokenizer_vocabulary *v) {
    size_t longest = 0;
    for (uint32_t i = 0; i < v->n_tokens; i++) {
        longest = v->tokens[i].length > longest ? v->tokens[i].length : longest;
    }
    return longest;
}

static uint32_t table_slots(const tokenizer_vocabulary *v) {
    return tokenizer_slots_for(v->n_tokens + SYMBOLS_PER_MERGE * v->n_merges);
}

size_t builder_bpe_scratch_bytes(const tokenizer_vocabulary *v) {
    return table_slots(v) * sizeof(tokenizer_text_slot) +
           (size_t)v->n_merges * SYMBOLS_PER_MERGE * sizeof(tokenizer_text) + merge_texts_bytes(v) +
           (longest_token_bytes(v) + 1) * MERGE_BYTES_PER_SYMBOL + 8 * TOKENIZER_ALIGNMENT;
}

static tokenizer_text text_of(const symbol_table *table, uint32_t symbol) {
    uint32_t n_tokens = table->b->v->n_tokens;
    return symbol < n_tokens ? table->b->v->tokens[symbol] : table->extra[symbol - n_tokens];
}

/* The slot of that text: taken by its symbol, or the empty one where it belongs. */
static tokenizer_text_slot *find_slot(const symbol_table *table, tokenizer_text text) {
    uint64_t hash = hash_text(&table->b->header->seed, text.bytes, text.length);
    uint32_t check = (uint32_t)(hash >> 32), mask = table->n_slots - 1;
    uint32_t place = (uint32_t)hash & mask;
    for (;; place = (place + 1) & mask) {
        tokenizer_text_slot *slot = &table->slots[place];
        if (slot->id_plus_1 == 0) {
            slot->check = check;
            return slot;
        }
        if (slot->check == check) {
            tokenizer_text other = text_of(table, slot->id_plus_1 - 1);
            if (other.length == text.length && memcmp(other.bytes, text.bytes, text.length) == 0) {
                return slot;
            }
        }
    }
}

/* The symbol of a text that is in a merge; a new one when there is none. */
static uint32_t intern(symbol_table *table, tokenizer_text text) {
    tokenizer_text_slot *slot = find_slot(table, text);
    if (slot->id_plus_1 == 0) {
        table->extra[table->n_extra] = text;
        slot->id_plus_1 = table->b->v->n_tokens + table->n_extra++ + 1;
    }
    return slot->id_plus_1 - 1;
}

static bool is_one_letter(tokenizer_text text) {
    uint32_t letter;
    return utf8_decode(text.bytes, text.length, &letter) == text.length;
}

/* Tokens that print something else than their letters say stay out. So do control and unknown
 * tokens, or merging could produce them; single letters are in, for there must be a token for each
 * byte. */
static void enter_tokens(symbol_table *table) {
    const tokenizer_builder *b = table->b;
    for (uint32_t id = 0; id < b->v->n_tokens; id++) {
        tokenizer_text text = b->v->tokens[id];
        tokenizer_type type = builder_type(b, id);
        bool hidden =
            type == TOKENIZER_CONTROL || type == TOKENIZER_UNKNOWN || type == TOKENIZER_BYTE;
        if (!(b->attributes[id] & ATTRIBUTE_SOUND) || (hidden && !is_one_letter(text))) {
            continue;
        }
        tokenizer_text_slot *slot = find_slot(table, text);
        if (slot->id_plus_1 == 0) {
            slot->id_plus_1 = id + 1;
        }
    }
}

static void find_bytes(const symbol_table *table, tokenizer_builder *b) {
    for (unsigned byte = 0; byte < TOKENIZER_BYTE_VALUES; byte++) {
        char letter[4];
        tokenizer_text text = {letter, utf8_encode(b->letter_of_byte[byte], letter)};
        b->bytes[byte] = find_slot(table, text)->id_plus_1 - 1; /* 0 - 1 is TOKENIZER_NO_SYMBOL */
    }
    for (uint32_t id = 0; id < b->v->n_tokens; id++) { /* "<0xHH>" helps out */
        if (builder_type(b, id) == TOKENIZER_BYTE) {
            int byte = builder_parse_byte(b->v->tokens[id]);
            if (b->bytes[byte] >= b->v->n_tokens) {
                b->bytes[byte] = id;
            }
        }
    }
    for (unsigned byte = 0; byte < TOKENIZER_BYTE_VALUES; byte++) {
        if (b->bytes[byte] >= b->v->n_tokens) {
            b->header->flags |= HEADER_BYTES_MISSING;
        }
    }
}

static void add_pair(tokenizer_builder *b, tokenizer_pair_slot pair) {
    uint32_t mask = b->header->n_pair_slots - 1;
    uint32_t place = (uint32_t)hash_pair(&b->header->seed, pair.left, pair.right) & mask;
    for (;; place = (place + 1) & mask) {
        tokenizer_pair_slot *slot = &b->pair_slots[place];
        if (slot->left == TOKENIZER_NO_SYMBOL) {
            *slot = pair;
            return;
        }
        if (slot->left == pair.left && slot->right == pair.right) {
            return; /* the better rank is there */
        }
    }
}

static tars_status bad_merge(tokenizer_builder *b, uint32_t rank, const char *what) {
    tokenizer_text merge = b->v->merges[rank];
    error_set(b->err, TARS_MALFORMED, "the merge '%.*s' %s; expected \"left right\"",
              (int)(merge.length < 64 ? merge.length : 64), merge.bytes, what);
    error_hint(b->err, "the file is damaged or badly converted; fetch another one");
    return error_where(b->err, "tokenizer.ggml.merges, element %u", rank);
}

/* Enters one merge. The sides are parted by the first space behind the first character. */
static tars_status add_merge(tokenizer_builder *b, symbol_table *table, uint32_t rank) {
    tokenizer_text merge = b->v->merges[rank];
    const char *space = NULL;
    for (size_t i = 0; i < merge.length && !space; i++) {
        space = merge.bytes[i] == ' ' ? merge.bytes + i : NULL;
    }
    if (!space) {
        return bad_merge(b, rank, merge.length == 0 ? "is empty" : "has one side only");
    }
    tokenizer_text left = {merge.bytes, (size_t)(space - merge.bytes)};
    tokenizer_text right = {space + 1, merge.length - left.length - 1};
    if (left.length == 0 || right.length == 0) {
        return bad_merge(b, rank, "has an empty side");
    }
    char *join = table->joined + table->join_bytes;
    memcpy(join, left.bytes, left.length);
    memcpy(join + left.length, right.bytes, right.length);
    tokenizer_text result = {join, left.length + right.length};
    uint32_t n_extra = table->n_extra;
    tokenizer_pair_slot pair = {.rank = rank, .result = intern(table, result)};
    if (table->n_extra > n_extra) {
        table->join_bytes += result.length; /* the new symbol's text stays */
    }
    pair.left = intern(table, left);
    pair.right = intern(table, right);
    add_pair(b, pair);
    return TARS_OK;
}

tars_status builder_add_merges(tokenizer_builder *b) {
    const tokenizer_vocabulary *v = b->v;
    symbol_table table = {.b = b, .n_slots = table_slots(v)};
    table.slots = ARENA_ARRAY(b->scratch, tokenizer_text_slot, table.n_slots);
    table.joined = arena_alloc_raw(b->scratch, merge_texts_bytes(v), 1);
    size_t extra_bytes;
    if (checked_mul_size((size_t)v->n_merges * SYMBOLS_PER_MERGE, sizeof *table.extra,
                         &extra_bytes)) {
        table.extra = arena_alloc_raw(b->scratch, extra_bytes, _Alignof(tokenizer_text));
    }
    if (!table.slots || !table.joined || !table.extra) {
        return error_set(b->err, TARS_OUT_OF_MEMORY,
                         "the tables of %u tokens and %u merges do not fit the scratch memory",
                         v->n_tokens, v->n_merges);
    }
    memset(b->pair_slots, 0xFF, b->header->n_pair_slots * sizeof *b->pair_slots);
    enter_tokens(&table);
    tars_status status = TARS_OK;
    for (uint32_t rank = 0; rank < v->n_merges && status == TARS_OK; rank++) {
        status = add_merge(b, &table, rank);
    }
    if (status == TARS_OK) {
        find_bytes(&table, b); /* after the merges, which may bring letters without a token */
    }
    return status;
}

tars_status builder_add_whole_words(tokenizer_builder *b) {
    for (uint32_t id = 0; id < b->v->n_tokens; id++) {
        tokenizer_text piece = tokenizer_piece(&b->view, (int32_t)id);
        if (!builder_is_matchable(b, id) || !(b->attributes[id] & ATTRIBUTE_SOUND)) {
            continue;
        }
        int32_t merged = (int32_t)id;
        tokenizer_run run = {.t = &b->view,
                             .ids = &merged,
                             .capacity = 1,
                             .count = 1,
                             .scratch = b->scratch,
                             .err = b->err};
        if (!b->pre->whole_words) {
            run.count = 0;
            tars_status status = bpe_merge_word(&run, piece.bytes, piece.length, 0);
            if (status != TARS_OK) {
                return status;
            }
        }
        if (run.count == 1 && merged == (int32_t)id) {
            builder_add_text(b, id);
        }
    }
    return TARS_OK;
}
