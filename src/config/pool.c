#include "config/pool.h"

#include <stdalign.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

struct pool_chunk {
    pool_chunk *next;
    alignas(max_align_t) char bytes[];
};

enum { CHUNK_BYTES = 16384 };

void *pool_alloc(pool *p, size_t size_bytes) {
    const size_t alignment = alignof(max_align_t);
    if (p->failed || size_bytes > SIZE_MAX / 2) {
        p->failed = true;
        return NULL;
    }
    size_t wanted = (size_bytes + alignment - 1) / alignment * alignment;
    if (wanted > p->left_bytes) {
        size_t chunk_bytes = wanted > CHUNK_BYTES ? wanted : CHUNK_BYTES;
        pool_chunk *chunk = calloc(1, sizeof *chunk + chunk_bytes);
        if (!chunk) {
            p->failed = true;
            return NULL;
        }
        chunk->next = p->chunks;
        p->chunks = chunk;
        p->at = chunk->bytes;
        p->left_bytes = chunk_bytes;
    }
    void *memory = p->at;
    p->at += wanted;
    p->left_bytes -= wanted;
    return memory;
}

char *pool_text(pool *p, const char *text, size_t length) {
    char *copy = pool_alloc(p, length + 1);
    if (copy && length > 0) {
        memcpy(copy, text, length);
    }
    return copy;
}

void pool_free(pool *p) {
    while (p->chunks) {
        pool_chunk *next = p->chunks->next;
        free(p->chunks);
        p->chunks = next;
    }
    *p = (pool){0};
}
