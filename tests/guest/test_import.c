/* Imports over the wire: the same bytes as without it, and what neither side can do to the other.
 */
#include "guest_thread.h"

#include "engine/import.h"
#include "engine/tiny_bert.h"
#include "runtime/guest_import.h"

enum { PACKED_BYTES = 8 << 20 };

/* ---- the host -------------------------------------------------------------------------- */

typedef struct heard {
    uint8_t *packed; /* [PACKED_BYTES] */
    size_t n_packed;
    uint64_t done, total;
    bool is_cancelled;
    size_t full_at; /* bytes that the disk takes; 0: all */
} heard;

static tars_status hear_packed(void *user, const void *bytes, size_t length, tars_error *err) {
    heard *h = user;
    if (h->full_at > 0 && h->n_packed + length > h->full_at) {
        return error_set(err, TARS_DISK_FULL, "the disk is full");
    }
    CHECK(length <= PACKED_BYTES - h->n_packed);
    memcpy(h->packed + h->n_packed, bytes, length);
    h->n_packed += length;
    return TARS_OK;
}

static void hear_progress(void *user, uint64_t done, uint64_t total) {
    heard *h = user;
    h->done = done;
    h->total = total;
}

static tars_status check_cancel(void *user, tars_error *err) {
    heard *h = user;
    return h->is_cancelled ? error_set(err, TARS_CANCELLED, "enough") : TARS_OK;
}

static guest_import_sink sink_of(heard *h) {
    if (!h->packed) {
        h->packed = malloc(PACKED_BYTES);
    }
    h->n_packed = 0;
    h->done = 0;
    return (guest_import_sink){
        .packed = {h, hear_packed}, .user = h, .progress = hear_progress, .check = check_cancel};
}

static guest_import_request file_request(const byte_source *source, const uint8_t *bytes) {
    guest_import_request r = {.form = WIRE_GGUF, .sources = {source}};
    if (bytes) {
        sha256(bytes, (size_t)source->size_bytes, r.source_sha256);
    }
    return r;
}

static tars_status import(const guest_import_request *r, heard *h, tars_error *err) {
    static guest_import im;
    guest_thread g;
    guest_import_sink sink = sink_of(h);
    guest_import_init(&im, r, &sink);
    tars_status status = guest_talk(&g, &im.client, 0, 0, GUEST_MEMORY_BYTES, err);
    CHECK(status != TARS_OK || im.n_packed == h->n_packed);
    return status;
}

typedef struct sunk {
    uint8_t bytes[PACKED_BYTES];
    size_t length;
} sunk;

static tars_status sink_bytes(void *user, const void *bytes, size_t length, tars_error *err) {
    (void)err;
    sunk *s = user;
    CHECK(length <= sizeof s->bytes - s->length);
    memcpy(s->bytes + s->length, bytes, length);
    s->length += length;
    return TARS_OK;
}

static const sunk *import_here(const byte_source *source) {
    static sunk s;
    s.length = 0;
    byte_sink sink = {&s, sink_bytes};
    void *memory = malloc(GUEST_MEMORY_BYTES);
    arena a;
    arena_init(&a, memory, GUEST_MEMORY_BYTES);
    import_result result;
    tars_error err = {0};
    CHECK_INT(import_gguf(source, NULL, &sink, &a, &result, &err), TARS_OK);
    free(memory);
    return &s;
}

/* ---- tests ----------------------------------------------------------------------------- */

static void a_file_is_packed_as_without_the_wire(void) {
    static heard h;
    set_up();
    size_t size;
    uint8_t *bytes = check_read_file("models/tiny.gguf", &size);
    byte_source source = byte_source_memory(bytes, size);
    guest_import_request r = file_request(&source, bytes);
    tars_error err = {0};
    CHECK_INT(import(&r, &h, &err), TARS_OK);
    CHECK_STRING(err.message, "");
    CHECK(h.done >= size && h.done <= h.total && h.total == 2 * size);
    const sunk *expected = import_here(&source);
    CHECK_INT(h.n_packed, expected->length);
    CHECK(memcmp(h.packed, expected->bytes, h.n_packed) == 0);
    free(bytes);
}

static void a_folder_is_packed(void) {
    static heard h;
    uint8_t weights[TINY_BERT_BYTES];
    size_t length = tiny_bert_weights("F32", "", weights);
    byte_source files[] = {
        byte_source_memory(weights, length),
        byte_source_memory(tiny_bert_config, sizeof tiny_bert_config - 1),
        byte_source_memory(tiny_bert_vocabulary, sizeof tiny_bert_vocabulary - 1),
    };
    guest_import_request r = {.form = WIRE_SAFETENSORS,
                              .sources = {&files[0], &files[1], NULL, &files[2]}};
    tars_error err = {0};
    CHECK_INT(import(&r, &h, &err), TARS_OK);
    CHECK_STRING(err.message, "");
    CHECK(h.n_packed > length);
    r.sources[1] = NULL;
    CHECK_INT(import(&r, &h, &err), TARS_USAGE);
    CHECK(strstr(err.message, "config.json") != NULL);
}

typedef struct odd_source {
    const uint8_t *bytes;
    uint64_t fails_from; /* offset */
} odd_source;

static tars_status odd_read(void *user, uint64_t offset, void *buffer, size_t length,
                            tars_error *err) {
    const odd_source *s = user;
    if (offset + length > s->fails_from) {
        return error_set(err, TARS_IO, "the disk is broken");
    }
    memcpy(buffer, s->bytes + offset, length);
    return TARS_OK;
}

static void failures_end_an_import(void) {
    static heard h;
    size_t size;
    uint8_t *bytes = check_read_file("models/tiny.gguf", &size);
    odd_source odd = {bytes, size / 2};
    byte_source source = {&odd, size, odd_read};
    guest_import_request r = file_request(&source, bytes);
    tars_error err = {0};
    CHECK_INT(import(&r, &h, &err), TARS_IO);
    CHECK_STRING(err.message, "the disk is broken");
    odd.fails_from = size;
    h.full_at = 1 << 20;
    CHECK_INT(import(&r, &h, &err), TARS_DISK_FULL);
    h.full_at = 0;
    h.is_cancelled = true;
    CHECK_INT(import(&r, &h, &err), TARS_CANCELLED);
    h.is_cancelled = false;
    source.size_bytes = size / 3; /* cut */
    CHECK_INT(import(&r, &h, &err), TARS_MALFORMED);
    free(bytes);
}

/* ---- a hostile guest ------------------------------------------------------------------- */

#define FIVE_GIB (UINT64_C(5) << 30)

static tars_status read_far(void *user, uint64_t offset, void *buffer, size_t length,
                            tars_error *err) {
    (void)user;
    (void)err;
    CHECK(offset <= FIVE_GIB && length <= FIVE_GIB - offset);
    for (size_t i = 0; i < length; i++) {
        ((uint8_t *)buffer)[i] = (uint8_t)((offset + i) >> 28);
    }
    return TARS_OK;
}

typedef struct lie {
    const char *name;
    said frames[4];
    size_t n;
    tars_status expected;
} lie;

static void try_lies(const lie *lies, size_t n) {
    static heard h;
    static guest_import im;
    byte_source far = {NULL, FIVE_GIB, read_far};
    guest_import_request r = file_request(&far, NULL);
    memset(r.source_sha256, 7, sizeof r.source_sha256);
    for (size_t i = 0; i < n; i++) {
        guest_import_sink sink = sink_of(&h);
        guest_import_init(&im, &r, &sink);
        tars_error err = {0};
        tars_status status = guest_says(&im.client, lies[i].frames, lies[i].n, &err);
        if (status != lies[i].expected) {
            check_fail(__FILE__, __LINE__, "%s: status %d: %s", lies[i].name, (int)status,
                       err.message);
        }
        CHECK(status == TARS_OK || err.message[0] != '\0');
    }
}

#define READ(r) {WIRE_READ, &(r), sizeof(wire_read)}
#define PROGRESS(p) {WIRE_PROGRESS, &(p), sizeof(wire_progress)}
#define RESULT(r) {WIRE_RESULT, &(r), sizeof(wire_result)}

static void lies_about_reading_are_refused(void) {
    const wire_read good = {.offset = FIVE_GIB - 9, .length = 9};
    const wire_read beyond = {.offset = FIVE_GIB - 9, .length = 10};
    const wire_read after = {.offset = FIVE_GIB + 1, .length = 1};
    const wire_read wraps = {.offset = UINT64_MAX, .length = 2};
    const wire_read all = {.offset = 1, .length = UINT64_MAX};
    const wire_read nothing = {.offset = 4};
    const wire_read other = {.source = 1, .length = 1};
    const wire_read no_such = {.source = UINT32_MAX, .length = 1};
    const wire_read odd = {.length = 1, .reserved = 1};
    const wire_read much = {.length = FIVE_GIB};
    const lie lies[] = {
        {"within the source", {GREETING, READ(good)}, 2, TARS_OK},
        {"beyond the end", {GREETING, READ(beyond)}, 2, TARS_MALFORMED},
        {"after the end", {GREETING, READ(after)}, 2, TARS_MALFORMED},
        {"a range that wraps", {GREETING, READ(wraps)}, 2, TARS_MALFORMED},
        {"more than there is", {GREETING, READ(all)}, 2, TARS_MALFORMED},
        {"nothing", {GREETING, READ(nothing)}, 2, TARS_MALFORMED},
        {"a source that is not there", {GREETING, READ(other)}, 2, TARS_MALFORMED},
        {"a source that cannot be", {GREETING, READ(no_such)}, 2, TARS_MALFORMED},
        {"a reserved field", {GREETING, READ(odd)}, 2, TARS_MALFORMED},
        {"again before the answer", {GREETING, READ(much), READ(good)}, 3, TARS_MALFORMED},
        {"before the greeting", {READ(good)}, 1, TARS_MALFORMED},
        {"a token",
         {GREETING, {WIRE_TOKEN, &(wire_token){.id = 3}, sizeof(wire_token)}},
         2,
         TARS_MALFORMED},
        {"a text", {GREETING, {WIRE_TEXT, "a", 1}}, 2, TARS_MALFORMED},
    };
    try_lies(lies, sizeof lies / sizeof lies[0]);
}

static void lies_about_the_result_are_refused(void) {
    wire_result good = {.n_bytes = 3};
    memset(good.source_sha256, 7, sizeof good.source_sha256);
    wire_result short_one = good;
    short_one.n_bytes = 2;
    wire_result other_source = good;
    other_source.source_sha256[31] ^= 1;
    wire_result huge = good;
    huge.memory_bytes = GUEST_MEMORY_BYTES + 1;
    const wire_read much = {.length = FIVE_GIB};
    const wire_progress half = {5, 10};
    const wire_progress back = {4, 10};
    const wire_progress longer = {6, 11};
    const wire_progress over = {11, 10};
    const wire_progress endless = {1, UINT64_MAX};
    const said bytes = {WIRE_BYTES, "abc", 3};
    const wire_error cancelled = {.status = TARS_CANCELLED};
    const wire_error limit = {.status = TARS_LIMIT};
    const lie lies[] = {
        {"the truth", {GREETING, bytes, RESULT(good)}, 3, TARS_OK},
        {"bytes that did not come", {GREETING, RESULT(good)}, 2, TARS_MALFORMED},
        {"fewer bytes", {GREETING, bytes, RESULT(short_one)}, 3, TARS_MALFORMED},
        {"of another source", {GREETING, bytes, RESULT(other_source)}, 3, TARS_MALFORMED},
        {"more memory", {GREETING, bytes, RESULT(huge)}, 3, TARS_MALFORMED},
        {"in the middle of a read", {GREETING, READ(much), bytes, RESULT(good)}, 4, TARS_MALFORMED},
        {"after the end", {GREETING, bytes, RESULT(good), bytes}, 4, TARS_MALFORMED},
        {"progress", {GREETING, PROGRESS(half)}, 2, TARS_OK},
        {"no progress", {GREETING, PROGRESS(half), PROGRESS(half)}, 3, TARS_MALFORMED},
        {"progress backwards", {GREETING, PROGRESS(half), PROGRESS(back)}, 3, TARS_MALFORMED},
        {"progress of another whole",
         {GREETING, PROGRESS(half), PROGRESS(longer)},
         3,
         TARS_MALFORMED},
        {"progress beyond its end", {GREETING, PROGRESS(over)}, 2, TARS_MALFORMED},
        {"progress without an end", {GREETING, PROGRESS(endless)}, 2, TARS_MALFORMED},
        {"the user cancelled",
         {GREETING, {WIRE_ERROR, &cancelled, sizeof cancelled}},
         2,
         TARS_FAILED},
        {"a limit", {GREETING, {WIRE_ERROR, &limit, sizeof limit}}, 2, TARS_LIMIT},
    };
    try_lies(lies, sizeof lies / sizeof lies[0]);
}

/* A guest that reads for ever comes to an end, and gets the bytes it asked for until then. */
static void reading_for_ever_ends(void) {
    static wire_area area;
    static heard h;
    static guest_import im;
    static wire_message message;
    byte_source far = {NULL, FIVE_GIB, read_far};
    guest_import_request r = file_request(&far, NULL);
    guest_import_sink sink = sink_of(&h);
    guest_import_init(&im, &r, &sink);
    im.may_read = 100 * 9; /* of 40 GiB */
    wire_area_clear(&area);
    guest_client_connect(&im.client, &area, 0, 0, GUEST_MEMORY_BYTES);
    wire_port port = {.in = &area.to_guest, .out = &area.to_host, .wait = nobody};
    tars_error err = {0};
    CHECK_INT(wire_send(&port, WIRE_HELLO, &guest_hello, sizeof guest_hello, NULL, 0, &err),
              TARS_OK);
    CHECK_INT(guest_client_turn(&im.client, &err), TARS_OK);
    size_t n_reads = 0;
    tars_status status = TARS_OK;
    while (status == TARS_OK && n_reads < 1000) {
        wire_read read = {.offset = FIVE_GIB - 9, .length = 9};
        CHECK_INT(wire_send(&port, WIRE_READ, &read, sizeof read, NULL, 0, &err), TARS_OK);
        status = guest_client_turn(&im.client, &err);
        bool found = status == TARS_OK;
        do {
            CHECK_INT(wire_poll(&port, &message, &found, &err), TARS_OK);
        } while (found && message.kind != WIRE_BYTES);
        if (found) {
            CHECK_INT(message.size_bytes, 9);
            CHECK_INT(message.payload[8], 19);
            n_reads++;
        }
    }
    CHECK_INT(n_reads, 100);
    CHECK_INT(status, TARS_LIMIT);
}

/* ---- a hostile host -------------------------------------------------------------------- */

static tars_status guest_hears(const said *frames, size_t n) {
    static wire_area area;
    wire_area_clear(&area);
    guest_thread g = {.area = &area, .memory_bytes = 1 << 20, .host_is_gone = 1};
    wire_port port = {.in = &area.to_host, .out = &area.to_guest, .wait = nobody};
    tars_error err = {0};
    for (size_t i = 0; i < n; i++) {
        CHECK_INT(wire_send(&port, frames[i].kind, frames[i].payload, frames[i].size_bytes, NULL, 0,
                            &err),
                  TARS_OK);
    }
    guest_main(&g);
    return g.status;
}

static void bad_imports_are_refused_by_the_guest(void) {
    const wire_import good = {.form = WIRE_GGUF, .sources = 1, .size_bytes = {100}};
    wire_import form = good;
    form.form = 3;
    wire_import two = good;
    two.sources = 3;
    wire_import beyond = {.form = WIRE_SAFETENSORS, .sources = 1u << WIRE_MAX_SOURCES};
    const wire_data data = {.section = WIRE_PROMPT};
    uint8_t section[sizeof data + 4] = {0};
    memcpy(section, &data, sizeof data);
    static const uint8_t many[200];
    const said start = {WIRE_START, NULL, 0};
    const struct {
        said frames[5];
        size_t n;
        tars_status expected;
    } cases[] = {
        /* the host goes away: whole frames were understood */
        {{GREETING, {WIRE_IMPORT, &good, sizeof good}, start}, 3, TARS_UNAVAILABLE},
        {{GREETING, {WIRE_IMPORT, &form, sizeof form}}, 2, TARS_MALFORMED},
        {{GREETING, {WIRE_IMPORT, &two, sizeof two}}, 2, TARS_MALFORMED},
        {{GREETING, {WIRE_IMPORT, &beyond, sizeof beyond}}, 2, TARS_MALFORMED},
        {{GREETING, {WIRE_IMPORT, &good, sizeof good}, {WIRE_DATA, section, sizeof section}},
         3,
         TARS_MALFORMED},
        {{GREETING, {WIRE_IMPORT, &good, sizeof good}, start, {WIRE_BYTES, many, sizeof many}},
         4,
         TARS_UNAVAILABLE /* told as an error */},
        {{GREETING, {WIRE_BYTES, many, sizeof many}}, 2, TARS_MALFORMED},
        {{GREETING, {WIRE_REQUEST, &(wire_request){0}, sizeof(wire_request)}}, 2, TARS_MALFORMED},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        tars_status status = guest_hears(cases[i].frames, cases[i].n);
        if (status != cases[i].expected) {
            check_fail(__FILE__, __LINE__, "case %zu: status %d", i, (int)status);
        }
    }
}

static const check_test tests[] = {
    {"a file is packed as without the wire", a_file_is_packed_as_without_the_wire},
    {"a folder is packed", a_folder_is_packed},
    {"failures end an import", failures_end_an_import},
    {"lies about reading are refused", lies_about_reading_are_refused},
    {"lies about the result are refused", lies_about_the_result_are_refused},
    {"reading for ever ends", reading_for_ever_ends},
    {"bad imports are refused by the guest", bad_imports_are_refused_by_the_guest},
    {"tear down", tear_down},
};
CHECK_MAIN(tests)
