/* What tars exec writes into the audit log. Ownership: everything is borrowed for the call; a NULL
 * for the log records nothing. */
#ifndef CLI_AUDITED_RUN_H
#define CLI_AUDITED_RUN_H

#include "runtime/runtime.h"
#include "trace/audit.h"

/* A run of a program, and what becomes of it. */
typedef struct audited_run {
    audit_log *log;
    const char *program, *profile, *runtime;
} audited_run;

/* Before the run begins; only a log that refuses records it. */
tars_status auditing_begins(const audited_run *run, tars_error *err);
/* Each violation is a record. */
tars_status auditing_violations(const audited_run *run, const runtime_outcome *o, tars_error *err);
/* The run was refused by policy, for the reason in `refusal`. */
tars_status auditing_denied(const audited_run *run, const tars_error *refusal, tars_error *err);

#endif
