#include "cli/audited_run.h"

#include <string.h>

static audit_event event_of(const audited_run *run, audit_kind kind) {
    return (audit_event){
        .kind = kind, .subject = run->program, .profile = run->profile, .runtime = run->runtime};
}

tars_status auditing_begins(const audited_run *run, tars_error *err) {
    audit_event event = event_of(run, AUDIT_RUN_STARTED);
    return audit_refuses(run->log) ? audit_write(run->log, &event, err) : TARS_OK;
}

tars_status auditing_denied(const audited_run *run, const tars_error *refusal, tars_error *err) {
    const log_field fields[] = {{"reason", refusal->message, 0}, {"where", refusal->where, 0}};
    audit_event event = event_of(run, AUDIT_DENIED);
    event.action = "blocked";
    event.attributes = fields;
    event.n_attributes = refusal->where[0] != '\0' ? 2 : 1;
    return audit_write(run->log, &event, err);
}

static audit_kind kind_of(const char *violation) {
    static const struct {
        const char *violation;
        audit_kind kind;
    } rows[] = {{"path", AUDIT_PATH_ESCAPE}, {"limit", AUDIT_LIMIT}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        if (strcmp(rows[i].violation, violation) == 0) {
            return rows[i].kind;
        }
    }
    return AUDIT_SYSCALL;
}

tars_status auditing_violations(const audited_run *run, const runtime_outcome *o, tars_error *err) {
    const runtime_violations *list = &o->violations;
    tars_status status = TARS_OK;
    for (size_t i = 0; i < list->count && status == TARS_OK; i++) {
        const runtime_violation *v = &list->rows[i];
        const log_field fields[] = {
            {"violation", v->kind, 0}, {"name", v->name, 0}, {"count", NULL, v->count}};
        bool ended = o->limit && strcmp(v->kind, "limit") == 0 && strcmp(v->name, o->limit) == 0;
        audit_event event = event_of(run, kind_of(v->kind));
        event.action = ended ? "killed" : "blocked";
        event.attributes = fields;
        event.n_attributes = sizeof fields / sizeof fields[0];
        status = audit_write(run->log, &event, err);
    }
    if (list->lost > 0 && status == TARS_OK) {
        const log_field fields[] = {{"violation", "other", 0}, {"count", NULL, list->lost}};
        audit_event event = event_of(run, AUDIT_DENIED);
        event.action = "blocked";
        event.attributes = fields;
        event.n_attributes = sizeof fields / sizeof fields[0];
        status = audit_write(run->log, &event, err);
    }
    return status;
}
