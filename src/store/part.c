#include "store/part.h"

#include "store/files.h"
#include "store/hex.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { KEY_BYTES = 16 /* of the URL's digest */ };
#define SPACE_RESERVE_BYTES (UINT64_C(16) << 20)

struct part_file {
    char path[PLATFORM_PATH_BYTES];
    char tag_path[PLATFORM_PATH_BYTES];
    char lock_path[PLATFORM_PATH_BYTES];
    char folder[PLATFORM_PATH_BYTES];
    char tag[PART_TAG_BYTES];
    uint64_t length;
    platform_file file;
    platform_lock lock;
    bool is_open;
};

static tars_status set_paths(part_file *part, const char *folder, const char *url,
                             tars_error *err) {
    uint8_t digest[SHA256_DIGEST_BYTES];
    char key[2 * KEY_BYTES + 1];
    char name[2 * KEY_BYTES + 8];
    sha256(url, strlen(url), digest);
    hex_encode(digest, KEY_BYTES, key);
    snprintf(part->folder, sizeof part->folder, "%s", folder);
    snprintf(name, sizeof name, "%s.part", key);
    tars_status status = files_join(part->path, sizeof part->path, folder, name, err);
    snprintf(name, sizeof name, "%s.tag", key);
    if (status == TARS_OK) {
        status = files_join(part->tag_path, sizeof part->tag_path, folder, name, err);
    }
    snprintf(name, sizeof name, "%s.lock", key);
    return status == TARS_OK
               ? files_join(part->lock_path, sizeof part->lock_path, folder, name, err)
               : status;
}

/* A strong entity tag (RFC 9110 § 8.8.3): quoted, printable, nothing that could break a header. */
static bool is_strong_tag(const char *tag) {
    size_t length = strlen(tag);
    if (length < 2 || length >= PART_TAG_BYTES || tag[0] != '"' || tag[length - 1] != '"') {
        return false;
    }
    for (size_t i = 1; i + 1 < length; i++) {
        if (tag[i] == '"' || (unsigned char)tag[i] <= ' ' || tag[i] == 0x7f) {
            return false;
        }
    }
    return true;
}

static void read_tag(part_file *part) {
    char *text;
    size_t length;
    if (platform_file_read_all(part->tag_path, PART_TAG_BYTES, &text, &length, NULL) == TARS_OK) {
        if (strlen(text) == length && is_strong_tag(text)) {
            memcpy(part->tag, text, length + 1);
        }
        free(text);
    }
}

static tars_status open_part(part_file *part, tars_error *err) {
    tars_status status = platform_file_open_append(part->path, 0600, &part->file, err);
    if (status != TARS_OK) {
        return status;
    }
    part->is_open = true;
    platform_file_info info;
    status = platform_file_get_info(&part->file, &info, err);
    if (status == TARS_OK) {
        part->length = info.size_bytes;
        read_tag(part);
        if (part->length > 0 && part->tag[0] == '\0') {
            status = part_restart(part, NULL, err);
        }
    }
    return status;
}

tars_status part_open(const char *folder, const char *url, part_file **out, tars_error *err) {
    *out = NULL;
    part_file *part = calloc(1, sizeof *part);
    if (!part) {
        return error_set(err, TARS_OUT_OF_MEMORY, "no memory for a download");
    }
    tars_status status = set_paths(part, folder, url, err);
    if (status == TARS_OK) {
        status = platform_lock_take(part->lock_path, 0, &part->lock, err);
    }
    if (status != TARS_OK) {
        free(part);
        return status;
    }
    status = open_part(part, err);
    if (status != TARS_OK) {
        part_close(part, true);
        return status;
    }
    *out = part;
    return TARS_OK;
}

void part_close(part_file *part, bool keep) {
    if (!part) {
        return;
    }
    if (part->is_open) {
        platform_file_close(&part->file);
        if (!keep || part->length == 0) {
            part_discard(part->path);
        }
    }
    (void)files_remove(part->lock_path, NULL);
    platform_lock_release(&part->lock);
    free(part);
}

uint64_t part_length(const part_file *part) {
    return part->length;
}
const char *part_tag(const part_file *part) {
    return part->tag;
}

tars_status part_restart(part_file *part, const char *tag, tars_error *err) {
    tars_status status = platform_file_truncate(&part->file, 0, err);
    if (status != TARS_OK) {
        return status;
    }
    part->length = 0;
    part->tag[0] = '\0';
    if (!tag || !is_strong_tag(tag)) {
        return files_remove(part->tag_path, err);
    }
    memcpy(part->tag, tag, strlen(tag) + 1);
    return files_write(part->tag_path, tag, strlen(tag), 0600, PLATFORM_COMMIT_REPLACE, err);
}

tars_status part_reserve(part_file *part, uint64_t more_bytes, tars_error *err) {
    uint64_t free_bytes = 0;
    tars_status status = platform_disk_free(part->folder, &free_bytes, err);
    if (status == TARS_OK &&
        (free_bytes < SPACE_RESERVE_BYTES || more_bytes > free_bytes - SPACE_RESERVE_BYTES)) {
        error_set(err, TARS_DISK_FULL, "the download needs %llu MiB more, %llu MiB are free",
                  (unsigned long long)(more_bytes >> 20), (unsigned long long)(free_bytes >> 20));
        error_where(err, "%s", part->folder);
        error_hint(err, "free some space, or name a store on another disk with TARS_HOME");
        return TARS_DISK_FULL;
    }
    return status;
}

tars_status part_append(part_file *part, const void *bytes, size_t length, tars_error *err) {
    tars_status status = platform_file_write(&part->file, bytes, length, err);
    if (status == TARS_OK) {
        part->length += length;
    }
    return status;
}

tars_status part_finish(part_file *part, char *path, size_t path_bytes, tars_error *err) {
    tars_status status = platform_file_sync(&part->file, err);
    int length = snprintf(path, path_bytes, "%s", part->path);
    if (status == TARS_OK && (length < 0 || (size_t)length >= path_bytes)) {
        status = error_set(err, TARS_LIMIT, "the path of the download is too long");
    }
    return status;
}

void part_discard(const char *path) {
    char tag_path[PLATFORM_PATH_BYTES];
    size_t length = strlen(path);
    (void)files_remove(path, NULL);
    if (length > 5 && length < sizeof tag_path && strcmp(path + length - 5, ".part") == 0) {
        snprintf(tag_path, sizeof tag_path, "%.*s.tag", (int)(length - 5), path);
        (void)files_remove(tag_path, NULL);
    }
}
