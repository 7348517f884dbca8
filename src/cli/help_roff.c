#include "base/utf8.h"
#include "build_info.h"
#include "cli/help.h"

#include <stdio.h>
#include <string.h>

/* Text as roff: nothing in it may be a request or an escape. */
static void escaped(output *out, const char *text, bool at_line_start) {
    for (; *text != '\0'; text++) {
        if (at_line_start && (*text == '.' || *text == '\'')) {
            output_text(out, "\\&");
        }
        at_line_start = false;
        if (*text == '\\') {
            output_text(out, "\\e");
        } else if (*text == '-') {
            output_text(out, "\\-");
        } else if (*text == '"') {
            output_text(out, "\\(dq");
        } else if (*text == '\n') {
            output_text(out, text[1] == '\n' ? "\n.PP\n" : "\n");
            at_line_start = true;
            text += text[1] == '\n' ? 1 : 0;
        } else if ((unsigned char)*text >= 0x80) {
            uint32_t code_point = 0;
            size_t length = utf8_decode(text, strlen(text), &code_point);
            char escape[16]; /* groff wants capital digits */
            snprintf(escape, sizeof escape, "\\[u%04X]", (unsigned)code_point);
            output_text(out, escape);
            text += length > 0 ? length - 1 : 0;
        } else {
            output_bytes(out, text, 1);
        }
    }
}

static void item(output *out, const char *label, const char *help) {
    output_text(out, ".TP\n.B ");
    escaped(out, label, false);
    output_text(out, "\n");
    escaped(out, help, true);
    output_text(out, "\n");
}

static void options(output *out, const option_set *set, const char *macro) {
    output_format(out, "%s \"%s\"\n", macro, set->title);
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
        item(out, label, help);
    }
}

static void verb_section(output *out, const verb *v) {
    char usage[200];
    text_buffer text;
    text_init(&text, usage, sizeof usage);
    verb_usage(v, &text);
    output_text(out, ".SS ");
    escaped(out, usage, false);
    output_text(out, "\n");
    escaped(out, v->description, true);
    output_text(out, "\n");
    for (size_t i = 0; i < verb_argument_count(v); i++) {
        item(out, v->arguments[i].name, v->arguments[i].help);
    }
    for (size_t i = 0; i < VERB_MAX_SETS && v->uses[i].set; i++) {
        output_text(out, ".PP\n");
        output_format(out, "%s:\n", v->uses[i].set->title);
        options(out, v->uses[i].set, ".\\\"");
    }
}

static void examples(output *out) {
    output_text(out, ".SH EXAMPLES\n");
    for (const verb *const *v = verbs; *v; v++) {
        for (size_t i = 0; !(*v)->hidden && i < VERB_MAX_EXAMPLES && (*v)->examples[i].command;
             i++) {
            item(out, (*v)->examples[i].command, (*v)->examples[i].meaning);
        }
    }
}

static void facts(output *out, const char *title, const help_fact *rows) {
    output_format(out, ".SH %s\n", title);
    for (; rows->name; rows++) {
        item(out, rows->name, rows->meaning);
    }
}

void help_roff(output *out) {
    output_format(out, ".TH TARS 1 \"\" \"tars %s\" \"User Commands\"\n", TARS_BUILD_VERSION);
    output_text(out,
                ".SH NAME\ntars \\- run language models with results that anyone can recompute\n"
                ".SH SYNOPSIS\n.B tars\n.I VERB\n[\\fIoptions\\fR] [\\fIarguments\\fR]\n"
                ".SH DESCRIPTION\nOptions stand before or after arguments, as "
                "\\fB\\-\\-name=value\\fR or \\fB\\-\\-name value\\fR; \\fB\\-\\-\\fR ends "
                "them.\nA text may be \\- (standard input) or @FILE.\nResults go to standard "
                "output, everything else to standard error.\nWith \\fB\\-\\-json\\fR standard "
                "output holds exactly one JSON document, also on failure.\n");
    options(out, &global_options, ".SH");
    output_text(out, ".SH VERBS\n");
    for (const verb *const *v = verbs; *v; v++) {
        if (!(*v)->hidden) {
            verb_section(out, *v);
        }
    }
    examples(out);
    facts(out, "EXIT STATUS", help_exit_statuses);
    facts(out, "ENVIRONMENT", help_environment);
}
