#include "cli/client.h"
#include "cli/input.h"
#include "cli/model_options.h"
#include "cli/number_text.h"
#include "cli/progress.h"
#include "cli/result_json.h"

typedef struct perplexity_values {
    place_values place;
    int64_t context, batch;
    const char *kv_type;
} perplexity_values;

static const option perplexity_rows[] = {
    {.name = "context",
     .type = OPTION_INT,
     .offset = offsetof(perplexity_values, context),
     .value_name = "N",
     .minimum = 4,
     .maximum = 16777216,
     .default_text = "512",
     .help = "tokens of a window; the second half of each is scored"},
    {.name = "kv-type",
     .type = OPTION_ENUM,
     .offset = offsetof(perplexity_values, kv_type),
     .value_name = "TYPE",
     .choices = kv_type_choices,
     .default_text = "f16",
     .help = "type of the key-value cache"},
    {.name = "batch",
     .type = OPTION_INT,
     .offset = offsetof(perplexity_values, batch),
     .value_name = "N",
     .minimum = 1,
     .maximum = 65536,
     .hidden = true,
     .help = "tokens per pass; the result is the same"},
};
static const option_set perplexity_set = OPTION_SET("Options", perplexity_rows);

static void print_json(output *out, const tars_model_info *model, const tars_result *result) {
    json_writer json;
    output_json(out, &json);
    json_begin_object(&json);
    result_json_model(&json, model);
    result_json_place(&json, result);
    json_member_double(&json, "perplexity", result->perplexity);
    json_member_uint(&json, "tokens_scored", result->tokens_scored);
    json_member_uint(&json, "windows", result->windows);
    json_member_uint(&json, "context", result->context);
    result_json_usage(&json, &result->usage);
    json_end_object(&json);
    output_text(out, "\n");
}

static void print_text(output *out, const tars_result *result) {
    char number[64];
    text_buffer text;
    text_init(&text, number, sizeof number);
    number_text_decimal(&text, result->perplexity, 4);
    output_format(out, "perplexity %s over %llu tokens in %llu windows\n", number,
                  (unsigned long long)result->tokens_scored, (unsigned long long)result->windows);
}

static tars_status score(cli *c, const verb_call *call, const input_text *text, tars_error *err) {
    const perplexity_values *values = call->values;
    client session;
    tars_status status = client_open(&session, c, err);
    if (status != TARS_OK) {
        return status;
    }
    tars_model *model = NULL;
    tars_model_info info;
    status = client_open_model(&session, call->arguments[0], &model, &info, err);
    if (status == TARS_OK) {
        tars_request request = TARS_REQUEST_DEFAULTS;
        request.kind = TARS_REQUEST_PERPLEXITY;
        request.model = model;
        request.text = (tars_text_view){text->bytes, text->length};
        request.limits.context = (uint32_t)values->context;
        request.batch_size = (uint32_t)values->batch;
        request.kv_type = values->kv_type;
        place_apply(&values->place, &request);
        progress bar;
        progress_init(&bar, c);
        tars_sink sink = {.user = &bar, .progress = progress_update};
        tars_job *job = NULL;
        tars_result result;
        status = client_run(&session, &request, &sink, &job, &result, err);
        progress_clear(&bar);
        if (status == TARS_OK && c->globals.json) {
            print_json(&c->out, &info, &result);
        } else if (status == TARS_OK) {
            print_text(&c->out, &result);
        }
        tars_job_destroy(job);
    }
    tars_model_close(model);
    client_close(&session);
    return status;
}

static tars_status run_perplexity(cli *c, const verb_call *call, tars_error *err) {
    input_text text;
    tars_status status = input_read_file(call->arguments[1], "FILE", &text, err);
    if (status == TARS_OK) {
        status = input_check_text(&text, "FILE", err);
    }
    if (status == TARS_OK) {
        status = score(c, call, &text, err);
    }
    input_free(&text);
    return status;
}

const verb verb_perplexity = {
    .name = "perplexity",
    .group = "Answers",
    .summary = "measure how well a model predicts a text",
    .description = "Cuts the text into windows that do not overlap and scores the second half of "
                   "each, as llama.cpp does. Lower is better.",
    .arguments = {{.name = "MODEL",
                   .kind = ARGUMENT_MODEL,
                   .help = "a name of 'tars list', NAME@DIGEST, or a packed file"},
                  {.name = "FILE",
                   .kind = ARGUMENT_FILE,
                   .help = "a text file; - for standard "
                           "input"}},
    .uses = {{&perplexity_set, 0}, {&place_options, offsetof(perplexity_values, place)}},
    .examples = {{"tars perplexity smollm2 book.txt", "windows of 512 tokens"}},
    .values_bytes = sizeof(perplexity_values),
    .run = run_perplexity,
};
