/* Reads the lines of a file, however long the file. Ownership: audit_lines_open allocates,
 * audit_lines_close frees; a line lives until the next one is read. */
#ifndef TRACE_AUDIT_LINES_H
#define TRACE_AUDIT_LINES_H

#include "base/error.h"
#include "platform/platform.h"

typedef struct audit_lines {
    const platform_file *file;
    uint64_t next, end; /* offsets in the file: of what was not read, and where to stop */
    uint64_t offset;    /* of the line */
    char *buffer;       /* what was read and not handed out is [at, filled) */
    size_t at, filled;
} audit_lines;

/* Lines of the file, which is borrowed, from `offset` up to `end`. */
tars_status audit_lines_open(audit_lines *lines, const platform_file *file, uint64_t offset,
                             uint64_t end, tars_error *err);
void audit_lines_close(audit_lines *lines);
/* The next line without its end; *length 0 and *line NULL behind the last. *is_whole: it had an
 * end, and was no longer than a record may be. A longer one is given in parts. */
tars_status audit_lines_next(audit_lines *lines, const char **line, size_t *length, bool *is_whole,
                             tars_error *err);

#endif
