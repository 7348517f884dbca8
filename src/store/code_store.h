/* Compiled code of the runtime wasm, kept in the store. What cannot be read or is not as it was
 * written is compiled anew, which is never wrong.
 *
 * Ownership: the caller's plain memory; `home` and `folder` are borrowed. */
#ifndef STORE_CODE_STORE_H
#define STORE_CODE_STORE_H

#include "base/error.h"
#include "runtime/wasm/artifacts.h"

typedef struct code_store {
    const char *home;
    const char *folder; /* of the code; NULL: the store's own */
    bool is_off;        /* nothing is kept, and nothing that was is taken */
    /* Called before the key signs code; may be NULL. */
    void (*signs)(void *user, const uint8_t key[SHA256_DIGEST_BYTES]);
    void *user;
    bool is_tampered; /* code was met that is not as it had been written */
    char trouble[sizeof(((tars_error *)0)->message)]; /* why code is not kept; "" */
} code_store;

/* Valid as long as the code_store. Makes no store where there is none. */
wasm_artifacts code_store_artifacts(code_store *s);

#endif
