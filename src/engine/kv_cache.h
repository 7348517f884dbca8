/* The keys and values of one sequence. Ownership: the caller's memory, at least
 * kv_cache_bytes(); the cache is plain pointers into it.
 *
 * Per layer and key/value head: keys [capacity / 16][head_dim_k][16] (lanes are positions),
 * values [capacity][head_dim_v] (lanes are channels); capacity is a multiple of 16. */
#ifndef ENGINE_KV_CACHE_H
#define ENGINE_KV_CACHE_H

#include "engine/hparams.h"
#include "engine/kernels/kernels.h"

typedef struct kv_cache {
    uint8_t *memory;
    kv_type type;
    size_t capacity; /* positions, a multiple of 16 */
    size_t length;   /* positions written; anything behind is free to overwrite */
    uint32_t n_kv_heads, head_dim_k, head_dim_v;
    size_t key_head_bytes, value_head_bytes, layer_bytes;
} kv_cache;

/* Bytes for n_positions (rounded up to 16); 0 when it overflows. */
size_t kv_cache_bytes(const model_hparams *p, kv_type type, size_t n_positions);
/* `memory` must be 64-byte aligned and readable as it is (its contents do not matter). */
void kv_cache_init(kv_cache *cache, const model_hparams *p, kv_type type, size_t n_positions,
                   void *memory);
uint8_t *kv_cache_keys(const kv_cache *cache, uint32_t layer, uint32_t head);
uint8_t *kv_cache_values(const kv_cache *cache, uint32_t layer, uint32_t head);

#endif
