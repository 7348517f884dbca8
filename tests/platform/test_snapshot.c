/* Copies of a snapshot: their own, as they were after a restore, in a forked process too. */
#include "platform/snapshot.h"
#include "support/check.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

enum { PAGE = 4096, N_PAGES = 4096 /* 16 MiB: more than is written back */, USED = 64 };

static uint8_t byte_of(size_t page) {
    return page < USED ? (uint8_t)(page + 1) : 0;
}

/* False, and the test is skipped, where there are none. */
static bool make(platform_snapshot *s) {
    tars_error err = {.message = ""};
    uint8_t page[PAGE];
    tars_status status = platform_snapshot_begin((size_t)N_PAGES * PAGE, s, &err);
    if (status == TARS_UNAVAILABLE) {
        check_skip("%s", err.message);
        return false;
    }
    for (size_t i = 0; i < USED && status == TARS_OK; i++) {
        memset(page, byte_of(i), sizeof page);
        status = platform_snapshot_put(s, i * PAGE, page, sizeof page, &err);
    }
    if (status == TARS_OK) {
        status = platform_snapshot_seal(s, &err);
    }
    CHECK_INT(status, TARS_OK);
    return status == TARS_OK;
}

static uint8_t *copy_of(const platform_snapshot *s) {
    void *copy = NULL;
    tars_error err;
    CHECK_INT(platform_snapshot_copy(s, &copy, &err), TARS_OK);
    return copy;
}

/* Bytes that are not the snapshot's. */
static size_t count_others(const platform_snapshot *s, const uint8_t *copy) {
    size_t n = 0;
    for (size_t i = 0; i < N_PAGES; i++) {
        n += memcmp(copy + i * PAGE, (const uint8_t *)s->bytes + i * PAGE, PAGE) != 0;
    }
    return n;
}

static void write_pages(uint8_t *copy, size_t first, size_t step, size_t n) {
    for (size_t i = 0; i < n; i++) {
        copy[(first + i * step) % N_PAGES * PAGE + i % PAGE] ^= 0xA5;
    }
}

static void copies_are_their_own(void) {
    platform_snapshot s;
    if (!make(&s)) {
        return;
    }
    uint8_t *a = copy_of(&s);
    uint8_t *b = copy_of(&s);
    for (size_t i = 0; i < N_PAGES; i++) {
        CHECK(a[i * PAGE] == byte_of(i) && a[i * PAGE + PAGE - 1] == byte_of(i));
    }
    memset(a, 0xEE, s.size_bytes);
    CHECK_INT(count_others(&s, b), 0);
    CHECK_INT(count_others(&s, a), N_PAGES);
    size_t size_bytes = s.size_bytes;
    platform_snapshot_destroy(&s); /* copies outlive it */
    CHECK(b[PAGE] == byte_of(1) && a[0] == 0xEE);
    platform_release(a, size_bytes);
    platform_release(b, size_bytes);
}

/* Whatever the number of pages and however they lie: also more regions than one look finds, and
 * more bytes than are written back. */
static void restored_copies_are_as_at_first(void) {
    static const struct {
        size_t first, step, n;
    } rows[] = {{0, 1, 0},    {0, 1, 1},    {N_PAGES - 1, 1, 1}, {0, 1, 16},     {3, 2, 255},
                {3, 2, 256},  {3, 2, 257},  {0, 2, 1000},        {100, 2, 2000}, {0, 1, 2047},
                {0, 1, 2048}, {0, 1, 2049}, {0, 1, N_PAGES}};
    platform_snapshot s;
    if (!make(&s)) {
        return;
    }
    uint8_t *copy = copy_of(&s);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        size_t n_written = 12345;
        tars_error err;
        write_pages(copy, rows[i].first, rows[i].step, rows[i].n);
        CHECK_INT(count_others(&s, copy), rows[i].n);
        CHECK_INT(platform_snapshot_restore(&s, copy, &n_written, &err), TARS_OK);
        CHECK_INT(count_others(&s, copy), 0);
        CHECK(n_written == 0 || n_written >= rows[i].n);
    }
    platform_release(copy, s.size_bytes);
    platform_snapshot_destroy(&s);
}

static void sealed_is_sealed(void) {
    platform_snapshot s;
    tars_error err;
    if (!make(&s)) {
        return;
    }
    CHECK(platform_snapshot_put(&s, 0, "x", 1, &err) != TARS_OK);
    CHECK(ftruncate((int)s.handle, 0) != 0);
    CHECK(mmap(NULL, PAGE, PROT_WRITE, MAP_SHARED, (int)s.handle, 0) == MAP_FAILED);
    CHECK(mprotect(s.bytes, PAGE, PROT_READ | PROT_WRITE) != 0);
    platform_snapshot_destroy(&s);
}

/* Runs in a child; its result is what is left after a restore. */
static int left_in_child(const platform_snapshot *s, bool without_descriptors) {
    pid_t child = fork();
    if (child == 0) {
        const struct rlimit none = {0, 0};
        tars_error err;
        void *copy = NULL;
        if (without_descriptors) {
            (void)setrlimit(RLIMIT_NOFILE, &none);
        }
        if (platform_snapshot_copy(s, &copy, &err) != TARS_OK) {
            _exit(100);
        }
        write_pages(copy, 1, 3, 50);
        size_t n_found = 0;
        tars_status status = platform_snapshot_restore(s, copy, &n_found, &err);
        size_t n = count_others(s, copy);
        bool is_told = !without_descriptors || n_found == 0;
        _exit(status != TARS_OK || !is_told ? 101 : n > 99 ? 99 : (int)n);
    }
    int status = -1;
    CHECK_INT(waitpid(child, &status, 0), child);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 102;
}

/* What a process found out about its own memory says nothing about its child's. */
static void children_restore_their_own(void) {
    platform_snapshot s;
    if (!make(&s)) {
        return;
    }
    tars_error err;
    uint8_t *copy = copy_of(&s);
    write_pages(copy, 0, 1, 3);
    CHECK_INT(platform_snapshot_restore(&s, copy, NULL, &err), TARS_OK);
    platform_release(copy, s.size_bytes);
    CHECK_INT(left_in_child(&s, false), 0);
    platform_snapshot_destroy(&s);
}

/* Where the system does not tell what was written. */
static void pages_are_dropped_where_they_are_not_found(void) {
    platform_snapshot s;
    if (!make(&s)) {
        return;
    }
    CHECK_INT(left_in_child(&s, true), 0);
    platform_snapshot_destroy(&s);
}

static void frozen_pages_are_read_only(void) {
    void *memory = NULL;
    tars_error err;
    CHECK_INT(platform_reserve(PAGE, false, &memory, &err), TARS_OK);
    memset(memory, 7, PAGE);
    tars_status status = platform_freeze(memory, PAGE, &err);
    if (status == TARS_UNAVAILABLE) {
        check_skip("%s", err.message);
    } else {
        CHECK_INT(status, TARS_OK);
        pid_t child = fork();
        if (child == 0) {
            struct rlimit no_core = {0, 0};
            (void)setrlimit(RLIMIT_CORE, &no_core);
            (void)signal(SIGSEGV, SIG_DFL); /* sanitizers have handlers */
            *(volatile uint8_t *)memory = 8;
            _exit(0);
        }
        int ended = 0;
        CHECK_INT(waitpid(child, &ended, 0), child);
        CHECK(ended != 0);
        CHECK(*(const uint8_t *)memory == 7);
    }
    platform_release(memory, PAGE);
}

static const check_test tests[] = {
    {"pages are dropped where they are not found", pages_are_dropped_where_they_are_not_found},
    {"copies are their own", copies_are_their_own},
    {"restored copies are as at first", restored_copies_are_as_at_first},
    {"sealed is sealed", sealed_is_sealed},
    {"children restore their own", children_restore_their_own},
    {"frozen pages are read-only", frozen_pages_are_read_only},
};

CHECK_MAIN(tests)
