/* An answer of a guest: the request with the prompt's ids, and the tokens and the text that come
 * back, checked. Ownership: as in guest_client.h; request and sink are borrowed. */
#ifndef RUNTIME_GUEST_ANSWER_H
#define RUNTIME_GUEST_ANSWER_H

#include "runtime/guest_client.h"

typedef struct guest_answer_request {
    const char *isa; /* as in guest_client_request */
    uint32_t n_vocab;
    wire_request wire;
    const int32_t *prompt; /* [wire.n_prompt] */
    const int32_t *replay; /* [wire.n_replay] */
    const char *stops;     /* [wire.stop_bytes] */
    /* What only an engine in this process can do; a guest is never asked for it. */
    struct decoder_session *session; /* what is kept between requests, or NULL */
    bool float_activations;
} guest_answer_request;

/* Called on the thread that takes the turns; `user` is handed to each. */
typedef struct guest_answer_sink {
    void *user;
    /* digest is NULL unless digests were asked for. */
    tars_status (*token)(void *user, int32_t id, const uint8_t *digest, tars_error *err);
    /* The logits that a token was chosen from, before it; NULL: they are not wanted. From an engine
     * in this process only. */
    tars_status (*logits)(void *user, const float *logits, tars_error *err);
    tars_status (*text)(void *user, const char *bytes, size_t length, tars_error *err);
    void (*progress)(void *user, uint64_t done, uint64_t total);
    tars_status (*check)(void *user, tars_error *err); /* as in guest_client_request */
} guest_answer_sink;

typedef struct guest_answer {
    guest_client client; /* first */
    const guest_answer_request *request;
    guest_answer_sink sink;
    uint64_t n_text_bytes;
    uint64_t n_prompt_done;
    uint32_t n_tokens;
    sha256_context hash; /* over all digests that came */
    /* from an engine in this process: */
    uint64_t n_cached; /* tokens of the prompt that the session had */
    uint64_t hash_ns;  /* that the digests took */
} guest_answer;

void guest_answer_init(guest_answer *a, const guest_answer_request *request,
                       const guest_answer_sink *sink);
/* The answer that the client is part of; NULL for a client of another kind. */
guest_answer *guest_answer_of(guest_client *client);

#endif
