#include "store/log_file.h"

#include "platform/platform.h"
#include "store/files.h"

#include <stdlib.h>
#include <string.h>

enum { LOCK_TIMEOUT_MS = 2000, SUFFIX_BYTES = 16 };

struct log_file {
    log_options options; /* its path is the one below */
    char path[PLATFORM_PATH_BYTES];
    platform_mutex lock; /* of all below */
    platform_file file;
    platform_file_info opened; /* which file that is */
    bool is_cut; /* the last line was not written whole: the next one begins with a line's end */
    char line[LOG_LINE_BYTES];
};

static tars_status open_file(log_file *log, tars_error *err) {
    tars_status status = platform_file_open_append(log->path, 0600, &log->file, err);
    if (status == TARS_OK) {
        status = platform_file_get_info(&log->file, &log->opened, err);
        if (status != TARS_OK) {
            platform_file_close(&log->file);
        }
    }
    if (status != TARS_OK) {
        log->file.handle = PLATFORM_NO_HANDLE;
    }
    return status;
}

tars_status log_file_open(const log_options *options, log_file **out, tars_error *err) {
    size_t length = strlen(options->path);
    *out = NULL;
    if (length == 0 || length >= PLATFORM_PATH_BYTES - SUFFIX_BYTES) {
        return error_set(err, TARS_USAGE, "the path of the log is empty or too long");
    }
    log_file *log = calloc(1, sizeof *log);
    if (!log) {
        return error_set(err, TARS_OUT_OF_MEMORY, "no memory for a log");
    }
    log->options = *options;
    memcpy(log->path, options->path, length + 1);
    log->options.path = log->path;
    tars_error told = {.message = ""};
    tars_status status = open_file(log, &told);
    if (status != TARS_OK) {
        free(log);
        error_set(err, status, "the log cannot be written: %s", told.message);
        error_where(err, "%s", options->path);
        error_cause(err, "%s", told.cause);
        return error_hint(err, "name a file in a folder that is there and that you may write in: "
                               "deployment.logging.file");
    }
    *out = log;
    return TARS_OK;
}

void log_file_close(log_file *log) {
    if (log) {
        if (log->file.handle != PLATFORM_NO_HANDLE) {
            platform_file_close(&log->file);
        }
        free(log);
    }
}

/* ---- full files ------------------------------------------------------------------------------ */

/* FILE.number; room for it was checked when the log was opened. */
static void path_of(const log_file *log, uint32_t number, char out[PLATFORM_PATH_BYTES]) {
    text_buffer text;
    text_init(&text, out, PLATFORM_PATH_BYTES);
    text_append_string(&text, log->path);
    text_format(&text, ".%u", number);
}

static bool is_there(const log_file *log, uint32_t number) {
    char path[PLATFORM_PATH_BYTES];
    path_of(log, number, path);
    return files_exists(path);
}

/* FILE becomes FILE.1, each other one moves by one, and those beyond the last go. */
static void shift(const log_file *log) {
    char from[PLATFORM_PATH_BYTES];
    char to[PLATFORM_PATH_BYTES];
    uint32_t keep = log->options.keep;
    uint32_t gap = 1;
    while (gap < keep && is_there(log, gap)) {
        gap++;
    }
    for (uint32_t i = gap; i > 1; i--) {
        path_of(log, i - 1, from);
        path_of(log, i, to);
        (void)platform_rename(from, to, NULL);
    }
    path_of(log, 1, to);
    (void)(keep > 0 ? platform_rename(log->path, to, NULL) : platform_remove(log->path, NULL));
    for (uint32_t i = keep + 1; is_there(log, i); i++) {
        path_of(log, i, from);
        if (platform_remove(from, NULL) != TARS_OK) {
            break;
        }
    }
}

/* The size of the file that the path names now; whether that is the one that is open. */
static bool look(const log_file *log, uint64_t *size_bytes) {
    platform_kind kind = PLATFORM_KIND_MISSING;
    platform_file_info info = {0};
    tars_status status = platform_path_kind(log->path, &kind, &info, NULL);
    *size_bytes = kind == PLATFORM_KIND_FILE ? info.size_bytes : 0;
    return status == TARS_OK && kind == PLATFORM_KIND_FILE &&
           log->file.handle != PLATFORM_NO_HANDLE && info.inode == log->opened.inode &&
           info.device == log->opened.device;
}

static bool is_full(const log_file *log, uint64_t size_bytes, size_t length) {
    return size_bytes > 0 && size_bytes + length > log->options.rotate_bytes;
}

/* Another process may have done it meanwhile: the lock's holder looks again. */
static void rotate(log_file *log, size_t length) {
    char path[PLATFORM_PATH_BYTES];
    platform_lock lock;
    uint64_t size_bytes = 0;
    text_buffer text;
    text_init(&text, path, sizeof path);
    text_append_string(&text, log->path);
    text_append_string(&text, ".lock");
    if (platform_lock_take(path, LOCK_TIMEOUT_MS * UINT64_C(1000000), &lock, NULL) != TARS_OK) {
        return;
    }
    (void)look(log, &size_bytes);
    if (is_full(log, size_bytes, length)) {
        shift(log);
    }
    platform_lock_release(&lock);
}

/* Opens the file that the path names when it is another one by now. A failure leaves the old one
 * in use: its lines are in FILE.1 then, and not lost. */
static tars_status follow(log_file *log, tars_error *err) {
    uint64_t size_bytes = 0;
    if (look(log, &size_bytes)) {
        return TARS_OK;
    }
    platform_file before = log->file;
    platform_file_info opened = log->opened;
    tars_status status = open_file(log, err);
    if (status == TARS_OK) {
        if (before.handle != PLATFORM_NO_HANDLE) {
            platform_file_close(&before);
        }
        return TARS_OK;
    }
    log->file = before;
    log->opened = opened;
    return before.handle == PLATFORM_NO_HANDLE ? status : TARS_OK;
}

/* ---- writing --------------------------------------------------------------------------------- */

static tars_status write_line(log_file *log, const text_buffer *line, tars_error *err) {
    uint64_t size_bytes = 0;
    (void)look(log, &size_bytes);
    if (is_full(log, size_bytes, line->length)) {
        rotate(log, line->length);
    }
    tars_status status = follow(log, err);
    if (status == TARS_OK) {
        status = platform_file_write(&log->file, line->data, line->length, err);
        log->is_cut = status != TARS_OK;
    }
    return status;
}

tars_status log_file_write(log_file *log, log_level level, const char *message,
                           const log_field *fields, size_t n_fields, tars_error *err) {
    if (level > log->options.level) {
        return TARS_OK;
    }
    log_record record = {.time_ns = platform_wall_clock_ns(),
                         .level = level,
                         .message = message,
                         .fields = fields,
                         .n_fields = n_fields};
    text_buffer line;
    platform_mutex_lock(&log->lock);
    text_init(&line, log->line, sizeof log->line);
    text_append_string(&line, log->is_cut ? "\n" : "");
    (log->options.as_text ? log_line_text : log_line_json)(&record, &line);
    tars_status status = write_line(log, &line, err);
    platform_mutex_unlock(&log->lock);
    if (status != TARS_OK) {
        error_where(err, "%s", log->path);
    }
    return status;
}
