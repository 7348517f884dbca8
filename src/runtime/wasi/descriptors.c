#include "runtime/wasi/internal.h"

#include <stdlib.h>
#include <string.h>

enum { N_STREAMS = 3, MAX_FOLDERS = 1024 };

#define INPUT_RIGHTS                                                                               \
    (WASI_RIGHT_FD_READ | WASI_RIGHT_FD_FDSTAT_SET_FLAGS | WASI_RIGHT_FD_FILESTAT_GET |            \
     WASI_RIGHT_POLL_FD_READWRITE)
#define OUTPUT_RIGHTS                                                                              \
    (WASI_RIGHT_FD_WRITE | WASI_RIGHT_FD_FDSTAT_SET_FLAGS | WASI_RIGHT_FD_FILESTAT_GET |           \
     WASI_RIGHT_POLL_FD_READWRITE)

/* ---- the table ------------------------------------------------------------------------- */

static tars_status open_folder(const wasi_folder *folder, wasi_descriptor *out, tars_error *err) {
    if (folder->guest[0] != '/') {
        error_set(err, TARS_USAGE, "the guest's name of a folder, \"%s\", is not absolute",
                  folder->guest);
        return error_hint(err, "begin it with /");
    }
    uint64_t taken = folder->writable ? 0 : WASI_RIGHTS_CHANGE_PATHS | WASI_RIGHTS_CHANGE_FILES;
    *out = (wasi_descriptor){.kind = WASI_KIND_FOLDER,
                             .writable = folder->writable,
                             .rights = WASI_RIGHTS_OF_FOLDERS & ~taken,
                             .inheriting = WASI_RIGHTS_ALL & ~taken,
                             .handle = PLATFORM_NO_HANDLE,
                             .preopened = folder->guest};
    tars_status status = platform_beneath_root(folder->host, &out->handle, err);
    if (status != TARS_OK) {
        out->kind = WASI_KIND_NONE;
    }
    return status;
}

tars_status wasi_descriptors_open(wasi_context *context, tars_error *err) {
    const wasi_options *o = &context->options;
    if (o->n_folders > MAX_FOLDERS) {
        return error_set(err, TARS_LIMIT, "%zu folders are granted, at most %d are possible",
                         o->n_folders, MAX_FOLDERS);
    }
    context->n_rows = N_STREAMS + o->n_folders;
    context->descriptors = calloc(context->n_rows, sizeof *context->descriptors);
    if (!context->descriptors) {
        context->n_rows = 0;
        return error_set(err, TARS_OUT_OF_MEMORY, "no memory for a guest's descriptors");
    }
    static const wasi_descriptor streams[N_STREAMS] = {
        {.kind = WASI_KIND_INPUT, .rights = INPUT_RIGHTS, .handle = PLATFORM_NO_HANDLE},
        {.kind = WASI_KIND_OUTPUT, .rights = OUTPUT_RIGHTS, .handle = PLATFORM_NO_HANDLE},
        {.kind = WASI_KIND_ERRORS, .rights = OUTPUT_RIGHTS, .handle = PLATFORM_NO_HANDLE}};
    memcpy(context->descriptors, streams, sizeof streams);
    tars_status status = TARS_OK;
    for (size_t i = 0; i < o->n_folders && status == TARS_OK; i++) {
        status = open_folder(&o->folders[i], &context->descriptors[N_STREAMS + i], err);
    }
    return status;
}

/* The row is free afterwards. The handle of standard input is the host's and stays open. */
static void close_row(wasi_context *context, wasi_descriptor *row) {
    if (row->reading) {
        platform_listing_close(&row->reading->listing);
        free(row->reading);
    }
    if ((row->kind & (WASI_KIND_FILE | WASI_KIND_FOLDER)) != 0) {
        platform_handle_close(row->handle);
    }
    context->n_opened -= row->counted ? 1 : 0;
    *row = (wasi_descriptor){.kind = WASI_KIND_NONE, .handle = PLATFORM_NO_HANDLE};
}

void wasi_descriptors_close(wasi_context *context) {
    for (size_t i = 0; i < context->n_rows; i++) {
        close_row(context, &context->descriptors[i]);
    }
    free(context->descriptors);
    context->descriptors = NULL;
    context->n_rows = 0;
}

bool wasi_has_room(const wasi_context *context) {
    return context->n_opened < context->options.n_files;
}

wasi_errno wasi_add(wasi_context *context, const wasi_descriptor *descriptor, uint32_t *number) {
    size_t row = 0;
    if (!wasi_has_room(context)) {
        return WASI_EMFILE;
    }
    while (row < context->n_rows && context->descriptors[row].kind != WASI_KIND_NONE) {
        row++;
    }
    if (row == context->n_rows) {
        size_t n = context->n_rows * 2 + 1;
        wasi_descriptor *grown = realloc(context->descriptors, n * sizeof *grown);
        if (!grown) {
            return WASI_ENOMEM;
        }
        memset(grown + context->n_rows, 0, (n - context->n_rows) * sizeof *grown);
        context->descriptors = grown;
        context->n_rows = n;
    }
    context->descriptors[row] = *descriptor;
    context->descriptors[row].counted = true;
    context->n_opened++;
    *number = (uint32_t)row;
    return WASI_SUCCESS;
}

/* ---- taking ---------------------------------------------------------------------------- */

static wasi_errno wrong_kind(wasi_kind found, unsigned wanted) {
    return found == WASI_KIND_FOLDER    ? WASI_EISDIR
           : wanted == WASI_KIND_FOLDER ? WASI_ENOTDIR
                                        : WASI_ESPIPE;
}

wasi_errno wasi_take(wasi_context *context, uint64_t number, unsigned kinds, uint64_t rights,
                     wasi_descriptor **out) {
    uint32_t row = (uint32_t)number;
    *out = NULL;
    if (row >= context->n_rows || context->descriptors[row].kind == WASI_KIND_NONE) {
        return WASI_EBADF;
    }
    wasi_descriptor *found = &context->descriptors[row];
    if ((found->kind & kinds) == 0) {
        return wrong_kind(found->kind, kinds);
    }
    uint64_t missing = rights & ~found->rights;
    if (missing != 0) {
        bool granted_to_read =
            found->kind == WASI_KIND_FOLDER && !found->writable &&
            (missing & (WASI_RIGHTS_CHANGE_PATHS | WASI_RIGHT_FD_FILESTAT_SET_TIMES)) != 0;
        wasi_refuse(context, granted_to_read ? "path" : "wasi");
        return granted_to_read ? WASI_EROFS : WASI_ENOTCAPABLE;
    }
    *out = found;
    return WASI_SUCCESS;
}

wasi_errno wasi_fault(wasi_context *context, platform_fault fault) {
    static const uint8_t numbers[PLATFORM_FAULT_COUNT] = {
        [PLATFORM_FAULT_NONE] = WASI_SUCCESS,
        [PLATFORM_FAULT_OUTSIDE] = WASI_ENOTCAPABLE,
        [PLATFORM_FAULT_KIND] = WASI_EACCES,
        [PLATFORM_FAULT_MISSING] = WASI_ENOENT,
        [PLATFORM_FAULT_EXISTS] = WASI_EEXIST,
        [PLATFORM_FAULT_NOT_FOLDER] = WASI_ENOTDIR,
        [PLATFORM_FAULT_IS_FOLDER] = WASI_EISDIR,
        [PLATFORM_FAULT_NOT_EMPTY] = WASI_ENOTEMPTY,
        [PLATFORM_FAULT_LOOP] = WASI_ELOOP,
        [PLATFORM_FAULT_NAME_TOO_LONG] = WASI_ENAMETOOLONG,
        [PLATFORM_FAULT_ACCESS] = WASI_EACCES,
        [PLATFORM_FAULT_NOT_PERMITTED] = WASI_EPERM,
        [PLATFORM_FAULT_READ_ONLY] = WASI_EROFS,
        [PLATFORM_FAULT_INVALID] = WASI_EINVAL,
        [PLATFORM_FAULT_BUSY] = WASI_EBUSY,
        [PLATFORM_FAULT_CROSS_DEVICE] = WASI_EXDEV,
        [PLATFORM_FAULT_TOO_BIG] = WASI_EFBIG,
        [PLATFORM_FAULT_NO_SPACE] = WASI_ENOSPC,
        [PLATFORM_FAULT_QUOTA] = WASI_EDQUOT,
        [PLATFORM_FAULT_TOO_MANY_FILES] = WASI_EMFILE,
        [PLATFORM_FAULT_TOO_MANY_LINKS] = WASI_EMLINK,
        [PLATFORM_FAULT_MEMORY] = WASI_ENOMEM,
        [PLATFORM_FAULT_UNSUPPORTED] = WASI_ENOTSUP,
        [PLATFORM_FAULT_IO] = WASI_EIO,
    };
    if (fault == PLATFORM_FAULT_OUTSIDE) {
        wasi_refuse(context, "path");
    }
    return numbers[fault];
}

/* ---- calls ----------------------------------------------------------------------------- */

WASI_CALL(fd_close) {
    wasi_descriptor *row;
    (void)memory;
    wasi_errno result = wasi_take(context, arguments[0], WASI_KIND_ANY, 0, &row);
    if (result == WASI_SUCCESS) {
        close_row(context, row);
    }
    return result;
}

WASI_CALL(fd_renumber) {
    wasi_descriptor *from, *to;
    (void)memory;
    wasi_errno result = wasi_take(context, arguments[0], WASI_KIND_ANY, 0, &from);
    if (result == WASI_SUCCESS) {
        result = wasi_take(context, arguments[1], WASI_KIND_ANY, 0, &to);
    }
    if (result == WASI_SUCCESS && from != to) {
        close_row(context, to);
        *to = *from;
        *from = (wasi_descriptor){.kind = WASI_KIND_NONE, .handle = PLATFORM_NO_HANDLE};
    }
    return result;
}

WASI_CALL(fd_prestat_get) {
    wasi_descriptor *row;
    uint8_t prestat[8] = {0}; /* 0: a folder */
    wasi_errno result = wasi_take(context, arguments[0], WASI_KIND_ANY, 0, &row);
    if (result != WASI_SUCCESS || !row->preopened) {
        return WASI_EBADF;
    }
    wasi_encode(prestat + 4, strlen(row->preopened), 4);
    return wasi_put(memory, wasi_u32(arguments, 1), prestat, sizeof prestat);
}

WASI_CALL(fd_prestat_dir_name) {
    wasi_descriptor *row;
    wasi_errno result = wasi_take(context, arguments[0], WASI_KIND_ANY, 0, &row);
    if (result != WASI_SUCCESS || !row->preopened) {
        return WASI_EBADF;
    }
    size_t length = strlen(row->preopened);
    return length > wasi_u32(arguments, 2)
               ? WASI_ENAMETOOLONG
               : wasi_put(memory, wasi_u32(arguments, 1), row->preopened, length);
}
