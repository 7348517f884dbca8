/* Texts for people: numbers, widths, conversations, output. */
#include "cli/conversation.h"
#include "cli/number_text.h"
#include "cli/output.h"
#include "cli/terminal.h"
#include "support/check.h"

#include <locale.h>
#include <stdlib.h>
#include <string.h>

typedef struct text_case {
    double value;
    const char *expected;
} text_case;

static void check_text(void (*write)(text_buffer *text, double value), const text_case *cases,
                       size_t n_cases) {
    for (size_t i = 0; i < n_cases; i++) {
        char memory[64];
        text_buffer text;
        text_init(&text, memory, sizeof memory);
        write(&text, cases[i].value);
        CHECK_STRING(memory, cases[i].expected);
    }
}

static void write_bytes(text_buffer *text, double value) {
    number_text_bytes(text, (uint64_t)value);
}
static void write_count(text_buffer *text, double value) {
    number_text_count(text, (uint64_t)value);
}
static void write_seconds(text_buffer *text, double value) {
    number_text_seconds(text, value);
}
static void write_time(text_buffer *text, double value) {
    number_text_time(text, (int64_t)value);
}
static void write_decimal(text_buffer *text, double value) {
    number_text_decimal(text, value, 2);
}

static void test_numbers(void) {
    static const text_case bytes[] = {{0, "0 B"},
                                      {1023, "1023 B"},
                                      {1024, "1.0 KiB"},
                                      {103079215, "98.3 MiB"},
                                      {1099511627776.0, "1.0 TiB"}};
    static const text_case counts[] = {
        {812, "812"}, {9999, "9999"}, {204544, "204.5 K"}, {134515008, "134.5 M"}, {7e9, "7.0 B"}};
    static const text_case seconds[] = {
        {0, "0 s"},           {59.4, "59 s"}, {59.6, "1 min 00 s"}, {185, "3 min 05 s"},
        {7800, "2 h 10 min"}, {1e9, "days"},  {-0.0 / 0.0, "days"}};
    static const text_case decimals[] = {
        {1.005, "1.00"}, {-2.5, "-2.50"}, {1.0 / 0.0, "-"}, {1e300, "1.00e+300"}};
    static const text_case times[] = {{0, "1970-01-01T00:00:00Z"},
                                      {951782399, "2000-02-28T23:59:59Z"},
                                      {951782400, "2000-02-29T00:00:00Z"},
                                      {1709251199, "2024-02-29T23:59:59Z"},
                                      {1709251200, "2024-03-01T00:00:00Z"},
                                      {1767225599, "2025-12-31T23:59:59Z"},
                                      {4107542400, "2100-03-01T00:00:00Z"},
                                      {253402300799, "9999-12-31T23:59:59Z"},
                                      {253402300800, ""},
                                      {-1, ""}};
    check_text(write_time, times, sizeof times / sizeof times[0]);
    check_text(write_bytes, bytes, sizeof bytes / sizeof bytes[0]);
    check_text(write_count, counts, sizeof counts / sizeof counts[0]);
    check_text(write_seconds, seconds, sizeof seconds / sizeof seconds[0]);
    check_text(write_decimal, decimals, sizeof decimals / sizeof decimals[0]);
}

static void test_columns(void) {
    if (!setlocale(LC_CTYPE, "C.UTF-8")) {
        check_skip("no locale C.UTF-8");
        return;
    }
    CHECK_INT(terminal_columns("abc", 3), 3);
    CHECK_INT(terminal_columns("äöü", 6), 3);
    CHECK_INT(terminal_columns("日本", 6), 4);
    CHECK_INT(terminal_columns("\xff\xfe", 2), 2);
}

static void test_foreign_text_on_a_terminal(void) {
    output out;
    output_init(&out, PLATFORM_NO_HANDLE, true);
    output_foreign(&out, "a\033[31mb\0c\n", 10);
    CHECK(output_flush(&out));
    CHECK_INT(out.memory_bytes, 10);
    CHECK_BYTES(out.memory, "a?[31mb?c\n", 10);
    free(out.memory);
}

static void test_foreign_text_is_never_cut_inside_a_character(void) {
    char text[9000];
    for (size_t i = 0; i < sizeof text; i += 3) {
        memcpy(text + i, "€", 3);
    }
    for (int styled = 0; styled < 2; styled++) {
        output out;
        output_init(&out, PLATFORM_NO_HANDLE, styled == 1);
        output_foreign(&out, text, sizeof text);
        CHECK(output_flush(&out));
        CHECK_INT(out.memory_bytes, sizeof text);
        CHECK_BYTES(out.memory, text, sizeof text);
        free(out.memory);
    }
}

static void write_document(output *out) {
    output_text(out, "one \"two\"\n");
}

static void test_documents(void) {
    tars_error err;
    output out;
    output_init(&out, PLATFORM_NO_HANDLE, false);
    CHECK_INT(output_document(&out, true, write_document, &err), TARS_OK);
    CHECK(output_flush(&out));
    static const char expected[] = "{\"text\":\"one \\\"two\\\"\\n\"}\n";
    CHECK_INT(out.memory_bytes, sizeof expected - 1);
    CHECK_BYTES(out.memory, expected, out.memory_bytes);
    free(out.memory);
}

static const char *role_at(const conversation *c, size_t index) {
    return index < c->count ? c->messages[index].role : "none";
}

static void test_conversations(void) {
    conversation c = {0};
    tars_error err;
    CHECK_INT(conversation_add(&c, "user", "one two", 3, &err), TARS_OK);
    CHECK_STRING(c.messages[0].content, "one");
    CHECK_INT(conversation_add(&c, "assistant", "two", 3, &err), TARS_OK);
    CHECK_INT(conversation_set_system(&c, "be short", &err), TARS_OK);
    CHECK_STRING(role_at(&c, 0), "system");
    CHECK_STRING(role_at(&c, 1), "user");
    CHECK_STRING(role_at(&c, 2), "assistant");
    CHECK_STRING(conversation_raw_text(&c), "be short\none\ntwo");
    CHECK_INT(conversation_set_system(&c, "be long", &err), TARS_OK);
    CHECK_INT(c.count, 3);
    CHECK_STRING(c.messages[0].content, "be long");
    conversation_drop_last(&c);
    conversation_reset(&c);
    CHECK_INT(c.count, 1);
    CHECK_INT(conversation_set_system(&c, "", &err), TARS_OK);
    CHECK_INT(c.count, 0);
    conversation_drop_last(&c); /* nothing to drop */
    for (int i = 0; i < 100; i++) {
        CHECK_INT(conversation_add(&c, "user", "x", 1, &err), TARS_OK);
    }
    CHECK_INT(c.count, 100);
    conversation_free(&c);
    CHECK(c.count == 0 && c.messages == NULL);
}

static const check_test tests[] = {
    {"numbers", test_numbers},
    {"columns", test_columns},
    {"foreign text on a terminal", test_foreign_text_on_a_terminal},
    {"foreign text is never cut inside a character",
     test_foreign_text_is_never_cut_inside_a_character},
    {"documents", test_documents},
    {"conversations", test_conversations},
};
CHECK_MAIN(tests)
