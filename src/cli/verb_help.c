#include "cli/command_line.h"
#include "cli/help.h"

typedef struct help_values {
    bool markdown;
} help_values;

static const option help_rows[] = {
    {.name = "markdown",
     .type = OPTION_FLAG,
     .offset = offsetof(help_values, markdown),
     .help = "print the reference of all verbs as markdown"},
};
static const option_set help_set = OPTION_SET("Options", help_rows);

static tars_status run_help(cli *c, const verb_call *call, tars_error *err) {
    const help_values *values = call->values;
    if (values->markdown) {
        return output_document(&c->out, c->globals.json, help_markdown, err);
    }
    if (call->n_arguments == 0) {
        return help_print(c, NULL);
    }
    const verb *v = verb_find(call->arguments[0]);
    return v && v->run ? help_print(c, v) : command_line_unknown_verb(call->arguments[0], err);
}

const verb verb_help = {
    .name = "help",
    .group = "About tars",
    .summary = "explain a verb",
    .description = "Explains a verb with its arguments, options and examples, or lists all verbs.",
    .arguments = {{.name = "VERB", .kind = ARGUMENT_VERB, .optional = true, .help = "the verb"}},
    .uses = {{&help_set, 0}},
    .examples = {{"tars help run", "explain the verb run"}},
    .values_bytes = sizeof(help_values),
    .run = run_help,
};
