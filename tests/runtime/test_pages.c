/* Page tables under a processor that never looks twice: whatever entry of a table it has seen it
 * keeps, as machines without a look at the host's changes do. It must find what was set last. */
#include "runtime/microvm/pages.h"
#include "support/check.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    RAM_BYTES = (1 << 30) + (20 << 20),
    N_PAGES = RAM_BYTES / PAGE_BYTES,
    ENTRIES = 512,
    STEPS = 30000
};

typedef struct stubborn {
    pages pages;
    uint64_t *kept;           /* of each entry of each page of the tables; 0: not seen */
    unsigned rights[N_PAGES]; /* that were set last */
    unsigned n_forgotten;
} stubborn;

static uint64_t load(stubborn *s, uint64_t table, uint64_t index) {
    size_t at = (size_t)((table - SYSTEM_ADDRESS) / 8 + index);
    uint64_t now;
    memcpy(&now, s->pages.memory + at * 8, sizeof now);
    if (s->kept[at] == 0 && (now & 1) != 0) {
        s->kept[at] = now;
    }
    return s->kept[at];
}

/* PAGE_READ … of a page as the processor has it; a large number when its address is another. */
static unsigned walk(stubborn *s, uint64_t address) {
    const uint64_t place = UINT64_C(0x000FFFFFFFFFF000);
    uint64_t table = s->pages.table;
    for (unsigned shift = 39; shift > 12; shift -= 9) {
        uint64_t entry = load(s, table, address >> shift & (ENTRIES - 1));
        if ((entry & 1) == 0) {
            return 0;
        }
        table = entry & place;
    }
    uint64_t entry = load(s, table, address >> 12 & (ENTRIES - 1));
    if ((entry & 1) == 0) {
        return 0;
    }
    return (entry & place) != address ? 99
                                      : (unsigned)PAGE_READ | ((entry & 2) != 0 ? PAGE_WRITE : 0) |
                                            (entry >> 63 == 0 ? PAGE_EXECUTE : 0);
}

static void forget(stubborn *s) {
    memset(s->kept, 0, s->pages.size_bytes);
    pages_forgotten(&s->pages);
    s->n_forgotten++;
}

/* In one of two places, each below a table of its own of the second level. */
static size_t some_page(uint64_t random) {
    const size_t n = 20 << 20 >> 12;
    return (random & 1) != 0 ? N_PAGES - 1 - (size_t)(random >> 1) % n : (size_t)(random >> 1) % n;
}

/* True when nothing changed that was there: processors may run meanwhile. */
static bool set(stubborn *s, size_t first, size_t count, unsigned rights) {
    bool adds = true;
    if (!pages_set(&s->pages, first, count, rights)) {
        forget(s);
        adds = false; /* for that processors were stopped */
        CHECK(pages_set(&s->pages, first, count, rights));
    }
    for (size_t i = first; i < first + count && i < N_PAGES; i++) {
        adds = adds && (s->rights[i] == 0 || s->rights[i] == rights);
        s->rights[i] = rights;
    }
    return adds;
}

static bool look(stubborn *s, size_t page) {
    unsigned found = walk(s, page * PAGE_BYTES);
    if (found != s->rights[page]) {
        check_fail(__FILE__, __LINE__, "page %zu is %u, expected %u", page, found, s->rights[page]);
    }
    return found == s->rights[page];
}

static void what_was_set_is_found(void) {
    static const unsigned rights[] = {0, PAGE_READ, PAGE_READ | PAGE_WRITE,
                                      PAGE_READ | PAGE_EXECUTE};
    static stubborn s;
    tars_error err;
    uint64_t random = 7;
    CHECK_INT(pages_create(RAM_BYTES, 2, &s.pages, &err), TARS_OK);
    s.kept = calloc(1, s.pages.size_bytes);
    bool good = s.kept != NULL;
    for (int step = 0; step < STEPS && good; step++) {
        uint64_t r = check_random(&random);
        size_t first = some_page(r >> 8);
        bool adds = true;
        size_t count = (r & 64) != 0 ? 1 + (size_t)(r >> 32) % 8 : 1 + (size_t)(r >> 32) % 2000;
        for (uint64_t n = 0; n <= (r & 3); n++) { /* several changes of one call */
            size_t at = some_page((r >> 8) + n * 201);
            adds = set(&s, at, count, rights[(r >> 4 ^ n) & 3]) && adds;
            good = good && (!adds || look(&s, at));
        }
        pages_seen(&s.pages);
        for (int i = 0; i < 20 && good; i++) {
            good = look(&s, some_page(check_random(&random))) && look(&s, first);
        }
    }
    for (size_t i = 0; i < N_PAGES && good; i++) {
        good = look(&s, i);
    }
    printf("    %d steps, all forgotten %u times\n", STEPS, s.n_forgotten);
    CHECK(s.n_forgotten > 0 && s.n_forgotten < STEPS / 100);
    free(s.kept);
    pages_destroy(&s.pages);
}

/* What was never there can be added without forgetting, by whoever runs meanwhile. */
static void pages_are_added_in_place(void) {
    static stubborn s;
    tars_error err;
    CHECK_INT(pages_create(RAM_BYTES, 1, &s.pages, &err), TARS_OK);
    s.kept = calloc(1, s.pages.size_bytes);
    uint64_t table = s.pages.table;
    pages_seen(&s.pages);
    for (size_t i = 0; i < N_PAGES && s.kept; i += 100) {
        CHECK_INT(walk(&s, i * PAGE_BYTES), 0);
        set(&s, i, 1, PAGE_READ | PAGE_WRITE);
        CHECK_INT(walk(&s, i * PAGE_BYTES), PAGE_READ | PAGE_WRITE);
    }
    CHECK_INT(s.pages.table, table);
    CHECK_INT(s.n_forgotten, 0);
    free(s.kept);
    pages_destroy(&s.pages);
}

static const check_test table[] = {
    {"what was set is found", what_was_set_is_found},
    {"pages are added in place", pages_are_added_in_place},
};
CHECK_MAIN(table)
