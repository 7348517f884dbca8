/* Values of options: what is read, what is refused, and how a refusal is told. */
#include "cli/option.h"
#include "support/check.h"

#include <string.h>

static void test_whole_numbers(void) {
    uint64_t value = 7;
    CHECK(option_read_uint64("0", &value) && value == 0);
    CHECK(option_read_uint64("18446744073709551615", &value) && value == UINT64_MAX);
    static const char *const refused[] = {"",   "-1",   "+1",  " 1",
                                          "1 ", "0x10", "1e3", "18446744073709551616"};
    for (size_t i = 0; i < sizeof refused / sizeof refused[0]; i++) {
        CHECK(!option_read_uint64(refused[i], &value));
    }
}

static void test_numbers(void) {
    double value = 0;
    CHECK(option_read_double("0.5", &value) && value == 0.5);
    CHECK(option_read_double(".5", &value) && value == 0.5);
    CHECK(option_read_double("-.25", &value) && value == -0.25);
    CHECK(option_read_double("1e-3", &value) && value == 0.001);
    static const char *const refused[] = {"", ".", "nan", "inf", "1,5", "0x1p3", "1e", "1.5.2"};
    for (size_t i = 0; i < sizeof refused / sizeof refused[0]; i++) {
        CHECK(!option_read_double(refused[i], &value));
    }
}

typedef struct quantity_case {
    const char *text;
    bool accepted;
    uint64_t value;
} quantity_case;

static void check_quantities(bool (*read)(const char *text, uint64_t *out),
                             const quantity_case *cases, size_t n_cases) {
    for (size_t i = 0; i < n_cases; i++) {
        uint64_t value = 0;
        bool accepted = read(cases[i].text, &value);
        if (accepted != cases[i].accepted || (accepted && value != cases[i].value)) {
            check_fail(__FILE__, __LINE__, "\"%s\" was %s as %llu", cases[i].text,
                       accepted ? "read" : "refused", (unsigned long long)value);
        }
    }
}

static void test_sizes(void) {
    static const quantity_case cases[] = {
        {"0", true, 0},
        {"4096", true, 4096},
        {"10B", true, 10},
        {"64KiB", true, 65536},
        {"512Mi", true, 536870912},
        {"512MB", true, 512000000},
        {"1kB", true, 1000},
        {"8GB", true, 8000000000},
        {"1.5GiB", true, 1610612736},
        {"16777215TiB", true, 16777215ull << 40},
        {"16777216TiB", false, 0},
        {"99999999999999999999", false, 0},
        {"1e3", false, 0},
        {"64 MiB", false, 0},
        {"64mib", false, 0},
        {"-1MiB", false, 0},
        {"MiB", false, 0},
        {"", false, 0},
        {"1.2.3MB", false, 0},
        {"999999999999999999.5TB", false, 0},
    };
    check_quantities(option_read_size, cases, sizeof cases / sizeof cases[0]);
}

static void test_durations(void) {
    static const quantity_case cases[] = {
        {"250ms", true, 250},
        {"30s", true, 30000},
        {"0.5s", true, 500},
        {"5m", true, 300000},
        {"2h", true, 7200000},
        {"1d", true, 86400000},
        {"5", false, 0},
        {"5 s", false, 0},
        {"s", false, 0},
        {"-5s", false, 0},
        {"5sec", false, 0},
        {"999999999999999999999d", false, 0},
        {"", false, 0},
        {"213503982334d", true, 213503982334ull * 86400000ull},
        {"213503982335d", false, 0},
    };
    check_quantities(option_read_duration, cases, sizeof cases / sizeof cases[0]);
}

typedef struct values {
    bool flag;
    int64_t count;
    double share;
    option_uint64 seed;
    uint64_t size;
    const char *text, *kind;
    option_list list;
} values;

static const char *const kinds[] = {"native", "wasm", NULL};
static const option rows[] = {
    {.name = "flag", .type = OPTION_FLAG, .offset = offsetof(values, flag), .help = ""},
    {.name = "count",
     .letter = 'n',
     .type = OPTION_INT,
     .offset = offsetof(values, count),
     .default_text = "3",
     .minimum = 1,
     .maximum = 5,
     .help = ""},
    {.name = "share",
     .type = OPTION_FLOAT,
     .offset = offsetof(values, share),
     .minimum = 0,
     .maximum = 1,
     .help = ""},
    {.name = "seed", .type = OPTION_UINT64, .offset = offsetof(values, seed), .help = ""},
    {.name = "size", .type = OPTION_SIZE, .offset = offsetof(values, size), .help = ""},
    {.name = "text", .type = OPTION_TEXT, .offset = offsetof(values, text), .help = ""},
    {.name = "kind",
     .type = OPTION_ENUM,
     .offset = offsetof(values, kind),
     .choices = kinds,
     .default_text = "native",
     .help = ""},
    {.name = "list",
     .type = OPTION_TEXT,
     .offset = offsetof(values, list),
     .repeated = true,
     .help = ""},
};
static const option_set set = OPTION_SET("Test", rows);

static tars_status parse(const char *name, const char *text, values *v, tars_error *err) {
    return option_parse(option_find(&set, name, strlen(name)), text, v, err);
}

static void test_defaults(void) {
    values v = {0};
    option_set_defaults(&set, &v);
    CHECK_INT(v.count, 3);
    CHECK_STRING(v.kind, "native");
    CHECK(!v.flag && !v.seed.given && !v.text && v.list.count == 0);
}

static void test_values_reach_their_place(void) {
    values v = {0};
    tars_error err;
    CHECK_INT(parse("flag", NULL, &v, &err), TARS_OK);
    CHECK_INT(parse("count", "5", &v, &err), TARS_OK);
    CHECK_INT(parse("share", "0.25", &v, &err), TARS_OK);
    CHECK_INT(parse("seed", "0", &v, &err), TARS_OK);
    CHECK_INT(parse("size", "1KiB", &v, &err), TARS_OK);
    CHECK_INT(parse("text", "", &v, &err), TARS_OK);
    CHECK_INT(parse("kind", "wasm", &v, &err), TARS_OK);
    CHECK(v.flag && v.count == 5 && v.share == 0.25 && v.seed.given && v.seed.value == 0);
    CHECK_INT(v.size, 1024);
    CHECK_STRING(v.text, "");
    CHECK_STRING(v.kind, "wasm");
}

static void test_refusals_name_option_range_and_value(void) {
    values v = {0};
    tars_error err;
    CHECK_INT(parse("count", "6", &v, &err), TARS_USAGE);
    CHECK_STRING(err.message, "option --count needs a whole number from 1 to 5, found \"6\"");
    CHECK_STRING(err.where, "--count");
    CHECK_INT(parse("share", "1.01", &v, &err), TARS_USAGE);
    CHECK_INT(parse("flag", "yes", &v, &err), TARS_USAGE);
    CHECK_INT(parse("kind", "nativ", &v, &err), TARS_USAGE);
    CHECK(strstr(err.message, "expected one of native, wasm") != NULL);
    CHECK_STRING(err.hint, "did you mean \"native\"?");
    CHECK(v.count == 0 && v.share == 0 && !v.flag && !v.kind);
}

static void test_repeated_options_have_a_limit(void) {
    values v = {0};
    tars_error err;
    for (int i = 0; i < OPTION_LIST_MAX; i++) {
        CHECK_INT(parse("list", i == 0 ? "first" : "other", &v, &err), TARS_OK);
    }
    CHECK_INT(v.list.count, OPTION_LIST_MAX);
    CHECK_STRING(v.list.items[0], "first");
    CHECK_INT(parse("list", "one more", &v, &err), TARS_USAGE);
    CHECK_INT(v.list.count, OPTION_LIST_MAX);
}

static void test_lookup(void) {
    CHECK(option_find(&set, "count=5", 5) == &rows[1]);
    CHECK(!option_find(&set, "cou", 3));
    CHECK(!option_find(&set, "countess", 8));
    CHECK(option_find_letter(&set, 'n') == &rows[1]);
    CHECK(!option_find_letter(&set, 'x'));
    CHECK(!option_find_letter(&set, '\0'));
}

static const check_test tests[] = {
    {"whole numbers", test_whole_numbers},
    {"numbers", test_numbers},
    {"sizes", test_sizes},
    {"durations", test_durations},
    {"defaults", test_defaults},
    {"values reach their place", test_values_reach_their_place},
    {"refusals name option, range and value", test_refusals_name_option_range_and_value},
    {"repeated options have a limit", test_repeated_options_have_a_limit},
    {"lookup", test_lookup},
};
CHECK_MAIN(tests)
