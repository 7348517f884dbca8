#include "base/error.h"

#include "base/text.h"

#include <stddef.h>

typedef struct status_row {
    const char *code;
    int exit_status;
    int http_status;
} status_row;

static const status_row status_table[TARS_STATUS_COUNT] = {
    [TARS_OK] = {"ok", 0, 200},
    [TARS_FAILED] = {"failed", 1, 500},
    [TARS_USAGE] = {"usage", 2, 400},
    [TARS_MALFORMED] = {"malformed", 2, 400},
    [TARS_UNSUPPORTED] = {"unsupported", 2, 422},
    [TARS_NOT_FOUND] = {"not_found", 5, 404},
    [TARS_UNAVAILABLE] = {"unavailable", 5, 503},
    [TARS_DENIED] = {"denied", 3, 403},
    [TARS_LIMIT] = {"limit", 4, 413},
    [TARS_TIMEOUT] = {"timeout", 4, 504},
    [TARS_CANCELLED] = {"cancelled", 130, 499},
    [TARS_OUT_OF_MEMORY] = {"out_of_memory", 4, 507},
    [TARS_IO] = {"io", 1, 500},
    [TARS_DISK_FULL] = {"disk_full", 1, 507},
    [TARS_CORRUPT] = {"corrupt", 1, 500},
    [TARS_CONFLICT] = {"conflict", 1, 409},
    [TARS_NUMERIC] = {"numeric", 1, 500},
    [TARS_CONTEXT_EXCEEDED] = {"context_exceeded", 4, 400},
    [TARS_MISMATCH] = {"mismatch", 1, 409},
    [TARS_NETWORK] = {"network", 1, 502},
};

static const status_row *row_of(tars_status status) {
    unsigned index = (unsigned)status;
    return &status_table[index < TARS_STATUS_COUNT ? index : TARS_FAILED];
}

const char *tars_status_code(tars_status status) {
    return row_of(status)->code;
}
int tars_status_exit(tars_status status) {
    return row_of(status)->exit_status;
}
int tars_status_http(tars_status status) {
    return row_of(status)->http_status;
}

static void fill(char *field, size_t size_bytes, const char *format, va_list arguments) {
    text_buffer text;
    text_init(&text, field, size_bytes);
    text_format_list(&text, format, arguments);
}

tars_status error_set(tars_error *err, tars_status status, const char *format, ...) {
    if (err) {
        error_clear(err);
        err->status = status;
        va_list arguments;
        va_start(arguments, format);
        fill(err->message, sizeof err->message, format, arguments);
        va_end(arguments);
    }
    return status;
}

tars_status error_hint(tars_error *err, const char *format, ...) {
    if (!err) {
        return TARS_FAILED;
    }
    va_list arguments;
    va_start(arguments, format);
    fill(err->hint, sizeof err->hint, format, arguments);
    va_end(arguments);
    return err->status;
}

tars_status error_where(tars_error *err, const char *format, ...) {
    if (!err) {
        return TARS_FAILED;
    }
    va_list arguments;
    va_start(arguments, format);
    fill(err->where, sizeof err->where, format, arguments);
    va_end(arguments);
    return err->status;
}

tars_status error_cause(tars_error *err, const char *format, ...) {
    if (!err) {
        return TARS_FAILED;
    }
    va_list arguments;
    va_start(arguments, format);
    fill(err->cause, sizeof err->cause, format, arguments);
    va_end(arguments);
    return err->status;
}

void error_clear(tars_error *err) {
    if (err) {
        err->status = TARS_OK;
        err->message[0] = err->hint[0] = err->where[0] = err->cause[0] = '\0';
    }
}
