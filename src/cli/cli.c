#include "cli/cli.h"

#include "cli/command_line.h"
#include "cli/configuration.h"
#include "cli/help.h"
#include "cli/report.h"
#include "cli/version.h"

#include <locale.h>
#include <string.h>

/* A process may be started with a standard descriptor closed; a file opened later would then take
 * its number and receive our messages. The reading end of a pipe takes it instead: it reads as
 * empty, and writing to it is still an error. */
static void fill_standard_descriptors(void) {
    platform_handle reader;
    platform_handle writer;
    while (platform_pipe(&reader, &writer, NULL) == TARS_OK) {
        platform_handle_close(writer);
        if (reader > PLATFORM_STDERR) {
            platform_handle_close(reader);
            return;
        }
    }
}

static bool truthy(const char *value) {
    return value && strcmp(value, "0") != 0 && strcmp(value, "false") != 0;
}

static tars_status dispatch(cli *c, const command_line *line, tars_error *err) {
    if (c->globals.version) {
        return version_print(c);
    }
    if (c->globals.help || !line->verb) {
        return help_print(c, line->verb);
    }
    return line->verb->run(c, &line->call, err);
}

/* Tells how it ended and gives the exit status. */
static int finish(cli *c, tars_status status, tars_error *err) {
    if (status != TARS_OK) {
        err->status = status;
        if (c->globals.json) {
            report_error_json(&c->out, err);
        }
        report_error(&c->messages, err);
        c->exit_status = tars_status_exit(status);
    }
    tars_status written = output_finish(&c->out, err);
    if (written != TARS_OK && status == TARS_OK) {
        report_error(&c->messages, err);
        return tars_status_exit(written);
    }
    return c->exit_status;
}

static int run_command_line(int argc, char **argv) {
    static cli c; /* holds the output buffer: too large for a small stack */
    c = (cli){.globals = {.json = command_line_asks(argc, argv, "json"),
                          .no_color = command_line_asks(argc, argv, "no-color"),
                          .offline = truthy(platform_environment("TARS_OFFLINE"))}};
    c.input_is_terminal = platform_is_terminal(PLATFORM_STDIN);
    terminal out_terminal;
    terminal_init(&out_terminal, PLATFORM_STDOUT, c.globals.no_color);
    output_init(&c.out, PLATFORM_STDOUT, out_terminal.is_terminal);
    terminal_init(&c.messages, PLATFORM_STDERR, c.globals.no_color);

    tars_error err;
    error_clear(&err);
    command_line line;
    tars_status status = command_line_parse(argc, argv, &c.globals, &line, &err);
    if (status == TARS_OK) {
        status = dispatch(&c, &line, &err);
    }
    command_line_free(&line);
    configuration_end(&c);
    return finish(&c, status, &err);
}

int cli_main(int argc, char **argv) {
    fill_standard_descriptors();
    const verb *first = argc > 1 ? verb_find(argv[1]) : NULL;
    if (first && first->main) {
        return first->main(argc - 1, argv + 1);
    }
    setlocale(LC_CTYPE, ""); /* widths of characters; numbers stay as in "C" */
    platform_ignore_broken_pipes();
    return run_command_line(argc, argv);
}
