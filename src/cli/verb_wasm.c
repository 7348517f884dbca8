#include "base/nearest.h"
#include "cli/report.h"
#include "cli/wasm_report.h"
#include "cli/wasm_source.h"

#include <string.h>

typedef struct wasm_action {
    const char *name;
    const char *argument; /* what it is about; NULL: it takes none */
    tars_status (*run)(cli *c, const verb_call *call, tars_error *err);
} wasm_action;

static tars_status inspect(cli *c, const verb_call *call, tars_error *err) {
    wasm_source source;
    tars_status status = wasm_source_open(call->arguments[1], &source, err);
    if (status == TARS_OK) {
        bool failed = source.failure.status != TARS_OK;
        wasm_report report = {.name = call->arguments[1],
                              .sha256 = source.sha256,
                              .module = &source.module,
                              .failure = failed ? &source.failure : NULL};
        (c->globals.json ? wasm_report_json : wasm_report_print)(&c->out, &report);
        tars_status problem = source.module.n_problems > 0 ? TARS_MALFORMED : TARS_OK;
        c->exit_status = tars_status_exit(failed ? source.failure.status : problem);
    }
    wasm_source_close(&source);
    return status;
}

static const wasm_action actions[] = {
    {"inspect", "FILE", inspect},
};
static const char *const action_names[] = {"inspect", NULL};

static tars_status check_argument(const wasm_action *action, const verb_call *call,
                                  tars_error *err) {
    if (action->argument && call->n_arguments < 2) {
        error_set(err, TARS_USAGE, "%s is missing", action->argument);
        return error_hint(err, "usage: tars wasm %s %s", action->name, action->argument);
    }
    if (!action->argument && call->n_arguments > 1) {
        return error_set(err, TARS_USAGE, "wasm %s takes no argument, found \"%.80s\"",
                         action->name, call->arguments[1]);
    }
    return TARS_OK;
}

static tars_status run_wasm(cli *c, const verb_call *call, tars_error *err) {
    nearest_search search;
    nearest_init(&search, call->arguments[0]);
    for (size_t i = 0; i < sizeof actions / sizeof actions[0]; i++) {
        nearest_offer(&search, actions[i].name);
        if (strcmp(actions[i].name, call->arguments[0]) == 0) {
            tars_status status = check_argument(&actions[i], call, err);
            return status == TARS_OK ? actions[i].run(c, call, err) : status;
        }
    }
    error_set(err, TARS_USAGE,
              "wasm has no action \"%.80s\": expected inspect, validate, load, list or unload",
              call->arguments[0]);
    if (nearest_result(&search)) {
        error_hint(err, "did you mean \"%s\"?", nearest_result(&search));
    }
    return TARS_USAGE;
}

const verb verb_wasm = {
    .name = "wasm",
    .group = "Sandboxes",
    .summary = "look at WebAssembly modules",
    .description = "inspect shows what a module imports, exports and needs, however damaged or "
                   "hostile its file.",
    .arguments =
        {{.name = "ACTION", .kind = ARGUMENT_CHOICE, .choices = action_names, .help = "inspect"},
         {.name = "FILE",
          .kind = ARGUMENT_FILE,
          .optional = true,
          .help = "a module file, - for standard input"}},
    .examples = {{"tars wasm inspect program.wasm", "what does it want from its host?"}},
    .run = run_wasm,
};
