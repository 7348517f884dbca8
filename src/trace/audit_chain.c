#include "trace/audit_chain.h"

#include "store/files.h"
#include "store/hex.h"
#include "trace/audit_lines.h"

#include <stdlib.h>
#include <string.h>

#define RECOVER_MAX_BYTES (UINT64_C(64) << 20)

tars_status audit_chain_init(audit_chain *chain, const audit_options *options, const char *folder,
                             keys *signer, tars_error *err) {
    *chain = (audit_chain){.options = options, .folder = folder, .signer = signer};
    chain->line = malloc(AUDIT_LINE_BYTES);
    return chain->line ? TARS_OK : error_set(err, TARS_OUT_OF_MEMORY, "no memory for a record");
}

static void close_files(audit_chain *chain) {
    if (chain->has_head_file) {
        platform_file_close(&chain->head_file);
    }
    if (chain->open_segment > 0) {
        platform_file_close(&chain->segment);
    }
    chain->has_head_file = false;
    chain->open_segment = 0;
    chain->knows_head = false;
}

void audit_chain_free(audit_chain *chain) {
    close_files(chain);
    keys_close(chain->signer);
    free(chain->line);
    *chain = (audit_chain){0};
}

tars_status audit_chain_sync(audit_chain *chain, tars_error *err) {
    if (!chain->is_unsynced || !chain->has_head_file || chain->open_segment == 0) {
        return TARS_OK;
    }
    /* the records first: a head on the disk without them would say that they were cut off */
    tars_status status = platform_file_sync(&chain->segment, err);
    if (status == TARS_OK) {
        status = platform_file_sync(&chain->head_file, err);
    }
    chain->is_unsynced = chain->is_unsynced && status != TARS_OK;
    return status;
}

/* ---- the head and the last file -------------------------------------------------------------- */

static tars_status write_head(audit_chain *chain, audit_head *next, tars_error *err) {
    char bytes[AUDIT_HEAD_BYTES];
    tars_status status = audit_head_write(next, chain->signer, bytes, err);
    if (status == TARS_OK) {
        status = platform_file_write_at(&chain->head_file, 0, bytes, sizeof bytes, err);
    }
    if (status == TARS_OK && chain->options->sync == AUDIT_SYNC_ALWAYS) {
        status = platform_file_sync(&chain->head_file, err);
    }
    if (status == TARS_OK) {
        memcpy(chain->head_bytes, bytes, sizeof bytes);
        chain->head = *next;
    }
    chain->knows_head = status == TARS_OK;
    return status;
}

static tars_status open_segment(audit_chain *chain, uint64_t number, tars_error *err) {
    char path[PLATFORM_PATH_BYTES];
    platform_file file;
    if (chain->open_segment == number) {
        return TARS_OK;
    }
    if (!audit_segment_path(chain->folder, number, path, sizeof path)) {
        return error_set(err, TARS_LIMIT, "the path of the audit log is too long");
    }
    tars_status status = platform_file_open_append(path, 0600, &file, err);
    if (status == TARS_OK) {
        if (chain->open_segment > 0) {
            platform_file_close(&chain->segment);
        }
        chain->segment = file;
        chain->open_segment = number;
    }
    return status;
}

/* ---- appending ------------------------------------------------------------------------------- */

/* Writes the line and then the head that vouches for it; neither counts without the other. */
static tars_status commit(audit_chain *chain, const text_buffer *line, audit_head *next,
                          tars_error *err) {
    uint64_t before = chain->head.bytes;
    if (line->truncated) {
        return error_set(err, TARS_LIMIT, "the record is too long");
    }
    next->bytes += line->length;
    chain->is_unsynced = true;
    tars_status status = platform_file_write(&chain->segment, line->data, line->length, err);
    if (status == TARS_OK && chain->options->sync == AUDIT_SYNC_ALWAYS) {
        status = platform_file_sync(&chain->segment, err);
    }
    if (status == TARS_OK) {
        status = write_head(chain, next, err);
    }
    if (status != TARS_OK) {
        (void)platform_file_truncate(&chain->segment, before, NULL);
    }
    return status;
}

/* The next record's place, and the head that will be. */
static audit_stamp stamp_of(const audit_chain *chain, audit_head *next) {
    audit_stamp stamp = {.sequence = chain->head.sequence + 1, .time_ns = platform_wall_clock_ns()};
    memcpy(stamp.previous, chain->head.hash, sizeof stamp.previous);
    *next = chain->head;
    next->sequence++;
    return stamp;
}

static tars_status write_checkpoint(audit_chain *chain, const char *reason, tars_error *err) {
    audit_head next;
    text_buffer line;
    audit_stamp stamp = stamp_of(chain, &next);
    text_init(&line, chain->line, AUDIT_LINE_BYTES);
    tars_status status = audit_checkpoint_write(&line, reason, &stamp, chain->head.log_id,
                                                chain->signer, next.hash, err);
    next.checkpoint = next.sequence;
    if (status == TARS_OK) {
        status = commit(chain, &line, &next, err);
    }
    chain->wants_sync = chain->wants_sync || status == TARS_OK;
    return status;
}

static tars_status write_record(audit_chain *chain, const audit_event *event,
                                const uint8_t *configuration, tars_error *err) {
    audit_head next;
    text_buffer line;
    audit_stamp stamp = stamp_of(chain, &next);
    text_init(&line, chain->line, AUDIT_LINE_BYTES);
    audit_record_write(&line, event, &stamp, &chain->options->redact, next.hash);
    if (configuration) {
        memcpy(next.configuration, configuration, sizeof next.configuration);
    }
    return commit(chain, &line, &next, err);
}

/* ---- full files ------------------------------------------------------------------------------ */

/* A file of the log, to be read from its beginning. */
typedef struct segment_reader {
    platform_file file;
    audit_lines lines;
} segment_reader;

static tars_status open_reader(const audit_chain *chain, uint64_t number, segment_reader *out,
                               tars_error *err) {
    char path[PLATFORM_PATH_BYTES];
    platform_file_info info;
    if (!audit_segment_path(chain->folder, number, path, sizeof path)) {
        return error_set(err, TARS_LIMIT, "the path of the audit log is too long");
    }
    tars_status status = platform_file_open(path, &out->file, err);
    if (status != TARS_OK) {
        return status;
    }
    status = platform_file_get_info(&out->file, &info, err);
    if (status == TARS_OK) {
        status = audit_lines_open(&out->lines, &out->file, 0, info.size_bytes, err);
    }
    if (status != TARS_OK) {
        platform_file_close(&out->file);
    }
    return status;
}

static void close_reader(segment_reader *reader) {
    audit_lines_close(&reader->lines);
    platform_file_close(&reader->file);
}

/* The first record of a file. */
static tars_status first_of(const audit_chain *chain, uint64_t number, audit_scan *out,
                            tars_error *err) {
    segment_reader reader;
    const char *line = NULL;
    size_t length = 0;
    bool is_whole = false;
    tars_status status = open_reader(chain, number, &reader, err);
    if (status != TARS_OK) {
        return status;
    }
    status = audit_lines_next(&reader.lines, &line, &length, &is_whole, err);
    bool begins = status == TARS_OK && is_whole && !audit_record_scan(line, length, out);
    close_reader(&reader);
    if (status == TARS_OK && !begins) {
        error_set(err, TARS_CORRUPT, "the file begins with no record");
        return TARS_CORRUPT;
    }
    return status;
}

/* Files beyond those that are kept go, oldest first; the head says from now on where the log
 * begins. One that cannot be read stays: it is no file that was written here. */
static void remove_old(audit_chain *chain) {
    uint64_t keep = chain->options->keep;
    uint64_t first = chain->head.first;
    uint64_t n_removed = 0;
    while (keep > 0 && chain->head.segment - chain->head.first_segment > keep) {
        char path[PLATFORM_PATH_BYTES];
        audit_scan scan;
        audit_head next = chain->head;
        if (first_of(chain, chain->head.first_segment + 1, &scan, NULL) != TARS_OK ||
            !audit_segment_path(chain->folder, chain->head.first_segment, path, sizeof path)) {
            break;
        }
        next.first_segment++;
        next.first = scan.sequence;
        memcpy(next.before, scan.previous, sizeof next.before);
        if (write_head(chain, &next, NULL) != TARS_OK) {
            break;
        }
        (void)platform_remove(path, NULL);
        n_removed++;
    }
    if (n_removed > 0) {
        log_field fields[] = {{"first", NULL, first},
                              {"last", NULL, chain->head.first - 1},
                              {"files", NULL, n_removed}};
        audit_event event = {.kind = AUDIT_LOG_REMOVED,
                             .subject = chain->folder,
                             .attributes = fields,
                             .n_attributes = sizeof fields / sizeof fields[0]};
        (void)write_record(chain, &event, NULL, NULL);
    }
}

/* A file that cannot be ended goes on growing. */
static void rotate(audit_chain *chain) {
    if (chain->head.checkpoint != chain->head.sequence &&
        write_checkpoint(chain, "the file is full", NULL) != TARS_OK) {
        return;
    }
    uint64_t old = chain->head.segment;
    audit_head next = chain->head;
    next.segment++;
    next.bytes = 0;
    if (chain->options->sync != AUDIT_SYNC_NEVER) {
        (void)audit_chain_sync(chain, NULL);
    }
    if (open_segment(chain, next.segment, NULL) != TARS_OK) {
        return;
    }
    if (write_head(chain, &next, NULL) != TARS_OK) {
        (void)open_segment(chain, old, NULL);
        return;
    }
    remove_old(chain);
}

tars_status audit_chain_append(audit_chain *chain, const audit_event *event,
                               const uint8_t *configuration, tars_error *err) {
    const audit_options *options = chain->options;
    if (chain->head.bytes >= options->rotate_bytes) {
        rotate(chain);
    }
    tars_status status = write_record(chain, event, configuration, err);
    if (status == TARS_OK &&
        chain->head.sequence - chain->head.checkpoint >= options->checkpoint_records) {
        (void)write_checkpoint(chain, "regular", NULL); /* else with the next record */
    }
    return status;
}

/* ---- finding the end ------------------------------------------------------------------------- */

static tars_status record_recovered(audit_chain *chain, uint64_t n_records, uint64_t n_dropped,
                                    tars_error *err) {
    log_field fields[] = {{"records", NULL, n_records}, {"dropped_bytes", NULL, n_dropped}};
    audit_event event = {.kind = AUDIT_LOG_RECOVERED,
                         .subject = "a writer ended before its record was acknowledged",
                         .attributes = fields,
                         .n_attributes = sizeof fields / sizeof fields[0]};
    return audit_chain_append(chain, &event, NULL, err);
}

/* Whether a line behind the end that counts continues the chain. */
static bool continues(const audit_chain *chain, const audit_head *end, const char *line,
                      size_t length, audit_scan *scan) {
    return !audit_record_scan(line, length, scan) && scan->sequence == end->sequence + 1 &&
           memcmp(scan->previous, end->hash, sizeof end->hash) == 0 &&
           (!scan->is_checkpoint ||
            (strcmp(scan->log_id, end->log_id) == 0 &&
             audit_checkpoint_is_signed(line, scan, keys_public(chain->signer))));
}

/* Whole records behind the end are what a writer left that died before the head was written. */
static tars_status recover(audit_chain *chain, uint64_t size_bytes, tars_error *err) {
    audit_head next = chain->head;
    audit_lines lines;
    audit_scan scan;
    const char *line = NULL;
    size_t length = 0;
    bool is_whole = false;
    uint64_t most = next.bytes + RECOVER_MAX_BYTES;
    tars_status status = audit_lines_open(&lines, &chain->segment, next.bytes,
                                          size_bytes < most ? size_bytes : most, err);
    while (status == TARS_OK) {
        status = audit_lines_next(&lines, &line, &length, &is_whole, err);
        if (status != TARS_OK || !is_whole || !continues(chain, &next, line, length, &scan)) {
            break;
        }
        next.bytes += length + 1;
        next.sequence = scan.sequence;
        memcpy(next.hash, scan.hash, sizeof next.hash);
        next.checkpoint = scan.is_checkpoint ? scan.sequence : next.checkpoint;
    }
    audit_lines_close(&lines);
    uint64_t n_records = next.sequence - chain->head.sequence;
    uint64_t n_dropped = size_bytes - next.bytes;
    if (status == TARS_OK && n_dropped > 0) {
        status = platform_file_truncate(&chain->segment, next.bytes, err);
    }
    if (status == TARS_OK && n_records > 0) {
        status = write_head(chain, &next, err);
    }
    return status == TARS_OK ? record_recovered(chain, n_records, n_dropped, err) : status;
}

/* Goes on in a new file behind all that there are, and says why. */
static tars_status go_on_behind(audit_chain *chain, audit_head *next, const char *why,
                                tars_error *err) {
    uint64_t smallest = 0;
    uint64_t largest = 0;
    audit_event event = {.kind = AUDIT_LOG_TAMPERED, .subject = why};
    tars_status status = audit_segments(chain->folder, &smallest, &largest, err);
    next->segment = (largest > next->segment ? largest : next->segment) + 1;
    next->bytes = 0;
    if (status == TARS_OK) {
        status = open_segment(chain, next->segment, err);
    }
    if (status == TARS_OK) {
        status = write_head(chain, next, err);
    }
    return status == TARS_OK ? audit_chain_append(chain, &event, NULL, err) : status;
}

static tars_status new_head(audit_head *out, tars_error *err) {
    uint8_t id[(AUDIT_ID_BYTES - 1) / 2];
    *out = (audit_head){.first_segment = 1, .first = 1, .segment = 1};
    tars_status status = platform_random(id, sizeof id, err);
    if (status == TARS_OK) {
        hex_encode(id, sizeof id, out->log_id);
    }
    return status;
}

/* The last good record of a file, as far as its own hash can tell. */
static tars_status last_of(const audit_chain *chain, uint64_t number, audit_head *next,
                           tars_error *err) {
    segment_reader reader;
    const char *line = NULL;
    size_t length = 0;
    bool is_whole = false;
    audit_scan scan;
    tars_status status = open_reader(chain, number, &reader, err);
    if (status != TARS_OK) {
        return status;
    }
    do {
        status = audit_lines_next(&reader.lines, &line, &length, &is_whole, err);
        if (status != TARS_OK || !is_whole || audit_record_scan(line, length, &scan)) {
            continue;
        }
        next->sequence = scan.sequence;
        memcpy(next->hash, scan.hash, sizeof next->hash);
        if (scan.is_checkpoint &&
            audit_checkpoint_is_signed(line, &scan, keys_public(chain->signer))) {
            memcpy(next->log_id, scan.log_id, sizeof next->log_id);
            next->checkpoint = scan.sequence;
        }
    } while (status == TARS_OK && line);
    close_reader(&reader);
    return status;
}

/* A first file without a record: its head could not be written. */
static bool is_unused(const audit_chain *chain, uint64_t number) {
    char path[PLATFORM_PATH_BYTES];
    platform_kind kind = PLATFORM_KIND_MISSING;
    platform_file_info info = {0};
    return number == 1 && audit_segment_path(chain->folder, number, path, sizeof path) &&
           platform_path_kind(path, &kind, &info, NULL) == TARS_OK && kind == PLATFORM_KIND_FILE &&
           info.size_bytes == 0;
}

/* There is no head, or none that can be trusted. */
static tars_status begin(audit_chain *chain, const char *why, tars_error *err) {
    audit_head next;
    uint64_t smallest = 0;
    uint64_t largest = 0;
    audit_scan scan;
    tars_status status = audit_segments(chain->folder, &smallest, &largest, err);
    if (status == TARS_OK) {
        status = new_head(&next, err);
    }
    if (status == TARS_OK) { /* it may be longer than a head */
        status = platform_file_truncate(&chain->head_file, 0, err);
    }
    if (status != TARS_OK) {
        return status;
    }
    if (largest == 0 || is_unused(chain, largest)) {
        status = open_segment(chain, next.segment, err);
        return status == TARS_OK ? write_head(chain, &next, err) : status;
    }
    next.first_segment = smallest;
    next.segment = largest;
    status = last_of(chain, largest, &next, err);
    if (status == TARS_OK && first_of(chain, smallest, &scan, NULL) == TARS_OK) {
        next.first = scan.sequence;
        memcpy(next.before, scan.previous, sizeof next.before);
    }
    return status == TARS_OK ? go_on_behind(chain, &next, why, err) : status;
}

/* False when the head's path leads to another file by now, or to none. */
static bool is_current(const audit_chain *chain, const char *path) {
    platform_kind kind = PLATFORM_KIND_MISSING;
    platform_file_info info = {0};
    return chain->has_head_file && platform_path_kind(path, &kind, &info, NULL) == TARS_OK &&
           kind == PLATFORM_KIND_FILE && info.inode == chain->head_info.inode &&
           info.device == chain->head_info.device;
}

static tars_status open_head(audit_chain *chain, tars_error *err) {
    char path[PLATFORM_PATH_BYTES];
    if (!audit_head_path(chain->folder, path, sizeof path)) {
        return error_set(err, TARS_LIMIT, "the path of the audit log is too long");
    }
    if (is_current(chain, path)) {
        return TARS_OK;
    }
    close_files(chain);
    tars_status status = platform_file_open_update(path, 0600, &chain->head_file, err);
    if (status == TARS_OK) {
        chain->has_head_file = true;
        status = platform_file_get_info(&chain->head_file, &chain->head_info, err);
    }
    return status;
}

static tars_status read_head(audit_chain *chain, tars_error *err) {
    char bytes[AUDIT_HEAD_BYTES];
    platform_file_info info;
    tars_error why;
    error_clear(&why);
    tars_status status = platform_file_get_info(&chain->head_file, &info, err);
    if (status != TARS_OK) {
        return status;
    }
    if (info.size_bytes != sizeof bytes) {
        return begin(chain,
                     info.size_bytes == 0 ? "the head of the audit log was removed"
                                          : "the head of the audit log is damaged",
                     err);
    }
    status = platform_file_read_at(&chain->head_file, 0, bytes, sizeof bytes, err);
    if (status != TARS_OK ||
        (chain->knows_head && memcmp(bytes, chain->head_bytes, sizeof bytes) == 0)) {
        return status;
    }
    status = audit_head_read(bytes, keys_public(chain->signer), &chain->head, &why);
    if (status != TARS_OK) {
        return begin(chain, why.message, err);
    }
    memcpy(chain->head_bytes, bytes, sizeof bytes);
    chain->knows_head = true;
    return TARS_OK;
}

static tars_status check_segment(audit_chain *chain, tars_error *err) {
    platform_file_info info;
    tars_status status = open_segment(chain, chain->head.segment, err);
    if (status == TARS_OK) {
        status = platform_file_get_info(&chain->segment, &info, err);
    }
    if (status != TARS_OK || info.size_bytes == chain->head.bytes) {
        return status;
    }
    if (info.size_bytes > chain->head.bytes) {
        return recover(chain, info.size_bytes, err);
    }
    audit_head next = chain->head;
    return go_on_behind(chain, &next, "records were cut off at the end", err);
}

static tars_status start(audit_chain *chain, tars_error *err) {
    log_field fields[] = {{"log", chain->head.log_id, 0}, {"version", NULL, 1}};
    audit_event event = {.kind = AUDIT_LOG_STARTED,
                         .subject = chain->folder,
                         .attributes = fields,
                         .n_attributes = sizeof fields / sizeof fields[0]};
    audit_event created = {.kind = AUDIT_KEY_CREATED, .subject = keys_id(chain->signer)};
    tars_status status = audit_chain_append(chain, &event, NULL, err);
    if (status == TARS_OK && keys_is_new(chain->signer)) {
        status = audit_chain_append(chain, &created, NULL, err);
    }
    return status;
}

tars_status audit_chain_find_end(audit_chain *chain, tars_error *err) {
    tars_status status = open_head(chain, err);
    if (status == TARS_OK) {
        status = read_head(chain, err);
    }
    if (status == TARS_OK) {
        status = check_segment(chain, err);
    }
    if (status == TARS_OK && chain->head.sequence == 0) {
        status = start(chain, err);
    }
    return status;
}
