/* The host's side of a request to a guest: sends it, takes what comes back, trusts none of it.
 * Driven in turns, since in some runtimes host and guest share one thread. What the kinds of
 * requests differ in stands in guest_answer.h, guest_import.h, guest_text.h and guest_embed.h.
 *
 * Ownership: the caller's memory; all that a client is made from is borrowed until the request has
 * ended. */
#ifndef RUNTIME_GUEST_CLIENT_H
#define RUNTIME_GUEST_CLIENT_H

#include "guest/wire.h"

/* Names of the kernels that a guest may have, NULL at the end. */
extern const char *const guest_client_isas[];

typedef struct guest_client guest_client;

/* How one kind of request is made and its answer is taken. */
typedef struct guest_client_kind {
    wire_kind request; /* of its frame */
    size_t request_bytes;
    /* Frames of the answer, which the message of the client holds; NULL: there are none. */
    tars_status (*takers[WIRE_KIND_COUNT])(guest_client *c, tars_error *err);
    /* Sends what the guest waits for, as long as there is room; may be NULL. */
    tars_status (*more)(guest_client *c, tars_error *err);
    /* What a guest may fail with besides what any guest may. */
    tars_status also[4];
} guest_client_kind;

typedef struct guest_client_section {
    const void *bytes;
    size_t size_bytes;
} guest_client_section;

/* What every request has. */
typedef struct guest_client_request {
    const char *isa;  /* kernels that the guest must take, of guest_client_isas; NULL: its best */
    const void *wire; /* its frame */
    guest_client_section sections[WIRE_SECTION_COUNT];
    /* CANCELLED or TIMEOUT when the guest shall end its answer; asked in every turn. */
    tars_status (*check)(void *user, tars_error *err);
    void *user; /* of check */
} guest_client_request;

struct guest_client {
    const guest_client_kind *kind;
    guest_client_request request;
    wire_port port;
    uint64_t model_offset, model_bytes; /* in the guest's memory */
    uint64_t memory_bytes;              /* that the guest has for itself */
    unsigned section;                   /* of the request that is being sent */
    size_t sent;                        /* bytes of it */
    bool has_greeted;                   /* the guest did */
    bool has_ended;                     /* the result is there */
    bool told_cancel;
    tars_status check; /* of request.check */
    tars_error check_error;
    const char *isa; /* the guest's kernels, of guest_client_isas; "" before it greeted */
    uint32_t n_log_frames;
    wire_result result;
    wire_message message;
};

void guest_client_init(guest_client *c, const guest_client_kind *kind,
                       const guest_client_request *request);
/* Before the first turn: where the guest is. */
void guest_client_connect(guest_client *c, wire_area *area, uint64_t model_offset,
                          uint64_t model_bytes, uint64_t memory_bytes);
/* The same for a guest that has greeted another client before, when it chose the kernels `isa`. */
void guest_client_connect_greeted(guest_client *c, wire_area *area, const char *isa,
                                  uint64_t memory_bytes);
/* Sends what there is room for and takes all that has come. An error ends the request: the
 * guest's own, or MALFORMED when it broke the protocol (then it must be killed). */
tars_status guest_client_turn(guest_client *c, tars_error *err);
/* Asks whether to go on, and keeps the first refusal; false from then on. For whoever has to stop
 * a guest that takes no turns. */
bool guest_client_goes_on(guest_client *c);
/* What any guest may fail with. It may not claim, say, that the user cancelled. */
bool guest_client_may_fail_with(tars_status status);
/* The name in guest_client_isas; "" for one that is not there. */
const char *guest_client_known_isa(const char *name);
/* After the end: OK, or CANCELLED or TIMEOUT when the answer was cut short. */
tars_status guest_client_status(const guest_client *c, tars_error *err);

/* For kinds: whether a frame with so many bytes of payload can be sent without waiting. */
bool guest_client_has_room(const guest_client *c, size_t payload_bytes);
/* Copies a RESULT into the client; MALFORMED when it claims more memory than the guest has. The
 * request has ended when the taker of RESULT says OK. */
tars_status guest_client_read_result(guest_client *c, tars_error *err);
/* MALFORMED: for a result that does not fit the frames before it. */
tars_status guest_client_misfit(tars_error *err);

#endif
