#include "cli/help.h"

static tars_status run_man(cli *c, const verb_call *call, tars_error *err) {
    (void)call;
    return output_document(&c->out, c->globals.json, help_roff, err);
}

const verb verb_man = {
    .name = "man",
    .group = "About tars",
    .summary = "print the manual page",
    .description = "Prints the manual page as roff on standard output.",
    .examples = {{"tars man | man -l -", "read the manual"},
                 {"tars man > ~/.local/share/man/man1/tars.1", "install it for one user"}},
    .run = run_man,
};
