#include "cli/fetch.h"

static tars_status run_import(cli *c, const verb_call *call, tars_error *err) {
    return fetch_run(c, call, tars_model_import, err);
}

const verb verb_import = {
    .name = "import",
    .group = "Models",
    .summary = "pack a local model file into the store",
    .description = "Packs a GGUF file, or a folder of safetensors, into the store. The foreign "
                   "file is read in a sandbox; what leaves it is checked and written whole or not "
                   "at all.",
    .arguments = {{.name = "FILE",
                   .kind = ARGUMENT_FILE,
                   .help = "a GGUF file, or a folder with "
                           "model.safetensors"}},
    .uses = {{&fetch_options, 0}},
    .examples = {{"tars import model.gguf --name mine", "pack a file under a name"}},
    .values_bytes = sizeof(fetch_values),
    .run = run_import,
};
