/* What the compiler of vocabularies refuses, and what it makes of odd but possible ones. */
#include "engine/tokenizer_fixture.h"

#define COUNT(array) ((uint32_t)(sizeof(array) / sizeof((array)[0])))

/* Builds, expects the status and that the message, hint or place contains the text. */
static void expect(int line, fixture *f, tars_status status, const char *text) {
    tars_error err = {0};
    tars_status found = fixture_build(f, &err);
    if (found != status) {
        check_fail(__FILE__, line, "status %s, expected %s: %s", tars_status_code(found),
                   tars_status_code(status), err.message);
    } else if (!strstr(err.message, text) && !strstr(err.hint, text) && !strstr(err.where, text)) {
        check_fail(__FILE__, line, "'%s' (%s; %s) does not say '%s'", err.message, err.hint,
                   err.where, text);
    }
    fixture_free(f);
}

#define EXPECT(f, status, text) expect(__LINE__, f, status, text)

static const char *const spm[] = {"<unk>", "<s>", "</s>", "<0x0A>", "a", "b"};
static int32_t spm_types[] = {2, 3, 3, 6, 1, 1};
static float spm_scores[] = {0, -1, -2, -3, -4, -5};

static fixture make_spm(void) {
    return fixture_make(TOKENIZER_SPM, spm, COUNT(spm), spm_types, spm_scores, NULL, 0);
}

static void test_accepts_the_base(void) {
    fixture f = make_spm();
    EXPECT(&f, TARS_OK, "");
}

static void test_empty_vocabulary(void) {
    for (int model = TOKENIZER_BPE; model <= TOKENIZER_WPM; model++) {
        fixture f = fixture_make((tokenizer_model)model, spm, 0, NULL, NULL, NULL, 0);
        EXPECT(&f, TARS_MALFORMED, "no tokens");
    }
}

static void test_token_types(void) {
    static const int32_t bad[] = {0, 7, 77, -1, INT32_MIN, INT32_MAX};
    for (size_t i = 0; i < COUNT(bad); i++) {
        int32_t types[] = {2, 3, 3, 6, 1, bad[i]};
        fixture f = make_spm();
        f.vocabulary.types = types;
        EXPECT(&f, TARS_MALFORMED, "token 5 has the type");
    }
}

static void test_byte_tokens(void) {
    static const char *const bad[] = {"<0x-1>", "<0x100>", "<0x>",   "",       "<0",   "<0x1G>",
                                      "0x0A",   "<0x0A",   "<0X0A>", "<0x 1>", "<0x1>"};
    for (size_t i = 0; i < COUNT(bad); i++) {
        const char *tokens[] = {"<unk>", "<s>", "</s>", bad[i], "a", "b"};
        fixture f =
            fixture_make(TOKENIZER_SPM, tokens, COUNT(tokens), spm_types, spm_scores, NULL, 0);
        EXPECT(&f, TARS_MALFORMED, "expected <0x00> to <0xFF>");
        int32_t types[] = {1, 1, 1, 6, 1, 1};
        const char *merges[] = {"a b"};
        f = fixture_make(TOKENIZER_BPE, tokens, COUNT(tokens), types, NULL, merges, 1);
        EXPECT(&f, TARS_MALFORMED, "byte token 3");
    }
}

/* Two tokens for one byte: the first is used. */
static void test_byte_token_twice(void) {
    const char *tokens[] = {"<unk>", "<s>", "</s>", "<0x0A>", "<0x0a>", "b"};
    int32_t types[] = {2, 3, 3, 6, 6, 1};
    fixture f = fixture_make(TOKENIZER_SPM, tokens, COUNT(tokens), types, spm_scores, NULL, 0);
    f.vocabulary.add_space_prefix = false;
    tars_error err = {0};
    CHECK_INT(fixture_build(&f, &err), TARS_OK);
    EXPECT_IDS(&f, "\nb", 0, 3, 5);
    fixture_free(&f);
}

static void test_scores(void) {
    float scores[COUNT(spm)];
    memcpy(scores, spm_scores, sizeof scores);
    memset(&scores[4], 0xFF, sizeof scores[4]); /* a NaN */
    fixture f = make_spm();
    f.vocabulary.scores = scores;
    EXPECT(&f, TARS_MALFORMED, "token 4 is not a number");
    const uint32_t infinity = 0xFF800000u;
    memcpy(&scores[4], &infinity, sizeof infinity);
    f = make_spm();
    f.vocabulary.scores = scores;
    EXPECT(&f, TARS_OK, "");
}

static void test_ids(void) {
    static const int64_t bad[] = {6, 4000, 4294967295, INT64_MAX, -2, INT64_MIN};
    for (size_t i = 0; i < COUNT(bad); i++) {
        fixture f = make_spm();
        f.vocabulary.bos = bad[i];
        EXPECT(&f, TARS_MALFORMED, "tokenizer.ggml.bos_token_id");
        f = make_spm();
        f.vocabulary.unk = bad[i];
        EXPECT(&f, TARS_MALFORMED, "ids 0 to 5");
    }
}

/* Tokens that no text can match: empty, not UTF-8, twice the same. They must do no harm. */
static void test_odd_tokens(void) {
    const char *tokens[] = {"<unk>", "", "\xFF\xFE", "a", "a", "b"};
    int32_t types[] = {2, 1, 1, 1, 1, 1};
    for (int model = TOKENIZER_BPE; model <= TOKENIZER_WPM; model++) {
        const char *merges[] = {"a b"};
        fixture f = fixture_make((tokenizer_model)model, tokens, COUNT(tokens), types, NULL, merges,
                                 model == TOKENIZER_BPE ? 1 : 0);
        f.vocabulary.unk = 0;
        f.vocabulary.add_space_prefix = false;
        tars_error err = {0};
        CHECK_INT(fixture_build(&f, &err), TARS_OK);
        if (model != TOKENIZER_WPM) {
            EXPECT_IDS(&f, "aba", 0, 3, 5, 3); /* the first of equals */
        }
        int32_t *ids;
        CHECK(fixture_encode(&f, "\xFF\xFE", 2, 0, &ids) <= 2);
        fixture_free(&f);
    }
}

static void test_merges(void) {
    static const struct {
        const char *merge;
        const char *says;
    } bad[] = {{"", "is empty"},
               {" b", "has an empty side"},
               {" ", "has an empty side"},
               {"a ", "has an empty side"},
               {"ab", "has one side only"}};
    const char *tokens[] = {"a", "b", "ab"};
    for (size_t i = 0; i < COUNT(bad); i++) {
        const char *merges[] = {"a b", bad[i].merge};
        fixture f = fixture_make(TOKENIZER_BPE, tokens, COUNT(tokens), NULL, NULL, merges, 2);
        EXPECT(&f, TARS_MALFORMED, bad[i].says);
        f = fixture_make(TOKENIZER_BPE, tokens, COUNT(tokens), NULL, NULL, merges, 2);
        EXPECT(&f, TARS_MALFORMED, "tokenizer.ggml.merges, element 1");
    }
    fixture f = fixture_make(TOKENIZER_BPE, tokens, COUNT(tokens), NULL, NULL, NULL, 0);
    EXPECT(&f, TARS_MALFORMED, "without merges");
    const char *three[] = {"a b c"}; /* "a" and "b c", which no text reaches */
    f = fixture_make(TOKENIZER_BPE, tokens, COUNT(tokens), NULL, NULL, three, 1);
    tars_error err = {0};
    CHECK_INT(fixture_build(&f, &err), TARS_OK);
    EXPECT_IDS(&f, "ab", 0, 0, 1);
    fixture_free(&f);
}

static void test_pre_tokenizer(void) {
    const char *tokens[] = {"a", "b", "ab"};
    const char *merges[] = {"a b"};
    fixture f = fixture_make(TOKENIZER_BPE, tokens, COUNT(tokens), NULL, NULL, merges, 1);
    f.vocabulary.pre = "made-up";
    EXPECT(&f, TARS_UNSUPPORTED, "'made-up'");
    f = fixture_make(TOKENIZER_BPE, tokens, COUNT(tokens), NULL, NULL, merges, 1);
    f.vocabulary.pre = "made-up";
    EXPECT(&f, TARS_UNSUPPORTED, "gpt-2, default, phi-2, olmo, llama-bpe");
}

static void test_wordpiece_unknown(void) {
    const char *tokens[] = {"a", "##b"};
    fixture f = fixture_make(TOKENIZER_WPM, tokens, COUNT(tokens), NULL, NULL, NULL, 0);
    EXPECT(&f, TARS_MALFORMED, "needs an unknown token");
}

static void test_limits(void) {
    size_t long_bytes = TOKENIZER_MAX_TOKEN_BYTES + 1;
    char *text = malloc(long_bytes + 1);
    memset(text, 'x', long_bytes);
    text[long_bytes] = '\0';
    const char *tokens[] = {"<unk>", "[UNK]", text};
    int32_t types[] = {2, 3, 1};
    fixture f = fixture_make(TOKENIZER_WPM, tokens, COUNT(tokens), types, NULL, NULL, 0);
    EXPECT(&f, TARS_LIMIT, "token 2");
    text[long_bytes - 1] = '\0';
    f = fixture_make(TOKENIZER_WPM, tokens, COUNT(tokens), types, NULL, NULL, 0);
    EXPECT(&f, TARS_OK, "");
    text[TOKENIZER_MAX_SPM_PIECE_BYTES + 1] = '\0';
    f = fixture_make(TOKENIZER_SPM, tokens, COUNT(tokens), types, NULL, NULL, 0);
    EXPECT(&f, TARS_LIMIT, "SentencePiece token of 1025 bytes");
    types[2] = TOKENIZER_USER_DEFINED;
    text[TOKENIZER_MAX_SPECIAL_BYTES + 1] = '\0';
    f = fixture_make(TOKENIZER_SPM, tokens, COUNT(tokens), types, NULL, NULL, 0);
    EXPECT(&f, TARS_LIMIT, "special token has 513 bytes");
    f = make_spm();
    f.vocabulary.n_tokens = TOKENIZER_MAX_TOKENS + 1; /* refused before a token is read */
    EXPECT(&f, TARS_LIMIT, "at most 16777216");
    free(text);
}

/* Every size of the arenas: no overrun, a clean refusal until all fits. */
static void test_small_arenas(void) {
    const char *tokens[] = {"a", "b", "ab", "c"};
    const char *merges[] = {"a b", "ab c"};
    fixture f = fixture_make(TOKENIZER_BPE, tokens, COUNT(tokens), NULL, NULL, merges, 2);
    size_t scratch_bytes, bytes = tokenizer_build_bytes(&f.vocabulary, &scratch_bytes);
    for (int which = 0; which < 2; which++) {
        size_t limit = which ? scratch_bytes : bytes;
        size_t n_refused = 0;
        for (size_t size = 0; size <= limit; size += size + 64 < limit ? 64 : 1) {
            void *first = malloc(which ? bytes : size + 1), *second = malloc(limit + scratch_bytes);
            arena memory, scratch;
            arena_init(&memory, first, which ? bytes : size);
            arena_init(&scratch, second, which ? size : scratch_bytes);
            const void *blob;
            size_t blob_bytes;
            tars_error err = {0};
            tars_status status =
                tokenizer_build(&f.vocabulary, &scratch, &memory, &blob, &blob_bytes, &err);
            CHECK(status == TARS_OUT_OF_MEMORY || (status == TARS_OK && blob));
            CHECK(status == TARS_OK || (!blob && arena_mark(&memory) == 0));
            CHECK(size < limit || status == TARS_OK);
            n_refused += status != TARS_OK;
            free(first);
            free(second);
        }
        CHECK(n_refused > 0);
    }
    fixture_free(&f);
}

/* One arena for both: the blob is what stays. */
static void test_one_arena(void) {
    fixture f = fixture_open("tokenizer/spm.vocab");
    size_t scratch_bytes, bytes = tokenizer_build_bytes(&f.vocabulary, &scratch_bytes);
    void *memory = malloc(bytes + scratch_bytes);
    arena a;
    arena_init(&a, memory, bytes + scratch_bytes);
    const void *blob;
    size_t size;
    tars_error err = {0};
    CHECK_INT(tokenizer_build(&f.vocabulary, &a, &a, &blob, &size, &err), TARS_OK);
    CHECK_INT(size, f.blob_bytes);
    CHECK_BYTES(blob, f.blob, size);
    CHECK((const uint8_t *)blob + size == a.base + arena_mark(&a));
    free(memory);
    fixture_free(&f);
}

static const check_test tests[] = {
    {"accepts_the_base", test_accepts_the_base},
    {"empty_vocabulary", test_empty_vocabulary},
    {"token_types", test_token_types},
    {"byte_tokens", test_byte_tokens},
    {"byte_token_twice", test_byte_token_twice},
    {"scores", test_scores},
    {"ids", test_ids},
    {"odd_tokens", test_odd_tokens},
    {"merges", test_merges},
    {"pre_tokenizer", test_pre_tokenizer},
    {"wordpiece_unknown", test_wordpiece_unknown},
    {"limits", test_limits},
    {"small_arenas", test_small_arenas},
    {"one_arena", test_one_arena},
};
CHECK_MAIN(tests)
