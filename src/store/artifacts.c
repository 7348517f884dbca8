#include "store/artifacts.h"

#include "store/artifact_room.h"
#include "store/files.h"
#include "store/keys.h"

#include <stdlib.h>
#include <string.h>

enum { ARTIFACT_VERSION = 1, PATH_BYTES = 4096 };

/* The file's beginning; the bytes follow. */
typedef struct artifact_header {
    char magic[8]; /* "TARSARTF" */
    uint32_t version;
    uint32_t reserved;
    uint64_t length;
    uint8_t key[SHA256_DIGEST_BYTES];
    uint8_t sha256[SHA256_DIGEST_BYTES];     /* of the bytes */
    uint8_t signature[KEYS_SIGNATURE_BYTES]; /* over all of the header before it */
} artifact_header;

static const char magic[8] = "TARSARTF";

/* Where an artifact lies: in `other`, or when that is NULL in HOME/cache. */
static tars_status path_of(const char *home, const char *other,
                           const uint8_t key[SHA256_DIGEST_BYTES], char folder[PATH_BYTES],
                           char path[PATH_BYTES], tars_error *err) {
    char name[SHA256_HEX_BYTES];
    sha256_hex(key, name);
    tars_status status = other ? files_join(folder, PATH_BYTES, other, "", err)
                               : files_join(folder, PATH_BYTES, home, "cache", err);
    return status == TARS_OK ? files_join(path, PATH_BYTES, folder, name, err) : status;
}

tars_status artifact_save_in(const char *home, const char *folder,
                             const uint8_t key[SHA256_DIGEST_BYTES], const void *bytes,
                             size_t length, tars_error *err) {
    char place[PATH_BYTES];
    char path[PATH_BYTES];
    keys *signer = NULL;
    if (length > ARTIFACT_MAX_BYTES) {
        return error_set(err, TARS_LIMIT, "an artifact of %zu bytes; %u are possible", length,
                         (unsigned)ARTIFACT_MAX_BYTES);
    }
    uint8_t *whole = malloc(sizeof(artifact_header) + length);
    if (!whole) {
        return error_set(err, TARS_OUT_OF_MEMORY, "no memory for an artifact of %zu bytes", length);
    }
    artifact_header header = {.version = ARTIFACT_VERSION, .length = length};
    memcpy(header.magic, magic, sizeof magic);
    memcpy(header.key, key, sizeof header.key);
    sha256(bytes, length, header.sha256);
    tars_status status = path_of(home, folder, key, place, path, err);
    if (status == TARS_OK) {
        status = platform_make_folders(place, err);
    }
    if (status == TARS_OK) {
        status = keys_open(home, &signer, err);
    }
    if (status == TARS_OK) {
        status =
            keys_sign(signer, &header, offsetof(artifact_header, signature), header.signature, err);
    }
    if (status == TARS_OK) {
        memcpy(whole, &header, sizeof header);
        memcpy(whole + sizeof header, bytes, length);
        status =
            files_write(path, whole, sizeof header + length, 0600, PLATFORM_COMMIT_REPLACE, err);
    }
    if (status == TARS_OK) {
        artifact_room_make(place, ARTIFACT_TOTAL_BYTES, ARTIFACT_MAX_FILES);
    }
    keys_close(signer);
    free(whole);
    return status;
}

static tars_status check(const char *home, const uint8_t key[SHA256_DIGEST_BYTES],
                         const char *whole, size_t length, tars_error *err) {
    artifact_header header;
    if (length < sizeof header) {
        return error_set(err, TARS_CORRUPT, "an artifact of %zu bytes is too short", length);
    }
    memcpy(&header, whole, sizeof header);
    uint8_t digest[SHA256_DIGEST_BYTES];
    sha256(whole + sizeof header, length - sizeof header, digest);
    if (memcmp(header.magic, magic, sizeof magic) != 0 || header.version != ARTIFACT_VERSION ||
        header.length != length - sizeof header ||
        memcmp(header.key, key, sizeof header.key) != 0 ||
        memcmp(header.sha256, digest, sizeof digest) != 0) {
        return error_set(err, TARS_CORRUPT, "the artifact is not what it says it is");
    }
    keys *own = NULL;
    tars_status status = keys_open(home, &own, err);
    if (status == TARS_OK) {
        status = keys_verify(keys_public(own), &header, offsetof(artifact_header, signature),
                             header.signature, err);
    }
    keys_close(own);
    return status;
}

tars_status artifact_load_from(const char *home, const char *folder,
                               const uint8_t key[SHA256_DIGEST_BYTES], uint8_t **bytes,
                               size_t *length, tars_error *err) {
    char place[PATH_BYTES];
    char path[PATH_BYTES];
    char *whole = NULL;
    size_t n = 0;
    *bytes = NULL;
    tars_status status = path_of(home, folder, key, place, path, err);
    if (status == TARS_OK && !files_exists(path)) {
        status = error_set(err, TARS_NOT_FOUND, "there is no such artifact");
    }
    if (status == TARS_OK) {
        status =
            files_read_secret(path, sizeof(artifact_header) + ARTIFACT_MAX_BYTES, &whole, &n, err);
    }
    if (status == TARS_OK) {
        status = check(home, key, whole, n, err);
    }
    if (status == TARS_OK) {
        *length = n - sizeof(artifact_header);
        memmove(whole, whole + sizeof(artifact_header), *length);
        *bytes = (uint8_t *)whole;
        return TARS_OK;
    }
    free(whole);
    return status;
}

tars_status artifact_save(const char *home, const uint8_t key[SHA256_DIGEST_BYTES],
                          const void *bytes, size_t length, tars_error *err) {
    return artifact_save_in(home, NULL, key, bytes, length, err);
}

tars_status artifact_load(const char *home, const uint8_t key[SHA256_DIGEST_BYTES], uint8_t **bytes,
                          size_t *length, tars_error *err) {
    return artifact_load_from(home, NULL, key, bytes, length, err);
}

tars_status artifact_remove(const char *home, const uint8_t key[SHA256_DIGEST_BYTES],
                            tars_error *err) {
    char folder[PATH_BYTES];
    char path[PATH_BYTES];
    tars_status status = path_of(home, NULL, key, folder, path, err);
    return status == TARS_OK ? files_remove(path, err) : status;
}
