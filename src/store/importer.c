#include "store/importer.h"

#include "store/hex.h"
#include "store/import_child.h"
#include "store/import_guest.h"
#include "store/import_process.h"
#include "store/store_internal.h"

#include "engine/pack.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A packed file is about as large as its source; small models have padding besides. */
#define SPACE_RESERVE_BYTES (UINT64_C(16) << 20)
#define STREAM_RESERVE_BYTES (UINT64_C(256) << 20)
enum { STREAM_FACTOR = 4 };

/* Where a model comes from: one GGUF file, or the files of a folder in the order of `roles`. */
typedef struct import_source {
    const char *path;
    bool is_folder;
    size_t count;
    platform_file files[IMPORT_ROLE_COUNT];
    const char *form;                         /* the child's mode */
    const char *roles[IMPORT_ROLE_COUNT + 1]; /* its further arguments, NULL at the end */
    uint64_t size_bytes;                      /* of files[0] */
    char sha256[SHA256_HEX_BYTES];            /* of files[0] */
} import_source;

static void close_source(import_source *source) {
    for (size_t i = 0; i < source->count; i++) {
        platform_file_close(&source->files[i]);
    }
    source->count = 0;
}

static tars_status open_folder(import_source *source, tars_error *err) {
    source->form = "safetensors";
    for (size_t i = 0; i < IMPORT_ROLE_COUNT; i++) {
        char path[STORE_PATH_BYTES];
        tars_status status = files_join(path, sizeof path, source->path, import_roles[i].file, err);
        if (status != TARS_OK) {
            return status;
        }
        if (!files_exists(path)) {
            if (import_roles[i].required) {
                error_set(err, TARS_NOT_FOUND, "the folder has no %s", import_roles[i].file);
                error_where(err, "%s", source->path);
                return error_hint(err, "give a GGUF file, or a folder with model.safetensors, "
                                       "config.json and tokenizer.json or vocab.txt");
            }
            continue;
        }
        status = platform_file_open(path, &source->files[source->count], err);
        if (status != TARS_OK) {
            return status;
        }
        source->roles[source->count] = import_roles[i].role;
        source->count++;
    }
    return TARS_OK;
}

static tars_status open_source(const char *path, import_source *source, tars_error *err) {
    *source = (import_source){.path = path, .form = "gguf"};
    platform_kind kind;
    tars_status status = platform_path_kind(path, &kind, NULL, err);
    if (status == TARS_OK) {
        source->is_folder = kind == PLATFORM_KIND_FOLDER;
        if (source->is_folder) {
            status = open_folder(source, err);
        } else {
            status = platform_file_open(path, &source->files[0], err);
            source->count = status == TARS_OK ? 1 : 0;
        }
    }
    platform_file_info info = {0};
    if (status == TARS_OK) {
        status = platform_file_get_info(&source->files[0], &info, err);
    }
    if (status == TARS_OK && info.size_bytes == 0) {
        error_set(err, TARS_MALFORMED, "the file is empty");
        error_where(err, "%s", path);
        status = TARS_MALFORMED;
    }
    source->size_bytes = info.size_bytes;
    if (status != TARS_OK) {
        close_source(source);
    }
    return status;
}

static tars_status digest_source(import_source *source, const importer_options *options,
                                 tars_error *err) {
    uint8_t digest[SHA256_DIGEST_BYTES];
    tars_status status = files_digest(&source->files[0], source->size_bytes, options->progress,
                                      options->user, "digest", digest, err);
    if (status != TARS_OK) {
        return status;
    }
    hex_encode(digest, sizeof digest, source->sha256);
    if (options->sha256 && strcmp(options->sha256, source->sha256) != 0) {
        error_set(err, TARS_MISMATCH, "the file's SHA-256 is %s, expected %s", source->sha256,
                  options->sha256);
        error_where(err, "%s", source->path);
        return error_hint(err, "the file is damaged or another version: fetch it again");
    }
    return TARS_OK;
}

/* Where a foreign file can be read, the strongest first; without a place, in the child itself. */
static const struct {
    const char *name;
    bool gives_way; /* unless it was asked for, to the next one when its guest does not start */
} sandboxes[] = {{"microvm", true}, {"wasm", false}, {"native", false}};
enum { N_SANDBOXES = sizeof sandboxes / sizeof sandboxes[0] };

static tars_status probe_sandbox(size_t index, tars_error *err) {
    const import_place *place = import_place_named(sandboxes[index].name);
    return place ? import_place_probe(place, err) : TARS_OK;
}

/* The first one from `index` on that is there: the last one always is. */
static size_t next_sandbox(size_t index) {
    while (index + 1 < N_SANDBOXES && probe_sandbox(index, NULL) != TARS_OK) {
        index++;
    }
    return index;
}

static bool is_open_wish(const char *sandbox) {
    return !sandbox || strcmp(sandbox, "auto") == 0;
}

static tars_status choose_sandbox(const char *wanted, size_t *out, tars_error *err) {
    *out = 0;
    if (is_open_wish(wanted)) {
        *out = next_sandbox(0);
        return TARS_OK;
    }
    while (*out < N_SANDBOXES && strcmp(wanted, sandboxes[*out].name) != 0) {
        ++*out;
    }
    if (*out == N_SANDBOXES) {
        error_set(err, TARS_USAGE, "there is no sandbox named %s", wanted);
        return error_hint(err, "use auto, native, wasm or microvm");
    }
    tars_status status = probe_sandbox(*out, err);
    return status == TARS_OK
               ? status
               : error_hint(err, "leave out --in: the strongest sandbox there is is taken then");
}

/* One import under the lock. */
typedef struct import_work {
    const importer_options *options;
    import_source *source;
    size_t sandbox;  /* of `sandboxes` */
    bool has_packed; /* nothing was there already */
    store *s;
    store_entry entry;
    tars_error *err;
} import_work;

static bool is_current(const store_entry *entry) {
    return entry->pack_version == PACK_VERSION && entry->arithmetic_version == ARITHMETIC_VERSION;
}

/* Looks for work that is done already. *done: the entry is complete. */
static tars_status reuse(import_work *w, bool *done) {
    const importer_options *o = w->options;
    tars_error ignored;
    store_entry old;
    *done = false;
    tars_status status = index_get(w->s->index, w->entry.model.name, &old, &ignored);
    if (status == TARS_OK) {
        bool same = strcmp(old.model.sha256, w->source->sha256) == 0;
        if (!same && !o->replace) {
            error_set(w->err, TARS_CONFLICT, "the name %s holds another model (SHA-256 %.12s…)",
                      old.model.name, old.model.sha256);
            return error_hint(w->err, "choose another with --name, or `tars rm %s` first",
                              old.model.name);
        }
        /* of a folder the weights alone do not say that all its files are the same */
        if (same && !w->source->is_folder && is_current(&old) &&
            store_check_blob(w->s, &old, &ignored) == TARS_OK) {
            w->entry = old;
            *done = true;
            return TARS_OK;
        }
    } else if (status != TARS_NOT_FOUND) {
        return index_get(w->s->index, w->entry.model.name, &old, w->err);
    }
    bool found = false;
    status = index_find_source(w->s->index, w->source->sha256, &old, &found, w->err);
    if (status != TARS_OK || !found || w->source->is_folder || !is_current(&old) ||
        store_check_blob(w->s, &old, &ignored) != TARS_OK) {
        return status;
    }
    memcpy(old.model.name, w->entry.model.name, sizeof old.model.name);
    old.model.imported_unix_s = w->entry.model.imported_unix_s;
    w->entry = old;
    *done = true;
    return store_add_name(w->s, &w->entry, w->err);
}

bool importer_has(const char *home, const char *name, const char *sha256, tars_model_entry *out) {
    store *s;
    store_entry entry;
    char path[STORE_PATH_BYTES];
    tars_error ignored;
    if (store_open(home, STORE_READ, &s, &ignored) != TARS_OK) {
        return false;
    }
    bool has = store_locate(s, name, &entry, path, sizeof path, &ignored) == TARS_OK &&
               strcmp(entry.model.sha256, sha256) == 0 && is_current(&entry);
    store_close(s);
    if (has) {
        *out = entry.model;
    }
    return has;
}

static tars_status check_space(import_work *w) {
    uint64_t free_bytes = 0;
    tars_status status = platform_disk_free(w->s->models, &free_bytes, w->err);
    if (status == TARS_OK && free_bytes < w->source->size_bytes + SPACE_RESERVE_BYTES) {
        error_set(w->err, TARS_DISK_FULL, "packing needs about %llu MiB of disk, %llu MiB are free",
                  (unsigned long long)((w->source->size_bytes + SPACE_RESERVE_BYTES) >> 20),
                  (unsigned long long)(free_bytes >> 20));
        error_where(w->err, "%s", w->s->models);
        error_hint(w->err, "free some space, or name a store on another disk with TARS_HOME");
        return TARS_DISK_FULL;
    }
    return status;
}

/* Runs the child, its stream going to the file `temporary` that is there only when whole. */
static tars_status pack_into(import_work *w, const char *temporary, import_process_result *packed) {
    platform_handle handles[IMPORT_ROLE_COUNT];
    for (size_t i = 0; i < w->source->count; i++) {
        handles[i] = w->source->files[i].handle;
    }
    const char *arguments[IMPORT_ROLE_COUNT + 4] = {sandboxes[w->sandbox].name, w->options->home};
    const char **next = arguments + (import_place_named(arguments[0]) ? 2 : 0);
    *next++ = w->source->form;
    memcpy(next, w->source->roles, sizeof w->source->roles);
    platform_writer *writer = calloc(1, sizeof *writer);
    if (!writer) {
        return error_set(w->err, TARS_OUT_OF_MEMORY, "no memory to write the packed model");
    }
    tars_status status = platform_writer_open(temporary, 0444, writer, w->err);
    if (status == TARS_OK) {
        import_process_options options = {
            .program_path = w->options->program_path,
            .arguments = arguments,
            .sources = handles,
            .n_sources = w->source->count,
            .step = "import",
            .max_stream_bytes = STREAM_FACTOR * w->source->size_bytes + STREAM_RESERVE_BYTES,
            .stall_timeout_ms = w->options->stall_timeout_ms,
            .progress = w->options->progress,
            .user = w->options->user,
            .sink = platform_writer_sink(writer),
        };
        status = import_process_run(&options, packed, w->err);
    }
    if (status == TARS_OK) {
        status = platform_writer_commit(
            writer, PLATFORM_COMMIT_REPLACE | PLATFORM_COMMIT_DROP_CACHE, w->err);
    }
    platform_writer_abandon(writer);
    free(writer);
    return status;
}

/* A child that has seen nothing of the source yet may be believed that it cannot begin. */
static tars_status pack_somewhere(import_work *w, const char *temporary,
                                  import_process_result *packed) {
    for (;;) {
        tars_status status = pack_into(w, temporary, packed);
        bool gives_way = is_open_wish(w->options->sandbox) && sandboxes[w->sandbox].gives_way;
        if (status == TARS_OK || !packed->could_not_begin || !gives_way) {
            return status;
        }
        w->sandbox = next_sandbox(w->sandbox + 1);
        error_clear(w->err);
    }
}

/* The packed file must say of itself what the child said of it, and its digest is ours. */
static tars_status describe_packed(import_work *w, const char *temporary,
                                   const import_process_result *packed) {
    store_entry facts = w->entry;
    tars_status status = store_describe(temporary, &facts, w->err);
    if (status != TARS_OK) {
        return status;
    }
    if (strcmp(facts.model.sha256, packed->source_sha256) != 0 ||
        (!w->source->is_folder && strcmp(facts.model.sha256, w->source->sha256) != 0)) {
        error_set(w->err, TARS_MISMATCH, "the source changed while it was imported");
        error_where(w->err, "%s", w->source->path);
        return error_hint(w->err, "wait until nothing writes it any more, and try again");
    }
    w->entry = facts;
    memcpy(w->entry.model.sha256, w->source->sha256, sizeof w->entry.model.sha256);
    memcpy(w->entry.model.packed_sha256, packed->stream_sha256,
           sizeof w->entry.model.packed_sha256);
    return TARS_OK;
}

static tars_status import_locked(import_work *w) {
    bool done;
    tars_status status = store_sweep(w->s, w->err);
    if (status == TARS_OK) {
        status = reuse(w, &done);
    }
    if (status != TARS_OK || done) {
        return status;
    }
    char temporary[STORE_PATH_BYTES];
    import_process_result packed = {.bytes = 0};
    status = check_space(w);
    if (status == TARS_OK) {
        status = store_path(w->s, "tmp/import.tars", temporary, sizeof temporary, w->err);
    }
    if (status == TARS_OK) {
        status = pack_somewhere(w, temporary, &packed);
    }
    if (status != TARS_OK) {
        return status;
    }
    status = describe_packed(w, temporary, &packed);
    if (status == TARS_OK) {
        status = store_commit(w->s, temporary, &w->entry, w->err);
    }
    w->has_packed = status == TARS_OK;
    if (status != TARS_OK) {
        (void)files_remove(temporary, NULL);
    }
    return status;
}

static tars_status import_source_into(import_source *source, size_t sandbox,
                                      const importer_options *options, store_entry *entry,
                                      tars_error *err) {
    store *s;
    platform_lock lock;
    tars_status status = store_open(options->home, STORE_WRITE, &s, err);
    if (status != TARS_OK) {
        return status;
    }
    uint32_t wait_ms = options->lock_wait_ms != 0 ? options->lock_wait_ms : STORE_LOCK_WAIT_MS;
    status = store_lock(s, wait_ms, options->progress, options->user, &lock, err);
    if (status == TARS_OK) {
        import_work w = {.options = options,
                         .source = source,
                         .sandbox = sandbox,
                         .s = s,
                         .entry = *entry,
                         .err = err};
        status = import_locked(&w);
        *entry = w.entry;
        if (w.has_packed) {
            snprintf(entry->model.sandbox, sizeof entry->model.sandbox, "%s",
                     sandboxes[w.sandbox].name);
        }
        platform_lock_release(&lock);
    }
    store_close(s);
    return status;
}

tars_status importer_run(const char *path, const importer_options *options, tars_model_entry *out,
                         tars_error *err) {
    store_entry entry = {0};
    if (options->name) {
        tars_status named = store_name_check(options->name, err);
        if (named != TARS_OK) {
            return named;
        }
        snprintf(entry.model.name, sizeof entry.model.name, "%s", options->name);
    } else {
        store_name_from_path(path, entry.model.name);
    }
    entry.model.imported_unix_s = platform_wall_clock_ns() / 1000000000;
    import_source source;
    size_t sandbox = 0;
    tars_status status = choose_sandbox(options->sandbox, &sandbox, err);
    if (status == TARS_OK) {
        status = open_source(path, &source, err);
    }
    if (status != TARS_OK) {
        return status;
    }
    status = digest_source(&source, options, err);
    if (status == TARS_OK) {
        status = import_source_into(&source, sandbox, options, &entry, err);
    }
    close_source(&source);
    if (status == TARS_OK && out) {
        *out = entry.model;
    }
    return status;
}
