#include "runtime/guest_client.h"

#include "engine/pack.h"

#include <string.h>

enum {
    CHUNK_BYTES = 8 << 10, /* of the request in one frame */
    MAX_LOG_FRAMES = 1000,
    SECTION_HELLO = 0, /* what is sent, in order; between: wire_section */
    SECTION_START = WIRE_SECTION_COUNT,
    SECTION_NONE
};

const char *const guest_client_isas[] = {"wasm", "wasm_simd128", "avx512", "avx2", "scalar", NULL};

static bool nobody_waits(void *context) {
    (void)context;
    return false;
}

void guest_client_init(guest_client *c, const guest_client_kind *kind,
                       const guest_client_request *request) {
    memset(c, 0, sizeof *c);
    c->kind = kind;
    c->request = *request;
    c->isa = "";
}

void guest_client_connect(guest_client *c, wire_area *area, uint64_t model_offset,
                          uint64_t model_bytes, uint64_t memory_bytes) {
    c->port = (wire_port){.in = &area->to_host, .out = &area->to_guest, .wait = nobody_waits};
    c->model_offset = model_offset;
    c->model_bytes = model_bytes;
    c->memory_bytes = memory_bytes;
}

const char *guest_client_known_isa(const char *name) {
    for (size_t i = 0; guest_client_isas[i]; i++) {
        if (strcmp(name, guest_client_isas[i]) == 0) {
            return guest_client_isas[i];
        }
    }
    return "";
}

void guest_client_connect_greeted(guest_client *c, wire_area *area, const char *isa,
                                  uint64_t memory_bytes) {
    guest_client_connect(c, area, 0, 0, memory_bytes);
    c->has_greeted = true;
    c->isa = guest_client_known_isa(isa);
}

/* ---- sending --------------------------------------------------------------------------- */

/* Bytes in the ring that the guest has not read; more than the ring holds when it wrote nonsense
 * into its index. */
static uint32_t unread(const guest_client *c) {
    uint32_t written = atomic_load_explicit(&c->port.out->written, memory_order_relaxed);
    return written - atomic_load_explicit(&c->port.out->read, memory_order_acquire);
}

bool guest_client_has_room(const guest_client *c, size_t payload_bytes) {
    return unread(c) + sizeof(wire_frame) + payload_bytes <= WIRE_RING_BYTES;
}

/* Room for a frame of the largest size that a request is sent in. */
static bool has_room(const guest_client *c) {
    return guest_client_has_room(c, CHUNK_BYTES + sizeof(wire_data));
}

static tars_status send_hello(guest_client *c, tars_error *err) {
    const guest_client_request *r = &c->request;
    if (c->has_greeted) { /* before this client */
        return TARS_OK;
    }
    wire_hello hello;
    memset(&hello, 0, sizeof hello);
    hello.magic = WIRE_MAGIC;
    hello.version = WIRE_VERSION;
    hello.arithmetic_version = ARITHMETIC_VERSION;
    hello.model_offset = c->model_offset;
    hello.model_bytes = c->model_bytes;
    for (size_t i = 0; r->isa && i + 1 < sizeof hello.isa && r->isa[i]; i++) {
        hello.isa[i] = r->isa[i];
    }
    return wire_send(&c->port, WIRE_HELLO, &hello, sizeof hello, NULL, 0, err);
}

static tars_status send_request(guest_client *c, tars_error *err) {
    const guest_client_kind *kind = c->kind;
    c->section = WIRE_PROMPT;
    return wire_send(&c->port, kind->request, c->request.wire, kind->request_bytes, NULL, 0, err);
}

static tars_status send_section(guest_client *c, tars_error *err) {
    const guest_client_request *r = &c->request;
    const guest_client_section *section = &r->sections[c->section];
    size_t left = section->size_bytes - c->sent;
    if (left == 0) {
        c->section++;
        c->sent = 0;
        return TARS_OK;
    }
    size_t n = left < CHUNK_BYTES ? left : CHUNK_BYTES;
    wire_data data = {.section = c->section};
    const uint8_t *from = (const uint8_t *)section->bytes + c->sent;
    c->sent += n;
    return wire_send(&c->port, WIRE_DATA, &data, sizeof data, from, n, err);
}

static tars_status send_some(guest_client *c, tars_error *err) {
    if (unread(c) > WIRE_RING_BYTES) {
        return error_set(err, TARS_MALFORMED, "the guest has read more than it was sent");
    }
    tars_status status = TARS_OK;
    while (status == TARS_OK && c->section != SECTION_NONE && has_room(c)) {
        if (c->section == SECTION_HELLO) {
            status = send_hello(c, err);
            if (status == TARS_OK) {
                status = send_request(c, err);
            }
        } else if (c->section == SECTION_START) {
            status = wire_send(&c->port, WIRE_START, NULL, 0, NULL, 0, err);
            c->section = SECTION_NONE;
        } else {
            status = send_section(c, err);
        }
    }
    if (status == TARS_OK && c->kind->more && c->section == SECTION_NONE && !c->told_cancel) {
        status = c->kind->more(c, err);
    }
    if (status == TARS_OK && !guest_client_goes_on(c) && !c->told_cancel &&
        c->section == SECTION_NONE && has_room(c)) {
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
    hello.isa[sizeof hello.isa - 1] = '\0';
    c->isa = guest_client_known_isa(hello.isa);
    bool is_wanted = !c->request.isa || strcmp(c->isa, c->request.isa) == 0;
    return c->isa[0] && is_wanted
               ? TARS_OK
               : error_set(err, TARS_MALFORMED, "the guest computes with other kernels than asked");
}

tars_status guest_client_read_result(guest_client *c, tars_error *err) {
    memcpy(&c->result, c->message.payload, sizeof c->result);
    return c->result.memory_bytes <= c->memory_bytes
               ? TARS_OK
               : error_set(err, TARS_MALFORMED, "the guest says that it used more than it had");
}

tars_status guest_client_misfit(tars_error *err) {
    return error_set(err, TARS_MALFORMED, "the guest's result does not fit what it told before");
}

bool guest_client_may_fail_with(tars_status status) {
    static const tars_status allowed[] = {TARS_USAGE,       TARS_MALFORMED,       TARS_UNSUPPORTED,
                                          TARS_UNAVAILABLE, TARS_OUT_OF_MEMORY,   TARS_CORRUPT,
                                          TARS_NUMERIC,     TARS_CONTEXT_EXCEEDED};
    for (size_t i = 0; i < sizeof allowed / sizeof allowed[0]; i++) {
        if (status == allowed[i]) {
            return true;
        }
    }
    return false;
}

static bool is_for_guests(const guest_client_kind *kind, tars_status status) {
    for (size_t i = 0; i < sizeof kind->also / sizeof kind->also[0]; i++) {
        if (status != TARS_OK && status == kind->also[i]) {
            return true;
        }
    }
    return guest_client_may_fail_with(status);
}

static tars_status take_error(guest_client *c, tars_error *err) {
    tars_error failure = {.status = TARS_FAILED};
    c->has_ended = true;
    if (c->told_cancel) { /* the end that was asked for */
        return TARS_OK;
    }
    wire_read_error(&c->message, &failure);
    if (failure.message[0] == '\0') {
        error_set(&failure, failure.status, "the guest failed and did not say why");
    }
    failure.status = is_for_guests(c->kind, failure.status) ? failure.status : TARS_FAILED;
    if (err) {
        *err = failure;
    }
    return failure.status;
}

static tars_status take_log(guest_client *c, tars_error *err) {
    return ++c->n_log_frames <= MAX_LOG_FRAMES
               ? TARS_OK /* nobody reads a guest's log yet; a well-formed one is no offence */
               : error_set(err, TARS_MALFORMED, "the guest fills the log");
}

static tars_status take(guest_client *c, tars_error *err) {
    static tars_status (*const always[WIRE_KIND_COUNT])(guest_client *, tars_error *) = {
        [WIRE_HELLO] = take_hello, [WIRE_ERROR] = take_error, [WIRE_LOG] = take_log};
    wire_kind kind = c->message.kind;
    /* an answer comes after the greeting and the whole request */
    bool is_answer = c->has_greeted && c->section == SECTION_NONE;
    tars_status (*taker)(guest_client *, tars_error *) = always[kind] ? always[kind]
                                                         : is_answer  ? c->kind->takers[kind]
                                                                      : NULL;
    if (!taker || c->has_ended) {
        return error_set(err, TARS_MALFORMED, "the guest sent a frame of kind %u out of order",
                         (unsigned)kind);
    }
    bool is_wanted = always[kind] || c->check == TARS_OK; /* nobody takes the rest of an answer */
    tars_status status = is_wanted             ? taker(c, err)
                         : kind == WIRE_RESULT ? guest_client_read_result(c, err)
                                               : TARS_OK;
    c->has_ended = c->has_ended || (status == TARS_OK && kind == WIRE_RESULT);
    return status;
}

bool guest_client_goes_on(guest_client *c) {
    if (c->check == TARS_OK) {
        c->check = c->request.check(c->request.user, &c->check_error);
    }
    return c->check == TARS_OK;
}

/* One turn takes no more frames than a ring can hold: a guest that writes on meanwhile cannot keep
 * the host from asking whether to go on. */
tars_status guest_client_turn(guest_client *c, tars_error *err) {
    tars_status status = send_some(c, err);
    for (size_t n = 0; status == TARS_OK && n < WIRE_RING_BYTES / sizeof(wire_frame); n++) {
        bool found = false;
        status = wire_poll(&c->port, &c->message, &found, err);
        if (status != TARS_OK || !found) {
            break;
        }
        status = take(c, err);
        if (!c->has_ended) { /* who has had enough gets no more, however much is there */
            (void)guest_client_goes_on(c);
        }
    }
    /* what was asked for just now is there when the guest goes on */
    return status == TARS_OK && c->kind->more && !c->has_ended && !c->told_cancel
               ? c->kind->more(c, err)
               : status;
}

tars_status guest_client_status(const guest_client *c, tars_error *err) {
    if (c->check != TARS_OK && err) {
        *err = c->check_error;
    }
    return c->check;
}
