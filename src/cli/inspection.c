#include "cli/inspection.h"

#include "api/model_api.h"
#include "base/text.h"
#include "cli/output.h"
#include "engine/inspect.h"
#include "platform/platform.h"

#include <stdlib.h>
#include <string.h>

enum { FIXED_ARENA_BYTES = 1 << 20, GGUF_MAX_METADATA_BYTES = 256 << 20 };

/* Address space for the reader; only what it touches counts. A safetensors file says in its first
 * 8 bytes how long its header is. */
static size_t arena_bytes(const byte_source *source) {
    uint64_t size = source->size_bytes;
    uint8_t length[8];
    if (size > sizeof length && safetensors_detect(source) &&
        byte_source_read(source, 0, length, sizeof length, NULL) == TARS_OK) {
        uint64_t header = 0;
        for (int i = 7; i >= 0; i--) {
            header = header << 8 | length[i];
        }
        header = header < size ? header : size;
        header = header < SAFETENSORS_MAX_HEADER_BYTES ? header : SAFETENSORS_MAX_HEADER_BYTES;
        return (size_t)header * SAFETENSORS_MEMORY_MULTIPLE + FIXED_ARENA_BYTES;
    }
    uint64_t metadata = size < GGUF_MAX_METADATA_BYTES ? size : GGUF_MAX_METADATA_BYTES;
    return (size_t)metadata * GGUF_MEMORY_MULTIPLE + FIXED_ARENA_BYTES;
}

static tars_status take_json(const inspect_report *report, inspection *out, tars_error *err) {
    output *text = malloc(sizeof *text);
    if (!text) {
        return error_set(err, TARS_OUT_OF_MEMORY, "no memory for the report");
    }
    output_init(text, PLATFORM_NO_HANDLE, false);
    json_writer json;
    output_json(text, &json);
    inspect_write_json(report, &json);
    bool complete = output_flush(text);
    out->json = text->memory;
    out->json_bytes = text->memory_bytes;
    free(text);
    return complete ? TARS_OK : error_set(err, TARS_OUT_OF_MEMORY, "no memory for the report");
}

static tars_status inspect_bytes(const byte_source *source, inspection *out, tars_error *err) {
    size_t size = arena_bytes(source);
    void *memory = NULL;
    tars_status status = platform_reserve(size, false, &memory, err);
    if (status != TARS_OK) {
        return status;
    }
    arena a;
    arena_init(&a, memory, size);
    inspect_report report;
    status = inspect_source(source, &a, &report, err);
    if (status == TARS_OK) {
        out->first_problem = report.n_problems > 0 ? report.problems[0].status : TARS_OK;
        status = take_json(&report, out, err);
    }
    platform_release(memory, size);
    return status;
}

static tars_status inspect_file(const char *path, inspection *out, tars_error *err) {
    platform_file file;
    tars_status status = platform_file_open(path, &file, err);
    if (status != TARS_OK) {
        return status;
    }
    byte_source source;
    status = platform_file_source(&file, &source, err);
    if (status == TARS_OK) {
        status = inspect_bytes(&source, out, err);
    }
    platform_file_close(&file);
    return status;
}

/* The source of a packed model as far as it is kept: its header; behind it zeros, which only a
 * reader that looks ahead meets. */
static tars_status read_kept_header(void *context, uint64_t offset, void *buffer, size_t length,
                                    tars_error *err) {
    (void)err;
    const pack_bytes *header = context;
    size_t kept = offset < header->size_bytes ? header->size_bytes - (size_t)offset : 0;
    kept = kept < length ? kept : length;
    if (kept > 0) {
        memcpy(buffer, header->bytes + offset, kept);
    }
    memset((char *)buffer + kept, 0, length - kept);
    return TARS_OK;
}

static tars_status inspect_model(tars_context *context, const char *name, inspection *out,
                                 tars_error *err) {
    tars_model *opened = NULL;
    tars_status status = tars_model_open(context, name, &opened, err);
    if (status != TARS_OK) {
        return status;
    }
    pack_bytes header = opened->pack.sections[PACK_GGUF_HEADER];
    byte_source source = {.context = &header,
                          .size_bytes = opened->pack.trailer->source_bytes,
                          .read_at = read_kept_header};
    status = inspect_bytes(&source, out, err);
    tars_model_close(opened);
    return status;
}

static bool is_packed(const char *path) {
    char magic[8] = {0};
    platform_file file;
    if (platform_file_open(path, &file, NULL) != TARS_OK) {
        return false;
    }
    bool read = platform_file_read_at(&file, 0, magic, sizeof magic, NULL) == TARS_OK;
    platform_file_close(&file);
    return read && memcmp(magic, "TARSPACK", sizeof magic) == 0;
}

tars_status inspection_of(tars_context *context, const char *what, inspection *out,
                          tars_error *err) {
    *out = (inspection){0};
    platform_kind kind = PLATFORM_KIND_MISSING;
    tars_status status = platform_path_kind(what, &kind, NULL, err);
    if (status != TARS_OK) {
        return status;
    }
    if (kind == PLATFORM_KIND_FOLDER) {
        char path[PLATFORM_PATH_BYTES];
        text_buffer text;
        text_init(&text, path, sizeof path);
        text_format(&text, "%s/model.safetensors", what);
        return inspect_file(path, out, err);
    }
    if (kind == PLATFORM_KIND_MISSING && !strchr(what, '/')) {
        return inspect_model(context, what, out, err);
    }
    if (!is_packed(what)) {
        return inspect_file(what, out, err);
    }
    char path[PLATFORM_PATH_BYTES]; /* only with a slash is it a path for tars_model_open */
    text_buffer text;
    text_init(&text, path, sizeof path);
    text_format(&text, "%s%s", strchr(what, '/') ? "" : "./", what);
    return inspect_model(context, path, out, err);
}

void inspection_free(inspection *report) {
    free(report->json);
    *report = (inspection){0};
}
