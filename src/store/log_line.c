#include "store/log_line.h"

#include "base/utf8.h"

#include <string.h>

static const char *const names[LOG_LEVELS] = {"error", "warn", "info", "debug", "trace"};

const char *log_level_name(log_level level) {
    return names[level];
}

bool log_level_find(const char *word, log_level *out) {
    for (log_level level = 0; level < LOG_LEVELS; level++) {
        if (strcmp(names[level], word) == 0) {
            *out = level;
            return true;
        }
    }
    return false;
}

/* ---- time ------------------------------------------------------------------------------------ */

typedef struct date {
    int64_t year;
    unsigned month, day;
} date;

/* Howard Hinnant's civil_from_days: years begin in March, so that the leap day is the last. */
static date date_of(int64_t days_since_1970) {
    int64_t days = days_since_1970 + 719468;
    int64_t era = (days >= 0 ? days : days - 146096) / 146097;
    unsigned of_era = (unsigned)(days - era * 146097);
    unsigned year = (of_era - of_era / 1460 + of_era / 36524 - of_era / 146096) / 365;
    unsigned of_year = of_era - (365 * year + year / 4 - year / 100);
    unsigned month = (5 * of_year + 2) / 153;
    date d = {.month = month < 10 ? month + 3 : month - 9,
              .day = of_year - (153 * month + 2) / 5 + 1};
    d.year = (int64_t)year + era * 400 + (d.month <= 2);
    return d;
}

void log_append_time(text_buffer *out, int64_t time_ns) {
    int64_t ms = time_ns / 1000000 - (time_ns % 1000000 < 0);
    int64_t days = ms / 86400000 - (ms % 86400000 < 0);
    unsigned of_day = (unsigned)(ms - days * 86400000);
    date d = date_of(days);
    text_format(out, "%04lld-%02u-%02uT%02u:%02u:%02u.%03uZ", (long long)d.year, d.month, d.day,
                of_day / 3600000, of_day / 60000 % 60, of_day / 1000 % 60, of_day % 1000);
}

/* ---- texts ----------------------------------------------------------------------------------- */

typedef struct code_range {
    uint32_t first, last;
} code_range;

/* What a reader cannot see, what turns the direction of writing, what ends lines, and what
 * terminals obey. */
static const code_range escaped[] = {
    {0x00, 0x1f},     {'"', '"'},       {'\\', '\\'},     {0x7f, 0x9f},       {0xad, 0xad},
    {0x61c, 0x61c},   {0x180e, 0x180e}, {0x200b, 0x200f}, {0x2028, 0x202e},   {0x2060, 0x206f},
    {0xfeff, 0xfeff}, {0xfff0, 0xfffb}, {0xfffe, 0xffff}, {0xe0000, 0xe007f},
};

static bool is_escaped(uint32_t code) {
    for (size_t i = 0; i < sizeof escaped / sizeof escaped[0]; i++) {
        if (code >= escaped[i].first && code <= escaped[i].last) {
            return true;
        }
    }
    return false;
}

static void append_escape(text_buffer *out, uint32_t code) {
    if (code > 0xffff) { /* JSON writes it as a pair of surrogates */
        text_format(out, "\\u%04x\\u%04x", (unsigned)(0xd800 + ((code - 0x10000) >> 10)),
                    (unsigned)(0xdc00 + ((code - 0x10000) & 0x3ff)));
    } else {
        text_format(out, "\\u%04x", (unsigned)code);
    }
}

bool log_append_quoted(text_buffer *out, const char *text, size_t most_bytes) {
    size_t length = strlen(text);
    size_t end = length < most_bytes ? length : most_bytes - sizeof "...";
    text_append_char(out, '"');
    for (size_t i = 0; i < end;) {
        uint32_t code = 0;
        size_t n = utf8_decode(text + i, length - i, &code);
        if (n == 0) {
            append_escape(out, 0xfffd);
            n = 1;
        } else if (is_escaped(code)) {
            append_escape(out, code);
        } else {
            text_append(out, text + i, n);
        }
        i += n;
    }
    text_append_string(out, end < length ? "...\"" : "\"");
    return end == length;
}

static void append_quoted(text_buffer *out, const char *text) {
    (void)log_append_quoted(out, text, LOG_TEXT_BYTES);
}

static void append_value(text_buffer *out, const log_field *field) {
    if (field->text) {
        append_quoted(out, field->text);
    } else {
        text_format(out, "%llu", (unsigned long long)field->number);
    }
}

static size_t count_of(const log_record *record) {
    return record->n_fields < LOG_MAX_FIELDS ? record->n_fields : LOG_MAX_FIELDS;
}

void log_line_json(const log_record *record, text_buffer *out) {
    text_append_string(out, "{\"time\":\"");
    log_append_time(out, record->time_ns);
    text_format(out, "\",\"level\":\"%s\",\"message\":", log_level_name(record->level));
    append_quoted(out, record->message);
    for (size_t i = 0; i < count_of(record); i++) {
        text_format(out, ",\"%s\":", record->fields[i].key);
        append_value(out, &record->fields[i]);
    }
    text_append_string(out, "}\n");
}

void log_line_text(const log_record *record, text_buffer *out) {
    log_append_time(out, record->time_ns);
    text_format(out, " %s ", log_level_name(record->level));
    append_quoted(out, record->message);
    for (size_t i = 0; i < count_of(record); i++) {
        text_format(out, " %s=", record->fields[i].key);
        append_value(out, &record->fields[i]);
    }
    text_append_string(out, "\n");
}
