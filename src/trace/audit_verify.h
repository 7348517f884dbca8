/* Proves an audit log: each record's own hash, the chain over records and files, every checkpoint's
 * signature, and that the signed head's end is reached. Nothing is written and nothing is locked.
 *
 * What it cannot see by itself: that all of the log was put back to what it had been when somebody
 * copied its head, or was removed whole. An expectation, a sequence with its hash that was kept
 * elsewhere, shows both.
 *
 * Ownership: the verdict is plain memory of the caller; options are borrowed. */
#ifndef TRACE_AUDIT_VERIFY_H
#define TRACE_AUDIT_VERIFY_H

#include "trace/audit_head.h"

typedef struct audit_verify_options {
    const char *path;           /* a log's folder, or one of its files, which is proven by itself */
    const uint8_t *public_key;  /* [KEYS_PUBLIC_BYTES] */
    uint64_t expected_sequence; /* 0: nothing is expected */
    uint8_t expected_hash[SHA256_DIGEST_BYTES];
    /* Gets each good record, without its line's end, in order; false stops. May be NULL. */
    bool (*visit)(void *user, const char *line, size_t length, const audit_scan *scan);
    void *user;
} audit_verify_options;

enum { AUDIT_REASON_BYTES = 320, AUDIT_FILE_BYTES = 32 };

typedef struct audit_verdict {
    bool is_valid;
    uint64_t records;     /* that are good */
    uint64_t checkpoints; /* of them */
    uint64_t first, last; /* sequence of the first and the last good one; 0: there is none */
    uint8_t last_hash[SHA256_DIGEST_BYTES];
    uint64_t signed_to;        /* the last record that a signature vouches for; 0: none */
    uint64_t n_unsigned_bytes; /* behind the head's end: not acknowledged, and not proven */
    bool has_head;
    audit_head head;
    /* Unless is_valid: the first record that is wrong, and where it stands or should. */
    uint64_t bad_sequence;
    char bad_file[AUDIT_FILE_BYTES];
    uint64_t bad_line, bad_offset; /* line 0: no line but the file is wrong */
    char reason[AUDIT_REASON_BYTES];
} audit_verdict;

/* Fails only when the log cannot be read: NOT_FOUND when there is none. */
tars_status audit_verify(const audit_verify_options *options, audit_verdict *out, tars_error *err);

/* The same over the bytes of one file, for what is in memory. */
void audit_verify_bytes(const char *bytes, size_t length, const uint8_t *public_key,
                        audit_verdict *out);

#endif
