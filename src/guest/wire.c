#include "guest/wire.h"

#include <string.h>

/* What the payload of each kind may be. */
static const struct {
    uint32_t least, most; /* bytes */
} sizes[WIRE_KIND_COUNT] = {
    [WIRE_HELLO] = {sizeof(wire_hello), sizeof(wire_hello)},
    [WIRE_REQUEST] = {sizeof(wire_request), sizeof(wire_request)},
    [WIRE_DATA] = {sizeof(wire_data) + 1, WIRE_MAX_PAYLOAD},
    [WIRE_START] = {0, 0},
    [WIRE_CANCEL] = {0, 0},
    [WIRE_PROGRESS] = {sizeof(wire_progress), sizeof(wire_progress)},
    [WIRE_TOKEN] = {sizeof(wire_token), sizeof(wire_token)},
    [WIRE_TEXT] = {1, WIRE_MAX_PAYLOAD},
    [WIRE_RESULT] = {sizeof(wire_result), sizeof(wire_result)},
    [WIRE_ERROR] = {sizeof(wire_error), sizeof(wire_error)},
    [WIRE_LOG] = {1, WIRE_MAX_PAYLOAD},
    [WIRE_IMPORT] = {sizeof(wire_import), sizeof(wire_import)},
    [WIRE_ENCODE] = {sizeof(wire_encode), sizeof(wire_encode)},
    [WIRE_DECODE] = {sizeof(wire_decode), sizeof(wire_decode)},
    [WIRE_EMBED] = {sizeof(wire_embed), sizeof(wire_embed)},
    [WIRE_READ] = {sizeof(wire_read), sizeof(wire_read)},
    [WIRE_BYTES] = {1, WIRE_MAX_PAYLOAD},
    [WIRE_IDS] = {sizeof(wire_ids) + sizeof(wire_id), WIRE_MAX_PAYLOAD},
    [WIRE_VECTORS] = {sizeof(float), WIRE_MAX_PAYLOAD},
};

static void ring_clear(wire_ring *ring) {
    atomic_store_explicit(&ring->written, 0, memory_order_relaxed);
    atomic_store_explicit(&ring->read, 0, memory_order_relaxed);
}

void wire_area_clear(wire_area *area) {
    ring_clear(&area->to_guest);
    ring_clear(&area->to_host);
}

static tars_status gone(tars_error *err) {
    return error_set(err, TARS_UNAVAILABLE, "the other side of the wire is gone");
}

/* Bytes that lie in the ring. The other side may write anything into its index: false when the
 * two cannot belong together. */
static bool ring_used(wire_ring *ring, uint32_t *used) {
    uint32_t written = atomic_load_explicit(&ring->written, memory_order_acquire);
    uint32_t read = atomic_load_explicit(&ring->read, memory_order_acquire);
    *used = written - read;
    return *used <= WIRE_RING_BYTES;
}

static tars_status broken(tars_error *err) {
    return error_set(err, TARS_MALFORMED,
                     "the indices of the wire's ring are %u bytes or more apart",
                     (unsigned)WIRE_RING_BYTES);
}

static tars_status put(wire_port *port, const void *bytes, size_t n, tars_error *err) {
    const uint8_t *from = bytes;
    while (n > 0) {
        uint32_t used;
        if (!ring_used(port->out, &used)) {
            return broken(err);
        }
        if (used == WIRE_RING_BYTES) {
            if (!port->wait(port->context)) {
                return gone(err);
            }
            continue;
        }
        uint32_t written = atomic_load_explicit(&port->out->written, memory_order_relaxed);
        uint32_t at = written % WIRE_RING_BYTES;
        size_t room = WIRE_RING_BYTES - used;
        size_t count = n < room ? n : room;
        count = count < WIRE_RING_BYTES - at ? count : WIRE_RING_BYTES - at;
        memcpy(port->out->bytes + at, from, count);
        atomic_store_explicit(&port->out->written, written + (uint32_t)count, memory_order_release);
        from += count;
        n -= count;
    }
    return TARS_OK;
}

tars_status wire_send(wire_port *port, wire_kind kind, const void *head, size_t head_bytes,
                      const void *tail, size_t tail_bytes, tars_error *err) {
    if (head_bytes > WIRE_MAX_PAYLOAD || tail_bytes > WIRE_MAX_PAYLOAD - head_bytes) {
        return error_set(err, TARS_LIMIT, "a frame of more than %u bytes",
                         (unsigned)WIRE_MAX_PAYLOAD);
    }
    wire_frame frame = {.size_bytes = (uint32_t)(head_bytes + tail_bytes), .kind = (uint16_t)kind};
    tars_status status = put(port, &frame, sizeof frame, err);
    if (status == TARS_OK) {
        status = put(port, head, head_bytes, err);
    }
    return status == TARS_OK ? put(port, tail, tail_bytes, err) : status;
}

tars_status wire_send_error(wire_port *port, const tars_error *error, tars_error *err) {
    wire_error payload;
    memset(&payload, 0, sizeof payload);
    payload.status = (uint32_t)error->status;
    payload.error = *error;
    return wire_send(port, WIRE_ERROR, &payload, sizeof payload, NULL, 0, err);
}

/* Copies n bytes that lie in the ring, from `skip` on. */
static void peek(wire_ring *ring, uint32_t skip, void *bytes, size_t n) {
    uint32_t at =
        (atomic_load_explicit(&ring->read, memory_order_relaxed) + skip) % WIRE_RING_BYTES;
    size_t first = n < WIRE_RING_BYTES - at ? n : WIRE_RING_BYTES - at;
    memcpy(bytes, ring->bytes + at, first);
    memcpy((uint8_t *)bytes + first, ring->bytes, n - first);
}

static tars_status check_frame(const wire_frame *frame, tars_error *err) {
    if (frame->kind == 0 || frame->kind >= WIRE_KIND_COUNT || frame->reserved != 0) {
        return error_set(err, TARS_MALFORMED, "a frame of the unknown kind %u on the wire",
                         (unsigned)frame->kind);
    }
    if (frame->size_bytes < sizes[frame->kind].least ||
        frame->size_bytes > sizes[frame->kind].most) {
        return error_set(err, TARS_MALFORMED,
                         "a frame of kind %u with %u bytes on the wire, %u to %u expected",
                         (unsigned)frame->kind, frame->size_bytes, sizes[frame->kind].least,
                         sizes[frame->kind].most);
    }
    return TARS_OK;
}

/* Every frame fits the ring, so a whole one lies there before it is taken. */
_Static_assert(sizeof(wire_frame) + WIRE_MAX_PAYLOAD <= WIRE_RING_BYTES, "a frame fits the ring");

tars_status wire_poll(wire_port *port, wire_message *out, bool *found, tars_error *err) {
    *found = false;
    uint32_t used;
    if (!ring_used(port->in, &used)) {
        return broken(err);
    }
    if (used < sizeof(wire_frame)) {
        return TARS_OK;
    }
    wire_frame frame;
    peek(port->in, 0, &frame, sizeof frame); /* a copy: the other side may write on */
    tars_status status = check_frame(&frame, err);
    if (status != TARS_OK || used - sizeof frame < frame.size_bytes) {
        return status;
    }
    peek(port->in, sizeof frame, out->payload, frame.size_bytes);
    uint32_t read = atomic_load_explicit(&port->in->read, memory_order_relaxed);
    atomic_store_explicit(&port->in->read, read + (uint32_t)sizeof frame + frame.size_bytes,
                          memory_order_release);
    out->kind = (wire_kind)frame.kind;
    out->size_bytes = frame.size_bytes;
    *found = true;
    return TARS_OK;
}

tars_status wire_receive(wire_port *port, wire_message *out, tars_error *err) {
    for (;;) {
        bool found;
        tars_status status = wire_poll(port, out, &found, err);
        if (status != TARS_OK || found) {
            return status;
        }
        if (!port->wait(port->context)) {
            return gone(err);
        }
    }
}

void wire_read_error(const wire_message *message, tars_error *out) {
    wire_error payload;
    memcpy(&payload, message->payload, sizeof payload);
    tars_error *e = &payload.error;
    e->message[sizeof e->message - 1] = '\0';
    e->hint[sizeof e->hint - 1] = '\0';
    e->where[sizeof e->where - 1] = '\0';
    e->cause[sizeof e->cause - 1] = '\0';
    bool known = payload.status > TARS_OK && payload.status < TARS_STATUS_COUNT;
    error_set(out, known ? (tars_status)payload.status : TARS_FAILED, "%s", e->message);
    error_hint(out, "%s", e->hint);
    error_where(out, "%s", e->where);
    error_cause(out, "%s", e->cause);
}
