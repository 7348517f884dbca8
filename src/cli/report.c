#include "cli/report.h"

#include "base/text.h"

enum { REPORT_BYTES = 1536 };

static void append_line(text_buffer *text, bool color, const char *label, const char *value) {
    if (value[0] != '\0') {
        text_format(text, "  ");
        text_append_string(text, terminal_escape(color, STYLE_DIM));
        text_format(text, "%s:", label);
        text_append_string(text, terminal_escape(color, STYLE_PLAIN));
        text_format(text, " %s\n", value);
    }
}

void report_error(const terminal *messages, const tars_error *err) {
    char memory[REPORT_BYTES];
    text_buffer text;
    text_init(&text, memory, sizeof memory);
    text_append_string(&text, terminal_escape(messages->color, STYLE_RED));
    text_append_string(&text, "tars:");
    text_append_string(&text, terminal_escape(messages->color, STYLE_PLAIN));
    text_format(&text, " %s\n", err->message[0] ? err->message : tars_status_code(err->status));
    append_line(&text, messages->color, "where", err->where);
    append_line(&text, messages->color, "cause", err->cause);
    append_line(&text, messages->color, "hint", err->hint);
    terminal_write(messages, text.data, text.length);
}

void report_error_json(output *out, const tars_error *err) {
    json_writer json;
    output_json(out, &json);
    json_begin_object(&json);
    json_key(&json, "error");
    json_begin_object(&json);
    json_member_string(&json, "code", tars_status_code(err->status));
    json_member_string(&json, "message", err->message);
    json_member_string(&json, "hint", err->hint);
    json_member_string(&json, "where", err->where);
    json_member_string(&json, "cause", err->cause);
    json_end_object(&json);
    json_end_object(&json);
    output_text(out, "\n");
}

static void say(const cli *c, const char *format, va_list arguments) {
    char memory[REPORT_BYTES];
    text_buffer text;
    text_init(&text, memory, sizeof memory);
    text_append_string(&text, "tars: ");
    text_format_list(&text, format, arguments);
    text_append_string(&text, "\n");
    terminal_write(&c->messages, text.data, text.length);
}

void report_note(const cli *c, const char *format, ...) {
    if (!c->globals.quiet) {
        va_list arguments;
        va_start(arguments, format);
        say(c, format, arguments);
        va_end(arguments);
    }
}

void report_detail(const cli *c, const char *format, ...) {
    if (c->globals.verbose) {
        va_list arguments;
        va_start(arguments, format);
        say(c, format, arguments);
        va_end(arguments);
    }
}
