#include "base/number.h"
#include "cli/client.h"
#include "cli/input.h"
#include "cli/model_options.h"
#include "cli/result_json.h"

#include <stdlib.h>

typedef struct embed_values {
    place_values place;
    bool no_normalize;
} embed_values;

static const option embed_rows[] = {
    {.name = "no-normalize",
     .type = OPTION_FLAG,
     .offset = offsetof(embed_values, no_normalize),
     .help = "print the pooled vectors as they are, not scaled to length 1"},
};
static const option_set embed_set = OPTION_SET("Options", embed_rows);

static void print_json(output *out, const tars_model_info *model, const tars_result *result) {
    json_writer json;
    output_json(out, &json);
    json_begin_object(&json);
    result_json_model(&json, model);
    result_json_place(&json, result);
    json_key(&json, "embeddings");
    json_begin_array(&json);
    for (size_t i = 0; i < result->n_embeddings; i++) {
        json_begin_array(&json);
        for (size_t j = 0; j < result->n_embd; j++) {
            json_float(&json, result->embeddings[i * result->n_embd + j]);
        }
        json_end_array(&json);
    }
    json_end_array(&json);
    result_json_usage(&json, &result->usage);
    result_json_route(&json, result);
    json_end_object(&json);
    output_text(out, "\n");
}

/* A vector a line, numbers with a space between. */
static void print_lines(output *out, const tars_result *result) {
    char number[NUMBER_MAX_BYTES];
    for (size_t i = 0; i < result->n_embeddings; i++) {
        for (size_t j = 0; j < result->n_embd; j++) {
            size_t n = number_from_float(result->embeddings[i * result->n_embd + j], number);
            output_bytes(out, number, n);
            output_text(out, j + 1 < result->n_embd ? " " : "\n");
        }
    }
}

static tars_status embed_texts(cli *c, const verb_call *call, const tars_text_view *texts,
                               tars_error *err) {
    const embed_values *values = call->values;
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
        request.kind = TARS_REQUEST_EMBED;
        request.model = model;
        request.texts = texts;
        request.n_texts = call->n_arguments - 1;
        request.no_normalize = values->no_normalize;
        place_apply(&values->place, &request);
        tars_job *job = NULL;
        tars_result result;
        status = client_run(&session, &request, NULL, &job, &result, err);
        if (status == TARS_OK && c->globals.json) {
            print_json(&c->out, &info, &result);
        } else if (status == TARS_OK) {
            print_lines(&c->out, &result);
        }
        tars_job_destroy(job);
    }
    tars_model_close(model);
    client_close(&session);
    return status;
}

static tars_status read_texts(const verb_call *call, input_text *inputs, tars_text_view *texts,
                              tars_error *err) {
    for (size_t i = 0; i + 1 < call->n_arguments; i++) {
        tars_status status = input_read(call->arguments[i + 1], "TEXT", &inputs[i], err);
        if (status == TARS_OK) {
            status = inputs[i].length > 0 ? input_check_text(&inputs[i], "TEXT", err) : TARS_OK;
        }
        if (status != TARS_OK) {
            return status;
        }
        texts[i] = (tars_text_view){inputs[i].bytes, inputs[i].length};
    }
    return TARS_OK;
}

static tars_status run_embed(cli *c, const verb_call *call, tars_error *err) {
    size_t n = call->n_arguments - 1;
    input_text *inputs = calloc(n, sizeof *inputs);
    tars_text_view *texts = calloc(n, sizeof *texts);
    if (!inputs || !texts) {
        free(inputs);
        free(texts);
        return error_set(err, TARS_OUT_OF_MEMORY, "no memory for %zu texts", n);
    }
    tars_status status = read_texts(call, inputs, texts, err);
    if (status == TARS_OK) {
        status = embed_texts(c, call, texts, err);
    }
    for (size_t i = 0; i < n; i++) {
        input_free(&inputs[i]);
    }
    free(inputs);
    free(texts);
    return status;
}

const verb verb_embed = {
    .name = "embed",
    .group = "Answers",
    .summary = "turn texts into vectors",
    .description = "Prints the vector of each text, one a line.",
    .arguments = {{.name = "MODEL",
                   .kind = ARGUMENT_MODEL,
                   .help = "a name of 'tars list', NAME@DIGEST, or a packed file"},
                  {.name = "TEXT",
                   .kind = ARGUMENT_TEXT,
                   .repeated = true,
                   .help = "the texts; - for standard input, @FILE for a file"}},
    .uses = {{&embed_set, 0}, {&place_options, offsetof(embed_values, place)}},
    .examples = {{"tars embed all-minilm \"a cat\" \"a dog\" --json", "two vectors, for programs"}},
    .values_bytes = sizeof(embed_values),
    .run = run_embed,
};
