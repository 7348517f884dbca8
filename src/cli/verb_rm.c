#include "cli/client.h"
#include "cli/report.h"

static tars_status run_rm(cli *c, const verb_call *call, tars_error *err) {
    client session;
    tars_status status = client_open(&session, c, err);
    if (status != TARS_OK) {
        return status;
    }
    size_t removed = 0;
    while (removed < call->n_arguments && status == TARS_OK) {
        status = tars_model_remove(session.context, call->arguments[removed], err);
        if (status == TARS_OK) {
            report_note(c, "removed %s", call->arguments[removed]);
            removed++;
        }
    }
    client_close(&session);
    if (status == TARS_OK && c->globals.json) {
        json_writer json;
        output_json(&c->out, &json);
        json_begin_object(&json);
        json_key(&json, "removed");
        json_begin_array(&json);
        for (size_t i = 0; i < removed; i++) {
            json_string(&json, call->arguments[i]);
        }
        json_end_array(&json);
        json_end_object(&json);
        output_text(&c->out, "\n");
    }
    return status;
}

const verb verb_rm = {
    .name = "rm",
    .group = "Models",
    .summary = "remove models from the store",
    .description = "Removes names from the store; a packed file goes when no other name uses it. "
                   "Processes that have it open keep it until they end.",
    .arguments = {{.name = "MODEL",
                   .kind = ARGUMENT_MODEL,
                   .repeated = true,
                   .help = "names of 'tars list'"}},
    .examples = {{"tars rm smollm2", "remove one model"}},
    .run = run_rm,
};
