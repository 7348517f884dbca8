/* A decoder in this process's threads: a forward pass, the threads and a key/value cache, put
 * together for one request. Ownership: decoder_open to decoder_close; everything that the settings
 * point to is borrowed, a session's cache too. */
#ifndef RUNTIME_NATIVE_DECODER_H
#define RUNTIME_NATIVE_DECODER_H

#include "engine/forward.h"
#include "platform/platform.h"
#include "runtime/native/pace.h"
#include "runtime/native/team.h"

/* What one conversation keeps between its requests. The owner's memory. */
typedef struct decoder_session {
    kv_cache cache;
    uint32_t n_context;
    int32_t *ids; /* [n_context], of the tokens whose keys and values are in the cache */
} decoder_session;

typedef struct decoder_settings {
    const platform_mapping *mapping; /* of the model */
    const model *engine;
    const kernel_table *kernels;
    decoder_session *session; /* NULL: a cache of its own */
    size_t n_context, max_tokens, max_outputs;
    kv_type kv_type;
    unsigned n_threads;
    bool float_activations;
} decoder_settings;

typedef struct decoder {
    decoder_settings settings;
    forward pass;
    barrier barrier;
    team *team;
    pace pace; /* how many of the team work */
    kv_cache own_cache;
    kv_cache *cache; /* own_cache or the session's */
    void *buffers;
    size_t buffers_bytes;
    void *cache_memory;
    size_t cache_bytes;
    forward_token *tokens; /* [max_tokens] */
    size_t max_tokens;
} decoder;

/* Bytes besides the model, as the settings have it. 0 when it overflows. */
uint64_t decoder_memory_bytes(const decoder_settings *settings);
tars_status decoder_open(decoder *d, const decoder_settings *settings, tars_error *err);
void decoder_close(decoder *d);
/* One pass over n ≤ max_tokens tokens at the cache's end; logits of the last one, or of all.
 * CORRUPT when the model's file was cut or lost pages. */
tars_status decoder_step(decoder *d, const int32_t *ids, size_t n, bool all_logits,
                         tars_error *err);

#endif
