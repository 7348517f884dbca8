#include "trace/audit_verify.h"

#include "platform/platform.h"
#include "trace/audit_lines.h"

#include <string.h>

typedef struct verifier {
    const audit_verify_options *options;
    audit_verdict *out;
    uint64_t next; /* sequence that is due; 0: any, for the first record of a single file */
    uint8_t previous[SHA256_DIGEST_BYTES];
    char log_id[AUDIT_ID_BYTES]; /* "": not known yet */
    char file[AUDIT_FILE_BYTES];
    uint64_t line, offset; /* in the file */
    bool is_stopped;
} verifier;

static void bad(verifier *v, uint64_t sequence, const char *format, ...) BASE_PRINTF(3, 4);
static void bad(verifier *v, uint64_t sequence, const char *format, ...) {
    audit_verdict *out = v->out;
    text_buffer text;
    va_list arguments;
    v->is_stopped = true;
    out->is_valid = false;
    out->bad_sequence = sequence;
    out->bad_line = v->line;
    out->bad_offset = v->offset;
    memcpy(out->bad_file, v->file, sizeof out->bad_file);
    text_init(&text, out->reason, sizeof out->reason);
    va_start(arguments, format);
    text_format_list(&text, format, arguments);
    va_end(arguments);
}

/* ---- one record ------------------------------------------------------------------------------ */

/* Of what is due where a line is wrong; a single file may begin with any record. */
static uint64_t due(const verifier *v, const audit_scan *scan) {
    return v->next > 0 ? v->next : scan->sequence;
}

static bool check_place(verifier *v, const audit_scan *scan) {
    unsigned long long found = scan->sequence;
    unsigned long long next = v->next;
    if (v->next == 0) {
        return true;
    }
    if (scan->sequence > v->next) {
        bad(v, v->next, "record %llu is missing: record %llu follows record %llu", next, found,
            next - 1);
    } else if (scan->sequence < v->next) {
        bad(v, v->next, "record %llu stands where record %llu is due: it was inserted or moved",
            found, next);
    } else if (memcmp(scan->previous, v->previous, sizeof v->previous) != 0) {
        bad(v, v->next,
            v->out->records > 0
                ? "record %llu does not follow the one before it: one of the two was replaced"
                : "record %llu does not begin the chain: it was replaced",
            next);
    }
    return !v->is_stopped;
}

static bool check_signature(verifier *v, const char *line, const audit_scan *scan) {
    char own_id[KEYS_ID_BYTES];
    unsigned long long number = scan->sequence;
    uint64_t from = v->out->signed_to + 1;
    keys_id_of(v->options->public_key, own_id);
    if (v->log_id[0] == '\0') {
        memcpy(v->log_id, scan->log_id, sizeof v->log_id);
    }
    if (strcmp(v->log_id, scan->log_id) != 0) {
        bad(v, scan->sequence, "the checkpoint %llu belongs to log %s, not to %s", number,
            scan->log_id, v->log_id);
    } else if (strcmp(own_id, scan->key_id) != 0) {
        bad(v, scan->sequence, "the checkpoint %llu is signed by key %s, expected %s", number,
            scan->key_id, own_id);
    } else if (!audit_checkpoint_is_signed(line, scan, v->options->public_key)) {
        bad(v, scan->sequence,
            "the signature of checkpoint %llu does not fit: a record from %llu on was replaced",
            number, (unsigned long long)from);
    }
    return !v->is_stopped;
}

static void take_line(verifier *v, const char *line, size_t length, bool is_whole) {
    audit_verdict *out = v->out;
    audit_scan scan;
    const char *wrong = audit_record_scan(line, length, &scan);
    if (!is_whole || wrong) {
        bad(v, due(v, &scan), "%s", wrong ? wrong : "the record is cut off");
        return;
    }
    if (!check_place(v, &scan) || (scan.is_checkpoint && !check_signature(v, line, &scan))) {
        return;
    }
    if (audit_scan_is(&scan, AUDIT_LOG_TAMPERED)) {
        bad(v, scan.sequence,
            "record %llu says that the log before it was not as it had been written",
            (unsigned long long)scan.sequence);
        return;
    }
    if (v->options->expected_sequence == scan.sequence &&
        memcmp(v->options->expected_hash, scan.hash, sizeof scan.hash) != 0) {
        bad(v, scan.sequence, "record %llu is another one than expected",
            (unsigned long long)scan.sequence);
        return;
    }
    out->first = out->records == 0 ? scan.sequence : out->first;
    out->last = scan.sequence;
    out->records++;
    memcpy(out->last_hash, scan.hash, sizeof out->last_hash);
    memcpy(v->previous, scan.hash, sizeof v->previous);
    v->next = scan.sequence + 1;
    if (scan.is_checkpoint) {
        out->checkpoints++;
        out->signed_to = scan.sequence;
    }
    if (v->options->visit && !v->options->visit(v->options->user, line, length, &scan)) {
        v->is_stopped = true;
    }
}

/* ---- files ----------------------------------------------------------------------------------- */

static void begin_file(verifier *v, const char *path) {
    const char *slash = strrchr(path, '/');
    text_buffer text;
    text_init(&text, v->file, sizeof v->file);
    text_append_string(&text, slash ? slash + 1 : path);
    v->line = 0;
    v->offset = 0;
}

/* The first `most` bytes of a file. */
static tars_status take_file(verifier *v, const platform_file *file, uint64_t most,
                             tars_error *err) {
    audit_lines lines;
    const char *line = NULL;
    size_t length = 0;
    bool is_whole = false;
    tars_status status = audit_lines_open(&lines, file, 0, most, err);
    while (status == TARS_OK && !v->is_stopped) {
        status = audit_lines_next(&lines, &line, &length, &is_whole, err);
        if (status != TARS_OK || !line) {
            break;
        }
        v->line++;
        v->offset = lines.offset;
        take_line(v, line, length, is_whole);
    }
    audit_lines_close(&lines);
    return status;
}

/* A file of the log; the last one counts up to the head's end. */
static tars_status take_segment(verifier *v, uint64_t number, tars_error *err) {
    const audit_head *head = &v->out->head;
    char path[PLATFORM_PATH_BYTES];
    platform_file file;
    platform_file_info info;
    platform_kind kind = PLATFORM_KIND_MISSING;
    if (!audit_segment_path(v->options->path, number, path, sizeof path)) {
        return error_set(err, TARS_LIMIT, "the path of the audit log is too long");
    }
    begin_file(v, path);
    tars_status status = platform_path_kind(path, &kind, NULL, err);
    if (status == TARS_OK && kind != PLATFORM_KIND_FILE) {
        bad(v, v->next, "the file of record %llu is missing", (unsigned long long)v->next);
        return TARS_OK;
    }
    if (status == TARS_OK) {
        status = platform_file_open(path, &file, err);
    }
    if (status != TARS_OK) {
        return status;
    }
    status = platform_file_get_info(&file, &info, err);
    uint64_t most = info.size_bytes;
    if (status == TARS_OK && v->out->has_head && number == head->segment && most > head->bytes) {
        v->out->n_unsigned_bytes = most - head->bytes;
        most = head->bytes;
    }
    if (status == TARS_OK) {
        status = take_file(v, &file, most, err);
    }
    platform_file_close(&file);
    return status;
}

/* ---- the head -------------------------------------------------------------------------------- */

static tars_status read_head(const char *path, char bytes[AUDIT_HEAD_BYTES], bool *is_whole,
                             tars_error *err) {
    platform_file file;
    platform_file_info info;
    tars_status status = platform_file_open(path, &file, err);
    if (status != TARS_OK) {
        return status;
    }
    status = platform_file_get_info(&file, &info, err);
    *is_whole = status == TARS_OK && info.size_bytes == AUDIT_HEAD_BYTES;
    if (*is_whole) {
        status = platform_file_read_at(&file, 0, bytes, AUDIT_HEAD_BYTES, err);
    }
    platform_file_close(&file);
    return status;
}

/* A writer may be writing it now: a wrong one is read again. */
static tars_status take_head(verifier *v, tars_error *err) {
    enum { TRIES = 4, PAUSE_NS = 2000000 };
    char path[PLATFORM_PATH_BYTES];
    char bytes[AUDIT_HEAD_BYTES];
    tars_error why;
    platform_kind kind = PLATFORM_KIND_MISSING;
    audit_verdict *out = v->out;
    error_clear(&why);
    if (!audit_head_path(v->options->path, path, sizeof path)) {
        return error_set(err, TARS_LIMIT, "the path of the audit log is too long");
    }
    tars_status status = platform_path_kind(path, &kind, NULL, err);
    if (status != TARS_OK || kind != PLATFORM_KIND_FILE) {
        return status;
    }
    for (int i = 0; i < TRIES && status == TARS_OK && !out->has_head; i++) {
        bool is_whole = false;
        if (i > 0) {
            platform_sleep_ns(PAUSE_NS);
        }
        status = read_head(path, bytes, &is_whole, err);
        out->has_head = status == TARS_OK && is_whole &&
                        audit_head_read(bytes, v->options->public_key, &out->head, &why) == TARS_OK;
        if (!is_whole) {
            error_set(&why, TARS_CORRUPT, "the head of the audit log is damaged");
        }
    }
    if (status == TARS_OK && !out->has_head) {
        text_buffer text; /* told behind the records, if those are good */
        text_init(&text, out->reason, sizeof out->reason);
        text_append_string(&text, why.message);
    }
    return status;
}

/* Behind all records that are there. */
static void check_end(verifier *v) {
    audit_verdict *out = v->out;
    const audit_head *head = &out->head;
    uint64_t next = v->next > 0 ? v->next : 1;
    uint64_t from = out->signed_to + 1;
    if (v->is_stopped) {
        return;
    }
    if (!out->has_head) {
        char why[AUDIT_REASON_BYTES];
        memcpy(why, out->reason, sizeof why);
        begin_file(v, "head");
        bad(v, next, "%s; records from %llu on may be missing",
            why[0] != '\0' ? why : "the head of the audit log is missing",
            (unsigned long long)next);
    } else if (out->last < head->sequence || out->records == 0) {
        if (head->sequence > 0) {
            v->line++;
            bad(v, next, "record %llu is missing: records up to %llu were written",
                (unsigned long long)next, (unsigned long long)head->sequence);
        }
    } else if (out->last != head->sequence ||
               memcmp(out->last_hash, head->hash, sizeof head->hash) != 0) {
        bad(v, out->last,
            "record %llu is not the one that the head vouches for: a record from %llu on was "
            "replaced",
            (unsigned long long)out->last, (unsigned long long)from);
    } else {
        out->signed_to = out->last;
    }
}

static void check_expected(verifier *v) {
    uint64_t expected = v->options->expected_sequence;
    if (!v->is_stopped && expected > 0 &&
        (v->out->last < expected || v->out->first > expected || v->out->records == 0)) {
        bad(v, expected, "record %llu is expected and is not in the log",
            (unsigned long long)expected);
    }
}

static tars_status not_there(const char *path, tars_error *err) {
    error_set(err, TARS_NOT_FOUND, "there is no audit log");
    error_where(err, "%s", path);
    return error_hint(err, "one is made with the first event; name another folder or file, or a "
                           "store with --home");
}

static tars_status take_folder(verifier *v, tars_error *err) {
    audit_verdict *out = v->out;
    uint64_t smallest = 0;
    uint64_t largest = 0;
    tars_status status = take_head(v, err);
    if (status == TARS_OK) {
        status = audit_segments(v->options->path, &smallest, &largest, err);
    }
    if (status != TARS_OK) {
        return status;
    }
    if (largest == 0 && !out->has_head && out->reason[0] == '\0') {
        return not_there(v->options->path, err);
    }
    if (out->has_head) {
        smallest = out->head.first_segment;
        largest = out->head.segment > largest ? out->head.segment : largest;
        v->next = out->head.first;
        memcpy(v->previous, out->head.before, sizeof v->previous);
        memcpy(v->log_id, out->head.log_id, sizeof v->log_id);
    } else {
        v->next = smallest == 1 ? 1 : 0;
    }
    for (uint64_t i = smallest; i <= largest && status == TARS_OK && !v->is_stopped; i++) {
        if (out->has_head && i > out->head.segment) {
            break; /* of a writer that ended before the head was written */
        }
        status = take_segment(v, i, err);
    }
    check_end(v);
    check_expected(v);
    return status;
}

static tars_status take_single(verifier *v, tars_error *err) {
    platform_file file;
    platform_file_info info;
    tars_status status = platform_file_open(v->options->path, &file, err);
    if (status != TARS_OK) {
        return status;
    }
    begin_file(v, v->options->path);
    status = platform_file_get_info(&file, &info, err);
    if (status == TARS_OK) {
        status = take_file(v, &file, info.size_bytes, err);
    }
    check_expected(v);
    platform_file_close(&file);
    return status;
}

tars_status audit_verify(const audit_verify_options *options, audit_verdict *out, tars_error *err) {
    verifier v = {.options = options, .out = out};
    platform_kind kind = PLATFORM_KIND_MISSING;
    *out = (audit_verdict){.is_valid = true};
    tars_status status = platform_path_kind(options->path, &kind, NULL, err);
    if (status != TARS_OK) {
        return status;
    }
    if (kind == PLATFORM_KIND_MISSING) {
        return not_there(options->path, err);
    }
    return kind == PLATFORM_KIND_FOLDER ? take_folder(&v, err) : take_single(&v, err);
}

void audit_verify_bytes(const char *bytes, size_t length, const uint8_t *public_key,
                        audit_verdict *out) {
    audit_verify_options options = {.path = "", .public_key = public_key};
    verifier v = {.options = &options, .out = out};
    *out = (audit_verdict){.is_valid = true};
    for (size_t at = 0; at < length && !v.is_stopped;) {
        const char *end = memchr(bytes + at, '\n', length - at);
        size_t n = end ? (size_t)(end - bytes) - at : length - at;
        v.line++;
        v.offset = at;
        take_line(&v, bytes + at, n, end != NULL);
        at += n + 1;
    }
}
