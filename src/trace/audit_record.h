/* One record of the audit log as one line of JSON with a fixed frame, so that a reader can prove it
 * before it parses anything:
 *
 *   {"sequence":7,"time":"2025-01-31T12:00:00.000Z","kind":"security.syscall","severity":"warning",
 *    "action":"blocked","subject":"./program","profile":"strict","runtime":"native",
 *    "attributes":{…},"previous":"64 digits","hash":"64 digits"}
 *
 * `previous` is the hash of the line before (zeros for the first) and `hash` the SHA-256 of the
 * line up to the comma before "hash". A checkpoint's attributes end with a signature over the line
 * before it and `previous`.
 *
 * Ownership: everything is borrowed for the call. */
#ifndef TRACE_AUDIT_RECORD_H
#define TRACE_AUDIT_RECORD_H

#include "base/sha256.h"
#include "store/keys.h"
#include "store/log_line.h"
#include "trace/audit_kind.h"
#include "trace/redact.h"

enum {
    AUDIT_TEXT_BYTES = 4096, /* of a value; what is longer is cut */
    AUDIT_WORD_BYTES = 128,  /* of action, profile, runtime, tenant and ids */
    AUDIT_MAX_ATTRIBUTES = 12,
    /* control characters take six bytes each */
    AUDIT_LINE_BYTES = (AUDIT_MAX_ATTRIBUTES + 1) * (AUDIT_TEXT_BYTES * 6 + 128) + 8192,
    AUDIT_ID_BYTES = 33 /* a log's name: 32 hex digits and a NUL */
};

typedef struct audit_event {
    audit_kind kind;
    const char *action;                     /* "blocked", "killed", "logged"; NULL: logged */
    const char *subject;                    /* what it is about: a program, a model, a key */
    const char *profile, *runtime, *tenant; /* these and the ids may be NULL */
    const char *trace_id, *span_id;
    const log_field *attributes;
    size_t n_attributes; /* at most AUDIT_MAX_ATTRIBUTES; the rest is left out */
} audit_event;

/* Where a record goes. */
typedef struct audit_stamp {
    uint64_t sequence;
    int64_t time_ns; /* since 1970 */
    uint8_t previous[SHA256_DIGEST_BYTES];
} audit_stamp;

/* Appends the line, its end included, and gives its hash. */
void audit_record_write(text_buffer *line, const audit_event *event, const audit_stamp *stamp,
                        const redact_words *redact, uint8_t hash[SHA256_DIGEST_BYTES]);
/* The line of a checkpoint. */
tars_status audit_checkpoint_write(text_buffer *line, const char *reason, const audit_stamp *stamp,
                                   const char *log_id, const keys *signer,
                                   uint8_t hash[SHA256_DIGEST_BYTES], tars_error *err);

typedef struct audit_scan {
    uint64_t sequence;
    const char *time, *kind; /* in the line, with their lengths */
    size_t time_length, kind_length;
    uint8_t previous[SHA256_DIGEST_BYTES], hash[SHA256_DIGEST_BYTES];
    bool is_checkpoint;
    char log_id[AUDIT_ID_BYTES], key_id[KEYS_ID_BYTES]; /* of a checkpoint */
    size_t signed_bytes;
    uint8_t signature[KEYS_SIGNATURE_BYTES];
} audit_scan;

/* Reads the frame of a line without its end, and recomputes its hash. NULL when all fits, else what
 * is wrong (constant). */
const char *audit_record_scan(const char *line, size_t length, audit_scan *out);
/* Whether a scanned checkpoint is signed by that key. */
bool audit_checkpoint_is_signed(const char *line, const audit_scan *scan,
                                const uint8_t public_key[KEYS_PUBLIC_BYTES]);
/* Whether the record is of that kind. */
bool audit_scan_is(const audit_scan *scan, audit_kind kind);

/* ---- for readers of frames ------------------------------------------------------------------- */

typedef struct audit_cursor {
    const char *at, *end;
    bool is_wrong; /* something was not there; all later steps do nothing */
} audit_cursor;

void audit_take(audit_cursor *cursor, const char *literal);
/* Plain digits without zeros in front. */
uint64_t audit_take_number(audit_cursor *cursor);
/* Exactly 2 * length lower-case hex digits. */
void audit_take_hex(audit_cursor *cursor, uint8_t *bytes, size_t length);
/* As many hex digits, kept as a text of 2 * length bytes and a NUL. */
void audit_take_digits(audit_cursor *cursor, char *text, size_t length);
/* Everything before the next quotation mark, at most most_bytes. */
const char *audit_take_text(audit_cursor *cursor, size_t most_bytes, size_t *length);

#endif
