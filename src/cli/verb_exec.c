#include "api/profiles.h"
#include "cli/audited_run.h"
#include "cli/configuration.h"
#include "cli/exec_source.h"
#include "cli/report.h"
#include "cli/verb.h"
#include "platform/platform.h"
#include "runtime/registry.h"
#include "runtime/wasm/stranger_code.h"

#include <stdlib.h>
#include <string.h>

typedef struct exec_values {
    const char *runtime, *profile, *input;
    uint64_t memory_bytes, timeout_ms, output_bytes, stack_bytes;
    option_uint64 fuel, table_elements;
    option_list folders, environment;
    bool isolate_host;
} exec_values;

static const char *const exec_runtimes[] = {"native", "wasm", "microvm", NULL};

static const option exec_rows[] = {
    {.name = "runtime",
     .type = OPTION_ENUM,
     .offset = offsetof(exec_values, runtime),
     .value_name = "RUNTIME",
     .choices = exec_runtimes,
     .default_text = "native",
     .help = "where it runs: native is a process without privileges, wasm an instance of a WASI "
             "program that sees nothing but what it is given, microvm a virtual machine without "
             "a kernel for a static program"},
    {.name = "profile",
     .type = OPTION_ENUM,
     .offset = offsetof(exec_values, profile),
     .value_name = "PROFILE",
     .choices = runtime_profile_names,
     .is_open = true,
     .default_text = "standard",
     .help = "what it may ask of the system: strict is memory, time, its standard channels and "
             "the end, and the calls for files only with --dir; standard adds files of granted "
             "folders, threads, and reading the system's libraries; trusted is standard; others "
             "are those of the configuration, beside"},
    {.name = "memory",
     .type = OPTION_SIZE,
     .minimum = 1,
     .offset = offsetof(exec_values, memory_bytes),
     .value_name = "SIZE",
     .help = "most memory; 256MiB when left out, in wasm 32MiB, in microvm 64MiB"},
    {.name = "timeout",
     .type = OPTION_DURATION,
     .offset = offsetof(exec_values, timeout_ms),
     .value_name = "TIME",
     .default_text = "30s",
     .help = "longest time on the wall"},
    {.name = "fuel",
     .type = OPTION_UINT64,
     .offset = offsetof(exec_values, fuel),
     .value_name = "N",
     .help = "most instructions, which are counted then; native cannot"},
    {.name = "stack",
     .type = OPTION_SIZE,
     .minimum = 1,
     .offset = offsetof(exec_values, stack_bytes),
     .value_name = "SIZE",
     .help = "most stack in wasm (rounded down to a power of two) and microvm; 1MiB when left "
             "out"},
    {.name = "table-elements",
     .type = OPTION_UINT64,
     .offset = offsetof(exec_values, table_elements),
     .value_name = "N",
     .help = "most elements of a table in wasm; 1000 when left out"},
    {.name = "max-output",
     .type = OPTION_SIZE,
     .minimum = 1,
     .offset = offsetof(exec_values, output_bytes),
     .value_name = "SIZE",
     .default_text = "16MiB",
     .help = "most bytes of standard output and standard error together"},
    {.name = "dir",
     .type = OPTION_TEXT,
     .offset = offsetof(exec_values, folders),
     .value_name = "HOST::GUEST[:ro]",
     .repeated = true,
     .help = "a folder of this machine (for native also a file) and where the program finds it; "
             ":ro forbids writing. The first one is its working folder"},
    {.name = "env",
     .type = OPTION_TEXT,
     .offset = offsetof(exec_values, environment),
     .value_name = "K=V",
     .repeated = true,
     .help = "a variable of its environment, which is empty else"},
    {.name = "isolate-host",
     .type = OPTION_FLAG,
     .offset = offsetof(exec_values, isolate_host),
     .help = "in microvm: what answers the program's system calls is a process of its own without "
             "rights, and not this one"},
    {.name = "stdin",
     .type = OPTION_FILE,
     .offset = offsetof(exec_values, input),
     .value_name = "FILE",
     .help = "its standard input, - for that of tars; empty when left out"},
};
static const option_set exec_options = OPTION_SET("Options", exec_rows);

/* What a request points to. */
typedef struct exec_plan {
    runtime_folder folders[RUNTIME_MAX_FOLDERS];
    char *texts[RUNTIME_MAX_FOLDERS]; /* malloc'ed; the folders' paths lie in them */
    const char *environment[OPTION_LIST_MAX + 1];
    const char **arguments; /* malloc'ed */
    platform_file input;
    bool has_input;
    const runtime_row *row;
    resolved_profile profile;
    wasm_settings wasm;
    runtime_limits limits;
    runtime_request request;
} exec_plan;

static void plan_free(exec_plan *plan) {
    for (size_t i = 0; i < plan->request.n_folders; i++) {
        free(plan->texts[i]);
    }
    free(plan->arguments);
    if (plan->has_input) {
        platform_file_close(&plan->input);
    }
}

static tars_status add_folder(exec_plan *plan, const char *text, tars_error *err) {
    const char *middle = strstr(text, "::");
    size_t n = plan->request.n_folders;
    if (!middle || middle == text || middle[2] != '/') {
        error_set(err, TARS_USAGE, "--dir \"%.120s\" does not name two places", text);
        return error_hint(err, "write HOST::GUEST, or HOST::GUEST:ro, with an absolute GUEST: "
                               "--dir ./data::/data:ro");
    }
    if (n == RUNTIME_MAX_FOLDERS) {
        return error_set(err, TARS_USAGE, "more than %d folders are granted",
                         (int)RUNTIME_MAX_FOLDERS);
    }
    size_t length = strlen(text);
    bool read_only = length > 3 && strcmp(text + length - 3, ":ro") == 0;
    char *copy = malloc(length + 1);
    if (!copy) {
        return error_set(err, TARS_OUT_OF_MEMORY, "no memory for a path");
    }
    memcpy(copy, text, length + 1);
    copy[middle - text] = '\0';
    copy[length - (read_only ? 3 : 0)] = '\0';
    plan->texts[n] = copy;
    plan->folders[n] =
        (runtime_folder){.host = copy, .guest = copy + (middle - text) + 2, .writable = !read_only};
    plan->request.n_folders++;
    return TARS_OK;
}

static tars_status add_environment(exec_plan *plan, const option_list *list, tars_error *err) {
    for (size_t i = 0; i < list->count; i++) {
        const char *equals = strchr(list->items[i], '=');
        if (!equals || equals == list->items[i]) {
            error_set(err, TARS_USAGE, "--env \"%.80s\" is no variable", list->items[i]);
            return error_hint(err, "write NAME=VALUE: --env LANG=C.UTF-8");
        }
        plan->environment[i] = list->items[i];
    }
    return TARS_OK;
}

static tars_status open_input(exec_plan *plan, const char *path, tars_error *err) {
    plan->request.input = PLATFORM_NO_HANDLE;
    if (!path) {
        return TARS_OK;
    }
    if (strcmp(path, "-") == 0) {
        plan->request.input = PLATFORM_STDIN;
        return TARS_OK;
    }
    tars_status status = platform_file_open(path, &plan->input, err);
    plan->has_input = status == TARS_OK;
    plan->request.input = plan->has_input ? plan->input.handle : PLATFORM_NO_HANDLE;
    return status;
}

static tars_status take_profile(exec_plan *plan, const config *values, const char *name,
                                tars_error *err) {
    tars_status status = profiles_resolve(values, name, &plan->profile, err);
    if (status == TARS_OK) {
        status = profiles_check_runtime(&plan->profile, plan->row, err);
    }
    if (status == TARS_OK && plan->profile.no_folders && plan->request.n_folders > 0) {
        status = error_set(err, TARS_DENIED,
                           "the profile %.60s reaches no files of this machine: --dir is refused",
                           plan->profile.rules.name);
        error_hint(err, "deployment.security says files: scratch; use --stdin and the output");
    }
    return status;
}

/* What the command line leaves open is the configuration's. */
static tars_status take_settings(exec_plan *plan, const config *values, tars_error *err) {
    if (strcmp(plan->row->name, "wasm") != 0) {
        return TARS_OK;
    }
    tars_status status = wasm_settings_get(values, &plan->wasm, err);
    const runtime_limits *said = &plan->wasm.limits;
    runtime_limits *l = &plan->limits;
    l->memory_bytes = l->memory_bytes > 0 ? l->memory_bytes : said->memory_bytes;
    l->stack_bytes = l->stack_bytes > 0 ? l->stack_bytes : said->stack_bytes;
    l->table_elements = l->table_elements > 0 ? l->table_elements : said->table_elements;
    plan->profile.rules.wasi_refused |= plan->wasm.wasi_refused;
    return status;
}

static tars_status take_counts(exec_plan *plan, const exec_values *values, tars_error *err) {
    if (values->fuel.given && values->fuel.value == 0) {
        return error_set(err, TARS_USAGE, "--fuel 0; at least 1 is needed to run at all");
    }
    if (values->table_elements.given &&
        (values->table_elements.value == 0 || values->table_elements.value > UINT32_MAX)) {
        return error_set(err, TARS_USAGE, "--table-elements %llu; 1 to %u are possible",
                         (unsigned long long)values->table_elements.value, UINT32_MAX);
    }
    plan->limits.table_elements = (uint32_t)values->table_elements.value;
    return TARS_OK;
}

static tars_status make_plan(const config *from, const verb_call *call, exec_plan *plan,
                             tars_error *err) {
    const exec_values *values = call->values;
    plan->arguments = calloc(call->n_arguments + 1, sizeof *plan->arguments);
    if (!plan->arguments) {
        error_set(err, TARS_OUT_OF_MEMORY, "no memory for the program's arguments");
        return TARS_OUT_OF_MEMORY;
    }
    memcpy(plan->arguments, call->arguments, call->n_arguments * sizeof *plan->arguments);
    tars_status status = add_environment(plan, &values->environment, err);
    for (size_t i = 0; i < values->folders.count && status == TARS_OK; i++) {
        status = add_folder(plan, values->folders.items[i], err);
    }
    if (status == TARS_OK) {
        status = open_input(plan, values->input, err);
    }
    plan->request.arguments = plan->arguments;
    plan->request.environment = plan->environment;
    plan->request.folders = plan->folders;
    plan->row = runtime_find(values->runtime);
    plan->limits = (runtime_limits){.memory_bytes = values->memory_bytes,
                                    .timeout_ms = values->timeout_ms,
                                    .output_bytes = values->output_bytes,
                                    .stack_bytes = values->stack_bytes,
                                    .fuel = values->fuel.given ? values->fuel.value : 0};
    if (status == TARS_OK) {
        status = take_counts(plan, values, err);
    }
    if (status == TARS_OK) {
        status = take_profile(plan, from, values->profile, err);
    }
    if (status == TARS_OK) {
        status = take_settings(plan, from, err);
    }
    return status;
}

/* ---- telling ----------------------------------------------------------------------------- */

static void write_violations(json_writer *json, const runtime_violations *list) {
    json_key(json, "violations");
    json_begin_array(json);
    if (list->lost > 0) { /* for which there was no room */
        json_begin_object(json);
        json_member_string(json, "kind", "other");
        json_member_string(json, "name", "more");
        json_member_uint(json, "count", list->lost);
        json_end_object(json);
    }
    for (size_t i = 0; i < list->count; i++) {
        json_begin_object(json);
        json_member_string(json, "kind", list->rows[i].kind);
        json_member_string(json, "name", list->rows[i].name);
        json_member_uint(json, "count", list->rows[i].count);
        json_end_object(json);
    }
    json_end_array(json);
}

static void write_usage(json_writer *json, const runtime_usage *u) {
    json_key(json, "usage");
    json_begin_object(json);
    json_member_double(json, "wall_ms", (double)u->wall_ns / 1e6);
    json_member_double(json, "cpu_ms", (double)u->cpu_ns / 1e6);
    json_member_double(json, "start_ms", (double)u->start_ns / 1e6);
    json_member_uint(json, "memory_peak_bytes", u->memory_peak_bytes);
    if (u->has_fuel) {
        json_member_uint(json, "fuel", u->fuel);
    }
    json_key(json, "host_calls");
    json_begin_object(json);
    for (size_t i = 0; i < u->n_calls; i++) {
        json_member_uint(json, u->calls[i].name, u->calls[i].count);
    }
    json_end_object(json);
    json_member_uint(json, "bytes_in", u->bytes_in);
    json_member_uint(json, "bytes_out", u->bytes_out);
    json_end_object(json);
}

static void print_json(cli *c, const exec_plan *plan, const runtime_outcome *o) {
    json_writer json;
    output_json(&c->out, &json);
    json_begin_object(&json);
    json_member_string(&json, "status", runtime_end_name(o->end));
    json_member_int(&json, "exit_code", o->exit_code);
    if (o->signal != 0) {
        json_member_int(&json, "signal", o->signal);
    }
    if (o->message[0] != '\0') {
        json_member_string(&json, "message", o->message);
    }
    json_member_string(&json, "runtime", plan->row->name);
    json_member_string(&json, "profile", plan->profile.rules.name);
    json_key(&json, "stdout");
    json_string_n(&json, o->output.data, o->output.length);
    json_key(&json, "stderr");
    json_string_n(&json, o->errors.data, o->errors.length);
    write_usage(&json, &o->usage);
    write_violations(&json, &o->violations);
    json_key(&json, "missing");
    json_begin_array(&json);
    for (size_t i = 0; i < o->n_missing; i++) {
        json_string(&json, o->missing[i]);
    }
    json_end_array(&json);
    json_end_object(&json);
    output_text(&c->out, "\n");
}

/* Every violation is a record, and the end is one. */
static void log_end(const cli *c, const exec_plan *plan, const runtime_outcome *o) {
    const char *program = plan->arguments[0];
    log_field fields[] = {{"program", program, 0},
                          {"runtime", plan->row->name, 0},
                          {"profile", plan->profile.rules.name, 0},
                          {"kind", "", 0},
                          {"name", "", 0},
                          {"count", NULL, 0}};
    enum { KIND = 3, NAME, COUNT, FIELDS };
    for (size_t i = 0; i < o->violations.count; i++) {
        const runtime_violation *v = &o->violations.rows[i];
        fields[KIND].text = v->kind;
        fields[NAME].text = v->name;
        fields[COUNT].number = v->count;
        configuration_log(c, LOG_WARN, "the program was refused something or met a limit", fields,
                          FIELDS);
    }
    if (o->violations.lost > 0) {
        fields[KIND].text = "other";
        fields[NAME].text = "";
        fields[COUNT].number = o->violations.lost;
        configuration_log(c, LOG_WARN, "more was refused than is named", fields, FIELDS);
    }
    log_field end[] = {fields[0],
                       fields[1],
                       fields[2],
                       {"status", runtime_end_name(o->end), 0},
                       {"wall_ms", NULL, o->usage.wall_ns / 1000000},
                       {"exit_code", NULL, (uint64_t)o->exit_code}};
    size_t n = sizeof end / sizeof end[0] - (o->exit_code < 0); /* then there is none */
    configuration_log(c, LOG_INFO, "the program ended", end, n);
}

/* The run itself was refused: by its profile, before the program began. */
static void log_denied(const cli *c, const verb_call *call, const tars_error *err) {
    const exec_values *values = call->values;
    const log_field fields[] = {{"program", call->arguments[0], 0},
                                {"runtime", values->runtime, 0},
                                {"profile", values->profile, 0},
                                {"reason", err->message, 0}};
    configuration_log(c, LOG_WARN, "the run was refused", fields, sizeof fields / sizeof fields[0]);
}

static void tell_end(const cli *c, const runtime_outcome *o) {
    if (o->limit) {
        report_note(c, "the program was ended at its limit: %s", o->limit);
    } else if (o->message[0] != '\0') {
        report_note(c, "the program was ended: %s", o->message);
    } else if (o->exit_code != 0) {
        report_note(c, "the program ended with %d", o->exit_code);
    }
    for (size_t i = 0; i < o->violations.count; i++) {
        const runtime_violation *v = &o->violations.rows[i];
        if (strcmp(v->kind, "limit") != 0) {
            report_note(c, "refused: %s, %llu times", v->name, (unsigned long long)v->count);
        }
    }
    for (size_t i = 0; i < o->n_missing; i++) {
        report_note(c, "not in force here: %s", o->missing[i]);
    }
    report_detail(c, "%llu ms, %llu ms of processor time, %llu KiB of memory",
                  (unsigned long long)(o->usage.wall_ns / 1000000),
                  (unsigned long long)(o->usage.cpu_ns / 1000000),
                  (unsigned long long)(o->usage.memory_peak_bytes / 1024));
}

static void print_plain(cli *c, const runtime_outcome *o) {
    output_foreign(&c->out, o->output.data, o->output.length);
    (void)output_flush(&c->out);
    output errors;
    output_init(&errors, PLATFORM_STDERR, platform_is_terminal(PLATFORM_STDERR));
    output_foreign(&errors, o->errors.data, o->errors.length);
    (void)output_flush(&errors);
    tell_end(c, o);
}

static int exit_status(const runtime_outcome *o) {
    static const tars_status rows[RUNTIME_ENDS] = {
        [RUNTIME_OK] = TARS_FAILED, /* but 0 when the program said 0 */
        [RUNTIME_TRAP] = TARS_FAILED,
        [RUNTIME_LIMIT] = TARS_LIMIT,
        [RUNTIME_DENIED] = TARS_DENIED};
    bool well = o->end == RUNTIME_OK && o->exit_code == 0;
    return well ? 0 : tars_status_exit(rows[o->end]);
}

/* ---- running ----------------------------------------------------------------------------- */

static bool is_not_interrupted(void *user) {
    (void)user;
    return platform_interrupted() == 0;
}

static tars_status serve(const exec_plan *plan, runtime_image *image, runtime_outcome *o,
                         tars_error *err) {
    runtime_instance *instance = NULL;
    tars_status status = runtime_spawn(image, NULL, &plan->profile.rules, &instance, err);
    if (status == TARS_OK) {
        status = runtime_submit(instance, &plan->request, is_not_interrupted, NULL, err);
    }
    if (status == TARS_OK) {
        status = runtime_poll(instance, o, err);
    }
    (void)runtime_kill(instance, NULL); /* it has ended, or never ran */
    return status;
}

/* Whether a module that is refused would be so in any run. */
static bool is_usual(const exec_plan *plan) {
    return plan->wasm.without_proposals == 0 &&
           plan->limits.memory_bytes <= STRANGER_BULK_MEMORY_BYTES;
}

/* Fills *o, which is to be given back. */
static tars_status run_program(const cli *c, const exec_plan *plan, const verb_call *call,
                               runtime_outcome *o, tars_error *err) {
    const exec_values *values = call->values;
    exec_source *opened = malloc(sizeof *opened);
    if (!opened) {
        return error_set(err, TARS_OUT_OF_MEMORY, "no memory for a program");
    }
    runtime_image *image = NULL;
    bool is_refused = false;
    tars_status status =
        exec_source_open(c, values->runtime, &plan->wasm, call->arguments[0], opened, err);
    if (status == TARS_OK) {
        runtime_source source = {.kind = RUNTIME_PROGRAM,
                                 .path = opened->path,
                                 .bytes = opened->is_module ? opened->module.bytes : NULL,
                                 .length = opened->is_module ? opened->module.length : 0,
                                 .limits = &plan->limits,
                                 .isolate_host = values->isolate_host,
                                 .without_proposals = plan->wasm.without_proposals,
                                 .artifacts = &opened->artifacts};
        status = runtime_open(plan->row, &source, &image, err);
        is_refused = status != TARS_OK && is_usual(plan);
    }
    if (status == TARS_OK) {
        status = serve(plan, image, o, err);
        runtime_close(image);
    }
    exec_source_close(c, opened, is_refused ? err : NULL);
    free(opened);
    return status;
}

static audited_run audited(const cli *c, const verb_call *call) {
    const exec_values *values = call->values;
    return (audited_run){.log = configuration_audit(c),
                         .program = call->arguments[0],
                         .profile = values->profile,
                         .runtime = values->runtime};
}

/* Runs it; what it did and was refused is recorded before anything of it is told. */
static tars_status run_audited(const cli *c, const exec_plan *plan, const verb_call *call,
                               runtime_outcome *o, tars_error *err) {
    audited_run audit = audited(c, call);
    tars_status status = auditing_begins(&audit, err);
    if (status == TARS_OK) {
        status = run_program(c, plan, call, o, err);
    }
    return status == TARS_OK ? auditing_violations(&audit, o, err) : status;
}

/* The refusal stays what is told, but for one that cannot be recorded and must be. */
static tars_status tell_denied(const cli *c, const verb_call *call, tars_error *err) {
    audited_run audit = audited(c, call);
    tars_error refusal = *err;
    log_denied(c, call, err);
    tars_status status = auditing_denied(&audit, &refusal, err);
    return status == TARS_OK ? TARS_DENIED : status;
}

static tars_status run_exec(cli *c, const verb_call *call, tars_error *err) {
    exec_plan plan = {0};
    runtime_outcome outcome = {0};
    const config *values = NULL;
    tars_status status = configuration_get(c, &values, err);
    if (status == TARS_OK) {
        status = make_plan(values, call, &plan, err);
    }
    if (status == TARS_OK) {
        status = platform_interrupt_install(NULL, NULL, err);
    }
    if (status == TARS_OK) {
        status = run_audited(c, &plan, call, &outcome, err);
        platform_interrupt_remove();
    }
    if (status == TARS_OK && c->globals.json) {
        print_json(c, &plan, &outcome);
    } else if (status == TARS_OK) {
        print_plain(c, &outcome);
    }
    if (status == TARS_OK) {
        c->exit_status = exit_status(&outcome);
        log_end(c, &plan, &outcome);
    } else if (status == TARS_DENIED) {
        status = tell_denied(c, call, err);
    }
    runtime_outcome_free(&outcome);
    plan_free(&plan);
    return status;
}

const verb verb_exec = {
    .name = "exec",
    .group = "Sandboxes",
    .summary = "run a program in a sandbox under limits",
    .description =
        "Runs a program that need not be trusted, and says what it used and what it was refused. "
        "It has no network, sees no file but those of granted folders, no other process and no "
        "variable of the environment, and is ended at its limits. A system call that its profile "
        "does not allow fails with EPERM and is counted. Options of the program follow --.\n\n"
        "What this machine lacks for the sandbox is told with the result and by 'tars doctor'. "
        "Exit status: 0 when the program ended with 0, 1 when it ended otherwise, 3 when it was "
        "also refused something, 4 at a limit.",
    .arguments = {{.name = "PROGRAM",
                   .kind = ARGUMENT_FILE,
                   .help = "a program file; for wasm also a name of 'tars wasm list'"},
                  {.name = "ARG",
                   .kind = ARGUMENT_TEXT,
                   .optional = true,
                   .repeated = true,
                   .help = "its arguments"}},
    .uses = {{&exec_options, 0}},
    .examples = {{"tars exec --profile strict ./static-program", "nothing but computing"},
                 {"tars exec --dir ./data::/data:ro --timeout 5s /usr/bin/wc -- -l /data/log",
                  "a program of the system over a folder"},
                 {"tars exec --json --memory 64MiB --stdin input.txt ./program",
                  "what it did, used and was refused, as JSON"}},
    .values_bytes = sizeof(exec_values),
    .run = run_exec,
};
