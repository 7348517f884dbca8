/* The library context: where the store is, what the process may do, who hears the log. It keeps
 * no open handle but the audit log's, which locks itself: each call opens what it needs, so a
 * context is shared by any number of threads without a lock. Ownership: tars_context_create
 * allocates it, tars_context_destroy frees it; it is never written in between. */
#ifndef API_CONTEXT_H
#define API_CONTEXT_H

#include <tars/model.h>

#include "base/error.h"
#include "trace/audit.h"

enum { CONTEXT_PATH_BYTES = 4096 };

enum {
    CONTEXT_LOG_ERROR = 0,
    CONTEXT_LOG_WARNING = 1,
    CONTEXT_LOG_INFO = 2,
    CONTEXT_LOG_DEBUG = 3
};

struct tars_context {
    char home[CONTEXT_PATH_BYTES];         /* without a slash at the end */
    char program_path[CONTEXT_PATH_BYTES]; /* the executable that import runs as a child */
    bool offline;
    void (*log)(void *user, int level, const char *line); /* may be NULL */
    void *log_user;
    bool no_wasm;     /* by configuration */
    audit_log *audit; /* NULL: nothing is recorded; locks itself */
    bool owns_audit;
};

/* Records to a log of the caller's from now on, before the context is used; NULL: nowhere. */
void context_use_audit(tars_context *context, audit_log *log);
/* Records; fails only where that is required. What is lost is told to the context's log. */
tars_status context_audit(const tars_context *context, const audit_event *event, tars_error *err);

/* Sends one line to the context's log, if it has one. The format language is text_format's. */
void context_log(const tars_context *context, int level, const char *format, ...) BASE_PRINTF(3, 4);

#endif
