/* One record of a log as one line, whatever is in it: JSON, or a text for people. Nothing that a
 * guest or a file says can end the line, look like another one, or drive a terminal.
 * Ownership: everything is borrowed for the call. */
#ifndef STORE_LOG_LINE_H
#define STORE_LOG_LINE_H

#include "base/text.h"

typedef enum log_level {
    LOG_ERROR,
    LOG_WARN,
    LOG_INFO,
    LOG_DEBUG,
    LOG_TRACE,
    LOG_LEVELS
} log_level;

/* "error", "warn", "info", "debug", "trace". */
const char *log_level_name(log_level level);
/* False for a word that is none of them. */
bool log_level_find(const char *word, log_level *out);

typedef struct log_field {
    const char *key;  /* plain letters, and none of time, level and message */
    const char *text; /* NULL: the number */
    uint64_t number;
} log_field;

typedef struct log_record {
    int64_t time_ns; /* since 1970 */
    log_level level;
    const char *message;
    const log_field *fields;
    size_t n_fields; /* at most LOG_MAX_FIELDS; the rest is left out */
} log_record;

enum {
    LOG_MAX_FIELDS = 12,
    LOG_TEXT_BYTES = 512, /* of a message or a field; what is longer is cut */
    LOG_LINE_BYTES = (LOG_MAX_FIELDS + 1) * (LOG_TEXT_BYTES * 6 + 64) + 128
};

/* 2025-01-31T12:00:00.000Z */
void log_append_time(text_buffer *out, int64_t time_ns);
/* In quotes, as JSON has them; what has most_bytes or more is cut and ends with "...". False then.
 */
bool log_append_quoted(text_buffer *out, const char *text, size_t most_bytes);

/* {"time":"2025-01-31T12:00:00.000Z","level":"warn","message":"…","runtime":"native","count":1} */
void log_line_json(const log_record *record, text_buffer *out);
/* 2025-01-31T12:00:00.000Z warn "…" runtime="native" count=1 */
void log_line_text(const log_record *record, text_buffer *out);

#endif
