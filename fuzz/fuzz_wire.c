/* Both sides of the wire: the input is what the other side wrote into its ring. An even first byte
 * makes it a guest's talk to the host, an odd one a host's talk to a guest with the tiny model. No
 * bytes may do more than end the talk with an error; what the host hands on must be possible. */
#include "base/utf8.h"
#include "engine/import.h"
#include "fuzz_model.h"
#include "guest/serve.h"
#include "runtime/guest_client.h"

#include <stdio.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum {
    MODEL_BYTES = 8 << 20,
    GUEST_BYTES = 8 << 20,
    MAX_TOKENS = 8,
    N_VOCAB = 300,
    MAX_SILENT = 20
};

/* ---- the other side -------------------------------------------------------------------- */

typedef struct speech {
    const uint8_t *bytes;
    size_t left;
    unsigned n_silent; /* calls after all was said: a guest may answer for a while */
    wire_ring *ring;
    wire_ring *answers; /* read and forgotten */
} speech;

/* Writes what there is room for; false when all was said a while ago. */
static bool say_more(void *context) {
    speech *s = context;
    atomic_store(&s->answers->read, atomic_load(&s->answers->written));
    uint32_t written = atomic_load(&s->ring->written);
    uint32_t used = written - atomic_load(&s->ring->read);
    if (s->left == 0 || used > WIRE_RING_BYTES) {
        return ++s->n_silent < MAX_SILENT;
    }
    size_t n = s->left < WIRE_RING_BYTES - used ? s->left : WIRE_RING_BYTES - used;
    for (size_t i = 0; i < n; i++) {
        s->ring->bytes[(written + i) % WIRE_RING_BYTES] = s->bytes[i];
    }
    atomic_store(&s->ring->written, written + (uint32_t)n);
    s->bytes += n;
    s->left -= n;
    return n > 0 || ++s->n_silent < MAX_SILENT;
}

/* ---- the host -------------------------------------------------------------------------- */

static tars_status hear_token(void *user, int32_t id, const uint8_t *digest, tars_error *err) {
    (void)err;
    (void)digest;
    size_t *n = user;
    fuzz_require(id >= 0 && id < N_VOCAB && ++*n <= MAX_TOKENS);
    return TARS_OK;
}

static tars_status hear_text(void *user, const char *bytes, size_t length, tars_error *err) {
    (void)user;
    (void)err;
    fuzz_require(length > 0 && utf8_valid(bytes, length, NULL));
    return TARS_OK;
}

static void hear_progress(void *user, uint64_t done, uint64_t total) {
    (void)user;
    fuzz_require(done <= total);
}

static tars_status go_on(void *user, tars_error *err) {
    (void)user;
    (void)err;
    return TARS_OK;
}

static void talk_to_host(const uint8_t *data, size_t size) {
    static wire_area area;
    static guest_client c;
    static const int32_t prompt[3] = {1, 2, 3};
    size_t n_tokens = 0;
    wire_area_clear(&area);
    guest_client_request request = {.n_vocab = N_VOCAB, .prompt = prompt};
    request.wire = (wire_request){.max_tokens = MAX_TOKENS, .n_prompt = 3};
    guest_client_sink sink = {&n_tokens, hear_token, hear_text, hear_progress, go_on};
    guest_client_init(&c, &area, &request, &sink);
    speech s = {data, size, 0, &area.to_host, &area.to_guest};
    tars_error err = {.status = TARS_OK};
    tars_status status = TARS_OK;
    while (status == TARS_OK && say_more(&s)) {
        status = guest_client_turn(&c, &err);
    }
    fuzz_require(status == TARS_OK || err.message[0] != '\0' || c.has_ended);
}

/* ---- the guest ------------------------------------------------------------------------- */

static uint8_t *model_bytes;
static size_t model_size;

static tars_status append(void *context, const void *bytes, size_t length, tars_error *err) {
    (void)context;
    (void)err;
    fuzz_require(length <= MODEL_BYTES - model_size);
    memcpy(model_bytes + model_size, bytes, length);
    model_size += length;
    return TARS_OK;
}

static void import_tiny(void) {
    FILE *file = fopen(FUZZ_DATA_DIR "/models/tiny.gguf", "rb");
    static uint8_t gguf[4 << 20];
    fuzz_require(file != NULL);
    size_t n = fread(gguf, 1, sizeof gguf, file);
    fclose(file);
    model_bytes = aligned_alloc(4096, MODEL_BYTES);
    byte_source source = byte_source_memory(gguf, n);
    byte_sink sink = {NULL, append};
    void *memory = malloc(32 << 20);
    arena a;
    arena_init(&a, memory, 32 << 20);
    import_result result;
    tars_error err;
    fuzz_require(import_gguf(&source, NULL, &sink, &a, &result, &err) == TARS_OK);
    free(memory);
}

static const void *model_at(uint64_t offset, uint64_t size_bytes) {
    return offset == 0 && size_bytes == model_size ? model_bytes : NULL;
}

static const kernel_table *any_kernels(const char *name) {
    (void)name;
    return &kernel_scalar;
}

/* The greeting is ours, so that inputs need not know the model's size. */
static void talk_to_guest(const uint8_t *data, size_t size) {
    static wire_area area;
    if (!model_bytes) {
        import_tiny();
    }
    wire_area_clear(&area);
    speech s = {data, size, 0, &area.to_guest, &area.to_host};
    wire_port host = {.in = &area.to_host, .out = &area.to_guest, .wait = say_more, .context = &s};
    wire_hello hello = {.magic = WIRE_MAGIC,
                        .version = WIRE_VERSION,
                        .arithmetic_version = ARITHMETIC_VERSION,
                        .model_bytes = model_size};
    fuzz_require(wire_send(&host, WIRE_HELLO, &hello, sizeof hello, NULL, 0, NULL) == TARS_OK);
    wire_port guest = {.in = &area.to_guest, .out = &area.to_host, .wait = say_more, .context = &s};
    void *memory = malloc(GUEST_BYTES);
    arena a;
    arena_init(&a, memory, GUEST_BYTES);
    serve_place place = {&guest, model_at, &a, any_kernels};
    tars_error err = {.status = TARS_OK};
    fuzz_require(serve(&place, &err) != TARS_OK && err.message[0] != '\0');
    free(memory);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size > 0 && data[0] % 2 == 0) {
        talk_to_host(data + 1, size - 1);
    } else if (size > 0) {
        talk_to_guest(data + 1, size - 1);
    }
    return 0;
}
