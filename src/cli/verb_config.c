#include "base/nearest.h"
#include "cli/configuration.h"
#include "cli/report.h"

#include <string.h>

typedef struct config_values {
    bool origin;
} config_values;

static const option config_rows[] = {
    {.name = "origin",
     .type = OPTION_FLAG,
     .offset = offsetof(config_values, origin),
     .help = "with show: say where each value comes from"},
};
static const option_set config_set = OPTION_SET("Options", config_rows);

static const char *const config_actions[] = {"check", "show", "schema", NULL};

static void print_diagnostics(json_writer *json, const config_diagnostics *problems) {
    json_key(json, "diagnostics");
    json_begin_array(json);
    for (const config_diagnostic *d = problems->first; d; d = d->next) {
        json_begin_object(json);
        json_member_string(json, "severity", d->warning ? "warning" : "error");
        json_member_string(json, "code", d->code);
        json_member_string(json, "file", d->file);
        json_member_int(json, "line", d->line);
        json_member_int(json, "column", d->column);
        json_member_string(json, "path", d->path);
        json_member_string(json, "message", d->message);
        json_end_object(json);
    }
    json_end_array(json);
}

static void line_of(const config_diagnostic *d, char *bytes, size_t size_bytes) {
    text_buffer text;
    text_init(&text, bytes, size_bytes);
    diagnostics_line(d, &text);
}

/* Like a compiler's: one line each. */
static void tell_problems(cli *c, const config_diagnostics *problems, bool as_result) {
    char line[4096];
    for (const config_diagnostic *d = problems->first; d; d = d->next) {
        line_of(d, line, sizeof line);
        if (as_result) {
            output_format(&c->out, "%s\n", line);
        } else {
            terminal_write(&c->messages, line, strlen(line));
            terminal_write(&c->messages, "\n", 1);
        }
    }
}

static tars_status check(cli *c, const verb_call *call, tars_error *err) {
    (void)call;
    config_diagnostics problems = {0};
    config *loaded = NULL;
    tars_status status = configuration_load(c, &problems, &loaded, err);
    if (status != TARS_OK && problems.n_errors == 0) {
        diagnostics_free(&problems);
        return status;
    }
    if (c->globals.json) {
        json_writer json;
        output_json(&c->out, &json);
        json_begin_object(&json);
        json_member_bool(&json, "valid", problems.n_errors == 0);
        json_member_uint(&json, "errors", problems.n_errors);
        json_member_uint(&json, "warnings", problems.n_warnings);
        print_diagnostics(&json, &problems);
        json_end_object(&json);
        output_text(&c->out, "\n");
    } else {
        tell_problems(c, &problems, true);
        report_note(c, "%zu error%s, %zu warning%s", problems.n_errors,
                    problems.n_errors == 1 ? "" : "s", problems.n_warnings,
                    problems.n_warnings == 1 ? "" : "s");
    }
    c->exit_status = problems.n_errors > 0 ? tars_status_exit(TARS_MALFORMED) : 0;
    config_destroy(loaded);
    diagnostics_free(&problems);
    return TARS_OK;
}

/* Whether YAML reads the text back as this text without quotes. */
static bool is_plain(const char *text) {
    static const char first[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ/_";
    static const char others[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
                                 "/_.+@-";
    static const char *const words[] = {"true", "false", "null", "yes", "no",
                                        "on",   "off",   "y",    "n"};
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
        if (nearest_distance(words[i], text, 0) == 0) {
            return false;
        }
    }
    return text[0] != '\0' && strchr(first, text[0]) && strspn(text, others) == strlen(text);
}

static void print_scalar(cli *c, const config_value *value) {
    char bytes[256];
    text_buffer text;
    /* "false" is a word like the others where words are expected */
    bool is_choice = value->row && value->row->type == CONFIG_TYPE_ENUM &&
                     (strcmp(value->text, "true") == 0 || strcmp(value->text, "false") == 0);
    if (value->kind == CONFIG_TEXT && (is_choice || is_plain(value->text))) {
        output_text(&c->out, value->text);
    } else if (value->kind == CONFIG_TEXT) {
        json_writer json; /* a text of JSON is one of YAML */
        output_json(&c->out, &json);
        json_string(&json, value->text);
    } else {
        text_init(&text, bytes, sizeof bytes);
        config_scalar_write(value, &text);
        output_text(&c->out, bytes);
    }
}

static void print_name(cli *c, const char *name) {
    json_writer json;
    if (is_plain(name)) {
        output_text(&c->out, name);
        return;
    }
    output_json(&c->out, &json);
    json_string(&json, name);
}

static void print_end(cli *c, const config_value *value, bool origin) {
    char bytes[PLATFORM_PATH_BYTES + 64];
    text_buffer text;
    text_init(&text, bytes, sizeof bytes);
    if (origin) {
        config_origin_write(&value->origin, &text);
        output_format(&c->out, "  # %s", bytes);
    }
    output_text(&c->out, "\n");
}

static bool is_flow(const config_value *value) {
    for (const config_value *item = value->first; item; item = item->next) {
        if (item->kind == CONFIG_MAP || item->kind == CONFIG_LIST) {
            return false;
        }
    }
    return value->kind == CONFIG_LIST;
}

static void print_flow(cli *c, const config_value *list) {
    output_text(&c->out, "[");
    for (const config_value *item = list->first; item; item = item->next) {
        output_text(&c->out, item != list->first ? ", " : "");
        print_scalar(c, item);
    }
    output_text(&c->out, "]");
}

static void print_indent(cli *c, unsigned columns) {
    output_format(&c->out, "%*s", (int)columns, "");
}

/* One value as YAML, behind its key or the mark of its item. Depth is that of the file format:
 * at most 32. */
static void print_value(cli *c, const config_value *value, unsigned indent, bool origin) {
    bool is_map = value->kind == CONFIG_MAP;
    if (value->count == 0 && (is_map || value->kind == CONFIG_LIST)) {
        output_text(&c->out, is_map ? " {}" : " []");
        print_end(c, value, origin);
    } else if (!is_map && (value->kind != CONFIG_LIST || is_flow(value))) {
        output_text(&c->out, " ");
        (is_flow(value) ? print_flow : print_scalar)(c, value);
        print_end(c, value, origin);
    } else {
        output_text(&c->out, "\n");
        for (const config_value *child = value->first; child; child = child->next) {
            print_indent(c, indent);
            if (is_map) {
                print_name(c, child->name);
            }
            output_text(&c->out, is_map ? ":" : "-");
            print_value(c, child, indent + 2, origin);
        }
    }
}

/* The whole file's form for a map; a single value stands for itself. */
static void print_yaml(cli *c, const config_value *value, bool origin) {
    if (value->kind == CONFIG_MAP) {
        for (const config_value *child = value->first; child; child = child->next) {
            print_name(c, child->name);
            output_text(&c->out, ":");
            print_value(c, child, 2, origin);
        }
        return;
    }
    if (value->kind == CONFIG_LIST && !is_flow(value)) {
        print_value(c, value, 0, origin);
        return;
    }
    if (value->kind == CONFIG_TEXT) { /* for scripts: the text itself */
        output_foreign(&c->out, value->text, strlen(value->text));
    } else {
        (is_flow(value) ? print_flow : print_scalar)(c, value);
    }
    print_end(c, value, origin);
}

static void print_json(cli *c, const config *loaded, const char *path, const config_value *value,
                       bool origin) {
    json_writer json;
    output_json(&c->out, &json);
    json_begin_object(&json);
    json_member_string(&json, "path", path ? path : "");
    json_key(&json, "value");
    if (value) {
        config_json_write(value, &json);
    } else {
        json_null(&json);
    }
    if (origin) {
        config_origins_write(loaded, path ? path : "", &json);
    }
    json_member_string(&json, "folder", config_folder(loaded));
    json_key(&json, "files");
    json_begin_array(&json);
    for (size_t i = 0; i < config_file_count(loaded); i++) {
        json_string(&json, config_file(loaded, i));
    }
    json_end_array(&json);
    json_end_object(&json);
    output_text(&c->out, "\n");
}

static tars_status show(cli *c, const verb_call *call, tars_error *err) {
    const config_values *values = call->values;
    const char *path = call->n_arguments > 1 ? call->arguments[1] : NULL;
    config_diagnostics problems = {0};
    config *loaded = NULL;
    tars_status status = path ? config_path_check(path, err) : TARS_OK;
    if (status == TARS_OK) {
        status = configuration_load(c, &problems, &loaded, err);
        tell_problems(c, &problems, false);
        diagnostics_free(&problems);
    }
    if (status != TARS_OK) {
        return status;
    }
    const config_value *value = path ? config_get(loaded, path) : config_root(loaded);
    if (c->globals.json) {
        print_json(c, loaded, path, value, values->origin);
    } else if (value) {
        print_yaml(c, value, values->origin);
    } else {
        report_note(c, "%s is not set and has no default", path);
    }
    config_destroy(loaded);
    return TARS_OK;
}

static tars_status schema(cli *c, const verb_call *call, tars_error *err) {
    json_writer json;
    (void)call;
    output_json(&c->out, &json);
    tars_status status = config_schema_write(&json, err);
    output_text(&c->out, status == TARS_OK ? "\n" : "");
    return status;
}

typedef tars_status (*action)(cli *c, const verb_call *call, tars_error *err);

static tars_status run_config(cli *c, const verb_call *call, tars_error *err) {
    static const action actions[] = {check, show, schema};
    nearest_search search;
    nearest_init(&search, call->arguments[0]);
    for (size_t i = 0; config_actions[i]; i++) {
        nearest_offer(&search, config_actions[i]);
        if (strcmp(config_actions[i], call->arguments[0]) == 0) {
            if (call->n_arguments > 1 && actions[i] != show) {
                return error_set(err, TARS_USAGE, "config %s takes no path, found \"%.80s\"",
                                 config_actions[i], call->arguments[1]);
            }
            return actions[i](c, call, err);
        }
    }
    error_set(err, TARS_USAGE, "config has no action \"%.80s\": expected check, show or schema",
              call->arguments[0]);
    if (nearest_result(&search)) {
        error_hint(err, "did you mean \"%s\"?", nearest_result(&search));
    }
    return TARS_USAGE;
}

const verb verb_config = {
    .name = "config",
    .group = "Checks",
    .summary = "check and show the configuration",
    .description =
        "check reads all files and tells everything that is wrong in them, as "
        "file:line:column; the exit status is 2 when there are errors. show prints the effective "
        "configuration as YAML, or the value at PATH. schema prints a JSON Schema of all keys for "
        "editors.",
    .arguments = {{.name = "ACTION",
                   .kind = ARGUMENT_CHOICE,
                   .choices = config_actions,
                   .help = "check, show or schema"},
                  {.name = "PATH",
                   .kind = ARGUMENT_TEXT,
                   .optional = true,
                   .help = "with show: the key, such as deployment.wasm.limits"}},
    .uses = {{&config_set, 0}},
    .examples = {{"tars config check --config ./config", "are these files good?"},
                 {"tars config show --origin deployment.logging", "which file says so?"},
                 {"tars config schema > tars.schema.json", "completion in an editor"}},
    .values_bytes = sizeof(config_values),
    .run = run_config,
};
