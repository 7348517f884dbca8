#include "cli/report.h"
#include "cli/verb.h"
#include "runtime/process/sandbox.h"

#include <stdlib.h>
#include <string.h>

typedef struct exec_values {
    const char *runtime, *profile, *input;
    uint64_t memory_bytes, timeout_ms, output_bytes;
    option_uint64 fuel;
    option_list folders, environment;
} exec_values;

static const char *const exec_runtimes[] = {"native", "wasm", "microvm", NULL};

static const option exec_rows[] = {
    {.name = "runtime",
     .type = OPTION_ENUM,
     .offset = offsetof(exec_values, runtime),
     .value_name = "RUNTIME",
     .choices = exec_runtimes,
     .default_text = "native",
     .help = "where it runs: native is a process without privileges"},
    {.name = "profile",
     .type = OPTION_ENUM,
     .offset = offsetof(exec_values, profile),
     .value_name = "PROFILE",
     .choices = sandbox_profile_names,
     .default_text = "standard",
     .help = "what it may ask of the system: strict is memory, time, its standard channels and "
             "the end, and the calls for files only with --dir; standard adds files of granted "
             "folders, threads, and reading the system's libraries; trusted is standard"},
    {.name = "memory",
     .type = OPTION_SIZE,
     .offset = offsetof(exec_values, memory_bytes),
     .value_name = "SIZE",
     .default_text = "256MiB",
     .help = "most memory"},
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
     .help = "most instructions; not counted by native"},
    {.name = "max-output",
     .type = OPTION_SIZE,
     .offset = offsetof(exec_values, output_bytes),
     .value_name = "SIZE",
     .default_text = "16MiB",
     .help = "most bytes of standard output and standard error together"},
    {.name = "dir",
     .type = OPTION_TEXT,
     .offset = offsetof(exec_values, folders),
     .value_name = "HOST::GUEST[:ro]",
     .repeated = true,
     .help = "a folder or file of this machine and where the program finds it; :ro forbids "
             "writing. The first one is its working folder"},
    {.name = "env",
     .type = OPTION_TEXT,
     .offset = offsetof(exec_values, environment),
     .value_name = "K=V",
     .repeated = true,
     .help = "a variable of its environment, which is empty else"},
    {.name = "stdin",
     .type = OPTION_FILE,
     .offset = offsetof(exec_values, input),
     .value_name = "FILE",
     .help = "its standard input, - for that of tars; empty when left out"},
};
static const option_set exec_options = OPTION_SET("Options", exec_rows);

/* What a request points to. */
typedef struct exec_plan {
    platform_jail_grant folders[SANDBOX_MAX_FOLDERS];
    char *texts[SANDBOX_MAX_FOLDERS]; /* malloc'ed; the grants' paths lie in them */
    const char *environment[OPTION_LIST_MAX + 1];
    const char **arguments; /* malloc'ed */
    platform_file input;
    bool has_input;
    sandbox_request request;
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
    if (n == SANDBOX_MAX_FOLDERS) {
        return error_set(err, TARS_USAGE, "more than %d folders are granted",
                         (int)SANDBOX_MAX_FOLDERS);
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
    plan->folders[n] = (platform_jail_grant){
        .host = copy, .guest = copy + (middle - text) + 2, .writable = !read_only};
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

static tars_status make_plan(const verb_call *call, exec_plan *plan, tars_error *err) {
    const exec_values *values = call->values;
    plan->arguments = calloc(call->n_arguments + 1, sizeof *plan->arguments);
    if (!plan->arguments) {
        return error_set(err, TARS_OUT_OF_MEMORY, "no memory for the program's arguments");
    }
    memcpy(plan->arguments, call->arguments, call->n_arguments * sizeof *plan->arguments);
    tars_status status = add_environment(plan, &values->environment, err);
    for (size_t i = 0; i < values->folders.count && status == TARS_OK; i++) {
        status = add_folder(plan, values->folders.items[i], err);
    }
    if (status == TARS_OK) {
        status = open_input(plan, values->input, err);
    }
    plan->request.program = call->arguments[0];
    plan->request.arguments = plan->arguments;
    plan->request.environment = plan->environment;
    plan->request.folders = plan->folders;
    plan->request.profile = sandbox_profile_find(values->profile);
    plan->request.limits = (sandbox_limits)SANDBOX_LIMITS_DEFAULTS;
    plan->request.limits.memory_bytes = values->memory_bytes;
    plan->request.limits.timeout_ms = values->timeout_ms;
    plan->request.limits.output_bytes = values->output_bytes;
    return status;
}

static void refusal_name(const platform_jail_refusal *refusal, char *out, size_t size_bytes) {
    text_buffer text;
    text_init(&text, out, size_bytes);
    if (refusal->name) {
        text_append_string(&text, refusal->name);
    } else {
        text_format(&text, "call_%u", (unsigned)refusal->number);
    }
}

static void write_violation(json_writer *json, const char *kind, const char *name, uint64_t count) {
    json_begin_object(json);
    json_member_string(json, "kind", kind);
    json_member_string(json, "name", name);
    json_member_uint(json, "count", count);
    json_end_object(json);
}

static void write_usage(json_writer *json, const platform_jail_result *f) {
    json_key(json, "usage");
    json_begin_object(json);
    json_member_double(json, "wall_ms", (double)f->wall_ns / 1e6);
    json_member_double(json, "cpu_ms", (double)f->cpu_ns / 1e6);
    json_member_uint(json, "memory_peak_bytes", f->memory_peak_bytes);
    json_member_uint(json, "bytes_in", f->bytes_in);
    json_member_uint(json, "bytes_out", f->output.length + f->errors.length);
    json_end_object(json);
}

static void print_json(cli *c, const sandbox_result *result, const char *profile) {
    const platform_jail_result *f = &result->facts;
    json_writer json;
    output_json(&c->out, &json);
    json_begin_object(&json);
    json_member_string(&json, "status", sandbox_status_name(result->status));
    json_member_int(&json, "exit_code", result->exit_code);
    if (f->signal != 0) {
        json_member_int(&json, "signal", f->signal);
    }
    json_member_string(&json, "runtime", "native");
    json_member_string(&json, "profile", profile);
    json_key(&json, "stdout");
    json_string_n(&json, f->output.data ? f->output.data : "", f->output.length);
    json_key(&json, "stderr");
    json_string_n(&json, f->errors.data ? f->errors.data : "", f->errors.length);
    write_usage(&json, f);
    json_key(&json, "violations");
    json_begin_array(&json);
    for (size_t i = 0; i < f->n_refusals; i++) {
        char name[48];
        refusal_name(&f->refusals[i], name, sizeof name);
        write_violation(&json, "syscall", name, f->refusals[i].count);
    }
    if (result->limit) {
        write_violation(&json, "limit", result->limit, 1);
    }
    json_end_array(&json);
    json_key(&json, "missing");
    json_begin_array(&json);
    for (size_t i = 0; i < f->n_missing; i++) {
        json_string(&json, f->missing[i]);
    }
    json_end_array(&json);
    json_end_object(&json);
    output_text(&c->out, "\n");
}

static void tell_end(const cli *c, const sandbox_result *result) {
    const platform_jail_result *f = &result->facts;
    if (result->limit) {
        report_note(c, "the program was ended at its limit: %s", result->limit);
    } else if (f->signal != 0) {
        report_note(c, "the program was ended by signal %d (%s)", f->signal, f->signal_text);
    } else if (result->exit_code != 0) {
        report_note(c, "the program ended with %d", result->exit_code);
    }
    for (size_t i = 0; i < f->n_refusals; i++) {
        char name[48];
        refusal_name(&f->refusals[i], name, sizeof name);
        report_note(c, "refused: %s, %llu times", name, (unsigned long long)f->refusals[i].count);
    }
    for (size_t i = 0; i < f->n_missing; i++) {
        report_note(c, "not in force here: %s", f->missing[i]);
    }
    report_detail(c, "%llu ms, %llu ms of processor time, %llu KiB of memory",
                  (unsigned long long)(f->wall_ns / 1000000),
                  (unsigned long long)(f->cpu_ns / 1000000),
                  (unsigned long long)(f->memory_peak_bytes / 1024));
}

static void print_plain(cli *c, const sandbox_result *result) {
    const platform_jail_result *f = &result->facts;
    output_foreign(&c->out, f->output.data ? f->output.data : "", f->output.length);
    (void)output_flush(&c->out);
    output errors;
    output_init(&errors, PLATFORM_STDERR, platform_is_terminal(PLATFORM_STDERR));
    output_foreign(&errors, f->errors.data ? f->errors.data : "", f->errors.length);
    (void)output_flush(&errors);
    tell_end(c, result);
}

static int exit_status(const sandbox_result *result) {
    static const tars_status rows[SANDBOX_STATUS_COUNT] = {
        [SANDBOX_OK] = TARS_FAILED, /* but 0 when the program said 0 */
        [SANDBOX_TRAP] = TARS_FAILED,
        [SANDBOX_LIMIT] = TARS_LIMIT,
        [SANDBOX_DENIED] = TARS_DENIED};
    bool well = result->status == SANDBOX_OK && result->exit_code == 0;
    return well ? 0 : tars_status_exit(rows[result->status]);
}

static tars_status check_runtime(const exec_values *values, tars_error *err) {
    if (strcmp(values->runtime, "native") != 0) {
        error_set(err, TARS_UNAVAILABLE, "unavailable: tars exec has no runtime %s in this version",
                  values->runtime);
        return error_hint(err, "use --runtime native");
    }
    if (values->fuel.given) {
        error_set(err, TARS_UNAVAILABLE, "unavailable: the runtime native does not count fuel");
        return error_hint(err, "leave out --fuel; --timeout bounds the time");
    }
    return TARS_OK;
}

static tars_status run_exec(cli *c, const verb_call *call, tars_error *err) {
    const exec_values *values = call->values;
    exec_plan plan = {0};
    tars_status status = check_runtime(values, err);
    if (status != TARS_OK) {
        return status;
    }
    sandbox_result result = {0};
    status = make_plan(call, &plan, err);
    if (status == TARS_OK) {
        status = platform_interrupt_install(NULL, NULL, err);
    }
    if (status == TARS_OK) {
        status = sandbox_run(&plan.request, &result, err);
        platform_interrupt_remove();
    }
    if (status == TARS_OK && c->globals.json) {
        print_json(c, &result, values->profile);
    } else if (status == TARS_OK) {
        print_plain(c, &result);
    }
    if (status == TARS_OK) {
        c->exit_status = exit_status(&result);
    }
    sandbox_result_free(&result);
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
    .arguments = {{.name = "PROGRAM", .kind = ARGUMENT_FILE, .help = "a program file"},
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
