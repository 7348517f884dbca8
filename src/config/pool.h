/* Memory that is given back all at once. Ownership: the pool owns what it hands out; pool_free
 * gives everything back. After a first failure every later request fails too, so that a caller may
 * look once at the end. */
#ifndef CONFIG_POOL_H
#define CONFIG_POOL_H

#include <stdbool.h>
#include <stddef.h>

typedef struct pool_chunk pool_chunk;

/* Zeroed memory is an empty pool. */
typedef struct pool {
    pool_chunk *chunks;
    char *at;
    size_t left_bytes;
    bool failed;
} pool;

/* Zeroed memory for any type, or NULL. */
void *pool_alloc(pool *p, size_t size_bytes);
/* A copy with a NUL at its end, or NULL. */
char *pool_text(pool *p, const char *text, size_t length);
void pool_free(pool *p);

#define POOL_NEW(p, type) ((type *)pool_alloc((p), sizeof(type)))

#endif
