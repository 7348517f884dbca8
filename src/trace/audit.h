/* The audit log: what was refused, which keys were used, what was imported, what was configured, in
 * a form that can be proven afterwards (audit_record.h, audit_head.h; audit_verify.h proves it).
 *
 * A folder holds the files audit-000001.log, audit-000002.log …, of which only the last one grows,
 * the signed head, and the file lock. Each record carries the hash of the one before; every so many
 * records, and at the end of each file, a checkpoint is signed. Sequence and chain go on over files
 * and processes, any number of which may append at the same time. When audit_write returns, the
 * record is written and the head vouches for it. A process that dies in between leaves a record, or
 * a part of one, that nothing vouches for: the next writer keeps whole ones, drops the rest and
 * records both. A log that was tampered with is never repaired: a new file goes on behind it, and a
 * record says so.
 *
 * Ownership: audit_open makes it, audit_close ends it. Any thread may write. */
#ifndef TRACE_AUDIT_H
#define TRACE_AUDIT_H

#include "trace/audit_record.h"

typedef enum audit_sync {
    AUDIT_SYNC_ALWAYS,     /* a record is on the disk before audit_write returns */
    AUDIT_SYNC_CHECKPOINT, /* with checkpoints, at the end of a file and at the end */
    AUDIT_SYNC_NEVER       /* the system decides */
} audit_sync;

#define AUDIT_ROTATE_BYTES UINT64_C(100000000)
enum { AUDIT_CHECKPOINT_RECORDS = 256 };

typedef struct audit_options {
    const char *home;   /* of the signing key; copied */
    const char *folder; /* copied; NULL: HOME/audit */
    audit_sync sync;
    bool refuses;                /* audit_write fails when a record cannot be written */
    uint64_t rotate_bytes;       /* 0: AUDIT_ROTATE_BYTES */
    uint32_t keep;               /* full files that are kept; 0: all */
    uint32_t checkpoint_records; /* 0: AUDIT_CHECKPOINT_RECORDS */
    redact_words redact;         /* borrowed */
} audit_options;

typedef struct audit_log audit_log;

/* Touches no file: they are made with the first record. */
tars_status audit_open(const audit_options *options, audit_log **out, tars_error *err);
/* NULL is allowed. Brings to the disk what the policy says. */
void audit_close(audit_log *log);

/* With NULL for the log nothing is recorded. Otherwise a record that cannot be written is counted,
 * and so recorded with the next one that can; the failure is returned only when the options say
 * that it refuses. */
tars_status audit_write(audit_log *log, const audit_event *event, tars_error *err);
/* Records the event if the digest is another one than that which was recorded last; zeros at first.
 */
tars_status audit_write_configuration(audit_log *log, const uint8_t digest[SHA256_DIGEST_BYTES],
                                      const audit_event *event, tars_error *err);

/* Whether work is to be recorded before it begins, and not begun without that. */
bool audit_refuses(const audit_log *log);
/* How many records could not be written so far; *why (may be NULL) is the last failure. */
uint64_t audit_lost(audit_log *log, tars_error *why);

/* The folder of a log: `folder`, or HOME/audit when that is NULL or "". */
tars_status audit_folder_path(const char *home, const char *folder, char *out, size_t size_bytes,
                              tars_error *err);

#endif
