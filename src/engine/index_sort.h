/* Sorting of index tables. Ownership: the caller owns the indices; nothing is allocated. */
#ifndef ENGINE_INDEX_SORT_H
#define ENGINE_INDEX_SORT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* True when the element numbered a comes before the one numbered b. */
typedef bool (*index_before)(const void *context, uint32_t a, uint32_t b);

/* Sorts the indices in place with O(n log n) calls whatever the data (heap sort): names in a
 * hostile file cannot make it quadratic, as they could a hash table with a known function. Equal
 * elements end up in an unspecified order; make `before` total where that matters. */
void index_sort(uint32_t *indices, size_t count, index_before before, const void *context);

#endif
