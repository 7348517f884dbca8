#include "runtime/guest_embed.h"

#include <string.h>

static guest_embed *of(guest_client *c) {
    return (guest_embed *)c;
}

static uint64_t n_wanted(const guest_embed *e) {
    return (uint64_t)e->request->wire.n_texts * e->request->n_embd;
}

static tars_status take_vectors(guest_client *c, tars_error *err) {
    guest_embed *e = of(c);
    size_t n = c->message.size_bytes / sizeof(float);
    if (c->message.size_bytes % sizeof(float) != 0 || n > n_wanted(e) - e->n_floats) {
        return error_set(err, TARS_MALFORMED, "the guest tells vectors of no texts");
    }
    float *to = e->request->vectors + e->n_floats;
    memcpy(to, c->message.payload, n * sizeof(float));
    for (size_t i = 0; i < n; i++) {
        if (!(to[i] - to[i] == 0.0f)) { /* an engine ends with NUMERIC instead */
            return error_set(err, TARS_MALFORMED, "the guest tells a vector that is not finite");
        }
    }
    e->n_floats += n;
    return TARS_OK;
}

static tars_status take_result(guest_client *c, tars_error *err) {
    const guest_embed *e = of(c);
    tars_status status = guest_client_read_result(c, err);
    return status == TARS_OK && e->n_floats != n_wanted(e) ? guest_client_misfit(err) : status;
}

static const guest_client_kind embeds = {
    .request = WIRE_EMBED,
    .request_bytes = sizeof(wire_embed),
    .takers = {[WIRE_VECTORS] = take_vectors, [WIRE_RESULT] = take_result},
};

void guest_embed_init(guest_embed *e, const guest_embed_request *request) {
    memset(e, 0, sizeof *e);
    e->request = request;
    guest_client_request own = {
        .isa = request->isa,
        .wire = &request->wire,
        .sections = {[WIRE_PROMPT] = {request->ids, (size_t)request->wire.n_ids * sizeof(int32_t)},
                     [WIRE_LENGTHS] = {request->lengths, request->wire.n_texts * sizeof(uint32_t)}},
        .check = request->check,
        .user = request->user,
    };
    guest_client_init(&e->client, &embeds, &own);
}
