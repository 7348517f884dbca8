/* Merging neighbours, best first: the core of byte-level BPE and of SentencePiece. Ownership: the
 * symbols live in the caller's scratch arena. */
#ifndef ENGINE_TOKENIZER_MERGE_H
#define ENGINE_TOKENIZER_MERGE_H

#include "base/arena.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define MERGE_NONE UINT32_MAX /* no neighbour, no candidate, no symbol */

typedef struct merge_symbol {
    uint32_t start;          /* of its bytes in the text; they end where the next one's start */
    uint32_t symbol;         /* id, or MERGE_NONE */
    uint32_t previous, next; /* indices */
    uint32_t priority;       /* of the merge with the next one: lower is sooner */
    uint32_t result;         /* symbol that it gives; MERGE_NONE: they do not merge */
    uint32_t heap_place;
} merge_symbol;

enum { MERGE_BYTES_PER_SYMBOL = sizeof(merge_symbol) + sizeof(uint32_t) };

typedef struct merge_list merge_list;

/* Sets priority and result of the left of two neighbours; result MERGE_NONE when there is no such
 * merge. */
typedef void (*merge_lookup)(const merge_list *list, merge_symbol *left, const merge_symbol *right);

struct merge_list {
    merge_symbol *symbols; /* the first is always symbols[0]; `next` leads on */
    uint32_t *heap;        /* indices of symbols that have a candidate, soonest first */
    uint32_t n_symbols, n_heap;
    uint32_t text_bytes;
    const char *text;
    merge_lookup lookup;
    const void *context; /* for lookup */
};

/* Takes room for `n_symbols` from the arena; false when it does not fit. The caller then fills
 * start and symbol of each. */
bool merge_init(merge_list *list, const char *text, uint32_t text_bytes, uint32_t n_symbols,
                arena *scratch);
/* Merges until no two neighbours can, the one with the lowest (priority, place) first.
 * O(n log n). */
void merge_run(merge_list *list);
/* Where the bytes of a symbol end. */
uint32_t merge_end(const merge_list *list, const merge_symbol *symbol);

#endif
