/* The head of an audit log: a small file beside it, written over after each record, that says where
 * the log ends and is signed. What lies before that end cannot be cut off without its being seen,
 * and heads are not kept, so that an older one must have been copied in time to be put back.
 *
 * Ownership: plain memory of the caller. */
#ifndef TRACE_AUDIT_HEAD_H
#define TRACE_AUDIT_HEAD_H

#include "trace/audit_record.h"

enum { AUDIT_HEAD_BYTES = 1024 };

typedef struct audit_head {
    char log_id[AUDIT_ID_BYTES];
    uint64_t first_segment, first;       /* number of the oldest file, its first record */
    uint8_t before[SHA256_DIGEST_BYTES]; /* the hash before that one; zeros when none was removed */
    uint64_t segment, bytes;             /* number of the last file, how much of it counts */
    uint64_t sequence;                   /* the last record that counts; 0: there is none */
    uint8_t hash[SHA256_DIGEST_BYTES];   /* its hash */
    uint64_t checkpoint;                 /* the last checkpoint; 0: none */
    uint8_t configuration[SHA256_DIGEST_BYTES]; /* of the configuration last seen, or zeros */
    char key_id[KEYS_ID_BYTES];
} audit_head;

/* Signs and lays out; key_id becomes the signer's. */
tars_status audit_head_write(audit_head *head, const keys *signer, char out[AUDIT_HEAD_BYTES],
                             tars_error *err);
/* CORRUPT: it is no head, or was changed. MISMATCH: another key signed it; *out is filled then, and
 * nothing vouches for it. */
tars_status audit_head_read(const char bytes[AUDIT_HEAD_BYTES],
                            const uint8_t public_key[KEYS_PUBLIC_BYTES], audit_head *out,
                            tars_error *err);

/* What it says, with nothing that vouches for it. False when it is no head. */
bool audit_head_parse(const char bytes[AUDIT_HEAD_BYTES], audit_head *out);

/* "FOLDER/audit-000007.log" and "FOLDER/head"; false when they do not fit. */
bool audit_segment_path(const char *folder, uint64_t number, char *out, size_t size_bytes);
bool audit_head_path(const char *folder, char *out, size_t size_bytes);
/* The number in the name of such a file; 0: it is none. */
uint64_t audit_segment_number(const char *name);
/* Smallest and largest number of the files in a folder; 0 when there are none. */
tars_status audit_segments(const char *folder, uint64_t *smallest, uint64_t *largest,
                           tars_error *err);

#endif
