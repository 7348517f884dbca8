/* Receipts: what was computed, from what, with which settings and which result, signed. Anyone who
 * has the model can recompute it (`tars verify`). The file is JSON in canonical form (RFC 8785);
 * the Ed25519 signature is over that form without the member "signature". Ownership: a receipt
 * points into the arena it was read into, or at whatever the caller filled it with. */
#ifndef STORE_RECEIPT_H
#define STORE_RECEIPT_H

#include "base/arena.h"
#include "base/error.h"
#include "base/sha256.h"
#include "store/keys.h"

#include <tars/model.h>
#include <tars/request.h>

enum {
    RECEIPT_VERSION = 1,
    RECEIPT_MAX_BYTES = 32 << 20,
    RECEIPT_ARENA_FACTOR = 64 /* arena bytes that reading takes for each byte of the file */
};

typedef struct receipt {
    uint32_t version;            /* RECEIPT_VERSION */
    uint32_t arithmetic_version; /* of the rules that the results obey */
    const char *program;         /* tars_version() of the writer */
    int64_t created_unix_s;

    const char *model_name;
    const char *model_architecture;
    const char *model_quantization;
    const char *source_sha256; /* 64 hex digits */
    const char *packed_sha256;

    const int32_t *prompt_ids;
    size_t n_prompt_ids;
    tars_sampling sampling; /* with the seed that was drawn */
    const char *const *stops;
    size_t n_stops;
    uint32_t max_tokens;
    uint32_t context;
    const char *kv_type;
    bool float_activations;

    const int32_t *tokens;
    size_t n_tokens;
    const uint8_t (*digests)[SHA256_DIGEST_BYTES]; /* h_t of each sampled position */
    size_t n_digests;
    const char *logits_hash; /* 64 hex digits */
    const char *finish_reason;

    const char *runtime;
    const char *isa;
    uint32_t n_threads;

    /* filled by receipt_write and by reading */
    char key_id[KEYS_ID_BYTES];
    uint8_t public_key[KEYS_PUBLIC_BYTES];
    uint8_t signature[KEYS_SIGNATURE_BYTES];
    const char *signed_text; /* canonical form without the signature; NULL before reading */
    size_t signed_length;
} receipt;

/* Fills a receipt from a finished GENERATE request. All pointers are borrowed from the arguments.
 * USAGE when the result has no digests (the request must ask for logits_hash). */
tars_status receipt_from_result(const tars_model_info *model, const tars_request *request,
                                const tars_result *result, int64_t created_unix_s, receipt *out,
                                tars_error *err);
/* Signs and writes it to `path` in one step: a plain file that exists is replaced only by a whole
 * one, anything else is USAGE. Fills key_id, public_key and signature of *r. */
tars_status receipt_write(receipt *r, const keys *k, const char *path, tars_error *err);

/* Reads a receipt of at most RECEIPT_MAX_BYTES; checks its form and its ranges, not its signature.
 * MALFORMED says what is wrong; UNSUPPORTED: a newer version. *memory holds all that *out points
 * to and is freed with free(); on failure it is NULL. */
tars_status receipt_read(const char *path, receipt *out, void **memory, tars_error *err);
/* The same from bytes, into an arena of about RECEIPT_ARENA_FACTOR bytes a byte. */
tars_status receipt_parse(const char *text, size_t length, arena *a, receipt *out, tars_error *err);
/* Whether a receipt that was read is what its signer wrote: MISMATCH when the signature, the key
 * id or the logits_hash does not fit the rest. It says nothing about who holds the key. */
tars_status receipt_verify(const receipt *r, tars_error *err);
/* The REPLAY request that recomputes it on `model`. Points into the receipt. */
void receipt_to_request(const receipt *r, tars_model *model, tars_request *out);

#endif
