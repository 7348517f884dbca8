/* Any bytes as a GGUF file: opened in an arena of exactly the size that the reader promises to
 * keep to, every promise of an open file checked, and the report on a damaged file written out. */
#include "base/json.h"
#include "engine/gguf.h"
#include "engine/inspect.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

static void require(int condition) {
    if (!condition) {
        abort();
    }
}

static uint64_t touch_text(gguf_text text) {
    uint64_t sum = text.length;
    for (size_t i = 0; i < text.length; i++) {
        sum += (uint8_t)text.bytes[i];
    }
    return sum;
}

/* Reads every element of every key. */
static uint64_t touch_keys(const gguf_file *f) {
    uint64_t sum = 0;
    for (size_t i = 0; i < f->n_keys; i++) {
        const gguf_key *k = &f->keys[i];
        gguf_text text;
        int64_t n;
        double d;
        bool b;
        sum += touch_text(k->name);
        sum += gguf_key_text(k, &text) ? touch_text(text) : 0;
        sum += gguf_key_i64(k, &n) ? (uint64_t)n : 0;
        sum += gguf_key_f64(k, &d) && d > 0;
        sum += gguf_key_bool(k, &b) && b;
        for (uint64_t e = 0; k->type == GGUF_ARRAY && e < k->count; e++) {
            if (k->element_type == GGUF_STRING) {
                sum += touch_text(gguf_element_text(f, k, e));
            } else if (k->element_type == GGUF_FLOAT32 || k->element_type == GGUF_FLOAT64) {
                sum += gguf_element_f64(k, e) > 0;
            } else {
                sum += (uint64_t)gguf_element_i64(k, e);
            }
        }
    }
    return sum;
}

static void check_open(const gguf_file *f, uint64_t size) {
    require(f->data_offset % f->alignment == 0 && f->data_offset >= f->header_bytes);
    for (size_t i = 0; i < f->n_tensors; i++) {
        const gguf_tensor *t = &f->tensors[i];
        uint64_t end = f->data_offset + t->offset + t->size_bytes;
        require(t->size_bytes > 0 && t->offset < size && t->size_bytes <= size && end <= size);
        require(t->offset % f->alignment == 0);
        for (size_t j = 0; j < i && i < 64; j++) {
            const gguf_tensor *o = &f->tensors[j];
            require(o->offset >= t->offset + t->size_bytes ||
                    t->offset >= o->offset + o->size_bytes);
            require(o->name.length != t->name.length ||
                    memcmp(o->name.bytes, t->name.bytes, t->name.length) != 0);
        }
    }
    uint32_t u32;
    (void)gguf_get_u32(f, "llama.block_count", &u32, NULL);
    (void)gguf_find_for_architecture(f, "block_count");
}

static bool count_bytes(void *context, const char *bytes, size_t length) {
    uint64_t *sum = context;
    for (size_t i = 0; i < length; i++) {
        *sum += (uint8_t)bytes[i];
    }
    return true;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    size_t arena_bytes = GGUF_MEMORY_MULTIPLE * size + GGUF_READ_BYTES;
    size_t report_bytes = arena_bytes + (192u << 10);
    void *memory = malloc(report_bytes);
    require(memory != NULL);
    arena a;
    byte_source source = byte_source_memory(data, size);
    gguf_file file;
    tars_error err;

    arena_init(&a, memory, arena_bytes);
    tars_status status = gguf_open(&source, NULL, &a, &file, &err);
    require(status != TARS_OUT_OF_MEMORY && status != TARS_FAILED);
    if (status == TARS_OK) {
        require(file.header_bytes <= size);
        check_open(&file, size);
        (void)touch_keys(&file);
    } else {
        require(err.message[0] != '\0' && err.where[0] != '\0');
    }

    arena_init(&a, memory, report_bytes);
    inspect_report report;
    require(inspect_source(&source, &a, &report, &err) == TARS_OK);
    require(strcmp(report.format, "gguf") != 0 || (report.n_problems > 0) >= (status != TARS_OK));
    (void)touch_keys(&report.gguf);
    uint64_t sum = 0;
    json_writer writer;
    json_writer_init(&writer, count_bytes, &sum);
    inspect_write_json(&report, &writer);
    require(!writer.failed && writer.depth == 0);
    free(memory);
    return 0;
}
