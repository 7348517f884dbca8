#include "base/nearest.h"
#include "cli/bench_audit.h"
#include "cli/bench_start.h"
#include "cli/machine.h"
#include "cli/number_text.h"
#include "cli/runtimes.h"

#include <string.h>

typedef struct bench_values {
    const char *model, *threads, *force_isa, *runtime, *metering;
    int64_t prompt, generate, count;
} bench_values;

static const char *const bench_kinds[] = {"llm",  "start", "audit",  "transform",
                                          "http", "trace", "agents", NULL};

static const char *const metering_choices[] = {"epochs", "none", "fuel", "both", NULL};

static const option bench_rows[] = {
    {.name = "model",
     .type = OPTION_MODEL,
     .offset = offsetof(bench_values, model),
     .value_name = "MODEL",
     .help = "the model; the store's only one when not set"},
    {.name = "threads",
     .type = OPTION_TEXT,
     .offset = offsetof(bench_values, threads),
     .value_name = "LIST",
     .help = "numbers of threads, such as 1,2; one and all when not set"},
    {.name = "prompt",
     .type = OPTION_INT,
     .offset = offsetof(bench_values, prompt),
     .value_name = "N",
     .minimum = 1,
     .maximum = 65535,
     .default_text = "512",
     .help = "tokens of the long prompt"},
    {.name = "generate",
     .type = OPTION_INT,
     .offset = offsetof(bench_values, generate),
     .value_name = "N",
     .minimum = 2,
     .maximum = 65535,
     .default_text = "64",
     .help = "tokens of an answer"},
    {.name = "count",
     .type = OPTION_INT,
     .offset = offsetof(bench_values, count),
     .value_name = "N",
     .minimum = 1,
     .maximum = BENCH_MAX_SAMPLES,
     .default_text = "5",
     .help = "samples of each figure"},
    {.name = "force-isa",
     .type = OPTION_ENUM,
     .offset = offsetof(bench_values, force_isa),
     .value_name = "NAME",
     .choices = isa_choices,
     .help = "compute with these instructions only"},
    {.name = "runtime",
     .type = OPTION_ENUM,
     .offset = offsetof(bench_values, runtime),
     .value_name = "NAME",
     .choices = runtime_choices,
     .default_text = "auto",
     .help = "where it runs"},
    {.name = "metering",
     .type = OPTION_ENUM,
     .offset = offsetof(bench_values, metering),
     .value_name = "NAME",
     .choices = metering_choices,
     .default_text = "epochs",
     .help = "how guests of llm are bounded; epochs is what every request has, the others tell "
             "what it costs"},
};
static const option_set bench_set = OPTION_SET("Options", bench_rows);

static tars_status refuse_threads(const char *list, tars_error *err) {
    error_set(err, TARS_USAGE,
              "option --threads needs up to %d numbers from 1 to 256 with commas between, found "
              "\"%.80s\"",
              (int)BENCH_MAX_THREADS, list);
    error_where(err, "--threads");
    return TARS_USAGE;
}

static tars_status read_threads(const char *list, bench_plan *plan, tars_error *err) {
    if (!list) {
        unsigned all = platform_cpu_count();
        plan->threads[0] = 1;
        plan->threads[1] = all;
        plan->n_threads = all > 1 ? 2 : 1;
        return TARS_OK;
    }
    for (const char *at = list;; at++) {
        size_t length = strcspn(at, ",");
        char number[8] = "";
        uint64_t value = 0;
        memcpy(number, at, length < sizeof number ? length : 0);
        if (!option_read_uint64(number, &value) || value < 1 || value > 256 ||
            plan->n_threads == BENCH_MAX_THREADS) {
            return refuse_threads(list, err);
        }
        plan->threads[plan->n_threads++] = (unsigned)value;
        at += length;
        if (*at == '\0') {
            return TARS_OK;
        }
    }
}

static tars_status choose_model(client *session, const char *wanted, char *name, size_t name_bytes,
                                tars_error *err) {
    text_buffer text;
    text_init(&text, name, name_bytes);
    if (wanted) {
        text_append_string(&text, wanted);
        return TARS_OK;
    }
    tars_model_entry *entries = NULL;
    size_t count = 0;
    tars_status status = tars_model_list(session->context, &entries, &count, err);
    if (status == TARS_OK && count == 1) {
        text_append_string(&text, entries[0].name);
    } else if (status == TARS_OK) {
        error_set(err, TARS_USAGE, "no model is named, and the store holds %zu", count);
        error_hint(err, count == 0 ? "pull or import one first" : "name one with --model");
        status = TARS_USAGE;
    }
    tars_free(entries);
    return status;
}

static void print_json(output *out, const machine *m, const bench_report *report,
                       const char *model) {
    json_writer json;
    output_json(out, &json);
    json_begin_object(&json);
    machine_write_json(m, report->isa, &json);
    json_key(&json, "results");
    json_begin_array(&json);
    for (size_t i = 0; i < report->count; i++) {
        const bench_result *r = &report->results[i];
        json_begin_object(&json);
        json_member_string(&json, "name", r->name);
        json_member_string(&json, "unit", r->unit);
        json_member_double(&json, "median", r->median);
        json_member_double(&json, "p95", r->p95);
        json_member_double(&json, "p99", r->p99);
        json_member_double(&json, "best", r->best);
        json_member_uint(&json, "samples", r->samples);
        json_member_uint(&json, "threads", r->threads);
        json_member_string(&json, "model", model);
        json_end_object(&json);
    }
    json_end_array(&json);
    json_key(&json, "unavailable");
    json_begin_array(&json);
    for (size_t i = 0; i < report->n_left_out; i++) {
        json_begin_object(&json);
        json_member_string(&json, "name", report->left_out[i].name);
        json_member_string(&json, "reason", report->left_out[i].reason);
        json_end_object(&json);
    }
    json_end_array(&json);
    json_end_object(&json);
    output_text(out, "\n");
}

static void print_figure(output *out, double value) {
    char memory[40];
    text_buffer text;
    text_init(&text, memory, sizeof memory);
    number_text_decimal(&text, value, 1);
    output_format(out, " %10s", memory);
}

static void print_result(output *out, const bench_result *r) {
    bool bytes = strcmp(r->unit, "bytes") == 0;
    bool is_small = r->median < 1 << 20;
    double divisor = !bytes ? 1 : is_small ? 1 << 10 : 1 << 20;
    const double figures[] = {r->median, r->best, r->p95, r->p99};
    output_format(out, "%-32s %7u", r->name, r->threads);
    for (size_t i = 0; i < sizeof figures / sizeof figures[0]; i++) {
        print_figure(out, figures[i] / divisor);
    }
    output_format(out, " %s\n", !bytes ? r->unit : is_small ? "KiB" : "MiB");
}

static void print_text(output *out, const machine *m, const bench_report *report,
                       const char *model) {
    output_format(out, "%s; %s; %u CPUs; model %s\n",
                  m->cpu.brand[0] != '\0' ? m->cpu.brand : "unknown CPU", report->isa,
                  (unsigned)m->n_cpus, model[0] != '\0' ? model : "none");
    output_format(out, "%-32s %7s %10s %10s %10s %10s\n", "", "threads", "median", "best", "p95",
                  "p99");
    for (size_t i = 0; i < report->count; i++) {
        print_result(out, &report->results[i]);
    }
    for (size_t i = 0; i < report->n_left_out; i++) {
        output_format(out, "%-32s unavailable: %s\n", report->left_out[i].name,
                      report->left_out[i].reason);
    }
}

typedef tars_status (*bench_function)(client *session, const bench_plan *plan, bench_report *out,
                                      tars_error *err);

static tars_status run_kind(cli *c, const bench_values *values, bench_function measure,
                            tars_error *err) {
    bench_plan plan = {.prompt_tokens = (unsigned)values->prompt,
                       .generate_tokens = (unsigned)values->generate,
                       .count = (unsigned)values->count,
                       .force_isa = values->force_isa,
                       .runtime = values->runtime,
                       .metering = values->metering};
    bool is_wasm = strcmp(values->runtime, "wasm") == 0; /* computes with one thread */
    tars_status status = read_threads(is_wasm ? "1" : values->threads, &plan, err);
    client session;
    if (status != TARS_OK || (status = client_open(&session, c, err)) != TARS_OK) {
        return status;
    }
    char model[PLATFORM_PATH_BYTES];
    bench_report report;
    bool is_without = measure == bench_audit;
    status =
        is_without ? TARS_USAGE : choose_model(&session, values->model, model, sizeof model, err);
    if (status == TARS_USAGE && (is_without || measure == bench_start)) { /* then without one */
        model[0] = '\0';
        status = TARS_OK;
    }
    plan.model = model;
    if (status == TARS_OK) {
        status = measure(&session, &plan, &report, err);
    }
    if (status == TARS_OK) {
        machine m;
        machine_detect(&m);
        (c->globals.json ? print_json : print_text)(&c->out, &m, &report, model);
    }
    client_close(&session);
    return status;
}

static tars_status unknown_kind(const char *kind, tars_error *err) {
    nearest_search search;
    nearest_init(&search, kind);
    for (size_t i = 0; bench_kinds[i]; i++) {
        nearest_offer(&search, bench_kinds[i]);
    }
    error_set(err, TARS_USAGE, "there is no benchmark \"%.80s\"", kind);
    const char *near = nearest_result(&search);
    return error_hint(err, near ? "did you mean %s?" : "there are: %s",
                      near ? near : "llm, start, audit, transform, http, trace, agents");
}

static tars_status run_bench(cli *c, const verb_call *call, tars_error *err) {
    const bench_values *values = call->values;
    const char *kind = call->arguments[0];
    size_t index = 0;
    while (bench_kinds[index] && strcmp(bench_kinds[index], kind) != 0) {
        index++;
    }
    if (!bench_kinds[index]) {
        return unknown_kind(kind, err);
    }
    static const struct {
        const char *kind, *runtime;
        bench_function measure;
    } benches[] = {
        {"llm", "auto", bench_llm},        {"llm", "native", bench_llm},
        {"llm", "wasm", bench_llm},        {"llm", "microvm", bench_llm},
        {"start", "auto", bench_start},    {"start", "wasm", bench_start},
        {"start", "microvm", bench_start}, {"audit", "auto", bench_audit},
    };
    for (size_t i = 0; i < sizeof benches / sizeof benches[0]; i++) {
        if (strcmp(benches[i].kind, kind) == 0 &&
            strcmp(benches[i].runtime, values->runtime) == 0) {
            return run_kind(c, values, benches[i].measure, err);
        }
    }
    error_set(err, TARS_UNAVAILABLE, "the benchmark %s with runtime %s is not in this program",
              kind, values->runtime);
    return error_hint(err, "this version measures: llm native, llm wasm, llm microvm, start wasm, "
                           "start microvm, audit");
}

const verb verb_bench = {
    .name = "bench",
    .group = "Checks",
    .summary = "measure speed and memory",
    .description =
        "Measures a model: a long prompt, an answer, and a process of its own from its start until "
        "it is ready and until the first token of an answer to 32 tokens, with its private memory; "
        "or the start of fresh instances in WebAssembly, of a small program and of the engine over "
        "the model, with the memory of 200 and of 50 of them at once; or the same in micro-VMs "
        "(start --runtime microvm), each step of them by itself, and what their pool makes of it; "
        "or the audit log: appending a record under each policy of fsync, and proving one. "
        "p95 is what 95 of 100 samples reach or better. What cannot be measured here is named with "
        "the reason.",
    .arguments =
        {{.name = "KIND",
          .kind = ARGUMENT_CHOICE,
          .choices = bench_kinds,
          .help =
              "llm, start or audit; transform, http, trace and agents are not in this version"}},
    .uses = {{&bench_set, 0}},
    .examples = {{"tars bench llm --model smollm2 --threads 1,2", "with one and with two threads"},
                 {"tars bench start --model smollm2 --count 1000",
                  "starts of programs and engines in WebAssembly"},
                 {"tars bench start --runtime microvm --count 1000", "in micro-VMs"},
                 {"tars bench audit --count 1000", "what a record of the audit log costs"}},
    .values_bytes = sizeof(bench_values),
    .run = run_bench,
};
