#include "cli/bench_audit.h"

#include "api/context.h"
#include "store/files.h"
#include "trace/audit_verify.h"

#include <stdlib.h>
#include <string.h>

typedef struct sync_row {
    audit_sync sync;
    const char *name, *folder;
} sync_row;

static const sync_row rows[] = {
    {AUDIT_SYNC_NEVER, "append, fsync never", "never"},
    {AUDIT_SYNC_CHECKPOINT, "append, fsync checkpoint", "checkpoint"},
    {AUDIT_SYNC_ALWAYS, "append, fsync always", "always"},
};

static tars_status append(audit_log *log, uint64_t number, tars_error *err) {
    const log_field fields[] = {
        {"violation", "syscall", 0}, {"name", "socket", 0}, {"count", NULL, number}};
    audit_event event = {.kind = AUDIT_SYSCALL,
                         .action = "blocked",
                         .subject = "./program",
                         .profile = "strict",
                         .runtime = "native",
                         .attributes = fields,
                         .n_attributes = sizeof fields / sizeof fields[0]};
    return audit_write(log, &event, err);
}

static tars_status measure_append(const char *home, const char *folder, const sync_row *row,
                                  unsigned count, double *samples, bench_report *out,
                                  tars_error *err) {
    audit_options options = {.home = home, .folder = folder, .sync = row->sync, .refuses = true};
    audit_log *log = NULL;
    tars_status status = audit_open(&options, &log, err);
    if (status == TARS_OK) {
        status = append(log, 0, err); /* makes the files */
    }
    for (unsigned i = 0; i < count && status == TARS_OK; i++) {
        uint64_t start_ns = platform_clock_ns();
        status = append(log, i, err);
        samples[i] = (double)(platform_clock_ns() - start_ns) / 1000;
    }
    audit_close(log);
    if (status == TARS_OK) {
        bench_add_result(out, row->name, "us", samples, count, 1);
    }
    return status;
}

static tars_status measure_verify(const char *home, const char *folder, unsigned count,
                                  double *samples, bench_report *out, tars_error *err) {
    keys *own = NULL;
    audit_verdict verdict = {.is_valid = false};
    tars_status status = keys_open_existing(home, &own, err);
    for (unsigned i = 0; i < count && status == TARS_OK; i++) {
        audit_verify_options options = {.path = folder, .public_key = keys_public(own)};
        uint64_t start_ns = platform_clock_ns();
        status = audit_verify(&options, &verdict, err);
        samples[i] = (double)(platform_clock_ns() - start_ns) / 1000 /
                     (double)(verdict.records > 0 ? verdict.records : 1);
    }
    keys_close(own);
    if (status == TARS_OK && !verdict.is_valid) {
        status = error_set(err, TARS_CORRUPT, "the log is not valid: %s", verdict.reason);
    }
    if (status == TARS_OK) {
        bench_add_result(out, "verify, one record", "us", samples, count, 1);
    }
    return status;
}

tars_status bench_audit(client *session, const bench_plan *plan, bench_report *out,
                        tars_error *err) {
    const char *home = session->context->home;
    char folder[PLATFORM_PATH_BYTES];
    char name[40];
    char path[PLATFORM_PATH_BYTES];
    text_buffer text;
    enum { VERIFICATIONS = 20 };
    memset(out, 0, sizeof *out);
    text_init(&text, name, sizeof name);
    text_format(&text, "bench-audit-%lld", (long long)platform_process_id());
    double *samples = malloc(BENCH_MAX_SAMPLES * sizeof *samples);
    if (!samples) {
        return error_set(err, TARS_OUT_OF_MEMORY, "no memory for samples");
    }
    tars_status status = files_join(folder, sizeof folder, home, name, err);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0] && status == TARS_OK; i++) {
        status = files_join(path, sizeof path, folder, rows[i].folder, err);
        if (status == TARS_OK) {
            status = measure_append(home, path, &rows[i], plan->count, samples, out, err);
        }
    }
    if (status == TARS_OK) {
        status = files_join(path, sizeof path, folder, rows[0].folder, err);
    }
    if (status == TARS_OK) {
        status = measure_verify(home, path, VERIFICATIONS, samples, out, err);
    }
    tars_error ignored;
    (void)files_remove_tree(folder, &ignored);
    free(samples);
    return status;
}
