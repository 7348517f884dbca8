/* Both sides of the wire: the input is what the other side wrote into its ring. The first byte says
 * who talks to whom, see `talks` below. No bytes may do more than end the talk with an error; what
 * the host hands on must be possible, and it reads no source beyond its end. */
#include "base/utf8.h"
#include "engine/import.h"
#include "fuzz_model.h"
#include "guest/serve.h"
#include "runtime/guest_answer.h"
#include "runtime/guest_embed.h"
#include "runtime/guest_import.h"
#include "runtime/guest_text.h"

#include <stdio.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum {
    MODEL_BYTES = 8 << 20,
    GUEST_BYTES = 8 << 20,
    MAX_TOKENS = 8,
    MOST_IDS = 64,
    N_EMBD = 5,
    SOURCE_BYTES = 100000,
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

static unsigned turns_left; /* until the sink has had enough; set from the input */

static tars_status go_on(void *user, tars_error *err) {
    (void)user;
    if (turns_left == 0) {
        return error_set(err, TARS_CANCELLED, "enough");
    }
    turns_left--;
    return TARS_OK;
}

/* Takes turns until the talk ends. */
static void talk_to_host(guest_client *c, const uint8_t *data, size_t size) {
    turns_left = size > 0 && data[size - 1] < 64 ? data[size - 1] : 1000000;
    static wire_area area;
    wire_area_clear(&area);
    guest_client_connect(c, &area, 0, 0, GUEST_BYTES);
    speech s = {data, size, 0, &area.to_host, &area.to_guest};
    tars_error err = {.status = TARS_OK};
    tars_status status = TARS_OK;
    while (status == TARS_OK && !c->has_ended && say_more(&s)) {
        status = guest_client_turn(c, &err);
    }
    fuzz_require(status == TARS_OK || err.message[0] != '\0');
}

static void answers(const uint8_t *data, size_t size) {
    static guest_answer a;
    static const int32_t prompt[3] = {1, 2, 3};
    size_t n_tokens = 0;
    guest_answer_request request = {.n_vocab = N_VOCAB, .prompt = prompt};
    request.wire = (wire_request){.max_tokens = MAX_TOKENS, .n_prompt = 3};
    guest_answer_sink sink = {.user = &n_tokens,
                              .token = hear_token,
                              .text = hear_text,
                              .progress = hear_progress,
                              .check = go_on};
    guest_answer_init(&a, &request, &sink);
    talk_to_host(&a.client, data, size);
}

static tars_status read_source(void *context, uint64_t offset, void *buffer, size_t length,
                               tars_error *err) {
    (void)context;
    (void)err;
    fuzz_require(length > 0 && offset <= SOURCE_BYTES && length <= SOURCE_BYTES - offset);
    memset(buffer, (int)offset, length);
    return TARS_OK;
}

static tars_status hear_packed(void *context, const void *bytes, size_t length, tars_error *err) {
    (void)bytes;
    (void)err;
    size_t *n = context;
    *n += length;
    return TARS_OK;
}

static void imports(const uint8_t *data, size_t size) {
    static guest_import im;
    size_t n_packed = 0;
    byte_source source = {NULL, SOURCE_BYTES, read_source};
    guest_import_request request = {.form = WIRE_SAFETENSORS, .sources = {&source, NULL, &source}};
    guest_import_sink sink = {{&n_packed, hear_packed}, NULL, hear_progress, go_on};
    guest_import_init(&im, &request, &sink);
    talk_to_host(&im.client, data, size);
    bool is_cut_off = im.client.check != TARS_OK; /* then nobody takes the rest */
    fuzz_require(!im.client.has_ended || is_cut_off || im.client.result.n_bytes == 0 ||
                 im.client.result.n_bytes == n_packed);
}

typedef struct heard_ids {
    uint32_t text;
    size_t n_ids, n_announced, n_piece_bytes;
} heard_ids;

static tars_status hear_ids(void *user, uint32_t text, const wire_id *ids, size_t n,
                            tars_error *err) {
    (void)err;
    heard_ids *h = user;
    fuzz_require(text >= h->text && text < 3 && n > 0 && n <= MOST_IDS - h->n_ids);
    for (size_t i = 0; i < n; i++) {
        fuzz_require(ids[i].id >= 0 && ids[i].id < N_VOCAB);
        h->n_announced += ids[i].piece_bytes;
    }
    h->text = text;
    h->n_ids += n;
    return TARS_OK;
}

static tars_status hear_pieces(void *user, const char *bytes, size_t length, tars_error *err) {
    (void)bytes;
    (void)err;
    heard_ids *h = user;
    h->n_piece_bytes += length;
    fuzz_require(h->n_piece_bytes <= h->n_announced);
    return TARS_OK;
}

static void encodes(const uint8_t *data, size_t size) {
    static guest_encode e;
    static const uint32_t lengths[3] = {1, 0, 2};
    heard_ids heard = {0};
    guest_encode_request request = {
        .n_vocab = N_VOCAB,
        .most_ids = MOST_IDS,
        .wire = {.n_texts = 3, .pieces = 1, .max_ids = 20, .text_bytes = 3},
        .lengths = lengths,
        .words = "abc"};
    guest_encode_sink sink = {&heard, hear_ids, hear_pieces, go_on};
    guest_encode_init(&e, &request, &sink);
    talk_to_host(&e.client, data, size);
}

static void decodes(const uint8_t *data, size_t size) {
    static guest_decode d;
    static const int32_t ids[3] = {1, 2, 3};
    guest_decode_request request = {.wire = {.n_ids = 3}, .ids = ids};
    guest_decode_sink sink = {NULL, hear_text, go_on};
    guest_decode_init(&d, &request, &sink);
    talk_to_host(&d.client, data, size);
}

static void embeds(const uint8_t *data, size_t size) {
    static guest_embed e;
    static const int32_t ids[3] = {1, 2, 3};
    static const uint32_t lengths[2] = {1, 2};
    float *vectors = calloc(2 * N_EMBD, sizeof *vectors); /* exact: an address checker sees more */
    guest_embed_request request = {.n_embd = N_EMBD,
                                   .wire = {.n_texts = 2, .max_ids = 2, .n_ids = 3},
                                   .lengths = lengths,
                                   .ids = ids,
                                   .vectors = vectors,
                                   .check = go_on};
    guest_embed_init(&e, &request);
    talk_to_host(&e.client, data, size);
    free(vectors);
}

/* ---- the guest ------------------------------------------------------------------------- */

typedef struct packed_model {
    const char *file;
    uint8_t *bytes; /* made when it is first needed */
    size_t size;
} packed_model;

static packed_model decoder = {.file = FUZZ_DATA_DIR "/models/tiny.gguf"};
static packed_model encoder_model = {.file = FUZZ_DATA_DIR "/models/arch/bert-mean.gguf"};
static packed_model nothing;
static const packed_model *told; /* what the host says lies there */

static tars_status append(void *context, const void *bytes, size_t length, tars_error *err) {
    packed_model *m = context;
    (void)err;
    fuzz_require(length <= MODEL_BYTES - m->size);
    memcpy(m->bytes + m->size, bytes, length);
    m->size += length;
    return TARS_OK;
}

static void pack(packed_model *m) {
    FILE *file = fopen(m->file, "rb");
    static uint8_t gguf[4 << 20];
    fuzz_require(file != NULL);
    size_t n = fread(gguf, 1, sizeof gguf, file);
    fclose(file);
    m->bytes = aligned_alloc(4096, MODEL_BYTES);
    byte_source source = byte_source_memory(gguf, n);
    byte_sink sink = {m, append};
    void *memory = malloc(32 << 20);
    arena a;
    arena_init(&a, memory, 32 << 20);
    import_result result;
    tars_error err;
    fuzz_require(import_gguf(&source, NULL, &sink, &a, &result, &err) == TARS_OK);
    free(memory);
}

static const void *model_at(uint64_t offset, uint64_t size_bytes) {
    return offset == 0 && size_bytes == told->size ? told->bytes : NULL;
}

static const kernel_table *any_kernels(const char *name) {
    (void)name;
    return &kernel_scalar;
}

/* The greeting is ours, so that inputs need not know the model's size. */
static void talk_to_guest(packed_model *m, const uint8_t *data, size_t size) {
    static wire_area area;
    if (m->file && !m->bytes) {
        pack(m);
    }
    told = m;
    wire_area_clear(&area);
    speech s = {data, size, 0, &area.to_guest, &area.to_host};
    wire_port host = {.in = &area.to_host, .out = &area.to_guest, .wait = say_more, .context = &s};
    wire_hello hello = {.magic = WIRE_MAGIC,
                        .version = WIRE_VERSION,
                        .arithmetic_version = ARITHMETIC_VERSION,
                        .model_bytes = m->size};
    fuzz_require(wire_send(&host, WIRE_HELLO, &hello, sizeof hello, NULL, 0, NULL) == TARS_OK);
    wire_port guest = {.in = &area.to_guest, .out = &area.to_host, .wait = say_more, .context = &s};
    void *memory = malloc(GUEST_BYTES);
    arena a;
    arena_init(&a, memory, GUEST_BYTES);
    serve_place place = {
        .port = &guest, .model_at = model_at, .state = &a, .memory = &a, .kernels = any_kernels};
    tars_error err = {.status = TARS_OK};
    fuzz_require(serve(&place, &err) != TARS_OK && err.message[0] != '\0');
    free(memory);
}

static void decoder_serves(const uint8_t *data, size_t size) {
    talk_to_guest(&decoder, data, size);
}

static void encoder_serves(const uint8_t *data, size_t size) {
    talk_to_guest(&encoder_model, data, size);
}

static void importer_serves(const uint8_t *data, size_t size) {
    talk_to_guest(&nothing, data, size);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static void (*const talks[])(const uint8_t *data,
                                 size_t size) = {answers, decoder_serves, imports, importer_serves,
                                                 encodes, encoder_serves, decodes, embeds};
    if (size > 0) {
        talks[data[0] % (sizeof talks / sizeof talks[0])](data + 1, size - 1);
    }
    return 0;
}
