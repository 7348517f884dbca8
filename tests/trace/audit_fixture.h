/* What the audit log's tests share: a log in a throw-away home, its files as bytes, its verdict.
 * Ownership: audit_fixture_begin makes the home and opens the log, audit_fixture_end ends both. */
#ifndef TESTS_TRACE_AUDIT_FIXTURE_H
#define TESTS_TRACE_AUDIT_FIXTURE_H

#include "store/fixture.h"
#include "trace/audit.h"
#include "trace/audit_verify.h"

typedef struct audit_fixture {
    fixture home;
    audit_log *log;
    uint8_t public_key[KEYS_PUBLIC_BYTES]; /* once something was written */
} audit_fixture;

static inline audit_log *audit_fixture_open(const audit_fixture *f, audit_options options) {
    audit_log *log = NULL;
    tars_error err = {.message = ""};
    options.home = f->home.home;
    CHECK_INT(audit_open(&options, &log, &err), TARS_OK);
    CHECK_STRING(err.message, "");
    return log;
}

static inline void audit_fixture_begin(audit_fixture *f, audit_options options) {
    fixture_begin(&f->home);
    f->log = audit_fixture_open(f, options);
}

static inline void audit_fixture_close(audit_fixture *f) {
    audit_close(f->log);
    f->log = NULL;
}

static inline void audit_fixture_end(audit_fixture *f) {
    audit_fixture_close(f);
    fixture_end(&f->home);
}

static inline tars_status audit_fixture_write(audit_log *log, uint64_t number, tars_error *err) {
    log_field fields[] = {{"name", "socket", 0}, {"count", NULL, number}};
    audit_event event = {.kind = AUDIT_SYSCALL,
                         .action = "blocked",
                         .subject = "./program",
                         .profile = "strict",
                         .runtime = "native",
                         .attributes = fields,
                         .n_attributes = 2};
    return audit_write(log, &event, err);
}

/* So many records in all, those of the log itself counted. */
static inline void audit_fixture_fill(audit_fixture *f, uint64_t last) {
    tars_error err = {.message = ""};
    for (uint64_t i = 3; i <= last; i++) { /* the first one brings log.started and key.created */
        CHECK_INT(audit_fixture_write(f->log, i, &err), TARS_OK);
    }
    CHECK_INT(audit_lost(f->log, NULL), 0);
}

static inline const char *audit_fixture_file(const audit_fixture *f, const char *name) {
    char relative[128];
    snprintf(relative, sizeof relative, "audit/%s", name);
    return fixture_path(&f->home, relative);
}

static inline void audit_fixture_key(audit_fixture *f) {
    keys *k = NULL;
    tars_error err = {.message = ""};
    CHECK_INT(keys_open_existing(f->home.home, &k, &err), TARS_OK);
    if (k) {
        memcpy(f->public_key, keys_public(k), KEYS_PUBLIC_BYTES);
    }
    keys_close(k);
}

static inline audit_verdict audit_fixture_verify(audit_fixture *f, audit_verify_options options) {
    audit_verdict verdict = {.is_valid = false};
    tars_error err = {.message = ""};
    const char *path = options.path ? options.path : fixture_path(&f->home, "audit");
    audit_fixture_key(f);
    options.path = path;
    options.public_key = f->public_key;
    CHECK_INT(audit_verify(&options, &verdict, &err), TARS_OK);
    CHECK_STRING(err.message, "");
    return verdict;
}

static inline void audit_fixture_expect_valid(audit_fixture *f, uint64_t records) {
    audit_verdict v = audit_fixture_verify(f, (audit_verify_options){.path = NULL});
    CHECK_STRING(v.reason, "");
    CHECK(v.is_valid);
    CHECK_INT(v.records, records);
    CHECK_INT(v.signed_to, v.last);
}

/* The first bad record, and a part of the reason. */
static inline void audit_fixture_expect_bad(audit_fixture *f, uint64_t sequence, const char *part) {
    audit_verdict v = audit_fixture_verify(f, (audit_verify_options){.path = NULL});
    CHECK(!v.is_valid);
    CHECK_INT(v.bad_sequence, sequence);
    if (!strstr(v.reason, part)) {
        check_fail(__FILE__, __LINE__, "expected \"%s\" in the reason: %s", part, v.reason);
    }
}

#endif
