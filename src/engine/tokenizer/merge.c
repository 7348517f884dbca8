/* A doubly linked list of symbols with a binary heap of the merges that can be done. Each symbol
 * is in the heap at most once, for the merge with its right neighbour. */
#include "engine/tokenizer/merge.h"

#include "base/checked.h"

#include <assert.h>

bool merge_init(merge_list *list, const char *text, uint32_t text_bytes, uint32_t n_symbols,
                arena *scratch) {
    merge_symbol *symbols = NULL;
    uint32_t *heap = NULL;
    size_t size_bytes;
    if (checked_mul_size(n_symbols, sizeof *symbols, &size_bytes)) {
        symbols = arena_alloc_raw(scratch, size_bytes, _Alignof(merge_symbol));
        heap = arena_alloc_raw(scratch, n_symbols * sizeof *heap, _Alignof(uint32_t));
    }
    *list = (merge_list){.symbols = symbols,
                         .heap = heap,
                         .n_symbols = n_symbols,
                         .text = text,
                         .text_bytes = text_bytes};
    return symbols && heap;
}

uint32_t merge_end(const merge_list *list, const merge_symbol *symbol) {
    return symbol->next == MERGE_NONE ? list->text_bytes : list->symbols[symbol->next].start;
}

static bool sooner(const merge_list *list, uint32_t a, uint32_t b) {
    uint32_t pa = list->symbols[a].priority, pb = list->symbols[b].priority;
    return pa < pb || (pa == pb && a < b);
}

static void place(merge_list *list, uint32_t slot, uint32_t index) {
    list->heap[slot] = index;
    list->symbols[index].heap_place = slot;
}

static void sift_up(merge_list *list, uint32_t slot) {
    uint32_t index = list->heap[slot];
    while (slot > 0) {
        uint32_t parent = (slot - 1) / 2;
        if (!sooner(list, index, list->heap[parent])) {
            break;
        }
        place(list, slot, list->heap[parent]);
        slot = parent;
    }
    place(list, slot, index);
}

static void sift_down(merge_list *list, uint32_t slot) {
    uint32_t index = list->heap[slot];
    for (;;) {
        uint32_t child = 2 * slot + 1; /* n_heap is far below 2^31 */
        if (child >= list->n_heap) {
            break;
        }
        if (child + 1 < list->n_heap && sooner(list, list->heap[child + 1], list->heap[child])) {
            child++;
        }
        if (!sooner(list, list->heap[child], index)) {
            break;
        }
        place(list, slot, list->heap[child]);
        slot = child;
    }
    place(list, slot, index);
}

static void heap_remove(merge_list *list, uint32_t slot) {
    list->symbols[list->heap[slot]].heap_place = MERGE_NONE;
    uint32_t last = list->heap[--list->n_heap];
    if (slot < list->n_heap) {
        place(list, slot, last);
        sift_down(list, slot);
        sift_up(list, list->symbols[last].heap_place);
    }
}

/* Looks the pair at `index` up again and puts it where it now belongs in the heap. */
static void refresh(merge_list *list, uint32_t index) {
    merge_symbol *left = &list->symbols[index];
    left->result = MERGE_NONE;
    if (left->next != MERGE_NONE) {
        list->lookup(list, left, &list->symbols[left->next]);
    }
    if (left->result == MERGE_NONE) {
        if (left->heap_place != MERGE_NONE) {
            heap_remove(list, left->heap_place);
        }
        return;
    }
    if (left->heap_place == MERGE_NONE) {
        place(list, list->n_heap++, index);
    } else {
        sift_down(list, left->heap_place);
    }
    sift_up(list, left->heap_place);
}

static void start_heap(merge_list *list) {
    list->n_heap = 0;
    for (uint32_t i = 0; i < list->n_symbols; i++) {
        merge_symbol *symbol = &list->symbols[i];
        symbol->previous = i == 0 ? MERGE_NONE : i - 1;
        symbol->next = i + 1 == list->n_symbols ? MERGE_NONE : i + 1;
        symbol->heap_place = MERGE_NONE;
        symbol->result = MERGE_NONE;
    }
    for (uint32_t i = 0; i + 1 < list->n_symbols; i++) {
        list->lookup(list, &list->symbols[i], &list->symbols[i + 1]);
        if (list->symbols[i].result != MERGE_NONE) {
            place(list, list->n_heap++, i);
        }
    }
    for (uint32_t i = list->n_heap / 2; i-- > 0;) {
        sift_down(list, i);
    }
}

void merge_run(merge_list *list) {
    assert(list->lookup);
    start_heap(list);
    while (list->n_heap > 0) {
        uint32_t index = list->heap[0];
        merge_symbol *left = &list->symbols[index];
        merge_symbol *right = &list->symbols[left->next];
        left->symbol = left->result;
        if (right->heap_place != MERGE_NONE) {
            heap_remove(list, right->heap_place);
        }
        left->next = right->next;
        if (right->next != MERGE_NONE) {
            list->symbols[right->next].previous = index;
        }
        refresh(list, index);
        if (left->previous != MERGE_NONE) {
            refresh(list, left->previous);
        }
    }
}
