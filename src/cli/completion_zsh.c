#include "cli/completion.h"

/* Text inside '…[…]': quotes, brackets and colons have a meaning there. */
static void escaped(output *out, const char *text) {
    for (; *text != '\0'; text++) {
        if (*text == '\'') {
            output_text(out, "'\\''");
            continue;
        }
        if (*text == '[' || *text == ']' || *text == ':' || *text == '\\') {
            output_text(out, "\\");
        }
        output_bytes(out, text, 1);
    }
}

static void choices(output *out, const char *const *list) {
    output_text(out, "(");
    for (size_t i = 0; list[i]; i++) {
        output_format(out, "%s%s", i > 0 ? " " : "", list[i]);
    }
    output_text(out, ")");
}

static void option_line(output *out, const option *row) {
    output_format(out, " \\\n            '%s--%s%s[", row->repeated ? "*" : "", row->name,
                  row->type == OPTION_FLAG ? "" : "=");
    escaped(out, row->help);
    output_text(out, "]");
    if (row->type != OPTION_FLAG) {
        output_format(out, ":%s:", row->value_name ? row->value_name : "value");
    }
    if (row->type == OPTION_ENUM) {
        choices(out, row->choices);
    } else if (row->type == OPTION_FILE) {
        output_text(out, "_files");
    } else if (row->type == OPTION_FOLDER) {
        output_text(out, "_files -/");
    } else if (row->type == OPTION_MODEL) {
        output_text(out, "__tars_models");
    }
    output_text(out, "'");
}

static void option_lines(output *out, const option_set *set) {
    for (size_t i = 0; i < set->count; i++) {
        if (!set->rows[i].hidden) {
            option_line(out, &set->rows[i]);
        }
    }
}

static void argument_line(output *out, const verb_argument *a) {
    output_format(out, " \\\n            '%s:%s:",
                  a->repeated   ? "*"
                  : a->optional ? ":"
                                : "",
                  a->name);
    if (a->kind == ARGUMENT_MODEL) {
        output_text(out, "__tars_models");
    } else if (a->kind == ARGUMENT_FILE) {
        output_text(out, "_files");
    } else if (a->kind == ARGUMENT_MODEL_OR_FILE) {
        output_text(out, "__tars_models_or_files");
    } else if (a->kind == ARGUMENT_VERB) {
        output_text(out, "__tars_verbs");
    } else if (a->kind == ARGUMENT_CHOICE) {
        choices(out, a->choices);
    }
    output_text(out, "'");
}

static void verb_branch(output *out, const verb *v) {
    output_format(out, "        %s)\n            _arguments -s", v->name);
    for (size_t i = 0; i < VERB_MAX_SETS && v->uses[i].set; i++) {
        option_lines(out, v->uses[i].set);
    }
    option_lines(out, &global_options);
    for (size_t i = 0; i < verb_argument_count(v); i++) {
        argument_line(out, &v->arguments[i]);
    }
    output_text(out, "\n            ;;\n");
}

void completion_zsh(output *out) {
    output_text(out, "#compdef tars\n"
                     "# zsh completion of tars, made by 'tars completion zsh'.\n"
                     "__tars_models() {\n"
                     "    local -a models\n"
                     "    models=(${(f)\"$(tars list --names 2>/dev/null)\"})\n"
                     "    _describe model models\n"
                     "}\n"
                     "__tars_models_or_files() { __tars_models; _files }\n"
                     "__tars_verbs() {\n"
                     "    local -a verbs\n"
                     "    verbs=(");
    for (const verb *const *v = verbs; *v; v++) {
        if (!(*v)->hidden) {
            output_format(out, "\n        '%s:", (*v)->name);
            escaped(out, (*v)->summary);
            output_text(out, "'");
        }
    }
    output_text(out, ")\n"
                     "    _describe verb verbs\n"
                     "}\n"
                     "_tars() {\n"
                     "    local curcontext=\"$curcontext\" state line\n"
                     "    _arguments -C");
    option_lines(out, &global_options);
    output_text(out, " \\\n            '1:verb:__tars_verbs' '*::argument:->arguments'\n"
                     "    [[ $state == arguments ]] || return\n"
                     "    case $line[1] in\n");
    for (const verb *const *v = verbs; *v; v++) {
        if (!(*v)->hidden) {
            verb_branch(out, *v);
        }
    }
    output_text(out, "    esac\n}\n"
                     "if [[ $zsh_eval_context[-1] == loadautofunc ]]; then\n"
                     "    _tars \"$@\"\n"
                     "else\n"
                     "    compdef _tars tars\n"
                     "fi\n");
}
