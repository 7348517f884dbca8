/* The native runtime of decoders: a forward pass, its threads and a key/value cache, put together
 * for one job. Ownership: decoder_open to decoder_close; the model is borrowed, a session's cache
 * too. */
#ifndef API_DECODER_H
#define API_DECODER_H

#include "api/job.h"
#include "runtime/native/pace.h"

struct tars_session {
    tars_model *model;
    void *memory;
    size_t memory_bytes;
    kv_cache cache;
    uint32_t n_context;
    int32_t *ids; /* [cache.length] tokens whose keys and values are in the cache */
    atomic_uint busy;
};

typedef struct decoder {
    tars_model *model;
    forward pass;
    barrier barrier;
    team *team;
    pace pace; /* how many of the team work */
    kv_cache own_cache;
    kv_cache *cache; /* own_cache or the session's */
    tars_session *session;
    void *buffers;
    size_t buffers_bytes;
    void *cache_memory;
    size_t cache_bytes;
    forward_token *tokens; /* [max_tokens] */
    size_t max_tokens;
} decoder;

enum { DECODER_DEFAULT_BATCH = 256 };

/* Bytes besides the model. 0 when it overflows. */
uint64_t decoder_memory_bytes(const tars_model *m, size_t n_context, kv_type type, size_t batch,
                              size_t max_outputs, unsigned n_threads, bool float_activations,
                              bool has_session);
/* OUT_OF_MEMORY when the request may not take, or the machine does not have, so many bytes (0: too
 * many to count). */
tars_status decoder_check_memory(const tars_job *job, uint64_t needed, tars_error *err);
/* Refuses before it allocates when the memory is not there. */
tars_status decoder_open(decoder *d, tars_job *job, size_t n_context, size_t max_outputs,
                         tars_error *err);
void decoder_close(decoder *d);
/* One pass over n ≤ max_tokens tokens at the cache's end; logits of the last one, or of all. */
tars_status decoder_step(decoder *d, const int32_t *ids, size_t n, bool all_logits,
                         tars_error *err);

#endif
