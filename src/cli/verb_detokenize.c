#include "cli/client.h"
#include "cli/input.h"
#include "cli/model_options.h"

#include <stdlib.h>
#include <string.h>

typedef struct id_list {
    int32_t *ids;
    size_t count, capacity;
} id_list;

static tars_status add_id(id_list *list, const char *text, tars_error *err) {
    uint64_t value = 0;
    if (!option_read_uint64(text, &value) || value > INT32_MAX) {
        error_set(err, TARS_USAGE, "\"%.80s\" is no token id: expected a number from 0 to %d", text,
                  (int)INT32_MAX);
        error_where(err, "ID");
        return TARS_USAGE;
    }
    if (list->count == list->capacity) {
        size_t capacity = list->capacity > 0 ? list->capacity * 2 : 64;
        int32_t *grown = realloc(list->ids, capacity * sizeof *grown);
        if (!grown) {
            return error_set(err, TARS_OUT_OF_MEMORY, "no memory for %zu ids", capacity);
        }
        list->ids = grown;
        list->capacity = capacity;
    }
    list->ids[list->count++] = (int32_t)value;
    return TARS_OK;
}

/* Ids between white space, commas and brackets, as a person or a JSON array writes them. */
static tars_status add_text(id_list *list, const input_text *text, tars_error *err) {
    const char *separators = " \t\r\n,[]";
    for (size_t i = 0; i < text->length;) {
        size_t length = 0;
        while (i + length < text->length && !strchr(separators, text->bytes[i + length])) {
            length++;
        }
        char word[32];
        if (length >= sizeof word) {
            return error_set(err, TARS_USAGE, "a word of %zu bytes is no token id", length);
        }
        memcpy(word, text->bytes + i, length);
        word[length] = '\0';
        tars_status status = length > 0 ? add_id(list, word, err) : TARS_OK;
        if (status != TARS_OK) {
            return status;
        }
        i += length + 1;
    }
    return TARS_OK;
}

static tars_status collect_ids(const verb_call *call, id_list *list, tars_error *err) {
    for (size_t i = 1; i < call->n_arguments; i++) {
        input_text text;
        tars_status status = input_read(call->arguments[i], "ID", &text, err);
        if (status == TARS_OK) {
            status = add_text(list, &text, err);
            input_free(&text);
        }
        if (status != TARS_OK) {
            return status;
        }
    }
    if (list->count == 0) {
        error_set(err, TARS_USAGE, "no token id was given");
        return error_hint(err, "write numbers, or - and give them on standard input");
    }
    return TARS_OK;
}

static void print_text(cli *c, const tars_result *result) {
    const char *text = result->text ? result->text : "";
    if (!c->globals.json) {
        output_foreign(&c->out, text, result->text_length);
        output_text(&c->out, "\n");
        return;
    }
    json_writer json;
    output_json(&c->out, &json);
    json_begin_object(&json);
    json_key(&json, "text");
    json_string_n(&json, text, result->text_length);
    json_end_object(&json);
    output_text(&c->out, "\n");
}

static tars_status detokenize(cli *c, const verb_call *call, const id_list *list, tars_error *err) {
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
        request.kind = TARS_REQUEST_DETOKENIZE;
        request.model = model;
        request.ids = list->ids;
        request.n_ids = list->count;
        place_apply(call->values, &request);
        tars_job *job = NULL;
        tars_result result;
        status = client_run(&session, &request, NULL, &job, &result, err);
        if (status == TARS_OK) {
            print_text(c, &result);
        }
        tars_job_destroy(job);
    }
    tars_model_close(model);
    client_close(&session);
    return status;
}

static tars_status run_detokenize(cli *c, const verb_call *call, tars_error *err) {
    id_list list = {0};
    tars_status status = collect_ids(call, &list, err);
    if (status == TARS_OK) {
        status = detokenize(c, call, &list, err);
    }
    free(list.ids);
    return status;
}

const verb verb_detokenize = {
    .name = "detokenize",
    .group = "Answers",
    .summary = "turn token ids back into text",
    .description = "Prints the text of token ids.",
    .arguments = {{.name = "MODEL",
                   .kind = ARGUMENT_MODEL,
                   .help = "a name of 'tars list', NAME@DIGEST, or a packed file"},
                  {.name = "ID",
                   .kind = ARGUMENT_ID,
                   .repeated = true,
                   .help = "token ids; - for standard input, @FILE for a file"}},
    .uses = {{&runtime_options, 0}},
    .examples = {{"tars tokenize smollm2 --ids Hello | tars detokenize smollm2 -",
                  "there and back"}},
    .values_bytes = sizeof(place_values),
    .run = run_detokenize,
};
