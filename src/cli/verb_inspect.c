#include "cli/client.h"
#include "cli/inspection.h"
#include "cli/number_text.h"

#include <stdlib.h>
#include <string.h>

/* ---- for people ---------------------------------------------------------------------------- */

enum { SHOWN_VALUE_COLUMNS = 80 };

static void print_value(output *out, const json_value *value) {
    json_writer json;
    output_json(out, &json);
    const json_value *count = json_member(value, "count");
    const json_value *bytes = json_member(value, "bytes");
    switch (value->type) {
    case JSON_STRING:
        if (value->string_length <= SHOWN_VALUE_COLUMNS) {
            json_string_n(&json, value->string, value->string_length);
        } else {
            output_format(out, "text of %zu bytes", value->string_length);
        }
        break;
    case JSON_NUMBER:
        if (value->is_integer) {
            json_int(&json, value->integer);
        } else {
            json_double(&json, value->number);
        }
        break;
    case JSON_BOOL:
        json_bool(&json, value->boolean);
        break;
    case JSON_ARRAY:
        output_format(out, "array of %zu", value->count);
        break;
    case JSON_OBJECT:
        output_format(out, count ? "%lld of %s" : "%lld bytes of %s",
                      (long long)json_integer_or(count ? count : bytes, 0),
                      json_string_or(json_member(value, "type"), "?"));
        break;
    case JSON_NULL:
        output_text(out, "null");
        break;
    }
    output_text(out, "\n");
}

static void print_shape(text_buffer *text, const json_value *shape) {
    for (const json_value *d = shape ? shape->first : NULL; d; d = d->next) {
        text_format(text, "%s%lld", d == shape->first ? "" : " x ", (long long)d->integer);
    }
}

static void print_tensors(output *out, const json_value *tensors) {
    if (!tensors || tensors->count == 0) {
        return;
    }
    output_format(out, "\n%zu tensors\n", tensors->count);
    for (const json_value *t = tensors->first; t; t = t->next) {
        char shape[128];
        char size[32];
        text_buffer text;
        text_init(&text, shape, sizeof shape);
        print_shape(&text, json_member(t, "shape"));
        text_init(&text, size, sizeof size);
        number_text_bytes(&text, (uint64_t)json_integer_or(json_member(t, "bytes"), 0));
        output_format(out, "  %-40s %-8s %-20s %12s\n", json_string_or(json_member(t, "name"), ""),
                      json_string_or(json_member(t, "type"), ""), shape, size);
    }
}

static void print_problems(output *out, const json_value *report) {
    const json_value *problems = json_member(report, "problems");
    int64_t left_out = json_integer_or(json_member(report, "problems_left_out"), 0);
    if (!problems || problems->count == 0) {
        output_text(out, "\nno problems found\n");
        return;
    }
    output_format(out, "\n%lld problems\n", (long long)problems->count + (long long)left_out);
    for (const json_value *p = problems->first; p; p = p->next) {
        output_format(out, "  %s", json_string_or(json_member(p, "message"), ""));
        const char *where = json_string_or(json_member(p, "where"), "");
        output_format(out, where[0] != '\0' ? " (%s)\n" : "%s\n", where);
    }
    if (left_out > 0) {
        output_format(out, "  and %lld more\n", (long long)left_out);
    }
}

static void print_report(output *out, const char *name, const json_value *report) {
    char size[32];
    text_buffer text;
    text_init(&text, size, sizeof size);
    number_text_bytes(&text, (uint64_t)json_integer_or(json_member(report, "file_bytes"), 0));
    output_format(out, "%s: %s", name, json_string_or(json_member(report, "format"), "unknown"));
    const json_value *version = json_member(report, "version");
    if (version && version->type == JSON_NUMBER) {
        output_format(out, " version %lld", (long long)version->integer);
    }
    output_format(out, ", %s\n", size);
    const json_value *metadata = json_member(report, "metadata");
    if (metadata && metadata->count > 0) {
        output_format(out, "\n%zu keys\n", metadata->count);
        for (const json_value *m = metadata->first; m; m = m->next) {
            output_format(out, "  %-40s ", m->key);
            print_value(out, m);
        }
    }
    print_tensors(out, json_member(report, "tensors"));
    print_problems(out, report);
}

/* ---- the verb ------------------------------------------------------------------------------ */

static tars_status print_for_people(cli *c, const char *name, const inspection *report,
                                    tars_error *err) {
    enum {
        ARENA_FACTOR = 24,
        ARENA_EXTRA_BYTES = 1 << 20
    }; /* of json_parse, a value a few bytes */
    size_t size = report->json_bytes * ARENA_FACTOR + ARENA_EXTRA_BYTES;
    void *memory = NULL;
    tars_status status = platform_reserve(size, false, &memory, err);
    if (status != TARS_OK) {
        return status;
    }
    arena a;
    arena_init(&a, memory, size);
    json_value *root = NULL;
    status = json_parse(report->json, report->json_bytes, NULL, &a, &root, err);
    if (status == TARS_OK) {
        print_report(&c->out, name, root);
    }
    platform_release(memory, size);
    return status;
}

static tars_status run_inspect(cli *c, const verb_call *call, tars_error *err) {
    client session;
    tars_status status = client_open(&session, c, err);
    if (status != TARS_OK) {
        return status;
    }
    inspection report;
    status = inspection_of(session.context, call->arguments[0], &report, err);
    if (status == TARS_OK && c->globals.json) {
        output_bytes(&c->out, report.json, report.json_bytes);
        output_text(&c->out, "\n");
    } else if (status == TARS_OK) {
        status = print_for_people(c, call->arguments[0], &report, err);
    }
    if (status == TARS_OK && report.first_problem != TARS_OK) {
        c->exit_status = tars_status_exit(report.first_problem);
    }
    inspection_free(&report);
    client_close(&session);
    return status;
}

const verb verb_inspect = {
    .name = "inspect",
    .group = "Models",
    .summary = "show what is in a model or a model file",
    .description =
        "Shows metadata, tensors, types, sizes and problems of a GGUF or safetensors file, however "
        "damaged or hostile, without loading it; for a model of the store those of the file it was "
        "made from. With problems the exit status is that of the first one.",
    .arguments = {{.name = "MODEL",
                   .kind = ARGUMENT_MODEL_OR_FILE,
                   .help = "a file, a folder with model.safetensors, or a name of 'tars list'"}},
    .examples = {{"tars inspect download.gguf", "look before importing"}},
    .run = run_inspect,
};
