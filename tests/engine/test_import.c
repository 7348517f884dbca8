/* Import: the hostile files, faults of source, sink and memory at every point, and what must come
 * back from an export. */
#include "engine/import.h"

#include "base/json.h"
#include "engine/model.h"
#include "engine/model_maker.h"
#include "engine/tokenizer/tokenizer.h"

#include <time.h>

enum { ARENA_BYTES = 32 << 20, PACKED_BYTES = 16 << 20 };

/* ---- a sink and a source that can fail --------------------------------------------------- */

typedef struct memory_sink {
    uint8_t *bytes; /* [PACKED_BYTES] */
    size_t length;
    size_t n_writes;
    size_t fails_at; /* number of the write that fails; SIZE_MAX: none */
} memory_sink;

static tars_status sink_write(void *context, const void *bytes, size_t length, tars_error *err) {
    memory_sink *sink = context;
    if (sink->n_writes++ == sink->fails_at) {
        return error_set(err, TARS_DISK_FULL, "no space left");
    }
    if (length > PACKED_BYTES - sink->length) {
        return error_set(err, TARS_LIMIT, "longer than any model of this test");
    }
    memcpy(sink->bytes + sink->length, bytes, length);
    sink->length += length;
    return TARS_OK;
}

typedef struct failing_source {
    const uint8_t *bytes;
    size_t n_reads;
    size_t fails_at;
} failing_source;

static tars_status source_read(void *context, uint64_t offset, void *buffer, size_t length,
                               tars_error *err) {
    failing_source *source = context;
    if (source->n_reads++ == source->fails_at) {
        return error_set(err, TARS_IO, "the disk does not answer");
    }
    memcpy(buffer, source->bytes + offset, length);
    return TARS_OK;
}

/* Everything one import needs; `room` and `memory` are kept from one to the next. */
typedef struct trial {
    memory_sink sink;
    arena memory;
    import_result result;
    tars_error err;
    tars_status status;
} trial;

static uint8_t *room;
static uint8_t *memory;

static void try_import(const byte_source *source, const import_options *options, size_t fails_at,
                       size_t arena_bytes, trial *out) {
    if (!room) {
        room = aligned_alloc(4096, PACKED_BYTES);
        memory = malloc(ARENA_BYTES);
    }
    *out = (trial){.sink = {.bytes = room, .fails_at = fails_at}};
    byte_sink sink = {&out->sink, sink_write};
    arena_init(&out->memory, memory, arena_bytes);
    out->status = import_gguf(source, options, &sink, &out->memory, &out->result, &out->err);
}

static void try_bytes(const uint8_t *bytes, size_t size_bytes, trial *out) {
    byte_source source = byte_source_memory(bytes, size_bytes);
    try_import(&source, NULL, SIZE_MAX, ARENA_BYTES, out);
}

/* Opens what was packed as far as the engine would. */
static tars_status open_packed(const memory_sink *sink, tars_error *err) {
    pack_view view;
    tars_status status = pack_open(sink->bytes, sink->length, &view, err);
    if (status != TARS_OK) {
        return status;
    }
    size_t bytes = model_memory_bytes(&view);
    void *layers = malloc(bytes);
    arena a;
    arena_init(&a, layers, bytes);
    model m;
    status = model_open(&view, &a, &m, err);
    for (uint32_t i = 0; status == TARS_OK && i < view.n_tensors; i++) {
        status = pack_verify_tensor(&view, i, err);
    }
    tokenizer t;
    const pack_bytes *blob = &view.sections[PACK_TOKENIZER];
    if (status == TARS_OK) {
        status = tokenizer_open(blob->bytes, blob->size_bytes, &t, err);
    }
    free(layers);
    return status;
}

static bool is_plain_text(const char *text) {
    for (; *text; text++) {
        if ((unsigned char)*text < 0x20 || *text == 0x7f) {
            return false;
        }
    }
    return true;
}

/* A refusal says why, in text that a terminal may show, and leaves nothing that opens. */
static void check_refused(const char *name, const trial *t) {
    if (t->err.status != t->status || !t->err.message[0]) {
        check_fail(__FILE__, __LINE__, "%s: refused without a message (%s)", name,
                   tars_status_code(t->status));
    }
    if (!is_plain_text(t->err.message) || !is_plain_text(t->err.where) ||
        !is_plain_text(t->err.hint) || !is_plain_text(t->err.cause)) {
        check_fail(__FILE__, __LINE__, "%s: the message has control characters", name);
    }
    pack_view view;
    tars_error err;
    if (pack_open(t->sink.bytes, t->sink.length, &view, &err) == TARS_OK) {
        check_fail(__FILE__, __LINE__, "%s: was refused, but the packed file is whole", name);
    }
}

/* ---- hostile files ----------------------------------------------------------------------- */

static bool is_a_verdict(tars_status status) {
    return status == TARS_MALFORMED || status == TARS_UNSUPPORTED || status == TARS_LIMIT ||
           status == TARS_CORRUPT;
}

static double seconds_now(void) {
    struct timespec t;
    timespec_get(&t, TIME_UTC);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

/* True when the file was accepted. */
static bool check_hostile(const char *folder, const json_value *entry) {
    const char *name = json_string_or(json_member(entry, "file"), "");
    const char *expect = json_string_or(json_member(entry, "expect"), "any");
    char path[256];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    size_t size = 0;
    uint8_t *bytes = check_read_file(path, &size);
    uint8_t *exact = malloc(size ? size : 1); /* no spare byte behind the file */
    memcpy(exact, bytes, size);
    trial t;
    double start = seconds_now();
    try_bytes(exact, size, &t);
    double seconds = seconds_now() - start;
    if (seconds > 5.0) {
        check_fail(__FILE__, __LINE__, "%s took %.1f s", name, seconds);
    }
    bool accepted = t.status == TARS_OK;
    tars_error err = {0};
    if (accepted && open_packed(&t.sink, &err) != TARS_OK) {
        check_fail(__FILE__, __LINE__, "%s was packed but does not open: %s", name, err.message);
    }
    if (!accepted) {
        check_refused(name, &t);
    }
    if (!accepted && !is_a_verdict(t.status)) {
        check_fail(__FILE__, __LINE__, "%s: %s: %s", name, tars_status_code(t.status),
                   t.err.message);
    }
    bool must_refuse = strcmp(expect, "reject") == 0 || strcmp(expect, "inspect") == 0;
    if (must_refuse && accepted) {
        check_fail(__FILE__, __LINE__, "%s was accepted (%s)", name,
                   json_string_or(json_member(entry, "what"), ""));
    }
    if (strcmp(expect, "accept") == 0 && !accepted) {
        check_fail(__FILE__, __LINE__, "%s was refused: %s", name, t.err.message);
    }
    printf("    %-42s %s%s%s\n", name, accepted ? "accepted" : tars_status_code(t.status),
           accepted ? "" : ": ", accepted ? "" : t.err.message);
    free(exact);
    free(bytes);
    return accepted;
}

static void check_folder(const char *folder, size_t n_files, size_t least_accepted) {
    char path[64];
    snprintf(path, sizeof path, "%s/manifest.json", folder);
    size_t size = 0;
    size_t files = 0;
    size_t accepted = 0;
    char *text = check_read_file(path, &size);
    size_t arena_bytes = 1u << 20;
    void *block = malloc(arena_bytes);
    arena a;
    arena_init(&a, block, arena_bytes);
    json_value *root = NULL;
    CHECK_INT(json_parse(text, size, NULL, &a, &root, NULL), TARS_OK);
    for (const json_value *entry = json_member(root, "files")->first; entry; entry = entry->next) {
        accepted += check_hostile(folder, entry);
        files++;
    }
    printf("    %zu files, %zu accepted\n", files, accepted);
    CHECK_INT(files, n_files);
    CHECK(accepted >= least_accepted);
    free(block);
    free(text);
}

static void hostile_files_are_judged_right(void) {
    check_folder("hostile", 156, 5);
}

static void published_classes_do_no_harm(void) {
    check_folder("regressions", 39, 0);
}

/* Names out of the file get into messages; a terminal must not take them for commands. */
static void messages_are_plain_text(void) {
    static const char *const names[] = {"\x1b[31m", "a\nb\rc", "\x7f\xff\xfe\x01z", "\xc2\x9b[mm"};
    static const char key[] = "general.architecture";
    model_recipe recipe = {TENSOR_F32, TENSOR_F32, false, false};
    made_model m = make_model(&recipe);
    size_t at = 0;
    while (memcmp(m.bytes + at, key, sizeof key - 1) != 0) {
        at++;
    }
    at += sizeof key - 1 + 4 + 8; /* the value's type and length */
    CHECK_BYTES(m.bytes + at, "llama", 5);
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        CHECK_INT(strlen(names[i]), 5);
        memcpy(m.bytes + at, names[i], 5);
        trial t;
        try_bytes(m.bytes, m.size_bytes, &t);
        CHECK_INT(t.status, TARS_UNSUPPORTED);
        check_refused("architecture", &t);
        CHECK(strchr(t.err.message, '?') && !strstr(t.err.message, "\xc2\x9b"));
    }
    free(m.bytes);
}

/* ---- faults ------------------------------------------------------------------------------ */

static made_model plain_model(void) {
    model_recipe recipe = {TENSOR_Q4_1, TENSOR_F32, false, true};
    return make_model(&recipe);
}

typedef struct countdown {
    size_t calls;
    size_t cancels_at;
    uint64_t done, total;
    bool went_back;
} countdown;

static bool on_progress(void *user, uint64_t done, uint64_t total) {
    countdown *c = user;
    c->went_back = c->went_back || done < c->done || done > total;
    c->done = done;
    c->total = total;
    return c->calls++ != c->cancels_at;
}

static void cancelled_by_progress(void) {
    made_model m = plain_model();
    byte_source source = byte_source_memory(m.bytes, m.size_bytes);
    countdown whole = {.cancels_at = SIZE_MAX};
    import_options options = {.progress = on_progress, .progress_user = &whole};
    trial t;
    try_import(&source, &options, SIZE_MAX, ARENA_BYTES, &t);
    CHECK_INT(t.status, TARS_OK);
    CHECK(whole.calls > 10 && !whole.went_back && whole.total > 0);
    for (size_t i = 0; i < whole.calls; i++) {
        countdown c = {.cancels_at = i};
        options.progress_user = &c;
        try_import(&source, &options, SIZE_MAX, ARENA_BYTES, &t);
        CHECK_INT(t.status, TARS_CANCELLED);
        CHECK_INT(c.calls, i + 1);
        check_refused("cancelled", &t);
    }
    free(m.bytes);
}

static void every_write_may_fail(void) {
    made_model m = plain_model();
    byte_source source = byte_source_memory(m.bytes, m.size_bytes);
    trial t;
    try_bytes(m.bytes, m.size_bytes, &t);
    CHECK_INT(t.status, TARS_OK);
    size_t n = t.sink.n_writes;
    size_t tried = 0;
    /* the middle is some 500 equal writes of zeros up to the data: every 23rd of them is enough */
    for (size_t i = 0; i < n; i += i > 40 && i + 160 < n ? 23 : 1) {
        try_import(&source, NULL, i, ARENA_BYTES, &t);
        CHECK_INT(t.status, TARS_DISK_FULL);
        CHECK_INT(t.sink.n_writes, i + 1); /* nothing is written after a failure */
        check_refused("full disk", &t);
        tried++;
    }
    printf("    %zu of %zu writes\n", tried, n);
    CHECK(tried > 100);
    free(m.bytes);
}

static void every_read_may_fail(void) {
    made_model m = plain_model();
    failing_source context = {m.bytes, 0, SIZE_MAX};
    byte_source source = {&context, m.size_bytes, source_read};
    trial t;
    try_import(&source, NULL, SIZE_MAX, ARENA_BYTES, &t);
    CHECK_INT(t.status, TARS_OK);
    size_t n = context.n_reads;
    CHECK(n > 10);
    for (size_t i = 0; i < n; i++) {
        context = (failing_source){m.bytes, 0, i};
        try_import(&source, NULL, SIZE_MAX, ARENA_BYTES, &t);
        CHECK_INT(t.status, TARS_IO);
        CHECK_INT(context.n_reads, i + 1);
        check_refused("unreadable", &t);
    }
    free(m.bytes);
}

static void every_size_of_memory(void) {
    made_model m = plain_model();
    byte_source source = byte_source_memory(m.bytes, m.size_bytes);
    trial t;
    try_bytes(m.bytes, m.size_bytes, &t);
    CHECK_INT(t.status, TARS_OK);
    size_t needed = t.memory.peak_bytes;
    import_result whole = t.result;
    printf("    %zu bytes needed\n", needed);
    for (size_t bytes = 0; bytes < needed; bytes += bytes < 4096 ? 61 : 1499) {
        try_import(&source, NULL, SIZE_MAX, bytes, &t);
        if (t.status == TARS_OK) { /* alignment gaps: a little less may do */
            CHECK(bytes + 4096 > needed);
            continue;
        }
        CHECK_INT(t.status, TARS_OUT_OF_MEMORY);
        check_refused("little memory", &t);
    }
    try_import(&source, NULL, SIZE_MAX, needed + 64, &t);
    CHECK_INT(t.status, TARS_OK);
    CHECK_BYTES(t.result.packed_sha256, whole.packed_sha256, SHA256_DIGEST_BYTES);
    free(m.bytes);
}

static void every_truncation_is_refused(void) {
    made_model m = plain_model();
    trial t;
    for (size_t size = 0; size < m.size_bytes; size += size < m.data_offset ? 13 : 97) {
        uint8_t *cut = malloc(size ? size : 1);
        memcpy(cut, m.bytes, size);
        try_bytes(cut, size, &t);
        if (t.status == TARS_OK || !is_a_verdict(t.status)) {
            check_fail(__FILE__, __LINE__, "cut to %zu of %zu bytes: %s", size, m.size_bytes,
                       tars_status_code(t.status));
        } else {
            check_refused("cut", &t);
        }
        free(cut);
    }
    try_bytes(m.bytes, m.size_bytes - 1, &t);
    CHECK(is_a_verdict(t.status));
    free(m.bytes);
}

/* ---- weights ----------------------------------------------------------------------------- */

static const uint32_t computable[] = {TENSOR_F32,  TENSOR_F16,  TENSOR_BF16, TENSOR_Q4_0,
                                      TENSOR_Q4_1, TENSOR_Q8_0, TENSOR_Q4_K, TENSOR_Q6_K};
enum { N_COMPUTABLE = sizeof computable / sizeof computable[0] };

/* Exports what was packed and compares with the file that came in. */
static void check_export(const char *what, const made_model *m, const memory_sink *packed) {
    memory_sink out = {.bytes = malloc(PACKED_BYTES), .fails_at = SIZE_MAX};
    byte_sink sink = {&out, sink_write};
    size_t arena_bytes = 1 << 20;
    void *block = malloc(arena_bytes);
    arena a;
    arena_init(&a, block, arena_bytes);
    tars_error err = {0};
    tars_status status = export_gguf(packed->bytes, packed->length, &sink, &a, &err);
    if (status != TARS_OK) {
        check_fail(__FILE__, __LINE__, "%s: export: %s", what, err.message);
    } else if (out.length != m->size_bytes || memcmp(out.bytes, m->bytes, out.length) != 0) {
        check_fail(__FILE__, __LINE__, "%s: the exported file differs from the imported one", what);
    }
    free(block);
    free(out.bytes);
}

static void models_of_every_type_come_back(void) {
    static const uint32_t vectors[] = {TENSOR_F32, TENSOR_F16, TENSOR_BF16};
    for (size_t i = 0; i < N_COMPUTABLE; i++) {
        for (size_t j = 0; j < 3; j++) {
            model_recipe recipe = {computable[i], vectors[j], (i + j) % 2 == 1, j != 1};
            made_model m = make_model(&recipe);
            char what[64];
            snprintf(what, sizeof what, "%s with vectors of %s",
                     tensor_type_get(computable[i])->name, tensor_type_get(vectors[j])->name);
            trial t;
            tars_error err = {0};
            try_bytes(m.bytes, m.size_bytes, &t);
            if (t.status != TARS_OK || open_packed(&t.sink, &err) != TARS_OK) {
                check_fail(__FILE__, __LINE__, "%s: %s%s", what, t.err.message, err.message);
            } else {
                check_export(what, &m, &t.sink);
            }
            free(m.bytes);
        }
    }
}

static const gguf_tensor_entry *find_tensor(const made_model *m, const char *name) {
    for (size_t i = 0; i < m->n_tensors; i++) {
        if (strcmp(m->tensors[i].name, name) == 0) {
            return &m->tensors[i];
        }
    }
    abort();
}

/* The bits of a NaN or an infinity in the type of a weight or of a scale. */
static size_t not_finite_bits(uint32_t type, int kind, uint8_t out[4]) {
    static const uint32_t f32[] = {0x7fc00000, 0x7f800000, 0xff800000, 0x7f800001};
    static const uint32_t bf16[] = {0x7fc0, 0x7f80, 0xff80, 0x7f81};
    static const uint32_t f16[] = {0x7e00, 0x7c00, 0xfc00, 0x7c01};
    uint32_t bits = type == TENSOR_F32 ? f32[kind] : type == TENSOR_BF16 ? bf16[kind] : f16[kind];
    size_t size = type == TENSOR_F32 ? 4 : 2;
    for (size_t i = 0; i < size; i++) {
        out[i] = (uint8_t)(bits >> 8 * i);
    }
    return size;
}

/* Puts a value that is not finite at a place of a tensor, imports, and restores. */
static void poison(made_model *m, const gguf_tensor_entry *tensor, uint64_t block, int offset,
                   int kind) {
    uint8_t bits[4];
    uint8_t saved[4];
    size_t size = not_finite_bits(tensor->type, kind, bits);
    const tensor_type_info *info = tensor_type_get(tensor->type);
    uint8_t *at = m->bytes + m->data_offset + tensor->offset + block * info->block_bytes + offset;
    memcpy(saved, at, size);
    memcpy(at, bits, size);
    trial t;
    try_bytes(m->bytes, m->size_bytes, &t);
    if (t.status != TARS_MALFORMED || !strstr(t.err.message, tensor->name)) {
        check_fail(__FILE__, __LINE__, "%s in %s, block %llu, offset %d: %s %s", tensor->name,
                   info->name, (unsigned long long)block, offset, tars_status_code(t.status),
                   t.err.message);
    }
    memcpy(at, saved, size);
}

static void not_finite_weights_are_refused(void) {
    for (size_t i = 0; i < N_COMPUTABLE; i++) {
        model_recipe recipe = {computable[i], computable[i % 3], false, false};
        made_model m = make_model(&recipe);
        int offsets[2];
        made_scale_offsets(computable[i], offsets);
        static const char *const names[] = {"token_embd.weight", "blk.0.attn_k.weight",
                                            "blk.0.ffn_down.weight", "blk.0.attn_v.bias",
                                            "output_norm.weight"};
        for (size_t j = 0; j < 5; j++) {
            const gguf_tensor_entry *t = find_tensor(&m, names[j]);
            bool is_vector = t->dims[1] == 1;
            uint64_t n_blocks = t->size_bytes / tensor_type_get(t->type)->block_bytes;
            for (int kind = 0; kind < 4; kind++) {
                poison(&m, t, kind % 2 ? n_blocks - 1 : n_blocks / 3, is_vector ? 0 : offsets[0],
                       kind);
                if (!is_vector && offsets[1] >= 0) {
                    poison(&m, t, kind % 2 ? n_blocks - 1 : 0, offsets[1], kind);
                }
            }
        }
        free(m.bytes);
    }
}

/* ---- damaged packed files ---------------------------------------------------------------- */

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

static pack_tensor *packed_tensor(uint8_t *bytes, const char *name) {
    pack_header *h = (pack_header *)(void *)bytes;
    pack_section *s = (pack_section *)(void *)(bytes + h->toc_offset);
    for (uint32_t i = 0; i < h->n_sections; i++) {
        pack_tensor *tensors = (pack_tensor *)(void *)(bytes + s[i].offset);
        for (uint32_t j = 0; s[i].kind == PACK_TENSORS && j < h->n_tensors; j++) {
            if (strcmp(tensors[j].name, name) == 0) {
                return &tensors[j];
            }
        }
    }
    abort();
}

/* A table whose digest is right but whose sizes disagree is refused where it would be read. */
static void damaged_tables_are_refused(void) {
    made_model m = plain_model();
    trial t;
    tars_error err = {0};
    try_bytes(m.bytes, m.size_bytes, &t);
    CHECK_INT(t.status, TARS_OK);
    pack_tensor *norm = packed_tensor(room, "output_norm.weight");
    pack_tensor saved = *norm;
    norm->source_bytes = 1 << 30; /* export would read behind the file */
    repair_digest(room);
    CHECK_INT(open_packed(&t.sink, &err), TARS_CORRUPT);
    *norm = saved;
    norm->n_columns = 1; /* the forward pass would read behind the vector */
    norm->size_bytes = norm->source_bytes = sizeof(float);
    repair_digest(room);
    CHECK_INT(open_packed(&t.sink, &err), TARS_CORRUPT);
    *norm = saved;
    norm->source_offset = 1ull << 60; /* export would write zeros for years */
    repair_digest(room);
    CHECK_INT(open_packed(&t.sink, &err), TARS_OK);
    memory_sink out = {.bytes = room, .fails_at = 0};
    byte_sink sink = {&out, sink_write};
    arena_init(&t.memory, memory, ARENA_BYTES);
    CHECK_INT(export_gguf(room, t.sink.length, &sink, &t.memory, &err), TARS_CORRUPT);
    CHECK_INT(out.n_writes, 0);
    *norm = saved;
    norm->source_offset += 4; /* overlaps the next one */
    repair_digest(room);
    uint8_t *exported = malloc(PACKED_BYTES);
    out = (memory_sink){.bytes = exported, .fails_at = SIZE_MAX};
    arena_init(&t.memory, memory, ARENA_BYTES);
    CHECK_INT(export_gguf(room, t.sink.length, &sink, &t.memory, &err), TARS_CORRUPT);
    free(exported);
    *norm = saved;
    repair_digest(room);
    CHECK_INT(open_packed(&t.sink, &err), TARS_OK);
    check_export("repaired", &m, &t.sink);
    free(m.bytes);
}

static void import_is_deterministic(void) {
    made_model m = plain_model();
    trial t;
    try_bytes(m.bytes, m.size_bytes, &t);
    uint8_t found[SHA256_DIGEST_BYTES];
    sha256(t.sink.bytes, t.sink.length, found);
    CHECK_BYTES(t.result.packed_sha256, found, SHA256_DIGEST_BYTES);
    CHECK_INT(t.result.packed_bytes, t.sink.length);
    sha256(m.bytes, m.size_bytes, found);
    CHECK_BYTES(t.result.source_sha256, found, SHA256_DIGEST_BYTES);
    import_result first = t.result;
    memset(memory, 0xA5, ARENA_BYTES); /* what lay in the memory before must not get in */
    memset(room, 0x5A, PACKED_BYTES);
    try_bytes(m.bytes, m.size_bytes, &t);
    CHECK_BYTES(t.result.packed_sha256, first.packed_sha256, SHA256_DIGEST_BYTES);
    free(m.bytes);
}

static void tear_down(void) {
    free(room);
    free(memory);
    room = memory = NULL;
}

static const check_test tests[] = {
    {"hostile files are judged right", hostile_files_are_judged_right},
    {"published classes do no harm", published_classes_do_no_harm},
    {"messages are plain text", messages_are_plain_text},
    {"cancelled by progress", cancelled_by_progress},
    {"every write may fail", every_write_may_fail},
    {"every read may fail", every_read_may_fail},
    {"every size of memory", every_size_of_memory},
    {"every truncation is refused", every_truncation_is_refused},
    {"models of every type come back", models_of_every_type_come_back},
    {"weights that are not finite are refused", not_finite_weights_are_refused},
    {"damaged tables are refused", damaged_tables_are_refused},
    {"import is deterministic", import_is_deterministic},
    {"tear down", tear_down},
};
CHECK_MAIN(tests)
