/* The module store's files: paths, records, locks, modules. */
#include "store/modules_internal.h"

#include "base/json.h"
#include "base/text.h"
#include "store/artifacts.h"
#include "store/hex.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    RECORD_VERSION = 1,
    RECORD_MAX_BYTES = 4096,
    KEYS_MAX_BYTES = 1 << 20,
    LOCK_WAIT_MS = 60 * 1000,
    PROBE_WAIT_NS = 0
};

tars_status modules_path(const char *home, const char *relative, char *out, tars_error *err) {
    int length =
        snprintf(out, STORE_PATH_BYTES, "%s/modules%s%s", home, relative[0] ? "/" : "", relative);
    if (length < 0 || length >= STORE_PATH_BYTES) {
        return error_set(err, TARS_LIMIT, "the path %s/modules/%s is too long", home, relative);
    }
    return TARS_OK;
}

tars_status modules_digest_path(const char *home, const char *sha256, const char *ending, char *out,
                                tars_error *err) {
    char relative[SHA256_HEX_BYTES + 16];
    snprintf(relative, sizeof relative, "%s.%s", sha256, ending);
    return modules_path(home, relative, out, err);
}

tars_status modules_make_folders(const char *home, tars_error *err) {
    static const char *const folders[] = {"names", "busy"};
    char path[STORE_PATH_BYTES];
    tars_status status = TARS_OK;
    for (size_t i = 0; i < sizeof folders / sizeof folders[0] && status == TARS_OK; i++) {
        status = modules_path(home, folders[i], path, err);
        if (status == TARS_OK) {
            status = platform_make_folders(path, err);
        }
    }
    return status;
}

tars_status modules_lock(const char *home, platform_lock *out, tars_error *err) {
    char path[STORE_PATH_BYTES];
    out->handle = PLATFORM_NO_HANDLE;
    tars_status status = modules_path(home, "", path, err);
    if (status != TARS_OK || !files_exists(path)) {
        return status;
    }
    status = modules_path(home, ".lock", path, err);
    return status == TARS_OK ? files_lock(path, LOCK_WAIT_MS, NULL, NULL, out, err) : status;
}

/* ---- records --------------------------------------------------------------------------- */

static tars_status record_path(const char *home, const char *name, char *out, tars_error *err) {
    char relative[STORE_NAME_BYTES + 16];
    snprintf(relative, sizeof relative, "names/%s.json", name);
    return modules_path(home, relative, out, err);
}

static bool append(void *context, const char *bytes, size_t length) {
    text_append(context, bytes, length);
    return !((text_buffer *)context)->truncated;
}

tars_status modules_record_write(const char *home, const module_entry *entry, tars_error *err) {
    char path[STORE_PATH_BYTES];
    char memory[RECORD_MAX_BYTES];
    text_buffer text;
    text_init(&text, memory, sizeof memory);
    json_writer json;
    json_writer_init(&json, append, &text);
    json_begin_object(&json);
    json_member_int(&json, "version", RECORD_VERSION);
    json_member_string(&json, "sha256", entry->sha256);
    json_member_uint(&json, "bytes", entry->bytes);
    json_member_int(&json, "loaded_unix_s", entry->loaded_unix_s);
    json_member_string(&json, "error", entry->reason);
    json_end_object(&json);
    tars_status status = record_path(home, entry->name, path, err);
    return status == TARS_OK
               ? files_write(path, memory, text.length, 0600, PLATFORM_COMMIT_REPLACE, err)
               : status;
}

tars_status modules_record_remove(const char *home, const char *name, tars_error *err) {
    char path[STORE_PATH_BYTES];
    tars_status status = record_path(home, name, path, err);
    return status == TARS_OK ? files_remove(path, err) : status;
}

/* False: it is no record that this version wrote. */
static bool record_parse(const char *bytes, size_t length, module_entry *out) {
    _Alignas(max_align_t) uint8_t memory[4 * RECORD_MAX_BYTES];
    arena a;
    arena_init(&a, memory, sizeof memory);
    json_value *root = NULL;
    if (json_parse(bytes, length, NULL, &a, &root, NULL) != TARS_OK ||
        json_integer_or(json_member(root, "version"), 0) != RECORD_VERSION) {
        return false;
    }
    const char *digest = json_string_or(json_member(root, "sha256"), "");
    const char *reason = json_string_or(json_member(root, "error"), "");
    int64_t size = json_integer_or(json_member(root, "bytes"), -1);
    if (!hex_is_sha256(digest) || size < 0) {
        return false;
    }
    memcpy(out->sha256, digest, SHA256_HEX_BYTES);
    snprintf(out->reason, sizeof out->reason, "%s", reason);
    out->bytes = (uint64_t)size;
    out->loaded_unix_s = json_integer_or(json_member(root, "loaded_unix_s"), 0);
    out->state = reason[0] != '\0' ? MODULE_ERROR : MODULE_LOADED;
    return true;
}

/* A record that cannot be read is an entry in error. */
static void record_read(const char *path, const char *name, module_entry *out) {
    char *bytes = NULL;
    size_t length = 0;
    tars_error why = {0};
    *out = (module_entry){.state = MODULE_ERROR};
    snprintf(out->name, sizeof out->name, "%s", name);
    tars_status status = files_read_secret(path, RECORD_MAX_BYTES, &bytes, &length, &why);
    if (status != TARS_OK) {
        snprintf(out->reason, sizeof out->reason, "its record cannot be read: %.200s", why.message);
    } else if (!record_parse(bytes, length, out)) {
        out->state = MODULE_ERROR;
        snprintf(out->reason, sizeof out->reason, "its record is damaged");
    }
    free(bytes);
}

tars_status modules_record_find(const char *home, const char *name, module_entry *out, bool *found,
                                tars_error *err) {
    char path[STORE_PATH_BYTES];
    tars_status status = record_path(home, name, path, err);
    *found = status == TARS_OK && files_exists(path);
    if (*found) {
        record_read(path, name, out);
    }
    return status;
}

/* A list that grows while a folder is read. */
typedef struct growing {
    const char *home;
    const char *folder;
    void *items;
    size_t count, capacity, item_bytes;
    tars_status status;
    tars_error *err;
} growing;

static void *grow(growing *list) {
    if (list->count == MODULES_MAX_NAMES) {
        list->status = error_set(list->err, TARS_LIMIT, "more than %d modules have names",
                                 (int)MODULES_MAX_NAMES);
        return NULL;
    }
    if (list->count == list->capacity) {
        size_t capacity = list->capacity * 2;
        void *items = realloc(list->items, capacity * list->item_bytes);
        if (!items) {
            list->status =
                error_set(list->err, TARS_OUT_OF_MEMORY, "no memory for %zu modules", capacity);
            return NULL;
        }
        list->items = items;
        list->capacity = capacity;
    }
    return (uint8_t *)list->items + list->count++ * list->item_bytes;
}

static bool take_record(void *user, const char *file_name, platform_kind kind) {
    static const char ending[] = ".json";
    growing *list = user;
    char name[STORE_NAME_BYTES];
    char path[STORE_PATH_BYTES];
    size_t length = strlen(file_name);
    if (kind != PLATFORM_KIND_FILE || length < sizeof ending ||
        length - sizeof ending + 1 >= sizeof name ||
        strcmp(file_name + length - (sizeof ending - 1), ending) != 0) {
        return true;
    }
    snprintf(name, sizeof name, "%.*s", (int)(length - sizeof ending + 1), file_name);
    if (!store_name_valid(name) || record_path(list->home, name, path, NULL) != TARS_OK) {
        return true;
    }
    module_entry *entry = grow(list);
    if (entry) {
        record_read(path, name, entry);
    }
    return entry != NULL;
}

static int by_name(const void *a, const void *b) {
    return strcmp(((const module_entry *)a)->name, ((const module_entry *)b)->name);
}

tars_status modules_records(const char *home, size_t spare, module_entry **entries, size_t *count,
                            tars_error *err) {
    char folder[STORE_PATH_BYTES];
    *entries = NULL;
    *count = 0;
    growing list = {
        .home = home, .capacity = 16 + spare, .item_bytes = sizeof(module_entry), .err = err};
    list.items = malloc(list.capacity * list.item_bytes);
    if (!list.items) {
        return error_set(err, TARS_OUT_OF_MEMORY, "no memory for the list of modules");
    }
    tars_status status = modules_path(home, "names", folder, err);
    if (status == TARS_OK && files_exists(folder)) {
        status = platform_list_folder(folder, take_record, &list, err);
    }
    status = status == TARS_OK ? list.status : status;
    if (status == TARS_OK && list.capacity - list.count < spare) {
        void *items = realloc(list.items, (list.count + spare) * list.item_bytes);
        status = items ? TARS_OK
                       : error_set(err, TARS_OUT_OF_MEMORY, "no memory for the list of modules");
        list.items = items ? items : list.items;
    }
    if (status != TARS_OK) {
        free(list.items);
        return status;
    }
    qsort(list.items, list.count, sizeof(module_entry), by_name);
    *entries = list.items;
    *count = list.count;
    return TARS_OK;
}

/* ---- who is busy ----------------------------------------------------------------------- */

tars_status modules_busy_take(const char *home, const char *file_name, uint32_t wait_ms, char *path,
                              platform_lock *out, tars_error *err) {
    char relative[STORE_NAME_BYTES + 128];
    snprintf(relative, sizeof relative, "busy/%s", file_name);
    tars_status status = modules_path(home, relative, path, err);
    return status == TARS_OK ? files_lock(path, wait_ms, NULL, NULL, out, err) : status;
}

void modules_busy_release(const char *path, platform_lock *lock) {
    if (lock->handle != PLATFORM_NO_HANDLE) {
        (void)files_remove(path, NULL); /* before it falls: nobody else may have it then */
        platform_lock_release(lock);
    }
}

/* "load@DIGEST@NAME" or "run@DIGEST@…". */
static bool busy_parse(const char *file_name, modules_busy *out) {
    static const char *const kinds[] = {"load@", "run@"};
    *out = (modules_busy){0};
    for (size_t i = 0; i < 2; i++) {
        size_t n = strlen(kinds[i]);
        if (strncmp(file_name, kinds[i], n) == 0 && strlen(file_name) > n + 65) {
            memcpy(out->sha256, file_name + n, SHA256_HEX_BYTES - 1);
            if (i == 0) {
                snprintf(out->name, sizeof out->name, "%s", file_name + n + 65);
            }
            return hex_is_sha256(out->sha256) && (i == 1 || store_name_valid(out->name));
        }
    }
    return false;
}

static bool take_busy(void *user, const char *file_name, platform_kind kind) {
    growing *list = user;
    modules_busy busy;
    char path[STORE_PATH_BYTES];
    platform_lock lock;
    tars_error why = {0};
    if (kind != PLATFORM_KIND_FILE || !busy_parse(file_name, &busy) ||
        files_join(path, sizeof path, list->folder, file_name, NULL) != TARS_OK) {
        return true;
    }
    tars_status status = platform_lock_take(path, PROBE_WAIT_NS, &lock, &why);
    if (status == TARS_OK) { /* of a process that is no more */
        modules_busy_release(path, &lock);
    }
    if (status != TARS_CONFLICT) {
        return true;
    }
    snprintf(busy.holder, sizeof busy.holder, "%.60s", why.message);
    modules_busy *item = grow(list);
    if (item) {
        *item = busy;
    }
    return item != NULL;
}

tars_status modules_busy_list(const char *home, modules_busy **out, size_t *count,
                              tars_error *err) {
    char folder[STORE_PATH_BYTES];
    *out = NULL;
    *count = 0;
    growing list = {.home = home,
                    .folder = folder,
                    .capacity = 16,
                    .item_bytes = sizeof(modules_busy),
                    .err = err};
    list.items = malloc(list.capacity * list.item_bytes);
    if (!list.items) {
        return error_set(err, TARS_OUT_OF_MEMORY, "no memory for the list of modules");
    }
    tars_status status = modules_path(home, "busy", folder, err);
    if (status == TARS_OK && files_exists(folder)) {
        status = platform_list_folder(folder, take_busy, &list, err);
    }
    status = status == TARS_OK ? list.status : status;
    if (status != TARS_OK) {
        free(list.items);
        return status;
    }
    *out = list.items;
    *count = list.count;
    return TARS_OK;
}

/* ---- modules --------------------------------------------------------------------------- */

tars_status modules_read(const char *home, const char *sha256_text, uint8_t **bytes, size_t *length,
                         tars_error *err) {
    char path[STORE_PATH_BYTES];
    char *read = NULL;
    *bytes = NULL;
    tars_status status = modules_digest_path(home, sha256_text, "wasm", path, err);
    if (status == TARS_OK) {
        status = files_read_secret(path, MODULES_MAX_BYTES, &read, length, err);
    }
    if (status == TARS_NOT_FOUND) {
        status = error_set(err, TARS_CORRUPT, "its file is missing");
    } else if (status == TARS_LIMIT) {
        status = error_set(err, TARS_CORRUPT, "its file has another size");
    }
    if (status == TARS_OK) {
        uint8_t digest[SHA256_DIGEST_BYTES];
        char hex[SHA256_HEX_BYTES];
        sha256(read, *length, digest);
        sha256_hex(digest, hex);
        if (strcmp(hex, sha256_text) != 0) {
            status = error_set(err, TARS_CORRUPT, "its file does not have its digest any more");
        }
    }
    if (status != TARS_OK) {
        free(read);
        error_where(err, "%s", path);
        error_hint(err, "load it again from its source: tars wasm load FILE");
        return status;
    }
    *bytes = (uint8_t *)read;
    return TARS_OK;
}

uint64_t modules_runs(const char *home, const char *sha256) {
    char path[STORE_PATH_BYTES];
    platform_kind kind;
    platform_file_info info;
    bool found = modules_digest_path(home, sha256, "runs", path, NULL) == TARS_OK &&
                 platform_path_kind(path, &kind, &info, NULL) == TARS_OK &&
                 kind == PLATFORM_KIND_FILE;
    return found ? info.size_bytes : 0;
}

/* Appending needs no lock and no rewriting; a lost count does not matter. */
static void append_line(const char *home, const char *sha256, const char *ending,
                        const char *line) {
    char path[STORE_PATH_BYTES];
    platform_file file;
    if (modules_digest_path(home, sha256, ending, path, NULL) == TARS_OK &&
        platform_file_open_append(path, 0600, &file, NULL) == TARS_OK) {
        (void)platform_file_write(&file, line, strlen(line), NULL);
        platform_file_close(&file);
    }
}

void modules_count_run(const char *home, const char *sha256) {
    append_line(home, sha256, "runs", ".");
}

/* Calls visit for each key that is noted; stops when it returns false. */
static void each_key(const char *home, const char *sha256,
                     bool (*visit)(void *user, const uint8_t key[SHA256_DIGEST_BYTES]),
                     void *user) {
    char path[STORE_PATH_BYTES];
    char *bytes = NULL;
    size_t length = 0;
    if (modules_digest_path(home, sha256, "keys", path, NULL) == TARS_OK &&
        files_read_secret(path, KEYS_MAX_BYTES, &bytes, &length, NULL) == TARS_OK) {
        for (size_t i = 0; i + SHA256_HEX_BYTES <= length; i += SHA256_HEX_BYTES) {
            uint8_t key[SHA256_DIGEST_BYTES];
            char hex[SHA256_HEX_BYTES] = "";
            memcpy(hex, bytes + i, SHA256_HEX_BYTES - 1);
            if (hex_decode(hex, key, sizeof key) && !visit(user, key)) {
                break;
            }
        }
    }
    free(bytes);
}

static bool is_other_key(void *user, const uint8_t key[SHA256_DIGEST_BYTES]) {
    const uint8_t **looked_for = user;
    bool same = memcmp(*looked_for, key, SHA256_DIGEST_BYTES) == 0;
    *looked_for = same ? NULL : *looked_for;
    return !same;
}

tars_status modules_note_key(const char *home, const char *sha256,
                             const uint8_t key[SHA256_DIGEST_BYTES], tars_error *err) {
    const uint8_t *looked_for = key;
    char line[SHA256_HEX_BYTES + 1];
    tars_status status = modules_make_folders(home, err);
    if (status != TARS_OK) {
        return status;
    }
    each_key(home, sha256, is_other_key, &looked_for);
    if (looked_for) {
        sha256_hex(key, line);
        line[SHA256_HEX_BYTES - 1] = '\n';
        line[SHA256_HEX_BYTES] = '\0';
        append_line(home, sha256, "keys", line);
    }
    return TARS_OK;
}

static bool remove_artifact(void *user, const uint8_t key[SHA256_DIGEST_BYTES]) {
    (void)artifact_remove(user, key, NULL);
    return true;
}

tars_status modules_remove_files(const char *home, const char *sha256, tars_error *err) {
    static const char *const endings[] = {"wasm", "runs", "keys"};
    char own_home[STORE_PATH_BYTES];
    char path[STORE_PATH_BYTES];
    snprintf(own_home, sizeof own_home, "%s", home);
    each_key(home, sha256, remove_artifact, own_home);
    tars_status status = TARS_OK;
    for (size_t i = 0; i < sizeof endings / sizeof endings[0] && status == TARS_OK; i++) {
        status = modules_digest_path(home, sha256, endings[i], path, err);
        if (status == TARS_OK) {
            status = files_remove(path, err);
        }
    }
    return status;
}

/* ---- sweeping -------------------------------------------------------------------------- */

typedef struct sweeping {
    const char *home;
    const char *folder;
    const module_entry *entries;
    size_t count;
    const modules_busy *busy;
    size_t n_busy;
} sweeping;

static bool has_use(const sweeping *s, const char *sha256) {
    for (size_t i = 0; i < s->count; i++) {
        if (strcmp(s->entries[i].sha256, sha256) == 0 || s->entries[i].sha256[0] == '\0') {
            return true; /* a damaged record may be of any module */
        }
    }
    for (size_t i = 0; i < s->n_busy; i++) {
        if (strcmp(s->busy[i].sha256, sha256) == 0) {
            return true;
        }
    }
    return false;
}

static bool sweep_file(void *user, const char *name, platform_kind kind) {
    const sweeping *s = user;
    char digest[SHA256_HEX_BYTES] = "";
    char path[STORE_PATH_BYTES];
    if (kind != PLATFORM_KIND_FILE) {
        return true;
    }
    snprintf(digest, sizeof digest, "%.64s", name);
    if (hex_is_sha256(digest) && name[64] == '.' && !has_use(s, digest)) {
        (void)modules_remove_files(s->home, digest, NULL);
    } else if (platform_writer_is_leftover(name) &&
               files_join(path, sizeof path, s->folder, name, NULL) == TARS_OK) {
        (void)files_remove(path, NULL);
    }
    return true;
}

tars_status modules_sweep(const char *home, tars_error *err) {
    module_entry *entries = NULL;
    modules_busy *busy = NULL;
    char folder[STORE_PATH_BYTES];
    sweeping s = {.home = home};
    tars_status status = modules_records(home, 0, &entries, &s.count, err);
    if (status == TARS_OK) {
        status = modules_busy_list(home, &busy, &s.n_busy, err);
    }
    s.entries = entries;
    s.busy = busy;
    s.folder = folder;
    static const char *const folders[] = {"", "names"};
    for (size_t i = 0; i < sizeof folders / sizeof folders[0] && status == TARS_OK; i++) {
        status = modules_path(home, folders[i], folder, err);
        if (status == TARS_OK) {
            status = platform_list_folder(folder, sweep_file, &s, err);
        }
    }
    free(entries);
    free(busy);
    return status;
}
