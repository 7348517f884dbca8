/* The guest's address space: limits are exact, pages are clean, and no pointer leads out. */
#include "support/check.h"

#if defined(__linux__) && defined(__x86_64__)

#include "runtime/linux_fixture.h"

/* ---- the space -------------------------------------------------------------------------- */

enum { PAGE = SPACE_PAGE_BYTES, RW = SPACE_READ | SPACE_WRITE };

static uint64_t n_told_pages;
static void count_changed(void *user, uint64_t first_page, uint64_t n_pages) {
    (void)user;
    (void)first_page;
    n_told_pages += n_pages;
}

static void pages_are_limited_exactly(void) {
    space s;
    uint64_t at, reserved;
    space_begin(&s, 1 << 20, 10 * PAGE);
    s.options.changed = count_changed;
    n_told_pages = 0;
    CHECK_INT(space_map(&s, 0, SPACE_ANYWHERE, 100 * PAGE, 0, &reserved), SPACE_OK);
    CHECK_INT(reserved, (1 << 20) - 100 * PAGE);
    CHECK_INT(space_used_bytes(&s), 0);
    CHECK_INT(space_map(&s, 0, SPACE_ANYWHERE, 10 * PAGE + 1, RW, &at), SPACE_NO_MEMORY);
    CHECK_INT(space_map(&s, 0, SPACE_ANYWHERE, 10 * PAGE, RW, &at), SPACE_OK);
    CHECK_INT(at, reserved - 10 * PAGE);
    CHECK_INT(space_map(&s, 0, SPACE_ANYWHERE, 1, RW, &at), SPACE_NO_MEMORY);
    CHECK_INT(space_protect(&s, reserved, PAGE, SPACE_READ), SPACE_NO_MEMORY);
    CHECK_INT(space_protect(&s, reserved - PAGE, PAGE, 0), SPACE_OK); /* it still counts */
    CHECK_INT(space_used_bytes(&s), 10 * PAGE);
    CHECK_INT(space_protect(&s, reserved, PAGE, SPACE_READ), SPACE_NO_MEMORY);
    CHECK_INT(space_unmap(&s, reserved - PAGE, PAGE), SPACE_OK);
    CHECK_INT(space_used_bytes(&s), 9 * PAGE);
    CHECK_INT(space_protect(&s, reserved, PAGE, SPACE_READ), SPACE_OK);
    CHECK_INT(space_peak_bytes(&s), 10 * PAGE);
    CHECK_INT(n_told_pages, 100 + 10 + 1 + 1 + 1);
    CHECK_INT(space_unmap(&s, 0, 1 << 20), SPACE_OK);
    CHECK_INT(space_used_bytes(&s), 0);
    space_end(&s);
}

static void new_pages_are_zero(void) {
    space s;
    uint64_t at, again;
    space_begin(&s, 1 << 20, 1 << 20);
    CHECK_INT(space_map(&s, 0x20000, SPACE_VACANT, 2 * PAGE, RW, &at), SPACE_OK);
    memset(s.options.ram + at, 0x77, 2 * PAGE);
    CHECK_INT(space_map(&s, 0x20000, SPACE_VACANT, PAGE, RW, &again), SPACE_EXISTS);
    CHECK_INT(s.options.ram[at], 0x77);
    CHECK_INT(space_map(&s, 0x20000, SPACE_REPLACE, PAGE, RW, &again), SPACE_OK);
    CHECK_INT(s.options.ram[at], 0);
    CHECK_INT(s.options.ram[at + PAGE], 0x77);
    CHECK_INT(space_unmap(&s, at, 2 * PAGE), SPACE_OK);
    CHECK_INT(space_map(&s, at + PAGE, SPACE_VACANT, PAGE, SPACE_READ, &again), SPACE_OK);
    CHECK_INT(s.options.ram[at + PAGE], 0);
    s.options.ram[at + PAGE] = 9;
    CHECK_INT(space_clear(&s, at + PAGE, PAGE), SPACE_OK);
    CHECK_INT(s.options.ram[at + PAGE], 0);
    CHECK_INT(space_clear(&s, at, PAGE), SPACE_ABSENT);
    space_end(&s);
}

static void holes_are_used_from_the_top(void) {
    space s;
    uint64_t a, b, c, d;
    space_begin(&s, 1 << 20, 1 << 20);
    CHECK_INT(space_map(&s, 0, SPACE_ANYWHERE, 4 * PAGE, RW, &a), SPACE_OK);
    CHECK_INT(space_map(&s, 0, SPACE_ANYWHERE, 4 * PAGE, RW, &b), SPACE_OK);
    CHECK_INT(space_map(&s, 0, SPACE_ANYWHERE, 4 * PAGE, RW, &c), SPACE_OK);
    CHECK(a > b && b > c);
    CHECK_INT(space_unmap(&s, b, 4 * PAGE), SPACE_OK);
    CHECK_INT(space_map(&s, 0, SPACE_ANYWHERE, 5 * PAGE, RW, &d), SPACE_OK);
    CHECK(d < c);
    CHECK_INT(space_map(&s, 0, SPACE_ANYWHERE, 2 * PAGE, RW, &d), SPACE_OK);
    CHECK_INT(d, b + 2 * PAGE);
    CHECK_INT(space_map(&s, 0x30123, SPACE_ANYWHERE, PAGE, RW, &d), SPACE_OK);
    CHECK_INT(d, 0x30000); /* a wish is met where it can be */
    CHECK_INT(space_map(&s, 0x30000, SPACE_ANYWHERE, PAGE, RW, &d), SPACE_OK);
    CHECK(d != 0x30000);
    CHECK_INT(space_map(&s, 0x1000, SPACE_ANYWHERE, PAGE, RW, &d), SPACE_OK);
    CHECK(d >= SPACE_LOWEST);
    CHECK_INT(space_map(&s, 0, SPACE_ANYWHERE, 1 << 20, 0, &d), SPACE_NO_MEMORY);
    CHECK_INT(space_map(&s, 0, SPACE_ANYWHERE, UINT64_MAX, 0, &d), SPACE_NO_MEMORY);
    CHECK_INT(space_map(&s, 0, SPACE_ANYWHERE, 0, 0, &d), SPACE_INVALID);
    space_end(&s);
}

static void mappings_move_with_their_bytes(void) {
    space s;
    uint64_t at, to;
    space_begin(&s, 1 << 20, 16 * PAGE);
    CHECK_INT(space_map(&s, 0x20000, SPACE_VACANT, 4 * PAGE, RW, &at), SPACE_OK);
    memset(s.options.ram + at, 0x42, 4 * PAGE);
    CHECK_INT(space_remap(&s, at, 4 * PAGE, 6 * PAGE, false, false, &to), SPACE_OK);
    CHECK_INT(to, at);
    CHECK_INT(space_used_bytes(&s), 6 * PAGE);
    uint64_t wall;
    CHECK_INT(space_map(&s, at + 6 * PAGE, SPACE_VACANT, PAGE, RW, &wall), SPACE_OK);
    CHECK_INT(space_remap(&s, at, 6 * PAGE, 8 * PAGE, false, false, &to), SPACE_NO_MEMORY);
    CHECK_INT(space_remap(&s, at, 6 * PAGE, 8 * PAGE, true, false, &to), SPACE_OK);
    CHECK(to > at + 7 * PAGE);
    CHECK_INT(s.options.ram[to], 0x42);
    CHECK_INT(s.options.ram[to + 4 * PAGE - 1], 0x42);
    CHECK_INT(s.options.ram[to + 4 * PAGE], 0);
    CHECK_INT(space_used_bytes(&s), 9 * PAGE);
    CHECK_INT(space_peak_bytes(&s), 9 * PAGE);
    CHECK(!space_pointer(&s, at, 1, SPACE_READ));
    uint64_t fixed = 0x40000;
    CHECK_INT(space_remap(&s, to, 8 * PAGE, 2 * PAGE, true, true, &fixed), SPACE_OK);
    CHECK_INT(fixed, 0x40000);
    CHECK_INT(s.options.ram[fixed], 0x42);
    CHECK_INT(space_used_bytes(&s), 3 * PAGE);
    fixed = 0x41000; /* on itself */
    CHECK_INT(space_remap(&s, 0x40000, 2 * PAGE, 2 * PAGE, true, true, &fixed), SPACE_INVALID);
    fixed = 0x1000;
    CHECK_INT(space_remap(&s, 0x40000, PAGE, PAGE, true, true, &fixed), SPACE_DENIED);
    CHECK_INT(space_remap(&s, 0x40000, 2 * PAGE, 20 * PAGE, true, false, &to), SPACE_NO_MEMORY);
    CHECK_INT(space_remap(&s, 0x40000, 2 * PAGE, UINT64_MAX, true, false, &to), SPACE_NO_MEMORY);
    CHECK_INT(space_remap(&s, 0x40000, UINT64_MAX, PAGE, true, false, &to), SPACE_ABSENT);
    CHECK_INT(space_remap(&s, 0x40000, 0, PAGE, true, false, &to), SPACE_INVALID);
    CHECK_INT(space_remap(&s, 0x40000, PAGE, 0, true, false, &to), SPACE_INVALID);
    CHECK_INT(space_remap(&s, 0x40001, PAGE, PAGE, true, false, &to), SPACE_INVALID);
    CHECK_INT(space_remap(&s, 0x50000, PAGE, PAGE, true, false, &to), SPACE_ABSENT);
    space_end(&s);
}

static void the_heap_grows_and_shrinks(void) {
    space s;
    space_begin(&s, 1 << 20, 8 * PAGE);
    space_set_break(&s, 0x40000);
    CHECK_INT(space_brk(&s, 0), 0x40000);
    CHECK_INT(space_brk(&s, 0x40001), 0x40001);
    CHECK(space_pointer(&s, 0x40000, PAGE, RW) != NULL);
    CHECK_INT(space_brk(&s, 0x40000 + 8 * PAGE), 0x40000 + 8 * PAGE);
    CHECK_INT(space_brk(&s, 0x40001 + 8 * PAGE), 0x40000 + 8 * PAGE);
    CHECK_INT(space_brk(&s, 0x3FFFF), 0x40000 + 8 * PAGE);
    CHECK_INT(space_brk(&s, UINT64_MAX), 0x40000 + 8 * PAGE);
    CHECK_INT(space_brk(&s, 1 << 20), 0x40000 + 8 * PAGE);
    s.options.ram[0x41000] = 5;
    CHECK_INT(space_brk(&s, 0x40000 + PAGE), 0x41000);
    CHECK(!space_pointer(&s, 0x41000, 1, SPACE_READ));
    CHECK_INT(space_used_bytes(&s), PAGE);
    CHECK_INT(space_brk(&s, 0x42000), 0x42000);
    CHECK_INT(s.options.ram[0x41000], 0);
    space_end(&s);
}

static void a_copy_is_alike(void) {
    space a, b;
    uint64_t at;
    space_begin(&a, 1 << 20, 8 * PAGE);
    space_begin(&b, 1 << 20, 8 * PAGE);
    space_set_break(&a, 0x40000);
    CHECK_INT(space_brk(&a, 0x42000), 0x42000);
    CHECK_INT(space_map(&a, 0x20000, SPACE_VACANT, 3 * PAGE, SPACE_READ, &at), SPACE_OK);
    space_copy(&b, &a);
    CHECK_INT(space_used_bytes(&b), 5 * PAGE);
    CHECK_INT(space_brk(&b, 0), 0x42000);
    CHECK(space_pointer(&b, 0x20000, 3 * PAGE, SPACE_READ) == b.options.ram + 0x20000);
    CHECK_INT(space_unmap(&b, 0x20000, PAGE), SPACE_OK);
    CHECK_INT(space_used_bytes(&a), 5 * PAGE);
    space_end(&a);
    space_end(&b);
}

static void pointers_are_what_they_say(void) {
    static const struct {
        uint64_t address, length;
        unsigned access;
        bool good;
    } rows[] = {
        {DATA, 1, RW, true},
        {DATA, DATA_BYTES, RW, true},
        {DATA, DATA_BYTES + 1, SPACE_READ, false},
        {DATA - 1, 1, SPACE_READ, false},
        {DATA - 1, 2, SPACE_READ, false},
        {DATA + DATA_BYTES - 1, 1, SPACE_WRITE, true},
        {DATA + DATA_BYTES - 1, 2, SPACE_WRITE, false},
        {DATA + 5, UINT64_MAX - 4, SPACE_READ, false},
        {DATA, UINT64_MAX, SPACE_READ, false},
        {READ_ONLY, PAGE, SPACE_READ, true},
        {READ_ONLY, 1, SPACE_WRITE, false},
        {READ_ONLY, 1, SPACE_EXECUTE, false},
        {NO_ACCESS, 1, SPACE_READ, false},
        {NO_ACCESS, 1, 0, true},
        {0, 1, SPACE_READ, false},
        {SPACE_BYTES, 1, SPACE_READ, false},
        {SPACE_BYTES - 1, 1, SPACE_READ, false},
        {UINT64_MAX, 1, SPACE_READ, false},
        {UINT64_MAX, 2, SPACE_READ, false},
        {0xFFFF800000000000, 8, SPACE_READ, false},
        {0xFFFFFFFF00000000 + DATA, 8, SPACE_READ, false},
        {0x0000800000000000, 8, SPACE_READ, false},
        {(1ull << 32) + DATA, 8, SPACE_READ, false},
        {UINT64_MAX, 0, RW, true}, /* no byte of it is used */
    };
    linux_begin_base();
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        bool good =
            space_pointer(&g.space, rows[i].address, rows[i].length, rows[i].access) != NULL;
        if (good != rows[i].good) {
            check_fail(__FILE__, __LINE__, "row %zu is %s", i, good ? "taken" : "refused");
        }
    }
    linux_finish_guest();
}

static const check_test table[] = {
    {"pages are limited exactly", pages_are_limited_exactly},
    {"new pages are zero", new_pages_are_zero},
    {"holes are used from the top", holes_are_used_from_the_top},
    {"mappings move with their bytes", mappings_move_with_their_bytes},
    {"the heap grows and shrinks", the_heap_grows_and_shrinks},
    {"a copy is alike", a_copy_is_alike},
    {"pointers are what they say", pointers_are_what_they_say},
};

#else

static void is_not_here(void) {
    check_skip("micro-VMs are x86-64 Linux's");
}
static const check_test table[] = {{"is not here", is_not_here}};

#endif

CHECK_MAIN(table)
