#include "cli/answer.h"
#include "cli/input.h"
#include "cli/report.h"
#include "cli/result_json.h"

#include <string.h>

typedef struct run_values {
    place_values place;
    sampling_values sampling;
} run_values;

/* What the request points to. */
typedef struct run_input {
    input_text prompt, system;
    tars_message messages[2];
} run_input;

static tars_status read_prompt(const cli *c, const verb_call *call, input_text *out,
                               tars_error *err) {
    tars_status status;
    if (call->n_arguments > 1) {
        status = input_read(call->arguments[1], "PROMPT", out, err);
    } else if (c->input_is_terminal) {
        error_set(err, TARS_USAGE, "PROMPT is missing: what to answer");
        return error_hint(err, "write tars run %s \"TEXT\", or 'tars chat %s' for a conversation",
                          call->arguments[0], call->arguments[0]);
    } else {
        status = input_read_standard("PROMPT", out, err);
    }
    return status == TARS_OK ? input_check_text(out, "PROMPT", err) : status;
}

static tars_status read_input(const cli *c, const verb_call *call, run_input *input,
                              tars_error *err) {
    const run_values *values = call->values;
    tars_status status = read_prompt(c, call, &input->prompt, err);
    if (status == TARS_OK && values->sampling.system) {
        status = input_read(values->sampling.system, "--system", &input->system, err);
        if (status == TARS_OK) {
            status = input_check_text(&input->system, "--system", err);
        }
    }
    return status;
}

static tars_status no_nul(const input_text *text, const char *what, tars_error *err) {
    size_t length = text->length > 0 ? strnlen(text->bytes, text->length) : 0;
    if (length == text->length) {
        return TARS_OK;
    }
    error_set(err, TARS_MALFORMED, "%s holds a NUL character at offset %zu", what, length);
    error_where(err, "%s, byte %zu", what, length);
    return error_hint(err, "remove it, or use --raw");
}

/* The prompt as a conversation when the model has a chat template, else as plain text. */
static tars_status set_prompt(const tars_model_info *model, const sampling_values *values,
                              run_input *input, tars_request *request, tars_error *err) {
    if (!model->has_chat_template || values->raw) {
        if (values->system) {
            error_set(err, TARS_USAGE, "the model %s has no chat template to put --system into",
                      model->name);
            error_where(err, "--system");
            return error_hint(err, "write the system text into the prompt");
        }
        request->text = (tars_text_view){input->prompt.bytes, input->prompt.length};
        return TARS_OK;
    }
    size_t n = 0;
    tars_status status = no_nul(&input->prompt, "PROMPT", err);
    if (status == TARS_OK && values->system) {
        status = no_nul(&input->system, "--system", err);
        input->messages[n++] = (tars_message){"system", input->system.bytes};
    }
    input->messages[n++] = (tars_message){"user", input->prompt.bytes};
    request->messages = input->messages;
    request->n_messages = n;
    return status;
}

static void print_answer(cli *c, const answer *a, const sampling_values *values) {
    if (c->globals.json) {
        json_writer json;
        output_json(&c->out, &json);
        result_json_answer(&json, a->model, &a->result);
        output_text(&c->out, "\n");
        return;
    }
    answer_summarize(a);
    if (values->logits_hash) {
        output_format(&c->out, "logits_hash: %s\n", a->result.logits_hash);
    }
}

static tars_status run_with_model(client *session, const verb_call *call, tars_model *model,
                                  const tars_model_info *info, run_input *input, tars_error *err) {
    const run_values *values = call->values;
    cli *c = session->cli;
    tars_request request = TARS_REQUEST_DEFAULTS;
    request.kind = TARS_REQUEST_GENERATE;
    request.model = model;
    place_apply(&values->place, &request);
    tars_status status = sampling_apply(&values->sampling, &request, err);
    if (status == TARS_OK) {
        status = set_prompt(info, &values->sampling, input, &request, err);
    }
    if (status != TARS_OK) {
        return status;
    }
    request.logits_hash = request.logits_hash || c->globals.json;
    answer a;
    status = answer_run(&a, session, info, &request, !c->globals.json, err);
    if (status != TARS_OK) {
        return status;
    }
    bool cancelled = answer_was_cancelled(&a);
    if (values->sampling.receipt && !cancelled) {
        status = answer_write_receipt(&a, &request, values->sampling.receipt, err);
        if (status == TARS_OK) {
            report_note(c, "receipt written to %s", values->sampling.receipt);
        }
    } else if (values->sampling.receipt) {
        report_note(c, "no receipt is written: the answer was interrupted");
    }
    if (status == TARS_OK && !c->out.broken_pipe) {
        print_answer(c, &a, &values->sampling);
    }
    if (cancelled && platform_interrupted() > 0) {
        c->exit_status = tars_status_exit(TARS_CANCELLED);
    }
    answer_finish(&a);
    return status;
}

static tars_status run_run(cli *c, const verb_call *call, tars_error *err) {
    run_input input = {0};
    tars_status status = read_input(c, call, &input, err);
    client session;
    if (status == TARS_OK && (status = client_open(&session, c, err)) == TARS_OK) {
        tars_model *model = NULL;
        tars_model_info info;
        status = client_open_model(&session, call->arguments[0], &model, &info, err);
        if (status == TARS_OK) {
            status = run_with_model(&session, call, model, &info, &input, err);
        }
        tars_model_close(model);
        client_close(&session);
    }
    input_free(&input.prompt);
    input_free(&input.system);
    return status;
}

const verb verb_run = {
    .name = "run",
    .group = "Answers",
    .summary = "answer one prompt",
    .description =
        "Answers one prompt and prints the answer as it grows; speed and time follow on standard "
        "error. A model with a chat template gets the prompt as a message of the user.\n\n"
        "Ctrl-C ends the answer within a token and leaves with status 130.",
    .arguments = {{.name = "MODEL",
                   .kind = ARGUMENT_MODEL,
                   .help = "a name of 'tars list', NAME@DIGEST, or a packed file"},
                  {.name = "PROMPT",
                   .kind = ARGUMENT_TEXT,
                   .optional = true,
                   .help = "the text, - for standard input, or @FILE; standard input when left "
                           "out"}},
    .uses = {{&sampling_options, offsetof(run_values, sampling)},
             {&place_options, offsetof(run_values, place)}},
    .examples = {{"tars run smollm2 \"Why is the sky blue?\"", "one answer"},
                 {"tars run smollm2 --temperature 0 --receipt sky.json \"Why is the sky blue?\"",
                  "the likeliest answer, with a receipt"},
                 {"git diff | tars run smollm2 --system \"Write a commit message.\" -",
                  "a prompt from standard input"}},
    .values_bytes = sizeof(run_values),
    .run = run_run,
};
