/* Any bytes as a safetensors file, and as the files around it: the first byte chooses which of the
 * converter's sources the rest is used for; the others come from a small valid model. */
#include "../tests/engine/tiny_bert.h"
#include "engine/inspect.h"
#include "engine/safetensors_to_gguf.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

static void require(int condition) {
    if (!condition) {
        abort();
    }
}

static void check_open(const safetensors_file *f, uint64_t size) {
    uint64_t sum = f->data_offset;
    for (size_t i = 0; i < f->n_tensors; i++) {
        const safetensors_tensor *t = &f->tensors[i];
        require(t->offset >= f->data_offset && t->offset + t->size_bytes <= size);
        sum += t->size_bytes;
    }
    require(sum == size); /* no gap and no overlap */
    (void)safetensors_find(f, "embeddings.LayerNorm.weight");
}

/* What the converter hands out reads as a GGUF file to its end. */
static void check_converted(const byte_source *source, arena *memory) {
    gguf_file file;
    tars_error err;
    uint8_t bytes[61];
    tars_status status = gguf_open(source, NULL, memory, &file, &err);
    require(status == TARS_OK || status == TARS_OUT_OF_MEMORY);
    for (uint64_t at = 0; at < source->size_bytes && at < 65536;) {
        uint64_t left = source->size_bytes - at;
        size_t n = left < sizeof bytes ? (size_t)left : sizeof bytes;
        require(byte_source_read(source, at, bytes, n, &err) == TARS_OK);
        at += n;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size < 1) {
        return 0;
    }
    unsigned role = data[0] % 8;
    byte_source given = byte_source_memory(data + 1, size - 1);
    size_t arena_bytes = SAFETENSORS_MEMORY_MULTIPLE * size + (1u << 20);
    void *memory = malloc(arena_bytes);
    require(memory != NULL);
    arena a;
    tars_error err;

    arena_init(&a, memory, arena_bytes);
    safetensors_file file;
    inspect_report report;
    require(inspect_source(&given, &a, &report, &err) == TARS_OK);

    arena_init(&a, memory, arena_bytes);
    tars_status status = safetensors_open(&given, &a, &file, &err);
    require(status != TARS_OUT_OF_MEMORY && status != TARS_FAILED);
    if (status == TARS_OK) {
        check_open(&file, size - 1);
    } else {
        require(err.message[0] != '\0' && err.where[0] != '\0');
    }

    static uint8_t weights[TINY_BERT_BYTES];
    static size_t weights_bytes;
    if (weights_bytes == 0) {
        weights_bytes = tiny_bert_weights("F32", "", weights);
    }
    byte_source fixed_weights = byte_source_memory(weights, weights_bytes);
    byte_source fixed_config = byte_source_memory(tiny_bert_config, sizeof tiny_bert_config - 1);
    byte_source fixed_vocabulary =
        byte_source_memory(tiny_bert_vocabulary, sizeof tiny_bert_vocabulary - 1);
    safetensors_sources sources = {
        .weights = role == 0 ? &given : &fixed_weights,
        .config = role == 1 ? &given : &fixed_config,
        .vocabulary = role == 2 ? &given : &fixed_vocabulary,
        .tokenizer = role == 3 ? &given : NULL,
        .tokenizer_config = role == 4 ? &given : NULL,
        .pooling = role == 5 ? &given : NULL,
        .sentence = role == 6 ? &given : NULL,
        .modules = role == 7 ? &given : NULL,
    };
    arena_init(&a, memory, arena_bytes);
    byte_source converted;
    status = safetensors_to_gguf(&sources, &a, &converted, &err);
    if (status == TARS_OK) {
        check_converted(&converted, &a);
    } else {
        require(err.message[0] != '\0');
    }
    free(memory);
    return 0;
}
