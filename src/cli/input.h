/* Text arguments: the text itself, "-" for standard input, "@FILE" for a file's contents.
 * Ownership: input_free gives back what was read; a text from argv is borrowed. */
#ifndef CLI_INPUT_H
#define CLI_INPUT_H

#include "cli/verb.h"

enum { INPUT_MAX_BYTES = 256 << 20 };

typedef struct input_text {
    const char *bytes;
    size_t length;
    char *owned; /* NULL when borrowed */
} input_text;

/* Bytes as they are, not yet checked. `what` names it in messages ("PROMPT"). */
tars_status input_read(const char *argument, const char *what, input_text *out, tars_error *err);
/* A file's contents; "-" is standard input. */
tars_status input_read_file(const char *path, const char *what, input_text *out, tars_error *err);
/* All of standard input. */
tars_status input_read_standard(const char *what, input_text *out, tars_error *err);
/* USAGE when it is empty, MALFORMED with the offset when it is not UTF-8. */
tars_status input_check_text(const input_text *text, const char *what, tars_error *err);
void input_free(input_text *text);

#endif
