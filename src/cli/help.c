#include "cli/help.h"

#include <string.h>

enum {
    HELP_WIDTH_DEFAULT = 80,
    HELP_WIDTH_MAX = 100,
    HELP_WIDTH_MIN = 40,
    HELP_LABEL_COLUMNS = 24
};

const help_fact help_exit_statuses[] = {
    {"0", "success"},
    {"1", "failure; also a receipt that does not match"},
    {"2", "wrong usage or malformed input"},
    {"3", "refused by policy"},
    {"4", "a limit was reached or time ran out"},
    {"5", "not available here: runtime, model, device; the message says why and what to do"},
    {"130", "interrupted"},
    {NULL, NULL},
};
const help_fact help_environment[] = {
    {"TARS_HOME", "folder of the model store, keys and history"},
    {"TARS_DATA_DIR", "the same, when TARS_HOME is not set"},
    {"TARS_OFFLINE", "1: open no connection to another machine, as --offline"},
    {"NO_COLOR", "when not empty: no colours, as --no-color"},
    {NULL, NULL},
};

void help_label_option(const option *row, text_buffer *text) {
    if (row->letter) {
        text_format(text, "-%c, ", row->letter);
    }
    text_format(text, "--%s%s%s", row->name, row->value_name ? " " : "",
                row->value_name ? row->value_name : "");
}

void help_describe_option(const option *row, text_buffer *text) {
    text_append_string(text, row->help);
    for (size_t i = 0; row->choices && row->choices[i]; i++) {
        text_format(text, "%s%s",
                    i == 0                ? ": "
                    : row->choices[i + 1] ? ", "
                                          : " or ",
                    row->choices[i]);
    }
    if (row->default_text) {
        text_format(text, " (default %s)", row->default_text);
    }
    if (row->repeated) {
        text_append_string(text, "; may be repeated");
    }
}

typedef struct page {
    output *out;
    unsigned width;
    bool color;
} page;

static void heading(page *p, const char *title) {
    output_format(p->out, "\n");
    output_text(p->out, terminal_escape(p->color, STYLE_BOLD));
    output_format(p->out, "%s:", title);
    output_text(p->out, terminal_escape(p->color, STYLE_PLAIN));
    output_text(p->out, "\n");
}

/* Prints words from `column` on, wrapped at the page's width, later lines indented to `indent`. */
static void wrap(page *p, const char *text, unsigned column, unsigned indent) {
    bool first = true;
    while (*text != '\0') {
        if (*text == '\n') {
            output_text(p->out, "\n");
            column = 0;
            first = true;
            text++;
            continue;
        }
        size_t length = strcspn(text, " \n");
        unsigned columns = (unsigned)terminal_columns(text, length);
        if (!first && column + 1 + columns > p->width) {
            output_text(p->out, "\n");
            column = 0;
            first = true;
        }
        if (first) {
            output_format(p->out, "%*s", (int)(column < indent ? indent - column : 0), "");
            column = column < indent ? indent : column;
        } else {
            output_text(p->out, " ");
            column++;
        }
        output_bytes(p->out, text, length);
        column += columns;
        first = false;
        text += length;
        text += *text == ' ' ? 1 : 0;
    }
    output_text(p->out, "\n");
}

static void two_columns(page *p, const char *label, const char *help) {
    output_text(p->out, "  ");
    output_text(p->out, terminal_escape(p->color, STYLE_CYAN));
    output_text(p->out, label);
    output_text(p->out, terminal_escape(p->color, STYLE_PLAIN));
    unsigned column = 2 + (unsigned)terminal_columns(label, strlen(label));
    if (column + 2 > HELP_LABEL_COLUMNS) {
        output_text(p->out, "\n");
        column = 0;
    }
    wrap(p, help, column, HELP_LABEL_COLUMNS);
}

static void print_options(page *p, const option_set *set) {
    heading(p, set->title);
    for (size_t i = 0; i < set->count; i++) {
        if (set->rows[i].hidden) {
            continue;
        }
        char label[80];
        char help[400];
        text_buffer label_text;
        text_buffer help_text;
        text_init(&label_text, label, sizeof label);
        text_init(&help_text, help, sizeof help);
        help_label_option(&set->rows[i], &label_text);
        help_describe_option(&set->rows[i], &help_text);
        two_columns(p, label, help);
    }
}

static void print_verb(page *p, const verb *v) {
    char usage[200];
    text_buffer text;
    text_init(&text, usage, sizeof usage);
    verb_usage(v, &text);
    output_format(p->out, "Usage: %s\n\n", usage);
    wrap(p, v->description, 0, 0);
    if (verb_argument_count(v) > 0) {
        heading(p, "Arguments");
    }
    for (size_t i = 0; i < verb_argument_count(v); i++) {
        two_columns(p, v->arguments[i].name, v->arguments[i].help);
    }
    for (size_t i = 0; i < VERB_MAX_SETS && v->uses[i].set; i++) {
        print_options(p, v->uses[i].set);
    }
    print_options(p, &global_options);
    if (v->examples[0].command) {
        heading(p, "Examples");
    }
    for (size_t i = 0; i < VERB_MAX_EXAMPLES && v->examples[i].command; i++) {
        output_format(p->out, "  %s\n", v->examples[i].command);
        wrap(p, v->examples[i].meaning, 0, 6);
    }
}

static void print_overview(page *p) {
    output_text(p->out, "Usage: tars VERB [options] [arguments]\n\n");
    wrap(p,
         "Runs language models on this machine, with results that anyone can recompute bit for "
         "bit.",
         0, 0);
    const char *group = NULL;
    for (const verb *const *v = verbs; *v; v++) {
        if ((*v)->hidden) {
            continue;
        }
        if (!group || strcmp(group, (*v)->group) != 0) {
            group = (*v)->group;
            heading(p, group);
        }
        two_columns(p, (*v)->name, (*v)->summary);
    }
    print_options(p, &global_options);
    output_text(p->out, "\n'tars help VERB' tells more about a verb.\n");
}

static const char *type_name(option_type type) {
    static const char *const names[] = {
        [OPTION_FLAG] = "flag",     [OPTION_INT] = "int",     [OPTION_UINT64] = "uint64",
        [OPTION_FLOAT] = "float",   [OPTION_SIZE] = "size",   [OPTION_DURATION] = "duration",
        [OPTION_TEXT] = "text",     [OPTION_ENUM] = "enum",   [OPTION_FILE] = "file",
        [OPTION_FOLDER] = "folder", [OPTION_MODEL] = "model",
    };
    return names[type];
}

static void json_option(json_writer *json, const option *row) {
    json_begin_object(json);
    json_member_string(json, "name", row->name);
    json_member_string(json, "type", type_name(row->type));
    json_member_string(json, "help", row->help);
    if (row->default_text) {
        json_member_string(json, "default", row->default_text);
    }
    if (row->choices) {
        json_key(json, "choices");
        json_begin_array(json);
        for (size_t i = 0; row->choices[i]; i++) {
            json_string(json, row->choices[i]);
        }
        json_end_array(json);
    }
    json_member_bool(json, "repeated", row->repeated);
    json_end_object(json);
}

static void json_options(json_writer *json, const option_set *set) {
    for (size_t i = 0; i < set->count; i++) {
        if (!set->rows[i].hidden) {
            json_option(json, &set->rows[i]);
        }
    }
}

static void json_verb(json_writer *json, const verb *v) {
    char usage[200];
    text_buffer text;
    text_init(&text, usage, sizeof usage);
    verb_usage(v, &text);
    json_begin_object(json);
    json_member_string(json, "name", v->name);
    json_member_string(json, "summary", v->summary);
    json_member_string(json, "usage", usage);
    json_key(json, "arguments");
    json_begin_array(json);
    for (size_t i = 0; i < verb_argument_count(v); i++) {
        json_begin_object(json);
        json_member_string(json, "name", v->arguments[i].name);
        json_member_string(json, "help", v->arguments[i].help);
        json_member_bool(json, "optional", v->arguments[i].optional);
        json_member_bool(json, "repeated", v->arguments[i].repeated);
        json_end_object(json);
    }
    json_end_array(json);
    json_key(json, "options");
    json_begin_array(json);
    for (size_t i = 0; i < VERB_MAX_SETS && v->uses[i].set; i++) {
        json_options(json, v->uses[i].set);
    }
    json_end_array(json);
    json_end_object(json);
}

static void print_json(output *out, const verb *only) {
    json_writer json;
    output_json(out, &json);
    json_begin_object(&json);
    json_key(&json, "verbs");
    json_begin_array(&json);
    for (const verb *const *v = verbs; *v; v++) {
        if (only ? *v == only : !(*v)->hidden) {
            json_verb(&json, *v);
        }
    }
    json_end_array(&json);
    json_key(&json, "global_options");
    json_begin_array(&json);
    json_options(&json, &global_options);
    json_end_array(&json);
    json_end_object(&json);
    output_text(out, "\n");
}

tars_status help_print(cli *c, const verb *v) {
    if (c->globals.json) {
        print_json(&c->out, v);
        return TARS_OK;
    }
    terminal out_terminal;
    terminal_init(&out_terminal, c->out.handle, c->globals.no_color);
    unsigned width = terminal_width(&out_terminal, HELP_WIDTH_DEFAULT);
    page p = {.out = &c->out, .color = out_terminal.color};
    p.width = width > HELP_WIDTH_MAX   ? HELP_WIDTH_MAX
              : width < HELP_WIDTH_MIN ? HELP_WIDTH_MIN
                                       : width;
    if (v) {
        print_verb(&p, v);
    } else {
        print_overview(&p);
    }
    return TARS_OK;
}
