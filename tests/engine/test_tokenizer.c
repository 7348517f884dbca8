/* Token ids of real vocabularies against those of reference implementations. */
#include "engine/tokenizer_fixture.h"

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

enum { MINILM_MAX_IDS = 256 };

/* Items {"text", "ids", "parse_special"?}; returns how many. An item of `max_ids` (0: none) was cut
 * so that the last id stayed. */
static size_t check_items(fixture *f, const json_value *document, size_t max_ids) {
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
        if (max_ids != 0 && count == max_ids) {
            int32_t *found;
            CHECK(fixture_encode(f, text->string, text->string_length, flags, &found) > max_ids);
            CHECK_BYTES(found, ids, (max_ids - 1) * sizeof *ids);
        } else {
            fixture_expect(__FILE__, __LINE__, f, text->string, text->string_length, flags, ids,
                           count);
        }
        n++;
    }
    return n;
}

static void check_golden(fixture *f, const char *path, size_t n_expected, size_t max_ids) {
    void *memory;
    json_value *document = read_json(path, &memory);
    CHECK_INT(check_items(f, document, max_ids), n_expected);
    free(memory);
    fixture_free(f);
}

static void test_smollm2_golden(void) {
    fixture f = fixture_open("tokenizer/smollm2.vocab");
    check_golden(&f, "tokenizer/smollm2-tokens.json", 50, 0);
}

static void test_minilm_golden(void) {
    fixture f = fixture_open_lines("tokenizer/minilm-vocab.txt");
    check_golden(&f, "tokenizer/minilm-ids.json", 10, MINILM_MAX_IDS);
}

static const check_test tests[] = {
    {"smollm2_golden", test_smollm2_golden},
    {"minilm_golden", test_minilm_golden},
};
CHECK_MAIN(tests)
