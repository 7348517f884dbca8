/* Imports: the files are read through the host, the packed file goes back to it. */
#include "guest/service.h"

#include "engine/import.h"
#include "engine/safetensors_to_gguf.h"

#include <string.h>

enum {
    LEAST_AHEAD_BYTES = 48 << 10, /* of one file, where it is read here and there */
    MOST_AHEAD_BYTES = WIRE_RING_BYTES - WIRE_MAX_PAYLOAD, /* in a row: what comes at once */
    OUT_BYTES = WIRE_MAX_PAYLOAD,
    PROGRESS_STEP_BYTES = 1 << 20
};

/* One file. Small reads in a row are served from what one larger read brought: the host's turn
 * may take long, so that much is asked for at once where much will be used. */
typedef struct source {
    guest *guest;
    uint32_t index;
    uint64_t size_bytes;
    uint64_t ahead_offset;
    size_t n_ahead, asked_bytes; /* that are there, that the last read asked for */
    uint8_t *ahead;              /* [MOST_AHEAD_BYTES] */
} source;

typedef struct import {
    wire_import wire;
    source sources[WIRE_MAX_SOURCES];
    byte_source views[WIRE_MAX_SOURCES];
    uint64_t told; /* of the last progress */
    size_t n_out;
    uint8_t out[OUT_BYTES]; /* of the packed file, not told yet */
} import;

/* ---- the files ------------------------------------------------------------------------- */

/* The host sends all that a READ asked for before anything else but CANCEL. */
static tars_status fetch(source *s, uint64_t offset, uint8_t *to, size_t length, tars_error *err) {
    guest *g = s->guest;
    wire_read read = {.source = s->index, .offset = offset, .length = length};
    tars_status status = wire_send(g->place.port, WIRE_READ, &read, sizeof read, NULL, 0, err);
    while (status == TARS_OK && length > 0) {
        status = wire_receive(g->place.port, &g->message, err);
        if (status != TARS_OK) {
            break;
        }
        if (g->message.kind == WIRE_CANCEL) {
            g->cancelled = true;
            return error_set(err, TARS_CANCELLED, "the import was cancelled");
        }
        if (g->message.kind != WIRE_BYTES || g->message.size_bytes > length) {
            return error_set(err, TARS_MALFORMED, "a frame of kind %u with %zu bytes after a read",
                             (unsigned)g->message.kind, g->message.size_bytes);
        }
        memcpy(to, g->message.payload, g->message.size_bytes);
        to += g->message.size_bytes;
        length -= g->message.size_bytes;
    }
    return status;
}

static tars_status read_at(void *context, uint64_t offset, void *buffer, size_t length,
                           tars_error *err) {
    source *s = context;
    if (length >= LEAST_AHEAD_BYTES) {
        return fetch(s, offset, buffer, length, err);
    }
    bool begins_there = offset >= s->ahead_offset && offset - s->ahead_offset <= s->n_ahead;
    if (!begins_there || length > s->n_ahead - (size_t)(offset - s->ahead_offset)) {
        bool goes_on = begins_there && s->n_ahead > 0;
        uint64_t left = s->size_bytes - offset;
        size_t most = !goes_on                                ? LEAST_AHEAD_BYTES
                      : s->asked_bytes < MOST_AHEAD_BYTES / 2 ? 2 * s->asked_bytes
                                                              : MOST_AHEAD_BYTES;
        size_t n = left < most ? (size_t)left : most;
        s->asked_bytes = most;
        s->n_ahead = 0;
        tars_status status = fetch(s, offset, s->ahead, n, err);
        if (status != TARS_OK) {
            return status;
        }
        s->ahead_offset = offset;
        s->n_ahead = n;
    }
    memcpy(buffer, s->ahead + (size_t)(offset - s->ahead_offset), length);
    return TARS_OK;
}

/* ---- taking a request ------------------------------------------------------------------ */

static tars_status take(guest *g, tars_error *err) {
    import *im = ARENA_NEW(g->place.memory, import);
    g->request = im;
    if (!im) {
        return guest_no_memory(g, err);
    }
    memcpy(&im->wire, g->message.payload, sizeof im->wire);
    const wire_import *w = &im->wire;
    bool is_file = w->form == WIRE_GGUF;
    if ((!is_file && w->form != WIRE_SAFETENSORS) || (is_file && w->sources != 1) ||
        w->sources >> WIRE_MAX_SOURCES != 0) {
        return error_set(err, TARS_MALFORMED, "an import of form %u with the sources %x", w->form,
                         w->sources);
    }
    for (uint32_t i = 0; i < WIRE_MAX_SOURCES; i++) {
        if ((w->sources >> i & 1) == 0) {
            continue;
        }
        source *s = &im->sources[i];
        s->guest = g;
        s->index = i;
        s->size_bytes = w->size_bytes[i];
        s->ahead = arena_alloc_raw(g->place.memory, MOST_AHEAD_BYTES, 64);
        if (!s->ahead) {
            return guest_no_memory(g, err);
        }
        im->views[i] = (byte_source){s, s->size_bytes, read_at};
    }
    const guest_section none[WIRE_SECTION_COUNT] = {{NULL, 0}};
    return guest_take_data(g, none, err);
}

/* ---- serving it ------------------------------------------------------------------------ */

static tars_status flush(guest *g, tars_error *err) {
    import *im = g->request;
    size_t n = im->n_out;
    im->n_out = 0;
    return n > 0 ? wire_send(g->place.port, WIRE_BYTES, im->out, n, NULL, 0, err) : TARS_OK;
}

static tars_status write_packed(void *context, const void *bytes, size_t length, tars_error *err) {
    guest *g = context;
    import *im = g->request;
    const uint8_t *from = bytes;
    tars_status status = TARS_OK;
    while (status == TARS_OK && length > 0) {
        size_t room = OUT_BYTES - im->n_out;
        size_t n = length < room ? length : room;
        memcpy(im->out + im->n_out, from, n);
        im->n_out += n;
        from += n;
        length -= n;
        status = im->n_out == OUT_BYTES ? flush(g, err) : TARS_OK;
    }
    return status;
}

static bool report(void *user, uint64_t done, uint64_t total) {
    guest *g = user;
    import *im = g->request;
    bool is_due = im->told == 0 || done - im->told >= PROGRESS_STEP_BYTES || done >= total;
    if (done > im->told && is_due) {
        im->told = done;
        return guest_tell_progress(g, done, total, NULL) == TARS_OK;
    }
    return true;
}

static const byte_source *view(const import *im, size_t index) {
    return im->views[index].read_at ? &im->views[index] : NULL;
}

/* The files of a folder read as one GGUF file. */
static tars_status join_folder(guest *g, const import *im, byte_source *out, tars_error *err) {
    safetensors_sources parts = {view(im, 0), view(im, 1), view(im, 2), view(im, 3),
                                 view(im, 4), view(im, 5), view(im, 6), view(im, 7)};
    return safetensors_to_gguf(&parts, g->place.memory, out, err);
}

static tars_status run(guest *g, wire_result *result, tars_error *err) {
    import *im = g->request;
    byte_source folder;
    bool is_file = im->wire.form == WIRE_GGUF;
    tars_status status = is_file ? TARS_OK : join_folder(g, im, &folder, err);
    if (status != TARS_OK) {
        return status;
    }
    import_options options = {.progress = report,
                              .progress_user = g,
                              .source_sha256 = is_file ? im->wire.source_sha256 : NULL,
                              .no_packed_sha256 = true};
    byte_sink sink = {.context = g, .write = write_packed};
    import_result imported;
    status = import_gguf(is_file ? &im->views[0] : &folder, &options, &sink, g->place.memory,
                         &imported, err);
    if (status == TARS_OK) {
        status = flush(g, err);
    }
    if (status == TARS_OK) {
        result->n_bytes = imported.packed_bytes;
        memcpy(result->source_sha256, imported.source_sha256, sizeof result->source_sha256);
    }
    return status;
}

const guest_service guest_imports = {false, take, run};
