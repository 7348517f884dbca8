#include "store/artifact_room.h"

#include "base/sha256.h"
#include "platform/platform.h"
#include "store/files.h"

#include <stdlib.h>
#include <string.h>

enum { PATH_BYTES = 4096, NAME_LENGTH = SHA256_HEX_BYTES - 1 };

typedef struct kept_file {
    char name[SHA256_HEX_BYTES];
    uint64_t size_bytes;
    int64_t written_ns;
} kept_file;

typedef struct kept_files {
    const char *folder;
    kept_file *rows;
    size_t count, capacity;
} kept_files;

static bool is_artifact(const char *name) {
    return strlen(name) == NAME_LENGTH && strspn(name, "0123456789abcdef") == NAME_LENGTH;
}

static bool add(void *user, const char *name, platform_kind kind) {
    kept_files *files = user;
    char path[PATH_BYTES];
    platform_file_info info;
    if (kind != PLATFORM_KIND_FILE || !is_artifact(name) ||
        files_join(path, sizeof path, files->folder, name, NULL) != TARS_OK ||
        platform_path_kind(path, &kind, &info, NULL) != TARS_OK || kind != PLATFORM_KIND_FILE) {
        return true;
    }
    if (files->count == files->capacity) {
        size_t capacity = files->capacity * 2 + 64;
        kept_file *grown = realloc(files->rows, capacity * sizeof *grown);
        if (!grown) {
            return false;
        }
        files->rows = grown;
        files->capacity = capacity;
    }
    kept_file *row = &files->rows[files->count++];
    memcpy(row->name, name, sizeof row->name);
    row->size_bytes = info.size_bytes;
    row->written_ns = info.mtime_ns;
    return true;
}

static int compare_age(const void *a, const void *b) {
    const kept_file *left = a;
    const kept_file *right = b;
    return (left->written_ns > right->written_ns) - (left->written_ns < right->written_ns);
}

void artifact_room_make(const char *folder, uint64_t max_bytes, uint64_t max_files) {
    kept_files files = {.folder = folder};
    uint64_t bytes = 0;
    (void)platform_list_folder(folder, add, &files, NULL);
    for (size_t i = 0; i < files.count; i++) {
        bytes += files.rows[i].size_bytes;
    }
    if (files.count > 0) {
        qsort(files.rows, files.count, sizeof *files.rows, compare_age);
    }
    uint64_t left = files.count;
    for (size_t i = 0; i < files.count && (bytes > max_bytes || left > max_files); i++) {
        char path[PATH_BYTES];
        if (files_join(path, sizeof path, folder, files.rows[i].name, NULL) == TARS_OK) {
            (void)platform_remove(path, NULL);
        }
        bytes -= files.rows[i].size_bytes;
        left--;
    }
    free(files.rows);
}
