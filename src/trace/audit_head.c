#include "trace/audit_head.h"

#include "platform/platform.h"
#include "store/hex.h"

#include <string.h>

#define PURPOSE "tars audit head 1\n"
#define SIGNATURE ",\"signature\":\""
#define NAME "audit-"
#define ENDING ".log"

enum { PURPOSE_BYTES = sizeof PURPOSE - 1, NAME_DIGITS = 6 };

static void append_hash(text_buffer *text, const char *key,
                        const uint8_t digest[SHA256_DIGEST_BYTES]) {
    char hex[SHA256_HEX_BYTES];
    sha256_hex(digest, hex);
    text_format(text, ",\"%s\":\"%s\"", key, hex);
}

static void append_number(text_buffer *text, const char *key, uint64_t number) {
    text_format(text, ",\"%s\":%llu", key, (unsigned long long)number);
}

tars_status audit_head_write(audit_head *head, const keys *signer, char out[AUDIT_HEAD_BYTES],
                             tars_error *err) {
    char room[PURPOSE_BYTES + AUDIT_HEAD_BYTES + 1];
    char hex[KEYS_SIGNATURE_BYTES * 2 + 1];
    uint8_t signature[KEYS_SIGNATURE_BYTES];
    text_buffer text;
    memcpy(head->key_id, keys_id(signer), KEYS_ID_BYTES);
    text_init(&text, room, sizeof room);
    text_format(&text, PURPOSE "{\"version\":1,\"log\":\"%s\"", head->log_id);
    append_number(&text, "first_segment", head->first_segment);
    append_number(&text, "first", head->first);
    append_hash(&text, "before", head->before);
    append_number(&text, "segment", head->segment);
    append_number(&text, "bytes", head->bytes);
    append_number(&text, "sequence", head->sequence);
    append_hash(&text, "hash", head->hash);
    append_number(&text, "checkpoint", head->checkpoint);
    append_hash(&text, "configuration", head->configuration);
    text_format(&text, ",\"key_id\":\"%s\"", head->key_id);
    tars_status status = keys_sign(signer, text.data, text.length, signature, err);
    if (status != TARS_OK) {
        return status;
    }
    hex_encode(signature, sizeof signature, hex);
    text_format(&text, SIGNATURE "%s\"}", hex);
    memset(out, ' ', AUDIT_HEAD_BYTES);
    memcpy(out, text.data + PURPOSE_BYTES, text.length - PURPOSE_BYTES);
    out[AUDIT_HEAD_BYTES - 1] = '\n';
    return TARS_OK;
}

static uint64_t take_number(audit_cursor *cursor, const char *key) {
    audit_take(cursor, ",\"");
    audit_take(cursor, key);
    audit_take(cursor, "\":");
    return audit_take_number(cursor);
}

static void take_hash(audit_cursor *cursor, const char *key, uint8_t digest[SHA256_DIGEST_BYTES]) {
    audit_take(cursor, ",\"");
    audit_take(cursor, key);
    audit_take(cursor, "\":\"");
    audit_take_hex(cursor, digest, SHA256_DIGEST_BYTES);
    audit_take(cursor, "\"");
}

static void take_rest(audit_cursor *cursor) {
    while (!cursor->is_wrong && cursor->end - cursor->at > 1) {
        audit_take(cursor, " ");
    }
    audit_take(cursor, "\n");
}

/* False when it is no head. *n_signed bytes are what the signature is over. */
static bool parse(const char bytes[AUDIT_HEAD_BYTES], audit_head *out, size_t *n_signed,
                  uint8_t signature[KEYS_SIGNATURE_BYTES]) {
    audit_cursor cursor = {.at = bytes, .end = bytes + AUDIT_HEAD_BYTES};
    *out = (audit_head){.log_id = ""};
    audit_take(&cursor, "{\"version\":1,\"log\":\"");
    audit_take_digits(&cursor, out->log_id, (AUDIT_ID_BYTES - 1) / 2);
    audit_take(&cursor, "\"");
    out->first_segment = take_number(&cursor, "first_segment");
    out->first = take_number(&cursor, "first");
    take_hash(&cursor, "before", out->before);
    out->segment = take_number(&cursor, "segment");
    out->bytes = take_number(&cursor, "bytes");
    out->sequence = take_number(&cursor, "sequence");
    take_hash(&cursor, "hash", out->hash);
    out->checkpoint = take_number(&cursor, "checkpoint");
    take_hash(&cursor, "configuration", out->configuration);
    audit_take(&cursor, ",\"key_id\":\"");
    audit_take_digits(&cursor, out->key_id, (KEYS_ID_BYTES - 1) / 2);
    audit_take(&cursor, "\"");
    *n_signed = (size_t)(cursor.at - bytes);
    audit_take(&cursor, SIGNATURE);
    audit_take_hex(&cursor, signature, KEYS_SIGNATURE_BYTES);
    audit_take(&cursor, "\"}");
    take_rest(&cursor);
    return !cursor.is_wrong;
}

bool audit_head_parse(const char bytes[AUDIT_HEAD_BYTES], audit_head *out) {
    uint8_t signature[KEYS_SIGNATURE_BYTES];
    size_t n_signed;
    return parse(bytes, out, &n_signed, signature);
}

tars_status audit_head_read(const char bytes[AUDIT_HEAD_BYTES],
                            const uint8_t public_key[KEYS_PUBLIC_BYTES], audit_head *out,
                            tars_error *err) {
    char text[PURPOSE_BYTES + AUDIT_HEAD_BYTES];
    char own_id[KEYS_ID_BYTES];
    uint8_t signature[KEYS_SIGNATURE_BYTES] = {0};
    size_t n_signed = 0;
    if (!parse(bytes, out, &n_signed, signature)) {
        return error_set(err, TARS_CORRUPT, "the head of the audit log is damaged");
    }
    memcpy(text, PURPOSE, PURPOSE_BYTES);
    memcpy(text + PURPOSE_BYTES, bytes, n_signed);
    keys_id_of(public_key, own_id);
    if (strcmp(own_id, out->key_id) != 0) {
        return error_set(err, TARS_MISMATCH,
                         "the head of the audit log is signed by key %s, expected %s", out->key_id,
                         own_id);
    }
    if (keys_verify(public_key, text, PURPOSE_BYTES + n_signed, signature, NULL) != TARS_OK) {
        return error_set(err, TARS_CORRUPT,
                         "the head of the audit log was changed: its signature does not fit");
    }
    return TARS_OK;
}

/* ---- files ----------------------------------------------------------------------------------- */

bool audit_segment_path(const char *folder, uint64_t number, char *out, size_t size_bytes) {
    text_buffer text;
    text_init(&text, out, size_bytes);
    text_append_string(&text, folder);
    text_format(&text, "/" NAME "%06llu" ENDING, (unsigned long long)number);
    return !text.truncated;
}

bool audit_head_path(const char *folder, char *out, size_t size_bytes) {
    text_buffer text;
    text_init(&text, out, size_bytes);
    text_append_string(&text, folder);
    text_append_string(&text, "/head");
    return !text.truncated;
}

uint64_t audit_segment_number(const char *name) {
    audit_cursor cursor = {.at = name, .end = name + strlen(name)};
    audit_take(&cursor, NAME);
    const char *digits = cursor.at;
    while (!cursor.is_wrong && cursor.end - cursor.at > 1 && *cursor.at == '0') {
        cursor.at++;
    }
    uint64_t number = audit_take_number(&cursor);
    bool fits = !cursor.is_wrong && cursor.at - digits >= NAME_DIGITS &&
                (cursor.at - digits == NAME_DIGITS || digits[0] != '0');
    audit_take(&cursor, ENDING);
    return fits && !cursor.is_wrong && cursor.at == cursor.end ? number : 0;
}

typedef struct segment_range {
    uint64_t smallest, largest;
} segment_range;

static bool see(void *user, const char *name, platform_kind kind) {
    segment_range *range = user;
    uint64_t number = kind == PLATFORM_KIND_FILE ? audit_segment_number(name) : 0;
    if (number > 0) {
        range->smallest =
            range->smallest == 0 || number < range->smallest ? number : range->smallest;
        range->largest = number > range->largest ? number : range->largest;
    }
    return true;
}

tars_status audit_segments(const char *folder, uint64_t *smallest, uint64_t *largest,
                           tars_error *err) {
    segment_range range = {0};
    tars_status status = platform_list_folder(folder, see, &range, err);
    *smallest = range.smallest;
    *largest = range.largest;
    return status;
}
