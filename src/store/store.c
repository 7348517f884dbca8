#include "store/store_internal.h"

#include "base/nearest.h"
#include "store/hex.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MIN_PREFIX_DIGITS = 4 };

static const char *const store_folders[] = {"blobs", "tmp", "partial"};

tars_status store_path(const store *s, const char *relative, char *out, size_t size_bytes,
                       tars_error *err) {
    return files_join(out, size_bytes, s->models, relative, err);
}

tars_status store_blob_path(const store *s, const char *packed_sha256, char *out, size_t size_bytes,
                            tars_error *err) {
    char relative[128];
    snprintf(relative, sizeof relative, "blobs/%s.tars", packed_sha256);
    return store_path(s, relative, out, size_bytes, err);
}

tars_status store_lock(const store *s, uint32_t wait_ms, tars_progress progress, void *user,
                       platform_lock *out, tars_error *err) {
    char path[STORE_PATH_BYTES];
    tars_status status = store_path(s, ".lock", path, sizeof path, err);
    return status == TARS_OK ? files_lock(path, wait_ms, progress, user, out, err) : status;
}

static tars_status make_folders(store *s, tars_error *err) {
    tars_status status = platform_make_folders(s->models, err);
    for (size_t i = 0; i < sizeof store_folders / sizeof store_folders[0] && status == TARS_OK;
         i++) {
        char path[STORE_PATH_BYTES];
        status = store_path(s, store_folders[i], path, sizeof path, err);
        if (status == TARS_OK) {
            status = platform_make_folders(path, err);
        }
    }
    return status;
}

static tars_status open_index(store *s, tars_error *err) {
    char path[STORE_PATH_BYTES];
    tars_status status = store_path(s, "index.sqlite", path, sizeof path, err);
    platform_kind kind;
    if (status == TARS_OK) {
        status = platform_path_kind(path, &kind, NULL, err); /* no permission is not "no models" */
    }
    if (status != TARS_OK) {
        return status;
    }
    if (kind == PLATFORM_KIND_MISSING) {
        if (s->mode == STORE_READ) {
            return TARS_OK;
        }
        /* made here, so that its mode is ours and not the umask's */
        status = files_write(path, "", 0, 0600, 0, err);
        if (status != TARS_OK && status != TARS_CONFLICT) {
            return status;
        }
    }
    return index_open(path, s->mode, &s->index, err);
}

tars_status store_open_folders(const char *home, store_mode mode, store **out, tars_error *err) {
    *out = NULL;
    store *s = calloc(1, sizeof *s);
    if (!s) {
        error_set(err, TARS_OUT_OF_MEMORY, "no memory for the store");
        return TARS_OUT_OF_MEMORY;
    }
    s->mode = mode;
    int length = snprintf(s->home, sizeof s->home, "%s", home);
    tars_status status = TARS_OK;
    if (length <= 0 || (size_t)length >= sizeof s->home) {
        status = error_set(err, TARS_USAGE, "the path of the store is empty or too long");
    }
    if (status == TARS_OK) {
        status = files_join(s->models, sizeof s->models, home, "models", err);
    }
    if (status == TARS_OK && mode == STORE_WRITE) {
        status = make_folders(s, err);
    }
    if (status != TARS_OK) {
        store_close(s);
        return status;
    }
    *out = s;
    return TARS_OK;
}

tars_status store_open(const char *home, store_mode mode, store **out, tars_error *err) {
    tars_status status = store_open_folders(home, mode, out, err);
    if (status == TARS_OK) {
        status = open_index(*out, err);
        if (status != TARS_OK) {
            store_close(*out);
            *out = NULL;
        }
    }
    return status;
}

void store_close(store *s) {
    if (s) {
        index_close(s->index);
        free(s);
    }
}

tars_status store_list(store *s, store_entry **entries, size_t *count, tars_error *err) {
    *entries = NULL;
    *count = 0;
    return s->index ? index_list(s->index, entries, count, err) : TARS_OK;
}

/* Fills NOT_FOUND with the nearest name there is. */
static tars_status unknown_name(store *s, const char *name, tars_error *err) {
    store_entry *entries = NULL;
    size_t count = 0;
    if (store_list(s, &entries, &count, err) != TARS_OK) {
        return err ? err->status : TARS_FAILED;
    }
    nearest_search search;
    nearest_init(&search, name);
    for (size_t i = 0; i < count; i++) {
        nearest_offer(&search, entries[i].model.name);
    }
    const char *nearest = nearest_result(&search);
    error_set(err, TARS_NOT_FOUND, "no model named \"%s\"", name);
    if (nearest) {
        error_hint(err, "did you mean %s?", nearest);
    } else if (count == 0) {
        error_hint(err, "the store is empty: `tars pull smollm2` fetches a small model");
    } else {
        error_hint(err, "`tars list` shows the names there are");
    }
    free(entries);
    return TARS_NOT_FOUND;
}

static bool begins_with(const char *text, const char *prefix) {
    return strncmp(text, prefix, strlen(prefix)) == 0;
}

tars_status store_find(store *s, const char *reference, store_entry *out, tars_error *err) {
    memset(out, 0, sizeof *out);
    const char *at = strchr(reference, '@');
    size_t length = at ? (size_t)(at - reference) : strlen(reference);
    char name[STORE_NAME_BYTES];
    snprintf(name, sizeof name, "%.*s", (int)(length < sizeof name ? length : sizeof name - 1),
             reference);
    if (length >= sizeof name || !store_name_valid(name)) {
        return length >= sizeof name ? store_name_check(reference, err)
                                     : store_name_check(name, err);
    }
    if (at && (strlen(at + 1) < MIN_PREFIX_DIGITS || strlen(at + 1) > 64 ||
               strspn(at + 1, "0123456789abcdef") != strlen(at + 1))) {
        error_set(err, TARS_USAGE, "\"%s\" is no beginning of a digest", at + 1);
        return error_hint(err, "write NAME@ and 4 to 64 lower-case hex digits, as in `tars list`");
    }
    tars_status status =
        s->index ? index_get(s->index, name, out, err) : error_set(err, TARS_NOT_FOUND, "empty");
    if (status == TARS_NOT_FOUND) {
        return unknown_name(s, name, err);
    }
    if (status == TARS_OK && at && !begins_with(out->model.sha256, at + 1) &&
        !begins_with(out->model.packed_sha256, at + 1)) {
        error_set(err, TARS_NOT_FOUND, "the model %s has the digest %.12s…, not %s", name,
                  out->model.sha256, at + 1);
        return error_hint(err, "leave out @%s, or import the version you want", at + 1);
    }
    return status;
}

static tars_status blob_damaged(const store_entry *entry, const char *path, const char *what,
                                tars_error *err) {
    error_set(err, TARS_CORRUPT, "the packed file of %s %s", entry->model.name, what);
    error_where(err, "%s", path);
    error_hint(err, "`tars rm %s` and import or pull it again", entry->model.name);
    return TARS_CORRUPT;
}

tars_status store_verify(store *s, const store_entry *entry, tars_progress progress, void *user,
                         tars_error *err) {
    char path[STORE_PATH_BYTES];
    tars_status status = store_blob_path(s, entry->model.packed_sha256, path, sizeof path, err);
    if (status != TARS_OK) {
        return status;
    }
    platform_file file;
    platform_file_info info;
    status = platform_file_open(path, &file, err);
    if (status == TARS_NOT_FOUND) {
        return blob_damaged(entry, path, "is missing", err);
    }
    if (status != TARS_OK) {
        return status;
    }
    uint8_t digest[SHA256_DIGEST_BYTES];
    char hex[SHA256_HEX_BYTES];
    status = platform_file_get_info(&file, &info, err);
    if (status == TARS_OK) {
        status = files_digest(&file, info.size_bytes, progress, user, "verify", digest, err);
    }
    platform_file_close(&file);
    if (status == TARS_OK) {
        hex_encode(digest, sizeof digest, hex);
        if (info.size_bytes != entry->model.packed_bytes ||
            strcmp(hex, entry->model.packed_sha256) != 0) {
            status = blob_damaged(entry, path, "does not have its digest any more", err);
        }
    }
    return status;
}

static tars_status blob_info(const store_entry *entry, const char *path, platform_file_info *out,
                             tars_error *err) {
    platform_kind kind;
    tars_status status = platform_path_kind(path, &kind, out, err);
    if (status == TARS_OK && kind != PLATFORM_KIND_FILE) {
        status = blob_damaged(entry, path,
                              kind == PLATFORM_KIND_MISSING ? "is missing" : "is no file", err);
    }
    return status;
}

static bool same_identity(const platform_file_info *a, const store_entry *entry) {
    return a->size_bytes == entry->model.packed_bytes && a->inode == entry->inode &&
           a->mtime_ns == entry->mtime_ns && a->ctime_ns == entry->ctime_ns;
}

/* The file was touched, copied or restored: its bytes decide, and the index learns its identity. */
static tars_status check_again(store *s, store_entry *entry, const platform_file_info *before,
                               const char *path, tars_error *err) {
    tars_status status = store_verify(s, entry, NULL, NULL, err);
    platform_file_info after;
    if (status == TARS_OK) {
        status = blob_info(entry, path, &after, err);
    }
    if (status != TARS_OK) {
        return status;
    }
    if (after.size_bytes != before->size_bytes || after.inode != before->inode ||
        after.mtime_ns != before->mtime_ns || after.ctime_ns != before->ctime_ns) {
        return blob_damaged(entry, path, "changes while it is read", err);
    }
    entry->inode = after.inode;
    entry->mtime_ns = after.mtime_ns;
    entry->ctime_ns = after.ctime_ns;
    store *writable;
    tars_error ignored; /* a store that may only be read is checked again next time */
    if (store_open(s->home, STORE_WRITE, &writable, &ignored) == TARS_OK) {
        (void)index_refresh(writable->index, entry, &ignored);
        store_close(writable);
    }
    return TARS_OK;
}

tars_status store_check_blob(store *s, store_entry *entry, tars_error *err) {
    char path[STORE_PATH_BYTES];
    platform_file_info identity;
    tars_status status = store_blob_path(s, entry->model.packed_sha256, path, sizeof path, err);
    if (status == TARS_OK) {
        status = blob_info(entry, path, &identity, err);
    }
    if (status != TARS_OK || same_identity(&identity, entry)) {
        return status;
    }
    if (identity.size_bytes != entry->model.packed_bytes) {
        blob_damaged(entry, path, "has another size", err);
        error_cause(err, "found %llu bytes, expected %llu", (unsigned long long)identity.size_bytes,
                    (unsigned long long)entry->model.packed_bytes);
        return TARS_CORRUPT;
    }
    return check_again(s, entry, &identity, path, err);
}

tars_status store_locate(store *s, const char *reference, store_entry *out, char *path,
                         size_t path_bytes, tars_error *err) {
    tars_status status = store_find(s, reference, out, err);
    if (status == TARS_OK) {
        status = store_blob_path(s, out->model.packed_sha256, path, path_bytes, err);
    }
    return status == TARS_OK ? store_check_blob(s, out, err) : status;
}

/* The copy that store_rebuild reads names from. Its failure does not undo a change that is made. */
void store_save_backup(store *s) {
    char fresh[STORE_PATH_BYTES];
    char path[STORE_PATH_BYTES];
    tars_error ignored;
    if (store_path(s, "tmp/index.backup", fresh, sizeof fresh, &ignored) != TARS_OK ||
        store_path(s, "index.backup", path, sizeof path, &ignored) != TARS_OK ||
        files_write(fresh, "", 0, 0600, PLATFORM_COMMIT_REPLACE, &ignored) != TARS_OK ||
        index_copy(s->index, fresh, &ignored) != TARS_OK ||
        files_move(fresh, path, &ignored) != TARS_OK) {
        (void)files_remove(fresh, &ignored);
    }
}

static tars_status remove_blob(store *s, const char *packed_sha256, tars_error *err) {
    char path[STORE_PATH_BYTES];
    tars_status status = store_blob_path(s, packed_sha256, path, sizeof path, err);
    return status == TARS_OK ? files_remove(path, err) : status;
}

tars_status store_add_name(store *s, const store_entry *entry, tars_error *err) {
    store_entry old = {0};
    tars_error ignored;
    bool replaces = index_get(s->index, entry->model.name, &old, &ignored) == TARS_OK &&
                    strcmp(old.model.packed_sha256, entry->model.packed_sha256) != 0;
    tars_status status = index_put(s->index, entry, err);
    if (status != TARS_OK) {
        return status;
    }
    uint64_t names = 1;
    if (replaces &&
        index_count_names(s->index, old.model.packed_sha256, &names, &ignored) == TARS_OK &&
        names == 0) {
        (void)remove_blob(s, old.model.packed_sha256, &ignored); /* unnamed: the name has moved */
    }
    store_save_backup(s);
    return TARS_OK;
}

static tars_status pending_path(store *s, const char *packed_sha256, char *out, size_t size_bytes,
                                tars_error *err) {
    char relative[128];
    snprintf(relative, sizeof relative, "tmp/%s.pending", packed_sha256);
    return store_path(s, relative, out, size_bytes, err);
}

tars_status store_commit(store *s, const char *temporary, store_entry *entry, tars_error *err) {
    char path[STORE_PATH_BYTES];
    char pending[STORE_PATH_BYTES];
    const char *digest = entry->model.packed_sha256;
    tars_status status = store_blob_path(s, digest, path, sizeof path, err);
    if (status == TARS_OK) {
        status = pending_path(s, digest, pending, sizeof pending, err);
    }
    uint64_t names = 0;
    if (status == TARS_OK) {
        status = index_count_names(s->index, digest, &names, err);
    }
    if (status == TARS_OK && names == 0) { /* tells store_sweep that nothing names it yet */
        status = files_write(pending, "", 0, 0600, PLATFORM_COMMIT_REPLACE, err);
    }
    if (status == TARS_OK) {
        status = files_move(temporary, path, err);
    }
    platform_file_info identity;
    if (status == TARS_OK) {
        status = blob_info(entry, path, &identity, err);
    }
    if (status != TARS_OK) {
        return status;
    }
    entry->inode = identity.inode;
    entry->mtime_ns = identity.mtime_ns;
    entry->ctime_ns = identity.ctime_ns;
    status = store_add_name(s, entry, err);
    tars_error ignored;
    if (status != TARS_OK && names == 0) {
        (void)remove_blob(s, digest, &ignored);
    }
    (void)files_remove(pending, &ignored);
    return status;
}

tars_status store_remove(store *s, const char *name, tars_error *err) {
    store_entry entry;
    tars_status status = store_find(s, name, &entry, err);
    if (status != TARS_OK) {
        return status;
    }
    platform_lock lock;
    status = store_lock(s, STORE_LOCK_WAIT_MS, NULL, NULL, &lock, err);
    if (status != TARS_OK) {
        return status;
    }
    bool orphan = false;
    status = index_remove(s->index, entry.model.name, &orphan, err);
    if (status == TARS_OK && orphan) {
        status = remove_blob(s, entry.model.packed_sha256, err);
    }
    if (status == TARS_OK) {
        store_save_backup(s);
    }
    platform_lock_release(&lock);
    return status;
}

/* Sweeping goes over one folder; the digest of a pending file tells which blob to look at. */
typedef struct sweep {
    store *s;
    const char *folder;
    tars_status status;
    tars_error *err;
} sweep;

static bool sweep_one(void *user, const char *name, platform_kind kind) {
    (void)kind;
    sweep *w = user;
    char relative[STORE_NAME_BYTES + 256];
    char path[STORE_PATH_BYTES];
    char digest[SHA256_HEX_BYTES] = "";
    snprintf(relative, sizeof relative, "tmp/%s", name);
    w->status = store_path(w->s, relative, path, sizeof path, w->err);
    if (w->status != TARS_OK) {
        return false;
    }
    snprintf(digest, sizeof digest, "%s", name);
    if (hex_is_sha256(digest) && strcmp(name + 64, ".pending") == 0) {
        uint64_t names = 1;
        w->status = index_count_names(w->s->index, digest, &names, w->err);
        if (w->status == TARS_OK && names == 0) {
            w->status = remove_blob(w->s, digest, w->err);
        }
    }
    if (w->status == TARS_OK) {
        w->status = files_remove(path, w->err);
    }
    return w->status == TARS_OK;
}

static bool sweep_leftover(void *user, const char *name, platform_kind kind) {
    sweep *w = user;
    char path[STORE_PATH_BYTES];
    if (kind == PLATFORM_KIND_FILE && platform_writer_is_leftover(name)) {
        w->status = files_join(path, sizeof path, w->folder, name, w->err);
        if (w->status == TARS_OK) {
            w->status = files_remove(path, w->err);
        }
    }
    return w->status == TARS_OK;
}

static tars_status sweep_folder(store *s, const char *folder,
                                bool (*visit)(void *user, const char *name, platform_kind kind),
                                tars_error *err) {
    sweep w = {.s = s, .folder = folder, .status = TARS_OK, .err = err};
    tars_status status = platform_list_folder(folder, visit, &w, err);
    return status == TARS_OK ? w.status : status;
}

tars_status store_sweep(store *s, tars_error *err) {
    char folder[STORE_PATH_BYTES];
    tars_status status = store_path(s, "tmp", folder, sizeof folder, err);
    if (status == TARS_OK) {
        status = sweep_folder(s, folder, sweep_one, err);
    }
    if (status == TARS_OK) {
        status = store_path(s, "blobs", folder, sizeof folder, err);
    }
    if (status == TARS_OK) {
        status = sweep_folder(s, folder, sweep_leftover, err);
    }
    return status == TARS_OK ? sweep_folder(s, s->models, sweep_leftover, err) : status;
}
