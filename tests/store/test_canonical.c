#include "store/canonical.h"
#include "support/check.h"

#include <stdio.h>
#include <string.h>

typedef struct output {
    char text[4096];
    size_t length;
} output;

static bool append(void *context, const char *bytes, size_t length) {
    output *out = context;
    if (length > sizeof out->text - 1 - out->length) {
        return false;
    }
    memcpy(out->text + out->length, bytes, length);
    out->length += length;
    out->text[out->length] = '\0';
    return true;
}

static tars_status canonical_of(const char *text, const char *omit, output *out, tars_error *err) {
    static _Alignas(16) unsigned char memory[1 << 16];
    arena a;
    arena_init(&a, memory, sizeof memory);
    *out = (output){0};
    json_value *root = NULL;
    tars_status status = json_parse(text, strlen(text), NULL, &a, &root, err);
    return status == TARS_OK ? canonical_write(root, omit, &a, append, out, err) : status;
}

static void check_canonical(const char *text, const char *expected) {
    output out;
    tars_error err = {0};
    CHECK_INT(canonical_of(text, NULL, &out, &err), TARS_OK);
    CHECK_STRING(out.text, expected);
}

/* The examples of RFC 8785 §§ 3.2.2 and 3.2.3. */
static void rfc_examples(void) {
    check_canonical("{\"numbers\": [333333333.33333329, 1E30, 4.50, 2e-3,"
                    " 0.000000000000000000000000001],"
                    " \"string\": \"\\u20ac$\\u000F\\u000aA'\\u0042\\u0022\\u005c\\\\\\\"\\/\","
                    " \"literals\": [null, true, false]}",
                    "{\"literals\":[null,true,false],\"numbers\":[333333333.3333333,1e+30,4.5,"
                    "0.002,1e-27],\"string\":\"\xE2\x82\xAC$\\u000f\\nA'B\\\"\\\\\\\\\\\"/\"}");
    check_canonical("{\"\\u20ac\":\"Euro Sign\",\"\\r\":\"Carriage Return\","
                    "\"\\ufb33\":\"Hebrew Letter Dalet With Dagesh\",\"1\":\"One\","
                    "\"\\ud83d\\ude00\":\"Emoji: Grinning Face\",\"\\u0080\":\"Control\","
                    "\"\\u00f6\":\"Latin Small Letter O With Diaeresis\"}",
                    "{\"\\r\":\"Carriage Return\",\"1\":\"One\",\"\xC2\x80\":\"Control\","
                    "\"\xC3\xB6\":\"Latin Small Letter O With Diaeresis\","
                    "\"\xE2\x82\xAC\":\"Euro Sign\","
                    "\"\xF0\x9F\x98\x80\":\"Emoji: Grinning Face\","
                    "\"\xEF\xAC\xB3\":\"Hebrew Letter Dalet With Dagesh\"}");
}

static void numbers(void) {
    check_canonical("[0, -0, -0.0, 1, -1, 1.0, 100, 1e21, 1e20, 9007199254740992, 5e-324]",
                    "[0,0,0,1,-1,1,100,1e+21,100000000000000000000,9007199254740992,5e-324]");
    output out;
    tars_error err = {0};
    CHECK_INT(canonical_of("[9007199254740993]", NULL, &out, &err), TARS_UNSUPPORTED);
}

static void one_member_is_left_out(void) {
    output out;
    tars_error err = {0};
    CHECK_INT(
        canonical_of("{\"b\":{\"signature\":2},\"signature\":1,\"a\":0}", "signature", &out, &err),
        TARS_OK);
    CHECK_STRING(out.text, "{\"a\":0,\"b\":{\"signature\":2}}");
}

static void is_its_own_canonical_form(void) {
    uint64_t state = 11;
    for (int round = 0; round < 300; round++) {
        char text[2048] = "{";
        size_t count = check_random(&state) % 40;
        for (size_t i = 0; i < count; i++) { /* distinct names in a random order */
            char member[48];
            snprintf(member, sizeof member, "%s\"k%u_%zu\": [%u, {\"z\":1,\"a\":%u}]",
                     i == 0 ? "" : " , ", (unsigned)(check_random(&state) % 1000), i,
                     (unsigned)(check_random(&state) % 77), (unsigned)(check_random(&state) % 9));
            strcat(text, member);
        }
        strcat(text, "}");
        output once;
        output twice;
        tars_error err = {0};
        CHECK_INT(canonical_of(text, NULL, &once, &err), TARS_OK);
        CHECK_INT(canonical_of(once.text, NULL, &twice, &err), TARS_OK);
        CHECK_STRING(twice.text, once.text);
    }
}

static const check_test tests[] = {
    {"canonical gives the RFC's examples", rfc_examples},
    {"canonical numbers", numbers},
    {"canonical leaves one member out", one_member_is_left_out},
    {"canonical form is a fixed point", is_its_own_canonical_form},
};
CHECK_MAIN(tests)
