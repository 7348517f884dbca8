/* Token ids of real vocabularies against those of reference implementations. */
#include "tokenizer_fixture.h"

#include "base/json.h"

static json_value *read_json(const char *path, void **memory) {
    size_t size;
    char *text = check_read_file(path, &size);
    size_t room = size * 32 + 65536;
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

/* Items {"text", "ids", "parse_special"?}; returns how many. */
static size_t check_items(fixture *f, const json_value *document) {
    size_t n = 0;
    for (const json_value *item = json_member(document, "items")->first; item; item = item->next) {
        const json_value *text = json_member(item, "text");
        const json_value *expected = json_member(item, "ids");
        static int32_t ids[FIXTURE_MAX_IDS];
        size_t count = 0;
        for (const json_value *id = expected->first; id; id = id->next) {
            ids[count++] = (int32_t)id->integer;
        }
        unsigned flags = TOKENIZER_ADD_SPECIAL;
        if (json_bool_or(json_member(item, "parse_special"), false)) {
            flags |= TOKENIZER_PARSE_SPECIAL;
        }
        fixture_expect(__FILE__, __LINE__, f, text->string, text->string_length, flags, ids,
                       count);
        n++;
    }
    return n;
}

static void check_golden(fixture *f, const char *path, size_t n_expected) {
    void *memory;
    json_value *document = read_json(path, &memory);
    CHECK_INT(check_items(f, document), n_expected);
    free(memory);
    fixture_free(f);
}

static void test_smollm2_golden(void) {
    fixture f = fixture_open("tokenizer/smollm2.vocab");
    check_golden(&f, "tokenizer/smollm2-tokens.json", 50);
}

static void test_minilm_golden(void) {
    fixture f = fixture_open_lines("tokenizer/minilm-vocab.txt");
    check_golden(&f, "tokenizer/minilm-ids.json", 10);
}

static const check_test tests[] = {
    {"smollm2_golden", test_smollm2_golden},
    {"minilm_golden", test_minilm_golden},
};
CHECK_MAIN(tests)
