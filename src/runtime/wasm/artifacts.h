/* Where compiled code is kept between processes, handed in by who has a store. Ownership: the
 * caller's plain memory. */
#ifndef RUNTIME_WASM_ARTIFACTS_H
#define RUNTIME_WASM_ARTIFACTS_H

#include "base/sha256.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Code that was kept is executed: `load` must hand out only what `save` was given. */
typedef struct wasm_artifacts {
    void *user;
    /* False: there is none. *bytes is freed with free(). */
    bool (*load)(void *user, const uint8_t key[SHA256_DIGEST_BYTES], uint8_t **bytes,
                 size_t *length);
    void (*save)(void *user, const uint8_t key[SHA256_DIGEST_BYTES], const void *bytes,
                 size_t length);
    /* The program tars: strangers' modules are compiled by a process of it that can be killed.
     * NULL: they are compiled by the calling thread. */
    const char *program_path;
} wasm_artifacts;

#endif
