#include "trace/audit.h"

#include "store/files.h"
#include "trace/audit_chain.h"

#include <stdlib.h>
#include <string.h>

enum { LOCK_TIMEOUT_MS = 10000 }; /* others may be waiting for the disk */

struct audit_log {
    audit_options options; /* its paths are those below */
    char home[PLATFORM_PATH_BYTES], folder[PLATFORM_PATH_BYTES], lock_path[PLATFORM_PATH_BYTES];
    platform_mutex lock; /* of all below */
    audit_chain chain;
    bool is_ready;
    uint64_t n_lost, n_untold; /* in all; not yet recorded */
    tars_error trouble;        /* the last failure */
};

tars_status audit_folder_path(const char *home, const char *folder, char *out, size_t size_bytes,
                              tars_error *err) {
    return folder && folder[0] != '\0' ? files_join(out, size_bytes, folder, "", err)
                                       : files_join(out, size_bytes, home, "audit", err);
}

tars_status audit_open(const audit_options *options, audit_log **out, tars_error *err) {
    *out = NULL;
    audit_log *log = calloc(1, sizeof *log);
    if (!log) {
        return error_set(err, TARS_OUT_OF_MEMORY, "no memory for an audit log");
    }
    tars_status status = files_join(log->home, sizeof log->home, options->home, "", err);
    if (status == TARS_OK) {
        status =
            audit_folder_path(options->home, options->folder, log->folder, sizeof log->folder, err);
    }
    if (status == TARS_OK) {
        status = files_join(log->lock_path, sizeof log->lock_path, log->folder, "lock", err);
    }
    if (status != TARS_OK) {
        free(log);
        return status;
    }
    log->options = *options;
    log->options.home = log->home;
    log->options.folder = log->folder;
    if (log->options.rotate_bytes == 0) {
        log->options.rotate_bytes = AUDIT_ROTATE_BYTES;
    }
    if (log->options.checkpoint_records == 0) {
        log->options.checkpoint_records = AUDIT_CHECKPOINT_RECORDS;
    }
    *out = log;
    return TARS_OK;
}

void audit_close(audit_log *log) {
    if (log && log->is_ready) {
        if (log->options.sync == AUDIT_SYNC_CHECKPOINT) {
            (void)audit_chain_sync(&log->chain, NULL);
        }
        audit_chain_free(&log->chain);
    }
    free(log);
}

/* ---- writing --------------------------------------------------------------------------------- */

static tars_status make_ready(audit_log *log, tars_error *err) {
    keys *signer = NULL;
    if (log->is_ready) {
        return TARS_OK;
    }
    tars_status status = platform_make_folders(log->folder, err);
    if (status == TARS_OK) {
        status = keys_open(log->home, &signer, err);
    }
    if (status == TARS_OK) {
        status = audit_chain_init(&log->chain, &log->options, log->folder, signer, err);
        log->is_ready = status == TARS_OK;
        if (status != TARS_OK) {
            keys_close(signer);
        }
    }
    return status;
}

/* An interrupt ends the user's work, and not the recording of it. */
static tars_status take_lock(const audit_log *log, platform_lock *lock, tars_error *err) {
    const uint64_t timeout_ns = LOCK_TIMEOUT_MS * UINT64_C(1000000);
    const uint64_t pause_ns = 500000;
    uint64_t start_ns = platform_clock_ns();
    for (;;) {
        tars_status status = platform_lock_take(log->lock_path, timeout_ns, lock, err);
        if (status != TARS_CANCELLED || platform_clock_ns() - start_ns >= timeout_ns) {
            return status;
        }
        platform_sleep_ns(pause_ns);
    }
}

static tars_status tell_lost(audit_log *log, tars_error *err) {
    log_field fields[] = {{"records", NULL, log->n_untold}, {"reason", log->trouble.message, 0}};
    audit_event event = {.kind = AUDIT_LOG_LOST,
                         .subject = "records could not be written",
                         .attributes = fields,
                         .n_attributes = sizeof fields / sizeof fields[0]};
    if (log->n_untold == 0) {
        return TARS_OK;
    }
    tars_status status = audit_chain_append(&log->chain, &event, NULL, err);
    log->n_untold = status == TARS_OK ? 0 : log->n_untold;
    return status;
}

static tars_status write_locked(audit_log *log, const audit_event *event,
                                const uint8_t *configuration, tars_error *err) {
    const audit_head *head = &log->chain.head;
    tars_status status = audit_chain_find_end(&log->chain, err);
    if (status == TARS_OK) {
        status = tell_lost(log, err);
    }
    if (status == TARS_OK && configuration && /* another process may have been first */
        memcmp(configuration, head->configuration, sizeof head->configuration) == 0) {
        return TARS_OK;
    }
    return status == TARS_OK ? audit_chain_append(&log->chain, event, configuration, err) : status;
}

/* Others need not wait for the disk. */
static void sync_checkpoint(audit_log *log) {
    if (log->chain.wants_sync && log->options.sync == AUDIT_SYNC_CHECKPOINT) {
        (void)audit_chain_sync(&log->chain, NULL); /* else with the next checkpoint */
    }
    log->chain.wants_sync = false;
}

static tars_status write_event(audit_log *log, const audit_event *event,
                               const uint8_t *configuration, tars_error *err) {
    tars_error why;
    platform_lock lock;
    error_clear(&why);
    platform_mutex_lock(&log->lock);
    tars_status status = make_ready(log, &why);
    if (status == TARS_OK) {
        status = take_lock(log, &lock, &why);
        if (status == TARS_OK) {
            status = write_locked(log, event, configuration, &why);
            platform_lock_release(&lock);
            sync_checkpoint(log);
        }
    }
    if (status != TARS_OK) {
        log->n_lost++;
        log->n_untold++;
        log->trouble = why;
    }
    platform_mutex_unlock(&log->lock);
    if (status == TARS_OK || !log->options.refuses) {
        return TARS_OK;
    }
    error_set(err, status, "refused, since it cannot be recorded: %s", why.message);
    error_where(err, "%s", log->folder);
    error_cause(err, "%s", why.cause);
    return error_hint(err, "make room, or give access to the folder of the audit log; "
                           "deployment.audit.on_failure says what happens otherwise");
}

tars_status audit_write(audit_log *log, const audit_event *event, tars_error *err) {
    return log ? write_event(log, event, NULL, err) : TARS_OK;
}

/* The digest that the head names; zeros when there is none. Nothing vouches for it: whoever changes
 * it to hide a change of the configuration breaks the head. */
static void last_configuration(const audit_log *log, uint8_t digest[SHA256_DIGEST_BYTES]) {
    char path[PLATFORM_PATH_BYTES];
    char *bytes = NULL;
    size_t length = 0;
    audit_head head;
    memset(digest, 0, SHA256_DIGEST_BYTES);
    if (audit_head_path(log->folder, path, sizeof path) && files_exists(path) &&
        platform_file_read_all(path, AUDIT_HEAD_BYTES, &bytes, &length, NULL) == TARS_OK &&
        length == AUDIT_HEAD_BYTES && audit_head_parse(bytes, &head)) {
        memcpy(digest, head.configuration, SHA256_DIGEST_BYTES);
    }
    free(bytes);
}

tars_status audit_write_configuration(audit_log *log, const uint8_t digest[SHA256_DIGEST_BYTES],
                                      const audit_event *event, tars_error *err) {
    uint8_t last[SHA256_DIGEST_BYTES];
    if (!log) {
        return TARS_OK;
    }
    last_configuration(log, last);
    return memcmp(last, digest, sizeof last) == 0 ? TARS_OK : write_event(log, event, digest, err);
}

bool audit_refuses(const audit_log *log) {
    return log && log->options.refuses;
}

uint64_t audit_lost(audit_log *log, tars_error *why) {
    if (!log) {
        return 0;
    }
    platform_mutex_lock(&log->lock);
    uint64_t n_lost = log->n_lost;
    if (why) {
        *why = log->trouble;
    }
    platform_mutex_unlock(&log->lock);
    return n_lost;
}
