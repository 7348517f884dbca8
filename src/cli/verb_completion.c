#include "base/nearest.h"
#include "cli/completion.h"

#include <string.h>

typedef struct shell {
    const char *name;
    void (*write)(output *out);
} shell;

static const shell shells[] = {
    {"bash", completion_bash},
    {"zsh", completion_zsh},
    {"fish", completion_fish},
};
enum { N_SHELLS = sizeof shells / sizeof shells[0] };
static const char *const shell_names[] = {"bash", "zsh", "fish", NULL};

static tars_status run_completion(cli *c, const verb_call *call, tars_error *err) {
    nearest_search search;
    nearest_init(&search, call->arguments[0]);
    for (size_t i = 0; i < N_SHELLS; i++) {
        if (strcmp(shells[i].name, call->arguments[0]) == 0) {
            return output_document(&c->out, c->globals.json, shells[i].write, err);
        }
        nearest_offer(&search, shells[i].name);
    }
    error_set(err, TARS_USAGE, "no completion for the shell \"%.80s\": expected bash, zsh or fish",
              call->arguments[0]);
    if (nearest_result(&search)) {
        error_hint(err, "did you mean \"%s\"?", nearest_result(&search));
    }
    return TARS_USAGE;
}

const verb verb_completion = {
    .name = "completion",
    .group = "About tars",
    .summary = "print the completion script of a shell",
    .description = "Prints a script that teaches a shell the verbs, options, choices and model "
                   "names of tars.",
    .arguments = {{.name = "SHELL",
                   .kind = ARGUMENT_CHOICE,
                   .choices = shell_names,
                   .help = "bash, zsh or fish"}},
    .examples = {{"source <(tars completion bash)", "complete in this bash"},
                 {"tars completion fish > ~/.config/fish/completions/tars.fish",
                  "complete in every fish"}},
    .run = run_completion,
};
