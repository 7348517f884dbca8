#include "cli/completion.h"

/* Inside '…' fish knows \\ and \' only. */
static void quoted(output *out, const char *text) {
    output_text(out, "'");
    for (; *text != '\0'; text++) {
        if (*text == '\'' || *text == '\\') {
            output_text(out, "\\");
        }
        output_bytes(out, text, 1);
    }
    output_text(out, "'");
}

static void choices(output *out, const char *const *list) {
    output_text(out, " -x -a '");
    for (size_t i = 0; list[i]; i++) {
        output_format(out, "%s%s", i > 0 ? " " : "", list[i]);
    }
    output_text(out, "'");
}

static void option_line(output *out, const char *condition, const option *row) {
    output_format(out, "complete -c tars%s -l %s", condition, row->name);
    if (row->letter) {
        output_format(out, " -s %c", row->letter);
    }
    if (row->type == OPTION_ENUM) {
        choices(out, row->choices);
    } else if (row->type == OPTION_FILE) {
        output_text(out, " -r -F");
    } else if (row->type == OPTION_FOLDER) {
        output_text(out, " -x -a '(__fish_complete_directories)'");
    } else if (row->type == OPTION_MODEL) {
        output_text(out, " -x -a '(tars list --names 2>/dev/null)'");
    } else if (row->type != OPTION_FLAG) {
        output_text(out, " -x");
    }
    output_text(out, " -d ");
    quoted(out, row->help);
    output_text(out, "\n");
}

static void option_lines(output *out, const char *condition, const option_set *set) {
    for (size_t i = 0; i < set->count; i++) {
        if (!set->rows[i].hidden) {
            option_line(out, condition, &set->rows[i]);
        }
    }
}

static void argument_line(output *out, const char *condition, const verb_argument *a) {
    output_format(out, "complete -c tars%s", condition);
    if (a->kind == ARGUMENT_MODEL) {
        output_text(out, " -a '(tars list --names 2>/dev/null)'");
    } else if (a->kind == ARGUMENT_FILE) {
        output_text(out, " -F");
    } else if (a->kind == ARGUMENT_MODEL_OR_FILE) {
        output_text(out, " -F -a '(tars list --names 2>/dev/null)'");
    } else if (a->kind == ARGUMENT_CHOICE) {
        choices(out, a->choices);
    } else if (a->kind == ARGUMENT_VERB) {
        output_text(out, " -x -a '");
        for (const verb *const *v = verbs; *v; v++) {
            if (!(*v)->hidden) {
                output_format(out, "%s%s", v == verbs ? "" : " ", (*v)->name);
            }
        }
        output_text(out, "'");
    }
    output_text(out, "\n");
}

void completion_fish(output *out) {
    output_text(out, "# fish completion of tars, made by 'tars completion fish'.\n"
                     "complete -c tars -f\n");
    option_lines(out, "", &global_options);
    for (const verb *const *v = verbs; *v; v++) {
        if ((*v)->hidden) {
            continue;
        }
        output_format(out, "complete -c tars -n __fish_use_subcommand -a %s -d ", (*v)->name);
        quoted(out, (*v)->summary);
        output_text(out, "\n");
        char condition[120];
        text_buffer text;
        text_init(&text, condition, sizeof condition);
        text_format(&text, " -n '__fish_seen_subcommand_from %s'", (*v)->name);
        for (size_t i = 0; i < VERB_MAX_SETS && (*v)->uses[i].set; i++) {
            option_lines(out, condition, (*v)->uses[i].set);
        }
        for (size_t i = 0; i < verb_argument_count(*v); i++) {
            argument_line(out, condition, &(*v)->arguments[i]);
        }
    }
}
