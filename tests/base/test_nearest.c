#include "base/nearest.h"
#include "support/check.h"

#include <string.h>

static const char *nearest_of(const char *wanted, const char *const *names, size_t count) {
    nearest_search search;
    nearest_init(&search, wanted);
    for (size_t i = 0; i < count; i++) {
        nearest_offer(&search, names[i]);
    }
    return nearest_result(&search);
}

static void counts_edits(void) {
    CHECK_INT(nearest_distance("", "", 9), 0);
    CHECK_INT(nearest_distance("", "abc", 9), 3);
    CHECK_INT(nearest_distance("kitten", "sitting", 9), 3);
    CHECK_INT(nearest_distance("Run", "rUN", 9), 0);
    CHECK_INT(nearest_distance("chta", "chat", 9), 1);
    CHECK_INT(nearest_distance("abcdef", "uvwxyz", 3), 4);
}

static void is_symmetric_and_bounded(void) {
    uint64_t state = 7;
    for (int round = 0; round < 2000; round++) {
        char a[25];
        char b[25];
        size_t a_length = check_random(&state) % 24;
        size_t b_length = check_random(&state) % 24;
        for (size_t i = 0; i < a_length; i++) {
            a[i] = (char)('a' + check_random(&state) % 3);
        }
        for (size_t i = 0; i < b_length; i++) {
            b[i] = (char)('a' + check_random(&state) % 3);
        }
        a[a_length] = b[b_length] = '\0';
        size_t forth = nearest_distance(a, b, 100);
        CHECK_INT(forth, nearest_distance(b, a, 100));
        size_t longest = a_length > b_length ? a_length : b_length;
        size_t shortest = a_length > b_length ? b_length : a_length;
        CHECK(forth <= longest && forth >= longest - shortest);
        CHECK((forth == 0) == (strcmp(a, b) == 0));
    }
}

static void finds_the_nearest(void) {
    static const char *const verbs[] = {"pull", "import", "list", "run", "chat", "completion"};
    CHECK_STRING(nearest_of("rnu", verbs, 6), "run");
    CHECK_STRING(nearest_of("imprt", verbs, 6), "import");
    CHECK_STRING(nearest_of("LIST", verbs, 6), "list");
    CHECK_STRING(nearest_of("comp", verbs, 6), "completion");
    CHECK(nearest_of("xyzzy", verbs, 6) == NULL);
    CHECK(nearest_of("", verbs, 6) == NULL);
    CHECK(nearest_of("run", NULL, 0) == NULL);
}

static void long_names_stay_inside(void) {
    char a[400];
    char b[400];
    memset(a, 'a', sizeof a - 1);
    memset(b, 'b', sizeof b - 1);
    a[sizeof a - 1] = b[sizeof b - 1] = '\0';
    CHECK_INT(nearest_distance(a, b, 300), NEAREST_MAX_BYTES);
    const char *const names[] = {b, a};
    CHECK(nearest_of(a, names, 2) == a);
}

static const check_test tests[] = {
    {"nearest counts edits", counts_edits},
    {"nearest is symmetric and bounded", is_symmetric_and_bounded},
    {"nearest finds the nearest name", finds_the_nearest},
    {"nearest stays inside for long names", long_names_stay_inside},
};
CHECK_MAIN(tests)
