#include "store/files.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { READ_BYTES = 1 << 20, LOCK_SLICE_MS = 100, MAX_TREE_DEPTH = 4 };

tars_status files_join(char *out, size_t size_bytes, const char *folder, const char *name,
                       tars_error *err) {
    int length = snprintf(out, size_bytes, "%s/%s", folder, name);
    if (length < 0 || (size_t)length >= size_bytes) {
        return error_set(err, TARS_LIMIT, "the path %s/%s is too long", folder, name);
    }
    return TARS_OK;
}

tars_status files_copy_path(char out[PLATFORM_PATH_BYTES], const char *path, tars_error *err) {
    size_t length = strlen(path);
    if (length >= PLATFORM_PATH_BYTES) {
        return error_set(err, TARS_USAGE, "a path of %zu bytes is too long", length);
    }
    memcpy(out, path, length + 1);
    return TARS_OK;
}

bool files_exists(const char *path) {
    platform_kind kind;
    return platform_path_kind(path, &kind, NULL, NULL) == TARS_OK && kind != PLATFORM_KIND_MISSING;
}

tars_status files_write(const char *path, const void *bytes, size_t length, uint32_t mode,
                        unsigned flags, tars_error *err) {
    platform_writer *writer = malloc(sizeof *writer);
    if (!writer) {
        return error_set(err, TARS_OUT_OF_MEMORY, "no memory to write %s", path);
    }
    tars_status status = platform_writer_open(path, mode, writer, err);
    if (status == TARS_OK) {
        status = platform_writer_write(writer, bytes, length, err);
        if (status == TARS_OK) {
            status = platform_writer_commit(writer, flags, err);
        } else {
            platform_writer_abandon(writer);
        }
    }
    free(writer);
    return status;
}

tars_status files_remove(const char *path, tars_error *err) {
    tars_error own;
    tars_error *used = err ? err : &own;
    tars_status status = platform_remove(path, used);
    if (status == TARS_NOT_FOUND) {
        error_clear(used);
        return TARS_OK;
    }
    return status;
}

/* The folder whose entries are being removed. */
typedef struct tree_walk {
    const char *folder;
    int depth;
    tars_status status;
    tars_error *err;
} tree_walk;

static tars_status remove_tree(const char *path, int depth, tars_error *err);

static bool remove_entry(void *user, const char *name, platform_kind kind) {
    tree_walk *walk = user;
    char path[PLATFORM_PATH_BYTES];
    walk->status = files_join(path, sizeof path, walk->folder, name, walk->err);
    if (walk->status == TARS_OK) {
        walk->status = kind == PLATFORM_KIND_FOLDER ? remove_tree(path, walk->depth + 1, walk->err)
                                                    : files_remove(path, walk->err);
    }
    return walk->status == TARS_OK;
}

static tars_status remove_tree(const char *path, int depth, tars_error *err) {
    if (depth > MAX_TREE_DEPTH) {
        return error_set(err, TARS_LIMIT, "%s is nested too deeply to be removed", path);
    }
    tree_walk walk = {.folder = path, .depth = depth, .status = TARS_OK, .err = err};
    tars_status status = platform_list_folder(path, remove_entry, &walk, err);
    status = status == TARS_OK ? walk.status : status;
    return status == TARS_OK ? files_remove(path, err) : status;
}

tars_status files_remove_tree(const char *path, tars_error *err) {
    return files_exists(path) ? remove_tree(path, 0, err) : TARS_OK;
}

tars_status files_move(const char *from, const char *to, tars_error *err) {
    tars_status status = platform_rename(from, to, err);
    const char *slash = strrchr(to, '/');
    if (status != TARS_OK || !slash) {
        return status;
    }
    /* committing any file brings its folder to the disk, and the new name with it */
    char marker[PLATFORM_PATH_BYTES];
    int length = snprintf(marker, sizeof marker, "%.*s/.synced", (int)(slash - to), to);
    if (length < 0 || (size_t)length >= sizeof marker) {
        return error_set(err, TARS_LIMIT, "the path %s is too long", to);
    }
    return files_write(marker, "", 0, 0600, PLATFORM_COMMIT_REPLACE, err);
}

static tars_status refuse_secret(const char *path, tars_error *err) {
    error_where(err, "%s", path);
    error_hint(err, "chmod 600 it if you trust what it holds, else move it away");
    return TARS_DENIED;
}

static tars_status check_secret(const platform_file_info *info, const char *path, tars_error *err) {
    if ((info->mode & 077u) != 0) {
        error_set(err, TARS_DENIED, "others than its owner may use this secret (mode %u%u%u)",
                  info->mode >> 6 & 7u, info->mode >> 3 & 7u, info->mode & 7u);
        return refuse_secret(path, err);
    }
    if (info->owner != platform_user_id()) { /* whoever owns it may change it at any time */
        error_set(err, TARS_DENIED, "this secret belongs to user %u, not to user %u", info->owner,
                  platform_user_id());
        return refuse_secret(path, err);
    }
    return TARS_OK;
}

static tars_status read_secret(const platform_file *file, const platform_file_info *info,
                               size_t max_bytes, char **out, size_t *length, tars_error *err) {
    if (info->size_bytes > max_bytes) {
        return error_set(err, TARS_LIMIT, "a secret of %llu bytes; %zu are possible",
                         (unsigned long long)info->size_bytes, max_bytes);
    }
    size_t n = (size_t)info->size_bytes;
    char *bytes = malloc(n + 1);
    if (!bytes) {
        return error_set(err, TARS_OUT_OF_MEMORY, "no memory for a secret of %zu bytes", n);
    }
    tars_status status = platform_file_read_at(file, 0, bytes, n, err);
    if (status != TARS_OK) {
        free(bytes);
        return status;
    }
    bytes[n] = '\0';
    *out = bytes;
    *length = n;
    return TARS_OK;
}

tars_status files_read_secret(const char *path, size_t max_bytes, char **out, size_t *length,
                              tars_error *err) {
    platform_kind kind;
    platform_file_info info;
    platform_file file;
    tars_status status = platform_path_kind(path, &kind, &info, err);
    if (status != TARS_OK) {
        return status;
    }
    if (kind == PLATFORM_KIND_MISSING) {
        return error_set(err, TARS_NOT_FOUND, "no such file: %s", path);
    }
    if (kind != PLATFORM_KIND_FILE) {
        error_set(err, TARS_DENIED, "a secret must be a plain file, this is none");
        return refuse_secret(path, err);
    }
    status = platform_file_open(path, &file, err);
    if (status != TARS_OK) {
        return status;
    }
    /* of what was opened: the path may name another file by now */
    status = platform_file_get_info(&file, &info, err);
    if (status == TARS_OK) {
        status = check_secret(&info, path, err);
    }
    if (status == TARS_OK) {
        status = read_secret(&file, &info, max_bytes, out, length, err);
    }
    platform_file_close(&file);
    return status;
}

tars_status files_digest(const platform_file *file, uint64_t size_bytes, tars_progress progress,
                         void *user, const char *step, uint8_t digest[SHA256_DIGEST_BYTES],
                         tars_error *err) {
    uint8_t *buffer = malloc(READ_BYTES);
    if (!buffer) {
        return error_set(err, TARS_OUT_OF_MEMORY, "no memory to read %s", file->name);
    }
    sha256_context context;
    sha256_init(&context);
    tars_status status = TARS_OK;
    for (uint64_t done = 0; done < size_bytes && status == TARS_OK;) {
        size_t part = size_bytes - done < READ_BYTES ? (size_t)(size_bytes - done) : READ_BYTES;
        status = platform_file_read_at(file, done, buffer, part, err);
        if (status == TARS_OK) {
            sha256_update(&context, buffer, part);
            done += part;
            if (progress && !progress(user, step, done, size_bytes)) {
                status = error_set(err, TARS_CANCELLED, "cancelled while reading %s", file->name);
            }
        }
    }
    free(buffer);
    sha256_final(&context, digest);
    return status;
}

tars_status files_lock(const char *path, uint32_t wait_ms, tars_progress progress, void *user,
                       platform_lock *out, tars_error *err) {
    for (uint32_t waited_ms = 0;; waited_ms += LOCK_SLICE_MS) {
        uint32_t left_ms = wait_ms - waited_ms;
        uint32_t slice_ms = left_ms < LOCK_SLICE_MS ? left_ms : LOCK_SLICE_MS;
        tars_status status = platform_lock_take(path, (uint64_t)slice_ms * 1000000u, out, err);
        if (status != TARS_CONFLICT || left_ms <= LOCK_SLICE_MS) {
            return status;
        }
        if (progress && !progress(user, "wait", waited_ms, wait_ms)) {
            return error_set(err, TARS_CANCELLED, "cancelled while another process was at work");
        }
    }
}
