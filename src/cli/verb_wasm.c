#include "api/context.h"
#include "base/nearest.h"
#include "cli/client.h"
#include "cli/configuration.h"
#include "cli/module_code.h"
#include "cli/number_text.h"
#include "cli/report.h"
#include "cli/wasm_report.h"
#include "cli/wasm_source.h"
#include "runtime/wasm/stranger.h"
#include "store/modules.h"

#include <stdlib.h>
#include <string.h>

typedef struct wasm_values {
    const char *name;
} wasm_values;

static const option wasm_rows[] = {
    {.name = "name",
     .type = OPTION_TEXT,
     .offset = offsetof(wasm_values, name),
     .value_name = "NAME",
     .help = "with load: its name in the store; else made from the file's"},
};
static const option_set wasm_set = OPTION_SET("Options", wasm_rows);

typedef struct wasm_action {
    const char *name;
    const char *argument; /* what it is about; NULL: it takes none */
    tars_status (*run)(cli *c, const verb_call *call, tars_error *err);
} wasm_action;

static tars_status inspect(cli *c, const verb_call *call, tars_error *err) {
    wasm_source source;
    tars_status status = wasm_source_open(call->arguments[1], &source, err);
    if (status == TARS_OK) {
        bool failed = source.failure.status != TARS_OK;
        wasm_report report = {.name = call->arguments[1],
                              .sha256 = source.sha256,
                              .module = &source.module,
                              .failure = failed ? &source.failure : NULL};
        (c->globals.json ? wasm_report_json : wasm_report_print)(&c->out, &report);
        tars_status problem = source.module.n_problems > 0 ? TARS_MALFORMED : TARS_OK;
        c->exit_status = tars_status_exit(failed ? source.failure.status : problem);
    }
    wasm_source_close(&source);
    return status;
}

/* ---- validating ------------------------------------------------------------------------ */

/* The place that Wasmtime's words name: "… (at offset 0x2d)". */
static bool offset_in(const char *text, uint64_t *offset) {
    static const char mark[] = "at offset 0x";
    static const char digits[] = "0123456789abcdef";
    const char *p = strstr(text, mark);
    *offset = 0;
    for (p = p ? p + sizeof mark - 1 : ""; *p != '\0' && strchr(digits, *p); p++) {
        *offset = *offset << 4 | (uint64_t)(strchr(digits, *p) - digits);
    }
    return strstr(text, mark) != NULL;
}

/* Where in the module it is that Wasmtime refuses, as far as its words tell. */
static void tell_place(const wasm_source *source, tars_error *err) {
    uint64_t offset = 0;
    uint32_t function = 0;
    if (!offset_in(err->cause, &offset)) {
        return;
    }
    if (!module_function_at(&source->module, offset, &function)) {
        error_where(err, "byte %llu", (unsigned long long)offset);
        return;
    }
    char name[96];
    text_buffer text;
    text_init(&text, name, sizeof name);
    module_text_write(module_function_name(&source->module, function), &text);
    error_where(err, "byte %llu, function %u%s%s", (unsigned long long)offset, function,
                name[0] != '\0' ? " " : "", name);
}

/* Wasmtime has the last word. Where both refuse, the reader's message says more. */
static tars_status check_valid(const wasm_source *source, tars_error *err) {
    tars_status status = stranger_validate(source->bytes, source->length, err);
    if (status == TARS_MALFORMED && source->failure.status == TARS_MALFORMED) {
        tars_error told = *err;
        *err = source->failure;
        error_cause(err, "%s", told.cause);
    } else if (status != TARS_OK && status != TARS_UNAVAILABLE) {
        tell_place(source, err);
    }
    return status;
}

static void print_valid(cli *c, const char *path, const wasm_source *source) {
    if (!c->globals.json) {
        output_format(&c->out, "%s: valid\n", path);
        return;
    }
    json_writer json;
    output_json(&c->out, &json);
    json_begin_object(&json);
    json_member_bool(&json, "valid", true);
    json_member_uint(&json, "bytes", source->length);
    json_member_string(&json, "sha256", source->sha256);
    json_end_object(&json);
    output_text(&c->out, "\n");
}

static tars_status validate(cli *c, const verb_call *call, tars_error *err) {
    wasm_source source;
    tars_status status = wasm_source_open(call->arguments[1], &source, err);
    if (status == TARS_OK) {
        status = check_valid(&source, err);
    }
    if (status == TARS_OK) {
        print_valid(c, call->arguments[1], &source);
    }
    wasm_source_close(&source);
    return status;
}

/* ---- the store ------------------------------------------------------------------------- */

/* "program.wasm" → "program" */
static tars_status name_for(const verb_call *call, char name[STORE_NAME_BYTES], tars_error *err) {
    static const char ending[] = ".wasm";
    const wasm_values *values = call->values;
    const char *path = call->arguments[1];
    if (values->name) {
        tars_status status = store_name_check(values->name, err);
        if (status == TARS_OK) {
            memcpy(name, values->name, strlen(values->name) + 1);
        }
        return status;
    }
    if (strcmp(path, "-") == 0) {
        error_set(err, TARS_USAGE, "a module from standard input has no name");
        return error_hint(err, "give it one: --name NAME");
    }
    store_name_from_path(path, name);
    size_t length = strlen(name);
    if (length > sizeof ending - 1 && strcmp(name + length - (sizeof ending - 1), ending) == 0) {
        name[length - (sizeof ending - 1)] = '\0';
    }
    return TARS_OK;
}

/* Compiles as `tars exec --runtime wasm` does when its command line asks for nothing else, so that
 * the first run finds the code. */
static tars_status compile(const cli *c, const wasm_settings *settings, const modules_load *load,
                           const wasm_source *source, tars_error *err) {
    const runtime_limits *limits = &settings->limits;
    stranger_code usual = stranger_code_for(settings->without_proposals, false,
                                            limits->memory_bytes, limits->stack_bytes);
    module_code *code = malloc(sizeof *code);
    if (!code) {
        return error_set(err, TARS_OUT_OF_MEMORY, "no memory to compile a module");
    }
    wasm_artifacts artifacts;
    stranger_module *module = NULL;
    tars_status status =
        module_code_artifacts(c, load->home, load->sha256, settings, code, &artifacts, err);
    if (status == TARS_OK) {
        status = stranger_open(source->bytes, source->length, &usual, &artifacts, &module, err);
        stranger_close(module);
        module_code_tell(c, code);
    }
    free(code);
    return status;
}

/* A failure of the module's own, and not of this machine or of the user's patience. */
static bool is_the_modules(tars_status status) {
    return status == TARS_MALFORMED || status == TARS_UNSUPPORTED || status == TARS_LIMIT ||
           status == TARS_TIMEOUT || status == TARS_FAILED;
}

static tars_status compile_and_keep(const cli *c, const wasm_settings *settings, modules_load *load,
                                    const wasm_source *source, tars_error *err) {
    tars_status status = compile(c, settings, load, source, err);
    if (status == TARS_OK) {
        status = modules_load_commit(load, source->bytes, source->length, err);
    } else if (is_the_modules(status)) {
        modules_load_fail(load, source->length, err);
    }
    return status;
}

static void print_loaded(cli *c, const modules_load *load, const wasm_source *source) {
    if (!c->globals.json) {
        report_note(c, load->was_there ? "%s was loaded already (%.12s)" : "loaded %s (%.12s)",
                    load->name, load->sha256);
        return;
    }
    json_writer json;
    output_json(&c->out, &json);
    json_begin_object(&json);
    json_member_string(&json, "name", load->name);
    json_member_string(&json, "sha256", load->sha256);
    json_member_uint(&json, "bytes", source->length);
    json_member_string(&json, "state", module_state_name(MODULE_LOADED));
    json_member_bool(&json, "was_loaded", load->was_there);
    json_end_object(&json);
    output_text(&c->out, "\n");
}

static tars_status record_loaded(const cli *c, const modules_load *load, const wasm_source *source,
                                 tars_error *err) {
    const log_field fields[] = {{"sha256", load->sha256, 0}, {"bytes", NULL, source->length}};
    return auditing_event(configuration_audit(c), AUDIT_MODULE_LOADED, load->name, fields, 2, err);
}

static tars_status load_source(cli *c, const wasm_settings *settings, const char *home,
                               const char *name, const wasm_source *source, tars_error *err) {
    uint8_t digest[SHA256_DIGEST_BYTES];
    sha256(source->bytes, source->length, digest);
    modules_load *load = malloc(sizeof *load);
    if (!load) {
        return error_set(err, TARS_OUT_OF_MEMORY, "no memory to load a module");
    }
    tars_status status = modules_load_begin(home, name, digest, load, err);
    if (status == TARS_OK) {
        status = load->was_there ? TARS_OK : compile_and_keep(c, settings, load, source, err);
        if (status == TARS_OK) {
            status = record_loaded(c, load, source, err);
        }
        if (status == TARS_OK) {
            print_loaded(c, load, source);
        }
        modules_load_end(load);
    }
    free(load);
    return status;
}

static tars_status load(cli *c, const verb_call *call, tars_error *err) {
    char name[STORE_NAME_BYTES];
    wasm_source source = {0};
    client session;
    const config *values;
    wasm_settings settings;
    tars_status status = name_for(call, name, err);
    if (status == TARS_OK) {
        status = configuration_get(c, &values, err);
    }
    if (status == TARS_OK) {
        status = wasm_settings_get(values, &settings, err);
    }
    if (status != TARS_OK) {
        return status;
    }
    status = wasm_source_open(call->arguments[1], &source, err);
    if (status == TARS_OK) {
        status = check_valid(&source, err);
    }
    if (status == TARS_OK) {
        status = auditing_work(configuration_audit(c), "wasm load", name, err);
    }
    if (status == TARS_OK) {
        status = client_open(&session, c, err);
    }
    if (status == TARS_OK) {
        status = load_source(c, &settings, session.context->home, name, &source, err);
        client_close(&session);
    }
    wasm_source_close(&source);
    return status;
}

static void write_entry(json_writer *json, const module_entry *entry) {
    json_begin_object(json);
    json_member_string(json, "name", entry->name);
    json_member_string(json, "sha256", entry->sha256);
    json_member_uint(json, "bytes", entry->bytes);
    json_member_string(json, "state", module_state_name(entry->state));
    json_member_string(json, "reason", entry->reason);
    json_member_int(json, "loaded_unix_s", entry->loaded_unix_s);
    json_member_uint(json, "runs", entry->runs);
    json_end_object(json);
}

static void print_entries_json(cli *c, const char *key, const module_entry *entries, size_t count) {
    json_writer json;
    output_json(&c->out, &json);
    json_begin_object(&json);
    json_key(&json, key);
    json_begin_array(&json);
    for (size_t i = 0; i < count; i++) {
        write_entry(&json, &entries[i]);
    }
    json_end_array(&json);
    json_end_object(&json);
    output_text(&c->out, "\n");
}

static void print_entries(output *out, const module_entry *entries, size_t count) {
    int columns = 4;
    for (size_t i = 0; i < count; i++) {
        int length = (int)strlen(entries[i].name);
        columns = length > columns ? length : columns;
    }
    output_format(out, "%-*s  %-12s %10s  %-9s  %-20s %6s\n", columns, "NAME", "SHA256", "SIZE",
                  "STATE", "LOADED", "RUNS");
    for (size_t i = 0; i < count; i++) {
        const module_entry *e = &entries[i];
        char size[32];
        char time[32] = "";
        text_buffer text;
        text_init(&text, size, sizeof size);
        number_text_bytes(&text, e->bytes);
        text_init(&text, time, sizeof time);
        if (e->loaded_unix_s > 0) {
            number_text_time(&text, e->loaded_unix_s);
        }
        output_format(out, "%-*s  %-12.12s %10s  %-9s  %-20s %6llu%s%s\n", columns, e->name,
                      e->sha256, size, module_state_name(e->state), time,
                      (unsigned long long)e->runs, e->reason[0] != '\0' ? "  " : "", e->reason);
    }
}

static tars_status list(cli *c, const verb_call *call, tars_error *err) {
    client session;
    module_entry *entries = NULL;
    size_t count = 0;
    (void)call;
    tars_status status = client_open(&session, c, err);
    if (status == TARS_OK) {
        status = modules_list(session.context->home, &entries, &count, err);
        client_close(&session);
    }
    if (status == TARS_OK && c->globals.json) {
        print_entries_json(c, "modules", entries, count);
    } else if (status == TARS_OK && count == 0) {
        report_note(c, "no module is loaded: 'tars wasm load FILE' loads one");
    } else if (status == TARS_OK) {
        print_entries(&c->out, entries, count);
    }
    free(entries);
    return status;
}

static tars_status unload(cli *c, const verb_call *call, tars_error *err) {
    client session;
    module_entry *removed = NULL;
    size_t count = 0;
    tars_status status = client_open(&session, c, err);
    if (status == TARS_OK) {
        status = auditing_work(configuration_audit(c), "wasm unload", call->arguments[1], err);
        if (status == TARS_OK) {
            status =
                modules_unload(session.context->home, call->arguments[1], &removed, &count, err);
        }
        client_close(&session);
    }
    for (size_t i = 0; i < count && status == TARS_OK; i++) {
        const log_field fields[] = {{"sha256", removed[i].sha256, 0}};
        report_note(c, "unloaded %s", removed[i].name);
        status = auditing_event(configuration_audit(c), AUDIT_MODULE_UNLOADED, removed[i].name,
                                fields, 1, err);
    }
    if (status == TARS_OK && c->globals.json) {
        print_entries_json(c, "removed", removed, count);
    }
    free(removed);
    return status;
}

/* ---- the verb -------------------------------------------------------------------------- */

static const wasm_action actions[] = {
    {"inspect", "FILE", inspect}, {"validate", "FILE", validate}, {"load", "FILE", load},
    {"list", NULL, list},         {"unload", "NAME", unload},
};
static const char *const action_names[] = {"inspect", "validate", "load", "list", "unload", NULL};

static tars_status check_argument(const wasm_action *action, const verb_call *call,
                                  tars_error *err) {
    if (action->argument && call->n_arguments < 2) {
        error_set(err, TARS_USAGE, "%s is missing", action->argument);
        return error_hint(err, "usage: tars wasm %s %s", action->name, action->argument);
    }
    if (!action->argument && call->n_arguments > 1) {
        return error_set(err, TARS_USAGE, "wasm %s takes no argument, found \"%.80s\"",
                         action->name, call->arguments[1]);
    }
    return TARS_OK;
}

static tars_status run_wasm(cli *c, const verb_call *call, tars_error *err) {
    nearest_search search;
    nearest_init(&search, call->arguments[0]);
    for (size_t i = 0; i < sizeof actions / sizeof actions[0]; i++) {
        nearest_offer(&search, actions[i].name);
        if (strcmp(actions[i].name, call->arguments[0]) == 0) {
            const wasm_values *values = call->values;
            tars_status status = check_argument(&actions[i], call, err);
            if (status == TARS_OK && values->name && actions[i].run != load) {
                status = error_set(err, TARS_USAGE, "--name is an option of wasm load");
            }
            return status == TARS_OK ? actions[i].run(c, call, err) : status;
        }
    }
    error_set(err, TARS_USAGE,
              "wasm has no action \"%.80s\": expected inspect, validate, load, list or unload",
              call->arguments[0]);
    if (nearest_result(&search)) {
        error_hint(err, "did you mean \"%s\"?", nearest_result(&search));
    }
    return TARS_USAGE;
}

const verb verb_wasm = {
    .name = "wasm",
    .group = "Sandboxes",
    .summary = "look at WebAssembly modules, and keep them compiled",
    .description =
        "inspect shows what a module imports, exports and needs, however damaged or hostile its "
        "file; with problems the exit status is 2. validate has Wasmtime check every function: "
        "exit status 0, or 2 and the place of what is wrong. load validates and compiles a module "
        "and keeps both under a name. list shows what is loaded: executing while a process runs "
        "it, error with a reason when it is of no use. unload drops a name, or the names of a "
        "digest, and with the last one the module and its compiled code; a module that executes "
        "is not unloaded.",
    .arguments = {{.name = "ACTION",
                   .kind = ARGUMENT_CHOICE,
                   .choices = action_names,
                   .help = "inspect, validate, load, list or unload"},
                  {.name = "FILE",
                   .kind = ARGUMENT_FILE,
                   .optional = true,
                   .help = "a module file, - for standard input; with unload: a name of 'tars wasm "
                           "list', or the beginning of a digest"}},
    .uses = {{&wasm_set, 0}},
    .examples = {{"tars wasm inspect program.wasm", "what does it want from its host?"},
                 {"tars wasm validate --json program.wasm", "is it good, as JSON"},
                 {"tars wasm load program.wasm --name tool", "check, compile and keep it"},
                 {"tars wasm unload tool", "remove it and its code"}},
    .values_bytes = sizeof(wasm_values),
    .run = run_wasm,
};
