#include "cli/line_reader.h"

#include "base/utf8.h"
#include "cli/report.h"

#include <histedit.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { HISTORY_MAX_LINES = 1000, HISTORY_MAX_BYTES = 4 << 20, READ_BYTES = 4096 };
enum { INTERRUPT_LOOK_NS = 200 * 1000 * 1000 };

struct line_reader {
    const cli *cli;
    const char *prompt;
    const char *history_path;
    EditLine *editor; /* NULL without a terminal */
    History *history;
    tars_status read_status; /* why the editor got no character */
    char bytes[READ_BYTES];  /* read, not yet taken */
    size_t begin, end;
    char *line;
    size_t length, capacity;
};

/* Waits for input and looks at the interrupt's flag now and then: one that comes just before the
 * wait begins would else be noticed only at the next key. */
static tars_status wait_for_input(tars_error *err) {
    const platform_handle input = PLATFORM_STDIN;
    uint32_t ready = 0;
    tars_status status = TARS_TIMEOUT;
    while (status == TARS_TIMEOUT) {
        if (platform_interrupted() > 0) {
            return error_set(err, TARS_CANCELLED, "interrupted");
        }
        status = platform_handle_wait(&input, 1, INTERRUPT_LOOK_NS, &ready, err);
    }
    return status;
}

/* One byte; LINE_END at the end of the input. */
static line_result take_byte(line_reader *reader, char *out, tars_error *err) {
    if (reader->begin == reader->end) {
        reader->begin = reader->end = 0;
        reader->read_status = wait_for_input(err);
        if (reader->read_status == TARS_OK) {
            reader->read_status = platform_handle_read(PLATFORM_STDIN, reader->bytes,
                                                       sizeof reader->bytes, &reader->end, err);
        }
        if (reader->read_status != TARS_OK) {
            return reader->read_status == TARS_CANCELLED ? LINE_INTERRUPTED : LINE_FAILED;
        }
        if (reader->end == 0) {
            return LINE_END;
        }
    }
    *out = reader->bytes[reader->begin++];
    return LINE_READ;
}

/* libedit's way to a character: 1, 0 at the end, −1 for an error. */
static int read_character(EditLine *editor, wchar_t *out) {
    line_reader *reader = NULL;
    el_get(editor, EL_CLIENTDATA, &reader);
    char bytes[4];
    for (size_t n = 0; n < sizeof bytes;) {
        line_result result = take_byte(reader, &bytes[n], NULL);
        if (result != LINE_READ) {
            return result == LINE_END ? 0 : -1;
        }
        if (bytes[n] == '\0') { /* what became of a Ctrl-D typed while the terminal was not raw */
            continue;
        }
        n++;
        uint32_t code_point = 0;
        if (utf8_decode(bytes, n, &code_point) == n) {
            *out = (wchar_t)code_point;
            return 1;
        }
        if (utf8_complete_length(bytes, n) == n) { /* no beginning of a character: as Latin-1 */
            *out = (wchar_t)(unsigned char)bytes[0];
            return 1;
        }
    }
    *out = (wchar_t)0xFFFD;
    return 1;
}

static char *give_prompt(EditLine *editor) {
    line_reader *reader = NULL;
    el_get(editor, EL_CLIENTDATA, &reader);
    static char prompt[32]; /* libedit wants to be able to write, and does not */
    text_buffer text;
    text_init(&text, prompt, sizeof prompt);
    text_append_string(&text, reader->length > 0 ? "… " : reader->prompt);
    return prompt;
}

static void load_history(line_reader *reader) {
    char *bytes = NULL;
    size_t length = 0;
    HistEvent event;
    history(reader->history, &event, H_SETSIZE, HISTORY_MAX_LINES);
    history(reader->history, &event, H_SETUNIQUE, 1);
    if (!reader->history_path || platform_file_read_all(reader->history_path, HISTORY_MAX_BYTES,
                                                        &bytes, &length, NULL) != TARS_OK) {
        return;
    }
    for (char *line = bytes; line < bytes + length;) {
        char *end = memchr(line, '\n', (size_t)(bytes + length - line));
        if (!end) {
            break;
        }
        *end = '\0';
        if (*line != '\0') {
            history(reader->history, &event, H_ENTER, line);
        }
        line = end + 1;
    }
    free(bytes);
}

static tars_status write_history(line_reader *reader, platform_writer *writer, tars_error *err) {
    HistEvent event;
    tars_status status = TARS_OK;
    for (int n = history(reader->history, &event, H_LAST); n >= 0 && status == TARS_OK;
         n = history(reader->history, &event, H_PREV)) {
        size_t length = strcspn(event.str, "\n");
        status = platform_writer_write(writer, event.str, length, err);
        if (status == TARS_OK) {
            status = platform_writer_write(writer, "\n", 1, err);
        }
    }
    return status;
}

static void save_history(line_reader *reader) {
    platform_writer writer = {0};
    tars_error err;
    tars_status status = platform_writer_open(reader->history_path, 0600, &writer, &err);
    if (status == TARS_OK) {
        status = write_history(reader, &writer, &err);
        if (status == TARS_OK) {
            status = platform_writer_commit(&writer, PLATFORM_COMMIT_REPLACE, &err);
        } else {
            platform_writer_abandon(&writer);
        }
    }
    if (status != TARS_OK) {
        report_note(reader->cli, "the history could not be saved: %s", err.message);
    }
}

static bool open_editor(line_reader *reader) {
    reader->history = history_init();
    reader->editor = el_init("tars", stdin, stderr, stderr);
    if (!reader->history || !reader->editor) {
        return false;
    }
    el_set(reader->editor, EL_CLIENTDATA, reader);
    el_set(reader->editor, EL_EDITOR, "emacs");
    el_set(reader->editor, EL_PROMPT, give_prompt);
    el_set(reader->editor, EL_GETCFN, read_character);
    el_set(reader->editor, EL_HIST, history, reader->history);
    el_set(reader->editor, EL_BIND, "^R", "em-inc-search-prev", NULL);
    load_history(reader);
    return true;
}

tars_status line_reader_open(const cli *c, const char *prompt, const char *history_path,
                             line_reader **out, tars_error *err) {
    line_reader *reader = calloc(1, sizeof *reader);
    *out = reader;
    if (!reader) {
        return error_set(err, TARS_OUT_OF_MEMORY, "no memory to read lines");
    }
    reader->cli = c;
    reader->prompt = prompt;
    reader->history_path = history_path;
    if (c->input_is_terminal && c->messages.is_terminal && !open_editor(reader)) {
        line_reader_close(reader);
        *out = NULL;
        return error_set(err, TARS_FAILED, "the line editor could not be started");
    }
    return TARS_OK;
}

/* Adds bytes to the line; room for a NUL stays. */
static bool append(line_reader *reader, const char *bytes, size_t length) {
    size_t needed = reader->length + length + 1;
    if (!reader->line || needed > reader->capacity) {
        size_t capacity = needed * 2 > 256 ? needed * 2 : 256;
        char *grown =
            capacity <= 4 * (size_t)LINE_READER_MAX_BYTES ? realloc(reader->line, capacity) : NULL;
        if (!grown) {
            return false;
        }
        reader->line = grown;
        reader->capacity = capacity;
    }
    memcpy(reader->line + reader->length, bytes, length);
    reader->length += length;
    reader->line[reader->length] = '\0';
    return true;
}

/* One physical line with its '\n' when it has one, behind what stands in the line. */
static line_result edit_line(line_reader *reader) {
    int count = 0;
    el_resize(reader->editor);
    reader->read_status = TARS_OK;
    el_set(reader->editor, EL_PREP_TERM, 1); /* before the prompt invites to type */
    const char *text = el_gets(reader->editor, &count);
    if (!text || count <= 0) {
        return reader->read_status == TARS_CANCELLED ? LINE_INTERRUPTED
               : reader->read_status == TARS_OK      ? LINE_END
                                                     : LINE_FAILED;
    }
    HistEvent event;
    if (text[0] != '\n') {
        history(reader->history, &event, H_ENTER, text);
    }
    return append(reader, text, (size_t)count) ? LINE_READ : LINE_FAILED;
}

static line_result plain_line(line_reader *reader, tars_error *err) {
    for (size_t taken = 0;; taken++) {
        char byte = '\0';
        line_result result = take_byte(reader, &byte, err);
        if (result != LINE_READ) {
            return result == LINE_END && taken > 0 ? LINE_READ : result;
        }
        if (!append(reader, &byte, 1)) {
            error_set(err, TARS_LIMIT, "a line of the input is longer than %d bytes",
                      (int)LINE_READER_MAX_BYTES);
            return LINE_FAILED;
        }
        if (byte == '\n') {
            return LINE_READ;
        }
    }
}

line_result line_reader_next(line_reader *reader, const char **line, size_t *length,
                             tars_error *err) {
    reader->length = 0;
    for (;;) {
        line_result result = reader->editor ? edit_line(reader) : plain_line(reader, err);
        if (result == LINE_FAILED && reader->editor) {
            error_set(err, TARS_IO, "the terminal could not be read");
        }
        if (result != LINE_READ) {
            return result;
        }
        if (reader->length > 0 && reader->line[reader->length - 1] == '\n') {
            reader->line[--reader->length] = '\0';
        }
        if (reader->length == 0 || reader->line[reader->length - 1] != '\\') {
            break;
        }
        reader->line[reader->length - 1] = '\n'; /* goes on */
    }
    if (!reader->line && !append(reader, "", 0)) {
        error_set(err, TARS_OUT_OF_MEMORY, "no memory for a line");
        return LINE_FAILED;
    }
    *line = reader->line;
    *length = reader->length;
    return LINE_READ;
}

void line_reader_close(line_reader *reader) {
    if (!reader) {
        return;
    }
    if (reader->editor && reader->history && reader->history_path) {
        save_history(reader);
    }
    if (reader->editor) {
        el_end(reader->editor);
    }
    if (reader->history) {
        history_end(reader->history);
    }
    free(reader->line);
    free(reader);
}
