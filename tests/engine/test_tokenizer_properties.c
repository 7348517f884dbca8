/* What must hold for every text, vocabulary and blob: round trips, streaming, time, damage. */
#include "base/utf8.h"
#include "engine/tokenizer_fixture.h"

#include <time.h>

enum { N_TEXTS = 400, MAX_TEXT_BYTES = 400, N_MERGES = 600, N_BYTES = 256 };

static const char *const rules[] = {"gpt-2", "llama-bpe", "qwen2", "smollm"};

/* ---- texts ---- */

static size_t below(uint64_t *state, size_t limit) {
    return (size_t)(check_random(state) % limit);
}

/* A random character: mostly ASCII, some of every plane, never a surrogate. */
static uint32_t random_character(uint64_t *state) {
    static const uint32_t limits[] = {0x80, 0x80, 0x80, 0x250, 0x3000, 0x10000, 0x110000};
    static const char frequent[] = "  etaoinshrd'\n,.01";
    if (below(state, 3) == 0) {
        return (uint8_t)frequent[below(state, sizeof frequent - 1)];
    }
    uint32_t c;
    do {
        c = (uint32_t)below(state, limits[below(state, sizeof limits / sizeof limits[0])]);
    } while (c >= 0xD800 && c < 0xE000);
    return c;
}

static size_t random_text(uint64_t *state, char *out) {
    size_t wanted = below(state, below(state, 2) ? MAX_TEXT_BYTES - 4 : 24), n = 0;
    while (n < wanted) {
        n += utf8_encode(random_character(state), out + n);
    }
    return n;
}

static size_t random_bytes(uint64_t *state, char *out) {
    size_t n = below(state, MAX_TEXT_BYTES);
    for (size_t i = 0; i < n; i++) {
        out[i] = (char)check_random(state);
    }
    return n;
}

/* ---- a vocabulary of all bytes and random merges ---- */

static size_t letter_of(unsigned byte, char *out) {
    static uint16_t letters[N_BYTES];
    if (letters['!'] == 0) {
        uint16_t next = 0x100;
        for (unsigned b = 0; b < N_BYTES; b++) {
            bool prints = (b > 0x20 && b < 0x7F) || (b > 0xA0 && b != 0xAD);
            letters[b] = prints ? (uint16_t)b : next++;
        }
    }
    return utf8_encode(letters[byte], out);
}

static fixture make_bytes(const char *pre, uint64_t *state) {
    enum { TEXT_BYTES = 64 };
    fixture f = {0};
    uint32_t n = N_BYTES;
    f.tokens = calloc(N_BYTES + N_MERGES, sizeof *f.tokens);
    f.merges = calloc(N_MERGES, sizeof *f.merges);
    f.text = calloc(N_BYTES + 2 * N_MERGES, TEXT_BYTES);
    char *room = f.text;
    for (unsigned byte = 0; byte < N_BYTES; byte++, room += TEXT_BYTES) {
        f.tokens[byte] = (tokenizer_text){room, letter_of(byte, room)};
    }
    uint32_t n_merges = 0;
    while (n_merges < N_MERGES) {
        static const char frequent[] = " etaoinshrd\xC3\xE2\x80\x81";
        bool common = below(state, 2) == 0;
        tokenizer_text left =
            f.tokens[common ? (uint8_t)frequent[below(state, 15)] : below(state, n)];
        tokenizer_text right =
            f.tokens[common ? (uint8_t)frequent[below(state, 15)] : below(state, n)];
        if (left.length + right.length > 20) {
            continue;
        }
        int length = snprintf(room, TEXT_BYTES, "%.*s %.*s", (int)left.length, left.bytes,
                              (int)right.length, right.bytes);
        f.merges[n_merges++] = (tokenizer_text){room, (size_t)length};
        room += TEXT_BYTES;
        length = snprintf(room, TEXT_BYTES, "%.*s%.*s", (int)left.length, left.bytes,
                          (int)right.length, right.bytes);
        f.tokens[n++] = (tokenizer_text){room, (size_t)length};
        room += TEXT_BYTES;
    }
    tokenizer_vocabulary_init(&f.vocabulary, TOKENIZER_BPE, pre, n);
    f.vocabulary.tokens = f.tokens;
    f.vocabulary.merges = f.merges;
    f.vocabulary.n_merges = n_merges;
    tars_error err = {0};
    if (fixture_build(&f, &err) != TARS_OK) {
        check_fail(__FILE__, __LINE__, "%s", err.message);
        exit(1);
    }
    return f;
}

static void check_round_trip(fixture *f, const char *text, size_t length, unsigned encode_flags) {
    int32_t *ids;
    size_t count = fixture_encode(f, text, length, encode_flags, &ids);
    static char back[2 * MAX_TEXT_BYTES];
    size_t back_length = 0;
    tars_error err = {0};
    CHECK_INT(tokenizer_decode(&f->t, ids, count, 0, back, sizeof back, &back_length, &err),
              TARS_OK);
    CHECK_INT(back_length, length);
    if (back_length == length) {
        CHECK_BYTES(back, text, length);
    }
}

/* decode(encode(x)) = x for any bytes, with every rule. */
static void test_bpe_round_trip(void) {
    uint64_t state = 11;
    char text[MAX_TEXT_BYTES + 8];
    for (size_t r = 0; r < sizeof rules / sizeof rules[0]; r++) {
        fixture f = make_bytes(rules[r], &state);
        for (int i = 0; i < N_TEXTS; i++) {
            check_round_trip(&f, text, random_text(&state, text), TOKENIZER_STRICT);
            check_round_trip(&f, text, random_bytes(&state, text), TOKENIZER_STRICT);
        }
        fixture_free(&f);
    }
}

/* The same with a real vocabulary, which lacks some bytes: those that it cannot write are refused
 * by the strict encoding, all others come back. */
static void test_smollm2_round_trip(void) {
    uint64_t state = 12;
    char text[MAX_TEXT_BYTES + 8];
    fixture f = fixture_open("tokenizer/smollm2.vocab");
    size_t n_written = 0;
    for (int i = 0; i < N_TEXTS; i++) {
        size_t length = random_text(&state, text), count;
        static int32_t ids[MAX_TEXT_BYTES + 8];
        tars_error err = {0};
        tars_status status = tokenizer_encode(&f.t, text, length, TOKENIZER_STRICT, ids,
                                              sizeof ids / sizeof *ids, &count, &f.arena, &err);
        CHECK(status == TARS_OK || status == TARS_UNSUPPORTED);
        if (status == TARS_OK) {
            n_written++;
            check_round_trip(&f, text, length, 0);
        }
    }
    CHECK(n_written > N_TEXTS / 4);
    fixture_free(&f);
}

static bool contains(const char *text, size_t length, const char *part) {
    size_t n = strlen(part);
    for (size_t i = 0; i + n <= length; i++) {
        if (memcmp(text + i, part, n) == 0) {
            return true;
        }
    }
    return false;
}

/* SPM gives every text back in which no mark stands and no user-defined token, after which another
 * space is put. */
static void test_spm_round_trip(void) {
    uint64_t state = 13;
    char text[MAX_TEXT_BYTES + 8];
    fixture f = fixture_open("tokenizer/spm.vocab");
    for (int i = 0; i < N_TEXTS; i++) {
        size_t length = random_text(&state, text);
        if (!contains(text, length, "\n\n") && !contains(text, length, "\xE2\x96\x81")) {
            check_round_trip(&f, text, length, TOKENIZER_ADD_SPECIAL);
        }
        length = random_bytes(&state, text);
        if (!contains(text, length, "\n\n") && !contains(text, length, "\xE2\x96\x81")) {
            check_round_trip(&f, text, length, 0);
        }
    }
    fixture_free(&f);
}

/* WordPiece: what was written once comes back as the same ids; with the unknown tokens printed,
 * already the first time. */
static void test_wpm_stable(void) {
    uint64_t state = 14;
    char text[MAX_TEXT_BYTES + 8];
    fixture f = fixture_open_lines("tokenizer/minilm-vocab.txt");
    for (int i = 0; i < N_TEXTS; i++) {
        size_t length = random_text(&state, text);
        for (int shown = 0; shown < 2; shown++) {
            static int32_t first[2 * MAX_TEXT_BYTES];
            static char back[8 * MAX_TEXT_BYTES], again[8 * MAX_TEXT_BYTES];
            unsigned decode_flags = shown ? TOKENIZER_SHOW_SPECIAL : 0;
            unsigned encode_flags = shown ? TOKENIZER_PARSE_SPECIAL : 0;
            tars_error err = {0};
            int32_t *ids;
            size_t count = fixture_encode(&f, text, length, 0, &ids), n, back_length, again_length;
            memcpy(first, ids, count * sizeof *ids);
            CHECK_INT(tokenizer_decode(&f.t, first, count, decode_flags, back, sizeof back,
                                       &back_length, &err),
                      TARS_OK);
            n = fixture_encode(&f, back, back_length, encode_flags, &ids);
            if (shown) {
                CHECK_INT(n, count);
                CHECK_BYTES(ids, first, count * sizeof *ids);
            }
            CHECK_INT(tokenizer_decode(&f.t, ids, n, decode_flags, again, sizeof again,
                                       &again_length, &err),
                      TARS_OK);
            CHECK_INT(again_length, back_length);
            CHECK_BYTES(again, back, back_length);
        }
    }
    fixture_free(&f);
}

/* ---- streaming ---- */

typedef struct collector {
    char text[8 * MAX_TEXT_BYTES];
    size_t length;
} collector;

static bool collect(void *context, const char *bytes, size_t length) {
    collector *c = context;
    CHECK(length > 0 && utf8_valid(bytes, length, NULL));
    memcpy(c->text + c->length, bytes, length);
    c->length += length;
    return true;
}

static void stream(fixture *f, const int32_t *ids, size_t n, collector *c) {
    tokenizer_stream s;
    tokenizer_stream_init(&s, &f->t, 0);
    c->length = 0;
    for (size_t i = 0; i < n; i++) {
        CHECK(tokenizer_stream_push(&s, ids[i], collect, c));
        CHECK(s.n_pending <= TOKENIZER_STREAM_MAX_PENDING);
    }
    CHECK(tokenizer_stream_finish(&s, collect, c));
}

/* However the bytes are spread over tokens, the same characters come out, each in one piece. */
static void test_stream(void) {
    uint64_t state = 15;
    static collector merged, single;
    char text[MAX_TEXT_BYTES + 8];
    fixture f = make_bytes("gpt-2", &state);
    for (int i = 0; i < 4 * N_TEXTS; i++) {
        bool valid = i % 2 == 0;
        size_t length = valid ? random_text(&state, text) : random_bytes(&state, text);
        int32_t *ids, bytes[MAX_TEXT_BYTES + 8];
        size_t count = fixture_encode(&f, text, length, 0, &ids);
        stream(&f, ids, count, &merged);
        for (size_t k = 0; k < length; k++) {
            bytes[k] = (uint8_t)text[k];
        }
        stream(&f, bytes, length, &single);
        CHECK_INT(merged.length, single.length);
        CHECK_BYTES(merged.text, single.text, single.length);
        if (valid) {
            CHECK_INT(merged.length, length);
            CHECK_BYTES(merged.text, text, length);
        }
    }
    fixture_free(&f);
}

/* ---- room and time ---- */

/* Too little room gives the first ids and the number of all. */
static void test_capacity(void) {
    fixture f = fixture_open("tokenizer/smollm2.vocab");
    const char text[] = "Capacity is what there is room for.";
    int32_t all[64], some[64];
    size_t n, count;
    tars_error err = {0};
    CHECK_INT(tokenizer_encode(&f.t, text, sizeof text - 1, 0, all, 64, &n, &f.arena, &err),
              TARS_OK);
    for (size_t capacity = 0; capacity <= n; capacity++) {
        memset(some, 0xFF, sizeof some);
        tars_status status = tokenizer_encode(&f.t, text, sizeof text - 1, 0, some, capacity,
                                              &count, &f.arena, &err);
        CHECK_INT(status, capacity < n ? TARS_LIMIT : TARS_OK);
        CHECK_INT(count, n);
        CHECK_BYTES(some, all, capacity * sizeof *all);
        CHECK_INT(some[capacity], -1);
    }
    CHECK_INT(tokenizer_encode(&f.t, text, (size_t)TOKENIZER_MAX_TEXT_BYTES + 1, 0, NULL, 0, &count,
                               &f.arena, &err),
              TARS_LIMIT);
    CHECK(tokenizer_max_ids(&f.t, (size_t)TOKENIZER_MAX_TEXT_BYTES + 1) == SIZE_MAX);
    CHECK(tokenizer_scratch_bytes(&f.t, (size_t)TOKENIZER_MAX_TEXT_BYTES + 1) == SIZE_MAX);
    fixture_free(&f);
}

/* tokenizer_scratch_bytes is enough, and less is refused without harm. */
static void test_scratch(void) {
    static const char *const files[] = {"tokenizer/smollm2.vocab", "tokenizer/spm.vocab"};
    for (size_t i = 0; i < 2; i++) {
        fixture f = fixture_open(files[i]);
        char text[300];
        memset(text, 'x', sizeof text);
        text[0] = (char)0xFF;
        size_t enough = tokenizer_scratch_bytes(&f.t, sizeof text), n_refused = 0;
        for (size_t size = 0; size <= enough; size += size + 61 < enough ? 61 : 1) {
            void *memory = malloc(size + 1);
            arena scratch;
            arena_init(&scratch, memory, size);
            int32_t ids[2000];
            size_t count;
            tars_error err = {0};
            tars_status status =
                tokenizer_encode(&f.t, text, sizeof text, 0, ids, 2000, &count, &scratch, &err);
            CHECK(status == TARS_OK || status == TARS_OUT_OF_MEMORY);
            CHECK(size < enough || status == TARS_OK);
            CHECK_INT(arena_mark(&scratch), 0);
            n_refused += status != TARS_OK;
            free(memory);
        }
        CHECK(n_refused > 0);
        fixture_free(&f);
    }
}

/* Processor time for `length` bytes of one repeated pattern, in seconds. */
static double encode_seconds(fixture *f, const char *pattern, size_t length) {
    char *text = malloc(length);
    for (size_t i = 0; i < length; i++) {
        text[i] = pattern[i % strlen(pattern)];
    }
    size_t scratch_bytes = tokenizer_scratch_bytes(&f->t, length), count;
    void *memory = malloc(scratch_bytes);
    arena scratch;
    arena_init(&scratch, memory, scratch_bytes);
    tars_error err = {0};
    clock_t start = clock();
    tars_status status = tokenizer_encode(&f->t, text, length, 0, NULL, 0, &count, &scratch, &err);
    clock_t end = clock();
    /* no room for ids, but all were counted; WordPiece makes none of white space */
    CHECK_INT(status, count > 0 ? TARS_LIMIT : TARS_OK);
    CHECK(count > 0 || tokenizer_get_model(&f->t) == TOKENIZER_WPM);
    CHECK(count <= tokenizer_max_ids(&f->t, length));
    free(memory);
    free(text);
    return (double)(end - start) / CLOCKS_PER_SEC;
}

/* One word of a million characters. Quadratic time would be 1,024 times that of 32 KiB. */
static void test_long_words(void) {
    static const char *const patterns[] = {"a", "ab", " ", "\n", "\xC3\xA9", "'", "0", "{", "\xFF"};
    fixture models[] = {fixture_open("tokenizer/smollm2.vocab"),
                        fixture_open("tokenizer/spm.vocab"),
                        fixture_open_lines("tokenizer/minilm-vocab.txt")};
    for (size_t m = 0; m < 3; m++) {
        for (size_t p = 0; p < sizeof patterns / sizeof patterns[0]; p++) {
            double quick = encode_seconds(&models[m], patterns[p], (size_t)1 << 15);
            double slow = encode_seconds(&models[m], patterns[p], (size_t)1 << 20);
            if (slow > 200 * quick + 1.0) {
                check_fail(__FILE__, __LINE__, "model %zu, '%s': 32 KiB in %.3f s, 1 MiB in %.3f s",
                           m, patterns[p], quick, slow);
            }
        }
        fixture_free(&models[m]);
    }
}

/* ---- blobs ---- */

/* The same vocabulary gives the same bytes, whatever lay in the memory. */
static void test_deterministic(void) {
    fixture f = fixture_open("tokenizer/spm.vocab");
    size_t scratch_bytes, bytes = tokenizer_build_bytes(&f.vocabulary, &scratch_bytes);
    void *memory = malloc(bytes + scratch_bytes);
    memset(memory, 0xAB, bytes + scratch_bytes);
    arena a;
    arena_init(&a, memory, bytes + scratch_bytes);
    const void *blob;
    size_t size;
    tars_error err = {0};
    CHECK_INT(tokenizer_build(&f.vocabulary, &a, &a, &blob, &size, &err), TARS_OK);
    CHECK_INT(size, f.blob_bytes);
    CHECK_BYTES(blob, f.blob, size);
    /* position-independent: a copy elsewhere works after the first is gone */
    void *copy = malloc(size);
    memcpy(copy, blob, size);
    memset(memory, 0, bytes + scratch_bytes);
    CHECK_INT(tokenizer_open(copy, size, &f.t, &err), TARS_OK);
    CHECK_INT(tokenizer_find_special(&f.t, "<|user|>", 8), 3);
    free(copy);
    free(memory);
    fixture_free(&f);
}

static void use_damaged(fixture *f, const void *blob, size_t size, uint64_t *state) {
    tokenizer t;
    tars_error err = {0};
    tars_status status = tokenizer_open(blob, size, &t, &err);
    CHECK(status == TARS_OK || status == TARS_CORRUPT);
    if (status != TARS_OK) {
        CHECK(err.message[0] != '\0' && err.hint[0] != '\0');
        return;
    }
    char text[MAX_TEXT_BYTES + 8];
    static int32_t ids[8 * MAX_TEXT_BYTES];
    static char back[1 << 16];
    size_t length = random_text(state, text), count, back_length;
    status = tokenizer_encode(&t, text, length, 7u & (unsigned)check_random(state), ids,
                              sizeof ids / sizeof *ids, &count, &f->arena, &err);
    if (status == TARS_OK) {
        status = tokenizer_decode(&t, ids, count, TOKENIZER_SHOW_SPECIAL, back, sizeof back,
                                  &back_length, &err);
        CHECK(status == TARS_OK || status == TARS_LIMIT || status == TARS_MALFORMED);
    }
    tokenizer_is_end(&t, tokenizer_eos(&t));
    tokenizer_piece(&t, tokenizer_eot(&t));
}

/* Cuts and changed bytes are told or do no harm. */
static void test_damage(void) {
    uint64_t state = 16;
    fixture models[] = {make_bytes("smollm", &state), fixture_open("tokenizer/spm.vocab")};
    for (size_t m = 0; m < 2; m++) {
        fixture *f = &models[m];
        uint8_t *copy = malloc(f->blob_bytes);
        tokenizer t;
        tars_error err = {0};
        for (size_t size = 0; size < f->blob_bytes; size += size < 400 ? 1 : 997) {
            memcpy(copy, f->blob, size);
            CHECK_INT(tokenizer_open(copy, size, &t, &err), TARS_CORRUPT);
        }
        for (int i = 0; i < 4000; i++) {
            memcpy(copy, f->blob, f->blob_bytes);
            size_t limit = i % 2 ? f->blob_bytes : 264; /* every second one in the header */
            for (size_t k = below(&state, 8) + 1; k > 0; k--) {
                copy[below(&state, limit)] = (uint8_t)check_random(&state);
            }
            use_damaged(f, copy, f->blob_bytes, &state);
        }
        free(copy);
        fixture_free(f);
    }
}

static const check_test tests[] = {
    {"bpe_round_trip", test_bpe_round_trip},
    {"smollm2_round_trip", test_smollm2_round_trip},
    {"spm_round_trip", test_spm_round_trip},
    {"wpm_stable", test_wpm_stable},
    {"stream", test_stream},
    {"capacity", test_capacity},
    {"scratch", test_scratch},
    {"long_words", test_long_words},
    {"deterministic", test_deterministic},
    {"damage", test_damage},
};
CHECK_MAIN(tests)
