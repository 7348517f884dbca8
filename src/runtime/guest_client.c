#include "runtime/guest_client.h"

#include "base/utf8.h"
#include "engine/pack.h"
#include "engine/tokenizer/tokenizer.h"

#include <string.h>

enum {
    CHUNK_BYTES = 8 << 10,                                    /* of the request in one frame */
    MAX_TEXT_BYTES_PER_TOKEN = 3 * TOKENIZER_MAX_TOKEN_BYTES, /* U+FFFD for each bad byte */
    MAX_LOG_FRAMES = 1000,
    SECTION_HELLO = 0, /* what is sent, in order; between: wire_section */
    SECTION_START = WIRE_SECTION_COUNT,
    SECTION_NONE
};

const char *const guest_client_isas[] = {"wasm", "wasm_simd128", "scalar", NULL};

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
    c->isa = "";
    sha256_init(&c->hash);
}

/* ---- sending --------------------------------------------------------------------------- */

/* Bytes in the ring that the guest has not read; more than the ring holds when it wrote nonsense
 * into its index. */
static uint32_t unread(const guest_client *c) {
    uint32_t written = atomic_load_explicit(&c->port.out->written, memory_order_relaxed);
    return written - atomic_load_explicit(&c->port.out->read, memory_order_acquire);
}

/* Room for a frame of the largest size this side sends, so that sending never waits. */
static bool has_room(const guest_client *c) {
    return unread(c) <= WIRE_RING_BYTES - (CHUNK_BYTES + 64);
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
    for (size_t i = 0; r->isa && i + 1 < sizeof hello.isa && r->isa[i]; i++) {
        hello.isa[i] = r->isa[i];
    }
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
    if (unread(c) > WIRE_RING_BYTES) {
        return error_set(err, TARS_MALFORMED, "the guest has read more than it was sent");
    }
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
    for (size_t i = 0; guest_client_isas[i]; i++) {
        if (strcmp(hello.isa, guest_client_isas[i]) == 0) {
            c->isa = guest_client_isas[i];
        }
    }
    bool is_wanted = !c->request->isa || strcmp(c->isa, c->request->isa) == 0;
    return c->isa[0] && is_wanted
               ? TARS_OK
               : error_set(err, TARS_MALFORMED, "the guest computes with other kernels than asked");
}

static tars_status take_progress(guest_client *c, tars_error *err) {
    wire_progress progress;
    memcpy(&progress, c->message.payload, sizeof progress);
    if (progress.total != c->request->wire.n_prompt || progress.done > progress.total ||
        progress.done <= c->n_prompt_done || c->n_tokens > 0) {
        return error_set(err, TARS_MALFORMED, "the guest tells an impossible progress");
    }
    c->n_prompt_done = progress.done;
    c->sink.progress(c->sink.user, progress.done, progress.total);
    return TARS_OK;
}

static tars_status take_token(guest_client *c, tars_error *err) {
    wire_token token;
    memcpy(&token, c->message.payload, sizeof token);
    const wire_request *r = &c->request->wire;
    bool wanted = r->logits_hash != 0;
    if (c->n_tokens == r->max_tokens || token.id < 0 || (uint32_t)token.id >= c->request->n_vocab ||
        (token.has_digest != 0) != wanted ||
        (r->kind == WIRE_REPLAY && token.id != c->request->replay[c->n_tokens])) {
        return error_set(err, TARS_MALFORMED, "the guest tells an impossible token");
    }
    c->n_tokens++;
    if (wanted) {
        sha256_update(&c->hash, token.digest, sizeof token.digest);
    }
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
    const wire_result *r = &c->result;
    uint8_t logits_hash[SHA256_DIGEST_BYTES];
    sha256_context hash = c->hash;
    sha256_final(&hash, logits_hash);
    bool is_whole = c->n_tokens > 0 && (r->stopped || c->n_tokens == c->request->wire.max_tokens);
    if (r->n_tokens != c->n_tokens || r->stopped > 1 ||
        r->memory_bytes > c->request->memory_bytes ||
        memcmp(r->logits_hash, logits_hash, sizeof logits_hash) != 0 ||
        (!is_whole && c->check == TARS_OK)) {
        return error_set(err, TARS_MALFORMED,
                         "the guest's result does not fit what it told before");
    }
    c->has_ended = true;
    return TARS_OK;
}

/* What a guest may fail with. It may not claim, say, that the user cancelled. */
static bool is_for_guests(tars_status status) {
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

static tars_status take_error(guest_client *c, tars_error *err) {
    tars_error failure = {.status = TARS_FAILED};
    wire_read_error(&c->message, &failure);
    c->has_ended = true;
    failure.status = is_for_guests(failure.status) ? failure.status : TARS_FAILED;
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
    static const struct {
        tars_status (*take)(guest_client *, tars_error *);
        bool is_answer; /* comes after the greeting and the whole request */
    } takers[WIRE_KIND_COUNT] = {
        [WIRE_HELLO] = {take_hello, false},  [WIRE_PROGRESS] = {take_progress, true},
        [WIRE_TOKEN] = {take_token, true},   [WIRE_TEXT] = {take_text, true},
        [WIRE_RESULT] = {take_result, true}, [WIRE_ERROR] = {take_error, false},
        [WIRE_LOG] = {take_log, false},
    };
    wire_kind kind = c->message.kind;
    bool is_early = takers[kind].is_answer && (!c->has_greeted || c->section != SECTION_NONE);
    if (!takers[kind].take || is_early || c->has_ended) {
        return error_set(err, TARS_MALFORMED, "the guest sent a frame of kind %u out of order",
                         (unsigned)kind);
    }
    return takers[kind].take(c, err);
}

bool guest_client_goes_on(guest_client *c) {
    if (c->check == TARS_OK) {
        c->check = c->sink.check(c->sink.user, &c->check_error);
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
    }
    return status;
}

tars_status guest_client_status(const guest_client *c, tars_error *err) {
    if (c->check != TARS_OK && err) {
        *err = c->check_error;
    }
    return c->check;
}
