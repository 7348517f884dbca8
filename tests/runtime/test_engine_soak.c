/* Machines that are made, serve and are gone leave nothing behind: no descriptor, thread, mapping
 * or memory. TARS_SOAK_CYCLES says how often (by hand: 10000). */
#include "runtime/guest_answers.h"
#include "runtime/hostile_fixture.h"

#include "api/model_api.h"

#include <dirent.h>
#include <sys/resource.h>

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
enum { MORE_KIB = 256 << 10 }; /* sanitizers keep what was freed */
#else
enum { MORE_KIB = 8 << 10 };
#endif
enum { USUAL_CYCLES = 60, WARM_UP_CYCLES = 30 };

typedef struct belongings {
    long n_descriptors, n_threads, n_mappings, resident_kib;
} belongings;

static long count_entries(const char *folder) {
    long n = 0;
    DIR *d = opendir(folder);
    while (d && readdir(d)) {
        n++;
    }
    if (d) {
        closedir(d);
    }
    return n;
}

static belongings look_around(void) {
    belongings b = {count_entries("/proc/self/fd"), count_entries("/proc/self/task"), 0, 0};
    char line[512];
    FILE *maps = fopen("/proc/self/maps", "r");
    while (maps && fgets(line, sizeof line, maps)) {
        b.n_mappings++;
    }
    FILE *status = fopen("/proc/self/status", "r");
    while (status && fgets(line, sizeof line, status)) {
        if (strncmp(line, "VmRSS:", 6) == 0) {
            b.resident_kib = strtol(line + 6, NULL, 10);
        }
    }
    if (maps) {
        fclose(maps);
    }
    if (status) {
        fclose(status);
    }
    return b;
}

static void print(const char *when, const belongings *b) {
    printf("    %s: %ld descriptors, %ld threads, %ld mappings, %ld KiB\n", when, b->n_descriptors,
           b->n_threads, b->n_mappings, b->resident_kib);
}

/* What a machine of a cycle does; each also ends in an error now and then. */
static void cycle(const engine_snapshot *s, unsigned i, unsigned *n_unexpected) {
    static hostile_talk t;
    tars_error err;
    engine_usage usage;
    engine_machine *m = NULL;
    const engine_wish wish = {
        .n_workers = 1 + i % 3, .computes = true, .memory_bytes = HOSTILE_MEMORY_BYTES};
    if (engine_machine_create(s, &wish, &m, &err) != TARS_OK) {
        ++*n_unexpected;
        return;
    }
    const bool is_bad = i % 4 == 3;
    t.limit_ns = i % 100 == 99 ? HOSTILE_LIMIT_NS : 20000000000;
    hostile_serve(m,
                  i % 100 == 99 ? HOSTILE_SPIN
                  : is_bad      ? HOSTILE_FAULT
                  : i % 4 == 2  ? HOSTILE_MARK_ALL
                                : HOSTILE_WELL,
                  is_bad ? i % 14 : 1 << 20, &t);
    *n_unexpected += !is_bad && t.status != TARS_OK;
    if (!is_bad) {
        *n_unexpected += engine_machine_reset(m, &usage, &err) != TARS_OK;
        hostile_serve(m, HOSTILE_LOOK, 0, &t);
        *n_unexpected += t.status != TARS_OK || hostile_state_of(m)->marks != 0;
    }
    engine_machine_destroy(m);
}

static void machines_leave_nothing(void) {
    if (!has_machines()) {
        return;
    }
    const char *wanted = getenv("TARS_SOAK_CYCLES");
    const unsigned n_cycles = wanted ? (unsigned)strtoul(wanted, NULL, 10) : USUAL_CYCLES;
    engine_snapshot *s = hostile_boots_well();
    unsigned n_unexpected = 0;
    for (unsigned i = 0; s && i < WARM_UP_CYCLES; i++) {
        cycle(s, i, &n_unexpected);
    }
    belongings before = look_around();
    uint64_t begin_ns = platform_clock_ns();
    for (unsigned i = 0; s && i < n_cycles; i++) {
        cycle(s, i, &n_unexpected);
    }
    belongings after = look_around();
    print("before", &before);
    print("after", &after);
    printf("    %u cycles, %.2f ms each\n", n_cycles,
           (double)(platform_clock_ns() - begin_ns) / 1e6 / n_cycles);
    CHECK_INT(n_unexpected, 0);
    CHECK_INT(after.n_descriptors, before.n_descriptors);
    CHECK_INT(after.n_threads, before.n_threads);
    CHECK(after.n_mappings <= before.n_mappings + 4); /* of the allocator */
    CHECK(after.resident_kib <= before.resident_kib + MORE_KIB);
    engine_snapshot_destroy(s);
}

/* Requests to a model of its own, by one and by two processors: with machines made ahead. */
static unsigned serve_many(void) {
    static outcome o;
    tars_error err = {.message = ""};
    tars_model *own = NULL;
    tars_request r = plain(prompt);
    r.policy.runtime = "microvm";
    r.limits.max_tokens = 2;
    unsigned n_bad = tars_model_open(context, packed_path, &own, &err) != TARS_OK;
    r.model = own;
    for (unsigned i = 0; own && i < USUAL_CYCLES; i++) {
        r.policy.n_threads = 1 + i % 2;
        submit(&r, &o);
        n_bad += o.status != TARS_OK;
    }
    tars_model_close(own);
    return n_bad;
}

/* The same through the API: with the model go its snapshot and the machines that were made ahead.
 */
static void requests_leave_nothing(void) {
    if (!has_machines()) {
        return;
    }
    unsigned n_bad = serve_many();
    belongings before = look_around();
    for (unsigned i = 0; i < 3; i++) {
        n_bad += serve_many();
    }
    belongings after = look_around();
    print("before", &before);
    print("after", &after);
    CHECK_INT(n_bad, 0);
    CHECK_INT(after.n_descriptors, before.n_descriptors);
    CHECK_INT(after.n_threads, before.n_threads);
    CHECK(after.n_mappings <= before.n_mappings + 20); /* of the allocator, after 180 requests */
    CHECK(after.resident_kib <= before.resident_kib + MORE_KIB);
}

static void snapshots_leave_nothing(void) {
    if (!has_machines()) {
        return;
    }
    tars_error err;
    belongings before = {0, 0, 0, 0};
    for (unsigned i = 0; i < 20; i++) {
        engine_snapshot_destroy(
            hostile_boots(i % 2 ? HOSTILE_BOOT_FAULT : HOSTILE_BOOT_WELL, 0, 2, 20000000000, &err));
        if (i == 9) {
            before = look_around();
        }
    }
    belongings after = look_around();
    print("before", &before);
    print("after", &after);
    CHECK_INT(after.n_descriptors, before.n_descriptors);
    CHECK(after.n_mappings <= before.n_mappings + 4);
    CHECK(after.resident_kib <= before.resident_kib + MORE_KIB);
}

/* As many descriptors as there are, and some: whichever is the one that is missing, what was made
 * before is given back. */
static void missing_descriptors_leave_nothing(void) {
    enum { N_TRIES = 24 };
    if (!has_machines()) {
        return;
    }
    static hostile_talk t;
    struct rlimit usual;
    tars_error err = {.message = ""};
    engine_snapshot *s = hostile_boots_well();
    CHECK_INT(getrlimit(RLIMIT_NOFILE, &usual), 0);
    belongings before = look_around();
    unsigned n_failed = 0;
    for (unsigned n_more = 0; s && n_more < N_TRIES; n_more++) {
        struct rlimit few = {(rlim_t)before.n_descriptors - 6 + n_more, usual.rlim_max};
        engine_machine *m = NULL;
        engine_snapshot *other = NULL;
        CHECK_INT(setrlimit(RLIMIT_NOFILE, &few), 0);
        const engine_wish wish = {
            .n_workers = 3, .computes = true, .memory_bytes = HOSTILE_MEMORY_BYTES};
        tars_status status = engine_machine_create(s, &wish, &m, &err);
        bool has_none = engine_snapshot_create(NULL, "", 2, NULL, &other, &err) != TARS_OK;
        if (m) {
            t.limit_ns = 20000000000;
            hostile_serve(m, HOSTILE_WELL, 0, &t);
        }
        CHECK_INT(setrlimit(RLIMIT_NOFILE, &usual), 0);
        n_failed += status != TARS_OK;
        CHECK((status == TARS_OK) == (m != NULL) && has_none == (other == NULL));
        CHECK(status != TARS_OK || t.status == TARS_OK);
        engine_machine_destroy(m);
        engine_snapshot_destroy(other);
    }
    belongings after = look_around();
    printf("    %u of %d failed\n", n_failed, (int)N_TRIES);
    CHECK(n_failed > 2 && n_failed < N_TRIES);
    CHECK_INT(after.n_descriptors, before.n_descriptors);
    CHECK_INT(after.n_threads, before.n_threads);
    engine_snapshot_destroy(s);
}

/* Threads that cannot have their clock tell so, and nobody waits for them. */
static void missing_clocks_are_told(void) {
    if (!has_machines()) {
        return;
    }
    static hostile_talk t;
    struct rlimit usual, none;
    engine_snapshot *s = hostile_boots_well();
    CHECK_INT(getrlimit(RLIMIT_SIGPENDING, &usual), 0);
    none = (struct rlimit){0, usual.rlim_max};
    CHECK_INT(setrlimit(RLIMIT_SIGPENDING, &none), 0);
    engine_machine *m = s ? hostile_machine(s, 3) : NULL;
    if (m) {
        t.limit_ns = 20000000000;
        hostile_serve(m, HOSTILE_WELL, 0, &t);
        CHECK(t.status != TARS_OK && t.err.message[0] != '\0');
        CHECK(m->is_spoilt);
        engine_machine_destroy(m);
    }
    CHECK_INT(setrlimit(RLIMIT_SIGPENDING, &usual), 0);
    engine_snapshot_destroy(s);
}

static const check_test tests[] = {
    {"machines leave nothing", machines_leave_nothing},
    {"snapshots leave nothing", snapshots_leave_nothing},
    {"missing descriptors leave nothing", missing_descriptors_leave_nothing},
    {"missing clocks are told", missing_clocks_are_told},
    {"requests leave nothing", requests_leave_nothing},
    {"tear down", tear_down},
};

CHECK_MAIN(tests)
