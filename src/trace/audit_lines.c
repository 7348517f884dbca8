#include "trace/audit_lines.h"

#include "trace/audit_record.h"

#include <stdlib.h>
#include <string.h>

enum { BUFFER_BYTES = AUDIT_LINE_BYTES + (1 << 18) };

tars_status audit_lines_open(audit_lines *lines, const platform_file *file, uint64_t offset,
                             uint64_t end, tars_error *err) {
    *lines = (audit_lines){.file = file, .next = offset, .end = end, .offset = offset};
    lines->buffer = malloc(BUFFER_BYTES);
    return lines->buffer ? TARS_OK
                         : error_set(err, TARS_OUT_OF_MEMORY, "no memory to read the audit log");
}

void audit_lines_close(audit_lines *lines) {
    free(lines->buffer);
    *lines = (audit_lines){0};
}

static tars_status fill(audit_lines *lines, tars_error *err) {
    memmove(lines->buffer, lines->buffer + lines->at, lines->filled - lines->at);
    lines->filled -= lines->at;
    lines->at = 0;
    size_t room = BUFFER_BYTES - lines->filled;
    uint64_t left = lines->end - lines->next;
    size_t n = left < room ? (size_t)left : room;
    tars_status status =
        platform_file_read_at(lines->file, lines->next, lines->buffer + lines->filled, n, err);
    if (status == TARS_OK) {
        lines->filled += n;
        lines->next += n;
    }
    return status;
}

tars_status audit_lines_next(audit_lines *lines, const char **line, size_t *length, bool *is_whole,
                             tars_error *err) {
    *line = NULL;
    *length = 0;
    *is_whole = false;
    const char *end = NULL;
    if (lines->filled > lines->at) {
        end = memchr(lines->buffer + lines->at, '\n', lines->filled - lines->at);
    }
    if (!end && lines->next < lines->end && lines->filled - lines->at < AUDIT_LINE_BYTES) {
        tars_status status = fill(lines, err);
        if (status != TARS_OK) {
            return status;
        }
        end = memchr(lines->buffer, '\n', lines->filled);
    }
    size_t left = lines->filled - lines->at;
    if (left == 0) {
        return TARS_OK;
    }
    lines->offset = lines->next - left;
    *line = lines->buffer + lines->at;
    *length = end ? (size_t)(end - *line) : left;
    *is_whole = end && *length < AUDIT_LINE_BYTES;
    lines->at += *length + (end ? 1 : 0);
    return TARS_OK;
}
