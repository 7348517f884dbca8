#include "runtime/microvm/linux_internal.h"

#include <stdlib.h>
#include <string.h>

enum { N_STREAMS = 3 };

/* ---- open files ------------------------------------------------------------------------ */

linux_open *linux_open_new(linux_kind kind) {
    linux_open *open = calloc(1, sizeof *open);
    if (open) {
        *open = (linux_open){.n_descriptors = 1, .kind = kind, .handle = PLATFORM_NO_HANDLE};
    }
    return open;
}

/* The last end of a pipe takes its bytes along. */
static void release_pipe(linux_open *open) {
    linux_pipe *pipe = open->pipe;
    pipe->n_readers -= open->kind == LINUX_KIND_PIPE_READ ? 1 : 0;
    pipe->n_writers -= open->kind == LINUX_KIND_PIPE_WRITE ? 1 : 0;
    pipe->n_changes++;
    if (pipe->n_readers == 0 && pipe->n_writers == 0) {
        free(pipe->bytes);
        free(pipe);
    }
}

/* The handle of standard input is the host's and stays open. */
void linux_open_release(linux_open *open) {
    if (!open || --open->n_descriptors > 0) {
        return;
    }
    if (open->reading) {
        platform_listing_close(&open->reading->listing);
        free(open->reading);
    }
    if (open->pipe) {
        release_pipe(open);
    }
    if (open->handle != PLATFORM_NO_HANDLE) {
        platform_handle_close(open->handle);
    }
    free(open->watches);
    free(open->path);
    free(open);
}

/* ---- the table ------------------------------------------------------------------------- */

tars_status linux_descriptors_open(linux_context *context, tars_error *err) {
    static const linux_kind kinds[N_STREAMS] = {LINUX_KIND_INPUT, LINUX_KIND_OUTPUT,
                                                LINUX_KIND_ERRORS};
    if (context->options.n_files > LINUX_MAX_FILES) {
        return error_set(err, TARS_LIMIT, "%u open files are asked for, at most %d are possible",
                         (unsigned)context->options.n_files, LINUX_MAX_FILES);
    }
    size_t n = N_STREAMS + (size_t)context->options.n_files;
    context->descriptors = calloc(n, sizeof *context->descriptors);
    if (!context->descriptors) {
        return error_set(err, TARS_OUT_OF_MEMORY, "no memory for a guest's descriptors");
    }
    context->n_rows = n;
    for (size_t i = 0; i < N_STREAMS; i++) {
        linux_open *open = linux_open_new(kinds[i]);
        if (!open) {
            return error_set(err, TARS_OUT_OF_MEMORY, "no memory for a guest's descriptors");
        }
        open->readable = kinds[i] == LINUX_KIND_INPUT;
        open->writable = !open->readable;
        open->serial = ++context->n_serials;
        context->descriptors[i].open = open;
    }
    return TARS_OK;
}

static void close_row(linux_descriptor *row) {
    linux_open_release(row->open);
    *row = (linux_descriptor){.open = NULL};
}

void linux_descriptors_close(linux_context *context) {
    for (size_t i = 0; i < context->n_rows; i++) {
        close_row(&context->descriptors[i]);
    }
    free(context->descriptors);
    context->descriptors = NULL;
    context->n_rows = 0;
}

/* A descriptor is an int: the upper half of its register says nothing. */
static linux_descriptor *row_of(linux_context *context, uint64_t number) {
    uint32_t row = (uint32_t)number;
    return row < context->n_rows && context->descriptors[row].open ? &context->descriptors[row]
                                                                   : NULL;
}

int64_t linux_take(linux_context *context, uint64_t number, unsigned kinds, linux_open **out) {
    linux_descriptor *row = row_of(context, number);
    *out = NULL;
    if (!row) {
        return -LINUX_EBADF;
    }
    if ((row->open->kind & kinds) == 0) {
        return (row->open->kind & LINUX_KIND_FOLDERS) != 0    ? -LINUX_EISDIR
               : (kinds & ~(unsigned)LINUX_KIND_FOLDERS) == 0 ? -LINUX_ENOTDIR
                                                              : -LINUX_ESPIPE;
    }
    *out = row->open;
    return 0;
}

static size_t free_row(const linux_context *context, uint64_t lowest) {
    size_t row = lowest < context->n_rows ? (size_t)lowest : context->n_rows;
    while (row < context->n_rows && context->descriptors[row].open) {
        row++;
    }
    return row;
}

bool linux_has_room(const linux_context *context) {
    return free_row(context, 0) < context->n_rows;
}

int64_t linux_add(linux_context *context, linux_open *open, uint64_t lowest, bool closes_on_exec) {
    size_t row = free_row(context, lowest);
    if (row == context->n_rows) {
        linux_open_release(open);
        return -LINUX_EMFILE;
    }
    open->serial = open->serial != 0 ? open->serial : ++context->n_serials;
    context->descriptors[row] = (linux_descriptor){open, closes_on_exec};
    return (int64_t)row;
}

/* ---- calls ----------------------------------------------------------------------------- */

LINUX_CALL(close) {
    linux_descriptor *row = row_of(context, arguments[0]);
    linux_wake_files(context); /* they look when this call is over */
    if (!row) {
        return -LINUX_EBADF;
    }
    close_row(row);
    return 0;
}

LINUX_CALL(close_range) {
    enum { UNSHARE = 2, CLOSE_ON_EXEC = 4 };
    uint32_t first = (uint32_t)arguments[0];
    uint32_t last = (uint32_t)arguments[1];
    uint32_t flags = (uint32_t)arguments[2];
    if (first > last || (flags & ~(uint32_t)(UNSHARE | CLOSE_ON_EXEC)) != 0) {
        return -LINUX_EINVAL;
    }
    linux_wake_files(context);
    for (size_t i = first; i <= last && i < context->n_rows; i++) {
        linux_descriptor *row = &context->descriptors[i];
        if (row->open && (flags & CLOSE_ON_EXEC) != 0) {
            row->closes_on_exec = true;
        } else if (row->open) {
            close_row(row);
        }
    }
    return 0;
}

static int64_t duplicate(linux_context *context, uint64_t number, uint64_t lowest,
                         bool closes_on_exec) {
    linux_descriptor *row = row_of(context, number);
    if (!row) {
        return -LINUX_EBADF;
    }
    row->open->n_descriptors++;
    return linux_add(context, row->open, lowest, closes_on_exec);
}

LINUX_CALL(dup) {
    return duplicate(context, arguments[0], 0, false);
}

static int64_t duplicate_to(linux_context *context, uint64_t from, uint64_t to,
                            bool closes_on_exec) {
    linux_descriptor *row = row_of(context, from);
    uint32_t number = (uint32_t)to;
    if (!row || number >= context->n_rows) {
        return -LINUX_EBADF;
    }
    linux_wake_files(context);
    row->open->n_descriptors++;
    linux_open *open = row->open;
    close_row(&context->descriptors[number]);
    context->descriptors[number] = (linux_descriptor){open, closes_on_exec};
    return (int64_t)number;
}

LINUX_CALL(dup2) {
    if ((uint32_t)arguments[0] == (uint32_t)arguments[1]) {
        return row_of(context, arguments[0]) ? (int64_t)(uint32_t)arguments[0] : -LINUX_EBADF;
    }
    return duplicate_to(context, arguments[0], arguments[1], false);
}

LINUX_CALL(dup3) {
    enum { CLOSE_ON_EXEC = 0x80000 };
    uint32_t flags = (uint32_t)arguments[2];
    if ((flags & ~(uint32_t)CLOSE_ON_EXEC) != 0 ||
        (uint32_t)arguments[0] == (uint32_t)arguments[1]) {
        return -LINUX_EINVAL;
    }
    return duplicate_to(context, arguments[0], arguments[1], flags != 0);
}

/* ---- fcntl ----------------------------------------------------------------------------- */

enum { FLAG_WRITE_ONLY = 1, FLAG_READ_WRITE = 2, FLAG_APPEND = 0x400, FLAG_NO_WAIT = 0x800 };

static int64_t get_descriptor_flags(linux_context *context, linux_descriptor *row, uint64_t value) {
    (void)context;
    (void)value;
    return row->closes_on_exec ? 1 : 0;
}

static int64_t set_descriptor_flags(linux_context *context, linux_descriptor *row, uint64_t value) {
    (void)context;
    row->closes_on_exec = (value & 1) != 0;
    return 0;
}

static int64_t get_flags(linux_context *context, linux_descriptor *row, uint64_t value) {
    const linux_open *open = row->open;
    (void)context;
    (void)value;
    return (open->writable ? open->readable ? FLAG_READ_WRITE : FLAG_WRITE_ONLY : 0) |
           (open->appends ? FLAG_APPEND : 0) | (open->no_wait ? FLAG_NO_WAIT : 0);
}

static int64_t set_flags(linux_context *context, linux_descriptor *row, uint64_t value) {
    linux_open *open = row->open;
    bool appends = (value & FLAG_APPEND) != 0;
    if (open->kind == LINUX_KIND_FILE && appends != open->appends) {
        int64_t result = linux_fault(context, platform_beneath_set_append(open->handle, appends));
        if (result != 0) {
            return result;
        }
    }
    open->appends = appends;
    open->no_wait = (value & FLAG_NO_WAIT) != 0;
    return 0;
}

/* The guest is the only one that locks its files: it always gets the lock. */
static int64_t set_lock(linux_context *context, linux_descriptor *row, uint64_t value) {
    uint8_t lock[32];
    (void)row;
    return linux_get(context, value, lock, sizeof lock);
}

static int64_t get_lock(linux_context *context, linux_descriptor *row, uint64_t value) {
    static const uint8_t unlocked[2] = {2, 0};
    (void)row;
    return linux_put(context, value, unlocked, sizeof unlocked);
}

LINUX_CALL(fcntl) {
    enum { DUPLICATE = 0, DUPLICATE_CLOSING = 1030 };
    static const struct {
        uint32_t command;
        int64_t (*run)(linux_context *context, linux_descriptor *row, uint64_t value);
    } commands[] = {{1, get_descriptor_flags},
                    {2, set_descriptor_flags},
                    {3, get_flags},
                    {4, set_flags},
                    {5, get_lock},
                    {6, set_lock},
                    {7, set_lock},
                    {36, get_lock},
                    {37, set_lock},
                    {38, set_lock}};
    linux_descriptor *row = row_of(context, arguments[0]);
    uint32_t command = (uint32_t)arguments[1];
    if (!row) {
        return -LINUX_EBADF;
    }
    if (command == DUPLICATE || command == DUPLICATE_CLOSING) {
        return arguments[2] >= context->n_rows
                   ? -LINUX_EINVAL
                   : duplicate(context, arguments[0], arguments[2], command != DUPLICATE);
    }
    for (size_t i = 0; i < sizeof commands / sizeof commands[0]; i++) {
        if (commands[i].command == command) {
            return commands[i].run(context, row, arguments[2]);
        }
    }
    return -LINUX_EINVAL;
}

/* As with fcntl: the guest is alone with its files. */
LINUX_CALL(flock) {
    return row_of(context, arguments[0]) ? 0 : -LINUX_EBADF;
}

/* No descriptor is a socket: shells ask that of their standard input. */
static int64_t name_of_socket(linux_context *context, uint64_t number) {
    return row_of(context, number) ? -LINUX_ENOTSOCK : -LINUX_EBADF;
}

LINUX_CALL(getsockname) {
    return name_of_socket(context, arguments[0]);
}

LINUX_CALL(getpeername) {
    return name_of_socket(context, arguments[0]);
}

/* No descriptor is a terminal or a device. */
LINUX_CALL(ioctl) {
    return row_of(context, arguments[0]) ? -LINUX_ENOTTY : -LINUX_EBADF;
}
