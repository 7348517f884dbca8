#include "cli/help.h"

#include <string.h>

/* A cell of a table: '|' would end it, '<' would begin a tag. */
static void cell(output *out, const char *text) {
    for (; *text != '\0'; text++) {
        if (*text == '|' || *text == '<' || *text == '*' || *text == '_') {
            output_text(out, "\\");
        }
        output_bytes(out, text, 1);
    }
}

static void options(output *out, const option_set *set) {
    output_format(out, "\n%s:\n\n| option | meaning |\n|---|---|\n", set->title);
    for (size_t i = 0; i < set->count; i++) {
        if (set->rows[i].hidden) {
            continue;
        }
        char memory[400];
        text_buffer text;
        text_init(&text, memory, sizeof memory);
        help_label_option(&set->rows[i], &text);
        output_format(out, "| `%s` | ", memory);
        text_init(&text, memory, sizeof memory);
        help_describe_option(&set->rows[i], &text);
        cell(out, memory);
        output_text(out, " |\n");
    }
}

static void verb_section(output *out, const verb *v) {
    char usage[200];
    text_buffer text;
    text_init(&text, usage, sizeof usage);
    verb_usage(v, &text);
    output_format(out, "\n### tars %s\n\n    %s\n\n", v->name, usage);
    output_text(out, v->description);
    output_text(out, "\n");
    if (verb_argument_count(v) > 0) {
        output_text(out, "\n| argument | meaning |\n|---|---|\n");
    }
    for (size_t i = 0; i < verb_argument_count(v); i++) {
        output_format(out, "| `%s` | ", v->arguments[i].name);
        cell(out, v->arguments[i].help);
        output_text(out, " |\n");
    }
    for (size_t i = 0; i < VERB_MAX_SETS && v->uses[i].set; i++) {
        options(out, v->uses[i].set);
    }
    if (v->examples[0].command) {
        output_text(out, "\n```sh\n");
        for (size_t i = 0; i < VERB_MAX_EXAMPLES && v->examples[i].command; i++) {
            output_format(out, "%s   # %s\n", v->examples[i].command, v->examples[i].meaning);
        }
        output_text(out, "```\n");
    }
}

static void facts(output *out, const char *title, const char *head, const help_fact *rows) {
    output_format(out, "\n## %s\n\n| %s | meaning |\n|---|---|\n", title, head);
    for (; rows->name; rows++) {
        output_format(out, "| `%s` | ", rows->name);
        cell(out, rows->meaning);
        output_text(out, " |\n");
    }
}

void help_markdown(output *out) {
    output_text(out,
                "<!-- Made by `tars help --markdown`; edit the tables in src/cli instead. -->\n"
                "# The command line of tars\n\n"
                "    tars VERB [options] [arguments]\n\n"
                "Options stand before or after arguments, as `--name=value` or `--name value`; "
                "`--` ends them.\nA text may be `-` (standard input) or `@FILE`. Results go to "
                "standard output, everything else to\nstandard error. With `--json` standard "
                "output holds exactly one JSON document, also on failure:\n"
                "`{\"error\":{\"code\",\"message\",\"hint\",\"where\",\"cause\"}}`.\n");
    options(out, &global_options);
    const char *group = NULL;
    for (const verb *const *v = verbs; *v; v++) {
        if ((*v)->hidden) {
            continue;
        }
        if (!group || strcmp(group, (*v)->group) != 0) {
            group = (*v)->group;
            output_format(out, "\n## %s\n", group);
        }
        verb_section(out, *v);
    }
    facts(out, "Exit status", "status", help_exit_statuses);
    facts(out, "Environment", "variable", help_environment);
}
