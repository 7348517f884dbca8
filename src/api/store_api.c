/* The store's part of the public interface: thin over src/store. */
#include "api/context.h"

#include "store/importer.h"
#include "store/pull.h"
#include "store/store.h"

#include <stdlib.h>
#include <string.h>

/* Options may come from a caller built against an older, smaller struct. */
static tars_import_options read_options(const tars_import_options *options) {
    tars_import_options own = TARS_IMPORT_OPTIONS_DEFAULTS;
    if (options) {
        size_t size = options->size_bytes < sizeof own ? options->size_bytes : sizeof own;
        memcpy(&own, options, size);
    }
    return own;
}

static importer_options importer_options_of(const tars_context *context,
                                            const tars_import_options *options) {
    tars_import_options own = read_options(options);
    return (importer_options){
        .home = context->home,
        .program_path = context->program_path,
        .name = own.name,
        .sandbox = own.sandbox,
        .sha256 = own.sha256,
        .replace = own.replace,
        .progress = own.progress,
        .user = own.progress_user,
    };
}

static tars_status check_arguments(const tars_context *context, const char *text, const char *what,
                                   tars_error *err) {
    if (!context || !text || text[0] == '\0') {
        error_set(err, TARS_USAGE, "no %s is given", what);
        return TARS_USAGE;
    }
    return TARS_OK;
}

static void log_imported(const tars_context *context, const tars_model_entry *entry) {
    context_log(context, CONTEXT_LOG_INFO, "model %s: %s %s, %llu bytes packed", entry->name,
                entry->architecture, entry->quantization, (unsigned long long)entry->packed_bytes);
}

/* ---- records --------------------------------------------------------------------------- */

static tars_status record_begin(const tars_context *context, const char *what, const char *subject,
                                tars_error *err) {
    const log_field fields[] = {{"work", what, 0}};
    audit_event event = {
        .kind = AUDIT_RUN_STARTED, .subject = subject, .attributes = fields, .n_attributes = 1};
    return audit_refuses(context->audit) ? context_audit(context, &event, err) : TARS_OK;
}

/* A model that came, or that was refused. */
static tars_status record_import(const tars_context *context, const char *from, tars_status status,
                                 const tars_model_entry *entry, tars_error *err) {
    const log_field refused[] = {{"reason", err->message, 0}};
    const log_field came[] = {{"source", from, 0},
                              {"sha256", entry->sha256, 0},
                              {"packed_sha256", entry->packed_sha256, 0},
                              {"packed_bytes", NULL, entry->packed_bytes}};
    audit_event event = {.kind = AUDIT_MODEL_IMPORTED,
                         .subject = entry->name,
                         .attributes = came,
                         .n_attributes = sizeof came / sizeof came[0]};
    if (status == TARS_DENIED || status == TARS_MISMATCH) {
        event = (audit_event){.kind = status == TARS_DENIED ? AUDIT_DENIED : AUDIT_TAMPER,
                              .action = "blocked",
                              .subject = from,
                              .attributes = refused,
                              .n_attributes = 1};
    } else if (status != TARS_OK) {
        return status;
    }
    tars_error own = {.status = TARS_OK};
    tars_status recorded = context_audit(context, &event, &own);
    if (recorded != TARS_OK) {
        *err = own;
        return recorded;
    }
    return status;
}

static tars_status record_removal(const tars_context *context, const store_entry *entry,
                                  tars_error *err) {
    const log_field fields[] = {{"sha256", entry->model.sha256, 0}};
    audit_event event = {.kind = AUDIT_MODEL_REMOVED,
                         .subject = entry->model.name,
                         .attributes = fields,
                         .n_attributes = 1};
    return context_audit(context, &event, err);
}

tars_status tars_model_import(tars_context *context, const char *path,
                              const tars_import_options *options, tars_model_entry *out,
                              tars_error *err) {
    tars_error own_error;
    err = err ? err : &own_error; /* below, err is never NULL */
    tars_status status = check_arguments(context, path, "path of a model", err);
    if (status != TARS_OK) {
        return status;
    }
    importer_options own = importer_options_of(context, options);
    tars_model_entry entry = {.name = ""};
    status = record_begin(context, "import", path, err);
    if (status == TARS_OK) {
        status = importer_run(path, &own, &entry, err);
        status = record_import(context, path, status, &entry, err);
    }
    if (status == TARS_OK) {
        log_imported(context, &entry);
        if (out) {
            *out = entry;
        }
    }
    return status;
}

tars_status tars_model_pull(tars_context *context, const char *what,
                            const tars_import_options *options, tars_model_entry *out,
                            tars_error *err) {
    tars_error own_error;
    err = err ? err : &own_error; /* below, err is never NULL */
    tars_status status = check_arguments(context, what, "name, URL or path of a model", err);
    if (status != TARS_OK) {
        return status;
    }
    pull_options own = {
        .import = importer_options_of(context, options),
        .offline = context->offline,
        .max_bytes = read_options(options).max_bytes,
    };
    tars_model_entry entry = {.name = ""};
    status = record_begin(context, "pull", what, err);
    if (status == TARS_OK) {
        status = pull_run(what, &own, &entry, err);
        status = record_import(context, what, status, &entry, err);
    }
    if (status == TARS_OK) {
        log_imported(context, &entry);
        if (out) {
            *out = entry;
        }
    }
    return status;
}

static tars_status list_of(store *s, tars_model_entry **entries, size_t *count, tars_error *err) {
    store_entry *rows;
    size_t n_rows;
    tars_status status = store_list(s, &rows, &n_rows, err);
    if (status != TARS_OK) {
        return status;
    }
    tars_model_entry *list = calloc(n_rows + 1, sizeof *list);
    if (!list) {
        free(rows);
        return error_set(err, TARS_OUT_OF_MEMORY, "no memory for the list of models");
    }
    for (size_t i = 0; i < n_rows; i++) {
        list[i] = rows[i].model;
    }
    free(rows);
    *entries = list;
    *count = n_rows;
    return TARS_OK;
}

tars_status tars_model_list(tars_context *context, tars_model_entry **entries, size_t *count,
                            tars_error *err) {
    tars_error own_error;
    err = err ? err : &own_error; /* below, err is never NULL */
    if (!context || !entries || !count) {
        return error_set(err, TARS_USAGE, "tars_model_list: an argument is NULL");
    }
    *entries = NULL;
    *count = 0;
    store *s;
    tars_status status = store_open(context->home, STORE_READ, &s, err);
    if (status == TARS_OK) {
        status = list_of(s, entries, count, err);
        store_close(s);
    }
    return status;
}

tars_status tars_model_remove(tars_context *context, const char *name, tars_error *err) {
    tars_error own_error;
    err = err ? err : &own_error; /* below, err is never NULL */
    tars_status status = check_arguments(context, name, "name of a model", err);
    if (status != TARS_OK) {
        return status;
    }
    store *s; /* first for reading: an unknown name must not make a store */
    store_entry entry;
    status = store_open(context->home, STORE_READ, &s, err);
    if (status == TARS_OK) {
        status = store_find(s, name, &entry, err);
        store_close(s);
    }
    if (status == TARS_OK) {
        status = record_begin(context, "rm", name, err);
    }
    if (status == TARS_OK) {
        status = store_open(context->home, STORE_WRITE, &s, err);
    }
    if (status == TARS_OK) {
        status = store_remove(s, name, err);
        store_close(s);
    }
    return status == TARS_OK ? record_removal(context, &entry, err) : status;
}
