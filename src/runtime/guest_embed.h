/* Embeddings by a guest: ids of texts in, pooled vectors back. Ownership: as in guest_client.h;
 * the request is borrowed, the vectors are the caller's. */
#ifndef RUNTIME_GUEST_EMBED_H
#define RUNTIME_GUEST_EMBED_H

#include "runtime/guest_client.h"

typedef struct guest_embed_request {
    const char *isa; /* as in guest_client_request */
    uint32_t n_embd;
    wire_embed wire;
    const uint32_t *lengths;                           /* [wire.n_texts] */
    const int32_t *ids;                                /* [wire.n_ids] */
    float *vectors;                                    /* [wire.n_texts][n_embd]: filled */
    tars_status (*check)(void *user, tars_error *err); /* as in guest_client_request */
    void *user;
} guest_embed_request;

typedef struct guest_embed {
    guest_client client; /* first */
    const guest_embed_request *request;
    uint64_t n_floats; /* that came */
} guest_embed;

void guest_embed_init(guest_embed *e, const guest_embed_request *request);

#endif
