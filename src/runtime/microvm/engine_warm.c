#include "runtime/microvm/engine_warm.h"

#include "runtime/guest_answer.h"
#include "runtime/guest_text.h"

#include <stdlib.h>

enum { CONTEXT = 4 };
static const uint64_t LIMIT_NS = UINT64_C(10) * 1000000000;

/* Text of one id, or one token that follows it. */
typedef struct warm_request {
    union {
        guest_decode decode;
        guest_answer answer;
    } told;
    guest_decode_request decode;
    guest_answer_request answer;
    int32_t id;
    uint64_t deadline_ns;
    const atomic_uint *is_over;
} warm_request;

static tars_status take_text(void *user, const char *bytes, size_t length, tars_error *err) {
    (void)user;
    (void)bytes;
    (void)length;
    (void)err;
    return TARS_OK;
}

static tars_status take_token(void *user, int32_t id, const uint8_t *digest, tars_error *err) {
    (void)user;
    (void)id;
    (void)digest;
    (void)err;
    return TARS_OK;
}

static void take_progress(void *user, uint64_t done, uint64_t total) {
    (void)user;
    (void)done;
    (void)total;
}

static tars_status check(void *user, tars_error *err) {
    const warm_request *w = user;
    if (atomic_load_explicit(w->is_over, memory_order_relaxed)) {
        return error_set(err, TARS_CANCELLED, "nobody needs the machine any more");
    }
    return platform_clock_ns() < w->deadline_ns
               ? TARS_OK
               : error_set(err, TARS_TIMEOUT, "a machine did not become warm in time");
}

static guest_client *ask_text(warm_request *w) {
    w->decode = (guest_decode_request){.wire = {.n_ids = 1}, .ids = &w->id};
    const guest_decode_sink sink = {.user = w, .text = take_text, .check = check};
    guest_decode_init(&w->told.decode, &w->decode, &sink);
    return &w->told.decode.client;
}

static guest_client *ask_token(warm_request *w, uint32_t n_vocab) {
    w->answer = (guest_answer_request){.n_vocab = n_vocab,
                                       .wire = {.kind = WIRE_GENERATE,
                                                .max_tokens = 1,
                                                .n_context = CONTEXT,
                                                .batch = 1,
                                                .top_p = 1,
                                                .repeat_penalty = 1,
                                                .kv_type = 1,
                                                .n_prompt = 1},
                                       .prompt = &w->id};
    const guest_answer_sink sink = {.user = w,
                                    .token = take_token,
                                    .text = take_text,
                                    .progress = take_progress,
                                    .check = check};
    guest_answer_init(&w->told.answer, &w->answer, &sink);
    return &w->told.answer.client;
}

tars_status engine_warm_up(engine_machine *m, const engine_snapshot *snapshot, engine_warmth warmth,
                           uint64_t memory_bytes, const atomic_uint *is_over, tars_error *err) {
    engine_usage usage;
    warm_request *w = calloc(1, sizeof *w);
    if (!w) {
        return error_set(err, TARS_OUT_OF_MEMORY, "no memory for a machine's first request");
    }
    w->deadline_ns = platform_clock_ns() + LIMIT_NS;
    w->is_over = is_over;
    guest_client *client =
        warmth == ENGINE_WARM_FOR_PASS ? ask_token(w, snapshot->n_vocab) : ask_text(w);
    tars_status status = engine_machine_serve(m, memory_bytes, client, &usage, err);
    if (status == TARS_OK) {
        status = engine_machine_reset(m, &usage, err);
    }
    free(w);
    return status;
}
