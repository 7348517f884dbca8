/* Small steps over the platform's files that the store takes often. Ownership: what a read returns
 * is freed with free(). */
#ifndef STORE_FILES_H
#define STORE_FILES_H

#include "base/error.h"
#include "base/sha256.h"
#include "platform/platform.h"

#include <tars/model.h>

/* "folder/name" into out; LIMIT when it does not fit. */
tars_status files_join(char *out, size_t size_bytes, const char *folder, const char *name,
                       tars_error *err);
/* A copy of a path; USAGE when it is too long. */
tars_status files_copy_path(char out[PLATFORM_PATH_BYTES], const char *path, tars_error *err);
bool files_exists(const char *path);
/* Writes a file in one step. `flags` of platform_writer_commit: without REPLACE a file that exists
 * is CONFLICT. */
tars_status files_write(const char *path, const void *bytes, size_t length, uint32_t mode,
                        unsigned flags, tars_error *err);
/* Removes a file; fine when it is missing. */
tars_status files_remove(const char *path, tars_error *err);
/* Empties and removes a folder that the store made: at most a few levels, links are not followed.
 */
tars_status files_remove_tree(const char *path, tars_error *err);
/* Renames within one file system, and brings the target's folder to the disk. */
tars_status files_move(const char *from, const char *to, tars_error *err);
/* Reads a secret: DENIED unless it is a plain file that only its owner may use. */
tars_status files_read_secret(const char *path, size_t max_bytes, char **out, size_t *length,
                              tars_error *err);
/* SHA-256 of the first size_bytes of a file. `progress` may be NULL. */
tars_status files_digest(const platform_file *file, uint64_t size_bytes, tars_progress progress,
                         void *user, const char *step, uint8_t digest[SHA256_DIGEST_BYTES],
                         tars_error *err);
/* Takes a lock, waiting at most wait_ms; `progress` (may be NULL) is asked several times a second
 * whether to go on. CONFLICT when the time is over. */
tars_status files_lock(const char *path, uint32_t wait_ms, tars_progress progress, void *user,
                       platform_lock *out, tars_error *err);

#endif
