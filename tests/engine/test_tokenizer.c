/* Token ids of real vocabularies against those of reference implementations. */
#include "base/json.h"
#include "engine/tokenizer/split.h"
#include "engine/tokenizer_fixture.h"

enum { MINILM_MAX_IDS = 256 /* the reference cut its texts there */ };

static json_value *read_json(const char *path, void **memory) {
    size_t size;
    char *text = check_read_file(path, &size);
    size_t room = size * 64 + 65536;
    *memory = malloc(room);
    arena a;
    arena_init(&a, *memory, room);
    json_value *value = NULL;
    tars_error err = {0};
    if (json_parse(text, size, NULL, &a, &value, &err) != TARS_OK) {
        check_fail(__FILE__, __LINE__, "%s: %s (%s)", path, err.message, err.where);
        exit(1);
    }
    free(text);
    return value;
}

static size_t read_integers(const json_value *array, int32_t *out) {
    size_t n = 0;
    for (const json_value *item = array->first; item; item = item->next) {
        out[n++] = (int32_t)item->integer;
    }
    return n;
}

/* An item that was cut to max_ids, so that its last id stayed. */
static void check_cut_item(fixture *f, const json_value *text, const int32_t *ids, size_t max_ids) {
    int32_t *found;
    size_t count =
        fixture_encode(f, text->string, text->string_length, TOKENIZER_ADD_SPECIAL, &found);
    CHECK(count > max_ids);
    CHECK_BYTES(found, ids, (max_ids - 1) * sizeof *ids);
    CHECK_INT(found[count - 1], ids[max_ids - 1]);
}

/* Items {"text", "ids", "parse_special"?}; returns how many. */
static size_t check_items(fixture *f, const json_value *document, size_t max_ids) {
    size_t n = 0;
    for (const json_value *item = json_member(document, "items")->first; item; item = item->next) {
        const json_value *text = json_member(item, "text");
        static int32_t ids[FIXTURE_MAX_IDS];
        size_t count = read_integers(json_member(item, "ids"), ids);
        unsigned flags = TOKENIZER_ADD_SPECIAL;
        if (json_bool_or(json_member(item, "parse_special"), false)) {
            flags |= TOKENIZER_PARSE_SPECIAL;
        }
        if (max_ids != 0 && count == max_ids) {
            check_cut_item(f, text, ids, max_ids);
        } else {
            fixture_expect(__FILE__, __LINE__, f, text->string, text->string_length, flags, ids,
                           count);
        }
        n++;
    }
    return n;
}

static void check_file(fixture *f, const char *path, size_t n_expected, size_t max_ids) {
    void *memory;
    json_value *document = read_json(path, &memory);
    CHECK_INT(check_items(f, document, max_ids), n_expected);
    free(memory);
    fixture_free(f);
}

static void test_smollm2_golden(void) {
    fixture f = fixture_open("tokenizer/smollm2.vocab");
    check_file(&f, "tokenizer/smollm2-tokens.json", 50, 0);
}

static void test_smollm2_cases(void) {
    fixture f = fixture_open("tokenizer/smollm2.vocab");
    check_file(&f, "tokenizer/smollm2-cases.json", 250, 0);
}

static void test_spm_cases(void) {
    fixture f = fixture_open("tokenizer/spm.vocab");
    check_file(&f, "tokenizer/spm-cases.json", 250, 0);
}

static void test_minilm_golden(void) {
    fixture f = fixture_open_lines("tokenizer/minilm-vocab.txt");
    check_file(&f, "tokenizer/minilm-ids.json", 10, MINILM_MAX_IDS);
}

static void test_minilm_cases(void) {
    fixture f = fixture_open_lines("tokenizer/minilm-vocab.txt");
    check_file(&f, "tokenizer/minilm-cases.json", 250, 0);
}

/* The same vocabulary written as GGUF has it: "▁word", "ing", control tokens by type. */
static void test_minilm_gguf_form(void) {
    fixture plain = fixture_open_lines("tokenizer/minilm-vocab.txt");
    fixture f = {0};
    uint32_t n = plain.vocabulary.n_tokens;
    f.tokens = calloc(n, sizeof *f.tokens);
    f.types = calloc(n, sizeof *f.types);
    f.text = calloc(n, 64);
    for (uint32_t i = 0; i < n; i++) {
        tokenizer_text token = plain.tokens[i];
        char *text = f.text + 64 * (size_t)i;
        bool special =
            token.bytes[0] == '[' && token.bytes[token.length - 1] == ']' && token.length > 2;
        bool goes_on = token.length > 2 && memcmp(token.bytes, "##", 2) == 0;
        snprintf(text, 64, "%s%.*s", special || goes_on ? "" : "\xE2\x96\x81",
                 (int)token.length - (goes_on ? 2 : 0), token.bytes + (goes_on ? 2 : 0));
        f.tokens[i] = (tokenizer_text){text, strlen(text)};
        f.types[i] = special ? TOKENIZER_CONTROL : TOKENIZER_NORMAL;
    }
    tokenizer_vocabulary_init(&f.vocabulary, TOKENIZER_WPM, NULL, n);
    f.vocabulary.tokens = f.tokens;
    f.vocabulary.types = f.types;
    f.vocabulary.bos = 101;
    f.vocabulary.sep = 102;
    f.vocabulary.unk = 100;
    tars_error err = {0};
    CHECK_INT(fixture_build(&f, &err), TARS_OK);
    check_file(&f, "tokenizer/minilm-cases.json", 250, 0);
    fixture_free(&plain);
}

/* Words of the models' regular expressions. */
static void test_split_cases(void) {
    void *memory;
    json_value *document = read_json("tokenizer/split-cases.json", &memory);
    size_t n = 0;
    for (const json_value *item = json_member(document, "items")->first; item; item = item->next) {
        const json_value *text = json_member(item, "text");
        const char *pre = json_string_or(json_member(item, "pre"), "");
        int32_t lengths[512];
        size_t n_words = read_integers(json_member(item, "lengths"), lengths), i = 0, start, end;
        tokenizer_split split;
        tokenizer_split_init(&split, tokenizer_pre_find(pre)->rule, text->string,
                             text->string_length);
        while (tokenizer_split_next(&split, &start, &end)) {
            if (i >= n_words || end - start != (size_t)lengths[i]) {
                check_fail(__FILE__, __LINE__, "%s, '%s': word %zu is '%.*s'", pre, text->string, i,
                           (int)(end - start), text->string + start);
                break;
            }
            i++;
        }
        n++;
    }
    CHECK_INT(n, 400);
    free(memory);
}

static const check_test tests[] = {
    {"smollm2_golden", test_smollm2_golden}, {"smollm2_cases", test_smollm2_cases},
    {"spm_cases", test_spm_cases},           {"minilm_golden", test_minilm_golden},
    {"minilm_cases", test_minilm_cases},     {"minilm_gguf_form", test_minilm_gguf_form},
    {"split_cases", test_split_cases},
};
CHECK_MAIN(tests)
