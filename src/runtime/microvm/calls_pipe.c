/* Pipes and events within the guest: from one of its threads to another. */
#include "runtime/microvm/linux_internal.h"

#include <stdlib.h>
#include <string.h>

enum { PIPE_BYTES = 64 << 10 };

bool linux_pipe_ready(const linux_open *open) {
    const linux_pipe *pipe = open->pipe;
    return open->kind == LINUX_KIND_PIPE_READ ? pipe->count > 0 || pipe->n_writers == 0
                                              : pipe->count < PIPE_BYTES || pipe->n_readers == 0;
}

size_t linux_pipe_read(linux_open *open, uint8_t *bytes, size_t length) {
    linux_pipe *pipe = open->pipe;
    size_t done = 0;
    while (done < length && pipe->count > 0) {
        size_t run = PIPE_BYTES - pipe->first;
        size_t part = length - done < pipe->count ? length - done : pipe->count;
        part = part < run ? part : run;
        memcpy(bytes + done, pipe->bytes + pipe->first, part);
        pipe->first = (pipe->first + part) % PIPE_BYTES;
        pipe->count -= part;
        done += part;
    }
    pipe->n_changes++;
    return done;
}

size_t linux_pipe_write(linux_open *open, const uint8_t *bytes, size_t length) {
    linux_pipe *pipe = open->pipe;
    size_t done = 0;
    while (done < length && pipe->count < PIPE_BYTES) {
        size_t at = (pipe->first + pipe->count) % PIPE_BYTES;
        size_t run = PIPE_BYTES - at;
        size_t room = PIPE_BYTES - pipe->count;
        size_t part = length - done < room ? length - done : room;
        part = part < run ? part : run;
        memcpy(pipe->bytes + at, bytes + done, part);
        pipe->count += part;
        done += part;
    }
    pipe->n_changes++;
    return done;
}

/* Both ends, or neither. */
static bool make_ends(linux_open *ends[2]) {
    linux_pipe *pipe = calloc(1, sizeof *pipe);
    uint8_t *bytes = malloc(PIPE_BYTES);
    ends[0] = linux_open_new(LINUX_KIND_PIPE_READ);
    ends[1] = linux_open_new(LINUX_KIND_PIPE_WRITE);
    if (!pipe || !bytes || !ends[0] || !ends[1]) {
        linux_open_release(ends[0]);
        linux_open_release(ends[1]);
        free(bytes);
        free(pipe);
        return false;
    }
    *pipe = (linux_pipe){.bytes = bytes, .n_readers = 1, .n_writers = 1};
    ends[0]->readable = true;
    ends[1]->writable = true;
    ends[0]->pipe = pipe;
    ends[1]->pipe = pipe;
    return true;
}

static int64_t make_pipe(linux_context *context, uint64_t address, uint64_t flags) {
    enum { NO_WAIT = 0x800, CLOSE_ON_EXEC = 0x80000 };
    linux_open *ends[2];
    int32_t numbers[2];
    if ((flags & ~(uint64_t)(NO_WAIT | CLOSE_ON_EXEC)) != 0) {
        return -LINUX_EINVAL;
    }
    if (!space_pointer(context->options.space, address, sizeof numbers, SPACE_WRITE)) {
        return -LINUX_EFAULT;
    }
    if (!make_ends(ends)) {
        return -LINUX_ENOMEM;
    }
    for (size_t i = 0; i < 2; i++) {
        ends[i]->no_wait = (flags & NO_WAIT) != 0;
        int64_t number = linux_add(context, ends[i], 0, (flags & CLOSE_ON_EXEC) != 0);
        if (number < 0) {
            if (i == 0) {
                linux_open_release(ends[1]);
            } else {
                (void)call_close(context, (const uint64_t[1]){(uint64_t)numbers[0]});
            }
            return number;
        }
        numbers[i] = (int32_t)number;
    }
    return linux_put(context, address, numbers, sizeof numbers);
}

LINUX_CALL(pipe) {
    return make_pipe(context, arguments[0], 0);
}

LINUX_CALL(pipe2) {
    return make_pipe(context, arguments[0], arguments[1]);
}

/* ---- events ---------------------------------------------------------------------------- */

bool linux_event_ready(const linux_open *open, bool writes) {
    return writes ? open->event.value < UINT64_MAX - 1 : open->event.value > 0;
}

LINUX_CALL(eventfd2) {
    enum { BY_ONE = 1, NO_WAIT = 0x800, CLOSE_ON_EXEC = 0x80000 };
    uint32_t flags = (uint32_t)arguments[1];
    if ((flags & ~(uint32_t)(BY_ONE | NO_WAIT | CLOSE_ON_EXEC)) != 0) {
        return -LINUX_EINVAL;
    }
    linux_open *open = linux_open_new(LINUX_KIND_EVENT);
    if (!open) {
        return -LINUX_ENOMEM;
    }
    open->readable = true;
    open->writable = true;
    open->no_wait = (flags & NO_WAIT) != 0;
    open->event = (linux_event){.value = (uint32_t)arguments[0], .by_one = (flags & BY_ONE) != 0};
    return linux_add(context, open, 0, (flags & CLOSE_ON_EXEC) != 0);
}
