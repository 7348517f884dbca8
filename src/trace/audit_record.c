#include "trace/audit_record.h"

#include "store/hex.h"

#include <stdlib.h>
#include <string.h>

#define PREVIOUS ",\"previous\":\""
#define HASH ",\"hash\":\""
#define SIGNATURE ",\"signature\":\""
#define PURPOSE "tars audit checkpoint 1\n"

enum { HASH_DIGITS = SHA256_DIGEST_BYTES * 2, SIGNATURE_DIGITS = KEYS_SIGNATURE_BYTES * 2 };

/* ---- writing --------------------------------------------------------------------------------- */

static void append_hash(text_buffer *line, const uint8_t digest[SHA256_DIGEST_BYTES]) {
    char hex[SHA256_HEX_BYTES];
    sha256_hex(digest, hex);
    text_append(line, hex, HASH_DIGITS);
}

/* False when the text was cut. */
static bool append_text(text_buffer *line, const char *text, const redact_words *redact) {
    char kept[AUDIT_TEXT_BYTES + 1];
    text_buffer room;
    text_init(&room, kept, sizeof kept);
    size_t length = strlen(text);
    redact_text(redact, text, length < AUDIT_TEXT_BYTES ? length : AUDIT_TEXT_BYTES, &room);
    return log_append_quoted(line, kept, AUDIT_TEXT_BYTES) && length < AUDIT_TEXT_BYTES;
}

static void append_word(text_buffer *line, const char *key, const char *word) {
    if (word) {
        text_format(line, ",\"%s\":", key);
        (void)log_append_quoted(line, word, AUDIT_WORD_BYTES);
    }
}

static void append_beginning(text_buffer *line, const audit_stamp *stamp, audit_kind kind) {
    const audit_kind_row *row = &audit_kind_rows[kind];
    text_format(line, "{\"sequence\":%llu,\"time\":\"", (unsigned long long)stamp->sequence);
    log_append_time(line, stamp->time_ns);
    text_format(line, "\",\"kind\":\"%s\",\"severity\":\"%s\"", row->name,
                audit_severity_name(row->severity));
}

/* `line` held `start` bytes before this record. */
static void append_end(text_buffer *line, size_t start, const audit_stamp *stamp,
                       uint8_t hash[SHA256_DIGEST_BYTES]) {
    text_append_string(line, PREVIOUS);
    append_hash(line, stamp->previous);
    text_append_char(line, '"');
    sha256(line->data + start, line->length - start, hash);
    text_append_string(line, HASH);
    append_hash(line, hash);
    text_append_string(line, "\"}\n");
}

static bool append_attributes(text_buffer *line, const audit_event *event,
                              const redact_words *redact) {
    size_t n =
        event->n_attributes < AUDIT_MAX_ATTRIBUTES ? event->n_attributes : AUDIT_MAX_ATTRIBUTES;
    bool whole = n == event->n_attributes;
    text_append_string(line, ",\"attributes\":{");
    for (size_t i = 0; i < n; i++) {
        const log_field *field = &event->attributes[i];
        text_format(line, i > 0 ? ",\"%s\":" : "\"%s\":", field->key);
        if (redact_has_word(redact, field->key)) {
            text_append_string(line, "\"" REDACTED "\"");
        } else if (field->text) {
            whole = append_text(line, field->text, redact) && whole;
        } else {
            text_format(line, "%llu", (unsigned long long)field->number);
        }
    }
    text_append_char(line, '}');
    return whole;
}

void audit_record_write(text_buffer *line, const audit_event *event, const audit_stamp *stamp,
                        const redact_words *redact, uint8_t hash[SHA256_DIGEST_BYTES]) {
    size_t start = line->length;
    append_beginning(line, stamp, event->kind);
    append_word(line, "action", event->action ? event->action : "logged");
    text_append_string(line, ",\"subject\":");
    bool whole = append_text(line, event->subject ? event->subject : "", redact);
    append_word(line, "profile", event->profile);
    append_word(line, "runtime", event->runtime);
    append_word(line, "tenant", event->tenant);
    append_word(line, "trace_id", event->trace_id);
    append_word(line, "span_id", event->span_id);
    whole = append_attributes(line, event, redact) && whole;
    text_append_string(line, whole ? "" : ",\"truncated\":true");
    append_end(line, start, stamp, hash);
}

/* ---- checkpoints ----------------------------------------------------------------------------- */

/* What is signed: the purpose, the line before its signature, the hash before. malloc'ed. */
static char *signed_text(const char *line, size_t length,
                         const uint8_t previous[SHA256_DIGEST_BYTES], size_t *signed_length) {
    size_t purpose = sizeof PURPOSE - 1;
    *signed_length = purpose + length + SHA256_DIGEST_BYTES;
    char *text = malloc(*signed_length);
    if (text) {
        memcpy(text, PURPOSE, purpose);
        memcpy(text + purpose, line, length);
        memcpy(text + purpose + length, previous, SHA256_DIGEST_BYTES);
    }
    return text;
}

tars_status audit_checkpoint_write(text_buffer *line, const char *reason, const audit_stamp *stamp,
                                   const char *log_id, const keys *signer,
                                   uint8_t hash[SHA256_DIGEST_BYTES], tars_error *err) {
    uint8_t signature[KEYS_SIGNATURE_BYTES];
    char hex[SIGNATURE_DIGITS + 1];
    size_t start = line->length;
    size_t length = 0;
    append_beginning(line, stamp, AUDIT_LOG_CHECKPOINT);
    text_format(line,
                ",\"action\":\"logged\",\"subject\":\"%s\",\"attributes\":{\"log\":\"%s\","
                "\"key_id\":\"%s\"",
                reason, log_id, keys_id(signer));
    char *text = signed_text(line->data + start, line->length - start, stamp->previous, &length);
    if (!text) {
        return error_set(err, TARS_OUT_OF_MEMORY, "no memory for a checkpoint");
    }
    tars_status status = keys_sign(signer, text, length, signature, err);
    free(text);
    if (status == TARS_OK) {
        hex_encode(signature, sizeof signature, hex);
        text_append_string(line, SIGNATURE);
        text_append(line, hex, SIGNATURE_DIGITS);
        text_append_string(line, "\"}");
        append_end(line, start, stamp, hash);
    }
    return status;
}

bool audit_checkpoint_is_signed(const char *line, const audit_scan *scan,
                                const uint8_t public_key[KEYS_PUBLIC_BYTES]) {
    size_t length = 0;
    char *text = signed_text(line, scan->signed_bytes, scan->previous, &length);
    bool fits = text && keys_verify(public_key, text, length, scan->signature, NULL) == TARS_OK;
    free(text);
    return fits;
}

/* ---- reading --------------------------------------------------------------------------------- */

void audit_take(audit_cursor *cursor, const char *literal) {
    size_t length = strlen(literal);
    if (cursor->is_wrong || (size_t)(cursor->end - cursor->at) < length ||
        memcmp(cursor->at, literal, length) != 0) {
        cursor->is_wrong = true;
        return;
    }
    cursor->at += length;
}

uint64_t audit_take_number(audit_cursor *cursor) {
    uint64_t value = 0;
    const char *first = cursor->at;
    while (!cursor->is_wrong && cursor->at < cursor->end && *cursor->at >= '0' &&
           *cursor->at <= '9') {
        uint64_t digit = (uint64_t)(*cursor->at - '0');
        if (value > (UINT64_MAX - digit) / 10) {
            cursor->is_wrong = true;
            return 0;
        }
        value = value * 10 + digit;
        cursor->at++;
    }
    cursor->is_wrong =
        cursor->is_wrong || cursor->at == first || (*first == '0' && cursor->at > first + 1);
    return cursor->is_wrong ? 0 : value;
}

void audit_take_digits(audit_cursor *cursor, char *text, size_t length) {
    text[0] = '\0';
    if (cursor->is_wrong || (size_t)(cursor->end - cursor->at) < 2 * length) {
        cursor->is_wrong = true;
        return;
    }
    for (size_t i = 0; i < 2 * length; i++) {
        char c = cursor->at[i];
        cursor->is_wrong = cursor->is_wrong || !((c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'));
    }
    memcpy(text, cursor->at, 2 * length);
    text[2 * length] = '\0';
    cursor->at += 2 * length;
}

void audit_take_hex(audit_cursor *cursor, uint8_t *bytes, size_t length) {
    char digits[SIGNATURE_DIGITS + 1];
    audit_take_digits(cursor, digits, length);
    if (!cursor->is_wrong) {
        cursor->is_wrong = !hex_decode(digits, bytes, length);
    }
}

const char *audit_take_text(audit_cursor *cursor, size_t most_bytes, size_t *length) {
    const char *first = cursor->at;
    *length = 0;
    while (!cursor->is_wrong && cursor->at < cursor->end && *cursor->at != '"') {
        cursor->is_wrong = ++*length > most_bytes;
        cursor->at++;
    }
    return first;
}

bool audit_scan_is(const audit_scan *scan, audit_kind kind) {
    const char *name = audit_kind_rows[kind].name;
    return strlen(name) == scan->kind_length && memcmp(name, scan->kind, scan->kind_length) == 0;
}

/* The attributes of a checkpoint: their place is counted from the end. */
static const char *scan_checkpoint(const char *line, size_t before_previous, audit_scan *out) {
    static const char log[] = ",\"attributes\":{\"log\":\"";
    static const char key[] = "\",\"key_id\":\"";
    const size_t n_after = sizeof SIGNATURE - 1 + SIGNATURE_DIGITS + 2;
    const size_t n_all =
        sizeof log - 1 + AUDIT_ID_BYTES - 1 + sizeof key - 1 + (KEYS_ID_BYTES - 1) + 1 + n_after;
    if (before_previous < n_all) {
        return "the checkpoint has no signature";
    }
    audit_cursor cursor = {.at = line + before_previous - n_all, .end = line + before_previous};
    audit_take(&cursor, log);
    audit_take_digits(&cursor, out->log_id, (AUDIT_ID_BYTES - 1) / 2);
    audit_take(&cursor, key);
    audit_take_digits(&cursor, out->key_id, (KEYS_ID_BYTES - 1) / 2);
    audit_take(&cursor, "\"");
    out->signed_bytes = (size_t)(cursor.at - line);
    audit_take(&cursor, SIGNATURE);
    audit_take_hex(&cursor, out->signature, sizeof out->signature);
    audit_take(&cursor, "\"}");
    return cursor.is_wrong ? "the checkpoint has no signature" : NULL;
}

const char *audit_record_scan(const char *line, size_t length, audit_scan *out) {
    const size_t n_hash = sizeof HASH - 1 + HASH_DIGITS + 2;
    const size_t n_end = sizeof PREVIOUS - 1 + HASH_DIGITS + 1 + n_hash;
    uint8_t hash[SHA256_DIGEST_BYTES];
    *out = (audit_scan){0};
    if (length < n_end || length >= AUDIT_LINE_BYTES) {
        return "the line is no record";
    }
    size_t before_previous = length - n_end;
    audit_cursor cursor = {.at = line, .end = line + before_previous};
    audit_take(&cursor, "{\"sequence\":");
    out->sequence = audit_take_number(&cursor);
    audit_take(&cursor, ",\"time\":\"");
    out->time = audit_take_text(&cursor, AUDIT_WORD_BYTES, &out->time_length);
    audit_take(&cursor, "\",\"kind\":\"");
    out->kind = audit_take_text(&cursor, AUDIT_WORD_BYTES, &out->kind_length);
    audit_take(&cursor, "\",\"severity\":\"");
    audit_cursor end = {.at = line + before_previous, .end = line + length};
    audit_take(&end, PREVIOUS);
    audit_take_hex(&end, out->previous, sizeof out->previous);
    audit_take(&end, "\"" HASH);
    audit_take_hex(&end, out->hash, sizeof out->hash);
    audit_take(&end, "\"}");
    if (cursor.is_wrong || end.is_wrong) {
        return "the line is no record";
    }
    sha256(line, length - n_hash, hash);
    if (memcmp(hash, out->hash, sizeof hash) != 0) {
        return "the record was changed: its hash does not fit its text";
    }
    out->is_checkpoint = audit_scan_is(out, AUDIT_LOG_CHECKPOINT);
    return out->is_checkpoint ? scan_checkpoint(line, before_previous, out) : NULL;
}
