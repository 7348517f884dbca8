#include "base/checked.h"
#include "runtime/wasi/internal.h"

#include <stddef.h>

enum { SEEK_FROM_START = 0, SEEK_FROM_HERE, SEEK_FROM_END, SEEK_COUNT };
enum { MAX_ADVICE = 5 };

/* ---- moving bytes ---------------------------------------------------------------------- */

/* Moves a part; less than all of it ends the call. */
typedef wasi_errno mover(wasi_context *context, wasi_descriptor *row, uint64_t position,
                         wasi_slice part, size_t *done);

static wasi_errno read_file(wasi_context *context, wasi_descriptor *row, uint64_t position,
                            wasi_slice part, size_t *done) {
    platform_fault fault =
        platform_beneath_read(row->handle, position, part.bytes, part.length, done);
    context->bytes_in += *done;
    return wasi_fault(context, fault);
}

static wasi_errno write_file(wasi_context *context, wasi_descriptor *row, uint64_t position,
                             wasi_slice part, size_t *done) {
    platform_fault fault =
        platform_beneath_write(row->handle, position, part.bytes, part.length, done);
    context->bytes_out += *done;
    return wasi_fault(context, fault);
}

static wasi_errno append_file(wasi_context *context, wasi_descriptor *row, uint64_t position,
                              wasi_slice part, size_t *done) {
    uint64_t end;
    (void)position;
    platform_fault fault =
        platform_beneath_append(row->handle, part.bytes, part.length, done, &end);
    context->bytes_out += *done;
    return wasi_fault(context, fault);
}

static wasi_errno write_stream(wasi_context *context, wasi_descriptor *row, uint64_t position,
                               wasi_slice part, size_t *done) {
    kept_output *buffer = row->kind == WASI_KIND_OUTPUT ? &context->output : &context->errors;
    (void)position;
    *done = wasi_buffer_add(context, buffer, part.bytes, part.length) ? part.length : 0;
    return WASI_SUCCESS;
}

static wasi_errno move_all(wasi_context *context, wasi_descriptor *row, const wasi_slices *slices,
                           uint64_t position, mover *move, size_t *total) {
    *total = 0;
    for (size_t i = 0; i < slices->count; i++) {
        wasi_slice rest = slices->rows[i];
        while (rest.length > 0) {
            size_t length = rest.length < WASI_CHUNK_BYTES ? rest.length : WASI_CHUNK_BYTES;
            size_t done = 0;
            if (!wasi_pulse(context)) {
                return WASI_EINTR;
            }
            wasi_errno result =
                move(context, row, position + *total, (wasi_slice){rest.bytes, length}, &done);
            *total += done;
            if (result != WASI_SUCCESS || done < length) {
                return *total > 0 ? WASI_SUCCESS : result;
            }
            rest.bytes += length;
            rest.length -= length;
        }
    }
    return WASI_SUCCESS;
}

/* ---- standard input -------------------------------------------------------------------- */

bool wasi_input_ready(wasi_context *context, const wasi_descriptor *row, uint64_t wait_ns) {
    uint32_t ready;
    (void)row;
    platform_handle input = context->options.input;
    if (input == PLATFORM_NO_HANDLE) {
        return true; /* at its end */
    }
    tars_status status =
        platform_handle_wait(&input, 1, wasi_slice_ns(context, wait_ns), &ready, NULL);
    if (status == TARS_CANCELLED) {
        wasi_finish(context, WASI_STOPPED);
    }
    return status != TARS_TIMEOUT && status != TARS_CANCELLED; /* reading tells of an error */
}

static wasi_errno read_input(wasi_context *context, const wasi_descriptor *row,
                             const wasi_slices *slices, size_t *done) {
    platform_handle input = context->options.input;
    *done = 0;
    if (slices->count == 0 || input == PLATFORM_NO_HANDLE) {
        return WASI_SUCCESS;
    }
    if (!wasi_pulse(context)) {
        return WASI_EINTR;
    }
    bool waits = (row->flags & WASI_FLAG_NONBLOCK) == 0;
    while (!wasi_input_ready(context, row, waits ? UINT64_MAX : 0)) {
        if (!wasi_pulse(context)) {
            return WASI_EINTR;
        }
        if (!waits) {
            return WASI_EAGAIN;
        }
    }
    wasi_slice part = slices->rows[0]; /* more might not be there yet */
    size_t length = part.length < WASI_CHUNK_BYTES ? part.length : WASI_CHUNK_BYTES;
    tars_status status = platform_handle_read(input, part.bytes, length, done, NULL);
    if (status == TARS_CANCELLED) {
        wasi_finish(context, WASI_STOPPED);
    }
    context->bytes_in += *done;
    return status == TARS_OK ? WASI_SUCCESS : WASI_EIO;
}

/* ---- reading and writing --------------------------------------------------------------- */

/* Takes the descriptor and the buffers; *count_at is where the guest wants the number of bytes. */
static wasi_errno begin(wasi_context *context, wasi_memory memory, const uint64_t *arguments,
                        unsigned kinds, uint64_t right, uint32_t count_at, wasi_descriptor **row,
                        wasi_slices *slices) {
    wasi_errno result = wasi_take(context, arguments[0], kinds, right, row);
    if (result == WASI_SUCCESS && !wasi_in_memory(memory, count_at, 4)) {
        result = WASI_EFAULT; /* now, before bytes are lost */
    }
    return result == WASI_SUCCESS
               ? wasi_get_slices(memory, wasi_u32(arguments, 1), wasi_u32(arguments, 2), slices)
               : result;
}

static wasi_errno finish(wasi_memory memory, uint32_t count_at, wasi_errno result, size_t done) {
    return result == WASI_SUCCESS ? wasi_put_u32(memory, count_at, (uint32_t)done) : result;
}

WASI_CALL(fd_read) {
    wasi_descriptor *row;
    wasi_slices slices;
    size_t done = 0;
    uint32_t count_at = wasi_u32(arguments, 3);
    wasi_errno result = begin(context, memory, arguments, WASI_KIND_STREAMS | WASI_KIND_FILE,
                              WASI_RIGHT_FD_READ, count_at, &row, &slices);
    if (result != WASI_SUCCESS) {
        return result;
    }
    if (row->kind == WASI_KIND_INPUT) {
        result = read_input(context, row, &slices, &done);
    } else {
        result = move_all(context, row, &slices, row->position, read_file, &done);
        row->position += done;
    }
    return finish(memory, count_at, result, done);
}

WASI_CALL(fd_pread) {
    wasi_descriptor *row;
    wasi_slices slices;
    size_t done = 0;
    uint32_t count_at = wasi_u32(arguments, 4);
    wasi_errno result = begin(context, memory, arguments, WASI_KIND_FILE,
                              WASI_RIGHT_FD_READ | WASI_RIGHT_FD_SEEK, count_at, &row, &slices);
    if (result == WASI_SUCCESS) {
        result = arguments[3] > INT64_MAX
                     ? WASI_EINVAL
                     : move_all(context, row, &slices, arguments[3], read_file, &done);
    }
    return finish(memory, count_at, result, done);
}

/* Whether a file may become as long as that. */
static wasi_errno check_end(wasi_context *context, uint64_t position, uint64_t length) {
    uint64_t end;
    if (!checked_add_u64(position, length, &end) || end > INT64_MAX) {
        return WASI_EFBIG;
    }
    if (length > 0 && end > context->options.file_bytes) {
        wasi_finish(context, WASI_FILE_SIZE);
        return WASI_EFBIG;
    }
    return WASI_SUCCESS;
}

/* *position: where to write, and afterwards where that ended. */
static wasi_errno write_to_file(wasi_context *context, wasi_descriptor *row,
                                const wasi_slices *slices, uint64_t *position, size_t *done) {
    uint64_t length = 0;
    bool appends = (row->flags & WASI_FLAG_APPEND) != 0;
    wasi_errno result = WASI_SUCCESS;
    for (size_t i = 0; i < slices->count; i++) {
        length += slices->rows[i].length;
    }
    if (appends) {
        platform_entry entry = {.kind = PLATFORM_KIND_MISSING};
        result = wasi_fault(context, platform_beneath_get_entry(row->handle, &entry));
        *position = entry.size_bytes;
    }
    if (result == WASI_SUCCESS) {
        result = check_end(context, *position, length);
    }
    if (result == WASI_SUCCESS) {
        result =
            move_all(context, row, slices, *position, appends ? append_file : write_file, done);
    }
    *position += *done;
    return result;
}

WASI_CALL(fd_write) {
    wasi_descriptor *row;
    wasi_slices slices;
    size_t done = 0;
    uint32_t count_at = wasi_u32(arguments, 3);
    wasi_errno result = begin(context, memory, arguments, WASI_KIND_STREAMS | WASI_KIND_FILE,
                              WASI_RIGHT_FD_WRITE, count_at, &row, &slices);
    if (result != WASI_SUCCESS) {
        return result;
    }
    if (row->kind == WASI_KIND_FILE) {
        uint64_t position = row->position;
        result = write_to_file(context, row, &slices, &position, &done);
        row->position = done > 0 ? position : row->position;
    } else {
        result = move_all(context, row, &slices, 0, write_stream, &done);
    }
    return finish(memory, count_at, result, done);
}

/* A file opened for appending is appended to here, too, as Linux does. */
WASI_CALL(fd_pwrite) {
    wasi_descriptor *row;
    wasi_slices slices;
    size_t done = 0;
    uint32_t count_at = wasi_u32(arguments, 4);
    wasi_errno result = begin(context, memory, arguments, WASI_KIND_FILE,
                              WASI_RIGHT_FD_WRITE | WASI_RIGHT_FD_SEEK, count_at, &row, &slices);
    if (result == WASI_SUCCESS) {
        uint64_t position = arguments[3];
        result = write_to_file(context, row, &slices, &position, &done);
    }
    return finish(memory, count_at, result, done);
}

/* ---- positions ------------------------------------------------------------------------- */

static wasi_errno base_of(wasi_context *context, const wasi_descriptor *row, uint32_t whence,
                          uint64_t *base) {
    platform_entry entry = {.kind = PLATFORM_KIND_MISSING};
    *base = whence == SEEK_FROM_HERE ? row->position : 0;
    if (whence != SEEK_FROM_END) {
        return WASI_SUCCESS;
    }
    wasi_errno result = wasi_fault(context, platform_beneath_get_entry(row->handle, &entry));
    *base = entry.size_bytes;
    return result;
}

WASI_CALL(fd_seek) {
    wasi_descriptor *row;
    int64_t delta = (int64_t)arguments[1];
    uint32_t whence = wasi_u32(arguments, 2);
    uint32_t at = wasi_u32(arguments, 3);
    bool tells = delta == 0 && whence == SEEK_FROM_HERE;
    wasi_errno result = wasi_take(context, arguments[0], WASI_KIND_FILE, 0, &row);
    if (result == WASI_SUCCESS) {
        bool either = tells && (row->rights & WASI_RIGHT_FD_TELL) != 0;
        result = wasi_take(context, arguments[0], WASI_KIND_FILE,
                           either ? WASI_RIGHT_FD_TELL : WASI_RIGHT_FD_SEEK, &row);
    }
    if (result != WASI_SUCCESS) {
        return result;
    }
    if (whence >= SEEK_COUNT) {
        return WASI_EINVAL;
    }
    if (!wasi_in_memory(memory, at, 8)) {
        return WASI_EFAULT;
    }
    uint64_t base;
    int64_t position;
    result = base_of(context, row, whence, &base);
    if (result != WASI_SUCCESS) {
        return result;
    }
    if (__builtin_add_overflow((int64_t)base, delta, &position) || position < 0) {
        return WASI_EINVAL;
    }
    row->position = (uint64_t)position;
    return wasi_put_u64(memory, at, row->position);
}

WASI_CALL(fd_tell) {
    wasi_descriptor *row;
    wasi_errno result = wasi_take(context, arguments[0], WASI_KIND_FILE, WASI_RIGHT_FD_TELL, &row);
    return result == WASI_SUCCESS ? wasi_put_u64(memory, wasi_u32(arguments, 1), row->position)
                                  : result;
}

/* ---- the disk -------------------------------------------------------------------------- */

static wasi_errno sync_row(wasi_context *context, const uint64_t *arguments, uint64_t right,
                           bool data_only) {
    wasi_descriptor *row;
    wasi_errno result =
        wasi_take(context, arguments[0], WASI_KIND_FILE | WASI_KIND_FOLDER, right, &row);
    return result == WASI_SUCCESS
               ? wasi_fault(context, platform_beneath_sync(row->handle, data_only))
               : result;
}

WASI_CALL(fd_sync) {
    (void)memory;
    return sync_row(context, arguments, WASI_RIGHT_FD_SYNC, false);
}

WASI_CALL(fd_datasync) {
    (void)memory;
    return sync_row(context, arguments, WASI_RIGHT_FD_DATASYNC, true);
}

/* How a guest will read changes nothing here. */
WASI_CALL(fd_advise) {
    wasi_descriptor *row;
    (void)memory;
    wasi_errno result =
        wasi_take(context, arguments[0], WASI_KIND_FILE, WASI_RIGHT_FD_ADVISE, &row);
    if (result != WASI_SUCCESS) {
        return result;
    }
    bool valid = arguments[1] <= INT64_MAX && arguments[2] <= INT64_MAX &&
                 wasi_u32(arguments, 3) <= MAX_ADVICE;
    return valid ? WASI_SUCCESS : WASI_EINVAL;
}

WASI_CALL(fd_allocate) {
    wasi_descriptor *row;
    (void)memory;
    wasi_errno result =
        wasi_take(context, arguments[0], WASI_KIND_FILE, WASI_RIGHT_FD_ALLOCATE, &row);
    if (result == WASI_SUCCESS && arguments[2] == 0) {
        result = WASI_EINVAL;
    }
    if (result == WASI_SUCCESS) {
        result = check_end(context, arguments[1], arguments[2]);
    }
    return result == WASI_SUCCESS
               ? wasi_fault(context,
                            platform_beneath_allocate(row->handle, arguments[1], arguments[2]))
               : result;
}
