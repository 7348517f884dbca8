/* The machine's own signing key: Ed25519, made at first use in HOME/keys. The one module that
 * touches secret keys; receipts and the audit log sign through it. Ownership: keys_open allocates,
 * keys_close wipes and frees. A keys object is used by one thread at a time. */
#ifndef STORE_KEYS_H
#define STORE_KEYS_H

#include "base/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    KEYS_PUBLIC_BYTES = 32,
    KEYS_SIGNATURE_BYTES = 64,
    KEYS_ID_BYTES = 17 /* 16 hex digits and a NUL */
};

typedef struct keys keys;

/* Opens the key in HOME/keys/signing.key, or makes it (mode 0600, in place only when it is whole
 * and on the disk). DENIED: the file may be read by others than its owner, or is no plain file;
 * CORRUPT: it is no key. Such a file is never replaced. */
tars_status keys_open(const char *home, keys **out, tars_error *err);
/* The same, but NOT_FOUND when there is none yet. */
tars_status keys_open_existing(const char *home, keys **out, tars_error *err);
void keys_close(keys *k);
/* Whether this keys_open made it. */
bool keys_is_new(const keys *k);

/* First 16 hex digits of the SHA-256 of the public key. Lives as long as `k`. */
const char *keys_id(const keys *k);
const uint8_t *keys_public(const keys *k); /* [KEYS_PUBLIC_BYTES] */
tars_status keys_sign(const keys *k, const void *bytes, size_t length,
                      uint8_t signature[KEYS_SIGNATURE_BYTES], tars_error *err);

/* The public half as PEM text (SubjectPublicKeyInfo), for other programs. */
enum { KEYS_PEM_BYTES = 256 };
tars_status keys_export_public(const keys *k, char pem[KEYS_PEM_BYTES], tars_error *err);

/* The public key of a file that holds it as PEM text. */
tars_status keys_read_public(const char *path, uint8_t public_key[KEYS_PUBLIC_BYTES],
                             tars_error *err);

/* The id that belongs to any public key. */
void keys_id_of(const uint8_t public_key[KEYS_PUBLIC_BYTES], char id[KEYS_ID_BYTES]);
/* MISMATCH when the signature is not that key's over these bytes. */
tars_status keys_verify(const uint8_t public_key[KEYS_PUBLIC_BYTES], const void *bytes,
                        size_t length, const uint8_t signature[KEYS_SIGNATURE_BYTES],
                        tars_error *err);

#endif
