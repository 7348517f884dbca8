/* Each rule of the tokenizers on vocabularies small enough to follow by hand. */
#include "engine/tokenizer/split.h"
#include "engine/tokenizer/unicode.h"
#include "engine/tokenizer_fixture.h"

#define COUNT(array) ((uint32_t)(sizeof(array) / sizeof((array)[0])))

static void build(fixture *f) {
    tars_error err = {0};
    if (fixture_build(f, &err) != TARS_OK) {
        check_fail(__FILE__, __LINE__, "%s (%s)", err.message, err.where);
        exit(1);
    }
}

/* ---- words ---- */

/* Cuts the text and joins the words with '|'. */
static const char *words(tokenizer_split_rule rule, const char *text) {
    static char out[256];
    tokenizer_split split;
    tokenizer_split_init(&split, rule, text, strlen(text));
    size_t start, end, n = 0;
    while (tokenizer_split_next(&split, &start, &end)) {
        n += (size_t)snprintf(out + n, sizeof out - n, "%s%.*s", n ? "|" : "", (int)(end - start),
                              text + start);
    }
    out[n] = '\0';
    return out;
}

static void test_split_gpt2(void) {
    tokenizer_split_rule rule = TOKENIZER_SPLIT_GPT2;
    CHECK_STRING(words(rule, ""), "");
    CHECK_STRING(words(rule, "Hello world"), "Hello| world");
    CHECK_STRING(words(rule, "it's we'll 'S"), "it|'s| we|'ll| '|S");
    CHECK_STRING(words(rule, "a  b"), "a| | b");
    CHECK_STRING(words(rule, "a \n b"), "a| \n| b");
    CHECK_STRING(words(rule, "a\n\nb"), "a|\n|\n|b");
    CHECK_STRING(words(rule, "a  "), "a|  ");
    CHECK_STRING(words(rule, "x12345 6"), "x|12345| 6");
    CHECK_STRING(words(rule, " ...!"), " ...!");
    CHECK_STRING(words(rule, "\xC3\xA9t\xC3\xA9 \xE2\x82\xAC"), "\xC3\xA9t\xC3\xA9| \xE2\x82\xAC");
    CHECK_STRING(words(rule, "a\xFF"
                             "b"),
                 "a|\xFF|b");
}

static void test_split_llama3(void) {
    tokenizer_split_rule rule = TOKENIZER_SPLIT_LLAMA3;
    CHECK_STRING(words(rule, "it'S WE'LL"), "it|'S| WE|'LL");
    CHECK_STRING(words(rule, "x'\xC5\xBF"), "x|'\xC5\xBF"); /* long s */
    CHECK_STRING(words(rule, "(foo .bar"), "(foo| .|bar");
    CHECK_STRING(words(rule, "12345678"), "123|456|78");
    CHECK_STRING(words(rule, " 12"), " |12");
    CHECK_STRING(words(rule, "a;\n\nb"), "a|;\n\n|b");
    CHECK_STRING(words(rule, "a \n  \n  b"), "a| \n  \n| | b");
    CHECK_STRING(words(rule, "\tx"), "\tx");
    CHECK_STRING(words(rule, "a   "), "a|   ");
}

static void test_split_qwen2(void) {
    CHECK_STRING(words(TOKENIZER_SPLIT_QWEN2, "x 123\n"), "x| |1|2|3|\n");
    CHECK_STRING(words(TOKENIZER_SPLIT_QWEN2, "\xE2\x85\xA7\xC2\xBD"), "\xE2\x85\xA7|\xC2\xBD");
}

/* A number ends the text that the rule sees: white space before it stays together. */
static void test_split_smollm(void) {
    tokenizer_split_rule rule = TOKENIZER_SPLIT_SMOLLM;
    CHECK_STRING(words(rule, "a  1"), "a|  |1");
    CHECK_STRING(words(rule, "a  b"), "a| | b");
    CHECK_STRING(words(rule, "12 34"), "1|2| |3|4");
    CHECK_STRING(words(rule, "don't3's"), "don|'t|3|'s");
}

static void test_pre_names(void) {
    CHECK(tokenizer_pre_find("nothing") == NULL);
    CHECK(tokenizer_pre_find(NULL)->rule == TOKENIZER_SPLIT_GPT2);
    CHECK(tokenizer_pre_find("llama-bpe")->whole_words);
    CHECK(!tokenizer_pre_find("qwen2")->whole_words);
}

/* ---- byte-level BPE ---- */

static const char *const bpe_tokens[] = {"a",
                                         "b",
                                         "c",
                                         "\xC4\xA0" /* Ġ: space */,
                                         "ab",
                                         "abc",
                                         "\u0120ab",
                                         "bc",
                                         "<|end|>",
                                         "<s>",
                                         "</s>",
                                         "{{",
                                         "{{{",
                                         "zz",
                                         "\xC3\x83" /* Ã: byte 0xC3 */,
                                         "\xC2\xA9" /* ©: byte 0xA9 */};
static const int32_t bpe_types[] = {1, 1, 1, 1, 1, 1, 1, 1, 4, 3, 3, 4, 4, 1, 1, 1};
static const char *const bpe_merges[] = {"a b", "\xC4\xA0 ab", "ab c", "b c"};
enum { A, B, C, SPACE, AB, ABC, SPACE_AB, BC, END, BOS, EOS, BRACES2, BRACES3, ZZ, C3, A9 };

static fixture make_bpe(const char *pre) {
    fixture f = fixture_make(TOKENIZER_BPE, bpe_tokens, COUNT(bpe_tokens), bpe_types, NULL,
                             bpe_merges, COUNT(bpe_merges));
    f.vocabulary.pre = pre;
    f.vocabulary.bos = BOS;
    f.vocabulary.eos = EOS;
    return f;
}

static void test_bpe_merges(void) {
    fixture f = make_bpe("gpt-2");
    build(&f);
    EXPECT_IDS(&f, "abc", 0, ABC);
    EXPECT_IDS(&f, "bc", 0, BC);
    EXPECT_IDS(&f, "bcab", 0, BC, AB);
    EXPECT_IDS(&f, "ab ab", 0, AB, SPACE_AB);
    EXPECT_IDS(&f, " abc", 0, SPACE_AB, C); /* the better rank takes "ab" first */
    EXPECT_IDS(&f, "\xC3\xA9", 0, C3, A9);
    fixture_free(&f);
}

/* A byte of a valid text that has no token is dropped, or refused; an invalid one becomes U+FFFD,
 * which this vocabulary cannot write either. */
static void test_bpe_missing_bytes(void) {
    fixture f = make_bpe("gpt-2");
    build(&f);
    EXPECT_IDS(&f, "axb", 0, A, B);
    EXPECT_IDS(&f,
               "a\xFF"
               "b",
               0, A, B);
    int32_t ids[8];
    size_t count;
    tars_error err = {0};
    CHECK_INT(tokenizer_encode(&f.t, "axb", 3, TOKENIZER_STRICT, ids, 8, &count, &f.arena, &err),
              TARS_UNSUPPORTED);
    CHECK_STRING(err.message, "the model's vocabulary has no token for the byte 0x78");
    CHECK_STRING(err.where, "byte 1 of the text");
    fixture_free(&f);
}

/* "zz" is a token that no merge makes: only the llama-3 family takes it as a whole word. */
static void test_bpe_whole_words(void) {
    fixture f = make_bpe("gpt-2");
    build(&f);
    EXPECT_IDS(&f, "azz", 0, A);
    int32_t *ids;
    CHECK_INT(fixture_encode(&f, "zz", 2, 0, &ids), 0);
    fixture_free(&f);
    f = make_bpe("llama-bpe");
    build(&f);
    EXPECT_IDS(&f, "zz", 0, ZZ);
    EXPECT_IDS(&f, "bcab", 0, BC, AB);
    fixture_free(&f);
}

/* Merging goes through a text that is no token: b+c is not, but a+bc is. */
static void test_bpe_virtual_symbols(void) {
    const char *const tokens[] = {"a", "b", "c", "abc", "xy"};
    const char *const merges[] = {"b c", "a bc", "x y"};
    fixture f =
        fixture_make(TOKENIZER_BPE, tokens, COUNT(tokens), NULL, NULL, merges, COUNT(merges));
    build(&f);
    EXPECT_IDS(&f, "abc", 0, 3);
    EXPECT_IDS(&f, "cbc", 0, 2, 1, 2);
    EXPECT_IDS(&f, "xy", 0, 4); /* its letters are no tokens */
    EXPECT_IDS(&f, "axa", 0, 0, 0);
    fixture_free(&f);
}

static void test_special_tokens(void) {
    fixture f = make_bpe("gpt-2");
    f.vocabulary.add_bos = true;
    f.vocabulary.add_eos = true;
    build(&f);
    int32_t *ids;
    EXPECT_IDS(&f, "ab", TOKENIZER_ADD_SPECIAL, BOS, AB, EOS);
    EXPECT_IDS(&f, "", TOKENIZER_ADD_SPECIAL, BOS, EOS);
    CHECK_INT(fixture_encode(&f, "", 0, 0, &ids), 0);
    EXPECT_IDS(&f, "a<s>b", TOKENIZER_PARSE_SPECIAL, A, BOS, B);
    CHECK_INT(fixture_encode(&f, "<s>", 3, 0, &ids), 0); /* no letters for it */
    /* user-defined tokens always match, the longest first; <|end|> ends a generation and so is a
     * control token */
    EXPECT_IDS(&f, "a{{b", 0, A, BRACES2, B);
    EXPECT_IDS(&f, "{{{{{", 0, BRACES3, BRACES2);
    EXPECT_IDS(&f, "ab<|end|>", TOKENIZER_PARSE_SPECIAL, AB, END);
    EXPECT_IDS(&f, "<|end|>a", 0, A);
    CHECK_INT(tokenizer_get_type(&f.t, END), TOKENIZER_CONTROL);
    CHECK_INT(tokenizer_find_special(&f.t, "{{{", 3), BRACES3);
    CHECK_INT(tokenizer_find_special(&f.t, "{{{{", 4), -1);
    CHECK_INT(tokenizer_find_special(&f.t, "{", 1), -1);
    CHECK_INT(tokenizer_find_special(&f.t, "ab", 2), -1);
    CHECK_INT(tokenizer_find_special(&f.t, "", 0), -1);
    fixture_free(&f);
}

static void test_ids(void) {
    fixture f = make_bpe("gpt-2");
    f.vocabulary.pad = ZZ;
    build(&f);
    CHECK_INT(tokenizer_bos(&f.t), BOS);
    CHECK_INT(tokenizer_eos(&f.t), EOS);
    CHECK_INT(tokenizer_eot(&f.t), END); /* by its name */
    CHECK_INT(tokenizer_unk(&f.t), -1);
    CHECK_INT(tokenizer_pad(&f.t), ZZ);
    CHECK(tokenizer_is_end(&f.t, EOS));
    CHECK(tokenizer_is_end(&f.t, END));
    CHECK(!tokenizer_is_end(&f.t, BOS));
    CHECK(!tokenizer_is_end(&f.t, -1));
    CHECK(!tokenizer_is_end(&f.t, (int32_t)COUNT(bpe_tokens)));
    CHECK_INT(tokenizer_n_tokens(&f.t), COUNT(bpe_tokens));
    CHECK_INT(tokenizer_get_model(&f.t), TOKENIZER_BPE);
    CHECK_INT(tokenizer_get_type(&f.t, -1), 0);
    tokenizer_text piece = tokenizer_piece(&f.t, SPACE_AB);
    CHECK_INT(piece.length, 3);
    CHECK_BYTES(piece.bytes, " ab", 3);
    CHECK_INT(tokenizer_piece(&f.t, 1000).length, 0);
    fixture_free(&f);
}

/* ---- SentencePiece ---- */

static const char *const spm_tokens[] = {
    "<unk>",        "<s>",    "</s>",   "<0xC3>",
    "<0xA9>",       "<0xE2>", "<0x96>", "<0x81>",
    "\xE2\x96\x81", "a",      "b",      "ab",
    "\u2581a",      "ba",     "bab",    "\xE2\x96\x81\xE2\x96\x81",
    "<s>a",         "x y"};
static const int32_t spm_types[] = {2, 3, 3, 6, 6, 6, 6, 6, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1};
static const float spm_scores[] = {0, 0, 0, 0, 0, 0, 0, 0, -9, -8, -7, -2, -3, -1, -4, -5, -6, 0};
enum { U, S, E, XC3, XA9, XE2, X96, X81, MARK, SA, SB, SAB, MARK_A, SBA, BAB, MARK2 };

static fixture make_spm(bool prefix) {
    fixture f =
        fixture_make(TOKENIZER_SPM, spm_tokens, COUNT(spm_tokens), spm_types, spm_scores, NULL, 0);
    f.vocabulary.add_space_prefix = prefix;
    return f;
}

static void test_spm_merges(void) {
    fixture f = make_spm(false);
    build(&f);
    EXPECT_IDS(&f, "ab", 0, SAB);
    EXPECT_IDS(&f, "aba", 0, SA, SBA); /* -1 before -2 */
    EXPECT_IDS(&f, "baba", 0, SBA, SBA);
    EXPECT_IDS(&f, "bab", 0, BAB); /* ba, then bab */
    EXPECT_IDS(&f, " a", 0, MARK_A);
    EXPECT_IDS(&f, "  b", 0, MARK2, SB);
    EXPECT_IDS(&f, "\u2581a", 0, MARK_A); /* the mark in a text is a space, too */
    EXPECT_IDS(&f,
               "\xC3\xA9"
               "a",
               0, XC3, XA9, SA);         /* byte fallback */
    EXPECT_IDS(&f, "a\xC3", 0, SA, XC3); /* not UTF-8, but there are bytes */
    EXPECT_IDS(&f, "za", 0, U, SA);      /* no byte token for z */
    EXPECT_IDS(&f, "<s>a", TOKENIZER_PARSE_SPECIAL, S, SA);
    EXPECT_IDS(&f, "ab", TOKENIZER_ADD_SPECIAL, S, SAB);
    fixture_free(&f);
}

static void test_spm_prefix(void) {
    fixture f = make_spm(true);
    build(&f);
    int32_t *ids;
    EXPECT_IDS(&f, "ab", 0, MARK, SAB); /* -2 before -3 */
    EXPECT_IDS(&f, "aa", 0, MARK_A, SA);
    CHECK_INT(fixture_encode(&f, "", 0, 0, &ids), 0);
    EXPECT_IDS(&f, "b<s>a", TOKENIZER_PARSE_SPECIAL, MARK, SB, S, MARK_A);
    EXPECT_IDS(&f, "<s> b", TOKENIZER_PARSE_SPECIAL, S, MARK2, SB);
    fixture_free(&f);
}

/* The leftmost of equal scores goes first; without scores all are equal. */
static void test_spm_ties(void) {
    fixture f = make_spm(false);
    f.vocabulary.scores = NULL;
    build(&f);
    EXPECT_IDS(&f, "aba", 0, SAB, SA);
    fixture_free(&f);
    float scores[COUNT(spm_tokens)];
    memcpy(scores, spm_scores, sizeof scores);
    scores[SAB] = 0.0f;
    scores[SBA] = -0.0f;
    f = make_spm(false);
    f.vocabulary.scores = scores;
    build(&f);
    EXPECT_IDS(&f, "aba", 0, SAB, SA);
    fixture_free(&f);
}

static void test_spm_without_unknown(void) {
    fixture f = make_spm(false);
    f.vocabulary.unk = -1;
    build(&f);
    int32_t ids[8];
    size_t count;
    tars_error err = {0};
    CHECK_INT(tokenizer_encode(&f.t, "az", 2, 0, ids, 8, &count, &f.arena, &err), TARS_UNSUPPORTED);
    CHECK(strstr(err.message, "'z'") != NULL);
    CHECK_INT(count, 0);
    fixture_free(&f);
}

/* Without types the byte tokens are known by their spelling, the special ones by the ids. */
static void test_spm_without_types(void) {
    fixture f = make_spm(false);
    f.vocabulary.types = NULL;
    build(&f);
    CHECK_INT(tokenizer_get_type(&f.t, U), TOKENIZER_UNKNOWN);
    CHECK_INT(tokenizer_get_type(&f.t, S), TOKENIZER_CONTROL);
    CHECK_INT(tokenizer_get_type(&f.t, XC3), TOKENIZER_BYTE);
    EXPECT_IDS(&f, "\xC3\xA9", 0, XC3, XA9);
    fixture_free(&f);
}

/* ---- WordPiece ---- */

static const char *const wpm_tokens[] = {
    "[PAD]", "[UNK]",        "[CLS]", "[SEP]", "[MASK]", "un", "##aff", "##able", "!",
    "##a",   "\xE4\xB8\xAD", "cafe",  "##fe",  "ca",     "i",  "##x",   "un##"};
enum { WUNK = 1, CLS, SEP, MASK, UN, AFF, ABLE, BANG, CONT_A, ZHONG, CAFE, FE, CA, I, CONT_X };

static fixture make_wpm(bool lower, bool strip) {
    fixture f = fixture_make(TOKENIZER_WPM, wpm_tokens, COUNT(wpm_tokens), NULL, NULL, NULL, 0);
    f.vocabulary.lower_case = lower;
    f.vocabulary.strip_accents = strip;
    return f;
}

static void test_wpm_rules(void) {
    fixture f = make_wpm(true, true);
    build(&f);
    EXPECT_IDS(&f, "unaffable", 0, UN, AFF, ABLE);
    EXPECT_IDS(&f, "UnAffAble!", 0, UN, AFF, ABLE, BANG);
    EXPECT_IDS(&f, "unb", 0, WUNK); /* a rest without a piece makes the word unknown */
    EXPECT_IDS(&f, "un", TOKENIZER_ADD_SPECIAL, CLS, UN, SEP);
    EXPECT_IDS(&f, "", TOKENIZER_ADD_SPECIAL, CLS, SEP);
    EXPECT_IDS(&f, "u\xC2\xADn\x01", 0, UN); /* soft hyphen and controls are nothing */
    EXPECT_IDS(&f, "un\tun\xC2\xA0un\xE3\x80\x80un", 0, UN, UN, UN, UN);
    EXPECT_IDS(&f, "un\xE4\xB8\xADun", 0, UN, ZHONG, UN);
    EXPECT_IDS(&f, "Caf\xC3\xA9", 0, CAFE);  /* composed */
    EXPECT_IDS(&f, "cafe\xCC\x81", 0, CAFE); /* decomposed */
    EXPECT_IDS(&f, "\xC4\xB0", 0, I);        /* I with dot: the dot is an accent */
    EXPECT_IDS(&f, "un\xFFun", 0, WUNK);     /* an invalid byte vanishes: "unun" */
    EXPECT_IDS(&f, "u\xFFn", 0, UN);
    EXPECT_IDS(&f, "un[MASK]", TOKENIZER_PARSE_SPECIAL, UN, MASK);
    EXPECT_IDS(&f, "[MASK]", 0, WUNK, WUNK, WUNK);
    fixture_free(&f);
    f = make_wpm(false, false);
    build(&f);
    EXPECT_IDS(&f, "Un un", 0, WUNK, UN);
    EXPECT_IDS(&f, "caf\xC3\xA9", 0, WUNK);
    fixture_free(&f);
}

/* A word of 100 characters is cut into pieces, one of 101 is unknown. */
static void test_wpm_long_words(void) {
    fixture f = make_wpm(true, true);
    build(&f);
    char text[128];
    memset(text, 'a', sizeof text);
    text[0] = 'u';
    text[1] = 'n';
    int32_t *ids;
    CHECK_INT(fixture_encode(&f, text, 100, 0, &ids), 99);
    CHECK_INT(ids[98], CONT_A);
    CHECK_INT(fixture_encode(&f, text, 101, 0, &ids), 1);
    CHECK_INT(ids[0], WUNK);
    fixture_free(&f);
}

/* ---- back to text ---- */

static const char *decoded(fixture *f, const int32_t *ids, size_t n, unsigned flags) {
    static char text[256];
    size_t length = 0;
    tars_error err = {0};
    CHECK_INT(tokenizer_decode(&f->t, ids, n, flags, text, sizeof text - 1, &length, &err),
              TARS_OK);
    text[length] = '\0';
    return text;
}

#define IDS(...) (const int32_t[]){__VA_ARGS__}, sizeof((const int32_t[]){__VA_ARGS__}) / 4

static void test_decode(void) {
    fixture f = make_bpe("gpt-2");
    build(&f);
    CHECK_STRING(decoded(&f, IDS(BOS, SPACE_AB, C, EOS), 0), " abc");
    CHECK_STRING(decoded(&f, IDS(BOS, SPACE_AB, BRACES2, EOS), TOKENIZER_SHOW_SPECIAL),
                 "<s> ab{{</s>");
    char text[4];
    size_t length;
    tars_error err = {0};
    CHECK_INT(tokenizer_decode(&f.t, IDS(ABC, ABC), 0, text, sizeof text, &length, &err),
              TARS_LIMIT);
    CHECK_INT(length, 6);
    CHECK_BYTES(text, "abca", 4);
    CHECK_INT(tokenizer_decode(&f.t, IDS(A, 99), 0, text, sizeof text, &length, &err),
              TARS_MALFORMED);
    CHECK_STRING(err.message, "99 is no token id; the vocabulary has ids 0 to 15");
    CHECK_STRING(err.where, "id number 1");
    fixture_free(&f);
    f = make_spm(true);
    build(&f);
    CHECK_STRING(decoded(&f, IDS(S, MARK_A, MARK_A), 0), "a a");
    CHECK_STRING(decoded(&f, IDS(MARK_A, XC3, XA9), TOKENIZER_CONTINUE), " a\xC3\xA9");
    CHECK_STRING(decoded(&f, IDS(S, MARK_A), TOKENIZER_SHOW_SPECIAL), "<s> a");
    fixture_free(&f);
    f = make_wpm(true, true);
    build(&f);
    CHECK_STRING(decoded(&f, IDS(CLS, UN, AFF, ABLE, BANG, CA, SEP), 0), "unaffable! ca");
    fixture_free(&f);
}

/* Collects a stream's text and checks that each call brings whole characters. */
typedef struct collector {
    char text[256];
    size_t length, n_calls, stop_after;
} collector;

static bool collect(void *context, const char *bytes, size_t length) {
    collector *c = context;
    if (c->stop_after != 0 && c->n_calls == c->stop_after) {
        return false;
    }
    memcpy(c->text + c->length, bytes, length);
    c->length += length;
    c->text[c->length] = '\0';
    c->n_calls++;
    return true;
}

static const char *streamed(fixture *f, const int32_t *ids, size_t n, collector *c) {
    tokenizer_stream stream;
    tokenizer_stream_init(&stream, &f->t, 0);
    *c = (collector){.n_calls = 0};
    for (size_t i = 0; i < n; i++) {
        CHECK(tokenizer_stream_push(&stream, ids[i], collect, c));
    }
    CHECK(tokenizer_stream_finish(&stream, collect, c));
    return c->text;
}

static void test_stream(void) {
    fixture f = make_spm(true);
    build(&f);
    collector c;
    CHECK_STRING(streamed(&f, IDS(S, MARK_A, XC3, XA9, SB), &c), "a\xC3\xA9"
                                                                 "b");
    CHECK_INT(c.n_calls, 3); /* a, é, b */
    CHECK_STRING(streamed(&f, IDS(XE2, X96, X81), &c), "\xE2\x96\x81");
    CHECK_INT(c.n_calls, 1);
    CHECK_STRING(streamed(&f, IDS(XE2, X96, SA), &c), "\xEF\xBF\xBD"
                                                      "a");
    CHECK_STRING(streamed(&f, IDS(X96, XE2), &c), "\xEF\xBF\xBD\xEF\xBF\xBD");
    CHECK_STRING(streamed(&f, IDS(XC3, XC3, XA9), &c), "\xEF\xBF\xBD\xC3\xA9");
    tokenizer_stream stream;
    tokenizer_stream_init(&stream, &f.t, 0);
    c = (collector){.stop_after = 1};
    CHECK(tokenizer_stream_push(&stream, SA, collect, &c));
    CHECK(!tokenizer_stream_push(&stream, SB, collect, &c));
    CHECK(!tokenizer_stream_push(&stream, 999, collect, &c));
    CHECK(!tokenizer_stream_push(&stream, -1, collect, &c));
    fixture_free(&f);
}

/* ---- characters ---- */

static void test_unicode(void) {
    uint32_t out[4];
    CHECK_STRING(unicode_version, "15.1.0");
    CHECK_STRING(unicode_category('A'), "Lu");
    CHECK_STRING(unicode_category(0x378), "Cn");
    CHECK_STRING(unicode_category(0xAC00), "Lo");
    CHECK_STRING(unicode_category(0x110000), "Cn");
    CHECK_STRING(unicode_category(UINT32_MAX), "Cn");
    CHECK_INT(unicode_get_flags(0x2028), UNICODE_WHITE_SPACE);
    CHECK_INT(unicode_get_flags(0x85), UNICODE_WHITE_SPACE | UNICODE_CONTROL);
    CHECK_INT(unicode_get_flags(0xB2), UNICODE_NUMBER);
    CHECK_INT(unicode_get_flags(0x301), UNICODE_ACCENT);
    CHECK_INT(unicode_get_flags(0x2CEB0), UNICODE_LETTER);
    CHECK_INT(unicode_get_flags(0x2EBF0), UNICODE_LETTER); /* new in 15.1 */
    CHECK_INT(unicode_combining_class(0x301), 230);
    CHECK_INT(unicode_lower(0x3A3, out), 1);
    CHECK_INT(out[0], 0x3C3);
    CHECK_INT(unicode_lower(0x130, out), 2);
    CHECK_INT(out[1], 0x307);
    CHECK_INT(unicode_decompose(0x1F82, out), 4);
    CHECK_INT(out[0], 0x3B1);
    CHECK_INT(unicode_decompose(0xD4DB, out), 3); /* Hangul PWILH */
    CHECK_INT(out[0], 0x1111);
    CHECK_INT(out[1], 0x1171);
    CHECK_INT(out[2], 0x11B6);
    CHECK_INT(unicode_decompose(0xAC00, out), 2);
    CHECK_INT(unicode_decompose('x', out), 1);
    uint32_t n_decomposing = 0;
    for (uint32_t c = 0; c <= 0x10FFFF; c++) {
        size_t n = unicode_decompose(c, out);
        n_decomposing += n > 1 || out[0] != c;
        CHECK(n >= 1 && n <= 4);
        for (size_t i = 0; i < n; i++) { /* complete: no part decomposes further */
            uint32_t parts[4];
            CHECK(unicode_decompose(out[i], parts) == 1 && parts[0] == out[i]);
        }
    }
    CHECK_INT(n_decomposing, 2061 + 11172);
}

static const check_test tests[] = {
    {"split_gpt2", test_split_gpt2},
    {"split_llama3", test_split_llama3},
    {"split_qwen2", test_split_qwen2},
    {"split_smollm", test_split_smollm},
    {"pre_names", test_pre_names},
    {"bpe_merges", test_bpe_merges},
    {"bpe_missing_bytes", test_bpe_missing_bytes},
    {"bpe_whole_words", test_bpe_whole_words},
    {"bpe_virtual_symbols", test_bpe_virtual_symbols},
    {"special_tokens", test_special_tokens},
    {"ids", test_ids},
    {"spm_merges", test_spm_merges},
    {"spm_prefix", test_spm_prefix},
    {"spm_ties", test_spm_ties},
    {"spm_without_unknown", test_spm_without_unknown},
    {"spm_without_types", test_spm_without_types},
    {"wpm_rules", test_wpm_rules},
    {"wpm_long_words", test_wpm_long_words},
    {"decode", test_decode},
    {"stream", test_stream},
    {"unicode", test_unicode},
};
CHECK_MAIN(tests)
