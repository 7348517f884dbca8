#include "cli/client.h"
#include "cli/input.h"
#include "cli/model_options.h"
#include "cli/result_json.h"

typedef struct tokenize_values {
    place_values place;
    bool no_special, special, ids;
} tokenize_values;

static const option tokenize_rows[] = {
    {.name = "no-special",
     .type = OPTION_FLAG,
     .offset = offsetof(tokenize_values, no_special),
     .help = "add no beginning or end token of the model's own"},
    {.name = "special",
     .type = OPTION_FLAG,
     .offset = offsetof(tokenize_values, special),
     .help = "special tokens written in the text, such as <|im_start|>, become one token"},
    {.name = "ids",
     .type = OPTION_FLAG,
     .offset = offsetof(tokenize_values, ids),
     .help = "print the ids only, on one line"},
};
static const option_set tokenize_set = OPTION_SET("Options", tokenize_rows);

static void print_json(output *out, const tars_result *result) {
    json_writer json;
    output_json(out, &json);
    json_begin_object(&json);
    result_json_ids(&json, "ids", result->ids, result->n_ids);
    json_key(&json, "pieces");
    json_begin_array(&json);
    for (size_t i = 0; i < result->n_ids; i++) {
        json_string_n(&json, result->pieces[i].bytes, result->pieces[i].length);
    }
    json_end_array(&json);
    json_end_object(&json);
    output_text(out, "\n");
}

/* "  1234  "piece"": quoted as in JSON, so that white space shows. */
static void print_lines(output *out, const tars_result *result) {
    for (size_t i = 0; i < result->n_ids; i++) {
        output_format(out, "%7d  ", (int)result->ids[i]);
        json_writer json;
        output_json(out, &json);
        json_string_n(&json, result->pieces[i].bytes, result->pieces[i].length);
        output_text(out, "\n");
    }
}

static void print_ids(output *out, const tars_result *result) {
    for (size_t i = 0; i < result->n_ids; i++) {
        output_format(out, "%s%d", i > 0 ? " " : "", (int)result->ids[i]);
    }
    output_text(out, "\n");
}

static tars_status tokenize_text(cli *c, const verb_call *call, const input_text *text,
                                 tars_error *err) {
    const tokenize_values *values = call->values;
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
        request.kind = TARS_REQUEST_TOKENIZE;
        request.model = model;
        request.text = (tars_text_view){text->bytes, text->length};
        request.no_special = values->no_special;
        request.parse_special = values->special;
        place_apply(&values->place, &request);
        tars_job *job = NULL;
        tars_result result;
        status = client_run(&session, &request, NULL, &job, &result, err);
        if (status == TARS_OK) {
            (c->globals.json ? print_json
             : values->ids   ? print_ids
                             : print_lines)(&c->out, &result);
        }
        tars_job_destroy(job);
    }
    tars_model_close(model);
    client_close(&session);
    return status;
}

static tars_status run_tokenize(cli *c, const verb_call *call, tars_error *err) {
    input_text text;
    tars_status status = input_read(call->arguments[1], "TEXT", &text, err);
    if (status == TARS_OK && text.length > 0) { /* an empty text has tokens too: the model's own */
        status = input_check_text(&text, "TEXT", err);
    }
    if (status == TARS_OK) {
        status = tokenize_text(c, call, &text, err);
    }
    input_free(&text);
    return status;
}

const verb verb_tokenize = {
    .name = "tokenize",
    .group = "Answers",
    .summary = "show the tokens of a text",
    .description = "Prints the id and the piece of text of each token. The model's own beginning "
                   "and end tokens are added as its file says.",
    .arguments = {{.name = "MODEL",
                   .kind = ARGUMENT_MODEL,
                   .help = "a name of 'tars list', NAME@DIGEST, or a packed file"},
                  {.name = "TEXT",
                   .kind = ARGUMENT_TEXT,
                   .help = "the text; - for standard input, @FILE for a file"}},
    .uses = {{&tokenize_set, 0}, {&runtime_options, offsetof(tokenize_values, place)}},
    .examples = {{"tars tokenize smollm2 \"Hello world\"", "ids and pieces"},
                 {"tars tokenize smollm2 --ids @book.txt", "ids alone"}},
    .values_bytes = sizeof(tokenize_values),
    .run = run_tokenize,
};
