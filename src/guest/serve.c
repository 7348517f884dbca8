#include "guest/service.h"

#include "base/utf8.h"

#include <string.h>

/* ---- greeting -------------------------------------------------------------------------- */

static tars_status open_model(guest *g, const wire_hello *hello, tars_error *err) {
    if (hello->model_bytes == 0) {
        return TARS_OK; /* imports need none */
    }
    const void *bytes = g->place.model_at(hello->model_offset, hello->model_bytes);
    if (!bytes || hello->model_bytes > SIZE_MAX) {
        return error_set(err, TARS_MALFORMED, "the model does not lie in the guest's memory");
    }
    tars_status status = pack_open_again(bytes, (size_t)hello->model_bytes, &g->pack, err);
    if (status == TARS_OK) {
        status = model_open(&g->pack, g->place.state, &g->model, err);
    }
    if (status == TARS_OK) {
        const pack_bytes *blob = &g->pack.sections[PACK_TOKENIZER];
        status = tokenizer_open(blob->bytes, blob->size_bytes, &g->tokenizer, err);
    }
    g->has_model = status == TARS_OK;
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

/* ---- what every kind of request needs -------------------------------------------------- */

static tars_status take_some(guest *g, const guest_section sections[WIRE_SECTION_COUNT],
                             size_t received[WIRE_SECTION_COUNT], tars_error *err) {
    wire_data data;
    memcpy(&data, g->message.payload, sizeof data);
    size_t n = g->message.size_bytes - sizeof data;
    uint8_t *to = data.section < WIRE_SECTION_COUNT ? sections[data.section].to : NULL;
    if (!to || n > sections[data.section].size_bytes - received[data.section]) {
        return error_set(err, TARS_MALFORMED, "%zu bytes too many for section %u of the request", n,
                         data.section);
    }
    memcpy(to + received[data.section], g->message.payload + sizeof data, n);
    received[data.section] += n;
    return TARS_OK;
}

tars_status guest_take_data(guest *g, const guest_section sections[WIRE_SECTION_COUNT],
                            tars_error *err) {
    size_t received[WIRE_SECTION_COUNT] = {0};
    tars_status status = wire_receive(g->place.port, &g->message, err);
    while (status == TARS_OK && g->message.kind != WIRE_START) {
        status = g->message.kind == WIRE_DATA
                     ? take_some(g, sections, received, err)
                     : error_set(err, TARS_MALFORMED, "a frame of kind %u within a request",
                                 (unsigned)g->message.kind);
        if (status == TARS_OK) {
            status = wire_receive(g->place.port, &g->message, err);
        }
    }
    for (size_t i = 0; status == TARS_OK && i < WIRE_SECTION_COUNT; i++) {
        if (received[i] != sections[i].size_bytes) {
            status = error_set(err, TARS_MALFORMED, "the request started before it was whole");
        }
    }
    return status;
}

tars_status guest_no_memory(const guest *g, tars_error *err) {
    return error_set(err, TARS_OUT_OF_MEMORY, "the request does not fit the guest's %zu bytes",
                     g->place.memory->size_bytes);
}

tars_status guest_check(guest *g, tars_error *err) {
    bool found = false;
    if (!g->place.host_is_beside && !g->place.port->wait(g->place.port->context)) {
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

tars_status guest_tell_text(guest *g, const char *bytes, size_t length, tars_error *err) {
    tars_status status = TARS_OK;
    for (size_t at = 0, n; status == TARS_OK && at < length; at += n) {
        n = length - at < WIRE_MAX_PAYLOAD
                ? length - at
                : utf8_complete_length(bytes + at,
                                       WIRE_MAX_PAYLOAD); /* frames hold whole characters */
        status = wire_send(g->place.port, WIRE_TEXT, bytes + at, n, NULL, 0, err);
    }
    return status;
}

tars_status guest_tell_progress(guest *g, uint64_t done, uint64_t total, tars_error *err) {
    wire_progress progress = {done, total};
    return wire_send(g->place.port, WIRE_PROGRESS, &progress, sizeof progress, NULL, 0, err);
}

/* ---- serving --------------------------------------------------------------------------- */

static const guest_service *service_of(const guest *g, tars_error *err) {
    static const guest_service *const services[WIRE_KIND_COUNT] = {
        [WIRE_REQUEST] = &guest_answers, [WIRE_IMPORT] = &guest_imports,
        [WIRE_ENCODE] = &guest_encodes,  [WIRE_DECODE] = &guest_decodes,
        [WIRE_EMBED] = &guest_embeds,
    };
    const guest_service *service = services[g->message.kind];
    if (!service) {
        error_set(err, TARS_MALFORMED, "a frame of kind %u, a request was expected",
                  (unsigned)g->message.kind);
    } else if (service->needs_model && !g->has_model) {
        error_set(err, TARS_MALFORMED, "a request of kind %u needs a model",
                  (unsigned)g->message.kind);
        service = NULL;
    }
    return service;
}

static tars_status serve_one(guest *g, tars_error *err) {
    tars_error failure = {.status = TARS_OK};
    g->cancelled = false;
    const guest_service *service = service_of(g, &failure);
    tars_status status = service ? service->take(g, &failure) : TARS_MALFORMED;
    if (status == TARS_UNAVAILABLE) { /* nobody to tell */
        return error_set(err, status, "%s", failure.message);
    }
    if (status != TARS_OK) { /* what follows cannot be understood any more */
        (void)wire_send_error(g->place.port, &failure, NULL);
        return error_set(err, status, "%s", failure.message);
    }
    wire_result result;
    memset(&result, 0, sizeof result);
    status = service->run(g, &result, &failure);
    if (status != TARS_OK) {
        failure.status = status;
        return wire_send_error(g->place.port, &failure, err);
    }
    const serve_place *place = &g->place;
    result.memory_bytes = place->memory->peak_bytes;
    if (place->state != place->memory) {
        result.memory_bytes += place->state->peak_bytes;
    }
    return wire_send(g->place.port, WIRE_RESULT, &result, sizeof result, NULL, 0, err);
}

tars_status serve_open(const serve_place *place, guest **out, tars_error *err) {
    guest *g = ARENA_NEW(place->state, guest);
    *out = g;
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
    return TARS_OK;
}

tars_status serve_requests(guest *g, tars_error *err) {
    tars_status status = TARS_OK;
    size_t mark = arena_mark(g->place.memory);
    while (status == TARS_OK) {
        status = wire_receive(g->place.port, &g->message, err);
        if (status == TARS_OK && g->message.kind == WIRE_CANCEL) {
            continue; /* of a request that has just ended */
        }
        if (status == TARS_OK) {
            status = serve_one(g, err);
        }
        arena_reset(g->place.memory, mark);
    }
    return status;
}

tars_status serve(const serve_place *place, tars_error *err) {
    guest *g;
    tars_status status = serve_open(place, &g, err);
    return status == TARS_OK ? serve_requests(g, err) : status;
}
