#include "cli/fetch.h"

static const option pull_rows[] = {
    {.name = "max-size",
     .type = OPTION_SIZE,
     .offset = offsetof(fetch_values, max_bytes),
     .value_name = "SIZE",
     .default_text = "64GiB",
     .help = "refuse a larger download"},
};
static const option_set pull_set = OPTION_SET("Download", pull_rows);

static tars_status run_pull(cli *c, const verb_call *call, tars_error *err) {
    return fetch_run(c, call, tars_model_pull, err);
}

const verb verb_pull = {
    .name = "pull",
    .group = "Models",
    .summary = "fetch a model and pack it into the store",
    .description = "Fetches a model, checks its digest and packs it into the store. A broken "
                   "download goes on where it ended when the command is given again.",
    .arguments = {{.name = "SOURCE",
                   .kind = ARGUMENT_FILE,
                   .help = "a name of the catalogue, an http(s) URL, hf:ORG/REPO/FILE, or a local "
                           "file"}},
    .uses = {{&fetch_options, 0}, {&pull_set, 0}},
    .examples = {{"tars pull smollm2", "a model of the catalogue"},
                 {"tars pull https://example.org/model.gguf --name mine", "a file of a server"}},
    .values_bytes = sizeof(fetch_values),
    .run = run_pull,
};
