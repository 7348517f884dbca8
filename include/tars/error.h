/* Errors of libtars.
 *
 * Whatever can fail returns a tars_status and fills a tars_error that the caller owns (it may be
 * NULL: then only the status is returned). The struct is plain memory: nothing to free, safe to
 * copy, usable from any thread as long as one thread writes it at a time. */
#ifndef TARS_ERROR_H
#define TARS_ERROR_H

#ifdef __cplusplus
extern "C" {
#endif

#if defined(_WIN32)
#define TARS_API
#else
#define TARS_API __attribute__((visibility("default")))
#endif

/* The order is part of the ABI: append, never insert. Text, exit status and HTTP status of each
 * stand in one table (src/base/error.c). */
typedef enum tars_status {
    TARS_OK = 0,
    TARS_FAILED,           /* something went wrong that no other code names */
    TARS_USAGE,            /* the caller's request is wrong: option, argument, parameter */
    TARS_MALFORMED,        /* an input file or text breaks its format */
    TARS_UNSUPPORTED,      /* well formed, but this version does not implement it */
    TARS_NOT_FOUND,        /* no such model, file or object */
    TARS_UNAVAILABLE,      /* this machine lacks a runtime, device, library or permission */
    TARS_DENIED,           /* refused by policy */
    TARS_LIMIT,            /* a stated limit was reached */
    TARS_TIMEOUT,          /* the deadline passed */
    TARS_CANCELLED,        /* the caller cancelled */
    TARS_OUT_OF_MEMORY,    /* memory is not there, or the estimate exceeds the limit */
    TARS_IO,               /* reading or writing failed */
    TARS_DISK_FULL,        /* no space left */
    TARS_CORRUPT,          /* a file of ours is damaged or truncated */
    TARS_CONFLICT,         /* exists already, or is locked by somebody else */
    TARS_NUMERIC,          /* a value that is not finite appeared */
    TARS_CONTEXT_EXCEEDED, /* prompt and answer do not fit the model's context */
    TARS_MISMATCH,         /* a recomputed result or digest differs from the recorded one */
    TARS_NETWORK,          /* a transfer failed */
    TARS_STATUS_COUNT
} tars_status;

typedef struct tars_error {
    tars_status status;
    char message[320]; /* what was found and what was expected, one sentence, UTF-8 */
    char hint[256];    /* what to do about it, or "" */
    char where[160];   /* file, offset, key, option, or "" */
    char cause[256];   /* the underlying error's text, or "" */
} tars_error;

/* Stable lower_snake name of a status, as in {"error":{"code":…}}. Never NULL. */
TARS_API const char *tars_status_code(tars_status status);
/* Exit status of the command line for a status: 0 … 5 or 130. */
TARS_API int tars_status_exit(tars_status status);
/* HTTP status for a status: 200 … 599. */
TARS_API int tars_status_http(tars_status status);

#ifdef __cplusplus
}
#endif
#endif
