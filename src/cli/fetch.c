#include "cli/fetch.h"

#include "cli/client.h"
#include "cli/number_text.h"
#include "cli/progress.h"
#include "cli/report.h"
#include "cli/result_json.h"

#include <string.h>

static const char *const sandbox_choices[] = {"auto", "wasm", "microvm", "native", NULL};

static const option fetch_rows[] = {
    {.name = "name",
     .type = OPTION_TEXT,
     .offset = offsetof(fetch_values, name),
     .value_name = "NAME",
     .help = "name in the store; else made from the file's name"},
    {.name = "in",
     .type = OPTION_ENUM,
     .offset = offsetof(fetch_values, sandbox),
     .value_name = "SANDBOX",
     .choices = sandbox_choices,
     .default_text = "auto",
     .help = "where the foreign file is read; auto takes the strongest there is"},
    {.name = "sha256",
     .type = OPTION_TEXT,
     .offset = offsetof(fetch_values, sha256),
     .value_name = "HEX",
     .help = "refuse the file unless it has this digest"},
    {.name = "replace",
     .type = OPTION_FLAG,
     .offset = offsetof(fetch_values, replace),
     .help = "replace a model of the same name"},
};
const option_set fetch_options = OPTION_SET("Options", fetch_rows);

static tars_status check_sha256(const char *text, tars_error *err) {
    if (!text || (strlen(text) == 64 && strspn(text, "0123456789abcdef") == 64)) {
        return TARS_OK;
    }
    error_set(err, TARS_USAGE, "--sha256 needs 64 lower-case hex digits, found \"%.80s\"", text);
    error_where(err, "--sha256");
    return TARS_USAGE;
}

static void print_entry(cli *c, const tars_model_entry *entry) {
    if (c->globals.json) {
        json_writer json;
        output_json(&c->out, &json);
        result_json_entry(&json, entry);
        output_text(&c->out, "\n");
        return;
    }
    char size[32];
    text_buffer text;
    text_init(&text, size, sizeof size);
    number_text_bytes(&text, entry->packed_bytes);
    output_format(&c->out, "%s  %s %s  %s  sha256 %s%s%s\n", entry->name, entry->architecture,
                  entry->quantization, size, entry->sha256, entry->sandbox[0] ? "  read in " : "",
                  entry->sandbox);
}

tars_status fetch_run(cli *c, const verb_call *call, fetch_function function, tars_error *err) {
    const fetch_values *values = call->values;
    tars_status status = check_sha256(values->sha256, err);
    client session;
    if (status != TARS_OK || (status = client_open(&session, c, err)) != TARS_OK) {
        return status;
    }
    progress bar;
    progress_init(&bar, c);
    tars_import_options options = TARS_IMPORT_OPTIONS_DEFAULTS;
    options.name = values->name;
    options.sandbox = values->sandbox;
    options.sha256 = values->sha256;
    options.replace = values->replace;
    options.max_bytes = values->max_bytes;
    options.progress = progress_update;
    options.progress_user = &bar;
    tars_model_entry entry;
    status = function(session.context, call->arguments[0], &options, &entry, err);
    progress_clear(&bar);
    client_close(&session);
    if (status == TARS_OK) {
        print_entry(c, &entry);
    }
    return status;
}
