/* Help made from the verb table: for people on a terminal, and the pieces that the manual page, the
 * markdown reference and the completions share. */
#ifndef CLI_HELP_H
#define CLI_HELP_H

#include "cli/verb.h"

/* Help of one verb, or the overview when `v` is NULL; JSON with --json. */
tars_status help_print(cli *c, const verb *v);
/* The markdown reference of all verbs. */
void help_markdown(output *out);
/* The manual page, roff with man macros. */
void help_roff(output *out);

/* What an option does, with its choices, default and whether it may be repeated. */
void help_describe_option(const option *row, text_buffer *text);
/* "--threads N", with the short form in front when there is one. */
void help_label_option(const option *row, text_buffer *text);
/* Exit statuses and environment variables, for the reference and the manual. */
typedef struct help_fact {
    const char *name;
    const char *meaning;
} help_fact;
extern const help_fact help_exit_statuses[]; /* ends with a NULL name */
extern const help_fact help_environment[];   /* ends with a NULL name */

#endif
