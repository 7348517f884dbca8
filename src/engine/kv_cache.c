#include "engine/kv_cache.h"

#include "base/checked.h"

static size_t element_bytes(kv_type type) {
    return type == KV_F16 ? 2 : 4;
}

static size_t round_16(size_t n) {
    return (n + 15) / 16 * 16;
}

size_t kv_cache_bytes(const model_hparams *p, kv_type type, size_t n_positions) {
    size_t bytes;
    if (n_positions > SIZE_MAX - 16 ||
        !checked_mul_size(round_16(n_positions), (size_t)p->head_dim_k + p->head_dim_v, &bytes) ||
        !checked_mul_size(bytes, element_bytes(type), &bytes) ||
        !checked_mul_size(bytes, p->n_kv_heads, &bytes) ||
        !checked_mul_size(bytes, p->n_layers, &bytes)) {
        return 0;
    }
    return bytes;
}

void kv_cache_init(kv_cache *cache, const model_hparams *p, kv_type type, size_t n_positions,
                   void *memory) {
    size_t capacity = round_16(n_positions);
    *cache = (kv_cache){.memory = memory,
                        .type = type,
                        .capacity = capacity,
                        .n_kv_heads = p->n_kv_heads,
                        .head_dim_k = p->head_dim_k,
                        .head_dim_v = p->head_dim_v,
                        .key_head_bytes = capacity * p->head_dim_k * element_bytes(type),
                        .value_head_bytes = capacity * p->head_dim_v * element_bytes(type)};
    cache->layer_bytes = (cache->key_head_bytes + cache->value_head_bytes) * p->n_kv_heads;
}

uint8_t *kv_cache_keys(const kv_cache *cache, uint32_t layer, uint32_t head) {
    return cache->memory + layer * cache->layer_bytes + head * cache->key_head_bytes;
}

uint8_t *kv_cache_values(const kv_cache *cache, uint32_t layer, uint32_t head) {
    return cache->memory + layer * cache->layer_bytes + cache->n_kv_heads * cache->key_head_bytes +
           head * cache->value_head_bytes;
}
