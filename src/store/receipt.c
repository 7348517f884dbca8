#include "store/receipt.h"

#include "platform/platform.h"
#include "store/files.h"
#include "store/hex.h"
#include "store/receipt_json.h"

#include <stdlib.h>
#include <string.h>

tars_status receipt_from_result(const tars_model_info *model, const tars_request *request,
                                const tars_result *result, int64_t created_unix_s, receipt *out,
                                tars_error *err) {
    if (result->n_digests == 0 || result->logits_hash[0] == '\0') {
        error_set(err, TARS_USAGE, "a receipt needs the digests of the logits");
        return error_hint(err, "set logits_hash in the request");
    }
    *out = (receipt){
        .version = RECEIPT_VERSION,
        .arithmetic_version = tars_arithmetic_version(),
        .program = tars_version(),
        .created_unix_s = created_unix_s,
        .model_name = model->name,
        .model_architecture = model->architecture,
        .model_quantization = model->quantization,
        .source_sha256 = model->sha256,
        .packed_sha256 = model->packed_sha256,
        .prompt_ids = result->prompt_ids,
        .n_prompt_ids = result->n_prompt_ids,
        .sampling = request->sampling,
        .stops = request->stops,
        .n_stops = request->n_stops,
        .max_tokens = request->limits.max_tokens,
        .context = result->context,
        .kv_type = result->kv_type,
        .float_activations = request->float_activations,
        .tokens = result->ids,
        .n_tokens = result->n_ids,
        .digests = result->digests,
        .n_digests = result->n_digests,
        .logits_hash = result->logits_hash,
        .finish_reason = result->finish_reason,
        .runtime = result->runtime,
        .isa = result->isa,
        .n_threads = result->n_threads,
    };
    out->sampling.seed = result->seed;
    out->sampling.random_seed = false;
    return TARS_OK;
}

void receipt_to_request(const receipt *r, tars_model *model, tars_request *out) {
    *out = (tars_request)TARS_REQUEST_DEFAULTS;
    out->kind = TARS_REQUEST_REPLAY;
    out->model = model;
    out->ids = r->prompt_ids;
    out->n_ids = r->n_prompt_ids;
    out->replay_ids = r->tokens;
    out->n_replay_ids = r->n_tokens;
    out->sampling = r->sampling;
    out->stops = r->stops;
    out->n_stops = r->n_stops;
    out->limits.max_tokens = r->max_tokens;
    out->limits.context = r->context;
    out->kv_type = r->kv_type;
    out->float_activations = r->float_activations;
    out->logits_hash = true;
}

/* A text that grows; `failed` stays set when memory was not there. */
typedef struct growing_text {
    char *bytes;
    size_t length;
    size_t capacity;
} growing_text;

static bool grow(void *context, const char *bytes, size_t length) {
    growing_text *text = context;
    if (length > text->capacity - text->length) {
        size_t capacity = 2 * text->capacity + length + 4096;
        char *grown = realloc(text->bytes, capacity);
        if (!grown) {
            return false;
        }
        text->bytes = grown;
        text->capacity = capacity;
    }
    memcpy(text->bytes + text->length, bytes, length);
    text->length += length;
    return true;
}

static tars_status format(const receipt *r, bool with_signature, growing_text *out,
                          tars_error *err) {
    bool failed;
    out->length = 0;
    receipt_json_write(r, with_signature, grow, out, &failed);
    return failed ? error_set(err, TARS_OUT_OF_MEMORY, "no memory to write the receipt") : TARS_OK;
}

/* Replacing a device or a pipe by a file would not be what its user meant. */
static tars_status check_target(const char *path, tars_error *err) {
    platform_kind kind;
    tars_status status = platform_path_kind(path, &kind, NULL, err);
    if (status == TARS_OK && kind != PLATFORM_KIND_FILE && kind != PLATFORM_KIND_MISSING) {
        error_set(err, TARS_USAGE, "a receipt is written to a plain file, this is none");
        error_where(err, "%s", path);
        return TARS_USAGE;
    }
    return status;
}

tars_status receipt_write(receipt *r, const keys *k, const char *path, tars_error *err) {
    memcpy(r->key_id, keys_id(k), sizeof r->key_id);
    memcpy(r->public_key, keys_public(k), sizeof r->public_key);
    growing_text text = {0};
    tars_status status = check_target(path, err);
    if (status == TARS_OK) {
        status = format(r, false, &text, err);
    }
    if (status == TARS_OK) {
        status = keys_sign(k, text.bytes, text.length, r->signature, err);
    }
    if (status == TARS_OK) {
        status = format(r, true, &text, err);
    }
    if (status == TARS_OK && text.length > RECEIPT_MAX_BYTES) {
        status =
            error_set(err, TARS_LIMIT, "the receipt has more than %d bytes", RECEIPT_MAX_BYTES);
    }
    if (status == TARS_OK) {
        status = files_write(path, text.bytes, text.length, 0644, PLATFORM_COMMIT_REPLACE, err);
    }
    free(text.bytes);
    return status;
}

tars_status receipt_read(const char *path, receipt *out, void **memory, tars_error *err) {
    *memory = NULL;
    char *text;
    size_t length;
    tars_status status = platform_file_read_all(path, RECEIPT_MAX_BYTES, &text, &length, err);
    if (status != TARS_OK) {
        return status;
    }
    size_t size_bytes = RECEIPT_ARENA_FACTOR * length + 65536;
    void *block = malloc(size_bytes);
    if (block) {
        arena a;
        arena_init(&a, block, size_bytes);
        status = receipt_parse(text, length, &a, out, err);
    } else {
        status = error_set(err, TARS_OUT_OF_MEMORY, "no memory to read the receipt");
    }
    free(text);
    if (status != TARS_OK) {
        free(block);
        if (err && err->where[0] == '\0') {
            error_where(err, "%s", path);
        }
        return status;
    }
    *memory = block;
    return TARS_OK;
}

/* logits_hash = SHA-256 of all digests one after another. */
static bool hash_fits(const receipt *r) {
    sha256_context context;
    uint8_t digest[SHA256_DIGEST_BYTES];
    char hex[SHA256_HEX_BYTES];
    sha256_init(&context);
    sha256_update(&context, r->digests, r->n_digests * sizeof r->digests[0]);
    sha256_final(&context, digest);
    hex_encode(digest, sizeof digest, hex);
    return strcmp(hex, r->logits_hash) == 0;
}

tars_status receipt_verify(const receipt *r, tars_error *err) {
    char id[KEYS_ID_BYTES];
    keys_id_of(r->public_key, id);
    tars_status status =
        keys_verify(r->public_key, r->signed_text, r->signed_length, r->signature, err);
    if (status == TARS_OK && strcmp(id, r->key_id) != 0) {
        status =
            error_set(err, TARS_MISMATCH, "the key id %s is not that of the public key", r->key_id);
    }
    if (status == TARS_OK && !hash_fits(r)) {
        status = error_set(err, TARS_MISMATCH, "the logits_hash is not that of the digests");
    }
    if (status == TARS_MISMATCH) {
        error_hint(err, "the receipt was changed after it was written");
    }
    return status;
}
