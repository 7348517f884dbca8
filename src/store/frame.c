#include "store/frame.h"

#include "base/json.h"
#include "base/text.h"

#include <string.h>

enum { FRAME_ARENA_BYTES = 4 * FRAME_LINE_BYTES, FRAME_MAX_VALUES = 16 };

typedef struct line_sink {
    char *line;
    size_t length;
} line_sink;

static bool line_append(void *context, const char *bytes, size_t length) {
    line_sink *sink = context;
    if (length > FRAME_LINE_BYTES - 1 - sink->length) { /* one byte for the newline */
        return false;
    }
    memcpy(sink->line + sink->length, bytes, length);
    sink->length += length;
    return true;
}

static void write_error(json_writer *writer, const tars_error *error) {
    json_member_string(writer, "code", tars_status_code(error->status));
    json_member_string(writer, "message", error->message);
    json_member_string(writer, "hint", error->hint);
    json_member_string(writer, "where", error->where);
    json_member_string(writer, "cause", error->cause);
}

size_t frame_format(const import_frame *frame, char line[FRAME_LINE_BYTES]) {
    static const char *const kinds[] = {"progress", "result", "error"};
    line_sink sink = {.line = line};
    json_writer writer;
    json_writer_init(&writer, line_append, &sink);
    json_begin_object(&writer);
    json_key(&writer, kinds[frame->kind]);
    json_begin_object(&writer);
    if (frame->kind == FRAME_PROGRESS) {
        json_member_uint(&writer, "done", frame->done);
        json_member_uint(&writer, "total", frame->total);
    } else if (frame->kind == FRAME_RESULT) {
        json_member_uint(&writer, "bytes", frame->bytes);
        json_member_string(&writer, "source_sha256", frame->source_sha256);
        json_member_string(&writer, "stream_sha256", frame->stream_sha256);
    } else {
        write_error(&writer, &frame->error);
    }
    json_end_object(&writer);
    json_end_object(&writer);
    line[sink.length] = '\n'; /* an error object of escapes only is below 6 * 992 bytes: it fits */
    return sink.length + 1;
}

static bool read_u64(const json_value *object, const char *key, uint64_t *out) {
    const json_value *value = json_member(object, key);
    if (!value || value->type != JSON_NUMBER || !value->is_integer || value->integer < 0) {
        return false;
    }
    *out = (uint64_t)value->integer;
    return true;
}

static bool read_digest(const json_value *object, const char *key, char out[SHA256_HEX_BYTES]) {
    const json_value *value = json_member(object, key);
    if (!value || value->type != JSON_STRING || value->string_length != SHA256_HEX_BYTES - 1 ||
        strspn(value->string, "0123456789abcdef") != SHA256_HEX_BYTES - 1) {
        return false;
    }
    memcpy(out, value->string, SHA256_HEX_BYTES);
    return true;
}

static tars_status status_of_code(const char *code) {
    for (int status = TARS_FAILED; status < TARS_STATUS_COUNT; status++) {
        if (strcmp(tars_status_code((tars_status)status), code) == 0) {
            return (tars_status)status;
        }
    }
    return TARS_FAILED;
}

static bool read_error(const json_value *object, tars_error *out) {
    const char *message = json_string_or(json_member(object, "message"), "");
    /* the texts go through error_set, which keeps hostile bytes from the terminal */
    error_set(out, status_of_code(json_string_or(json_member(object, "code"), "")), "%s", message);
    error_hint(out, "%s", json_string_or(json_member(object, "hint"), ""));
    error_where(out, "%s", json_string_or(json_member(object, "where"), ""));
    error_cause(out, "%s", json_string_or(json_member(object, "cause"), ""));
    return message[0] != '\0';
}

static bool read_frame(const json_value *root, import_frame *out) {
    if (root->type != JSON_OBJECT || root->count != 1 || root->first->type != JSON_OBJECT) {
        return false;
    }
    const json_value *body = root->first;
    if (strcmp(body->key, "progress") == 0) {
        out->kind = FRAME_PROGRESS;
        return read_u64(body, "done", &out->done) && read_u64(body, "total", &out->total);
    }
    if (strcmp(body->key, "result") == 0) {
        out->kind = FRAME_RESULT;
        return read_u64(body, "bytes", &out->bytes) &&
               read_digest(body, "source_sha256", out->source_sha256) &&
               read_digest(body, "stream_sha256", out->stream_sha256);
    }
    if (strcmp(body->key, "error") == 0) {
        out->kind = FRAME_ERROR;
        return read_error(body, &out->error);
    }
    return false;
}

tars_status frame_parse(const char *line, size_t length, import_frame *out, tars_error *err) {
    _Alignas(16) uint8_t memory[FRAME_ARENA_BYTES];
    arena parsed;
    arena_init(&parsed, memory, sizeof memory);
    memset(out, 0, sizeof *out);
    json_value *root;
    json_limits limits = {.max_depth = 3, .max_values = FRAME_MAX_VALUES};
    if (json_parse(line, length, &limits, &parsed, &root, NULL) != TARS_OK ||
        !read_frame(root, out)) {
        return error_set(err, TARS_MALFORMED, "the import process sent a line that is no frame");
    }
    return TARS_OK;
}
