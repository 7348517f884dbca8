/* Making a damaged index anew: store_rebuild of store.h. */
#include "store/store_internal.h"

#include "store/hex.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Names that could still be read, from the damaged index and its backup. */
typedef struct known_names {
    store_entry *entries;
    size_t count;
} known_names;

typedef struct rebuild {
    store *s; /* its index is the new one */
    known_names known[2];
    store_rebuild_report report;
    tars_status status;
    tars_error *err;
} rebuild;

static void read_names(const store *s, const char *file, known_names *out) {
    char path[STORE_PATH_BYTES];
    store_index *index;
    tars_error ignored; /* what cannot be read is what is being repaired */
    if (store_path(s, file, path, sizeof path, &ignored) == TARS_OK && files_exists(path) &&
        index_open(path, STORE_READ, &index, &ignored) == TARS_OK && index) {
        (void)index_list(index, &out->entries, &out->count, &ignored);
        index_close(index);
    }
}

static bool is_named(rebuild *r, const char *name) {
    store_entry entry;
    tars_error ignored;
    return index_get(r->s->index, name, &entry, &ignored) == TARS_OK;
}

/* Puts every known name of the packed file; returns how many. */
static size_t put_known_names(rebuild *r, const store_entry *facts) {
    size_t put = 0;
    for (size_t i = 0; i < 2; i++) {
        for (size_t j = 0; j < r->known[i].count && r->status == TARS_OK; j++) {
            const store_entry *old = &r->known[i].entries[j];
            if (strcmp(old->model.packed_sha256, facts->model.packed_sha256) != 0 ||
                is_named(r, old->model.name)) {
                continue;
            }
            store_entry entry = *facts;
            memcpy(entry.model.name, old->model.name, sizeof entry.model.name);
            memcpy(entry.model.sha256, old->model.sha256, sizeof entry.model.sha256);
            entry.model.imported_unix_s = old->model.imported_unix_s;
            entry.source_bytes = old->source_bytes;
            r->status = index_put(r->s->index, &entry, r->err);
            put++;
        }
    }
    return put;
}

static void put_made_up_name(rebuild *r, store_entry *entry) {
    char text[STORE_NAME_BYTES];
    snprintf(text, sizeof text, "%s-%s-%.8s", entry->model.architecture, entry->model.quantization,
             entry->model.packed_sha256);
    store_name_from_path(text, entry->model.name);
    entry->model.imported_unix_s = entry->mtime_ns / 1000000000;
    r->status = index_put(r->s->index, entry, r->err);
    r->report.named++;
}

static bool take_blob(void *user, const char *name, platform_kind kind) {
    rebuild *r = user;
    char path[STORE_PATH_BYTES];
    store_entry entry = {0};
    tars_error ignored;
    size_t length = strlen(name);
    snprintf(entry.model.packed_sha256, sizeof entry.model.packed_sha256, "%.64s", name);
    if (kind != PLATFORM_KIND_FILE || length != 64 + 5 || strcmp(name + 64, ".tars") != 0 ||
        !hex_is_sha256(entry.model.packed_sha256)) {
        return true; /* none of ours */
    }
    platform_kind found;
    platform_file_info info;
    r->status = store_blob_path(r->s, entry.model.packed_sha256, path, sizeof path, r->err);
    if (r->status == TARS_OK) {
        r->status = platform_path_kind(path, &found, &info, r->err);
    }
    if (r->status != TARS_OK) {
        return false;
    }
    if (store_describe(path, &entry, &ignored) != TARS_OK ||
        store_verify(r->s, &entry, NULL, NULL, &ignored) != TARS_OK) {
        r->report.damaged++;
        return true;
    }
    entry.inode = info.inode;
    entry.mtime_ns = info.mtime_ns;
    entry.ctime_ns = info.ctime_ns;
    if (put_known_names(r, &entry) == 0 && r->status == TARS_OK) {
        put_made_up_name(r, &entry);
    }
    r->report.kept += r->status == TARS_OK;
    return r->status == TARS_OK;
}

/* Writes the new index to `path`. */
static tars_status build(rebuild *r, const char *path, tars_error *err) {
    char blobs[STORE_PATH_BYTES];
    tars_status status = files_write(path, "", 0, 0600, PLATFORM_COMMIT_REPLACE, err);
    if (status == TARS_OK) {
        status = index_open(path, STORE_WRITE, &r->s->index, err);
    }
    if (status == TARS_OK) {
        status = store_path(r->s, "blobs", blobs, sizeof blobs, err);
    }
    if (status == TARS_OK) {
        status = platform_list_folder(blobs, take_blob, r, err);
    }
    if (status == TARS_OK) {
        status = r->status;
    }
    if (status == TARS_OK) {
        store_save_backup(r->s);
    }
    index_close(r->s->index); /* also folds its log into the file */
    r->s->index = NULL;
    return status;
}

/* Sets the damaged index aside, without its log, and puts the new one in its place. */
static tars_status swap(store *s, const char *fresh, tars_error *err) {
    static const char *const logs[] = {"index.sqlite-wal", "index.sqlite-shm"};
    char path[STORE_PATH_BYTES];
    char aside[STORE_PATH_BYTES];
    char log[STORE_PATH_BYTES];
    tars_status status = store_path(s, "index.sqlite", path, sizeof path, err);
    if (status == TARS_OK) {
        status = store_path(s, "index.sqlite.damaged", aside, sizeof aside, err);
    }
    if (status == TARS_OK && files_exists(path)) {
        status = files_move(path, aside, err);
    }
    for (size_t i = 0; i < sizeof logs / sizeof logs[0] && status == TARS_OK; i++) {
        status = store_path(s, logs[i], log, sizeof log, err);
        if (status == TARS_OK) {
            status = files_remove(log, err);
        }
    }
    return status == TARS_OK ? files_move(fresh, path, err) : status;
}

tars_status store_rebuild(const char *home, store_rebuild_report *report, tars_error *err) {
    rebuild r = {.status = TARS_OK, .err = err};
    platform_lock lock;
    char fresh[STORE_PATH_BYTES];
    tars_status status = store_open_folders(home, STORE_WRITE, &r.s, err);
    if (status != TARS_OK) {
        return status;
    }
    status = store_lock(r.s, STORE_LOCK_WAIT_MS, NULL, NULL, &lock, err);
    if (status == TARS_OK) {
        read_names(r.s, "index.sqlite", &r.known[0]);
        read_names(r.s, "index.backup", &r.known[1]);
        status = store_path(r.s, "tmp/index.rebuilt", fresh, sizeof fresh, err);
        if (status == TARS_OK) {
            status = build(&r, fresh, err);
        }
        if (status == TARS_OK) {
            status = swap(r.s, fresh, err);
        }
        free(r.known[0].entries);
        free(r.known[1].entries);
        platform_lock_release(&lock);
    }
    store_close(r.s);
    if (report) {
        *report = r.report;
    }
    return status;
}
