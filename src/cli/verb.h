/* A verb: one file, one row of the table in verbs.c. Parsing, help, the manual page, the markdown
 * reference and the shell completions are all made from this struct. Ownership: rows are constant
 * data; the values that a run function gets live until it returns. */
#ifndef CLI_VERB_H
#define CLI_VERB_H

#include "base/text.h"
#include "cli/option.h"
#include "cli/output.h"
#include "cli/terminal.h"

typedef struct cli_globals {
    bool help, version, json, quiet, verbose, no_color, offline;
    const char *home;
    const char *configuration; /* folder of the configuration, or NULL */
    option_list settings;      /* "path=value" */
} cli_globals;

/* What every verb gets. */
typedef struct cli {
    cli_globals globals;
    output out;        /* standard output: results */
    terminal messages; /* standard error: everything else */
    bool input_is_terminal;
    struct configuration *configuration; /* once it was read (configuration.h), or NULL */
    int exit_status; /* for a verb that ended well with a result that is not: 1 for a receipt that
                        does not match. A failure's status comes from its tars_error instead */
} cli;

typedef enum argument_kind {
    ARGUMENT_TEXT, /* "-" and "@FILE" are read by the verb (input.h) */
    ARGUMENT_MODEL,
    ARGUMENT_FILE,
    ARGUMENT_MODEL_OR_FILE,
    ARGUMENT_ID,
    ARGUMENT_VERB,
    ARGUMENT_CHOICE
} argument_kind;

typedef struct verb_argument {
    const char *name; /* as shown: MODEL */
    argument_kind kind;
    bool optional;
    bool repeated; /* the last one only */
    const char *help;
    const char *const *choices; /* ARGUMENT_CHOICE: NULL-terminated */
} verb_argument;

enum { VERB_MAX_SETS = 5, VERB_MAX_ARGUMENTS = 3, VERB_MAX_EXAMPLES = 5 };

typedef struct option_use {
    const option_set *set;
    size_t offset; /* of the set's values in the verb's struct */
} option_use;

typedef struct verb_example {
    const char *command;
    const char *meaning;
} verb_example;

typedef struct verb_call {
    const char *const *arguments;
    size_t n_arguments;
    void *values; /* the verb's struct */
} verb_call;

typedef struct verb {
    const char *name;
    const char *group;   /* heading in the overview */
    const char *summary; /* a few words, no full stop */
    const char *description;
    verb_argument arguments[VERB_MAX_ARGUMENTS]; /* ends at the first without a name */
    option_use uses[VERB_MAX_SETS];              /* ends at the first without a set */
    verb_example examples[VERB_MAX_EXAMPLES];
    size_t values_bytes;
    /* Writes results to c->out. On failure nothing may stand in c->out that is JSON: the caller
     * then writes the error's document. */
    tars_status (*run)(cli *c, const verb_call *call, tars_error *err);
    /* Instead of run, for a verb that is another program's entry: gets argv from the verb on. */
    int (*main)(int argc, char **argv);
    bool hidden;
} verb;

/* All verbs, hidden ones too, in the order of the overview; NULL-terminated. */
extern const verb *const verbs[];
/* Options that every verb takes; values are a cli_globals. */
extern const option_set global_options;

const verb *verb_find(const char *name);
/* The verb's own option by name, with the offset of its set; NULL when it has none. */
const option *verb_find_option(const verb *v, const char *name, size_t length, size_t *offset);
size_t verb_argument_count(const verb *v);
/* "tars run [options] MODEL [PROMPT]" */
void verb_usage(const verb *v, text_buffer *text);

#endif
