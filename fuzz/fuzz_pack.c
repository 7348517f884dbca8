/* Opening a packed file: any bytes either open, with every pointer inside of them, compute and
 * export, or are refused. The input is a pack_header without the padding of its page, followed by
 * the table of contents: the target writes the rest (data of zeros from 2 MiB on, trailer) and
 * repairs regions and digest, so that the checks behind them are reached. It also takes the input
 * as it is. */
#include "engine/import.h"
#include "fuzz_model.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { MAX_DATA_BYTES = 1 << 20, MAX_EXPORT_BYTES = 4 << 20 };

static tars_status count(void *context, const void *bytes, size_t length, tars_error *err) {
    size_t *total = context;
    const uint8_t *b = bytes;
    volatile uint8_t ends = length > 0 ? (uint8_t)(b[0] ^ b[length - 1]) : 0;
    (void)ends;
    *total += length;
    return *total <= MAX_EXPORT_BYTES ? TARS_OK : error_set(err, TARS_DISK_FULL, "full");
}

static void use(const uint8_t *bytes, size_t size) {
    pack_view view;
    tars_error err = {0};
    tars_status status = pack_open(bytes, size, &view, &err);
    if (status != TARS_OK) {
        fuzz_require(err.status == status && err.message[0]);
        return;
    }
    size_t memory_bytes = model_memory_bytes(&view);
    void *memory = malloc(memory_bytes);
    arena a;
    arena_init(&a, memory, memory_bytes);
    model m;
    if (model_open(&view, &a, &m, &err) == TARS_OK) {
        fuzz_run_model(&m);
    }
    free(memory);
    const pack_bytes *blob = &view.sections[PACK_TOKENIZER];
    tokenizer t;
    if (tokenizer_open(blob->bytes, blob->size_bytes, &t, &err) == TARS_OK) {
        fuzz_run_tokenizer(&t, false);
    }
    for (uint32_t i = 0; i < view.n_tensors && i < 16; i++) {
        (void)pack_verify_tensor(&view, i, &err);
    }
    size_t exported = 0;
    byte_sink sink = {&exported, count};
    memory = malloc(MAX_EXPORT_BYTES);
    arena_init(&a, memory, MAX_EXPORT_BYTES);
    (void)export_gguf(bytes, size, &sink, &a, &err);
    free(memory);
}

static void repair_digest(uint8_t *bytes) {
    pack_header *h = (pack_header *)(void *)bytes;
    memset(h->header_sha256, 0, sizeof h->header_sha256);
    sha256_context digest;
    sha256_init(&digest);
    sha256_update(&digest, h, sizeof *h);
    sha256_update(&digest, bytes + h->toc_offset, (size_t)h->toc_bytes);
    uint8_t found[SHA256_DIGEST_BYTES];
    sha256_final(&digest, found);
    memcpy(h->header_sha256, found, sizeof found);
}

/* A whole packed file around the input's header and table of contents. */
static void use_composed(const uint8_t *data, size_t size) {
    pack_header h;
    memcpy(&h, data, sizeof h);
    size_t toc_bytes = size - sizeof h;
    h.n_tensors %= 4096;
    h.toc_offset = PACK_HEADER_BYTES;
    h.toc_bytes = toc_bytes;
    h.data_offset = PACK_DATA_ALIGNMENT;
    h.data_bytes = h.data_bytes < MAX_DATA_BYTES ? h.data_bytes : MAX_DATA_BYTES;
    h.trailer_offset = (h.data_offset + h.data_bytes + 63) / 64 * 64;
    h.trailer_bytes = sizeof(pack_trailer) + (uint64_t)h.n_tensors * SHA256_DIGEST_BYTES;
    h.file_bytes = h.trailer_offset + h.trailer_bytes;
    if (PACK_HEADER_BYTES + toc_bytes > h.data_offset) {
        return;
    }
    uint8_t *block = aligned_alloc(64, ((size_t)h.file_bytes + 63) / 64 * 64);
    fuzz_require(block != NULL);
    /* the file ends where the block ends (less 0 to 32 bytes), so that an overread is seen */
    memcpy(block, &h, sizeof h);
    memset(block + sizeof h, 0, PACK_HEADER_BYTES - sizeof h);
    memcpy(block + h.toc_offset, data + sizeof h, toc_bytes);
    memset(block + h.data_offset, 0, (size_t)(h.file_bytes - h.data_offset));
    pack_trailer trailer = {.n_tensors = h.n_tensors};
    trailer.source_bytes = 1 << 20;
    memcpy(trailer.magic, "TARSDIGS", 8);
    memcpy(block + h.trailer_offset, &trailer, sizeof trailer);
    repair_digest(block);
    use(block, (size_t)h.file_bytes);
    free(block);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    uint8_t *bytes = aligned_alloc(64, (size + 63) / 64 * 64 + 64);
    memcpy(bytes, data, size);
    use(bytes, size);
    free(bytes);
    if (size >= sizeof(pack_header)) {
        use_composed(data, size);
    }
    return 0;
}
