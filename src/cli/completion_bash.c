#include "cli/completion.h"

static void option_words(output *out, const option_set *set) {
    for (size_t i = 0; i < set->count; i++) {
        if (!set->rows[i].hidden) {
            output_format(out, " --%s", set->rows[i].name);
        }
    }
}

/* One branch of the case over "verb:--option": what may follow. */
static void value_branch(output *out, const char *verb_pattern, const option *row) {
    output_format(out, "        %s:--%s)", verb_pattern, row->name);
    if (row->type == OPTION_ENUM) {
        output_text(out, " __tars_words \"");
        for (size_t i = 0; row->choices[i]; i++) {
            output_format(out, "%s%s", i > 0 ? " " : "", row->choices[i]);
        }
        output_text(out, "\"");
    } else if (row->type == OPTION_FILE) {
        output_text(out, " __tars_files -f");
    } else if (row->type == OPTION_FOLDER) {
        output_text(out, " __tars_files -d");
    } else if (row->type == OPTION_MODEL) {
        output_text(out, " __tars_words \"$(__tars_models)\"");
    } else {
        output_text(out, " COMPREPLY=()");
    }
    output_text(out, "; return ;;\n");
}

static void value_branches(output *out, const char *verb_pattern, const option_set *set) {
    for (size_t i = 0; i < set->count; i++) {
        if (!set->rows[i].hidden && set->rows[i].type != OPTION_FLAG) {
            value_branch(out, verb_pattern, &set->rows[i]);
        }
    }
}

static void argument_branch(output *out, const verb *v) {
    output_format(out, "        %s)", v->name);
    bool files = false;
    for (size_t i = 0; i < verb_argument_count(v); i++) {
        const verb_argument *a = &v->arguments[i];
        files = files || a->kind == ARGUMENT_FILE || a->kind == ARGUMENT_MODEL_OR_FILE;
        if (a->kind == ARGUMENT_MODEL || a->kind == ARGUMENT_MODEL_OR_FILE) {
            output_text(out, " words+=\" $(__tars_models)\";");
        } else if (a->kind == ARGUMENT_VERB) {
            output_text(out, " words+=\" $verbs\";");
        } else if (a->kind == ARGUMENT_CHOICE) {
            output_text(out, " words+=\"");
            for (size_t j = 0; a->choices[j]; j++) {
                output_format(out, " %s", a->choices[j]);
            }
            output_text(out, "\";");
        }
    }
    output_text(out, files ? " files=-f ;;\n" : " ;;\n");
}

static void verb_tables(output *out) {
    output_text(out, "    local verbs=\"");
    for (const verb *const *v = verbs; *v; v++) {
        if (!(*v)->hidden) {
            output_format(out, "%s%s", v == verbs ? "" : " ", (*v)->name);
        }
    }
    output_text(out, "\"\n    local globals=\"");
    option_words(out, &global_options);
    output_text(out, "\"\n");
}

static void case_of_values(output *out) {
    output_text(out, "    case \"$verb:$previous\" in\n");
    for (const verb *const *v = verbs; *v; v++) {
        for (size_t i = 0; !(*v)->hidden && i < VERB_MAX_SETS && (*v)->uses[i].set; i++) {
            value_branches(out, (*v)->name, (*v)->uses[i].set);
        }
    }
    value_branches(out, "*", &global_options);
    output_text(out, "    esac\n");
}

static void case_of_options(output *out) {
    output_text(out, "        case \"$verb\" in\n");
    for (const verb *const *v = verbs; *v; v++) {
        if ((*v)->hidden || !(*v)->uses[0].set) {
            continue;
        }
        output_format(out, "        %s) words=\"", (*v)->name);
        for (size_t i = 0; i < VERB_MAX_SETS && (*v)->uses[i].set; i++) {
            option_words(out, (*v)->uses[i].set);
        }
        output_text(out, "\" ;;\n");
    }
    output_text(out, "        esac\n");
}

void completion_bash(output *out) {
    output_text(out,
                "# bash completion of tars, made by 'tars completion bash'.\n"
                "__tars_words() { mapfile -t COMPREPLY < <(compgen -W \"$1\" -- \"$current\"); }\n"
                "__tars_files() { mapfile -t COMPREPLY < <(compgen \"$1\" -- \"$current\"); }\n"
                "__tars_models() { tars list --names 2>/dev/null; }\n"
                "_tars() {\n"
                "    local current=${COMP_WORDS[COMP_CWORD]} previous='' verb='' word words=''"
                " files=''\n");
    verb_tables(out);
    output_text(out, "    COMPREPLY=()\n"
                     "    [ \"$COMP_CWORD\" -gt 0 ] && previous=${COMP_WORDS[COMP_CWORD - 1]}\n"
                     "    [ \"$current\" = = ] && current=''\n"
                     "    [ \"$previous\" = = ] && previous=${COMP_WORDS[COMP_CWORD - 2]}\n"
                     "    for word in \"${COMP_WORDS[@]:1:COMP_CWORD-1}\"; do\n"
                     "        case \" $verbs \" in *\" $word \"*) verb=$word; break ;; esac\n"
                     "    done\n");
    case_of_values(out);
    output_text(out, "    if [[ $current == -* ]]; then\n");
    case_of_options(out);
    output_text(out, "        __tars_words \"$words $globals\"\n"
                     "        return\n"
                     "    fi\n"
                     "    case \"$verb\" in\n"
                     "        '') words=$verbs ;;\n");
    for (const verb *const *v = verbs; *v; v++) {
        if (!(*v)->hidden && verb_argument_count(*v) > 0) {
            argument_branch(out, *v);
        }
    }
    output_text(out, "    esac\n"
                     "    __tars_words \"$words\"\n"
                     "    if [ -n \"$files\" ]; then\n"
                     "        mapfile -t -O \"${#COMPREPLY[@]}\" COMPREPLY"
                     " < <(compgen \"$files\" -- \"$current\")\n"
                     "    fi\n"
                     "}\n"
                     "complete -o filenames -F _tars tars\n");
}
