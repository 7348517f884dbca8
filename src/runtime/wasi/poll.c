#include "runtime/wasi/internal.h"

#include <stdlib.h>

enum {
    MAX_SUBSCRIPTIONS = 4096,
    SUBSCRIPTION_BYTES = 48,
    EVENT_BYTES = 32,
    TYPE_CLOCK = 0,
    TYPE_READ = 1,
    TYPE_WRITE = 2,
    CLOCK_ABSOLUTE = 1,
    N_WAITING_CLOCKS = 2 /* of real time and steady; nobody waits for processor time */
};

typedef struct subscription {
    uint64_t user;
    uint8_t type;
    uint32_t clock, number; /* of the clock, of the descriptor */
    uint64_t due_ns;        /* on its clock */
    bool happened;
    wasi_errno error;
    uint64_t n_bytes;
} subscription;

static subscription decode(wasi_context *context, const uint8_t *bytes) {
    subscription s = {.user = wasi_decode(bytes, 8), .type = bytes[8]};
    uint64_t now;
    if (s.type == TYPE_READ || s.type == TYPE_WRITE) {
        s.number = (uint32_t)wasi_decode(bytes + 16, 4);
        return s;
    }
    s.clock = (uint32_t)wasi_decode(bytes + 16, 4);
    s.due_ns = wasi_decode(bytes + 24, 8);
    uint64_t flags = wasi_decode(bytes + 40, 2);
    if (s.type != TYPE_CLOCK || s.clock >= N_WAITING_CLOCKS ||
        !wasi_clock_now(context, s.clock, &now)) {
        s.happened = true;
        s.error = WASI_EINVAL;
    } else if ((flags & CLOCK_ABSOLUTE) == 0) {
        s.due_ns = s.due_ns > UINT64_MAX - now ? UINT64_MAX : now + s.due_ns;
    }
    return s;
}

/* Bytes that can be read now, as far as that is known. */
static uint64_t bytes_left(const wasi_descriptor *row) {
    platform_entry entry;
    if (row->kind != WASI_KIND_FILE ||
        platform_beneath_get_entry(row->handle, &entry) != PLATFORM_FAULT_NONE) {
        return 1;
    }
    return entry.size_bytes > row->position ? entry.size_bytes - row->position : 0;
}

/* Files and output are always ready. Bad descriptors are an event, not the failure of the call. */
static void look_at_descriptor(wasi_context *context, subscription *s) {
    wasi_descriptor *row;
    bool reads = s->type == TYPE_READ;
    s->error = wasi_take(context, s->number, WASI_KIND_STREAMS | WASI_KIND_FILE,
                         WASI_RIGHT_POLL_FD_READWRITE, &row);
    if (s->error == WASI_SUCCESS &&
        (row->rights & (reads ? WASI_RIGHT_FD_READ : WASI_RIGHT_FD_WRITE)) == 0) {
        s->error = WASI_EBADF;
    }
    if (s->error != WASI_SUCCESS) {
        s->happened = true;
        return;
    }
    if (!reads || row->kind == WASI_KIND_FILE || wasi_input_ready(context, row, 0)) {
        s->happened = true;
        s->n_bytes = reads ? bytes_left(row) : WASI_MAX_TRANSFER_BYTES;
    }
}

/* Looks at all; *wait_ns is how long nothing will happen but input. */
static size_t look(wasi_context *context, subscription *rows, size_t count, uint64_t *wait_ns,
                   bool *wants_input) {
    size_t n_happened = 0;
    *wait_ns = UINT64_MAX;
    *wants_input = false;
    for (size_t i = 0; i < count && context->end == WASI_RUNS; i++) {
        subscription *s = &rows[i];
        uint64_t now = 0;
        if (!s->happened && s->type != TYPE_CLOCK) {
            look_at_descriptor(context, s);
            *wants_input = *wants_input || !s->happened;
        } else if (!s->happened) {
            (void)wasi_clock_now(context, s->clock, &now);
            uint64_t left = s->due_ns > now ? s->due_ns - now : 0;
            s->happened = left == 0;
            *wait_ns = left < *wait_ns ? left : *wait_ns;
        }
        n_happened += s->happened ? 1 : 0;
    }
    return n_happened;
}

static void wait(wasi_context *context, uint64_t wait_ns, bool wants_input) {
    if (wants_input) {
        (void)wasi_input_ready(context, NULL, wait_ns);
    } else {
        platform_sleep_ns(wasi_slice_ns(context, wait_ns));
    }
}

static wasi_errno put_events(wasi_memory memory, const uint64_t *arguments,
                             const subscription *rows, size_t count) {
    uint32_t n = 0;
    for (size_t i = 0; i < count; i++) {
        const subscription *s = &rows[i];
        uint8_t event[EVENT_BYTES] = {0};
        if (!s->happened) {
            continue;
        }
        wasi_encode(event, s->user, 8);
        wasi_encode(event + 8, s->error, 2);
        event[10] = s->type;
        wasi_encode(event + 16, s->n_bytes, 8);
        (void)wasi_put(memory, wasi_u32(arguments, 1) + n * EVENT_BYTES, event, sizeof event);
        n++;
    }
    return wasi_put_u32(memory, wasi_u32(arguments, 3), n);
}

WASI_CALL(poll_oneoff) {
    uint32_t count = wasi_u32(arguments, 2);
    if (count == 0 || count > MAX_SUBSCRIPTIONS) {
        return WASI_EINVAL;
    }
    if (!wasi_in_memory(memory, wasi_u32(arguments, 0), (uint64_t)count * SUBSCRIPTION_BYTES) ||
        !wasi_in_memory(memory, wasi_u32(arguments, 1), (uint64_t)count * EVENT_BYTES) ||
        !wasi_in_memory(memory, wasi_u32(arguments, 3), 4)) {
        return WASI_EFAULT;
    }
    subscription *rows = calloc(count, sizeof *rows);
    if (!rows) {
        return WASI_ENOMEM;
    }
    for (uint32_t i = 0; i < count; i++) {
        uint8_t bytes[SUBSCRIPTION_BYTES];
        (void)wasi_get(memory, wasi_u32(arguments, 0) + i * SUBSCRIPTION_BYTES, bytes,
                       sizeof bytes);
        rows[i] = decode(context, bytes);
    }
    uint64_t wait_ns;
    bool wants_input;
    while (look(context, rows, count, &wait_ns, &wants_input) == 0 && wasi_pulse(context)) {
        wait(context, wait_ns, wants_input);
    }
    wasi_errno result =
        context->end == WASI_RUNS ? put_events(memory, arguments, rows, count) : WASI_EINTR;
    free(rows);
    return result;
}
