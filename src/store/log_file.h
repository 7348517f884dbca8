/* A log in a file that any number of processes append to: each record is one line, written at once,
 * and the file is renamed to FILE.1, FILE.1 to FILE.2 and so on when it is full. A file FILE.lock
 * beside it keeps two processes from doing that at the same time. New files are for their owner
 * alone (0600).
 *
 * Ownership: log_file_open makes it, log_file_close ends it. Any thread may write. */
#ifndef STORE_LOG_FILE_H
#define STORE_LOG_FILE_H

#include "base/error.h"
#include "store/log_line.h"

typedef struct log_options {
    const char *path; /* copied */
    bool as_text;     /* else JSON */
    log_level level;  /* what is less urgent is not written */
    uint64_t rotate_bytes;
    uint32_t keep; /* full files that are kept; 0: none */
} log_options;

typedef struct log_file log_file;

/* Fails, naming the file, when it cannot be written. */
tars_status log_file_open(const log_options *options, log_file **out, tars_error *err);
/* NULL is allowed. */
void log_file_close(log_file *log);
/* Writes the record with the time of now, if its level is one that is written. A file that cannot
 * be made anew or renamed goes on growing. DISK_FULL or IO when the record is lost. */
tars_status log_file_write(log_file *log, log_level level, const char *message,
                           const log_field *fields, size_t n_fields, tars_error *err);

#endif
