/* What the library records of a context's work: on, off, and required. */
#include "store/import_fixture.h"
#include "trace/audit_verify.h"

typedef struct counted {
    uint64_t records, imported, removed, denied, tampered, started;
} counted;

static bool count(void *user, const char *line, size_t length, const audit_scan *scan) {
    counted *n = user;
    (void)line;
    (void)length;
    n->records++;
    n->imported += audit_scan_is(scan, AUDIT_MODEL_IMPORTED);
    n->removed += audit_scan_is(scan, AUDIT_MODEL_REMOVED);
    n->denied += audit_scan_is(scan, AUDIT_DENIED);
    n->tampered += audit_scan_is(scan, AUDIT_TAMPER);
    n->started += audit_scan_is(scan, AUDIT_RUN_STARTED);
    return true;
}

/* The log's records, all of which are proven. */
static counted records_of(const fixture *f) {
    counted n = {0};
    keys *own = NULL;
    audit_verdict verdict = {.is_valid = false};
    tars_error err = {.message = ""};
    CHECK_INT(keys_open_existing(f->home, &own, &err), TARS_OK);
    if (own) {
        audit_verify_options options = {.path = fixture_path(f, "audit"),
                                        .public_key = keys_public(own),
                                        .visit = count,
                                        .user = &n};
        CHECK_INT(audit_verify(&options, &verdict, &err), TARS_OK);
        CHECK_STRING(verdict.reason, "");
        CHECK(verdict.is_valid);
    }
    keys_close(own);
    return n;
}

static void note_line(void *user, int level, const char *line) {
    if (level <= 1) { /* warnings */
        snprintf(user, 512, "%s", line);
    }
}

static tars_context *context_of(const fixture *f, tars_audit audit, char *line) {
    tars_context_options options = TARS_CONTEXT_OPTIONS_DEFAULTS;
    tars_context *context = NULL;
    options.home = f->home;
    options.program_path = import_self();
    options.audit = audit;
    options.log = line ? note_line : NULL;
    options.log_user = line;
    CHECK_INT(tars_context_create(&options, &context, NULL), TARS_OK);
    return context;
}

static tars_status import_tiny(tars_context *context, const char *sha256, tars_error *err) {
    tars_import_options options = TARS_IMPORT_OPTIONS_DEFAULTS;
    options.name = "tiny";
    options.sandbox = "native";
    options.sha256 = sha256;
    return tars_model_import(context, check_data_path(TINY_MODEL), &options, NULL, err);
}

static void work_is_recorded(void) {
    fixture f;
    tars_error err = {.message = ""};
    char zeros[65];
    memset(zeros, '0', sizeof zeros - 1);
    zeros[64] = '\0';
    fixture_begin(&f);
    tars_context *context = context_of(&f, TARS_AUDIT_ON, NULL);
    CHECK(!fixture_exists(f.home)); /* a context makes nothing */
    CHECK_INT(import_tiny(context, NULL, &err), TARS_OK);
    CHECK_INT(import_tiny(context, zeros, &err), TARS_MISMATCH);
    CHECK_INT(tars_model_pull(context, "ftp://example.com/f.gguf", NULL, NULL, &err), TARS_DENIED);
    CHECK_INT(tars_model_remove(context, "another", &err), TARS_NOT_FOUND);
    CHECK_INT(tars_model_remove(context, "tiny", &err), TARS_OK);
    tars_context_destroy(context);
    counted n = records_of(&f);
    CHECK_INT(n.imported, 1);
    CHECK_INT(n.tampered, 1);
    CHECK_INT(n.denied, 1);
    CHECK_INT(n.removed, 1);
    CHECK_INT(n.started, 0);
    fixture_end(&f);
}

static void nothing_is_recorded_when_it_is_off(void) {
    fixture f;
    fixture_begin(&f);
    tars_context *context = context_of(&f, TARS_AUDIT_OFF, NULL);
    CHECK_INT(import_tiny(context, NULL, NULL), TARS_OK);
    tars_context_destroy(context);
    CHECK(!fixture_exists(fixture_path(&f, "audit")));
    fixture_end(&f);
}

/* A file where the log's folder would be: no record can be written. */
static void what_is_not_recorded_is_not_done(void) {
    fixture f;
    tars_error err = {.message = ""};
    char line[512] = "";
    fixture_begin(&f);
    CHECK_INT(platform_make_folders(f.home, NULL), TARS_OK);
    fixture_write(fixture_path(&f, "audit"), "x", 1);
    tars_context *strict = context_of(&f, TARS_AUDIT_REQUIRED, NULL);
    tars_context *open = context_of(&f, TARS_AUDIT_ON, line);
    CHECK(import_tiny(strict, NULL, &err) != TARS_OK);
    CHECK(strstr(err.message, "cannot be recorded") != NULL);
    CHECK(!fixture_exists(fixture_path(&f, "models/blobs")));
    CHECK_INT(import_tiny(open, NULL, &err), TARS_OK);
    CHECK(strstr(line, "audit log") != NULL);
    CHECK(tars_model_remove(strict, "tiny", &err) != TARS_OK);
    CHECK(strstr(err.message, "cannot be recorded") != NULL);
    unlink(fixture_path(&f, "audit"));
    CHECK_INT(tars_model_remove(strict, "tiny", &err), TARS_OK); /* was not removed before */
    tars_context_destroy(open);
    tars_context_destroy(strict);
    counted n = records_of(&f);
    CHECK_INT(n.started, 1);
    CHECK_INT(n.removed, 1);
    fixture_end(&f);
}

static const check_test tests[] = {
    {"work is recorded", work_is_recorded},
    {"nothing is recorded when it is off", nothing_is_recorded_when_it_is_off},
    {"what is not recorded is not done", what_is_not_recorded_is_not_done},
};
IMPORT_CHECK_MAIN(tests)
