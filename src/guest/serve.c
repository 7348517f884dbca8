#include "guest/serve.h"

#include "base/utf8.h"
#include "engine/generation.h"

#include <string.h>

enum { MAX_STOP_BYTES = STOP_TEXT_MAX_COUNT * (STOP_TEXT_MAX_BYTES + 1) };

typedef struct guest {
    serve_place place;
    const kernel_table *kernels;
    pack_view pack;
    model model;
    tokenizer tokenizer;
    wire_message message; /* the last one */
    /* the running request */
    wire_request request;
    int32_t *prompt, *replay, *ids;
    tokenizer_text *stops;
    char *stop_bytes;
    size_t received[WIRE_SECTION_COUNT]; /* bytes */
    kv_cache cache;
    forward pass;
    barrier barrier;
    forward_token *tokens; /* [batch] */
    generation generation;
    bool cancelled;
} guest;

/* ---- greeting -------------------------------------------------------------------------- */

static tars_status open_model(guest *g, const wire_hello *hello, tars_error *err) {
    const void *bytes = g->place.model_at(hello->model_offset, hello->model_bytes);
    if (!bytes || hello->model_bytes > SIZE_MAX) {
        return error_set(err, TARS_MALFORMED, "the model does not lie in the guest's memory");
    }
    tars_status status = pack_open(bytes, (size_t)hello->model_bytes, &g->pack, err);
    if (status == TARS_OK) {
        status = model_open(&g->pack, g->place.memory, &g->model, err);
    }
    if (status == TARS_OK) {
        const pack_bytes *blob = &g->pack.sections[PACK_TOKENIZER];
        status = tokenizer_open(blob->bytes, blob->size_bytes, &g->tokenizer, err);
    }
    if (status == TARS_OK && !g->model.hparams->causal) {
        status = error_set(err, TARS_UNSUPPORTED, "the guest answers with decoders only");
    }
    return status;
}

static tars_status check_hello(guest *g, wire_hello *hello, tars_error *err) {
    if (g->message.kind != WIRE_HELLO) {
        return error_set(err, TARS_MALFORMED, "the host did not greet");
    }
    memcpy(hello, g->message.payload, sizeof *hello);
    if (hello->magic != WIRE_MAGIC || hello->version != WIRE_VERSION ||
        hello->arithmetic_version != ARITHMETIC_VERSION) {
        return error_set(err, TARS_UNSUPPORTED,
                         "wire version %u and arithmetic version %u; the guest has %u and %u",
                         hello->version, hello->arithmetic_version, (unsigned)WIRE_VERSION,
                         (unsigned)ARITHMETIC_VERSION);
    }
    hello->isa[sizeof hello->isa - 1] = '\0';
    g->kernels = g->place.kernels(hello->isa);
    if (!g->kernels) {
        return error_set(err, TARS_UNAVAILABLE, "the guest has no kernels \"%s\"", hello->isa);
    }
    return TARS_OK;
}

static tars_status greet(guest *g, tars_error *err) {
    wire_hello hello = {0};
    tars_status status = wire_receive(g->place.port, &g->message, err);
    if (status == TARS_OK) {
        status = check_hello(g, &hello, err);
    }
    if (status == TARS_OK) {
        status = open_model(g, &hello, err);
    }
    if (status != TARS_OK) {
        return status;
    }
    wire_hello answer;
    memset(&answer, 0, sizeof answer);
    answer.magic = WIRE_MAGIC;
    answer.version = WIRE_VERSION;
    answer.arithmetic_version = ARITHMETIC_VERSION;
    for (size_t i = 0; i + 1 < sizeof answer.isa && g->kernels->name[i]; i++) {
        answer.isa[i] = g->kernels->name[i];
    }
    return wire_send(g->place.port, WIRE_HELLO, &answer, sizeof answer, NULL, 0, err);
}

/* ---- taking a request ------------------------------------------------------------------ */

static tars_status check_request(const guest *g, tars_error *err) {
    const wire_request *r = &g->request;
    const model_hparams *p = g->model.hparams;
    bool is_replay = r->kind == WIRE_REPLAY;
    if ((r->kind != WIRE_GENERATE && !is_replay) ||
        (r->kv_type != KV_F16 && r->kv_type != KV_F32)) {
        return error_set(err, TARS_MALFORMED, "request of kind %u with a cache of type %u", r->kind,
                         r->kv_type);
    }
    if (r->n_prompt < 1 || r->n_context <= r->n_prompt || r->n_context > p->context_length ||
        r->max_tokens < 1 || r->max_tokens > r->n_context - r->n_prompt || r->batch < 1 ||
        r->batch > WIRE_MAX_BATCH) {
        return error_set(err, TARS_MALFORMED,
                         "request of %u tokens, %u at most in return, in a context of %u and "
                         "batches of %u",
                         r->n_prompt, r->max_tokens, r->n_context, r->batch);
    }
    if (r->n_replay != (is_replay ? r->max_tokens : 0) || r->n_stops > STOP_TEXT_MAX_COUNT ||
        r->stop_bytes > MAX_STOP_BYTES) {
        return error_set(err, TARS_MALFORMED, "request to replay %u tokens with %u stop texts",
                         r->n_replay, r->n_stops);
    }
    return TARS_OK;
}

static tars_status no_memory(const guest *g, tars_error *err) {
    error_set(err, TARS_OUT_OF_MEMORY, "the request does not fit the guest's %zu bytes",
              g->place.memory->size_bytes);
    return TARS_OUT_OF_MEMORY;
}

static tars_status make_room(guest *g, tars_error *err) {
    const wire_request *r = &g->request;
    arena *memory = g->place.memory;
    g->prompt = ARENA_ARRAY(memory, int32_t, r->n_prompt);
    g->replay = ARENA_ARRAY(memory, int32_t, r->n_replay);
    g->ids = ARENA_ARRAY(memory, int32_t, r->max_tokens);
    g->stops = ARENA_ARRAY(memory, tokenizer_text, r->n_stops);
    g->stop_bytes = ARENA_ARRAY(memory, char, (size_t)r->stop_bytes);
    memset(g->received, 0, sizeof g->received);
    return g->prompt && g->replay && g->ids && g->stops && g->stop_bytes ? TARS_OK
                                                                         : no_memory(g, err);
}

static tars_status take_data(guest *g, tars_error *err) {
    wire_data data;
    memcpy(&data, g->message.payload, sizeof data);
    size_t n = g->message.size_bytes - sizeof data;
    const struct {
        void *to;
        size_t size_bytes;
    } sections[WIRE_SECTION_COUNT] = {
        [WIRE_PROMPT] = {g->prompt, g->request.n_prompt * sizeof(int32_t)},
        [WIRE_REPLAYED] = {g->replay, g->request.n_replay * sizeof(int32_t)},
        [WIRE_STOPS] = {g->stop_bytes, (size_t)g->request.stop_bytes},
    };
    uint8_t *to = data.section < WIRE_SECTION_COUNT ? sections[data.section].to : NULL;
    if (!to || n > sections[data.section].size_bytes - g->received[data.section]) {
        return error_set(err, TARS_MALFORMED, "%zu bytes too many for section %u of the request", n,
                         data.section);
    }
    memcpy(to + g->received[data.section], g->message.payload + sizeof data, n);
    g->received[data.section] += n;
    return TARS_OK;
}

/* Cuts the bytes received into the stop texts. */
static tars_status cut_stops(guest *g, tars_error *err) {
    size_t at = 0;
    for (size_t i = 0; i < g->request.n_stops; i++) {
        size_t end = at;
        while (end < g->request.stop_bytes && g->stop_bytes[end] != '\0') {
            end++;
        }
        g->stops[i] = (tokenizer_text){g->stop_bytes + at, end - at};
        if (end == g->request.stop_bytes || end == at || end - at > STOP_TEXT_MAX_BYTES) {
            return error_set(err, TARS_MALFORMED, "stop text %zu has no end or no bytes", i);
        }
        at = end + 1;
    }
    return TARS_OK;
}

static tars_status take_request(guest *g, tars_error *err) {
    memcpy(&g->request, g->message.payload, sizeof g->request);
    tars_status status = check_request(g, err);
    if (status == TARS_OK) {
        status = make_room(g, err);
    }
    while (status == TARS_OK) {
        status = wire_receive(g->place.port, &g->message, err);
        if (status == TARS_OK && g->message.kind == WIRE_START) {
            break;
        }
        if (status == TARS_OK) {
            status = g->message.kind == WIRE_DATA
                         ? take_data(g, err)
                         : error_set(err, TARS_MALFORMED, "a frame of kind %u within a request",
                                     (unsigned)g->message.kind);
        }
    }
    const wire_request *r = &g->request;
    if (status == TARS_OK && (g->received[WIRE_PROMPT] != r->n_prompt * sizeof(int32_t) ||
                              g->received[WIRE_REPLAYED] != r->n_replay * sizeof(int32_t) ||
                              g->received[WIRE_STOPS] != r->stop_bytes)) {
        status = error_set(err, TARS_MALFORMED, "the request started before it was whole");
    }
    return status == TARS_OK ? cut_stops(g, err) : status;
}

/* ---- serving it ------------------------------------------------------------------------ */

static tars_status compute(void *user, const int32_t *ids, size_t n, tars_error *err) {
    guest *g = user;
    for (size_t i = 0; i < n; i++) {
        g->tokens[i] = (forward_token){.id = ids[i],
                                       .position = (uint32_t)(g->cache.length + i),
                                       .cache = &g->cache,
                                       .wants_logits = i + 1 == n};
    }
    tars_status status = forward_begin(&g->pass, g->tokens, n, err);
    if (status != TARS_OK) {
        return status;
    }
    barrier_init(&g->barrier, 1, NULL, NULL);
    forward_step(&g->pass, 0, &g->barrier);
    return forward_end(&g->pass, err);
}

static tars_status check(void *user, tars_error *err) {
    guest *g = user;
    bool found = false;
    if (!g->place.port->wait(g->place.port->context)) { /* the host hears of each token at once */
        return error_set(err, TARS_UNAVAILABLE, "the host is gone");
    }
    tars_status status = wire_poll(g->place.port, &g->message, &found, err);
    if (status == TARS_OK && found && g->message.kind != WIRE_CANCEL) {
        return error_set(err, TARS_MALFORMED, "a frame of kind %u while a request is served",
                         (unsigned)g->message.kind);
    }
    g->cancelled = g->cancelled || (status == TARS_OK && found);
    if (status == TARS_OK && g->cancelled) {
        status = error_set(err, TARS_CANCELLED, "the request was cancelled");
    }
    return status;
}

static void report_progress(void *user, size_t done, size_t total) {
    guest *g = user;
    wire_progress progress = {done, total};
    (void)wire_send(g->place.port, WIRE_PROGRESS, &progress, sizeof progress, NULL, 0, NULL);
}

static tars_status tell_token(void *user, int32_t id, const float *logits, const uint8_t *digest,
                              tars_error *err) {
    (void)logits;
    guest *g = user;
    wire_token token = {.id = id, .has_digest = digest != NULL};
    if (digest) {
        memcpy(token.digest, digest, sizeof token.digest);
    }
    return wire_send(g->place.port, WIRE_TOKEN, &token, sizeof token, NULL, 0, err);
}

static bool tell_text(void *user, const char *bytes, size_t length) {
    guest *g = user;
    for (size_t at = 0, n; at < length; at += n) {
        n = length - at < WIRE_MAX_PAYLOAD
                ? length - at
                : utf8_complete_length(bytes + at,
                                       WIRE_MAX_PAYLOAD); /* frames hold whole characters */
        if (wire_send(g->place.port, WIRE_TEXT, bytes + at, n, NULL, 0, NULL) != TARS_OK) {
            return false;
        }
    }
    return true;
}

static tars_status set_up(guest *g, sampler_candidate **candidates, tars_error *err) {
    const wire_request *r = &g->request;
    const model_hparams *p = g->model.hparams;
    arena *memory = g->place.memory;
    forward_limits limits = {.max_tokens = r->batch < r->n_context ? r->batch : r->n_context,
                             .max_outputs = 1,
                             .max_positions = r->n_context,
                             .n_workers = 1};
    size_t cache_bytes = kv_cache_bytes(p, (kv_type)r->kv_type, r->n_context);
    void *cache_memory = cache_bytes ? arena_alloc_raw(memory, cache_bytes, 64) : NULL;
    g->tokens = ARENA_ARRAY(memory, forward_token, limits.max_tokens);
    *candidates = arena_alloc_raw(memory, p->n_vocab * sizeof **candidates, 16);
    if (!cache_memory || !g->tokens || !*candidates) {
        return no_memory(g, err);
    }
    kv_cache_init(&g->cache, p, (kv_type)r->kv_type, r->n_context, cache_memory);
    return forward_init(&g->pass, &g->model, g->kernels, &limits, memory, err);
}

static tars_status answer(guest *g, tars_error *err) {
    const wire_request *r = &g->request;
    sampler_candidate *candidates = NULL;
    tars_status status = set_up(g, &candidates, err);
    if (status != TARS_OK) {
        return status;
    }
    generation_settings settings = {
        .tokenizer = &g->tokenizer,
        .pass = &g->pass,
        .sampler = {.temperature = r->temperature,
                    .top_k = r->top_k,
                    .top_p = r->top_p,
                    .min_p = r->min_p,
                    .repeat_penalty = r->repeat_penalty,
                    .seed = r->seed},
        .prompt = g->prompt,
        .n_prompt = r->n_prompt,
        .replay = r->kind == WIRE_REPLAY ? g->replay : NULL,
        .max_tokens = r->max_tokens,
        .n_context = r->n_context,
        .batch = g->pass.limits.max_tokens,
        .stops = g->stops,
        .n_stops = r->n_stops,
        .logits_hash = r->logits_hash != 0,
        .ids = g->ids,
        .candidates = candidates,
    };
    generation_hooks hooks = {.user = g,
                              .compute = compute,
                              .check = check,
                              .progress = report_progress,
                              .token = tell_token,
                              .text = tell_text};
    generation_init(&g->generation, &settings, &hooks);
    status = generation_prompt(&g->generation, 0, err);
    return status == TARS_OK ? generation_answer(&g->generation, err) : status;
}

/* Also of a cancelled answer, whose error follows the text that was held back. */
static tars_status tell_end(guest *g, tars_status status, const tars_error *failure,
                            tars_error *err) {
    wire_result result;
    memset(&result, 0, sizeof result);
    if (status == TARS_OK || status == TARS_CANCELLED) {
        generation_finish(&g->generation, result.logits_hash);
    }
    if (status != TARS_OK && status != TARS_CANCELLED) {
        return wire_send_error(g->place.port, failure, err);
    }
    result.stopped = g->generation.is_end || g->generation.stop.stopped;
    result.n_tokens = (uint32_t)g->generation.n_ids;
    result.memory_bytes = g->place.memory->peak_bytes;
    return wire_send(g->place.port, WIRE_RESULT, &result, sizeof result, NULL, 0, err);
}

static tars_status serve_one(guest *g, tars_error *err) {
    tars_error failure = {.status = TARS_OK};
    g->cancelled = false;
    tars_status status = take_request(g, &failure);
    if (status == TARS_UNAVAILABLE) { /* nobody to tell */
        return error_set(err, status, "%s", failure.message);
    }
    if (status != TARS_OK) { /* what follows cannot be understood any more */
        (void)wire_send_error(g->place.port, &failure, NULL);
        return error_set(err, status, "%s", failure.message);
    }
    status = answer(g, &failure);
    return tell_end(g, status, &failure, err);
}

tars_status serve(const serve_place *place, tars_error *err) {
    guest *g = ARENA_NEW(place->memory, guest);
    if (!g) {
        return error_set(err, TARS_OUT_OF_MEMORY, "the guest's memory holds not even its state");
    }
    g->place = *place;
    tars_error failure = {.status = TARS_OK};
    tars_status status = greet(g, &failure);
    if (status != TARS_OK) {
        (void)wire_send_error(place->port, &failure, NULL);
        return error_set(err, status, "%s", failure.message);
    }
    size_t mark = arena_mark(place->memory);
    while (status == TARS_OK) {
        status = wire_receive(place->port, &g->message, err);
        if (status == TARS_OK && g->message.kind == WIRE_CANCEL) {
            continue; /* of a request that has just ended */
        }
        if (status == TARS_OK && g->message.kind != WIRE_REQUEST) {
            status = error_set(err, TARS_MALFORMED, "a frame of kind %u, a request was expected",
                               (unsigned)g->message.kind);
        }
        if (status == TARS_OK) {
            status = serve_one(g, err);
        }
        arena_reset(place->memory, mark);
    }
    return status;
}
