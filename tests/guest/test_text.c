/* Ids, texts and vectors over the wire: what neither side can make the other believe. */
#include "guest_thread.h"

#include "runtime/guest_embed.h"
#include "runtime/guest_text.h"

#include <math.h>

enum { N_VOCAB = 100, MOST_IDS = 8, N_EMBD = 3 };

/* ---- the host -------------------------------------------------------------------------- */

typedef struct heard {
    size_t n_ids, n_bytes;
    uint32_t last_text;
} heard;

static tars_status hear_ids(void *user, uint32_t text, const wire_id *ids, size_t n,
                            tars_error *err) {
    (void)err;
    heard *h = user;
    for (size_t i = 0; i < n; i++) {
        CHECK(ids[i].id >= 0 && ids[i].id < N_VOCAB);
    }
    CHECK(text >= h->last_text && text < 2);
    h->last_text = text;
    h->n_ids += n;
    CHECK(h->n_ids <= MOST_IDS);
    return TARS_OK;
}

static tars_status hear_bytes(void *user, const char *bytes, size_t length, tars_error *err) {
    (void)bytes;
    (void)err;
    ((heard *)user)->n_bytes += length;
    return TARS_OK;
}

static tars_status go_on(void *user, tars_error *err) {
    (void)user;
    (void)err;
    return TARS_OK;
}

static const uint32_t two_lengths[] = {2, 3};

static guest_encode_request two_texts(bool pieces) {
    return (guest_encode_request){
        .n_vocab = N_VOCAB,
        .most_ids = MOST_IDS,
        .wire = {.n_texts = 2, .max_ids = 4, .pieces = pieces, .text_bytes = 5},
        .lengths = two_lengths,
        .words = "abcde"};
}

/* ---- a hostile guest ------------------------------------------------------------------- */

typedef struct lie {
    const char *name;
    said frames[4];
    size_t n;
    tars_status expected;
} lie;

static void judge(const lie *l, tars_status status, const tars_error *err) {
    if (status != l->expected) {
        check_fail(__FILE__, __LINE__, "%s: status %d: %s", l->name, (int)status, err->message);
    }
}

typedef struct ids_frame {
    wire_ids head;
    wire_id ids[5];
} ids_frame;

#define IDS(f, n) {WIRE_IDS, &(f), sizeof(wire_ids) + (n) * sizeof(wire_id)}
#define TEXT(t) {WIRE_TEXT, t, sizeof(t) - 1}
#define RESULT(r) {WIRE_RESULT, &(r), sizeof(wire_result)}

static void lies_about_ids_are_refused(void) {
    set_up();
    const ids_frame first = {.ids = {{1, 0}, {99, 0}, {0, 0}, {7, 0}, {7, 0}}};
    const ids_frame second = {.head = {.text = 1}, .ids = {{5, 0}}};
    const ids_frame third = {.head = {.text = 2}, .ids = {{5, 0}}};
    const ids_frame odd = {.head = {.reserved = 1}, .ids = {{5, 0}}};
    const ids_frame negative = {.ids = {{-1, 0}}};
    const ids_frame beyond = {.ids = {{N_VOCAB, 0}}};
    const ids_frame unwanted = {.ids = {{1, 1}}};
    const wire_result good = {.n_tokens = 5, .n_bytes = 5};
    const wire_result miscounted = {.n_tokens = 4, .n_bytes = 5};
    const wire_result shorter = {.n_tokens = 5, .n_bytes = 4};
    const wire_result huge = {.n_tokens = 5, .n_bytes = 5, .memory_bytes = GUEST_MEMORY_BYTES + 1};
    const lie lies[] = {
        {"the truth", {GREETING, IDS(first, 4), IDS(second, 1), RESULT(good)}, 4, TARS_OK},
        {"in parts", {GREETING, IDS(first, 2), IDS(first, 2)}, 3, TARS_OK},
        {"more than wanted of a text", {GREETING, IDS(first, 5)}, 2, TARS_MALFORMED},
        {"more in parts", {GREETING, IDS(first, 3), IDS(first, 2)}, 3, TARS_MALFORMED},
        {"back to a text", {GREETING, IDS(second, 1), IDS(first, 1)}, 3, TARS_MALFORMED},
        {"of no text", {GREETING, IDS(third, 1)}, 2, TARS_MALFORMED},
        {"a reserved field", {GREETING, IDS(odd, 1)}, 2, TARS_MALFORMED},
        {"a negative id", {GREETING, IDS(negative, 1)}, 2, TARS_MALFORMED},
        {"an id beyond", {GREETING, IDS(beyond, 1)}, 2, TARS_MALFORMED},
        {"a piece that nobody wants", {GREETING, IDS(unwanted, 1)}, 2, TARS_MALFORMED},
        {"half an id", {GREETING, {WIRE_IDS, &first, sizeof(wire_ids) + 12}}, 2, TARS_MALFORMED},
        {"text", {GREETING, TEXT("a")}, 2, TARS_MALFORMED},
        {"a vector", {GREETING, {WIRE_VECTORS, &first, 4}}, 2, TARS_MALFORMED},
        {"before the greeting", {IDS(first, 1)}, 1, TARS_MALFORMED},
        {"another number",
         {GREETING, IDS(first, 4), IDS(second, 1), RESULT(miscounted)},
         4,
         TARS_MALFORMED},
        {"other bytes",
         {GREETING, IDS(first, 4), IDS(second, 1), RESULT(shorter)},
         4,
         TARS_MALFORMED},
        {"more memory", {GREETING, IDS(first, 4), IDS(second, 1), RESULT(huge)}, 4, TARS_MALFORMED},
    };
    for (size_t i = 0; i < sizeof lies / sizeof lies[0]; i++) {
        static guest_encode e;
        heard h = {0};
        guest_encode_request r = two_texts(false);
        guest_encode_sink sink = {&h, hear_ids, hear_bytes, go_on};
        tars_error err = {0};
        guest_encode_init(&e, &r, &sink);
        judge(&lies[i], guest_says(&e.client, lies[i].frames, lies[i].n, &err), &err);
    }
}

static void lies_about_pieces_are_refused(void) {
    set_up();
    const ids_frame ids = {.ids = {{1, 2}, {2, 0}, {3, 1}}};
    const ids_frame huge = {.ids = {{1, UINT32_MAX}}};
    const wire_result good = {.n_tokens = 3, .n_bytes = 5};
    const lie lies[] = {
        {"the truth", {GREETING, IDS(ids, 3), TEXT("\xff\xfe\x01"), RESULT(good)}, 4, TARS_OK},
        {"too many bytes", {GREETING, IDS(ids, 3), TEXT("abcd")}, 3, TARS_MALFORMED},
        {"too few bytes", {GREETING, IDS(ids, 3), TEXT("ab"), RESULT(good)}, 4, TARS_MALFORMED},
        {"ids before the bytes", {GREETING, IDS(ids, 1), IDS(ids, 1)}, 3, TARS_MALFORMED},
        {"a piece that no token has", {GREETING, IDS(huge, 1)}, 2, TARS_MALFORMED},
        {"bytes of nothing", {GREETING, TEXT("a")}, 2, TARS_MALFORMED},
    };
    for (size_t i = 0; i < sizeof lies / sizeof lies[0]; i++) {
        static guest_encode e;
        heard h = {0};
        guest_encode_request r = two_texts(true);
        guest_encode_sink sink = {&h, hear_ids, hear_bytes, go_on};
        tars_error err = {0};
        guest_encode_init(&e, &r, &sink);
        judge(&lies[i], guest_says(&e.client, lies[i].frames, lies[i].n, &err), &err);
    }
}

static void lies_about_text_are_refused(void) {
    set_up();
    static const int32_t ids[] = {1};
    static char much[WIRE_MAX_PAYLOAD];
    memset(much, 'a', sizeof much);
    const wire_result good = {0};
    const lie lies[] = {
        {"the truth", {GREETING, TEXT("Zo\xc3\xab"), RESULT(good)}, 3, TARS_OK},
        {"no text at all", {GREETING, RESULT(good)}, 2, TARS_OK},
        {"no UTF-8", {GREETING, TEXT("Zo\xc3")}, 2, TARS_MALFORMED},
        {"ids", {GREETING, {WIRE_IDS, much, 16}}, 2, TARS_MALFORMED},
        {"a token", {GREETING, {WIRE_TOKEN, much, sizeof(wire_token)}}, 2, TARS_MALFORMED},
    };
    static guest_decode d;
    heard h = {0};
    guest_decode_request r = {.wire = {.n_ids = 1}, .ids = ids};
    guest_decode_sink sink = {&h, hear_bytes, go_on};
    tars_error err = {0};
    for (size_t i = 0; i < sizeof lies / sizeof lies[0]; i++) {
        guest_decode_init(&d, &r, &sink);
        judge(&lies[i], guest_says(&d.client, lies[i].frames, lies[i].n, &err), &err);
    }
    /* more than a token can be */
    guest_decode_init(&d, &r, &sink);
    d.n_bytes = 3 * 65536 - 1;
    const lie endless = {"endless", {GREETING, TEXT("ab")}, 2, TARS_MALFORMED};
    judge(&endless, guest_says(&d.client, endless.frames, endless.n, &err), &err);
}

static void lies_about_vectors_are_refused(void) {
    set_up();
    static const uint32_t lengths[] = {1, 1};
    static const int32_t ids[] = {1, 2};
    static const float numbers[7] = {1, 2, 3, 4, 5, 6, 7};
    static const float no_number[6] = {1, 2, NAN, 4, 5, 6};
    static const float endless[6] = {1, 2, 3, 4, 5, -INFINITY};
    const wire_result good = {0};
    const lie lies[] = {
        {"the truth", {GREETING, {WIRE_VECTORS, numbers, 24}, RESULT(good)}, 3, TARS_OK},
        {"no number", {GREETING, {WIRE_VECTORS, no_number, 24}}, 2, TARS_MALFORMED},
        {"an endless one", {GREETING, {WIRE_VECTORS, endless, 24}}, 2, TARS_MALFORMED},
        {"one too many", {GREETING, {WIRE_VECTORS, numbers, 28}}, 2, TARS_MALFORMED},
        {"one too few", {GREETING, {WIRE_VECTORS, numbers, 20}, RESULT(good)}, 3, TARS_MALFORMED},
        {"half a number", {GREETING, {WIRE_VECTORS, numbers, 6}}, 2, TARS_MALFORMED},
        {"after the last",
         {GREETING, {WIRE_VECTORS, numbers, 24}, {WIRE_VECTORS, numbers, 4}},
         3,
         TARS_MALFORMED},
        {"text", {GREETING, TEXT("a")}, 2, TARS_MALFORMED},
    };
    for (size_t i = 0; i < sizeof lies / sizeof lies[0]; i++) {
        static guest_embed e;
        float vectors[2 * N_EMBD] = {0};
        guest_embed_request r = {.n_embd = N_EMBD,
                                 .wire = {.n_texts = 2, .max_ids = 1, .n_ids = 2},
                                 .lengths = lengths,
                                 .ids = ids,
                                 .vectors = vectors,
                                 .check = go_on};
        tars_error err = {0};
        guest_embed_init(&e, &r);
        judge(&lies[i], guest_says(&e.client, lies[i].frames, lies[i].n, &err), &err);
    }
}

/* ---- a hostile host -------------------------------------------------------------------- */

typedef struct data_frame {
    wire_data head;
    uint32_t values[2];
} data_frame;

/* What the guest, with the tiny decoder, makes of frames from a host. */
static tars_status guest_hears(const said *frames, size_t n) {
    static wire_area area;
    wire_area_clear(&area);
    guest_thread g = {.area = &area, .memory_bytes = GUEST_MEMORY_BYTES, .host_is_gone = 1};
    wire_port port = {.in = &area.to_host, .out = &area.to_guest, .wait = nobody};
    tars_error err = {0};
    wire_hello hello = guest_hello;
    hello.model_offset = 1;
    hello.model_bytes = tiny->pack.size_bytes;
    CHECK_INT(wire_send(&port, WIRE_HELLO, &hello, sizeof hello, NULL, 0, &err), TARS_OK);
    for (size_t i = 0; i < n; i++) {
        CHECK_INT(wire_send(&port, frames[i].kind, frames[i].payload, frames[i].size_bytes, NULL, 0,
                            &err),
                  TARS_OK);
    }
    guest_main(&g);
    return g.status;
}

#define ENCODE(e) {WIRE_ENCODE, &(e), sizeof(wire_encode)}
#define DECODE(d) {WIRE_DECODE, &(d), sizeof(wire_decode)}
#define DATA(d) {WIRE_DATA, &(d), sizeof(data_frame)}
#define START {WIRE_START, NULL, 0}

static void bad_requests_are_refused_by_the_guest(void) {
    set_up();
    const wire_encode texts = {.n_texts = 2, .text_bytes = 8};
    const wire_encode none = {.text_bytes = 8};
    const wire_encode both = {.n_texts = 1, .n_messages = 1, .text_bytes = 8};
    const wire_encode many = {.n_texts = WIRE_MAX_TEXTS + 1, .text_bytes = 8};
    const wire_encode huge = {.n_texts = 2, .text_bytes = UINT64_MAX};
    const wire_encode odd = {.n_texts = 2, .text_bytes = 8, .reserved = 1};
    const wire_encode talk = {.n_messages = 1, .text_bytes = 8};
    const data_frame lengths = {{.section = WIRE_LENGTHS}, {3, 5}};
    const data_frame wrong = {{.section = WIRE_LENGTHS}, {3, 6}};
    const data_frame words = {{.section = WIRE_WORDS}, {0x61616161, 0x61616161}};
    const data_frame ends = {{.section = WIRE_WORDS}, {0x00616161, 0x00616161}};
    const data_frame more = {{.section = WIRE_WORDS}, {0x00610061, 0x00616161}};
    const wire_decode ids = {.n_ids = 2};
    const wire_decode endless = {.n_ids = UINT32_MAX};
    const data_frame no_ids = {{.section = WIRE_PROMPT}, {UINT32_MAX, 1}};
    const wire_embed embed = {.n_texts = 1, .max_ids = 1, .n_ids = 1};
    const struct {
        said frames[4];
        size_t n;
        tars_status expected; /* UNAVAILABLE: it was served, and the host is gone */
    } cases[] = {
        {{ENCODE(texts), DATA(lengths), DATA(words), START}, 4, TARS_UNAVAILABLE},
        {{ENCODE(texts), DATA(wrong), DATA(words), START}, 4, TARS_MALFORMED},
        {{ENCODE(texts), DATA(lengths), START}, 3, TARS_MALFORMED},
        {{ENCODE(texts), DATA(no_ids)}, 2, TARS_MALFORMED},
        {{ENCODE(none)}, 1, TARS_MALFORMED},
        {{ENCODE(both)}, 1, TARS_MALFORMED},
        {{ENCODE(many)}, 1, TARS_MALFORMED},
        {{ENCODE(huge)}, 1, TARS_MALFORMED},
        {{ENCODE(odd)}, 1, TARS_MALFORMED},
        {{ENCODE(talk), DATA(ends), START}, 3, TARS_UNAVAILABLE},
        {{ENCODE(talk), DATA(words), START}, 3, TARS_MALFORMED},
        {{ENCODE(talk), DATA(more), START}, 3, TARS_MALFORMED},
        {{DECODE(ids), DATA(no_ids), START}, 3, TARS_UNAVAILABLE}, /* told as an error */
        {{DECODE(ids), DATA(lengths)}, 2, TARS_MALFORMED},
        {{DECODE(endless)}, 1, TARS_OUT_OF_MEMORY},
        {{{WIRE_EMBED, &embed, sizeof embed}}, 1, TARS_UNSUPPORTED}, /* of a decoder */
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        tars_status status = guest_hears(cases[i].frames, cases[i].n);
        if (status != cases[i].expected) {
            check_fail(__FILE__, __LINE__, "case %zu: status %d", i, (int)status);
        }
    }
}

static const check_test tests[] = {
    {"lies about ids are refused", lies_about_ids_are_refused},
    {"lies about pieces are refused", lies_about_pieces_are_refused},
    {"lies about text are refused", lies_about_text_are_refused},
    {"lies about vectors are refused", lies_about_vectors_are_refused},
    {"bad requests are refused by the guest", bad_requests_are_refused_by_the_guest},
    {"tear down", tear_down},
};
CHECK_MAIN(tests)
