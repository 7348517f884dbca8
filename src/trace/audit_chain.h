/* The end of an audit log on the disk, where records are appended. The caller holds the log's lock,
 * over threads and over processes, around every call.
 *
 * Ownership: audit_chain_init takes over the keys, audit_chain_free gives everything back. */
#ifndef TRACE_AUDIT_CHAIN_H
#define TRACE_AUDIT_CHAIN_H

#include "platform/platform.h"
#include "trace/audit.h"
#include "trace/audit_head.h"

typedef struct audit_chain {
    const audit_options *options; /* without zeros where those mean a default */
    const char *folder;
    keys *signer;
    platform_file head_file, segment;
    platform_file_info head_info;
    bool has_head_file;
    uint64_t open_segment; /* number of `segment`; 0: none is open */
    audit_head head;       /* as it is on the disk, once knows_head */
    char head_bytes[AUDIT_HEAD_BYTES];
    bool knows_head;
    bool is_unsynced;
    bool wants_sync; /* a checkpoint was written: audit_chain_sync is due, without the lock */
    char *line;      /* AUDIT_LINE_BYTES */
} audit_chain;

tars_status audit_chain_init(audit_chain *chain, const audit_options *options, const char *folder,
                             keys *signer, tars_error *err);
void audit_chain_free(audit_chain *chain);

/* Finds out where the log ends now, and mends or records what is not as it should be. */
tars_status audit_chain_find_end(audit_chain *chain, tars_error *err);
/* Appends a record, and a checkpoint when it is time; `configuration` may be NULL. After a failure
 * the log is as it was. */
tars_status audit_chain_append(audit_chain *chain, const audit_event *event,
                               const uint8_t *configuration, tars_error *err);
/* Brings everything to the disk. Needs no lock over processes. */
tars_status audit_chain_sync(audit_chain *chain, tars_error *err);

#endif
