/* A bump allocator over the caller's memory. Ownership: the caller owns the memory; what the
 * arena hands out lives until the arena is reset to a mark taken before, or its memory goes. */
#ifndef BASE_ARENA_H
#define BASE_ARENA_H

#include <stddef.h>
#include <stdint.h>

typedef struct arena {
    uint8_t *base;
    size_t size_bytes;
    size_t used_bytes;
    size_t peak_bytes; /* highest used_bytes ever */
} arena;

void arena_init(arena *a, void *memory, size_t size_bytes);
/* Zeroed memory aligned to `alignment` (a power of two), or NULL when it does not fit. A size of
 * 0 gives a valid pointer that must not be read. */
void *arena_alloc(arena *a, size_t size_bytes, size_t alignment);
/* As arena_alloc, for count elements, NULL also when the product overflows. */
void *arena_array(arena *a, size_t count, size_t element_bytes, size_t alignment);
/* As arena_alloc without the zeroing, for large buffers that are overwritten at once. */
void *arena_alloc_raw(arena *a, size_t size_bytes, size_t alignment);
size_t arena_mark(const arena *a);
void arena_reset(arena *a, size_t mark);

#define ARENA_NEW(a, type) ((type *)arena_alloc((a), sizeof(type), _Alignof(type)))
#define ARENA_ARRAY(a, type, count)                                                                \
    ((type *)arena_array((a), (count), sizeof(type), _Alignof(type)))

#endif
