/* Opening a packed file: any bytes either open, with every pointer inside of them, or are refused. The
 * header's digest is repaired first, so that the checks behind it are reached. */
#include "engine/model.h"
#include "engine/pack.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void repair(uint8_t *bytes, size_t size) {
    pack_header *h = (pack_header *)(void *)bytes;
    h->file_bytes = size;
    if (h->toc_offset > size || h->toc_bytes > size - h->toc_offset) {
        return;
    }
    memset(h->header_sha256, 0, sizeof h->header_sha256);
    sha256_context digest;
    sha256_init(&digest);
    sha256_update(&digest, h, sizeof *h);
    sha256_update(&digest, bytes + h->toc_offset, (size_t)h->toc_bytes);
    uint8_t found[SHA256_DIGEST_BYTES];
    sha256_final(&digest, found);
    memcpy(h->header_sha256, found, sizeof found);
}

/* Touches the first and last byte of what a model would read. */
static unsigned touch(const model *m) {
    unsigned sum = 0;
    for (uint32_t i = 0; i < m->pack.n_tensors; i++) {
        const pack_tensor *t = &m->pack.tensors[i];
        if (t->size_bytes > 0) {
            sum += m->pack.base[t->offset] + m->pack.base[t->offset + t->size_bytes - 1];
        }
    }
    return sum;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size < PACK_HEADER_BYTES) {
        return 0;
    }
    uint8_t *bytes = aligned_alloc(64, (size + 63) / 64 * 64);
    memcpy(bytes, data, size);
    repair(bytes, size);
    pack_view view;
    tars_error err;
    if (pack_open(bytes, size, &view, &err) == TARS_OK) {
        size_t memory_bytes = model_memory_bytes(&view);
        void *memory = malloc(memory_bytes);
        arena a;
        arena_init(&a, memory, memory_bytes);
        model m;
        if (model_open(&view, &a, &m, &err) == TARS_OK) {
            volatile unsigned sum = touch(&m);
            (void)sum;
        }
        free(memory);
    }
    free(bytes);
    return 0;
}
