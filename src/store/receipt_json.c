/* The receipt's text: writing it in canonical order, and reading one that nobody vouches for. */
#include "store/receipt_json.h"

#include "base/json.h"
#include "store/canonical.h"
#include "store/hex.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_STOPS = 64, MAX_DEPTH = 8, MAX_TOKENS = 1 << 24, SEED_TEXT_BYTES = 24 };

/* ---- writing ------------------------------------------------------------------------------ */

static void write_ids(json_writer *writer, const char *key, const int32_t *ids, size_t count) {
    json_key(writer, key);
    json_begin_array(writer);
    for (size_t i = 0; i < count; i++) {
        json_int(writer, ids[i]);
    }
    json_end_array(writer);
}

static void write_digests(json_writer *writer, const receipt *r) {
    json_key(writer, "digests");
    json_begin_array(writer);
    for (size_t i = 0; i < r->n_digests; i++) {
        char hex[SHA256_HEX_BYTES];
        hex_encode(r->digests[i], SHA256_DIGEST_BYTES, hex);
        json_string(writer, hex);
    }
    json_end_array(writer);
}

static void write_model(json_writer *writer, const receipt *r) {
    json_key(writer, "model");
    json_begin_object(writer);
    json_member_string(writer, "architecture", r->model_architecture);
    json_member_string(writer, "name", r->model_name);
    json_member_string(writer, "packed_sha256", r->packed_sha256);
    json_member_string(writer, "quantization", r->model_quantization);
    json_member_string(writer, "sha256", r->source_sha256);
    json_end_object(writer);
}

static void write_float(json_writer *writer, const char *key, float value) {
    json_key(writer, key);
    json_float(writer, value);
}

static void write_settings(json_writer *writer, const receipt *r) {
    char seed[SEED_TEXT_BYTES]; /* text: no double holds every 64-bit seed */
    snprintf(seed, sizeof seed, "%llu", (unsigned long long)r->sampling.seed);
    json_key(writer, "settings");
    json_begin_object(writer);
    json_member_uint(writer, "context", r->context);
    json_member_bool(writer, "float_activations", r->float_activations);
    json_member_string(writer, "kv_type", r->kv_type);
    json_member_uint(writer, "max_tokens", r->max_tokens);
    write_float(writer, "min_p", r->sampling.min_p);
    write_float(writer, "repeat_penalty", r->sampling.repeat_penalty);
    json_member_string(writer, "seed", seed);
    json_key(writer, "stops");
    json_begin_array(writer);
    for (size_t i = 0; i < r->n_stops; i++) {
        json_string(writer, r->stops[i]);
    }
    json_end_array(writer);
    write_float(writer, "temperature", r->sampling.temperature);
    json_member_uint(writer, "top_k", r->sampling.top_k);
    write_float(writer, "top_p", r->sampling.top_p);
    json_end_object(writer);
}

void receipt_json_write(const receipt *r, bool with_signature, json_sink sink, void *context,
                        bool *failed) {
    char public_key[2 * KEYS_PUBLIC_BYTES + 1];
    char signature[2 * KEYS_SIGNATURE_BYTES + 1];
    hex_encode(r->public_key, KEYS_PUBLIC_BYTES, public_key);
    hex_encode(r->signature, KEYS_SIGNATURE_BYTES, signature);
    json_writer writer;
    json_writer_init(&writer, sink, context);
    json_begin_object(&writer); /* members in the order of RFC 8785 */
    json_member_uint(&writer, "arithmetic_version", r->arithmetic_version);
    json_member_int(&writer, "created_unix_s", r->created_unix_s);
    write_digests(&writer, r);
    json_member_string(&writer, "finish_reason", r->finish_reason);
    json_member_string(&writer, "isa", r->isa);
    json_member_string(&writer, "key_id", r->key_id);
    json_member_string(&writer, "logits_hash", r->logits_hash);
    write_model(&writer, r);
    json_member_string(&writer, "program", r->program);
    write_ids(&writer, "prompt_ids", r->prompt_ids, r->n_prompt_ids);
    json_member_string(&writer, "public_key", public_key);
    json_member_string(&writer, "runtime", r->runtime);
    write_settings(&writer, r);
    if (with_signature) {
        json_member_string(&writer, "signature", signature);
    }
    json_member_uint(&writer, "threads", r->n_threads);
    write_ids(&writer, "tokens", r->tokens, r->n_tokens);
    json_member_uint(&writer, "version", r->version);
    json_end_object(&writer);
    *failed = writer.failed;
}

/* ---- reading ------------------------------------------------------------------------------ */

/* Carries the first problem through a row of reads; later reads then do nothing. */
typedef struct reader {
    arena *memory;
    tars_error *err;
    tars_status status;
} reader;

static void refuse(reader *in, const char *key, const char *expected) {
    if (in->status == TARS_OK) {
        in->status =
            error_set(in->err, TARS_MALFORMED, "the receipt's member %s is not %s", key, expected);
    }
}

static const char *read_text(reader *in, const json_value *object, const char *key) {
    const json_value *value = json_member(object, key);
    if (!value || value->type != JSON_STRING || strlen(value->string) != value->string_length) {
        refuse(in, key, "a text");
        return "";
    }
    return value->string;
}

static uint32_t read_u32(reader *in, const json_value *object, const char *key) {
    const json_value *value = json_member(object, key);
    if (!value || value->type != JSON_NUMBER || !value->is_integer || value->integer < 0 ||
        value->integer > UINT32_MAX) {
        refuse(in, key, "an integer from 0 to 2^32 - 1");
        return 0;
    }
    return (uint32_t)value->integer;
}

static float read_float(reader *in, const json_value *object, const char *key) {
    const json_value *value = json_member(object, key);
    if (!value || value->type != JSON_NUMBER || !isfinite((float)value->number)) {
        refuse(in, key, "a number");
        return 0.0f;
    }
    return (float)value->number;
}

static bool read_bool(reader *in, const json_value *object, const char *key) {
    const json_value *value = json_member(object, key);
    if (!value || value->type != JSON_BOOL) {
        refuse(in, key, "true or false");
        return false;
    }
    return value->boolean;
}

static void read_bytes(reader *in, const json_value *object, const char *key, uint8_t *out,
                       size_t length) {
    const char *text = read_text(in, object, key);
    if (in->status == TARS_OK && !hex_decode(text, out, length)) {
        refuse(in, key,
               length == SHA256_DIGEST_BYTES ? "64 lower-case hex digits"
                                             : "128 lower-case hex digits");
    }
}

static const char *read_digest(reader *in, const json_value *object, const char *key) {
    const char *text = read_text(in, object, key);
    if (in->status == TARS_OK && !hex_is_sha256(text)) {
        refuse(in, key, "64 lower-case hex digits");
    }
    return text;
}

static const json_value *read_object(reader *in, const json_value *root, const char *key) {
    const json_value *value = json_member(root, key);
    if (!value || value->type != JSON_OBJECT) {
        refuse(in, key, "an object");
        return NULL;
    }
    return value;
}

static const json_value *read_array(reader *in, const json_value *root, const char *key,
                                    size_t max_count) {
    const json_value *value = json_member(root, key);
    if (!value || value->type != JSON_ARRAY || value->count > max_count) {
        refuse(in, key, "a list of the length expected");
        return NULL;
    }
    return value;
}

static void *reserve(reader *in, size_t count, size_t element_bytes) {
    void *memory = arena_array(in->memory, count, element_bytes, 16);
    if (!memory && in->status == TARS_OK) {
        in->status = error_set(in->err, TARS_OUT_OF_MEMORY, "no memory to read the receipt");
    }
    return memory;
}

static const int32_t *read_ids(reader *in, const json_value *root, const char *key, size_t *count) {
    const json_value *list = read_array(in, root, key, MAX_TOKENS);
    int32_t *ids = list ? reserve(in, list->count, sizeof *ids) : NULL;
    if (!ids) {
        return NULL;
    }
    size_t filled = 0;
    for (const json_value *item = list->first; item; item = item->next) {
        if (item->type != JSON_NUMBER || !item->is_integer || item->integer < 0 ||
            item->integer > INT32_MAX) {
            refuse(in, key, "a list of token ids");
            return NULL;
        }
        ids[filled++] = (int32_t)item->integer;
    }
    *count = filled;
    return ids;
}

static void read_digests(reader *in, const json_value *root, receipt *out) {
    const json_value *list = read_array(in, root, "digests", MAX_TOKENS);
    uint8_t(*digests)[SHA256_DIGEST_BYTES] =
        list ? reserve(in, list->count, sizeof *digests) : NULL;
    if (!digests) {
        return;
    }
    size_t filled = 0;
    for (const json_value *item = list->first; item; item = item->next) {
        if (item->type != JSON_STRING ||
            !hex_decode(item->string, digests[filled], SHA256_DIGEST_BYTES)) {
            refuse(in, "digests", "a list of SHA-256 digests");
            return;
        }
        filled++;
    }
    out->digests = (const uint8_t(*)[SHA256_DIGEST_BYTES])digests;
    out->n_digests = filled;
}

static void read_stops(reader *in, const json_value *settings, receipt *out) {
    const json_value *list = read_array(in, settings, "stops", MAX_STOPS);
    const char **stops = list ? reserve(in, list->count, sizeof *stops) : NULL;
    if (!stops) {
        return;
    }
    size_t filled = 0;
    for (const json_value *item = list->first; item; item = item->next) {
        if (item->type != JSON_STRING || strlen(item->string) != item->string_length) {
            refuse(in, "stops", "a list of texts");
            return;
        }
        stops[filled++] = item->string;
    }
    out->stops = stops;
    out->n_stops = filled;
}

static uint64_t read_seed(reader *in, const json_value *settings) {
    const char *text = read_text(in, settings, "seed");
    uint64_t seed = 0;
    size_t length = strlen(text);
    bool plain = length > 0 && length <= 20 && strspn(text, "0123456789") == length &&
                 (text[0] != '0' || length == 1);
    for (size_t i = 0; plain && i < length; i++) {
        plain = !__builtin_mul_overflow(seed, UINT64_C(10), &seed) &&
                !__builtin_add_overflow(seed, (uint64_t)(text[i] - '0'), &seed);
    }
    if (!plain) {
        refuse(in, "seed", "a text of decimal digits below 2^64");
    }
    return seed;
}

static void read_settings(reader *in, const json_value *root, receipt *out) {
    const json_value *settings = read_object(in, root, "settings");
    if (!settings) {
        return;
    }
    out->context = read_u32(in, settings, "context");
    out->float_activations = read_bool(in, settings, "float_activations");
    out->kv_type = read_text(in, settings, "kv_type");
    out->max_tokens = read_u32(in, settings, "max_tokens");
    out->sampling = (tars_sampling){
        .temperature = read_float(in, settings, "temperature"),
        .top_k = read_u32(in, settings, "top_k"),
        .top_p = read_float(in, settings, "top_p"),
        .min_p = read_float(in, settings, "min_p"),
        .repeat_penalty = read_float(in, settings, "repeat_penalty"),
        .seed = read_seed(in, settings),
    };
    read_stops(in, settings, out);
}

static void read_model(reader *in, const json_value *root, receipt *out) {
    const json_value *model = read_object(in, root, "model");
    if (!model) {
        return;
    }
    out->model_architecture = read_text(in, model, "architecture");
    out->model_name = read_text(in, model, "name");
    out->packed_sha256 = read_digest(in, model, "packed_sha256");
    out->model_quantization = read_text(in, model, "quantization");
    out->source_sha256 = read_digest(in, model, "sha256");
}

static void read_signer(reader *in, const json_value *root, receipt *out) {
    const char *key_id = read_text(in, root, "key_id");
    uint8_t id[(KEYS_ID_BYTES - 1) / 2];
    if (in->status == TARS_OK && !hex_decode(key_id, id, sizeof id)) {
        refuse(in, "key_id", "16 lower-case hex digits");
    }
    snprintf(out->key_id, sizeof out->key_id, "%s", key_id);
    read_bytes(in, root, "public_key", out->public_key, KEYS_PUBLIC_BYTES);
    read_bytes(in, root, "signature", out->signature, KEYS_SIGNATURE_BYTES);
}

static void read_members(reader *in, const json_value *root, receipt *out) {
    out->arithmetic_version = read_u32(in, root, "arithmetic_version");
    out->program = read_text(in, root, "program");
    const json_value *created = json_member(root, "created_unix_s");
    if (!created || created->type != JSON_NUMBER || !created->is_integer) {
        refuse(in, "created_unix_s", "an integer");
    } else {
        out->created_unix_s = created->integer;
    }
    read_model(in, root, out);
    out->prompt_ids = read_ids(in, root, "prompt_ids", &out->n_prompt_ids);
    read_settings(in, root, out);
    out->tokens = read_ids(in, root, "tokens", &out->n_tokens);
    read_digests(in, root, out);
    out->logits_hash = read_digest(in, root, "logits_hash");
    out->finish_reason = read_text(in, root, "finish_reason");
    out->runtime = read_text(in, root, "runtime");
    out->isa = read_text(in, root, "isa");
    out->n_threads = read_u32(in, root, "threads");
    read_signer(in, root, out);
    /* the end token is sampled, and so has a digest, but need not be among the tokens */
    if (in->status == TARS_OK && out->n_digests != out->n_tokens &&
        out->n_digests != out->n_tokens + 1) {
        refuse(in, "digests", "one digest for each token");
    }
}

typedef struct memory_sink {
    char *bytes;
    size_t length;
    size_t capacity;
} memory_sink;

static bool memory_append(void *context, const char *bytes, size_t length) {
    memory_sink *sink = context;
    if (length > sink->capacity - sink->length) {
        return false;
    }
    memcpy(sink->bytes + sink->length, bytes, length);
    sink->length += length;
    return true;
}

/* What was signed, made anew from the value: a receipt may have been reformatted on its way. */
static tars_status restore_signed_text(const json_value *root, size_t length, arena *a,
                                       receipt *out, tars_error *err) {
    size_t capacity = 6 * length + 64; /* one byte of text becomes at most six, as \u0000 */
    memory_sink sink = {.bytes = arena_alloc_raw(a, capacity, 1), .capacity = capacity};
    if (!sink.bytes) {
        return error_set(err, TARS_OUT_OF_MEMORY, "no memory to read the receipt");
    }
    tars_status status = canonical_write(root, "signature", a, memory_append, &sink, err);
    out->signed_text = sink.bytes;
    out->signed_length = sink.length;
    return status;
}

tars_status receipt_parse(const char *text, size_t length, arena *a, receipt *out,
                          tars_error *err) {
    memset(out, 0, sizeof *out);
    json_value *root;
    json_limits limits = {.max_depth = MAX_DEPTH};
    tars_status status = json_parse(text, length, &limits, a, &root, err);
    if (status != TARS_OK) {
        return status;
    }
    reader in = {.memory = a, .err = err, .status = TARS_OK};
    if (root->type != JSON_OBJECT) {
        return error_set(err, TARS_MALFORMED, "a receipt is a JSON object, this is none");
    }
    out->version = read_u32(&in, root, "version");
    if (in.status == TARS_OK && out->version != RECEIPT_VERSION) {
        return error_set(err, TARS_UNSUPPORTED, "the receipt has version %u, this program knows %d",
                         out->version, RECEIPT_VERSION);
    }
    read_members(&in, root, out);
    if (in.status != TARS_OK) {
        return in.status;
    }
    return restore_signed_text(root, length, a, out, err);
}
