/* The host's side of a request to a guest: sends it, takes what comes back, trusts none of it.
 * Driven in turns, since in some runtimes host and guest share one thread.
 *
 * Ownership: the caller's memory; request and sink are borrowed until the request has ended. */
#ifndef RUNTIME_GUEST_CLIENT_H
#define RUNTIME_GUEST_CLIENT_H

#include "guest/wire.h"

/* Names of the kernels that a guest may have, NULL at the end. */
extern const char *const guest_client_isas[];

typedef struct guest_client_request {
    uint64_t model_offset, model_bytes; /* in the guest's memory */
    uint64_t memory_bytes;              /* that the guest has for itself */
    const char *isa; /* kernels that the guest must take, of guest_client_isas; NULL: its best */
    uint32_t n_vocab;
    wire_request wire;
    const int32_t *prompt; /* [wire.n_prompt] */
    const int32_t *replay; /* [wire.n_replay] */
    const char *stops;     /* [wire.stop_bytes] */
} guest_client_request;

/* Called on the thread that takes the turns; `user` is handed to each. */
typedef struct guest_client_sink {
    void *user;
    /* digest is NULL unless digests were asked for. */
    tars_status (*token)(void *user, int32_t id, const uint8_t *digest, tars_error *err);
    tars_status (*text)(void *user, const char *bytes, size_t length, tars_error *err);
    void (*progress)(void *user, uint64_t done, uint64_t total);
    /* CANCELLED or TIMEOUT when the guest shall end its answer; asked in every turn. */
    tars_status (*check)(void *user, tars_error *err);
} guest_client_sink;

typedef struct guest_client {
    wire_port port;
    const guest_client_request *request;
    guest_client_sink sink;
    unsigned section; /* of the request that is being sent */
    size_t sent;      /* bytes of it */
    bool has_greeted; /* the guest did */
    bool has_ended;   /* the result is there */
    bool told_cancel;
    tars_status check; /* of sink.check */
    tars_error check_error;
    const char *isa; /* the guest's kernels, of guest_client_isas */
    uint64_t n_text_bytes;
    uint64_t n_prompt_done;
    uint32_t n_tokens;
    uint32_t n_log_frames;
    sha256_context hash; /* over all digests */
    uint8_t
        logits_hash[SHA256_DIGEST_BYTES]; /* of them, once the result is there or the end is near */
    wire_result result;
    wire_message message;
} guest_client;

void guest_client_init(guest_client *c, wire_area *area, const guest_client_request *request,
                       const guest_client_sink *sink);
/* Sends what there is room for and takes all that has come. An error ends the request: the
 * guest's own, or MALFORMED when it broke the protocol (then it must be killed). */
tars_status guest_client_turn(guest_client *c, tars_error *err);
/* Asks the sink whether to go on, and keeps its first refusal; false from then on. For whoever has
 * to stop a guest that takes no turns. */
bool guest_client_goes_on(guest_client *c);
/* After the end: OK, or CANCELLED or TIMEOUT when the answer was cut short. */
tars_status guest_client_status(const guest_client *c, tars_error *err);

#endif
