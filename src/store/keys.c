#include "store/keys.h"

#include "base/sha256.h"
#include "store/files.h"
#include "store/hex.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { KEY_FILE_MAX_BYTES = 4096 };

struct keys {
    EVP_PKEY *pair;
    uint8_t public_key[KEYS_PUBLIC_BYTES];
    char id[KEYS_ID_BYTES];
    bool is_new;
};

static tars_status crypto_failed(const char *what, tars_error *err) {
    return error_set(err, TARS_FAILED, "libcrypto cannot %s", what);
}

void keys_id_of(const uint8_t public_key[KEYS_PUBLIC_BYTES], char id[KEYS_ID_BYTES]) {
    uint8_t digest[SHA256_DIGEST_BYTES];
    sha256(public_key, KEYS_PUBLIC_BYTES, digest);
    hex_encode(digest, (KEYS_ID_BYTES - 1) / 2, id);
}

/* Takes over `pair`. */
static tars_status wrap_pair(EVP_PKEY *pair, keys **out, tars_error *err) {
    keys *k = calloc(1, sizeof *k);
    size_t length = KEYS_PUBLIC_BYTES;
    if (!k || EVP_PKEY_get_raw_public_key(pair, k->public_key, &length) != 1 ||
        length != KEYS_PUBLIC_BYTES) {
        free(k);
        EVP_PKEY_free(pair);
        return crypto_failed("read the public half of the signing key", err);
    }
    k->pair = pair;
    keys_id_of(k->public_key, k->id);
    *out = k;
    return TARS_OK;
}

static tars_status damaged(const char *path, tars_error *err) {
    error_set(err, TARS_CORRUPT, "the signing key is damaged: it is no Ed25519 key in PEM form");
    error_where(err, "%s", path);
    error_hint(err, "restore it from a backup, or move it away to get a new key (old receipts "
                    "stay valid)");
    return TARS_CORRUPT;
}

/* No password is ever asked for: an encrypted key counts as damaged. */
static int no_password(char *buffer, int size, int writing, void *user) {
    (void)buffer;
    (void)size;
    (void)writing;
    (void)user;
    return -1;
}

static tars_status load(const char *path, keys **out, tars_error *err) {
    char *text;
    size_t length;
    tars_status status = files_read_secret(path, KEY_FILE_MAX_BYTES, &text, &length, err);
    if (status != TARS_OK) {
        return status;
    }
    BIO *input = BIO_new_mem_buf(text, (int)length);
    EVP_PKEY *pair = input ? PEM_read_bio_PrivateKey(input, NULL, no_password, NULL) : NULL;
    BIO_free(input);
    OPENSSL_cleanse(text, length);
    free(text);
    if (!pair || EVP_PKEY_get_id(pair) != EVP_PKEY_ED25519) {
        EVP_PKEY_free(pair);
        return damaged(path, err);
    }
    return wrap_pair(pair, out, err);
}

static tars_status make(const char *path, tars_error *err) {
    EVP_PKEY *pair = EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");
    BIO *output = BIO_new(BIO_s_secmem());
    tars_status status = TARS_OK;
    if (!pair || !output ||
        PEM_write_bio_PKCS8PrivateKey(output, pair, NULL, NULL, 0, NULL, NULL) != 1) {
        status = crypto_failed("make a signing key", err);
    } else {
        char *text;
        long length = BIO_get_mem_data(output, &text);
        status = files_write(path, text, (size_t)length, 0600, 0, err);
    }
    BIO_free(output);
    EVP_PKEY_free(pair);
    return status;
}

static tars_status path_of(const char *home, char folder[PLATFORM_PATH_BYTES],
                           char path[PLATFORM_PATH_BYTES], tars_error *err) {
    tars_status status = files_join(folder, PLATFORM_PATH_BYTES, home, "keys", err);
    return status == TARS_OK ? files_join(path, PLATFORM_PATH_BYTES, folder, "signing.key", err)
                             : status;
}

tars_status keys_open_existing(const char *home, keys **out, tars_error *err) {
    char folder[PLATFORM_PATH_BYTES];
    char path[PLATFORM_PATH_BYTES];
    *out = NULL;
    tars_status status = path_of(home, folder, path, err);
    return status == TARS_OK ? load(path, out, err) : status;
}

tars_status keys_open(const char *home, keys **out, tars_error *err) {
    char folder[PLATFORM_PATH_BYTES];
    char path[PLATFORM_PATH_BYTES];
    *out = NULL;
    tars_status status = path_of(home, folder, path, err);
    if (status != TARS_OK) {
        return status;
    }
    tars_error first;
    error_clear(&first);
    status = load(path, out, &first);
    if (status != TARS_NOT_FOUND) {
        if (status != TARS_OK && err) {
            *err = first;
        }
        return status;
    }
    status = platform_make_folders(folder, err);
    if (status == TARS_OK) {
        status = make(path, err);
    }
    bool is_new = status == TARS_OK;
    /* another process may have been first: then its key is the key */
    status = is_new || status == TARS_CONFLICT ? load(path, out, err) : status;
    if (*out) {
        (*out)->is_new = is_new;
    }
    return status;
}

void keys_close(keys *k) {
    if (k) {
        EVP_PKEY_free(k->pair); /* wipes the secret half */
        free(k);
    }
}

bool keys_is_new(const keys *k) {
    return k->is_new;
}
const char *keys_id(const keys *k) {
    return k->id;
}
const uint8_t *keys_public(const keys *k) {
    return k->public_key;
}

tars_status keys_export_public(const keys *k, char pem[KEYS_PEM_BYTES], tars_error *err) {
    BIO *output = BIO_new(BIO_s_mem());
    char *text = NULL;
    long length = 0;
    if (output && PEM_write_bio_PUBKEY(output, k->pair) == 1) {
        length = BIO_get_mem_data(output, &text);
    }
    bool fits = length > 0 && length < KEYS_PEM_BYTES;
    if (fits) {
        memcpy(pem, text, (size_t)length);
        pem[length] = '\0';
    }
    BIO_free(output);
    return fits ? TARS_OK : crypto_failed("write the public key", err);
}

tars_status keys_read_public(const char *path, uint8_t public_key[KEYS_PUBLIC_BYTES],
                             tars_error *err) {
    char *text = NULL;
    size_t length = 0;
    size_t n = KEYS_PUBLIC_BYTES;
    tars_status status = platform_file_read_all(path, KEY_FILE_MAX_BYTES, &text, &length, err);
    if (status != TARS_OK) {
        return status;
    }
    BIO *input = BIO_new_mem_buf(text, (int)length);
    EVP_PKEY *key = input ? PEM_read_bio_PUBKEY(input, NULL, no_password, NULL) : NULL;
    BIO_free(input);
    free(text);
    if (!key || EVP_PKEY_get_id(key) != EVP_PKEY_ED25519 ||
        EVP_PKEY_get_raw_public_key(key, public_key, &n) != 1 || n != KEYS_PUBLIC_BYTES) {
        status = error_set(err, TARS_MALFORMED, "this is no public Ed25519 key in PEM form");
        error_where(err, "%s", path);
        error_hint(err, "make it with: openssl pkey -in signing.key -pubout");
    }
    EVP_PKEY_free(key);
    return status;
}

tars_status keys_sign(const keys *k, const void *bytes, size_t length,
                      uint8_t signature[KEYS_SIGNATURE_BYTES], tars_error *err) {
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    size_t signature_length = KEYS_SIGNATURE_BYTES;
    bool done = context && EVP_DigestSignInit(context, NULL, NULL, NULL, k->pair) == 1 &&
                EVP_DigestSign(context, signature, &signature_length, bytes, length) == 1 &&
                signature_length == KEYS_SIGNATURE_BYTES;
    EVP_MD_CTX_free(context);
    return done ? TARS_OK : crypto_failed("sign", err);
}

tars_status keys_verify(const uint8_t public_key[KEYS_PUBLIC_BYTES], const void *bytes,
                        size_t length, const uint8_t signature[KEYS_SIGNATURE_BYTES],
                        tars_error *err) {
    EVP_PKEY *key =
        EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, NULL, public_key, KEYS_PUBLIC_BYTES);
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    bool ready = key && context && EVP_DigestVerifyInit(context, NULL, NULL, NULL, key) == 1;
    bool fits =
        ready && EVP_DigestVerify(context, signature, KEYS_SIGNATURE_BYTES, bytes, length) == 1;
    EVP_MD_CTX_free(context);
    EVP_PKEY_free(key);
    if (!ready) {
        return crypto_failed("use the public key", err);
    }
    return fits ? TARS_OK
                : error_set(err, TARS_MISMATCH, "the signature does not fit the signed text");
}
