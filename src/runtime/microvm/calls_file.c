#include "runtime/microvm/linux_internal.h"

#include "base/checked.h"

#include <string.h>

/* ---- what is moved --------------------------------------------------------------------- */

typedef struct transfer {
    uint64_t number; /* of the descriptor */
    bool writes;
    bool vector;     /* `at` is an array of `count` buffers, else a buffer of `count` bytes */
    bool positioned; /* at `position`, which the open file does not keep */
    uint64_t at, count, position;
} transfer;

/* A buffer's every byte is checked; more than a call moves is left out after that. */
static int64_t add_slice(linux_context *context, const transfer *t, uint64_t at, uint64_t length,
                         uint64_t *left, linux_slices *out) {
    uint8_t *bytes =
        space_pointer(context->options.space, at, length, t->writes ? SPACE_READ : SPACE_WRITE);
    if (!bytes) {
        return -LINUX_EFAULT;
    }
    uint64_t part = length < *left ? length : *left;
    if (part > 0) {
        out->rows[out->count++] = (linux_slice){bytes, (size_t)part};
        *left -= part;
    }
    return 0;
}

/* Pairs of pointer and length, copied before they are looked at. */
static int64_t get_slices(linux_context *context, const transfer *t, linux_slices *out) {
    uint64_t pairs[LINUX_MAX_VECTORS][2];
    uint64_t left = LINUX_MAX_TRANSFER_BYTES;
    uint64_t total = 0;
    out->count = 0;
    if (!t->vector) {
        return add_slice(context, t, t->at, t->count, &left, out);
    }
    if (t->count > LINUX_MAX_VECTORS) {
        return -LINUX_EINVAL;
    }
    int64_t result = linux_get(context, t->at, pairs, (size_t)t->count * sizeof pairs[0]);
    for (uint64_t i = 0; i < t->count && result == 0; i++) {
        if (!checked_add_u64(total, pairs[i][1], &total) || total > INT64_MAX) {
            return -LINUX_EINVAL;
        }
        result = add_slice(context, t, pairs[i][0], pairs[i][1], &left, out);
    }
    return result;
}

/* ---- moving bytes ---------------------------------------------------------------------- */

/* Moves a part; less than all of it ends the call. */
typedef int64_t mover(linux_context *context, linux_open *open, uint64_t position, linux_slice part,
                      size_t *done);

static int64_t read_file(linux_context *context, linux_open *open, uint64_t position,
                         linux_slice part, size_t *done) {
    platform_fault fault =
        platform_beneath_read(open->handle, position, part.bytes, part.length, done);
    context->bytes_in += *done;
    return linux_fault(context, fault);
}

static int64_t write_file(linux_context *context, linux_open *open, uint64_t position,
                          linux_slice part, size_t *done) {
    platform_fault fault =
        platform_beneath_write(open->handle, position, part.bytes, part.length, done);
    context->bytes_out += *done;
    return linux_fault(context, fault);
}

static int64_t append_file(linux_context *context, linux_open *open, uint64_t position,
                           linux_slice part, size_t *done) {
    uint64_t end;
    (void)position;
    platform_fault fault =
        platform_beneath_append(open->handle, part.bytes, part.length, done, &end);
    context->bytes_out += *done;
    return linux_fault(context, fault);
}

static int64_t write_stream(linux_context *context, linux_open *open, uint64_t position,
                            linux_slice part, size_t *done) {
    kept_output *buffer = open->kind == LINUX_KIND_OUTPUT ? &context->output : &context->errors;
    (void)position;
    *done = linux_buffer_add(context, buffer, part.bytes, part.length) ? part.length : 0;
    return 0;
}

static int64_t read_pipe(linux_context *context, linux_open *open, uint64_t position,
                         linux_slice part, size_t *done) {
    (void)context;
    (void)position;
    *done = linux_pipe_read(open, part.bytes, part.length);
    return 0;
}

static int64_t write_pipe(linux_context *context, linux_open *open, uint64_t position,
                          linux_slice part, size_t *done) {
    (void)context;
    (void)position;
    *done = linux_pipe_write(open, part.bytes, part.length);
    return 0;
}

/* What is there, once; more might have to be waited for. */
static int64_t read_input(linux_context *context, linux_open *open, uint64_t position,
                          linux_slice part, size_t *done) {
    (void)open;
    *done = 0;
    if (position > 0 || context->options.input == PLATFORM_NO_HANDLE) {
        return 0;
    }
    tars_status status =
        platform_handle_read(context->options.input, part.bytes, part.length, done, NULL);
    if (status == TARS_CANCELLED) {
        linux_finish(context, LINUX_STOPPED);
    }
    context->bytes_in += *done;
    return status == TARS_OK ? 0 : -LINUX_EIO;
}

/* Bytes that were moved, or a negative errno when it was none. */
static int64_t move_all(linux_context *context, linux_open *open, const linux_slices *slices,
                        uint64_t position, mover *move) {
    uint64_t total = 0;
    for (size_t i = 0; i < slices->count; i++) {
        linux_slice rest = slices->rows[i];
        while (rest.length > 0) {
            size_t length = rest.length < LINUX_CHUNK_BYTES ? rest.length : LINUX_CHUNK_BYTES;
            size_t done = 0;
            if (!linux_pulse(context)) {
                return -LINUX_EINTR;
            }
            int64_t result =
                move(context, open, position + total, (linux_slice){rest.bytes, length}, &done);
            total += done;
            if (result != 0 || done < length) {
                return total > 0 ? (int64_t)total : result;
            }
            rest.bytes += length;
            rest.length -= length;
        }
    }
    return (int64_t)total;
}

/* ---- waiting --------------------------------------------------------------------------- */

static bool input_ready(linux_context *context, bool waits) {
    uint32_t ready;
    platform_handle input = context->options.input;
    if (input == PLATFORM_NO_HANDLE) {
        return true; /* at its end */
    }
    /* other threads of the guest need the lock that this one holds */
    bool alone = !context->machine.sleep;
    uint64_t wait_ns = waits && alone ? linux_slice_ns(context, UINT64_MAX) : 0;
    tars_status status = platform_handle_wait(&input, 1, wait_ns, &ready, NULL);
    if (status == TARS_CANCELLED) {
        linux_finish(context, LINUX_STOPPED);
    }
    if (status == TARS_TIMEOUT && waits && !alone) {
        linux_nap(context, linux_slice_ns(context, 1000000));
    }
    return status != TARS_TIMEOUT && status != TARS_CANCELLED; /* reading tells of an error */
}

bool linux_ready(linux_context *context, const linux_open *open, bool writes) {
    return open->kind == LINUX_KIND_INPUT   ? input_ready(context, false)
           : open->pipe                     ? linux_pipe_ready(open)
           : open->kind == LINUX_KIND_EVENT ? linux_event_ready(open, writes)
                                            : true;
}

static int64_t take_for(linux_context *context, const transfer *t, linux_open **open) {
    unsigned kinds = t->positioned ? LINUX_KIND_FILE | LINUX_KIND_DEVICE : LINUX_KIND_ANY;
    int64_t result = linux_take(context, t->number, kinds, open);
    if (result == 0 && !(t->writes ? (*open)->writable : (*open)->readable)) {
        bool folder = ((*open)->kind & LINUX_KIND_FOLDERS) != 0;
        result = folder && !t->writes ? -LINUX_EISDIR : -LINUX_EBADF;
    }
    return result;
}

/* Until it would not wait. The descriptor is taken anew each time: another thread may close it. */
static int64_t wait_for(linux_context *context, const transfer *t, linux_open **open) {
    for (;;) {
        int64_t result = take_for(context, t, open);
        if (result != 0) {
            return result;
        }
        bool waits = !(*open)->no_wait;
        bool within = (*open)->pipe || (*open)->kind == LINUX_KIND_EVENT;
        bool ready = (*open)->kind == LINUX_KIND_INPUT ? input_ready(context, waits)
                                                       : linux_ready(context, *open, t->writes);
        if (ready) {
            return 0;
        }
        if (!linux_pulse(context)) {
            return -LINUX_EINTR;
        }
        if (!waits) {
            return -LINUX_EAGAIN;
        }
        if (within && !context->machine.sleep) { /* nobody else is there to move bytes */
            return linux_sleep_until(context, PLATFORM_FOREVER) ? 0 : -LINUX_EINTR;
        }
        if (linux_has_signal(context)) {
            return -LINUX_RESTART;
        }
        if (within) {
            linux_nap_for_files(context, linux_slice_ns(context, UINT64_MAX));
        }
    }
}

/* ---- reading and writing --------------------------------------------------------------- */

/* Whether a file may become as long as that. */
static int64_t check_end(linux_context *context, uint64_t position, uint64_t length) {
    uint64_t end;
    if (!checked_add_u64(position, length, &end) || end > INT64_MAX) {
        return -LINUX_EFBIG;
    }
    if (length > 0 && end > context->options.file_bytes) {
        linux_finish(context, LINUX_FILE_SIZE);
        return -LINUX_EFBIG;
    }
    return 0;
}

/* *position: where to write, and afterwards where that ended. */
static int64_t write_to_file(linux_context *context, linux_open *open, const linux_slices *slices,
                             uint64_t *position) {
    uint64_t length = 0;
    int64_t result = 0;
    for (size_t i = 0; i < slices->count; i++) {
        length += slices->rows[i].length;
    }
    if (open->appends) {
        platform_entry entry = {.kind = PLATFORM_KIND_MISSING};
        result = linux_fault(context, platform_beneath_get_entry(open->handle, &entry));
        *position = entry.size_bytes;
    }
    if (result == 0) {
        result = check_end(context, *position, length);
    }
    if (result == 0) {
        result =
            move_all(context, open, slices, *position, open->appends ? append_file : write_file);
    }
    *position += result > 0 ? (uint64_t)result : 0;
    return result;
}

static int64_t transfer_file(linux_context *context, linux_open *open, const transfer *t,
                             const linux_slices *slices) {
    uint64_t position = t->positioned ? t->position : open->position;
    int64_t result;
    if (t->writes) {
        result = write_to_file(context, open, slices, &position);
    } else {
        result = move_all(context, open, slices, position, read_file);
        position += result > 0 ? (uint64_t)result : 0;
    }
    if (!t->positioned && result > 0) {
        open->position = position;
    }
    return result;
}

/* Eight bytes at once; it was found ready. */
static int64_t transfer_event(linux_context *context, linux_open *open, const transfer *t) {
    linux_event *e = &open->event;
    uint64_t value = t->writes ? 0 : e->by_one ? 1 : e->value;
    if (t->vector || t->count < sizeof value) {
        return -LINUX_EINVAL;
    }
    if (!t->writes) {
        int64_t result = linux_put(context, t->at, &value, sizeof value);
        e->value -= result == 0 ? value : 0;
        e->n_changes += result == 0 ? 1 : 0;
        return result == 0 ? (int64_t)sizeof value : result;
    }
    int64_t result = linux_get(context, t->at, &value, sizeof value);
    if (result == 0 && value > UINT64_MAX - 1 - e->value) {
        result = value == UINT64_MAX ? -LINUX_EINVAL : -LINUX_EAGAIN;
    }
    e->value += result == 0 ? value : 0;
    e->n_changes += result == 0 ? 1 : 0;
    return result == 0 ? (int64_t)sizeof value : result;
}

/* Leaves out what was moved before; returns how much there is left. */
static uint64_t skip_bytes(linux_slices *slices, uint64_t count) {
    uint64_t left = 0;
    size_t i = 0;
    while (i < slices->count && count >= slices->rows[i].length) {
        count -= slices->rows[i++].length;
    }
    slices->count -= i;
    memmove(slices->rows, slices->rows + i, slices->count * sizeof slices->rows[0]);
    if (slices->count > 0) {
        slices->rows[0].bytes += count;
        slices->rows[0].length -= (size_t)count;
    }
    for (i = 0; i < slices->count; i++) {
        left += slices->rows[i].length;
    }
    return left;
}

/* Waits until all has been taken, unless the descriptor does not wait. While it waits everything
 * may change, so all is looked at again. */
static int64_t write_to_pipe(linux_context *context, const transfer *t) {
    enum { BROKEN_PIPE = 13 };
    uint64_t total = 0;
    linux_open *open;
    linux_slices slices;
    for (;;) {
        int64_t result = wait_for(context, t, &open);
        if (result == 0) {
            result = open->kind == LINUX_KIND_PIPE_WRITE ? get_slices(context, t, &slices)
                                                         : -LINUX_EBADF;
        }
        if (result == 0 && open->pipe->n_readers == 0) {
            (void)linux_send(context, BROKEN_PIPE);
            result = -LINUX_EPIPE;
        }
        uint64_t left = 0;
        if (result == 0) {
            left = skip_bytes(&slices, total);
            linux_wake_files(context);
            result = move_all(context, open, &slices, 0, write_pipe);
        }
        total += result > 0 ? (uint64_t)result : 0;
        if (result <= 0 || (uint64_t)result == left || open->no_wait) {
            return total > 0 ? (int64_t)total : result;
        }
    }
}

static int64_t run(linux_context *context, const transfer *t) {
    linux_open *open;
    linux_slices slices;
    bool bad = t->positioned && t->position > INT64_MAX;
    int64_t result = bad ? -LINUX_EINVAL : wait_for(context, t, &open);
    if (result == 0 && (open->kind == LINUX_KIND_EVENT || open->pipe)) {
        linux_wake_files(context); /* they look when this call is over */
    }
    if (result == 0 && open->kind == LINUX_KIND_EVENT) {
        return transfer_event(context, open, t);
    }
    if (result == 0) {
        result = get_slices(context, t, &slices);
    }
    if (result != 0 || slices.count == 0) {
        return result;
    }
    if (open->kind == LINUX_KIND_FILE) {
        return transfer_file(context, open, t, &slices);
    }
    if (open->kind == LINUX_KIND_PIPE_WRITE) {
        return write_to_pipe(context, t);
    }
    mover *move = open->kind == LINUX_KIND_INPUT       ? read_input
                  : open->kind == LINUX_KIND_PIPE_READ ? read_pipe
                  : open->kind == LINUX_KIND_DEVICE
                      ? t->writes ? linux_device_write : linux_device_read
                      : write_stream;
    return move_all(context, open, &slices, 0, move);
}

LINUX_CALL(read) {
    return run(context,
               &(transfer){.number = arguments[0], .at = arguments[1], .count = arguments[2]});
}

LINUX_CALL(write) {
    return run(context, &(transfer){.number = arguments[0],
                                    .writes = true,
                                    .at = arguments[1],
                                    .count = arguments[2]});
}

/* A number of buffers is an int's. */
LINUX_CALL(readv) {
    return run(context, &(transfer){.number = arguments[0],
                                    .vector = true,
                                    .at = arguments[1],
                                    .count = arguments[2]});
}

LINUX_CALL(writev) {
    return run(context, &(transfer){.number = arguments[0],
                                    .writes = true,
                                    .vector = true,
                                    .at = arguments[1],
                                    .count = arguments[2]});
}

LINUX_CALL(pread64) {
    return run(context, &(transfer){.number = arguments[0],
                                    .at = arguments[1],
                                    .count = arguments[2],
                                    .positioned = true,
                                    .position = arguments[3]});
}

/* A file opened for appending is appended to here, too, as Linux does. */
LINUX_CALL(pwrite64) {
    return run(context, &(transfer){.number = arguments[0],
                                    .writes = true,
                                    .at = arguments[1],
                                    .count = arguments[2],
                                    .positioned = true,
                                    .position = arguments[3]});
}

LINUX_CALL(preadv) {
    return run(context, &(transfer){.number = arguments[0],
                                    .vector = true,
                                    .at = arguments[1],
                                    .count = arguments[2],
                                    .positioned = true,
                                    .position = arguments[3]});
}

LINUX_CALL(pwritev) {
    return run(context, &(transfer){.number = arguments[0],
                                    .writes = true,
                                    .vector = true,
                                    .at = arguments[1],
                                    .count = arguments[2],
                                    .positioned = true,
                                    .position = arguments[3]});
}

/* ---- positions and sizes ---------------------------------------------------------------- */

LINUX_CALL(lseek) {
    enum { FROM_START = 0, FROM_HERE, FROM_END, WHENCES };
    linux_open *open;
    uint32_t whence = (uint32_t)arguments[2];
    platform_entry entry = {.kind = PLATFORM_KIND_MISSING};
    int64_t position;
    unsigned kinds = LINUX_KIND_FILE | LINUX_KIND_FOLDERS | LINUX_KIND_DEVICE;
    int64_t result = linux_take(context, arguments[0], kinds, &open);
    if (result == 0 && open->kind == LINUX_KIND_DEVICE) {
        return 0; /* it has no positions */
    }
    if (result == 0 &&
        (whence >= WHENCES || (whence == FROM_END && (open->kind & LINUX_KIND_FOLDERS) != 0))) {
        result = -LINUX_EINVAL;
    }
    if (result == 0 && whence == FROM_END) {
        result = linux_fault(context, platform_beneath_get_entry(open->handle, &entry));
    }
    if (result != 0) {
        return result;
    }
    uint64_t base = whence == FROM_HERE ? open->position : entry.size_bytes;
    if (__builtin_add_overflow((int64_t)base, (int64_t)arguments[1], &position) || position < 0) {
        return -LINUX_EINVAL;
    }
    open->position = (uint64_t)position;
    return position;
}

static int64_t sync_to_disk(linux_context *context, uint64_t number, bool data_only) {
    linux_open *open;
    int64_t result = linux_take(context, number, LINUX_KIND_ANY, &open);
    if (result == 0 && (open->kind & (LINUX_KIND_FILE | LINUX_KIND_FOLDER)) == 0) {
        result = -LINUX_EINVAL;
    }
    return result == 0 ? linux_fault(context, platform_beneath_sync(open->handle, data_only))
                       : result;
}

LINUX_CALL(fsync) {
    return sync_to_disk(context, arguments[0], false);
}

LINUX_CALL(fdatasync) {
    return sync_to_disk(context, arguments[0], true);
}

static int64_t resize(linux_context *context, platform_handle handle, uint64_t size_bytes) {
    if (size_bytes > INT64_MAX) {
        return -LINUX_EINVAL;
    }
    if (size_bytes > context->options.file_bytes) {
        linux_finish(context, LINUX_FILE_SIZE);
        return -LINUX_EFBIG;
    }
    return linux_fault(context, platform_beneath_resize(handle, size_bytes));
}

LINUX_CALL(ftruncate) {
    linux_open *open;
    int64_t result = linux_take(context, arguments[0], LINUX_KIND_ANY, &open);
    if (result == 0 && (open->kind != LINUX_KIND_FILE || !open->writable)) {
        result = -LINUX_EINVAL;
    }
    return result == 0 ? resize(context, open->handle, arguments[1]) : result;
}

LINUX_CALL(truncate) {
    linux_place place;
    platform_entry entry;
    platform_handle handle;
    int64_t result = linux_locate_to_change(context, (uint64_t)LINUX_AT_CWD, arguments[0], &place);
    if (result == 0) {
        result =
            linux_fault(context, platform_beneath_open(place.mount->handle, place.below,
                                                       PLATFORM_OPEN_WRITE, 0, &handle, &entry));
    }
    if (result == 0) {
        result = resize(context, handle, arguments[1]);
        platform_handle_close(handle);
    }
    return result;
}

/* Programs that are told so copy by reading and writing. */
LINUX_CALL(sendfile) {
    (void)context;
    (void)arguments;
    return -LINUX_EINVAL;
}

LINUX_CALL(copy_file_range) {
    (void)context;
    (void)arguments;
    return -LINUX_EINVAL;
}

/* How a guest will read changes nothing here. */
LINUX_CALL(fadvise64) {
    linux_open *open;
    int64_t result = linux_take(context, arguments[0], LINUX_KIND_FILE, &open);
    return result == 0 && (uint32_t)arguments[3] > 5 ? -LINUX_EINVAL : result;
}

/* Room on the disk, which the file grows to hold. */
LINUX_CALL(fallocate) {
    linux_open *open;
    int64_t result = linux_take(context, arguments[0], LINUX_KIND_FILE, &open);
    if (result == 0 && !open->writable) {
        result = -LINUX_EBADF;
    }
    if (result == 0 && (uint32_t)arguments[1] != 0) {
        result = -LINUX_EOPNOTSUPP;
    }
    if (result == 0 && ((int64_t)arguments[2] < 0 || (int64_t)arguments[3] <= 0)) {
        result = -LINUX_EINVAL;
    }
    if (result == 0) {
        result = check_end(context, arguments[2], arguments[3]);
    }
    return result == 0 ? linux_fault(context, platform_beneath_allocate(open->handle, arguments[2],
                                                                        arguments[3]))
                       : result;
}
