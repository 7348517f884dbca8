#include "runtime/guest_text.h"

#include "base/utf8.h"
#include "engine/tokenizer/tokenizer.h"

#include <string.h>

enum { MAX_TEXT_BYTES_PER_TOKEN = 3 * TOKENIZER_MAX_TOKEN_BYTES /* U+FFFD for each bad byte */ };

/* ---- to ids ---------------------------------------------------------------------------- */

static guest_encode *encode_of(guest_client *c) {
    return (guest_encode *)c;
}

/* A text's ids may come in several frames; a later text begins anew. */
static bool begin_ids(guest_encode *e, uint32_t text, size_t n) {
    const wire_encode *w = &e->request->wire;
    uint32_t n_texts = w->n_messages > 0 ? 1 : w->n_texts;
    if (text < e->text || text >= n_texts || e->n_piece_bytes > 0 ||
        n > e->request->most_ids - e->n_ids) {
        return false;
    }
    e->n_of_text = text == e->text ? e->n_of_text : 0;
    e->text = text;
    e->n_ids += n;
    e->n_of_text += (uint32_t)n;
    return w->max_ids == 0 || e->n_of_text <= w->max_ids;
}

static tars_status take_ids(guest_client *c, tars_error *err) {
    guest_encode *e = encode_of(c);
    const guest_encode_request *r = e->request;
    wire_ids head;
    wire_id ids[WIRE_MAX_PAYLOAD / sizeof(wire_id)];
    memcpy(&head, c->message.payload, sizeof head);
    size_t n_bytes = c->message.size_bytes - sizeof head;
    size_t n = n_bytes / sizeof *ids;
    memcpy(ids, c->message.payload + sizeof head, n * sizeof *ids);
    bool fits = n_bytes % sizeof *ids == 0 && head.reserved == 0 && begin_ids(e, head.text, n);
    uint32_t most_bytes = r->wire.pieces ? TOKENIZER_MAX_TOKEN_BYTES : 0;
    for (size_t i = 0; fits && i < n; i++) {
        fits =
            ids[i].id >= 0 && (uint32_t)ids[i].id < r->n_vocab && ids[i].piece_bytes <= most_bytes;
        e->n_piece_bytes += ids[i].piece_bytes;
    }
    return fits ? e->sink.ids(e->sink.user, head.text, ids, n, err)
                : error_set(err, TARS_MALFORMED, "the guest tells impossible ids");
}

static tars_status take_pieces(guest_client *c, tars_error *err) {
    guest_encode *e = encode_of(c);
    size_t n = c->message.size_bytes;
    if (n > e->n_piece_bytes) {
        return error_set(err, TARS_MALFORMED, "the guest tells pieces of no ids");
    }
    e->n_piece_bytes -= n;
    return e->sink.pieces(e->sink.user, (const char *)c->message.payload, n, err);
}

static tars_status take_encoded(guest_client *c, tars_error *err) {
    const guest_encode *e = encode_of(c);
    tars_status status = guest_client_read_result(c, err);
    const wire_encode *w = &e->request->wire;
    const wire_result *r = &c->result;
    uint64_t most_bytes = w->n_messages > 0 ? c->memory_bytes : w->text_bytes;
    uint64_t least_bytes = w->n_messages > 0 ? 0 : w->text_bytes;
    bool fits = r->n_tokens == e->n_ids && e->n_piece_bytes == 0 && r->n_bytes <= most_bytes &&
                r->n_bytes >= least_bytes;
    return status == TARS_OK && !fits ? guest_client_misfit(err) : status;
}

static const guest_client_kind encodes = {
    .request = WIRE_ENCODE,
    .request_bytes = sizeof(wire_encode),
    .takers = {[WIRE_IDS] = take_ids, [WIRE_TEXT] = take_pieces, [WIRE_RESULT] = take_encoded},
    .also = {TARS_LIMIT, TARS_DENIED},
};

void guest_encode_init(guest_encode *e, const guest_encode_request *request,
                       const guest_encode_sink *sink) {
    memset(e, 0, sizeof *e);
    e->request = request;
    e->sink = *sink;
    guest_client_request own = {
        .isa = request->isa,
        .wire = &request->wire,
        .sections = {[WIRE_LENGTHS] = {request->lengths, request->wire.n_texts * sizeof(uint32_t)},
                     [WIRE_WORDS] = {request->words, (size_t)request->wire.text_bytes}},
        .check = sink->check,
        .user = sink->user,
    };
    guest_client_init(&e->client, &encodes, &own);
}

/* ---- to text --------------------------------------------------------------------------- */

static guest_decode *decode_of(guest_client *c) {
    return (guest_decode *)c;
}

static tars_status take_text(guest_client *c, tars_error *err) {
    guest_decode *d = decode_of(c);
    const char *bytes = (const char *)c->message.payload;
    size_t n = c->message.size_bytes;
    d->n_bytes += n;
    if (d->n_bytes > (uint64_t)d->request->wire.n_ids * MAX_TEXT_BYTES_PER_TOKEN ||
        !utf8_valid(bytes, n, NULL)) {
        return error_set(err, TARS_MALFORMED, "the guest tells text that its tokens cannot have");
    }
    return d->sink.text(d->sink.user, bytes, n, err);
}

static tars_status take_decoded(guest_client *c, tars_error *err) {
    return guest_client_read_result(c, err);
}

static const guest_client_kind decodes = {
    .request = WIRE_DECODE,
    .request_bytes = sizeof(wire_decode),
    .takers = {[WIRE_TEXT] = take_text, [WIRE_RESULT] = take_decoded},
};

void guest_decode_init(guest_decode *d, const guest_decode_request *request,
                       const guest_decode_sink *sink) {
    memset(d, 0, sizeof *d);
    d->request = request;
    d->sink = *sink;
    guest_client_request own = {
        .isa = request->isa,
        .wire = &request->wire,
        .sections = {[WIRE_PROMPT] = {request->ids, request->wire.n_ids * sizeof(int32_t)}},
        .check = sink->check,
        .user = sink->user,
    };
    guest_client_init(&d->client, &decodes, &own);
}
