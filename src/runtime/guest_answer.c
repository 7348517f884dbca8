#include "runtime/guest_answer.h"

#include "base/utf8.h"
#include "engine/tokenizer/tokenizer.h"

#include <string.h>

enum { MAX_TEXT_BYTES_PER_TOKEN = 3 * TOKENIZER_MAX_TOKEN_BYTES /* U+FFFD for each bad byte */ };

static guest_answer *of(guest_client *c) {
    return (guest_answer *)c;
}

static tars_status take_progress(guest_client *c, tars_error *err) {
    wire_progress progress;
    guest_answer *a = of(c);
    memcpy(&progress, c->message.payload, sizeof progress);
    if (progress.total != a->request->wire.n_prompt || progress.done > progress.total ||
        progress.done <= a->n_prompt_done || a->n_tokens > 0) {
        return error_set(err, TARS_MALFORMED, "the guest tells an impossible progress");
    }
    a->n_prompt_done = progress.done;
    a->sink.progress(a->sink.user, progress.done, progress.total);
    return TARS_OK;
}

static tars_status take_token(guest_client *c, tars_error *err) {
    wire_token token;
    guest_answer *a = of(c);
    memcpy(&token, c->message.payload, sizeof token);
    const wire_request *r = &a->request->wire;
    bool wanted = r->logits_hash != 0;
    if (a->n_tokens == r->max_tokens || token.id < 0 || (uint32_t)token.id >= a->request->n_vocab ||
        (token.has_digest != 0) != wanted ||
        (r->kind == WIRE_REPLAY && token.id != a->request->replay[a->n_tokens])) {
        return error_set(err, TARS_MALFORMED, "the guest tells an impossible token");
    }
    a->n_tokens++;
    if (wanted) {
        sha256_update(&a->hash, token.digest, sizeof token.digest);
    }
    return a->sink.token(a->sink.user, token.id, wanted ? token.digest : NULL, err);
}

static tars_status take_text(guest_client *c, tars_error *err) {
    guest_answer *a = of(c);
    const char *bytes = (const char *)c->message.payload;
    size_t n = c->message.size_bytes;
    a->n_text_bytes += n;
    if (a->n_text_bytes > (uint64_t)a->n_tokens * MAX_TEXT_BYTES_PER_TOKEN ||
        !utf8_valid(bytes, n, NULL)) {
        return error_set(err, TARS_MALFORMED, "the guest tells text that its tokens cannot have");
    }
    return a->sink.text(a->sink.user, bytes, n, err);
}

static tars_status take_result(guest_client *c, tars_error *err) {
    const guest_answer *a = of(c);
    tars_status status = guest_client_read_result(c, err);
    const wire_result *r = &c->result;
    uint8_t logits_hash[SHA256_DIGEST_BYTES];
    sha256_context hash = a->hash;
    sha256_final(&hash, logits_hash);
    bool is_whole = a->n_tokens > 0 && (r->stopped || a->n_tokens == a->request->wire.max_tokens);
    bool fits = r->n_tokens == a->n_tokens && r->stopped <= 1 &&
                memcmp(r->logits_hash, logits_hash, sizeof logits_hash) == 0 &&
                (is_whole || c->check != TARS_OK);
    return status == TARS_OK && !fits ? guest_client_misfit(err) : status;
}

static const guest_client_kind answers = {
    .request = WIRE_REQUEST,
    .request_bytes = sizeof(wire_request),
    .takers = {[WIRE_PROGRESS] = take_progress,
               [WIRE_TOKEN] = take_token,
               [WIRE_TEXT] = take_text,
               [WIRE_RESULT] = take_result},
};

void guest_answer_init(guest_answer *a, const guest_answer_request *request,
                       const guest_answer_sink *sink) {
    memset(a, 0, sizeof *a);
    a->request = request;
    a->sink = *sink;
    sha256_init(&a->hash);
    const wire_request *r = &request->wire;
    guest_client_request own = {
        .isa = request->isa,
        .wire = r,
        .sections = {[WIRE_PROMPT] = {request->prompt, r->n_prompt * sizeof(int32_t)},
                     [WIRE_REPLAYED] = {request->replay, r->n_replay * sizeof(int32_t)},
                     [WIRE_STOPS] = {request->stops, (size_t)r->stop_bytes}},
        .check = sink->check,
        .user = sink->user,
    };
    guest_client_init(&a->client, &answers, &own);
}

guest_answer *guest_answer_of(guest_client *client) {
    return client && client->kind == &answers ? of(client) : NULL;
}
