/* Results of costly work that is kept for the next process, such as compiled modules, which are
 * executed as they are read. So each is written for its owner alone and signed with the machine's
 * key, and nothing that was changed since is handed out. Kept in HOME/cache.
 *
 * Ownership: what a load returns is freed with free(). Any thread. */
#ifndef STORE_ARTIFACTS_H
#define STORE_ARTIFACTS_H

#include "base/error.h"
#include "base/sha256.h"

#include <stddef.h>

enum { ARTIFACT_MAX_BYTES = 256 << 20, ARTIFACT_MAX_FILES = 1000 };
/* Of a folder; what was written longest ago goes first. */
#define ARTIFACT_TOTAL_BYTES ((uint64_t)1 << 30)

/* `key` is the digest of everything that the artifact depends on. */
tars_status artifact_save(const char *home, const uint8_t key[SHA256_DIGEST_BYTES],
                          const void *bytes, size_t length, tars_error *err);
/* NOT_FOUND: there is none. DENIED: others may write or read it. CORRUPT or MISMATCH: it was
 * damaged or is not signed by this machine's key for this `key`. */
tars_status artifact_load(const char *home, const uint8_t key[SHA256_DIGEST_BYTES], uint8_t **bytes,
                          size_t *length, tars_error *err);
/* The same in another folder than HOME/cache; NULL: in that one. The key is HOME's all the same. */
tars_status artifact_save_in(const char *home, const char *folder,
                             const uint8_t key[SHA256_DIGEST_BYTES], const void *bytes,
                             size_t length, tars_error *err);
tars_status artifact_load_from(const char *home, const char *folder,
                               const uint8_t key[SHA256_DIGEST_BYTES], uint8_t **bytes,
                               size_t *length, tars_error *err);
/* Fine when there is none. */
tars_status artifact_remove(const char *home, const uint8_t key[SHA256_DIGEST_BYTES],
                            tars_error *err);

#endif
