/* Any bytes through the import: refused with a message, or the packed file opens, computes and
 * exports back to the tensors and metadata that came in. */
#include "engine/import.h"
#include "fuzz_model.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { ARENA_BYTES = 64 << 20, MAX_PACKED_BYTES = 32 << 20 };

typedef struct memory_sink {
    uint8_t *bytes;
    size_t length;
} memory_sink;

static tars_status append(void *context, const void *bytes, size_t length, tars_error *err) {
    memory_sink *sink = context;
    if (length > MAX_PACKED_BYTES - sink->length) {
        return error_set(err, TARS_DISK_FULL, "full");
    }
    memcpy(sink->bytes + sink->length, bytes, length);
    sink->length += length;
    return TARS_OK;
}

static bool is_text(const char *text) {
    for (; *text; text++) {
        if ((unsigned char)*text < 0x20 || *text == 0x7f) {
            return false;
        }
    }
    return true;
}

/* Metadata and every tensor's bytes must come back at their places; padding may differ. */
static void check_export(const pack_view *view, const uint8_t *data, size_t size, uint8_t *room) {
    memory_sink out = {room, 0};
    byte_sink sink = {&out, append};
    void *memory = malloc(ARENA_BYTES);
    arena a;
    arena_init(&a, memory, ARENA_BYTES);
    tars_error err;
    fuzz_require(export_gguf(view->base, view->size_bytes, &sink, &a, &err) == TARS_OK);
    free(memory);
    fuzz_require(out.length <= size);
    size_t data_offset = view->sections[PACK_GGUF_HEADER].size_bytes;
    for (uint32_t i = 0; i < view->n_tensors; i++) {
        const pack_tensor *t = &view->tensors[i];
        uint64_t at = data_offset + t->source_offset;
        fuzz_require(at + t->source_bytes <= out.length);
        fuzz_require(memcmp(out.bytes + at, data + at, (size_t)t->source_bytes) == 0);
    }
}

static void check_packed(const memory_sink *packed, const uint8_t *data, size_t size,
                         uint8_t *room) {
    tars_error err;
    pack_view view;
    fuzz_require(pack_open(packed->bytes, packed->length, &view, &err) == TARS_OK);
    size_t bytes = model_memory_bytes(&view);
    void *memory = malloc(bytes);
    arena a;
    arena_init(&a, memory, bytes);
    model m;
    fuzz_require(model_open(&view, &a, &m, &err) == TARS_OK);
    for (uint32_t i = 0; i < view.n_tensors; i++) {
        fuzz_require(pack_verify_tensor(&view, i, &err) == TARS_OK);
    }
    const pack_bytes *blob = &view.sections[PACK_TOKENIZER];
    tokenizer t;
    fuzz_require(tokenizer_open(blob->bytes, blob->size_bytes, &t, &err) == TARS_OK);
    fuzz_require(tokenizer_n_tokens(&t) == m.hparams->n_vocab);
    fuzz_run_tokenizer(&t, true);
    fuzz_run_model(&m);
    free(memory);
    check_export(&view, data, size, room);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static uint8_t *packed_bytes;
    static uint8_t *exported;
    static void *memory;
    if (!memory) { /* kept from run to run: a fresh arena of this size would cost most of the time
                    */
        packed_bytes = aligned_alloc(4096, MAX_PACKED_BYTES);
        exported = aligned_alloc(4096, MAX_PACKED_BYTES);
        memory = malloc(ARENA_BYTES);
        fuzz_require(packed_bytes && exported && memory);
    }
    memory_sink packed = {packed_bytes, 0};
    byte_sink sink = {&packed, append};
    byte_source source = byte_source_memory(data, size);
    arena a;
    arena_init(&a, memory, ARENA_BYTES);
    import_result result;
    tars_error err = {0};
    tars_status status = import_gguf(&source, NULL, &sink, &a, &result, &err);
    if (status == TARS_OK) {
        fuzz_require(result.packed_bytes == packed.length);
        check_packed(&packed, data, size, exported);
    } else {
        fuzz_require(status == TARS_MALFORMED || status == TARS_UNSUPPORTED ||
                     status == TARS_LIMIT || status == TARS_CORRUPT ||
                     status == TARS_OUT_OF_MEMORY || status == TARS_DISK_FULL);
        fuzz_require(err.status == status && err.message[0] && is_text(err.message) &&
                     is_text(err.where) && is_text(err.hint));
    }
    return 0;
}
