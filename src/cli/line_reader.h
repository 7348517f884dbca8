/* Lines from a person or a program: with editing and history on a terminal, else as they come.
 * Ownership: line_reader_open to line_reader_close; a line lives until the next one is read. */
#ifndef CLI_LINE_READER_H
#define CLI_LINE_READER_H

#include "cli/verb.h"

typedef struct line_reader line_reader;

enum { LINE_READER_MAX_BYTES = 1 << 20 };

typedef enum line_result {
    LINE_READ,
    LINE_END,         /* Ctrl-D, or the end of the input */
    LINE_INTERRUPTED, /* Ctrl-C: the line is dropped */
    LINE_FAILED
} line_result;

/* `history_path`: where lines are remembered between runs (mode 0600); NULL: nowhere. */
tars_status line_reader_open(const cli *c, const char *prompt, const char *history_path,
                             line_reader **out, tars_error *err);
/* Gives the line without its end. A line that ends with a backslash goes on with the next one. */
line_result line_reader_next(line_reader *reader, const char **line, size_t *length,
                             tars_error *err);
/* Saves the history; failing to is told, not returned. */
void line_reader_close(line_reader *reader);

#endif
