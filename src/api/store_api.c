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
    tars_model_entry entry;
    status = importer_run(path, &own, &entry, err);
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
    tars_model_entry entry;
    status = pull_run(what, &own, &entry, err);
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
        status = store_open(context->home, STORE_WRITE, &s, err);
    }
    if (status == TARS_OK) {
        status = store_remove(s, name, err);
        store_close(s);
    }
    return status;
}
