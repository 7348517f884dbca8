/* Texts and conversations to ids, and ids to text. */
#include "guest/service.h"

#include "engine/prompt.h"

#include <string.h>

/* ---- to ids ---------------------------------------------------------------------------- */

typedef struct encode {
    wire_encode wire;
    uint32_t *lengths; /* [n_texts] */
    char *words;
    chat_template_message *messages; /* [n_messages] */
    char *rendered;                  /* what the template wrote, at the arena's end */
    size_t n_rendered;
} encode;

static tars_status check_encode(const wire_encode *w, tars_error *err) {
    bool is_conversation = w->n_messages > 0;
    if ((w->n_texts > 0) == is_conversation || w->n_texts > WIRE_MAX_TEXTS ||
        w->n_messages > WIRE_MAX_MESSAGES || w->text_bytes > SIZE_MAX / 4 || w->pieces > 1 ||
        w->reserved != 0) {
        return error_set(err, TARS_MALFORMED, "a request to encode %u texts and %u messages",
                         w->n_texts, w->n_messages);
    }
    return TARS_OK;
}

/* Cuts the words into role and content of each message. */
static tars_status cut_messages(encode *e, tars_error *err) {
    size_t at = 0;
    size_t n_bytes = (size_t)e->wire.text_bytes;
    for (size_t i = 0; i < 2 * (size_t)e->wire.n_messages; i++) {
        const char *end = memchr(e->words + at, '\0', n_bytes - at);
        if (!end) {
            return error_set(err, TARS_MALFORMED, "message %zu has no end", i / 2);
        }
        if (i % 2 == 0) {
            e->messages[i / 2].role = e->words + at;
        } else {
            e->messages[i / 2].content = e->words + at;
        }
        at = (size_t)(end - e->words) + 1;
    }
    return at == n_bytes ? TARS_OK
                         : error_set(err, TARS_MALFORMED, "bytes behind the last message");
}

static tars_status check_lengths(const encode *e, tars_error *err) {
    uint64_t sum = 0;
    for (size_t i = 0; i < e->wire.n_texts; i++) {
        sum += e->lengths[i];
    }
    return sum == e->wire.text_bytes
               ? TARS_OK
               : error_set(err, TARS_MALFORMED, "the lengths of the texts do not fit the texts");
}

static tars_status take_encode(guest *g, tars_error *err) {
    arena *memory = g->place.memory;
    encode *e = ARENA_NEW(memory, encode);
    g->request = e;
    if (!e) {
        return guest_no_memory(g, err);
    }
    memcpy(&e->wire, g->message.payload, sizeof e->wire);
    tars_status status = check_encode(&e->wire, err);
    if (status != TARS_OK) {
        return status;
    }
    e->lengths = ARENA_ARRAY(memory, uint32_t, e->wire.n_texts);
    e->messages = ARENA_ARRAY(memory, chat_template_message, e->wire.n_messages);
    e->words = arena_alloc_raw(memory, (size_t)e->wire.text_bytes, 1);
    if (!e->lengths || !e->messages || !e->words) {
        return guest_no_memory(g, err);
    }
    const guest_section sections[WIRE_SECTION_COUNT] = {
        [WIRE_LENGTHS] = {e->lengths, e->wire.n_texts * sizeof(uint32_t)},
        [WIRE_WORDS] = {e->words, (size_t)e->wire.text_bytes},
    };
    status = guest_take_data(g, sections, err);
    if (status == TARS_OK) {
        status = e->wire.n_messages > 0 ? cut_messages(e, err) : check_lengths(e, err);
    }
    return status;
}

static tars_status tell_pieces(guest *g, const int32_t *ids, size_t n, tars_error *err) {
    tars_status status = TARS_OK;
    for (size_t i = 0; status == TARS_OK && i < n; i++) {
        tokenizer_text piece = tokenizer_piece(&g->tokenizer, ids[i]);
        for (size_t at = 0, part; status == TARS_OK && at < piece.length; at += part) {
            part = piece.length - at < WIRE_MAX_PAYLOAD ? piece.length - at : WIRE_MAX_PAYLOAD;
            status = wire_send(g->place.port, WIRE_TEXT, piece.bytes + at, part, NULL, 0, err);
        }
    }
    return status;
}

static tars_status tell_ids(guest *g, uint32_t text, const int32_t *ids, size_t n,
                            tars_error *err) {
    const encode *e = g->request;
    enum { IDS_PER_FRAME = 1024 };
    wire_id row[IDS_PER_FRAME];
    wire_ids head = {.text = text};
    tars_status status = TARS_OK;
    for (size_t at = 0; status == TARS_OK && at < n; at += IDS_PER_FRAME) {
        size_t count = n - at < IDS_PER_FRAME ? n - at : IDS_PER_FRAME;
        for (size_t i = 0; i < count; i++) {
            size_t piece_bytes =
                e->wire.pieces ? tokenizer_piece(&g->tokenizer, ids[at + i]).length : 0;
            row[i] = (wire_id){ids[at + i], (uint32_t)piece_bytes};
        }
        status =
            wire_send(g->place.port, WIRE_IDS, &head, sizeof head, row, count * sizeof *row, err);
        if (status == TARS_OK && e->wire.pieces) {
            status = tell_pieces(g, ids + at, count, err);
        }
    }
    return status;
}

static tars_status encode_one(guest *g, uint32_t text, const char *bytes, size_t length,
                              wire_result *result, tars_error *err) {
    const encode *e = g->request;
    int32_t *ids = NULL;
    size_t n = 0;
    tars_status status = prompt_encode(&g->tokenizer, bytes, length, e->wire.flags, e->wire.max_ids,
                                       g->place.memory, &ids, &n, err);
    if (status == TARS_OK) {
        status = tell_ids(g, text, ids, n, err);
    }
    result->n_tokens += (uint32_t)n;
    result->n_bytes += length;
    return status;
}

/* Nothing else is taken of the arena while a template writes, so that the text is in one piece. */
static bool add_rendered(void *user, const char *bytes, size_t length) {
    guest *g = user;
    encode *e = g->request;
    char *to = arena_alloc_raw(g->place.memory, length, 1);
    if (!to) {
        return false;
    }
    memcpy(to, bytes, length);
    e->n_rendered += length;
    return true;
}

static tars_status encode_conversation(guest *g, wire_result *result, tars_error *err) {
    encode *e = g->request;
    arena *memory = g->place.memory;
    void *room = arena_alloc_raw(memory, PROMPT_TEMPLATE_BYTES, 64);
    if (!room) {
        return guest_no_memory(g, err);
    }
    arena scratch;
    arena_init(&scratch, room, PROMPT_TEMPLATE_BYTES);
    const int32_t *c = e->wire.clock;
    prompt_conversation conversation = {
        .messages = e->messages,
        .n_messages = e->wire.n_messages,
        .clock = {.year = c[0],
                  .month = c[1],
                  .day = c[2],
                  .hour = c[3],
                  .minute = c[4],
                  .second = c[5]},
    };
    e->rendered = arena_alloc_raw(memory, 0, 1);
    tars_status status =
        prompt_render(&g->pack, &g->tokenizer, &conversation, &scratch, add_rendered, g, err);
    if (status == TARS_OK) {
        status = encode_one(g, 0, e->rendered, e->n_rendered, result, err);
    }
    return status;
}

static tars_status run_encode(guest *g, wire_result *result, tars_error *err) {
    const encode *e = g->request;
    if (e->wire.n_messages > 0) {
        return encode_conversation(g, result, err);
    }
    tars_status status = TARS_OK;
    size_t mark = arena_mark(g->place.memory);
    const char *text = e->words;
    for (uint32_t i = 0; status == TARS_OK && i < e->wire.n_texts; i++) {
        status = encode_one(g, i, text, e->lengths[i], result, err);
        text += e->lengths[i];
        arena_reset(g->place.memory, mark);
        if (status == TARS_OK && i % 64 == 63) {
            status = guest_check(g, err);
        }
    }
    return status;
}

const guest_service guest_encodes = {true, take_encode, run_encode};

/* ---- to text --------------------------------------------------------------------------- */

typedef struct decode {
    wire_decode wire;
    int32_t *ids;
    size_t n_held;
    char held[WIRE_MAX_PAYLOAD]; /* not told yet */
} decode;

static tars_status take_decode(guest *g, tars_error *err) {
    decode *d = ARENA_NEW(g->place.memory, decode);
    g->request = d;
    if (!d) {
        return guest_no_memory(g, err);
    }
    memcpy(&d->wire, g->message.payload, sizeof d->wire);
    d->ids = ARENA_ARRAY(g->place.memory, int32_t, d->wire.n_ids);
    if (!d->ids) {
        return guest_no_memory(g, err);
    }
    const guest_section sections[WIRE_SECTION_COUNT] = {
        [WIRE_PROMPT] = {d->ids, d->wire.n_ids * sizeof(int32_t)}};
    return guest_take_data(g, sections, err);
}

static bool tell_held(guest *g) {
    decode *d = g->request;
    size_t n = d->n_held;
    d->n_held = 0;
    return guest_tell_text(g, d->held, n, NULL) == TARS_OK;
}

/* Many small pieces go in one frame. */
static bool hold_text(void *user, const char *bytes, size_t length) {
    guest *g = user;
    decode *d = g->request;
    bool fits = length <= sizeof d->held - d->n_held || tell_held(g);
    if (fits && length > sizeof d->held) {
        return guest_tell_text(g, bytes, length, NULL) == TARS_OK;
    }
    memcpy(d->held + d->n_held, bytes, fits ? length : 0);
    d->n_held += fits ? length : 0;
    return fits;
}

enum { CHECK_EVERY_IDS = 4096 };

static tars_status run_decode(guest *g, wire_result *result, tars_error *err) {
    (void)result;
    decode *d = g->request;
    uint32_t n_vocab = tokenizer_n_tokens(&g->tokenizer);
    tokenizer_stream stream;
    tokenizer_stream_init(&stream, &g->tokenizer, d->wire.flags);
    for (size_t i = 0; i < d->wire.n_ids; i++) {
        if (d->ids[i] < 0 || (uint32_t)d->ids[i] >= n_vocab) {
            return error_set(err, TARS_MALFORMED, "id %d is no token", (int)d->ids[i]);
        }
        tars_status status = i % CHECK_EVERY_IDS == 0 ? guest_check(g, err) : TARS_OK;
        if (status != TARS_OK) {
            return status;
        }
        if (!tokenizer_stream_push(&stream, d->ids[i], hold_text, g)) {
            return error_set(err, TARS_UNAVAILABLE, "the host is gone");
        }
    }
    return tokenizer_stream_finish(&stream, hold_text, g) && tell_held(g)
               ? TARS_OK
               : error_set(err, TARS_UNAVAILABLE, "the host is gone");
}

const guest_service guest_decodes = {true, take_decode, run_decode};
