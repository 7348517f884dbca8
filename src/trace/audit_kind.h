/* What the audit log holds: one table of kinds. Ownership: constant data. */
#ifndef TRACE_AUDIT_KIND_H
#define TRACE_AUDIT_KIND_H

#include <stdbool.h>
#include <stddef.h>

typedef enum audit_severity {
    AUDIT_INFO,
    AUDIT_WARNING,
    AUDIT_ERROR,
    AUDIT_CRITICAL,
    AUDIT_SEVERITIES
} audit_severity;

typedef enum audit_kind {
    AUDIT_LOG_STARTED, /* of the log itself */
    AUDIT_LOG_CHECKPOINT,
    AUDIT_LOG_RECOVERED,
    AUDIT_LOG_TAMPERED,
    AUDIT_LOG_LOST,
    AUDIT_LOG_REMOVED,
    AUDIT_DENIED, /* what was refused */
    AUDIT_SYSCALL,
    AUDIT_PATH_ESCAPE,
    AUDIT_LIMIT,
    AUDIT_SIGNATURE,
    AUDIT_TAMPER,
    AUDIT_RUN_STARTED, /* what was done */
    AUDIT_KEY_CREATED,
    AUDIT_KEY_USED,
    AUDIT_MODEL_IMPORTED,
    AUDIT_MODEL_REMOVED,
    AUDIT_MODULE_LOADED,
    AUDIT_MODULE_UNLOADED,
    AUDIT_CONFIGURATION_CHANGED,
    AUDIT_KINDS
} audit_kind;

typedef struct audit_kind_row {
    const char *name;
    audit_severity severity;
    const char *text; /* what it says; half a sentence */
} audit_kind_row;

extern const audit_kind_row audit_kind_rows[AUDIT_KINDS];

/* "info", "warning", "error", "critical". */
const char *audit_severity_name(audit_severity severity);
/* False for a word that is none of them. */
bool audit_severity_find(const char *word, size_t length, audit_severity *out);

#endif
