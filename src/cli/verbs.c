#include "cli/verb.h"

#include "cli/bench_process.h"
#include "runtime/microvm/host_process.h"
#include "runtime/wasm/compile_process.h"
#include "store/import_child.h"

#include <string.h>

extern const verb verb_pull, verb_import, verb_list, verb_rm, verb_inspect;
extern const verb verb_run, verb_chat, verb_embed, verb_tokenize, verb_detokenize, verb_perplexity;
extern const verb verb_verify, verb_audit, verb_exec, verb_wasm, verb_config, verb_doctor,
    verb_bench;
extern const verb verb_completion, verb_man, verb_help, verb_version;

/* The process that reads a foreign file; see store/import_child.h. */
static const verb verb_internal_import = {
    .name = IMPORT_CHILD_VERB, .group = "", .hidden = true, .main = import_child_main};

/* The process that compiles a stranger's module; see runtime/wasm/compile_process.h. */
static const verb verb_internal_compile = {
    .name = COMPILE_CHILD_VERB, .group = "", .hidden = true, .main = compile_child_main};

/* The process that runs one virtual machine; see runtime/microvm/host_process.h. */
static const verb verb_internal_host = {
    .name = HOST_CHILD_VERB, .group = "", .hidden = true, .main = host_child_main};

/* The process whose start is measured; see bench_process.h. */
static const verb verb_internal_bench = {
    .name = BENCH_PROCESS_VERB, .group = "", .hidden = true, .main = bench_process_main};

/* Order of the overview. */
const verb *const verbs[] = {
    &verb_pull,
    &verb_import,
    &verb_list,
    &verb_rm,
    &verb_inspect,
    &verb_run,
    &verb_chat,
    &verb_embed,
    &verb_tokenize,
    &verb_detokenize,
    &verb_perplexity,
    &verb_verify,
    &verb_audit,
    &verb_exec,
    &verb_wasm,
    &verb_config,
    &verb_doctor,
    &verb_bench,
    &verb_completion,
    &verb_man,
    &verb_help,
    &verb_version,
    &verb_internal_import,
    &verb_internal_compile,
    &verb_internal_host,
    &verb_internal_bench,
    NULL,
};

static const option global_rows[] = {
    {.name = "help",
     .letter = 'h',
     .type = OPTION_FLAG,
     .offset = offsetof(cli_globals, help),
     .help = "show help and leave"},
    {.name = "version",
     .type = OPTION_FLAG,
     .offset = offsetof(cli_globals, version),
     .help = "show the facts of this build and leave"},
    {.name = "json",
     .type = OPTION_FLAG,
     .offset = offsetof(cli_globals, json),
     .help = "print exactly one JSON document, also on failure"},
    {.name = "quiet",
     .letter = 'q',
     .type = OPTION_FLAG,
     .offset = offsetof(cli_globals, quiet),
     .help = "no progress, notes or summaries; errors are still told"},
    {.name = "verbose",
     .letter = 'v',
     .type = OPTION_FLAG,
     .offset = offsetof(cli_globals, verbose),
     .help = "tell more on standard error"},
    {.name = "no-color",
     .type = OPTION_FLAG,
     .offset = offsetof(cli_globals, no_color),
     .help = "no colours on the terminal; the variable NO_COLOR does the same"},
    {.name = "offline",
     .type = OPTION_FLAG,
     .offset = offsetof(cli_globals, offline),
     .help = "open no connection to another machine; TARS_OFFLINE=1 does the same"},
    {.name = "home",
     .type = OPTION_FOLDER,
     .offset = offsetof(cli_globals, home),
     .value_name = "DIR",
     .help = "folder of the model store; else TARS_HOME, TARS_DATA_DIR or the platform's"},
    {.name = "config",
     .type = OPTION_FOLDER,
     .offset = offsetof(cli_globals, configuration),
     .value_name = "DIR",
     .help = "folder of the configuration; else TARS_CONFIG_DIR or the platform's"},
    {.name = "set",
     .type = OPTION_TEXT,
     .offset = offsetof(cli_globals, settings),
     .value_name = "PATH=VALUE",
     .repeated = true,
     .help = "set one key of the configuration; wins over files and variables"},
};
const option_set global_options = OPTION_SET("Global options", global_rows);

const verb *verb_find(const char *name) {
    for (const verb *const *v = verbs; *v; v++) {
        if (strcmp((*v)->name, name) == 0) {
            return *v;
        }
    }
    return NULL;
}

const option *verb_find_option(const verb *v, const char *name, size_t length, size_t *offset) {
    for (size_t i = 0; i < VERB_MAX_SETS && v->uses[i].set; i++) {
        const option *row = option_find(v->uses[i].set, name, length);
        if (row) {
            *offset = v->uses[i].offset;
            return row;
        }
    }
    return NULL;
}

size_t verb_argument_count(const verb *v) {
    size_t n = 0;
    while (n < VERB_MAX_ARGUMENTS && v->arguments[n].name) {
        n++;
    }
    return n;
}

void verb_usage(const verb *v, text_buffer *text) {
    text_format(text, "tars %s [options]", v->name);
    for (size_t i = 0; i < verb_argument_count(v); i++) {
        const verb_argument *a = &v->arguments[i];
        text_format(text, a->optional ? " [%s%s]" : " %s%s", a->name, a->repeated ? "..." : "");
    }
}
