#include "runtime/guest_import.h"

#include <string.h>

/* Every byte of a source is read once or twice, by small pieces a little more often. */
enum { READ_FACTOR = 8, PROGRESS_FACTOR = 4 };
#define RESERVE_BYTES (UINT64_C(64) << 20)

static guest_import *of(guest_client *c) {
    return (guest_import *)c;
}

static tars_status take_read(guest_client *c, tars_error *err) {
    guest_import *im = of(c);
    wire_read read;
    memcpy(&read, c->message.payload, sizeof read);
    bool is_there = read.source < WIRE_MAX_SOURCES && (im->wire.sources >> read.source & 1) != 0;
    uint64_t size_bytes = is_there ? im->wire.size_bytes[read.source] : 0;
    if (im->read.length > 0 || read.reserved != 0 || read.length == 0 || read.offset > size_bytes ||
        read.length > size_bytes - read.offset) {
        return error_set(err, TARS_MALFORMED,
                         "the guest asked for %llu bytes at %llu of source %u, which has %llu",
                         (unsigned long long)read.length, (unsigned long long)read.offset,
                         read.source, (unsigned long long)size_bytes);
    }
    if (read.length > im->may_read) {
        return error_set(err, TARS_LIMIT, "the guest reads the sources again and again");
    }
    im->may_read -= read.length;
    im->read = read;
    return TARS_OK;
}

/* Sends what the last READ asked for, as much as there is room for. */
static tars_status send_bytes(guest_client *c, tars_error *err) {
    guest_import *im = of(c);
    wire_read *read = &im->read;
    tars_status status = TARS_OK;
    while (status == TARS_OK && read->length > 0) {
        size_t n = read->length < sizeof im->buffer ? (size_t)read->length : sizeof im->buffer;
        if (!guest_client_has_room(c, n)) {
            break;
        }
        status =
            byte_source_read(im->request->sources[read->source], read->offset, im->buffer, n, err);
        if (status == TARS_OK) {
            status = wire_send(&c->port, WIRE_BYTES, im->buffer, n, NULL, 0, err);
        }
        read->offset += n;
        read->length -= n;
    }
    return status;
}

static tars_status take_bytes(guest_client *c, tars_error *err) {
    guest_import *im = of(c);
    im->n_packed += c->message.size_bytes;
    sha256_update(&im->hash, c->message.payload, c->message.size_bytes);
    const byte_sink *packed = &im->sink.packed;
    return packed->write(packed->context, c->message.payload, c->message.size_bytes, err);
}

static tars_status take_progress(guest_client *c, tars_error *err) {
    guest_import *im = of(c);
    wire_progress progress;
    memcpy(&progress, c->message.payload, sizeof progress);
    if (progress.done <= im->done || progress.done > progress.total ||
        progress.total > im->may_do || (im->done > 0 && progress.total != im->total)) {
        return error_set(err, TARS_MALFORMED, "the guest tells an impossible progress");
    }
    im->done = progress.done;
    im->total = progress.total;
    im->sink.progress(im->sink.user, progress.done, progress.total);
    return TARS_OK;
}

static tars_status take_result(guest_client *c, tars_error *err) {
    const guest_import *im = of(c);
    tars_status status = guest_client_read_result(c, err);
    const uint8_t *source_sha256 = im->request->source_sha256;
    bool is_source = im->request->form != WIRE_GGUF ||
                     memcmp(c->result.source_sha256, source_sha256, SHA256_DIGEST_BYTES) == 0;
    bool fits = c->result.n_bytes == im->n_packed && im->read.length == 0 && is_source;
    return status == TARS_OK && !fits ? guest_client_misfit(err) : status;
}

static const guest_client_kind imports = {
    .request = WIRE_IMPORT,
    .request_bytes = sizeof(wire_import),
    .takers = {[WIRE_READ] = take_read,
               [WIRE_BYTES] = take_bytes,
               [WIRE_PROGRESS] = take_progress,
               [WIRE_RESULT] = take_result},
    .more = send_bytes,
    .also = {TARS_LIMIT},
};

void guest_import_init(guest_import *im, const guest_import_request *request,
                       const guest_import_sink *sink) {
    memset(im, 0, sizeof *im);
    im->request = request;
    im->sink = *sink;
    im->wire.form = (uint32_t)request->form;
    uint64_t sum = 0;
    for (uint32_t i = 0; i < WIRE_MAX_SOURCES; i++) {
        if (request->sources[i]) {
            im->wire.sources |= 1u << i;
            im->wire.size_bytes[i] = request->sources[i]->size_bytes;
            sum += request->sources[i]->size_bytes;
        }
    }
    memcpy(im->wire.source_sha256, request->source_sha256, SHA256_DIGEST_BYTES);
    im->may_read = sum < UINT64_MAX / 16 ? sum * READ_FACTOR + RESERVE_BYTES : UINT64_MAX;
    im->may_do = sum < UINT64_MAX / 16 ? sum * PROGRESS_FACTOR + RESERVE_BYTES : UINT64_MAX;
    sha256_init(&im->hash);
    guest_client_request own = {.wire = &im->wire, .check = sink->check, .user = sink->user};
    guest_client_init(&im->client, &imports, &own);
}
