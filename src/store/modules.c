#include "store/modules_internal.h"

#include "base/nearest.h"
#include "store/hex.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MIN_PREFIX_DIGITS = 4, LOAD_WAIT_MS = 10 * 60 * 1000 };

static bool same_text(const char *a, const char *b) {
    return strcmp(a, b) == 0;
}

static bool begins_with(const char *text, const char *prefix) {
    return strncmp(text, prefix, strlen(prefix)) == 0;
}

/* ---- listing and finding --------------------------------------------------------------- */

static const modules_busy *runner_of(const char *sha256, const modules_busy *busy, size_t n_busy) {
    for (size_t i = 0; i < n_busy; i++) {
        if (busy[i].name[0] == '\0' && same_text(busy[i].sha256, sha256)) {
            return &busy[i];
        }
    }
    return NULL;
}

void modules_settle(const char *home, module_entry *entry, const modules_busy *busy,
                    size_t n_busy) {
    if (entry->sha256[0] != '\0') {
        entry->runs = modules_runs(home, entry->sha256);
    }
    if (entry->state != MODULE_LOADED) {
        return;
    }
    uint8_t *bytes = NULL;
    size_t length = 0;
    tars_error why = {0};
    if (modules_read(home, entry->sha256, &bytes, &length, &why) != TARS_OK) {
        entry->state = MODULE_ERROR;
        snprintf(entry->reason, sizeof entry->reason, "%.250s", why.message);
    }
    free(bytes);
    if (runner_of(entry->sha256, busy, n_busy) && entry->state == MODULE_LOADED) {
        entry->state = MODULE_EXECUTING;
    }
}

static bool has_name(const module_entry *entries, size_t count, const char *name) {
    for (size_t i = 0; i < count; i++) {
        if (same_text(entries[i].name, name)) {
            return true;
        }
    }
    return false;
}

static int by_name(const void *a, const void *b) {
    return strcmp(((const module_entry *)a)->name, ((const module_entry *)b)->name);
}

/* Records and loads that go on; with `settled` their state is told too. The lock is held. */
static tars_status all_entries(const char *home, bool settled, module_entry **entries,
                               size_t *count, tars_error *err) {
    modules_busy *busy = NULL;
    size_t n_busy = 0;
    *entries = NULL;
    *count = 0;
    tars_status status = modules_busy_list(home, &busy, &n_busy, err);
    if (status == TARS_OK) {
        status = modules_records(home, n_busy, entries, count, err);
    }
    for (size_t i = 0; i < *count && status == TARS_OK && settled; i++) {
        modules_settle(home, &(*entries)[i], busy, n_busy);
    }
    for (size_t i = 0; i < n_busy && status == TARS_OK; i++) {
        if (busy[i].name[0] != '\0' && !has_name(*entries, *count, busy[i].name)) {
            module_entry *entry = &(*entries)[(*count)++];
            *entry = (module_entry){.state = MODULE_LOADING};
            memcpy(entry->name, busy[i].name, sizeof entry->name);
            memcpy(entry->sha256, busy[i].sha256, sizeof entry->sha256);
        }
    }
    free(busy);
    if (status == TARS_OK && *count > 1) {
        qsort(*entries, *count, sizeof **entries, by_name);
    }
    return status;
}

tars_status modules_list(const char *home, module_entry **entries, size_t *count, tars_error *err) {
    platform_lock lock;
    *entries = NULL;
    *count = 0;
    tars_status status = modules_lock(home, &lock, err);
    if (status != TARS_OK) {
        return status;
    }
    status = all_entries(home, true, entries, count, err);
    platform_lock_release(&lock);
    return status;
}

static tars_status unknown(const module_entry *entries, size_t count, const char *reference,
                           tars_error *err) {
    nearest_search search;
    nearest_init(&search, reference);
    for (size_t i = 0; i < count; i++) {
        nearest_offer(&search, entries[i].name);
    }
    error_set(err, TARS_NOT_FOUND, "no module \"%.130s\" is loaded", reference);
    if (nearest_result(&search)) {
        error_hint(err, "did you mean %s?", nearest_result(&search));
    } else if (count == 0) {
        error_hint(err, "none is: `tars wasm load FILE` loads one");
    } else {
        error_hint(err, "`tars wasm list` shows the names there are");
    }
    return TARS_NOT_FOUND;
}

static bool is_prefix(const char *text) {
    size_t length = strlen(text);
    return length >= MIN_PREFIX_DIGITS && length <= 64 &&
           strspn(text, "0123456789abcdef") == length;
}

/* The only module whose digest begins so. */
static tars_status choose_by_digest(const module_entry *entries, size_t count, const char *digits,
                                    const module_entry **out, tars_error *err) {
    *out = NULL;
    for (size_t i = 0; i < count; i++) {
        if (!begins_with(entries[i].sha256, digits)) {
            continue;
        }
        if (*out && !same_text((*out)->sha256, entries[i].sha256)) {
            error_set(err, TARS_USAGE, "the digests of %s and %s both begin with %s", (*out)->name,
                      entries[i].name, digits);
            return error_hint(err, "write more digits, or a name");
        }
        *out = *out ? *out : &entries[i];
    }
    return TARS_OK;
}

tars_status modules_choose(const module_entry *entries, size_t count, const char *reference,
                           const module_entry **out, bool *by_digest, tars_error *err) {
    const char *at = strchr(reference, '@');
    size_t length = at ? (size_t)(at - reference) : strlen(reference);
    *out = NULL;
    *by_digest = false;
    if (at && !is_prefix(at + 1)) {
        error_set(err, TARS_USAGE, "\"%.80s\" is no beginning of a digest", at + 1);
        return error_hint(err, "write NAME@ and 4 to 64 lower-case hex digits");
    }
    for (size_t i = 0; i < count; i++) {
        if (strlen(entries[i].name) == length && memcmp(entries[i].name, reference, length) == 0) {
            *out = &entries[i];
        }
    }
    if (*out && at && !begins_with((*out)->sha256, at + 1)) {
        error_set(err, TARS_NOT_FOUND, "the module %s has the digest %.12s…, not %.64s",
                  (*out)->name, (*out)->sha256, at + 1);
        return error_hint(err, "leave out @%.64s, or load the file you want", at + 1);
    }
    if (!*out && !at && is_prefix(reference)) {
        *by_digest = true;
        tars_status status = choose_by_digest(entries, count, reference, out, err);
        if (status != TARS_OK) {
            return status;
        }
    }
    return *out ? TARS_OK : unknown(entries, count, reference, err);
}

tars_status modules_find(const char *home, const char *reference, module_entry *out,
                         tars_error *err) {
    module_entry *entries = NULL;
    size_t count = 0;
    const module_entry *chosen = NULL;
    bool by_digest = false;
    platform_lock lock;
    tars_status status = modules_lock(home, &lock, err);
    if (status == TARS_OK) {
        status = all_entries(home, false, &entries, &count, err);
    }
    if (status == TARS_OK) {
        status = modules_choose(entries, count, reference, &chosen, &by_digest, err);
    }
    if (status == TARS_OK) {
        modules_busy *busy = NULL;
        size_t n_busy = 0;
        *out = *chosen;
        status = modules_busy_list(home, &busy, &n_busy, err);
        modules_settle(home, out, busy, n_busy);
        free(busy);
    }
    free(entries);
    platform_lock_release(&lock);
    return status;
}

tars_status modules_locate(const char *home, const char *reference, module_entry *out, char *path,
                           size_t path_bytes, tars_error *err) {
    tars_status status = modules_find(home, reference, out, err);
    if (status != TARS_OK) {
        return status;
    }
    if (out->state != MODULE_EXECUTING) { /* which several may do at once */
        status = module_state_check(out->name, out->state, MODULE_EXECUTING, err);
        if (out->state == MODULE_ERROR) {
            status = error_set(err, TARS_CORRUPT, "the module %s is of no use: %s", out->name,
                               out->reason);
            error_hint(err, "load it again from its source, or unload it: tars wasm unload %s",
                       out->name);
        }
    }
    char own[STORE_PATH_BYTES];
    if (status == TARS_OK) {
        status = modules_digest_path(home, out->sha256, "wasm", own, err);
    }
    if (status == TARS_OK && strlen(own) >= path_bytes) {
        status = error_set(err, TARS_LIMIT, "the path %s is too long", own);
    }
    if (status == TARS_OK) {
        memcpy(path, own, strlen(own) + 1);
    }
    return status;
}

/* ---- loading --------------------------------------------------------------------------- */

/* Whether the name may become this module's, as things are now. The lock is held. */
static tars_status check_name(const char *home, const char *name, const char *sha256,
                              bool *was_there, tars_error *err) {
    module_entry entry;
    bool found = false;
    modules_busy *busy = NULL;
    size_t n_busy = 0;
    *was_there = false;
    tars_status status = modules_record_find(home, name, &entry, &found, err);
    if (status == TARS_OK && found) {
        status = modules_busy_list(home, &busy, &n_busy, err);
    }
    if (status == TARS_OK && found) {
        modules_settle(home, &entry, busy, n_busy);
        *was_there = same_text(entry.sha256, sha256) && entry.state != MODULE_ERROR;
        status = *was_there ? TARS_OK : module_state_check(name, entry.state, MODULE_LOADING, err);
    }
    free(busy);
    return status;
}

static tars_status check_name_locked(modules_load *load, tars_error *err) {
    platform_lock lock;
    tars_status status = modules_lock(load->home, &lock, err);
    if (status == TARS_OK) {
        status = check_name(load->home, load->name, load->sha256, &load->was_there, err);
        platform_lock_release(&lock);
    }
    return status;
}

tars_status modules_load_begin(const char *home, const char *name,
                               const uint8_t sha256[SHA256_DIGEST_BYTES], modules_load *out,
                               tars_error *err) {
    char file[STORE_NAME_BYTES + 128];
    *out = (modules_load){.lock = {PLATFORM_NO_HANDLE}};
    tars_status status = store_name_check(name, err);
    if (status != TARS_OK) {
        return status;
    }
    snprintf(out->home, sizeof out->home, "%s", home);
    snprintf(out->name, sizeof out->name, "%s", name);
    sha256_hex(sha256, out->sha256);
    status = modules_make_folders(home, err);
    if (status == TARS_OK) {
        status = check_name_locked(out, err);
    }
    if (status != TARS_OK || out->was_there) {
        return status;
    }
    snprintf(file, sizeof file, "load@%s@%s", out->sha256, name);
    status = modules_busy_take(home, file, LOAD_WAIT_MS, out->lock_path, &out->lock, err);
    if (status == TARS_OK) { /* another load of it may just have ended */
        status = check_name_locked(out, err);
        if (status != TARS_OK) {
            modules_load_end(out);
        }
    }
    return status;
}

/* The module that had the name goes when it has no other. */
static void drop_old(const char *home, const char *old_sha256) {
    module_entry *entries = NULL;
    size_t count = 0;
    bool used = true;
    if (modules_records(home, 0, &entries, &count, NULL) == TARS_OK) {
        used = false;
        for (size_t i = 0; i < count; i++) {
            used = used || same_text(entries[i].sha256, old_sha256);
        }
    }
    free(entries);
    if (!used) {
        (void)modules_remove_files(home, old_sha256, NULL);
    }
}

/* The lock is held. */
static tars_status keep(modules_load *load, const void *bytes, size_t length, tars_error *err) {
    char path[STORE_PATH_BYTES];
    module_entry old = {0};
    bool had_old = false;
    bool was_there = false;
    module_entry entry = {.bytes = length, .loaded_unix_s = platform_wall_clock_ns() / 1000000000};
    memcpy(entry.name, load->name, sizeof entry.name);
    memcpy(entry.sha256, load->sha256, sizeof entry.sha256);
    tars_status status = check_name(load->home, load->name, load->sha256, &was_there, err);
    if (status == TARS_OK) {
        status = modules_record_find(load->home, load->name, &old, &had_old, err);
    }
    if (status == TARS_OK) {
        status = modules_digest_path(load->home, load->sha256, "wasm", path, err);
    }
    if (status == TARS_OK) {
        status = files_write(path, bytes, length, 0600, PLATFORM_COMMIT_REPLACE, err);
    }
    if (status == TARS_OK) {
        status = modules_record_write(load->home, &entry, err);
    }
    if (status == TARS_OK && had_old && hex_is_sha256(old.sha256) &&
        !same_text(old.sha256, load->sha256)) {
        drop_old(load->home, old.sha256);
    }
    return status;
}

tars_status modules_load_commit(modules_load *load, const void *bytes, size_t length,
                                tars_error *err) {
    platform_lock lock;
    if (length > MODULES_MAX_BYTES) {
        return error_set(err, TARS_LIMIT, "a module of %zu bytes; %d are possible", length,
                         (int)MODULES_MAX_BYTES);
    }
    tars_status status = modules_lock(load->home, &lock, err);
    if (status != TARS_OK) {
        return status;
    }
    status = keep(load, bytes, length, err);
    if (status == TARS_OK) {
        (void)modules_sweep(load->home, NULL); /* what died is nobody's failure */
    }
    platform_lock_release(&lock);
    return status;
}

void modules_load_fail(modules_load *load, size_t length, const tars_error *why) {
    platform_lock lock;
    module_entry old;
    bool had_old = false;
    if (modules_lock(load->home, &lock, NULL) != TARS_OK) {
        return;
    }
    module_entry entry = {.bytes = length, .loaded_unix_s = platform_wall_clock_ns() / 1000000000};
    memcpy(entry.name, load->name, sizeof entry.name);
    memcpy(entry.sha256, load->sha256, sizeof entry.sha256);
    snprintf(entry.reason, sizeof entry.reason, "%.250s",
             why->message[0] != '\0' ? why->message : tars_status_code(why->status));
    if (modules_record_find(load->home, load->name, &old, &had_old, NULL) == TARS_OK &&
        (!had_old || old.state == MODULE_ERROR || same_text(old.sha256, load->sha256))) {
        (void)modules_record_write(load->home, &entry, NULL);
    }
    platform_lock_release(&lock);
}

void modules_load_end(modules_load *load) {
    modules_busy_release(load->lock_path, &load->lock);
}

/* ---- unloading ------------------------------------------------------------------------- */

/* Removes the names that are meant, and the module with its last one. The lock is held. */
static tars_status unload(const char *home, const module_entry *entries, size_t count,
                          const module_entry *chosen, bool by_digest, module_entry *removed,
                          size_t *n_removed, tars_error *err) {
    size_t others = 0;
    for (size_t i = 0; i < count; i++) {
        bool same =
            chosen == &entries[i] || (by_digest && same_text(entries[i].sha256, chosen->sha256));
        if (same) {
            tars_status status =
                module_state_check(entries[i].name, entries[i].state, MODULE_UNLOADED, err);
            if (status != TARS_OK) {
                return status;
            }
            removed[(*n_removed)++] = entries[i];
        } else {
            others += same_text(entries[i].sha256, chosen->sha256);
        }
    }
    for (size_t i = 0; i < *n_removed; i++) {
        tars_status status = modules_record_remove(home, removed[i].name, err);
        if (status != TARS_OK) {
            return status;
        }
        removed[i].state = MODULE_UNLOADED;
    }
    return others == 0 && chosen->sha256[0] != '\0'
               ? modules_remove_files(home, chosen->sha256, err)
               : TARS_OK;
}

tars_status modules_unload(const char *home, const char *reference, module_entry **removed,
                           size_t *count, tars_error *err) {
    module_entry *entries = NULL;
    const module_entry *chosen = NULL;
    bool by_digest = false;
    size_t n = 0;
    platform_lock lock;
    *removed = NULL;
    *count = 0;
    tars_status status = modules_lock(home, &lock, err);
    if (status != TARS_OK) {
        return status;
    }
    status = all_entries(home, true, &entries, &n, err);
    if (status == TARS_OK) {
        status = modules_choose(entries, n, reference, &chosen, &by_digest, err);
    }
    if (status == TARS_OK && chosen) {
        *removed = malloc(n * sizeof **removed);
        status = *removed ? unload(home, entries, n, chosen, by_digest, *removed, count, err)
                          : error_set(err, TARS_OUT_OF_MEMORY, "no memory for the names");
    }
    platform_lock_release(&lock);
    free(entries);
    if (status != TARS_OK) {
        free(*removed);
        *removed = NULL;
        *count = 0;
    }
    return status;
}
