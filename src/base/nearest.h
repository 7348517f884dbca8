/* The nearest name to a mistyped one, for "did you mean …". Ownership: the search borrows the
 * names it is offered; nothing is allocated. */
#ifndef BASE_NEAREST_H
#define BASE_NEAREST_H

#include <stddef.h>

enum { NEAREST_MAX_BYTES = 63 /* longer names are compared by their first bytes */ };

/* Edits (insert, delete, replace, swap of neighbours) that turn a into b, letter case ignored;
 * anything above `limit` is reported as limit + 1. */
size_t nearest_distance(const char *a, const char *b, size_t limit);

typedef struct nearest_search {
    const char *wanted;
    const char *best; /* NULL: nothing near enough yet */
    size_t best_distance;
} nearest_search;

void nearest_init(nearest_search *search, const char *wanted);
/* Offers one existing name (it must stay valid as long as the result is used). */
void nearest_offer(nearest_search *search, const char *candidate);
/* The best name so far within a third of the wanted one's length (at least 1, at most 5 edits) or
 * that the wanted one begins; NULL when none is. The first offered wins a tie. */
const char *nearest_result(const nearest_search *search);

#endif
