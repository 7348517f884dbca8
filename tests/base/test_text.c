#include "base/arena.h"
#include "base/checked.h"
#include "base/text.h"
#include "support/check.h"

#include <string.h>

static void formats_numbers_and_strings(void) {
    char bytes[128];
    text_buffer text;
    text_init(&text, bytes, sizeof bytes);
    text_format(&text, "%d %u %5d|%-5d|%05d %x %zu %lld %s %.*s %c %%", -7, 7u, 42, 42, 42, 255u,
                (size_t)9, -9000000000LL, "abc", 2, "xyz", 'c');
    CHECK_STRING(bytes, "-7 7    42|42   |00042 ff 9 -9000000000 abc xy c %");
    CHECK(!text.truncated);
}

static void cuts_at_a_character(void) {
    char bytes[6];
    text_buffer text;
    text_init(&text, bytes, sizeof bytes);
    text_append_string(&text, "abcd\xC3\xA9"); /* é needs bytes 5 and 6; only 5 fit */
    CHECK_STRING(bytes, "abcd");
    CHECK(text.truncated);
}

static void hostile_bytes_are_replaced(void) {
    char bytes[64];
    text_buffer text;
    text_init(&text, bytes, sizeof bytes);
    text_format(&text, "%s", "a\x1b[31m\xff\xc3\xa9");
    CHECK_STRING(bytes, "a?[31m?\xc3\xa9");
}

static void error_table_is_complete(void) {
    for (int status = 0; status < TARS_STATUS_COUNT; status++) {
        const char *code = tars_status_code((tars_status)status);
        CHECK(code != NULL && strlen(code) > 0);
        CHECK(tars_status_http((tars_status)status) >= 200);
    }
    CHECK_INT(tars_status_exit(TARS_CANCELLED), 130);
    CHECK_STRING(tars_status_code((tars_status)12345), "failed");
}

static void error_fields(void) {
    tars_error err;
    error_set(&err, TARS_MALFORMED, "found %u, expected %u", 3u, 4u);
    error_hint(&err, "use %s", "4");
    CHECK_STRING(err.message, "found 3, expected 4");
    CHECK_STRING(err.hint, "use 4");
    CHECK_STRING(err.where, "");
    CHECK_INT(error_set(NULL, TARS_LIMIT, "x"), TARS_LIMIT);
}

static void arena_bounds(void) {
    _Alignas(64) unsigned char memory[256];
    arena a;
    arena_init(&a, memory, sizeof memory);
    char *first = arena_alloc(&a, 3, 1);
    uint64_t *second = arena_alloc(&a, 8, 8);
    CHECK(first != NULL && ((uintptr_t)second & 7u) == 0);
    CHECK(arena_alloc(&a, SIZE_MAX, 1) == NULL);
    CHECK(arena_array(&a, SIZE_MAX / 2, 4, 4) == NULL);
    size_t mark = arena_mark(&a);
    CHECK(arena_alloc(&a, 200, 1) != NULL);
    CHECK(arena_alloc(&a, 200, 1) == NULL);
    arena_reset(&a, mark);
    CHECK(arena_alloc(&a, 200, 1) != NULL);
}

static void checked_sizes(void) {
    uint64_t out = 5;
    CHECK(!checked_add_u64(UINT64_MAX, 1, &out));
    CHECK(!checked_mul_u64(UINT64_MAX / 2, 3, &out));
    CHECK(!checked_align_u64(UINT64_MAX - 3, 64, &out));
    CHECK_INT(out, 5);
    CHECK(checked_align_u64(65, 64, &out));
    CHECK_INT(out, 128);
}

static const check_test tests[] = {
    {"text formats numbers and strings", formats_numbers_and_strings},
    {"text cuts at a character", cuts_at_a_character},
    {"text replaces hostile bytes", hostile_bytes_are_replaced},
    {"error table is complete", error_table_is_complete},
    {"error fields", error_fields},
    {"arena bounds", arena_bounds},
    {"checked sizes", checked_sizes},
};
CHECK_MAIN(tests)
