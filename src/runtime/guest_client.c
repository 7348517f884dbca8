#include "runtime/guest_client.h"

#include "base/utf8.h"
#include "engine/pack.h"

#include <string.h>

enum {
    CHUNK_BYTES = 8 << 10,               /* of the request in one frame */
    MAX_TEXT_BYTES_PER_TOKEN = 64 << 10, /* the longest token that a vocabulary may have */
    SECTION_HELLO = 0,                   /* what is sent, in order; between: wire_section */
    SECTION_START = WIRE_SECTION_COUNT,
    SECTION_NONE
};

static bool nobody_waits(void *context) {
    (void)context;
    return false;
}

void guest_client_init(guest_client *c, wire_area *area, const guest_client_request *request,
                       const guest_client_sink *sink) {
    memset(c, 0, sizeof *c);
    c->port = (wire_port){.in = &area->to_host, .out = &area->to_guest, .wait = nobody_waits};
    c->request = request;
    c->sink = *sink;
}

/* ---- sending --------------------------------------------------------------------------- */

/* Room for a frame of the largest size this side sends, so that sending never waits. */
static bool has_room(const guest_client *c) {
    uint32_t written = atomic_load_explicit(&c->port.out->written, memory_order_relaxed);
    uint32_t read = atomic_load_explicit(&c->port.out->read, memory_order_acquire);
    return written - read <= WIRE_RING_BYTES - (CHUNK_BYTES + 64);
}

static tars_status send_hello(guest_client *c, tars_error *err) {
    const guest_client_request *r = c->request;
    wire_hello hello;
    memset(&hello, 0, sizeof hello);
    hello.magic = WIRE_MAGIC;
    hello.version = WIRE_VERSION;
    hello.arithmetic_version = ARITHMETIC_VERSION;
    hello.model_offset = r->model_offset;
    hello.model_bytes = r->model_bytes;
    memcpy(hello.isa, r->isa, sizeof hello.isa);
    tars_status status = wire_send(&c->port, WIRE_HELLO, &hello, sizeof hello, NULL, 0, err);
    if (status == TARS_OK) {
        status = wire_send(&c->port, WIRE_REQUEST, &r->wire, sizeof r->wire, NULL, 0, err);
    }
    c->section = WIRE_PROMPT;
    return status;
}

static tars_status send_section(guest_client *c, tars_error *err) {
    const guest_client_request *r = c->request;
    const struct {
        const void *bytes;
        size_t size_bytes;
    } sections[WIRE_SECTION_COUNT] = {
        [WIRE_PROMPT] = {r->prompt, r->wire.n_prompt * sizeof(int32_t)},
        [WIRE_REPLAYED] = {r->replay, r->wire.n_replay * sizeof(int32_t)},
        [WIRE_STOPS] = {r->stops, (size_t)r->wire.stop_bytes},
    };
    size_t left = sections[c->section].size_bytes - c->sent;
    if (left == 0) {
        c->section++;
        c->sent = 0;
        return TARS_OK;
    }
    size_t n = left < CHUNK_BYTES ? left : CHUNK_BYTES;
    wire_data data = {.section = c->section};
    const uint8_t *from = (const uint8_t *)sections[c->section].bytes + c->sent;
    c->sent += n;
    return wire_send(&c->port, WIRE_DATA, &data, sizeof data, from, n, err);
}

static tars_status send_some(guest_client *c, tars_error *err) {
    tars_status status = TARS_OK;
    while (status == TARS_OK && c->section != SECTION_NONE && has_room(c)) {
        if (c->section == SECTION_HELLO) {
            status = send_hello(c, err);
        } else if (c->section == SECTION_START) {
            status = wire_send(&c->port, WIRE_START, NULL, 0, NULL, 0, err);
            c->section = SECTION_NONE;
        } else {
            status = send_section(c, err);
        }
    }
    if (status == TARS_OK && c->check == TARS_OK) {
        c->check = c->sink.check(c->sink.user, &c->check_error);
    }
    if (status == TARS_OK && c->check != TARS_OK && !c->told_cancel && c->section == SECTION_NONE &&
        has_room(c)) {
        c->told_cancel = true;
        status = wire_send(&c->port, WIRE_CANCEL, NULL, 0, NULL, 0, err);
    }
    return status;
}

/* ---- taking ---------------------------------------------------------------------------- */

static tars_status take_hello(guest_client *c, tars_error *err) {
    wire_hello hello;
    memcpy(&hello, c->message.payload, sizeof hello);
    if (c->has_greeted || hello.magic != WIRE_MAGIC || hello.version != WIRE_VERSION ||
        hello.arithmetic_version != ARITHMETIC_VERSION) {
        return error_set(err, TARS_MALFORMED, "the guest greeted wrongly or twice");
    }
    c->has_greeted = true;
    for (size_t i = 0; i + 1 < sizeof c->isa && hello.isa[i] >= '0' && hello.isa[i] <= 'z'; i++) {
        c->isa[i] = hello.isa[i];
    }
    return TARS_OK;
}

static tars_status take_progress(guest_client *c, tars_error *err) {
    wire_progress progress;
    memcpy(&progress, c->message.payload, sizeof progress);
    if (progress.total != c->request->wire.n_prompt || progress.done > progress.total) {
        return error_set(err, TARS_MALFORMED, "the guest tells an impossible progress");
    }
    c->sink.progress(c->sink.user, progress.done, progress.total);
    return TARS_OK;
}

static tars_status take_token(guest_client *c, tars_error *err) {
    wire_token token;
    memcpy(&token, c->message.payload, sizeof token);
    bool wanted = c->request->wire.logits_hash != 0;
    if (c->n_tokens == c->request->wire.max_tokens || token.id < 0 ||
        (uint32_t)token.id >= c->request->n_vocab || (token.has_digest != 0) != wanted) {
        return error_set(err, TARS_MALFORMED, "the guest tells an impossible token");
    }
    c->n_tokens++;
    return c->sink.token(c->sink.user, token.id, wanted ? token.digest : NULL, err);
}

static tars_status take_text(guest_client *c, tars_error *err) {
    const char *bytes = (const char *)c->message.payload;
    size_t n = c->message.size_bytes;
    c->n_text_bytes += n;
    if (c->n_text_bytes > (uint64_t)c->n_tokens * MAX_TEXT_BYTES_PER_TOKEN ||
        !utf8_valid(bytes, n, NULL)) {
        return error_set(err, TARS_MALFORMED, "the guest tells text that its tokens cannot have");
    }
    return c->sink.text(c->sink.user, bytes, n, err);
}

static tars_status take_result(guest_client *c, tars_error *err) {
    memcpy(&c->result, c->message.payload, sizeof c->result);
    if (c->result.n_tokens != c->n_tokens || c->result.stopped > 1) {
        return error_set(err, TARS_MALFORMED, "the guest's result does not fit its tokens");
    }
    c->has_ended = true;
    return TARS_OK;
}

static tars_status take_error(guest_client *c, tars_error *err) {
    tars_error failure = {.status = TARS_FAILED};
    wire_read_error(&c->message, &failure);
    c->has_ended = true;
    if (err) {
        *err = failure;
    }
    return failure.status;
}

static tars_status take_log(guest_client *c, tars_error *err) {
    (void)c;
    (void)err;
    return TARS_OK; /* nobody reads a guest's log yet; a well-formed one is no offence */
}

static tars_status take(guest_client *c, tars_error *err) {
    static tars_status (*const takers[WIRE_KIND_COUNT])(guest_client *, tars_error *) = {
        [WIRE_HELLO] = take_hello, [WIRE_PROGRESS] = take_progress, [WIRE_TOKEN] = take_token,
        [WIRE_TEXT] = take_text,   [WIRE_RESULT] = take_result,     [WIRE_ERROR] = take_error,
        [WIRE_LOG] = take_log,
    };
    bool may_come_first = c->message.kind == WIRE_HELLO || c->message.kind == WIRE_ERROR;
    if (!takers[c->message.kind] || (!c->has_greeted && !may_come_first) || c->has_ended) {
        return error_set(err, TARS_MALFORMED, "the guest sent a frame of kind %u out of order",
                         (unsigned)c->message.kind);
    }
    return takers[c->message.kind](c, err);
}

tars_status guest_client_turn(guest_client *c, tars_error *err) {
    tars_status status = send_some(c, err);
    while (status == TARS_OK) {
        bool found = false;
        status = wire_poll(&c->port, &c->message, &found, err);
        if (status != TARS_OK || !found) {
            break;
        }
        status = take(c, err);
    }
    return status;
}

tars_status guest_client_status(const guest_client *c, tars_error *err) {
    if (c->check != TARS_OK && err) {
        *err = c->check_error;
    }
    return c->check;
}
