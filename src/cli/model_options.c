#include "cli/model_options.h"

#include "base/utf8.h"
#include "cli/runtimes.h"

#include <string.h>

const char *const kv_type_choices[] = {"f16", "f32", NULL};
const char *const isa_choices[] = {"scalar", "avx2", "avx512", "amx", "neon", NULL};

static const option place_rows[] = {
    {.name = "runtime",
     .type = OPTION_ENUM,
     .offset = offsetof(place_values, runtime),
     .value_name = "NAME",
     .choices = runtime_choices,
     .default_text = "auto",
     .help = "where it runs"},
    {.name = "isolation",
     .type = OPTION_ENUM,
     .offset = offsetof(place_values, isolation),
     .value_name = "LEVEL",
     .choices = isolation_choices,
     .help = "weakest isolation that will do"},
    {.name = "threads",
     .type = OPTION_INT,
     .offset = offsetof(place_values, threads),
     .value_name = "N",
     .minimum = 1,
     .maximum = 1024,
     .help = "threads to compute with; as many as the machine gives when not set"},
    {.name = "force-isa",
     .type = OPTION_ENUM,
     .offset = offsetof(place_values, force_isa),
     .value_name = "NAME",
     .choices = isa_choices,
     .help = "compute with these instructions only; the result is the same"},
};
const option_set place_options = OPTION_SET("Where it runs", place_rows);
const option_set runtime_options = {.title = "Where it runs", .rows = place_rows, .count = 2};

void place_apply(const place_values *values, tars_request *request) {
    request->policy.runtime = values->runtime;
    request->policy.isolation = values->isolation;
    request->policy.force_isa = values->force_isa;
    request->policy.n_threads = (uint32_t)values->threads;
}

static const option sampling_rows[] = {
    {.name = "max-tokens",
     .type = OPTION_INT,
     .offset = offsetof(sampling_values, max_tokens),
     .value_name = "N",
     .minimum = 1,
     .maximum = 16777216,
     .default_text = "512",
     .help = "longest answer"},
    {.name = "temperature",
     .type = OPTION_FLOAT,
     .offset = offsetof(sampling_values, temperature),
     .value_name = "X",
     .minimum = 0,
     .maximum = 100,
     .default_text = "0.8",
     .help = "how freely to choose; 0 always takes the likeliest token"},
    {.name = "top-k",
     .type = OPTION_INT,
     .offset = offsetof(sampling_values, top_k),
     .value_name = "N",
     .minimum = 0,
     .maximum = 16777216,
     .default_text = "40",
     .help = "choose among the N likeliest; 0: all"},
    {.name = "top-p",
     .type = OPTION_FLOAT,
     .offset = offsetof(sampling_values, top_p),
     .value_name = "X",
     .minimum = 0,
     .maximum = 1,
     .default_text = "0.95",
     .help = "choose among the likeliest that together reach X; 1: all"},
    {.name = "min-p",
     .type = OPTION_FLOAT,
     .offset = offsetof(sampling_values, min_p),
     .value_name = "X",
     .minimum = 0,
     .maximum = 1,
     .default_text = "0.05",
     .help = "leave out what is less likely than X of the likeliest; 0: nothing"},
    {.name = "repeat-penalty",
     .type = OPTION_FLOAT,
     .offset = offsetof(sampling_values, repeat_penalty),
     .value_name = "X",
     .minimum = 0.01,
     .maximum = 100,
     .default_text = "1",
     .help = "make tokens of the last 64 less likely; 1: off"},
    {.name = "seed",
     .type = OPTION_UINT64,
     .offset = offsetof(sampling_values, seed),
     .value_name = "N",
     .help = "seed of the choices; drawn and told when not set"},
    {.name = "stop",
     .type = OPTION_TEXT,
     .offset = offsetof(sampling_values, stops),
     .value_name = "TEXT",
     .repeated = true,
     .help = "end the answer before this text"},
    {.name = "system",
     .type = OPTION_TEXT,
     .offset = offsetof(sampling_values, system),
     .value_name = "TEXT",
     .help = "system message, for models with a chat template"},
    {.name = "raw",
     .type = OPTION_FLAG,
     .offset = offsetof(sampling_values, raw),
     .help = "give the text to the model as it is, without its chat template"},
    {.name = "context",
     .type = OPTION_INT,
     .offset = offsetof(sampling_values, context),
     .value_name = "N",
     .minimum = 1,
     .maximum = 16777216,
     .help = "tokens of context; as many as the model and the request need when not set"},
    {.name = "kv-type",
     .type = OPTION_ENUM,
     .offset = offsetof(sampling_values, kv_type),
     .value_name = "TYPE",
     .choices = kv_type_choices,
     .default_text = "f16",
     .help = "type of the key-value cache"},
    {.name = "receipt",
     .type = OPTION_FILE,
     .offset = offsetof(sampling_values, receipt),
     .value_name = "FILE",
     .help = "write a signed receipt that 'tars verify' can recompute"},
    {.name = "logits-hash",
     .type = OPTION_FLAG,
     .offset = offsetof(sampling_values, logits_hash),
     .help = "print the digest of all logits: equal on every machine"},
    {.name = "timeout",
     .type = OPTION_DURATION,
     .offset = offsetof(sampling_values, timeout_ms),
     .value_name = "TIME",
     .help = "give up after this time, such as 30s"},
    {.name = "memory",
     .type = OPTION_SIZE,
     .offset = offsetof(sampling_values, memory_bytes),
     .value_name = "SIZE",
     .help = "most private memory that it may take, such as 512MiB"},
    {.name = "grammar",
     .type = OPTION_FILE,
     .offset = offsetof(sampling_values, grammar),
     .value_name = "FILE",
     .help = "restrict the answer to a grammar (not in this version)"},
    {.name = "json-schema",
     .type = OPTION_FILE,
     .offset = offsetof(sampling_values, json_schema),
     .value_name = "FILE",
     .help = "restrict the answer to a JSON schema (not in this version)"},
    {.name = "batch",
     .type = OPTION_INT,
     .offset = offsetof(sampling_values, batch),
     .value_name = "N",
     .minimum = 1,
     .maximum = 65536,
     .hidden = true,
     .help = "tokens of the prompt per pass; the result is the same"},
};
const option_set sampling_options = OPTION_SET("What to answer", sampling_rows);

static tars_status refuse_unsupported(const char *name, tars_error *err) {
    error_set(err, TARS_UNSUPPORTED, "this version cannot restrict an answer with --%s", name);
    error_where(err, "--%s", name);
    return error_hint(err, "leave the option out and describe the form in the prompt");
}

static tars_status check_stops(const option_list *stops, tars_error *err) {
    for (size_t i = 0; i < stops->count; i++) {
        const char *text = stops->items[i];
        bool empty = *text == '\0';
        if (empty || !utf8_valid(text, strlen(text), NULL)) {
            error_set(err, empty ? TARS_USAGE : TARS_MALFORMED, "a text of --stop is %s",
                      empty ? "empty" : "not UTF-8");
            error_where(err, "--stop");
            return empty ? TARS_USAGE : TARS_MALFORMED;
        }
    }
    return TARS_OK;
}

tars_status sampling_apply(const sampling_values *values, tars_request *request, tars_error *err) {
    if (values->grammar || values->json_schema) {
        return refuse_unsupported(values->grammar ? "grammar" : "json-schema", err);
    }
    if (values->raw && values->system) {
        error_set(err, TARS_USAGE, "--system and --raw exclude each other");
        error_where(err, "--system");
        return error_hint(err, "with --raw write the system text into the prompt");
    }
    tars_status status = check_stops(&values->stops, err);
    if (status != TARS_OK) {
        return status;
    }
    request->sampling.temperature = (float)values->temperature;
    request->sampling.top_k = (uint32_t)values->top_k;
    request->sampling.top_p = (float)values->top_p;
    request->sampling.min_p = (float)values->min_p;
    request->sampling.repeat_penalty = (float)values->repeat_penalty;
    request->sampling.seed = values->seed.value;
    request->sampling.random_seed = !values->seed.given;
    request->stops = values->stops.items;
    request->n_stops = values->stops.count;
    request->limits.max_tokens = (uint32_t)values->max_tokens;
    request->limits.context = (uint32_t)values->context;
    request->limits.deadline_ms = values->timeout_ms;
    request->limits.memory_bytes = values->memory_bytes;
    request->batch_size = (uint32_t)values->batch;
    request->kv_type = values->kv_type;
    request->logits_hash = values->logits_hash || values->receipt;
    return TARS_OK;
}
