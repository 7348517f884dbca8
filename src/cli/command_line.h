/* From argv to a verb, its options and its arguments. Ownership: command_line_parse allocates the
 * values and the list of arguments, command_line_free frees them; texts point into argv. */
#ifndef CLI_COMMAND_LINE_H
#define CLI_COMMAND_LINE_H

#include "cli/verb.h"

typedef struct command_line {
    const verb *verb; /* NULL: none was named */
    verb_call call;
    const char **arguments;
} command_line;

/* Reads options anywhere, "--" ends them. Global options go into *globals, which holds what could
 * be read also on failure. With --help the verb's arguments are not counted. */
tars_status command_line_parse(int argc, char **argv, cli_globals *globals, command_line *out,
                               tars_error *err);
void command_line_free(command_line *line);
/* Whether argv asks for a global flag before "--": for errors met before it was reached. */
bool command_line_asks(int argc, char **argv, const char *flag);

/* USAGE with the nearest verb. */
tars_status command_line_unknown_verb(const char *name, tars_error *err);

#endif
