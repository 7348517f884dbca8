#include "base/arena.h"

#include "base/checked.h"

#include <assert.h>
#include <string.h>

void arena_init(arena *a, void *memory, size_t size_bytes) {
    a->base = memory;
    a->size_bytes = size_bytes;
    a->used_bytes = 0;
    a->peak_bytes = 0;
}

void *arena_alloc_raw(arena *a, size_t size_bytes, size_t alignment) {
    assert(alignment != 0 && (alignment & (alignment - 1)) == 0);
    uintptr_t next = (uintptr_t)a->base + a->used_bytes;
    size_t gap = (size_t)(-next & (alignment - 1));
    size_t end;
    if (!checked_add_size(a->used_bytes, gap, &end) || !checked_add_size(end, size_bytes, &end) ||
        end > a->size_bytes) {
        return NULL;
    }
    a->used_bytes = end;
    if (end > a->peak_bytes) {
        a->peak_bytes = end;
    }
    return a->base + (end - size_bytes);
}

void *arena_alloc(arena *a, size_t size_bytes, size_t alignment) {
    void *memory = arena_alloc_raw(a, size_bytes, alignment);
    if (memory && size_bytes > 0) {
        memset(memory, 0, size_bytes);
    }
    return memory;
}

void *arena_array(arena *a, size_t count, size_t element_bytes, size_t alignment) {
    size_t size_bytes;
    if (!checked_mul_size(count, element_bytes, &size_bytes)) {
        return NULL;
    }
    return arena_alloc(a, size_bytes, alignment);
}

size_t arena_mark(const arena *a) {
    return a->used_bytes;
}

void arena_reset(arena *a, size_t mark) {
    assert(mark <= a->used_bytes);
    a->used_bytes = mark;
}
