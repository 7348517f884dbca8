#include "base/json.h"
#include "base/utf8.h"
#include "support/check.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { MEMORY_BYTES = 64 << 20 };

static void *memory_block;

static arena fresh_arena(void) {
    if (!memory_block) {
        memory_block = malloc(MEMORY_BYTES);
    }
    arena a;
    arena_init(&a, memory_block, memory_block ? MEMORY_BYTES : 0);
    return a;
}

static tars_status parse_n(const char *text, size_t length, json_value **out, tars_error *err) {
    arena a = fresh_arena();
    return json_parse(text, length, NULL, &a, out, err);
}

static tars_status parse(const char *text, json_value **out, tars_error *err) {
    return parse_n(text, strlen(text), out, err);
}

/* A sink that keeps all it gets. */
typedef struct kept_text {
    char *bytes;
    size_t length, capacity;
} kept_text;

static bool keep(void *context, const char *bytes, size_t length) {
    kept_text *kept = context;
    if (kept->length + length + 1 > kept->capacity) {
        kept->capacity = 2 * (kept->length + length) + 64;
        kept->bytes = realloc(kept->bytes, kept->capacity);
        if (!kept->bytes) {
            exit(1);
        }
    }
    memcpy(kept->bytes + kept->length, bytes, length);
    kept->length += length;
    kept->bytes[kept->length] = '\0';
    return true;
}

/* ---- reading ----------------------------------------------------------------------------- */

static const char *const accepted[] = {
    "null",
    " true ",
    "\t\r\nfalse\n",
    "0",
    "-0",
    "-1",
    "1.5",
    "1e2",
    "1E+2",
    "1e-2",
    "-0.0e-0",
    "0e99999999999999999999",
    "1e-99999999999999999999",
    "\"\"",
    "\"a\"",
    "[]",
    "{}",
    "[ ]",
    "{ }",
    "[1]",
    "[1,2 , 3]",
    "{\"\":0}",
    "{\"a\":{\"a\":1}}",
    "{\"a\":1,\"A\":2}",
    "[[],{},\"\",0,null]",
    "\"\\u0000\"",
    "\"\\uD83D\\uDE00\"",
    "\"\\/\\\\\\\"\\b\\f\\n\\r\\t\"",
    "\"\x7F\"",
    "\"\xC3\xA9\xF0\x9F\x98\x80\"",
    "\"\xEF\xBF\xBF\"",
    "[1.7976931348623157e308]",
    "123456789012345678901234567890",
    "[-2.2250738585072014e-308]",
};

static const char *const refused[] = {
    "",
    " ",
    "nul",
    "nulll",
    "True",
    "[",
    "]",
    "{",
    "}",
    "[1",
    "[1,",
    "[1,]",
    "[,1]",
    "[1 2]",
    "[1]]",
    "{\"a\"}",
    "{\"a\":}",
    "{\"a\":1,}",
    "{,}",
    "{\"a\" 1}",
    "{\"a\":1 \"b\":2}",
    "{a:1}",
    "{'a':1}",
    "{1:1}",
    "{\"a\":1}}",
    "[1}",
    "{\"a\":1]",
    "01",
    "-01",
    "00",
    "-",
    "+1",
    ".5",
    "1.",
    "1.e1",
    "1e",
    "1e+",
    "1E-",
    "1e1.5",
    "0x1",
    "1_0",
    "NaN",
    "Infinity",
    "-Infinity",
    "1e309",
    "-1.7976931348623159e308",
    "\"",
    "\"abc",
    "\"\\",
    "\"\\\"",
    "\"\\x\"",
    "\"\\u\"",
    "\"\\u12\"",
    "\"\\u12g4\"",
    "\"\\uD800\"",
    "\"\\uDC00\"",
    "\"\\uD800\\n\"",
    "\"\\uD800\\u0041\"",
    "\"\\uD800\\uD800\"",
    "\"\\uD800\\uDC0\"",
    "\"\\a\"",
    "\"\\'\"",
    "\"\\\xC3\xA9\"",
    "\"\n\"",
    "\"\t\"",
    "\"\x1F\"",
    "\"\x80\"",
    "\"\xC3\"",
    "\"\xC0\x80\"",
    "\"\xED\xA0\x80\"",
    "\"\xF4\x90\x80\x80\"",
    "\"\xFF\"",
    "\"\xE2\x82\"",
    "\xEF\xBB\xBF[]",
    "[1]//c",
    "/* c */1",
    "[1]\f",
    "\302\2401", /* a no-break space */
    "1 2",
    "{\"a\":1,\"a\":2}",
    "{\"a\":1,\"\\u0061\":2}",
    "{\"\":1,\"\":1}",
    "[{\"x\":1,\"y\":2,\"x\":3}]",
    "tru",
    "t",
    "\"a\"b",
    "[\"a\",\n4\n,1,1a]",
};

static void accepts_what_is_right(void) {
    for (size_t i = 0; i < sizeof accepted / sizeof accepted[0]; i++) {
        json_value *value;
        tars_error err;
        if (parse(accepted[i], &value, &err) != TARS_OK || !value) {
            check_fail(__FILE__, __LINE__, "%s is refused: %s", accepted[i], err.message);
        }
    }
}

static void refuses_what_is_wrong(void) {
    for (size_t i = 0; i < sizeof refused / sizeof refused[0]; i++) {
        json_value *value = (json_value *)1;
        tars_error err;
        tars_status status = parse(refused[i], &value, &err);
        if (status != TARS_MALFORMED || value != NULL || err.status != TARS_MALFORMED ||
            err.message[0] == '\0' || strncmp(err.where, "line ", 5) != 0) {
            check_fail(__FILE__, __LINE__, "\"%s\" gives %s \"%s\" at \"%s\"", refused[i],
                       tars_status_code(status), err.message, err.where);
        }
        CHECK_INT(parse(refused[i], &value, NULL), TARS_MALFORMED);
    }
    json_value *value;
    CHECK_INT(parse_n("1\0", 2, &value, NULL), TARS_MALFORMED);
    CHECK_INT(parse_n("\"a\0\"", 4, &value, NULL), TARS_MALFORMED);
}

/* Every proper prefix of a text that needs its end is refused, and touches nothing beyond. */
static void refuses_every_prefix(void) {
    const char *text = "{\"k\\u00e9\\uD83D\\uDE00\xE2\x82\xAC\":[1.5e+10,-0,true,false,null,"
                       "{\"a\":[]}],\"b\":\"\\n\"}";
    size_t length = strlen(text);
    for (size_t cut = 0; cut <= length; cut++) {
        char *copy = malloc(cut ? cut : 1); /* exact size: the sanitizer sees any overrun */
        if (!copy) {
            exit(1);
        }
        memcpy(copy, text, cut);
        json_value *value;
        CHECK_INT(parse_n(copy, cut, &value, NULL), cut == length ? TARS_OK : TARS_MALFORMED);
        free(copy);
    }
}

static void says_where(void) {
    static const struct {
        const char *text, *where, *message;
    } cases[] = {
        {"[1,\n 2,\n  x]", "line 3, column 3 (byte 10)", "found 'x' where a value was expected"},
        {"[\"\xC3\xA9\xC3\xA9\" 1]", "line 1, column 7 (byte 8)",
         "found '1' where ',' or ']' was expected"},
        {"{\"a\":1", "line 1, column 7 (byte 6)",
         "the JSON text ends where ',' or '}' was expected"},
        {"{\"a\":1,\n\"b\":2,\"a\":3}", "line 2, column 7 (byte 14)",
         "the key \"a\" occurs twice in one object"},
        {"[1] 2", "line 1, column 5 (byte 4)",
         "found '2' where the end of the JSON text was expected"},
        {"[012]", "line 1, column 2 (byte 1)", "a number must not begin with a superfluous zero"},
        {"[1.]", "line 1, column 4 (byte 3)", "found ']' where a digit was expected"},
        {"[\"ab", "line 1, column 2 (byte 1)",
         "the string that begins here is not closed by a quote"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        json_value *value;
        tars_error err;
        CHECK_INT(parse(cases[i].text, &value, &err), TARS_MALFORMED);
        CHECK_STRING(err.where, cases[i].where);
        CHECK_STRING(err.message, cases[i].message);
    }
}

static void builds_the_tree(void) {
    arena a = fresh_arena();
    json_value *root;
    const char *text = "{\"s\":\"a\\u0000b\",\"n\":-42,\"d\":2.5,\"t\":true,\"z\":null,"
                       "\"l\":[1,[],{\"k\":\"v\"}]}";
    CHECK_INT(json_parse(text, strlen(text), NULL, &a, &root, NULL), TARS_OK);
    CHECK_INT(root->type, JSON_OBJECT);
    CHECK_INT(root->count, 6);
    CHECK(root->key == NULL && root->next == NULL);
    const json_value *s = json_member(root, "s");
    CHECK_INT(s->string_length, 3);
    CHECK_BYTES(s->string, "a\0b", 4);
    CHECK_STRING(s->key, "s");
    CHECK_INT(json_integer_or(json_member(root, "n"), 0), -42);
    CHECK(json_number_or(json_member(root, "n"), 0) == -42.0);
    CHECK(json_number_or(json_member(root, "d"), 0) == 2.5);
    CHECK_INT(json_integer_or(json_member(root, "d"), 7), 7);
    CHECK(json_bool_or(json_member(root, "t"), false));
    CHECK_INT(json_member(root, "z")->type, JSON_NULL);
    const json_value *list = json_member(root, "l");
    CHECK_INT(list->count, 3);
    CHECK_INT(list->first->next->type, JSON_ARRAY);
    CHECK_INT(list->first->next->count, 0);
    CHECK_STRING(json_string_or(json_member(list->first->next->next, "k"), ""), "v");
    CHECK(json_member(root, "absent") == NULL && json_member(NULL, "s") == NULL);
    CHECK(json_member(list, "s") == NULL);
    CHECK_STRING(json_string_or(NULL, "otherwise"), "otherwise");
    CHECK_INT(json_integer_or(s, 3), 3);
    CHECK(json_bool_or(NULL, true));
}

static void integers(void) {
    static const struct {
        const char *text;
        bool is_integer;
        int64_t value;
    } cases[] = {
        {"9223372036854775807", true, INT64_MAX},
        {"9223372036854775808", false, 0},
        {"-9223372036854775808", true, INT64_MIN},
        {"-9223372036854775809", false, 0},
        {"18446744073709551616", false, 0},
        {"99999999999999999999999", false, 0},
        {"1.0", false, 0},
        {"1e3", false, 0},
        {"-0", true, 0},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        json_value *value;
        CHECK_INT(parse(cases[i].text, &value, NULL), TARS_OK);
        CHECK_INT(value->is_integer, cases[i].is_integer);
        CHECK_INT(value->integer, cases[i].value);
        CHECK(value->number == strtod(cases[i].text, NULL));
    }
}

static void limits(void) {
    enum { DEPTH = 200000 };
    char *text = malloc(2 * DEPTH + 2);
    if (!text) {
        exit(1);
    }
    memset(text, '[', DEPTH);
    memset(text + DEPTH, ']', DEPTH);
    json_value *value;
    tars_error err;
    CHECK_INT(parse_n(text + DEPTH - 64, 128, &value, &err), TARS_OK);
    CHECK_INT(parse_n(text + DEPTH - 65, 130, &value, &err), TARS_LIMIT);
    CHECK_STRING(err.message, "the JSON text is nested deeper than 64 levels");
    CHECK_STRING(err.where, "line 1, column 65 (byte 64)");
    CHECK_INT(parse_n(text, DEPTH, &value, &err), TARS_LIMIT);
    arena a = fresh_arena();
    json_limits deep = {.max_depth = DEPTH};
    CHECK_INT(json_parse(text, 2 * DEPTH, &deep, &a, &value, &err), TARS_OK);
    deep.max_depth = DEPTH - 1;
    CHECK_INT(json_parse(text, 2 * DEPTH, &deep, &a, &value, &err), TARS_LIMIT);
    free(text);
    json_limits few = {.max_values = 3};
    CHECK_INT(json_parse("[1,2]", 5, &few, &a, &value, &err), TARS_OK);
    CHECK_INT(json_parse("[1,2,3]", 7, &few, &a, &value, &err), TARS_LIMIT);
}

/* With any amount of memory the result is success or OUT_OF_MEMORY, and the arena is as before. */
static void any_memory_size(void) {
    const char *text = "{\"a\":[1,2,{\"b\":\"some text\"}],\"c\":1,\"d\":2,\"e\":3,\"f\":4,\"g\":5,"
                       "\"h\":6,\"i\":7,\"j\":8}";
    static _Alignas(16) uint8_t bytes[8192];
    size_t enough = 0;
    for (size_t size = 0; size <= sizeof bytes; size++) {
        arena a;
        arena_init(&a, bytes, size);
        json_value *value;
        tars_status status = json_parse(text, strlen(text), NULL, &a, &value, NULL);
        if (status == TARS_OK) {
            enough = enough ? enough : size;
        } else {
            CHECK_INT(status, TARS_OUT_OF_MEMORY);
            CHECK_INT(a.used_bytes, 0);
            CHECK_INT(enough, 0);
        }
    }
    CHECK(enough > 0);
}

static double seconds(void) {
    struct timespec t;
    if (clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t) != 0) { /* WASI hosts have none */
        clock_gettime(CLOCK_MONOTONIC, &t);
    }
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* An object of n keys; the key `again` (if < n) is written a second time at the end. */
static kept_text object_of(size_t n, size_t again) {
    kept_text text = {0};
    keep(&text, "{", 1);
    char item[64];
    for (size_t i = 0; i < n; i++) {
        int length = snprintf(item, sizeof item, "%s\"token %zu\":%zu", i ? "," : "", i, i);
        keep(&text, item, (size_t)length);
    }
    if (again < n) {
        int length = snprintf(item, sizeof item, ",\n\"token %zu\":0", again);
        keep(&text, item, (size_t)length);
    }
    keep(&text, "}", 1);
    return text;
}

static void large_objects_are_quick(void) {
    double before = seconds();
    kept_text text = object_of(200000, SIZE_MAX);
    json_value *value;
    tars_error err;
    CHECK_INT(parse_n(text.bytes, text.length, &value, &err), TARS_OK);
    CHECK_INT(value->count, 200000);
    CHECK(seconds() - before < 20); /* quadratic would take minutes, also under a sanitizer */
    free(text.bytes);
    static const size_t repeats[] = {0, 1, 7, 8, 9, 4999, 49999};
    static const size_t sizes[] = {2, 8, 9, 10, 5000, 50000};
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        for (size_t j = 0; j < sizeof repeats / sizeof repeats[0]; j++) {
            text = object_of(sizes[i], repeats[j]);
            bool twice = repeats[j] < sizes[i];
            CHECK_INT(parse_n(text.bytes, text.length, &value, &err),
                      twice ? TARS_MALFORMED : TARS_OK);
            CHECK(!twice || strncmp(err.where, "line 2, column 1 ", 17) == 0);
            free(text.bytes);
        }
    }
}

/* ---- numbers ----------------------------------------------------------------------------- */

static void same_as_strtod(const char *text) {
    json_value *value;
    double expected = strtod(text, NULL);
    tars_status status = parse(text, &value, NULL);
    if (expected - expected != 0) { /* infinite */
        CHECK_INT(status, TARS_MALFORMED);
    } else if (status != TARS_OK || memcmp(&value->number, &expected, sizeof expected) != 0) {
        check_fail(__FILE__, __LINE__, "%.60s… is read as %a, expected %a", text,
                   status == TARS_OK ? value->number : 0.0, expected);
    }
}

static void tricky_decimals(void) {
    static const char *const texts[] = {
        "2.2250738585072011e-308", /* the largest denormal, famous for endless loops */
        "2.2250738585072012e-308",
        "2.2250738585072014e-308",
        "4.9406564584124654e-324",
        "5e-324",
        "2.4703282292062327208e-324",
        "2.4703282292062328e-324",
        "2.5e-324",
        "1.7976931348623157e308",
        "1.7976931348623158e308",
        "1.797693134862315807e308",
        "1.797693134862315808e308",
        "179769313486231580793728971405303415079934132710037826936173778980444968292764750946649017"
        "977587207096330286416692887910946555547851940402630657488671505820681908902000708383676273"
        "854845817711531764475730270069855571366959622842914819860834936475292719074168444365510704"
        "342711559699508093042880",
        "9007199254740993",
        "9007199254740992.5",
        "9007199254740993.0000000000000000000000000000000000000000001",
        "9007199254740995",
        "1e22",
        "1e23",
        "8.5e22",
        "1e-22",
        "1e-23",
        "123456789012345678e-27",
        "1e28",
        "1e-28",
        "0.1",
        "0.3",
        "100000000000000016777215",
        "100000000000000016777216",
        "0.000000000000000000000000000000000000000000000000000000000000000000000000000001e78",
        "1000000000000000000000000000000000000000000000000000000000000000000000000000000e-78",
        "6929495644600919.5",
        "3.518437208883201171875e13",
        "0.500000000000000166533453693773481063",
        "1.00000000000000011102230246251565404236316680908203125",
        "1.00000000000000011102230246251565404236316680908203124",
        "1.00000000000000011102230246251565404236316680908203126",
        "7.2057594037927933e16",
        "1.448997445238699",
        "-0",
        "-0.0",
        "0e400",
        "0.0e-400",
        "1e400",
        "-1e400",
        "1e-400",
    };
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        same_as_strtod(texts[i]);
    }
}

static double random_double(uint64_t *random) {
    for (;;) {
        uint64_t bits = check_random(random);
        switch (check_random(random) % 4) { /* any, few bits set, near 1, denormal */
        case 1:
            bits &= ~((UINT64_C(1) << (check_random(random) % 53)) - 1);
            break;
        case 2:
            bits =
                (bits & UINT64_C(0x800FFFFFFFFFFFFF)) | ((1000 + check_random(random) % 60) << 52);
            break;
        case 3:
            bits &= check_random(random) % 8 == 0 ? UINT64_C(0x800FFFFFFFFFFFFF) : UINT64_MAX;
            break;
        default:
            break;
        }
        double value;
        memcpy(&value, &bits, sizeof value);
        if (value - value == 0) {
            return value;
        }
    }
}

/* Long and short decimals, and those exactly between two doubles or a hair beside. */
static void random_decimals(void) {
    uint64_t random = 3;
    for (int i = 0; i < 20000; i++) {
        char text[1200];
        double value = random_double(&random);
        snprintf(text, sizeof text, "%.*e", (int)(check_random(&random) % 40), value);
        same_as_strtod(text);
        snprintf(text, sizeof text, "%llue%d", (unsigned long long)check_random(&random),
                 (int)(check_random(&random) % 700) - 360);
        same_as_strtod(text);
        if (i % 20 == 0) { /* a 54-bit integer with its last bit set, scaled exactly: a tie */
            uint64_t odd = (check_random(&random) >> 10) | 1 | UINT64_C(1) << 53;
            int down = (int)(check_random(&random) % 400);
            long double exact = (long double)odd;
            for (int k = 0; k < down; k++) {
                exact /= 2;
            }
            int length = snprintf(text, sizeof text, "%.1000Lf", exact);
            same_as_strtod(text);
            text[length - 1] = '1'; /* above the tie by 1e-1000 */
            same_as_strtod(text);
        }
    }
}

static size_t write_double(double value, char *out, size_t capacity) {
    kept_text text = {0};
    json_writer writer;
    json_writer_init(&writer, keep, &text);
    json_double(&writer, value);
    snprintf(out, capacity, "%s", text.bytes);
    free(text.bytes);
    return strlen(out);
}

/* Digits without sign, point, exponent and zeros at either end. */
static size_t significant(const char *text, char *digits) {
    size_t n = 0;
    for (; *text && *text != 'e'; text++) {
        if (*text >= '0' && *text <= '9' && (n > 0 || *text != '0')) {
            digits[n++] = *text;
        }
    }
    while (n > 0 && digits[n - 1] == '0') {
        n--;
    }
    digits[n] = '\0';
    return n;
}

/* Reads back to the same bits; no shorter text does; nearest among those as short. */
static void doubles_are_shortest(void) {
    uint64_t random = 5;
    for (int i = 0; i < 30000; i++) {
        double value = random_double(&random);
        char text[64], best[64], found_digits[64], best_digits[64];
        write_double(value, text, sizeof text);
        same_as_strtod(text);
        double again = strtod(text, NULL);
        CHECK_BYTES(&again, &value, sizeof value);
        int precision = 0;
        do {
            snprintf(best, sizeof best, "%.*e", precision++, value);
        } while (strtod(best, NULL) != value);
        uint64_t bits;
        memcpy(&bits, &value, sizeof bits);
        bool power_of_two = (bits & ((UINT64_C(1) << 52) - 1)) == 0;
        size_t n_found = significant(text, found_digits);
        size_t n_best = significant(best, best_digits);
        /* below a power of two the interval is narrower than above, so that a shorter text that
         * is not the nearest one of its length may read back */
        if (power_of_two ? n_found > n_best : strcmp(found_digits, best_digits) != 0) {
            check_fail(__FILE__, __LINE__, "%a is written as %s, expected digits %s", value, text,
                       best_digits);
        }
    }
}

/* RFC 8785, appendix B, and the edges of ECMAScript's layouts. */
static void doubles_look_like_ecmascript(void) {
    static const struct {
        uint64_t bits;
        const char *text;
    } cases[] = {
        {0x0000000000000000, "0"},
        {0x8000000000000000, "-0"}, /* RFC 8785 drops the sign; here the bits count */
        {0x0000000000000001, "5e-324"},
        {0x8000000000000001, "-5e-324"},
        {0x7FEFFFFFFFFFFFFF, "1.7976931348623157e+308"},
        {0xFFEFFFFFFFFFFFFF, "-1.7976931348623157e+308"},
        {0x4340000000000000, "9007199254740992"},
        {0xC340000000000000, "-9007199254740992"},
        {0x4430000000000000, "295147905179352830000"},
        {0x44B52D02C7E14AF5, "9.999999999999997e+22"},
        {0x44B52D02C7E14AF6, "1e+23"},
        {0x44B52D02C7E14AF7, "1.0000000000000001e+23"},
        {0x444B1AE4D6E2EF4E, "999999999999999700000"},
        {0x444B1AE4D6E2EF4F, "999999999999999900000"},
        {0x444B1AE4D6E2EF50, "1e+21"},
        {0x3EB0C6F7A0B5ED8C, "9.999999999999997e-7"},
        {0x3EB0C6F7A0B5ED8D, "0.000001"},
        {0x41B3DE4355555553, "333333333.3333332"},
        {0x41B3DE4355555554, "333333333.33333325"},
        {0x41B3DE4355555555, "333333333.3333333"},
        {0x41B3DE4355555556, "333333333.3333334"},
        {0x41B3DE4355555557, "333333333.33333343"},
        {0xBECBF647612F3696, "-0.0000033333333333333333"},
        {0x43143FF3C1CB0959, "1424953923781206.2"},
        {0x7FF0000000000000, "\"inf\""},
        {0xFFF0000000000000, "\"-inf\""},
        {0x7FF8000000000001, "\"nan\""},
        {0x3FF0000000000000, "1"},
        {0x3FF8000000000000, "1.5"},
        {0x4059000000000000, "100"},
        {0x3D30000000000000, "5.684341886080802e-14"}, /* 2^-44: the farther, shorter neighbour */
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        double value;
        char text[64];
        memcpy(&value, &cases[i].bits, sizeof value);
        write_double(value, text, sizeof text);
        CHECK_STRING(text, cases[i].text);
    }
}

static void floats_are_shortest(void) {
    uint64_t random = 9;
    for (int i = 0; i < 60000; i++) {
        uint32_t bits = (uint32_t)check_random(&random);
        bits = i % 8 == 0 ? bits & 0x807FFFFFu : i % 8 == 1 ? bits & 0xFF800000u : bits;
        float value;
        memcpy(&value, &bits, sizeof value);
        if (value - value != 0) {
            continue;
        }
        kept_text text = {0};
        json_writer writer;
        json_writer_init(&writer, keep, &text);
        json_float(&writer, value);
        json_value *read;
        CHECK_INT(parse(text.bytes, &read, NULL), TARS_OK);
        float again = (float)read->number;
        CHECK_BYTES(&again, &value, sizeof value);
        int precision = 0;
        char best[64], digits[64], best_digits[64];
        do {
            snprintf(best, sizeof best, "%.*e", precision++, (double)value);
        } while (strtof(best, NULL) != value);
        CHECK(significant(text.bytes, digits) <= significant(best, best_digits));
        free(text.bytes);
    }
    kept_text text = {0};
    json_writer writer;
    json_writer_init(&writer, keep, &text);
    json_begin_array(&writer);
    json_float(&writer, 0.1f);
    json_float(&writer, 16777216.0f);
    json_float(&writer, 3.4028234663852886e38f);
    json_float(&writer, 1e-45f);
    json_float(&writer, -0.0f);
    json_end_array(&writer);
    CHECK_STRING(text.bytes, "[0.1,16777216,3.4028235e+38,1e-45,-0]");
    free(text.bytes);
}

/* ---- writing ----------------------------------------------------------------------------- */

static void writes_structure(void) {
    kept_text text = {0};
    json_writer w;
    json_writer_init(&w, keep, &text);
    json_begin_object(&w);
    json_member_string(&w, "s", "a\"b\\c\n\x01\x7F\xC3\xA9/");
    json_member_int(&w, "i", INT64_MIN);
    json_member_uint(&w, "u", UINT64_MAX);
    json_member_double(&w, "d", 0.5);
    json_member_bool(&w, "b", false);
    json_key(&w, "l");
    json_begin_array(&w);
    json_begin_array(&w);
    json_end_array(&w);
    json_begin_object(&w);
    json_end_object(&w);
    json_null(&w);
    json_string_n(&w, "a\0b", 3);
    json_string(&w, "\xFF"
                    "x\xE2\x82y\xED\xA0\x80");
    json_end_array(&w);
    json_end_object(&w);
    CHECK_STRING(text.bytes,
                 "{\"s\":\"a\\\"b\\\\c\\n\\u0001\x7F\xC3\xA9/\",\"i\":-9223372036854775808,"
                 "\"u\":18446744073709551615,\"d\":0.5,\"b\":false,\"l\":[[],{},null,"
                 "\"a\\u0000b\",\"\xEF\xBF\xBDx\xEF\xBF\xBD\xEF\xBF\xBDy\xEF\xBF\xBD\xEF\xBF\xBD"
                 "\xEF\xBF\xBD\"]}");
    CHECK(!w.failed && w.depth == 0);
    free(text.bytes);
}

static bool take_ten_bytes(void *context, const char *bytes, size_t length) {
    (void)bytes;
    size_t *taken = context;
    *taken += length;
    return *taken <= 10;
}

static void a_refusing_sink_stops_the_writer(void) {
    size_t taken = 0;
    json_writer w;
    json_writer_init(&w, take_ten_bytes, &taken);
    json_begin_array(&w);
    for (int i = 0; i < 100; i++) {
        json_int(&w, i);
    }
    json_end_array(&w);
    CHECK(w.failed);
    CHECK(taken >= 10 && taken <= 12);
}

static void write_value(json_writer *w, const json_value *value) {
    switch (value->type) {
    case JSON_NULL:
        json_null(w);
        break;
    case JSON_BOOL:
        json_bool(w, value->boolean);
        break;
    case JSON_NUMBER:
        json_double(w, value->number);
        break;
    case JSON_STRING:
        json_string_n(w, value->string, value->string_length);
        break;
    case JSON_ARRAY:
        json_begin_array(w);
        for (const json_value *child = value->first; child; child = child->next) {
            write_value(w, child);
        }
        json_end_array(w);
        break;
    case JSON_OBJECT:
        json_begin_object(w);
        for (const json_value *child = value->first; child; child = child->next) {
            json_key(w, child->key);
            write_value(w, child);
        }
        json_end_object(w);
        break;
    }
}

static void write_random_string(json_writer *w, uint64_t *random, bool as_key, int unique) {
    char bytes[64];
    size_t n = 0;
    for (uint64_t count = check_random(random) % 8; count > 0; count--) {
        uint32_t c = (uint32_t)(check_random(random) % (check_random(random) % 2 ? 128 : 0x110000));
        n += utf8_encode(as_key && c == 0 ? 1 : c, bytes + n);
    }
    if (as_key) {
        n += (size_t)snprintf(bytes + n, sizeof bytes - n, "%d", unique);
        json_key(w, bytes);
    } else {
        json_string_n(w, bytes, n);
    }
}

static void write_random(json_writer *w, uint64_t *random, int depth) {
    switch (check_random(random) % (depth > 0 ? 8 : 5)) {
    case 0:
        json_null(w);
        break;
    case 1:
        json_bool(w, check_random(random) % 2);
        break;
    case 2:
        json_double(w, random_double(random));
        break;
    case 3:
        json_int(w, (int64_t)check_random(random));
        break;
    case 4:
        write_random_string(w, random, false, 0);
        break;
    case 5:
    case 6:
        json_begin_array(w);
        for (uint64_t n = check_random(random) % 6; n > 0; n--) {
            write_random(w, random, depth - 1);
        }
        json_end_array(w);
        break;
    default:
        json_begin_object(w);
        for (int n = (int)(check_random(random) % 14); n > 0; n--) {
            write_random_string(w, random, true, n);
            write_random(w, random, depth - 1);
        }
        json_end_object(w);
        break;
    }
}

/* write → parse → write → parse → write: the last two texts are equal byte for byte (the first
 * may hold integers that a double cannot). */
static void random_texts_round_trip(void) {
    uint64_t random = 13;
    for (int turn = 0; turn < 3000; turn++) {
        kept_text texts[3] = {{0}, {0}, {0}};
        json_writer w;
        json_writer_init(&w, keep, &texts[0]);
        write_random(&w, &random, 6);
        for (int i = 0; i < 2; i++) {
            json_value *value;
            tars_error err = {.message = ""};
            if (parse_n(texts[i].bytes, texts[i].length, &value, &err) != TARS_OK) {
                check_fail(__FILE__, __LINE__, "%s: %s", err.message, texts[i].bytes);
                value = &(json_value){.type = JSON_NULL};
            }
            json_writer_init(&w, keep, &texts[i + 1]);
            write_value(&w, value);
        }
        CHECK_STRING(texts[2].bytes, texts[1].bytes);
        for (int i = 0; i < 3; i++) {
            free(texts[i].bytes);
        }
    }
}

/* Any bytes give a status, never a crash; what is accepted survives a round trip. */
static void damaged_texts(void) {
    uint64_t random = 17;
    static const char alphabet[] = "{}[]\",:0123456789.eE+-\\u/bfnrtalse \n\t\xC3\xA9\xF0";
    for (int turn = 0; turn < 20000; turn++) {
        kept_text text = {0};
        json_writer w;
        json_writer_init(&w, keep, &text);
        write_random(&w, &random, 3);
        for (uint64_t n = 1 + check_random(&random) % 3; n > 0; n--) {
            size_t at = (size_t)(check_random(&random) % text.length);
            text.bytes[at] = alphabet[check_random(&random) % (sizeof alphabet - 1)];
        }
        json_value *value;
        tars_error err;
        tars_status status = parse_n(text.bytes, text.length, &value, &err);
        CHECK(status == TARS_OK || (status == TARS_MALFORMED && err.message[0] && err.where[0]));
        free(text.bytes);
    }
}

static const check_test tests[] = {
    {"accepts what is right", accepts_what_is_right},
    {"refuses what is wrong", refuses_what_is_wrong},
    {"refuses every prefix", refuses_every_prefix},
    {"says where", says_where},
    {"builds the tree", builds_the_tree},
    {"integers", integers},
    {"limits", limits},
    {"any memory size", any_memory_size},
    {"large objects are quick, repeated keys are found", large_objects_are_quick},
    {"tricky decimals", tricky_decimals},
    {"random decimals", random_decimals},
    {"doubles are shortest", doubles_are_shortest},
    {"doubles look like ECMAScript", doubles_look_like_ecmascript},
    {"floats are shortest", floats_are_shortest},
    {"writes structure", writes_structure},
    {"a refusing sink stops the writer", a_refusing_sink_stops_the_writer},
    {"random texts round-trip", random_texts_round_trip},
    {"damaged texts", damaged_texts},
};
CHECK_MAIN(tests)
