#include "cli/output.h"

#include "base/text.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum { OUTPUT_ITEM_BYTES = 4096 };

/* How platform_handle_write's cause begins, in either case, when nobody reads any more. */
#define BROKEN_PIPE "broken pipe"

void output_init(output *out, platform_handle handle, bool is_terminal) {
    out->handle = handle;
    out->is_terminal = is_terminal;
    out->failed = out->broken_pipe = false;
    error_clear(&out->error);
    out->used = 0;
    out->memory = NULL;
    out->memory_bytes = 0;
}

static void flush_to_memory(output *out) {
    char *grown = realloc(out->memory, out->memory_bytes + out->used + 1);
    if (!grown) {
        out->failed = true;
        error_set(&out->error, TARS_OUT_OF_MEMORY, "no memory for the text");
    } else {
        memcpy(grown + out->memory_bytes, out->buffer, out->used);
        out->memory = grown;
        out->memory_bytes += out->used;
    }
    out->used = 0;
}

bool output_flush(output *out) {
    if (out->failed || out->used == 0) {
        out->used = 0;
        return !out->failed;
    }
    if (out->handle == PLATFORM_NO_HANDLE) {
        flush_to_memory(out);
        return !out->failed;
    }
    tars_status status = platform_handle_write(out->handle, out->buffer, out->used, &out->error);
    if (status != TARS_OK) {
        out->failed = true;
        out->broken_pipe = strncasecmp(out->error.cause, BROKEN_PIPE, sizeof BROKEN_PIPE - 1) == 0;
    }
    out->used = 0;
    return !out->failed;
}

void output_bytes(output *out, const char *bytes, size_t length) {
    while (length > 0 && !out->failed) {
        size_t room = sizeof out->buffer - out->used;
        size_t n = length < room ? length : room;
        memcpy(out->buffer + out->used, bytes, n);
        out->used += n;
        bytes += n;
        length -= n;
        if (out->used == sizeof out->buffer) {
            output_flush(out);
        }
    }
}

void output_text(output *out, const char *string) {
    output_bytes(out, string, strlen(string));
}

void output_format(output *out, const char *format, ...) {
    char item[OUTPUT_ITEM_BYTES];
    text_buffer text;
    text_init(&text, item, sizeof item);
    va_list arguments;
    va_start(arguments, format);
    text_format_list(&text, format, arguments);
    va_end(arguments);
    output_bytes(out, text.data, text.length);
}

void output_foreign(output *out, const char *bytes, size_t length) {
    if (!out->is_terminal) {
        output_bytes(out, bytes, length);
        return;
    }
    for (size_t start = 0; start < length;) {
        size_t n = length - start < OUTPUT_ITEM_BYTES / 2 ? length - start : OUTPUT_ITEM_BYTES / 2;
        while (n > 1 && start + n < length && ((unsigned char)bytes[start + n] & 0xC0u) == 0x80u) {
            n--; /* never cut inside a character */
        }
        const char *zero = memchr(bytes + start, '\0', n);
        size_t piece = zero ? (size_t)(zero - (bytes + start)) : n;
        output_format(out, "%.*s%s", (int)piece, bytes + start, zero ? "?" : "");
        start += zero ? piece + 1 : n;
    }
}

tars_status output_finish(output *out, tars_error *err) {
    output_flush(out);
    if (!out->failed || out->broken_pipe) {
        return TARS_OK;
    }
    error_set(err, out->error.status,
              "standard output could not be written: what was printed is incomplete");
    error_hint(err, "check the file or device that the output is redirected to");
    error_where(err, "standard output");
    error_cause(err, "%s", out->error.cause[0] ? out->error.cause : out->error.message);
    return out->error.status;
}

static bool json_to_output(void *context, const char *bytes, size_t length) {
    output *out = context;
    output_bytes(out, bytes, length);
    return !out->failed;
}

void output_json(output *out, json_writer *writer) {
    json_writer_init(writer, json_to_output, out);
    writer->escapes_hidden = true;
}

tars_status output_document(output *out, bool as_json, void (*write_document)(output *out),
                            tars_error *err) {
    if (!as_json) {
        write_document(out);
        return TARS_OK;
    }
    output memory;
    output_init(&memory, PLATFORM_NO_HANDLE, false);
    write_document(&memory);
    if (!output_flush(&memory)) {
        free(memory.memory);
        return error_set(err, TARS_OUT_OF_MEMORY, "no memory for the document");
    }
    json_writer json;
    output_json(out, &json);
    json_begin_object(&json);
    json_key(&json, "text");
    json_string_n(&json, memory.memory ? memory.memory : "", memory.memory_bytes);
    json_end_object(&json);
    output_text(out, "\n");
    free(memory.memory);
    return TARS_OK;
}
