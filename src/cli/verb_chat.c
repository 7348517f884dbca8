#include "api/context.h"
#include "base/nearest.h"
#include "cli/answer.h"
#include "cli/conversation.h"
#include "cli/input.h"
#include "cli/line_reader.h"
#include "cli/report.h"
#include "cli/result_json.h"

#include <string.h>

typedef struct chat_values {
    place_values place;
    sampling_values sampling;
} chat_values;

typedef struct chat {
    cli *cli;
    client client;
    const chat_values *values;
    tars_model *model;
    tars_model_info info;
    tars_session *session;
    conversation talk;
    bool raw;     /* plain text instead of the model's template */
    bool by_hand; /* a person types: an error is told and the chat goes on */
    char history_path[PLATFORM_PATH_BYTES];
} chat;

/* ---- what begins with a slash -------------------------------------------------------------- */

typedef struct chat_command {
    const char *name, *argument, *help;
    tars_status (*run)(chat *c, const char *argument, tars_error *err);
} chat_command;

static tars_status command_help(chat *c, const char *argument, tars_error *err);

static tars_status command_reset(chat *c, const char *argument, tars_error *err) {
    (void)argument;
    (void)err;
    conversation_reset(&c->talk);
    tars_session_reset(c->session);
    report_note(c->cli, "the conversation begins anew");
    return TARS_OK;
}

static tars_status command_system(chat *c, const char *argument, tars_error *err) {
    tars_status status = conversation_set_system(&c->talk, argument, err);
    if (status == TARS_OK) {
        report_note(c->cli, argument[0] != '\0' ? "the system message is set"
                                                : "the system message is removed");
    }
    return status;
}

typedef struct file_sink {
    platform_writer *writer;
    tars_error *err;
} file_sink;

static bool write_to_file(void *context, const char *bytes, size_t length) {
    file_sink *sink = context;
    return platform_writer_write(sink->writer, bytes, length, sink->err) == TARS_OK;
}

static tars_status command_save(chat *c, const char *argument, tars_error *err) {
    if (argument[0] == '\0') {
        return error_set(err, TARS_USAGE, "/save needs the name of a file");
    }
    platform_writer writer = {0};
    tars_status status = platform_writer_open(argument, 0600, &writer, err);
    if (status != TARS_OK) {
        return status;
    }
    file_sink sink = {&writer, err};
    json_writer json;
    json_writer_init(&json, write_to_file, &sink);
    json_begin_object(&json);
    result_json_model(&json, &c->info);
    conversation_write_json(&c->talk, &json);
    json_end_object(&json);
    if (json.failed || !write_to_file(&sink, "\n", 1)) {
        platform_writer_abandon(&writer);
        return err->status;
    }
    status = platform_writer_commit(&writer, 0, err);
    if (status == TARS_OK) {
        report_note(c->cli, "%zu messages saved to %s", c->talk.count, argument);
    }
    return status;
}

static const chat_command commands[] = {
    {"/help", "", "list these commands", command_help},
    {"/reset", "", "forget the conversation, keep the system message", command_reset},
    {"/system", " TEXT", "set the system message; without TEXT remove it", command_system},
    {"/save", " FILE", "save the conversation as JSON in a new file", command_save},
};
enum { N_COMMANDS = sizeof commands / sizeof commands[0] };

static tars_status command_help(chat *c, const char *argument, tars_error *err) {
    (void)argument;
    (void)err;
    char memory[1024];
    text_buffer text;
    text_init(&text, memory, sizeof memory);
    for (size_t i = 0; i < N_COMMANDS; i++) {
        int columns = 14 - (int)strlen(commands[i].name);
        text_format(&text, "  %s%-*s  %s\n", commands[i].name, columns, commands[i].argument,
                    commands[i].help);
    }
    text_append_string(&text, "  Ctrl-C          stop the answer, or drop the line\n"
                              "  Ctrl-D          leave\n"
                              "  \\ at the end    the message goes on in the next line\n");
    terminal_write(&c->cli->messages, text.data, text.length);
    return TARS_OK;
}

static tars_status run_command(chat *c, const char *line, tars_error *err) {
    size_t length = strcspn(line, " \t");
    const char *argument = line + length + strspn(line + length, " \t");
    char name[32];
    text_buffer text;
    text_init(&text, name, sizeof name);
    text_append(&text, line, length);
    nearest_search search;
    nearest_init(&search, name);
    for (size_t i = 0; i < N_COMMANDS; i++) {
        if (strcmp(commands[i].name, name) == 0) {
            return commands[i].run(c, argument, err);
        }
        nearest_offer(&search, commands[i].name);
    }
    error_set(err, TARS_USAGE, "there is no command %s", name);
    const char *near = nearest_result(&search);
    return error_hint(err, near ? "did you mean %s?" : "%s lists the commands",
                      near ? near : "/help");
}

/* ---- a turn -------------------------------------------------------------------------------- */

static tars_status make_request(chat *c, tars_request *request, tars_error *err) {
    *request = (tars_request)TARS_REQUEST_DEFAULTS;
    request->kind = TARS_REQUEST_GENERATE;
    request->model = c->model;
    request->session = c->session;
    place_apply(&c->values->place, request);
    tars_status status = sampling_apply(&c->values->sampling, request, err);
    if (status != TARS_OK || !c->raw) {
        request->messages = c->talk.messages;
        request->n_messages = c->talk.count;
        return status;
    }
    const char *text = conversation_raw_text(&c->talk);
    if (!text) {
        return error_set(err, TARS_OUT_OF_MEMORY, "no memory for the conversation");
    }
    request->text = (tars_text_view){text, strlen(text)};
    return TARS_OK;
}

static tars_status finish_turn(chat *c, answer *a, const tars_request *request, tars_error *err) {
    const sampling_values *values = &c->values->sampling;
    tars_status status = TARS_OK;
    if (a->result.text_length == 0) {
        conversation_drop_last(&c->talk); /* unanswered */
    } else {
        status =
            conversation_add(&c->talk, "assistant", a->result.text, a->result.text_length, err);
    }
    bool cancelled = answer_was_cancelled(a);
    if (status == TARS_OK && values->receipt && !cancelled) {
        status = answer_write_receipt(a, request, values->receipt, err);
    }
    if (status == TARS_OK && !c->cli->globals.json) {
        if (cancelled) {
            report_note(c->cli, "stopped");
        } else if (c->cli->globals.verbose) {
            answer_summarize(a);
        }
        if (values->logits_hash) {
            output_format(&c->cli->out, "logits_hash: %s\n", a->result.logits_hash);
        }
    }
    output_flush(&c->cli->out);
    return status;
}

static tars_status turn(chat *c, const char *line, size_t length, tars_error *err) {
    input_text text = {.bytes = line, .length = length};
    tars_status status = input_check_text(&text, "the message", err);
    if (status == TARS_OK) {
        status = conversation_add(&c->talk, "user", line, length, err);
    }
    if (status != TARS_OK) {
        return status;
    }
    tars_request request;
    answer a;
    status = make_request(c, &request, err);
    if (status == TARS_OK) {
        status = answer_run(&a, &c->client, &c->info, &request, !c->cli->globals.json, err);
    }
    if (status != TARS_OK) {
        conversation_drop_last(&c->talk);
        if (status == TARS_CONTEXT_EXCEEDED) {
            error_hint(err, "/reset begins the conversation anew; --context makes more room");
        }
        return status;
    }
    status = finish_turn(c, &a, &request, err);
    answer_finish(&a);
    return status;
}

/* True while the chat goes on. */
static bool handle_line(chat *c, const char *line, size_t length, tars_status *status,
                        tars_error *err) {
    platform_interrupt_clear();
    *status = line[0] == '/' ? run_command(c, line, err)
              : length > 0   ? turn(c, line, length, err)
                             : TARS_OK;
    if (*status != TARS_OK && c->by_hand) {
        report_error(&c->cli->messages, err);
        *status = TARS_OK;
    }
    bool stopped = platform_interrupted() > 0 && !c->by_hand;
    if (stopped) {
        c->cli->exit_status = tars_status_exit(TARS_CANCELLED);
    }
    return *status == TARS_OK && !stopped && !c->cli->out.failed;
}

static tars_status talk(chat *c, tars_error *err) {
    line_reader *reader = NULL;
    tars_status status =
        line_reader_open(c->cli, "> ", c->by_hand ? c->history_path : NULL, &reader, err);
    bool going = status == TARS_OK;
    while (going) {
        const char *line = "";
        size_t length = 0;
        line_result result = line_reader_next(reader, &line, &length, err);
        if (result == LINE_READ) {
            going = handle_line(c, line, length, &status, err);
        } else if (result == LINE_INTERRUPTED && c->by_hand) {
            platform_interrupt_clear();
            terminal_write(&c->cli->messages, "\n", 1);
        } else {
            going = false;
            status = result == LINE_FAILED        ? err->status
                     : result == LINE_INTERRUPTED ? client_check_interrupt(err)
                                                  : TARS_OK;
        }
    }
    if (c->by_hand) {
        terminal_write(&c->cli->messages, "\n", 1);
    }
    line_reader_close(reader);
    return status;
}

static void print_json(chat *c) {
    json_writer json;
    output_json(&c->cli->out, &json);
    json_begin_object(&json);
    result_json_model(&json, &c->info);
    conversation_write_json(&c->talk, &json);
    json_end_object(&json);
    output_text(&c->cli->out, "\n");
}

static tars_status set_up(chat *c, tars_error *err) {
    const sampling_values *values = &c->values->sampling;
    tars_request probe = TARS_REQUEST_DEFAULTS; /* options that cannot be honoured: told at once */
    tars_status status = sampling_apply(values, &probe, err);
    if (status != TARS_OK) {
        return status;
    }
    tars_session_options options = TARS_SESSION_OPTIONS_DEFAULTS;
    options.context = (uint32_t)values->context;
    options.kv_type = values->kv_type;
    status = tars_session_create(c->client.context, c->model, &options, &c->session, err);
    if (status != TARS_OK) {
        return status;
    }
    c->raw = values->raw || !c->info.has_chat_template;
    if (c->raw && !values->raw) {
        report_note(c->cli, "%s has no chat template: it continues the text as it stands",
                    c->info.name);
    }
    if (values->system) {
        input_text text;
        status = input_read(values->system, "--system", &text, err);
        status = status == TARS_OK ? input_check_text(&text, "--system", err) : status;
        status = status == TARS_OK
                     ? conversation_add(&c->talk, "system", text.bytes, text.length, err)
                     : status;
        input_free(&text);
    }
    text_buffer path;
    text_init(&path, c->history_path, sizeof c->history_path);
    text_format(&path, "%s/chat_history", c->client.context->home);
    return status;
}

static tars_status run_chat(cli *owner, const verb_call *call, tars_error *err) {
    chat c = {.cli = owner, .values = call->values};
    c.by_hand = owner->input_is_terminal && owner->messages.is_terminal;
    tars_status status = client_open(&c.client, owner, err);
    if (status != TARS_OK) {
        return status;
    }
    status = client_open_model(&c.client, call->arguments[0], &c.model, &c.info, err);
    if (status == TARS_OK) {
        status = set_up(&c, err);
    }
    if (status == TARS_OK && c.by_hand) {
        report_note(owner, "chat with %s; /help lists the commands, Ctrl-D leaves", c.info.name);
    }
    if (status == TARS_OK) {
        status = talk(&c, err);
    }
    if (status == TARS_OK && owner->globals.json) {
        print_json(&c);
    }
    conversation_free(&c.talk);
    tars_session_destroy(c.session);
    tars_model_close(c.model);
    client_close(&c.client);
    return status;
}

const verb verb_chat = {
    .name = "chat",
    .group = "Answers",
    .summary = "talk with a model",
    .description = "Talks with a model line by line. On a terminal lines can be edited and are "
                   "remembered; without one each line of standard input is a message. Ctrl-C stops "
                   "the answer and not the program, Ctrl-D leaves, /help lists the commands. With "
                   "--json the conversation is printed at the end; --receipt holds the latest "
                   "answer.",
    .arguments = {{.name = "MODEL",
                   .kind = ARGUMENT_MODEL,
                   .help = "a name of 'tars list', NAME@DIGEST, or a packed file"}},
    .uses = {{&sampling_options, offsetof(chat_values, sampling)},
             {&place_options, offsetof(chat_values, place)}},
    .examples = {{"tars chat smollm2", "a conversation"},
                 {"tars chat smollm2 --system \"Answer in French.\"", "with a system message"}},
    .values_bytes = sizeof(chat_values),
    .run = run_chat,
};
