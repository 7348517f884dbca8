/* Pooled vectors of texts whose ids the host has. */
#include "guest/service.h"

#include "engine/encoder.h"

#include <string.h>

typedef struct embed {
    wire_embed wire;
    uint32_t *lengths; /* [n_texts] */
    int32_t *ids;      /* [n_ids] */
    float *vector;     /* [n_embd] */
} embed;

static tars_status check_request(const guest *g, const embed *e, tars_error *err) {
    const wire_embed *w = &e->wire;
    const model_hparams *p = g->model.hparams;
    if (p->causal) {
        return error_set(err, TARS_UNSUPPORTED, "this model makes no pooled vectors");
    }
    if (w->n_texts < 1 || w->n_texts > WIRE_MAX_TEXTS || w->max_ids < 1 ||
        w->max_ids > p->context_length || w->n_ids > (uint64_t)w->n_texts * w->max_ids ||
        w->n_ids > SIZE_MAX / 16 || w->normalize > 1 || w->float_activations > 1) {
        return error_set(err, TARS_MALFORMED, "a request for %u texts of %u ids at most",
                         w->n_texts, w->max_ids);
    }
    return TARS_OK;
}

static tars_status check_lengths(const embed *e, tars_error *err) {
    uint64_t sum = 0;
    for (size_t i = 0; i < e->wire.n_texts; i++) {
        sum += e->lengths[i];
        if (e->lengths[i] < 1 || e->lengths[i] > e->wire.max_ids) {
            return error_set(err, TARS_MALFORMED, "text %zu has no ids or more than the longest",
                             i);
        }
    }
    return sum == e->wire.n_ids
               ? TARS_OK
               : error_set(err, TARS_MALFORMED, "the lengths of the texts do not fit the ids");
}

static tars_status take(guest *g, tars_error *err) {
    arena *memory = g->place.memory;
    embed *e = ARENA_NEW(memory, embed);
    g->request = e;
    if (!e) {
        return guest_no_memory(g, err);
    }
    memcpy(&e->wire, g->message.payload, sizeof e->wire);
    tars_status status = check_request(g, e, err);
    if (status != TARS_OK) {
        return status;
    }
    e->lengths = ARENA_ARRAY(memory, uint32_t, e->wire.n_texts);
    e->ids = ARENA_ARRAY(memory, int32_t, (size_t)e->wire.n_ids);
    e->vector = ARENA_ARRAY(memory, float, g->model.hparams->n_embd);
    if (!e->lengths || !e->ids || !e->vector) {
        return guest_no_memory(g, err);
    }
    const guest_section sections[WIRE_SECTION_COUNT] = {
        [WIRE_LENGTHS] = {e->lengths, e->wire.n_texts * sizeof(uint32_t)},
        [WIRE_PROMPT] = {e->ids, (size_t)e->wire.n_ids * sizeof(int32_t)},
    };
    status = guest_take_data(g, sections, err);
    return status == TARS_OK ? check_lengths(e, err) : status;
}

static tars_status tell_vector(guest *g, const embed *e, tars_error *err) {
    const uint8_t *bytes = (const uint8_t *)e->vector;
    size_t size_bytes = g->model.hparams->n_embd * sizeof(float);
    tars_status status = TARS_OK;
    for (size_t at = 0, n; status == TARS_OK && at < size_bytes; at += n) {
        n = size_bytes - at < WIRE_MAX_PAYLOAD ? size_bytes - at : WIRE_MAX_PAYLOAD;
        status = wire_send(g->place.port, WIRE_VECTORS, bytes + at, n, NULL, 0, err);
    }
    return status;
}

static tars_status run(guest *g, wire_result *result, tars_error *err) {
    (void)result;
    embed *e = g->request;
    encoder *encodes = ARENA_NEW(g->place.memory, encoder);
    if (!encodes) {
        return guest_no_memory(g, err);
    }
    tars_status status = encoder_init(encodes, &g->model, g->kernels, e->wire.max_ids,
                                      e->wire.float_activations != 0, g->place.memory, err);
    const int32_t *ids = e->ids;
    for (uint32_t i = 0; status == TARS_OK && i < e->wire.n_texts; i++) {
        status = encoder_run(encodes, ids, e->lengths[i], err);
        if (status != TARS_OK) {
            if (err->where[0] == '\0') {
                error_where(err, "text %u", i + 1);
            }
            break;
        }
        encoder_pool(encodes, e->lengths[i], e->wire.normalize != 0, e->vector);
        ids += e->lengths[i];
        status = tell_vector(g, e, err);
        if (status == TARS_OK) {
            status = guest_check(g, err);
        }
    }
    return status;
}

const guest_service guest_embeds = {true, take, run};
