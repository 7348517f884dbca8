/* Tokenizing by a guest: texts, or a conversation that the model's chat template writes, to ids,
 * and ids to text. What a model brings along is interpreted inside; ids and text that come back
 * are checked. Ownership: as in guest_client.h; request and sink are borrowed. */
#ifndef RUNTIME_GUEST_TEXT_H
#define RUNTIME_GUEST_TEXT_H

#include "runtime/guest_client.h"

typedef struct guest_encode_request {
    const char *isa; /* as in guest_client_request */
    uint32_t n_vocab;
    uint64_t most_ids; /* that all texts can have */
    wire_encode wire;
    const uint32_t *lengths; /* [wire.n_texts] */
    const char *words;       /* [wire.text_bytes] */
} guest_encode_request;

typedef struct guest_encode_sink {
    void *user;
    /* The next ids of a text; texts come in order, one without ids does not come. piece_bytes: of
     * each, if pieces are wanted. */
    tars_status (*ids)(void *user, uint32_t text, const wire_id *ids, size_t n, tars_error *err);
    /* Bytes of the pieces of the ids so far, one after another. */
    tars_status (*pieces)(void *user, const char *bytes, size_t length, tars_error *err);
    tars_status (*check)(void *user, tars_error *err); /* as in guest_client_request */
} guest_encode_sink;

typedef struct guest_encode {
    guest_client client; /* first */
    const guest_encode_request *request;
    guest_encode_sink sink;
    uint32_t text;          /* the last one */
    uint32_t n_of_text;     /* its ids */
    uint64_t n_ids;         /* of all */
    uint64_t n_piece_bytes; /* that were announced and did not come */
} guest_encode;

void guest_encode_init(guest_encode *e, const guest_encode_request *request,
                       const guest_encode_sink *sink);

typedef struct guest_decode_request {
    const char *isa;
    wire_decode wire;
    const int32_t *ids; /* [wire.n_ids] */
} guest_decode_request;

typedef struct guest_decode_sink {
    void *user;
    tars_status (*text)(void *user, const char *bytes, size_t length, tars_error *err);
    tars_status (*check)(void *user, tars_error *err);
} guest_decode_sink;

typedef struct guest_decode {
    guest_client client; /* first */
    const guest_decode_request *request;
    guest_decode_sink sink;
    uint64_t n_bytes;
} guest_decode;

void guest_decode_init(guest_decode *d, const guest_decode_request *request,
                       const guest_decode_sink *sink);

#endif
