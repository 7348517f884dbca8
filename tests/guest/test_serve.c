/* A guest and its host side in one process: two threads that share the rings, and a host side
 * that a hostile guest talks to. */
#include "guest_thread.h"
#include "runtime/guest_answer.h"

enum { MAX_IDS = 64 };

/* ---- the host -------------------------------------------------------------------------- */

typedef struct heard {
    int32_t ids[MAX_IDS];
    size_t n_ids;
    char text[1024];
    size_t n_text;
    uint64_t progress;
    size_t cancel_after;
    uint8_t last_digest[32];
} heard;

static tars_status hear_token(void *user, int32_t id, const uint8_t *digest, tars_error *err) {
    (void)err;
    heard *h = user;
    if (h->n_ids < MAX_IDS) {
        h->ids[h->n_ids] = id;
    }
    h->n_ids++;
    if (digest) {
        memcpy(h->last_digest, digest, sizeof h->last_digest);
    }
    return TARS_OK;
}

static tars_status hear_text(void *user, const char *bytes, size_t length, tars_error *err) {
    (void)err;
    heard *h = user;
    size_t n = length < sizeof h->text - h->n_text ? length : sizeof h->text - h->n_text;
    memcpy(h->text + h->n_text, bytes, n);
    h->n_text += n;
    return TARS_OK;
}

static void hear_progress(void *user, uint64_t done, uint64_t total) {
    (void)total;
    ((heard *)user)->progress = done;
}

static tars_status check_cancel(void *user, tars_error *err) {
    heard *h = user;
    return h->cancel_after > 0 && h->n_ids >= h->cancel_after
               ? error_set(err, TARS_CANCELLED, "enough")
               : TARS_OK;
}

static guest_answer_sink sink_of(heard *h) {
    return (guest_answer_sink){.user = h,
                               .token = hear_token,
                               .text = hear_text,
                               .progress = hear_progress,
                               .check = check_cancel};
}

static uint64_t model_offset = 1; /* that the host tells */
static const int32_t prompt_ids[] = {5, 9, 2, 77, 31, 8};

static guest_answer_request request_of(const char *stops, uint32_t n_stops, size_t stop_bytes) {
    guest_answer_request r = {
        .n_vocab = tiny->pack.hparams->n_vocab, .prompt = prompt_ids, .stops = stops};
    r.wire = (wire_request){.kind = WIRE_GENERATE,
                            .max_tokens = 20,
                            .n_context = 40,
                            .batch = 4,
                            .temperature = 0.9f,
                            .top_k = 30,
                            .top_p = 1,
                            .repeat_penalty = 1.1f,
                            .kv_type = 1,
                            .seed = 42,
                            .logits_hash = 1,
                            .n_prompt = 6,
                            .n_stops = n_stops,
                            .stop_bytes = stop_bytes};
    return r;
}

/* Runs the request against a guest of its own. */
static tars_status ask(const guest_answer_request *r, size_t memory_bytes, heard *h,
                       guest_answer *c, guest_thread *g, tars_error *err) {
    guest_answer_sink sink = sink_of(h);
    guest_answer_init(c, r, &sink);
    return guest_talk(g, &c->client, model_offset, tiny->pack.size_bytes, memory_bytes, err);
}

/* The same request through the API, in the native runtime. */
static void check_against_native(const heard *h, const guest_answer *c, const char *const *stops,
                                 size_t n_stops) {
    tars_request r = TARS_REQUEST_DEFAULTS;
    r.kind = TARS_REQUEST_GENERATE;
    r.model = tiny;
    r.ids = prompt_ids;
    r.n_ids = 6;
    r.sampling = (tars_sampling){
        .temperature = 0.9f, .top_k = 30, .top_p = 1, .repeat_penalty = 1.1f, .seed = 42};
    r.limits.max_tokens = 20;
    r.limits.context = 40;
    r.stops = stops;
    r.n_stops = n_stops;
    r.logits_hash = true;
    tars_job *job;
    tars_error err;
    tars_result result = {.size_bytes = sizeof result};
    CHECK_INT(tars_submit(context, &r, NULL, &job, &err), TARS_OK);
    CHECK_INT(tars_job_wait(job, &result, &err), TARS_OK);
    CHECK_INT(h->n_ids, result.n_ids);
    CHECK_BYTES(h->ids, result.ids, result.n_ids * sizeof(int32_t));
    CHECK_INT(h->n_text, result.text_length);
    CHECK_BYTES(h->text, result.text, result.text_length);
    CHECK_BYTES(h->last_digest, result.digests[result.n_digests - 1], 32);
    char hash[SHA256_HEX_BYTES];
    sha256_hex(c->client.result.logits_hash, hash);
    CHECK_STRING(hash, result.logits_hash);
    CHECK_STRING(c->client.result.stopped ? "stop" : "length", result.finish_reason);
    tars_job_destroy(job);
}

static void a_guest_answers_as_native_does(void) {
    set_up();
    static heard h;
    static guest_answer c;
    guest_thread g;
    tars_error err = {0};
    guest_answer_request r = request_of(NULL, 0, 0);
    CHECK_INT(ask(&r, GUEST_MEMORY_BYTES, &h, &c, &g, &err), TARS_OK);
    CHECK_INT(g.status, TARS_UNAVAILABLE); /* the host went away */
    CHECK_INT(h.n_ids, 20);
    CHECK_INT(h.progress, 6);
    CHECK_STRING(c.client.isa, "scalar");
    check_against_native(&h, &c, NULL, 0);
    /* stop at something that the answer has in its middle */
    char stop[8] = {0};
    size_t at = h.n_text / 2;
    while (at > 0 && ((unsigned char)h.text[at] & 0xC0) == 0x80) {
        at--;
    }
    stop[0] = h.text[at];
    for (size_t i = 1; i < 4 && ((unsigned char)h.text[at + i] & 0xC0) == 0x80; i++) {
        stop[i] = h.text[at + i];
    }
    const char *stops[] = {"not in it", stop};
    char stop_bytes[32];
    size_t n = (size_t)snprintf(stop_bytes, sizeof stop_bytes, "%s%c%s", stops[0], 0, stop) + 1;
    r = request_of(stop_bytes, 2, n);
    h = (heard){0};
    CHECK_INT(ask(&r, GUEST_MEMORY_BYTES, &h, &c, &g, &err), TARS_OK);
    check_against_native(&h, &c, stops, 2);
}

static void cancelling_ends_the_answer(void) {
    set_up();
    static heard h;
    static guest_answer c;
    guest_thread g;
    tars_error err = {0};
    h = (heard){.cancel_after = 3};
    guest_answer_request r = request_of(NULL, 0, 0);
    r.wire.max_tokens = 2000;
    r.wire.n_context = tiny->pack.hparams->context_length;
    r.wire.max_tokens = r.wire.n_context - r.wire.n_prompt;
    CHECK_INT(ask(&r, GUEST_MEMORY_BYTES, &h, &c, &g, &err), TARS_CANCELLED);
    CHECK(c.client.told_cancel);
    CHECK(h.n_ids >= 3);
}

static void failures_of_the_guest_are_told(void) {
    set_up();
    static heard h;
    static guest_answer c;
    guest_thread g;
    tars_error err = {0};
    guest_answer_request r = request_of(NULL, 0, 0);
    CHECK_INT(ask(&r, 48 << 10, &h, &c, &g, &err), TARS_OUT_OF_MEMORY);
    model_offset = 0;
    CHECK_INT(ask(&r, GUEST_MEMORY_BYTES, &h, &c, &g, &err), TARS_MALFORMED);
    CHECK(strstr(err.message, "model") != NULL);
    model_offset = 1;
    r = request_of(NULL, 0, 0);
    r.isa = "mmx";
    CHECK_INT(ask(&r, GUEST_MEMORY_BYTES, &h, &c, &g, &err), TARS_UNAVAILABLE);
}

/* Requests that a host must not be able to hurt a guest with. */
static void bad_requests_are_refused_by_the_guest(void) {
    set_up();
    static heard h;
    static guest_answer c;
    guest_thread g;
#define FIELD(name, value) {offsetof(wire_request, name), value}
    static const struct {
        size_t offset;
        uint32_t value;
    } changes[] = {
        FIELD(kind, 9),           FIELD(kind, WIRE_REPLAY), /* without tokens to replay */
        FIELD(kv_type, 7),        FIELD(max_tokens, 0),         FIELD(max_tokens, UINT32_MAX),
        FIELD(n_context, 6),      FIELD(n_context, UINT32_MAX), FIELD(batch, 0),
        FIELD(batch, UINT32_MAX), FIELD(n_replay, 3),           FIELD(n_stops, UINT32_MAX),
        FIELD(n_stops, 1), /* without bytes */
    };
#undef FIELD
    for (size_t i = 0; i < sizeof changes / sizeof changes[0]; i++) {
        tars_error err = {0};
        guest_answer_request r = request_of("ab", 0, 0);
        memcpy((uint8_t *)&r.wire + changes[i].offset, &changes[i].value, sizeof(uint32_t));
        if (changes[i].offset == offsetof(wire_request, n_replay)) {
            r.replay = prompt_ids;
        }
        CHECK_INT(ask(&r, GUEST_MEMORY_BYTES, &h, &c, &g, &err), TARS_MALFORMED);
        CHECK_INT(g.status, TARS_MALFORMED);
    }
    tars_error err = {0};
    guest_answer_request r = request_of("ab", 1, 2);
    CHECK_INT(ask(&r, GUEST_MEMORY_BYTES, &h, &c, &g, &err), TARS_MALFORMED);
    r = request_of("\0\0", 2, 2); /* empty ones */
    CHECK_INT(ask(&r, GUEST_MEMORY_BYTES, &h, &c, &g, &err), TARS_MALFORMED);
}

/* ---- a hostile guest ------------------------------------------------------------------- */

/* What the host makes of these frames. */
static tars_status hear(const said *frames, size_t n, bool logits_hash, tars_error *err) {
    static heard h;
    static guest_answer c;
    h = (heard){0};
    guest_answer_request r = request_of(NULL, 0, 0);
    r.wire.logits_hash = logits_hash;
    guest_answer_sink sink = sink_of(&h);
    guest_answer_init(&c, &r, &sink);
    return guest_says(&c.client, frames, n, err);
}

typedef struct hostile_case {
    said frames[3];
    size_t n;
    tars_status expected;
} hostile_case;

static void try_cases(const hostile_case *cases, size_t n) {
    for (size_t i = 0; i < n; i++) {
        tars_error err = {0};
        tars_status status = hear(cases[i].frames, cases[i].n, false, &err);
        if (status != cases[i].expected) {
            check_fail(__FILE__, __LINE__, "case %zu: status %d: %s", i, (int)status, err.message);
        }
    }
}

static const wire_token token = {.id = 3};
#define TOKEN {WIRE_TOKEN, &token, sizeof token}

static void a_hostile_guest_is_cut_off(void) {
    set_up();
    wire_hello old = guest_hello;
    old.version = 0;
    wire_hello unknown = guest_hello;
    unknown.isa[0] = 'S';
    wire_token negative = {.id = -1};
    wire_token beyond = {.id = (int32_t)tiny->pack.hparams->n_vocab};
    wire_token digested = {.id = 3, .has_digest = 1};
    wire_progress progress = {7, 6};
    wire_progress half = {3, 6};
    const hostile_case cases[] = {
        {{GREETING}, 1, TARS_OK},
        {{GREETING, TOKEN, {WIRE_TEXT, "a", 1}}, 3, TARS_OK},
        {{{WIRE_HELLO, &old, sizeof old}}, 1, TARS_MALFORMED},
        {{{WIRE_HELLO, &unknown, sizeof unknown}}, 1, TARS_MALFORMED},
        {{GREETING, GREETING}, 2, TARS_MALFORMED},
        {{TOKEN}, 1, TARS_MALFORMED},
        {{GREETING, {WIRE_TOKEN, &negative, sizeof token}}, 2, TARS_MALFORMED},
        {{GREETING, {WIRE_TOKEN, &beyond, sizeof token}}, 2, TARS_MALFORMED},
        {{GREETING, {WIRE_TOKEN, &digested, sizeof token}}, 2, TARS_MALFORMED},
        {{GREETING, {WIRE_TOKEN, &token, 3}}, 2, TARS_MALFORMED},
        {{GREETING, {WIRE_TEXT, "a", 1}}, 2, TARS_MALFORMED}, /* of no token */
        {{GREETING, TOKEN, {WIRE_TEXT, "\xff", 1}}, 3, TARS_MALFORMED},
        {{GREETING, {WIRE_PROGRESS, &progress, sizeof progress}}, 2, TARS_MALFORMED},
        {{GREETING, {WIRE_PROGRESS, &half, sizeof half}}, 2, TARS_OK},
        {{GREETING, {WIRE_PROGRESS, &half, sizeof half}, {WIRE_PROGRESS, &half, sizeof half}},
         3,
         TARS_MALFORMED},
        {{GREETING, TOKEN, {WIRE_PROGRESS, &half, sizeof half}}, 3, TARS_MALFORMED},
        {{GREETING, {WIRE_START, NULL, 0}}, 2, TARS_MALFORMED},
        {{GREETING, {WIRE_KIND_COUNT, NULL, 0}}, 2, TARS_MALFORMED},
        {{GREETING, {WIRE_LOG, "\x1b[2J", 4}}, 2, TARS_OK},
    };
    try_cases(cases, sizeof cases / sizeof cases[0]);
}

static void impossible_results_are_refused(void) {
    set_up();
    wire_result none = {.n_tokens = 0, .stopped = 1};
    sha256_context no_digests;
    sha256_init(&no_digests);
    sha256_final(&no_digests, none.logits_hash);
    wire_result good = none;
    good.n_tokens = 1;
    wire_result early = good; /* after one of 20 tokens, without a reason */
    early.stopped = 0;
    wire_result huge = good;
    huge.memory_bytes = GUEST_MEMORY_BYTES + 1;
    wire_result forged = good;
    forged.logits_hash[0] ^= 1;
    wire_error failure = {.status = 99};
    memset(&failure.error, 'A', sizeof failure.error); /* no text has an end */
    wire_error cancelled = {.status = TARS_CANCELLED};
    wire_error numeric = {.status = TARS_NUMERIC};
    const hostile_case cases[] = {
        {{GREETING, TOKEN, {WIRE_RESULT, &good, sizeof good}}, 3, TARS_OK},
        {{GREETING, {WIRE_RESULT, &good, sizeof good}}, 2, TARS_MALFORMED},
        {{GREETING, {WIRE_RESULT, &none, sizeof none}}, 2, TARS_MALFORMED},
        {{GREETING, TOKEN, {WIRE_RESULT, &none, sizeof none}}, 3, TARS_MALFORMED},
        {{GREETING, TOKEN, {WIRE_RESULT, &early, sizeof early}}, 3, TARS_MALFORMED},
        {{GREETING, TOKEN, {WIRE_RESULT, &huge, sizeof huge}}, 3, TARS_MALFORMED},
        {{GREETING, TOKEN, {WIRE_RESULT, &forged, sizeof forged}}, 3, TARS_MALFORMED},
        {{GREETING, {WIRE_ERROR, &failure, sizeof failure}}, 2, TARS_FAILED},
        {{GREETING, {WIRE_ERROR, &cancelled, sizeof cancelled}}, 2, TARS_FAILED},
        {{GREETING, {WIRE_ERROR, &numeric, sizeof numeric}}, 2, TARS_NUMERIC},
    };
    try_cases(cases, sizeof cases / sizeof cases[0]);
}

static void impossible_indices_are_refused(void) {
    static wire_area area;
    wire_port port = {.in = &area.to_host, .out = &area.to_guest, .wait = nobody};
    static wire_message message;
    static const struct {
        uint32_t written, read;
        tars_status expected;
    } cases[] = {
        {0, 0, TARS_OK},
        {5, 5, TARS_OK},
        {UINT32_MAX, UINT32_MAX, TARS_OK},
        {0, 1, TARS_MALFORMED},
        {WIRE_RING_BYTES + 1, 0, TARS_MALFORMED},
        {UINT32_MAX, 0, TARS_MALFORMED},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        wire_area_clear(&area);
        atomic_store(&area.to_host.written, cases[i].written);
        atomic_store(&area.to_host.read, cases[i].read);
        atomic_store(&area.to_guest.written, cases[i].written);
        atomic_store(&area.to_guest.read, cases[i].read);
        bool found;
        tars_error err;
        CHECK_INT(wire_poll(&port, &message, &found, &err), cases[i].expected);
        CHECK(!found);
        CHECK_INT(wire_send(&port, WIRE_CANCEL, NULL, 0, NULL, 0, &err), cases[i].expected);
    }
}

/* More than the ring holds, its indices wrapping past 2^32 on the way. */
static void long_streams_arrive_whole(void) {
    static wire_area area;
    wire_area_clear(&area);
    atomic_store(&area.to_host.written, UINT32_MAX - 1000);
    atomic_store(&area.to_host.read, UINT32_MAX - 1000);
    wire_port other = {.in = &area.to_guest, .out = &area.to_host, .wait = nobody};
    wire_port host = {.in = &area.to_host, .out = &area.to_guest, .wait = nobody};
    static uint8_t payload[WIRE_MAX_PAYLOAD];
    static wire_message message;
    tars_error err;
    uint64_t state = 3;
    for (unsigned i = 0; i < 2000; i++) {
        size_t n = 1 + check_random(&state) % sizeof payload;
        memset(payload, (int)(i % 251), n);
        size_t head = check_random(&state) % (n + 1);
        CHECK_INT(wire_send(&other, WIRE_LOG, payload, head, payload + head, n - head, &err),
                  TARS_OK);
        bool found;
        CHECK_INT(wire_poll(&host, &message, &found, &err), TARS_OK);
        CHECK(found);
        CHECK_INT(message.size_bytes, n);
        CHECK(memcmp(message.payload, payload, n) == 0);
    }
    CHECK_INT(wire_send(&other, WIRE_LOG, payload, sizeof payload, payload, 1, &err), TARS_LIMIT);
}

static const check_test tests[] = {
    {"a guest answers as native does", a_guest_answers_as_native_does},
    {"cancelling ends the answer", cancelling_ends_the_answer},
    {"failures of the guest are told", failures_of_the_guest_are_told},
    {"bad requests are refused by the guest", bad_requests_are_refused_by_the_guest},
    {"a hostile guest is cut off", a_hostile_guest_is_cut_off},
    {"impossible results are refused", impossible_results_are_refused},
    {"impossible indices are refused", impossible_indices_are_refused},
    {"long streams arrive whole", long_streams_arrive_whole},
    {"tear down", tear_down},
};
CHECK_MAIN(tests)
