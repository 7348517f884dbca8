#include "cli/client.h"
#include "cli/number_text.h"
#include "cli/report.h"
#include "cli/result_json.h"

#include <string.h>

typedef struct list_values {
    bool names;
} list_values;

static const option list_rows[] = {
    {.name = "names",
     .type = OPTION_FLAG,
     .offset = offsetof(list_values, names),
     .help = "print the names only, one a line"},
};
static const option_set list_set = OPTION_SET("Options", list_rows);

static void print_json(output *out, const tars_model_entry *entries, size_t count) {
    json_writer json;
    output_json(out, &json);
    json_begin_object(&json);
    json_key(&json, "models");
    json_begin_array(&json);
    for (size_t i = 0; i < count; i++) {
        result_json_entry(&json, &entries[i]);
    }
    json_end_array(&json);
    json_end_object(&json);
    output_text(out, "\n");
}

static void print_row(output *out, const tars_model_entry *entry, int name_columns) {
    char parameters[32];
    char size[32];
    text_buffer text;
    text_init(&text, parameters, sizeof parameters);
    number_text_count(&text, entry->parameters);
    text_init(&text, size, sizeof size);
    number_text_bytes(&text, entry->packed_bytes);
    output_format(out, "%-*s  %-10s %10s  %-6s %11s %8u  %.12s\n", name_columns, entry->name,
                  entry->architecture, parameters, entry->quantization, size,
                  (unsigned)entry->context_length, entry->sha256);
}

static void print_table(output *out, const tars_model_entry *entries, size_t count) {
    int columns = 4;
    for (size_t i = 0; i < count; i++) {
        int length = (int)strlen(entries[i].name);
        columns = length > columns ? length : columns;
    }
    output_format(out, "%-*s  %-10s %10s  %-6s %11s %8s  %s\n", columns, "NAME", "FAMILY",
                  "PARAMETERS", "TYPE", "SIZE", "CONTEXT", "SHA256");
    for (size_t i = 0; i < count; i++) {
        print_row(out, &entries[i], columns);
    }
}

static tars_status run_list(cli *c, const verb_call *call, tars_error *err) {
    const list_values *values = call->values;
    client session;
    tars_status status = client_open(&session, c, err);
    if (status != TARS_OK) {
        return status;
    }
    tars_model_entry *entries = NULL;
    size_t count = 0;
    status = tars_model_list(session.context, &entries, &count, err);
    client_close(&session);
    if (status != TARS_OK) {
        return status;
    }
    if (c->globals.json) {
        print_json(&c->out, entries, count);
    } else if (values->names) {
        for (size_t i = 0; i < count; i++) {
            output_format(&c->out, "%s\n", entries[i].name);
        }
    } else if (count == 0) {
        report_note(c, "the store is empty: 'tars pull NAME' or 'tars import FILE.gguf' adds a "
                       "model");
    } else {
        print_table(&c->out, entries, count);
    }
    tars_free(entries);
    return TARS_OK;
}

const verb verb_list = {
    .name = "list",
    .group = "Models",
    .summary = "list the models of the store",
    .description = "Lists the models of the store with family, number of parameters, type of most "
                   "weights, packed size, context and the beginning of the source's digest.",
    .uses = {{&list_set, 0}},
    .examples = {{"tars list --json", "all facts, for programs"}},
    .values_bytes = sizeof(list_values),
    .run = run_list,
};
