/* What verbs write into the audit log, and where the configuration says that it lies.
 *
 * Ownership: auditing_open fills the caller's struct, auditing_close gives it back; it borrows the
 * configuration's texts. A NULL for the log records nothing. */
#ifndef CLI_AUDITING_H
#define CLI_AUDITING_H

#include "cli/verb.h"
#include "config/config.h"
#include "trace/audit.h"

typedef struct auditing {
    audit_log *log;      /* NULL: none, by configuration or because there is no place for it */
    const char **words;  /* of tracing.redact; malloc'ed */
    tars_error no_place; /* why there is none */
} auditing;

/* Opens the log that the configuration names, and records the configuration when it is not the one
 * that was recorded last. Without a place for the log, or when that cannot be recorded: a failure
 * if deployment.audit.on_failure says so. */
tars_status auditing_open(const cli *c, const config *values, auditing *out, tars_error *err);
void auditing_close(auditing *own);
/* Says how many records were lost, and why there is no log, where that is so. */
void auditing_tell_lost(const cli *c, auditing *own);

/* Before work on something begins; only a log that refuses records it. */
tars_status auditing_work(audit_log *log, const char *work, const char *subject, tars_error *err);
/* Something about a module, a key or a file: `more` may have up to three fields. */
tars_status auditing_event(audit_log *log, audit_kind kind, const char *subject,
                           const log_field *more, size_t n_more, tars_error *err);

#endif
