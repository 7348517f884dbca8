/* What is left of a request in a machine that was reset, and what clones of one snapshot share:
 * nothing and nothing but the snapshot. */
#include "runtime/hostile_fixture.h"

#include "platform/platform.h"

static const uint64_t LONG_NS = 20000000000;
static engine_snapshot *snapshot;

static bool begin(void) {
    if (!has_machines()) {
        return false;
    }
    snapshot = snapshot ? snapshot : hostile_boots_well();
    return snapshot != NULL;
}

static void serve_well(engine_machine *m, unsigned what, uint64_t argument) {
    static hostile_talk t;
    t.limit_ns = LONG_NS;
    hostile_serve(m, what, argument, &t);
    if (t.status != TARS_OK) {
        check_fail(__FILE__, __LINE__, "request %u: %s", what, t.err.message);
    }
}

static size_t count_words(const uint8_t *bytes, size_t size_bytes, uint64_t wanted) {
    size_t n = 0;
    for (size_t at = 0; at < size_bytes; at += 8) {
        uint64_t word;
        memcpy(&word, bytes + at, sizeof word);
        n += word == wanted;
    }
    return n;
}

static size_t count_other_pages(const engine_machine *m) {
    const uint8_t *kept = m->snapshot->data.bytes;
    size_t n = 0;
    for (size_t at = 0; at < m->snapshot->data.size_bytes; at += PAGE_BYTES) {
        n += memcmp(m->data + at, kept + at, PAGE_BYTES) != 0;
    }
    return n;
}

/* Every page of variables, stack, page tables, descriptors and fault stacks. */
static void memory_is_as_at_first(void) {
    static const uint64_t marked_bytes[] = {4096, 1 << 20, 7 << 20, HOSTILE_FILLER_BYTES};
    if (!begin()) {
        return;
    }
    engine_machine *m = hostile_machine(snapshot, HOSTILE_WORKERS);
    for (size_t i = 0; m && i < sizeof marked_bytes / sizeof marked_bytes[0]; i++) {
        tars_error err;
        engine_usage usage;
        serve_well(m, HOSTILE_MARK_ALL, marked_bytes[i]);
        CHECK(count_other_pages(m) >= marked_bytes[i] / PAGE_BYTES);
        CHECK_INT(engine_machine_reset(m, &usage, &err), TARS_OK);
        CHECK_INT(count_other_pages(m), 0);
        CHECK_INT(count_words(m->scratch, ENGINE_LARGE_BYTES, 0), ENGINE_LARGE_BYTES / 8);
        CHECK_INT(count_words(m->more, m->more_bytes, 0), m->more_bytes / 8);
        serve_well(m, HOSTILE_LOOK, 0);
        CHECK_INT(hostile_state_of(m)->marks, 0);
        CHECK_INT(engine_machine_reset(m, &usage, &err), TARS_OK);
    }
    engine_machine_destroy(m);
}

/* A test that must be able to fail: marks are found where they are. */
static void marks_are_found(void) {
    if (!begin()) {
        return;
    }
    engine_machine *m = hostile_machine(snapshot, 2);
    if (m) {
        serve_well(m, HOSTILE_MARK_ALL, 1 << 20);
        size_t n = count_words(m->scratch, ENGINE_LARGE_BYTES, HOSTILE_MARK) +
                   count_words(m->more, m->more_bytes, HOSTILE_MARK);
        CHECK(n > HOSTILE_MEMORY_BYTES / 8 - 64);
        engine_machine_destroy(m);
    }
}

typedef struct seen_registers {
    hostile_processor of[HOSTILE_WORKERS];
} seen_registers;

/* As the processors found them; what differs between any two machines is left out. */
static void take_registers(engine_machine *m, seen_registers *out) {
    serve_well(m, HOSTILE_MEET, 0);
    memcpy(out->of, hostile_state_of(m)->processors, sizeof out->of);
}

static void check_same_registers(const seen_registers *a, const seen_registers *b) {
    for (unsigned i = 0; i < HOSTILE_WORKERS; i++) {
        CHECK_BYTES(a->of[i].general, b->of[i].general, sizeof a->of[i].general);
        CHECK_INT(a->of[i].flags, b->of[i].flags);
        CHECK_BYTES(a->of[i].vectors, b->of[i].vectors, HOSTILE_XSAVE_BYTES);
    }
}

static void registers_are_as_at_first(void) {
    static seen_registers fresh, again;
    if (!begin()) {
        return;
    }
    engine_machine *other = hostile_machine(snapshot, HOSTILE_WORKERS);
    engine_machine *m = hostile_machine(snapshot, HOSTILE_WORKERS);
    if (m && other) {
        tars_error err;
        engine_usage usage;
        take_registers(other, &fresh);
        for (int i = 0; i < 3; i++) {
            serve_well(m, HOSTILE_MARK_ALL, 4096);
            CHECK_INT(engine_machine_reset(m, &usage, &err), TARS_OK);
            take_registers(m, &again);
            check_same_registers(&again, &fresh);
            CHECK(again.of[1].flags != 0 && again.of[1].vectors[0] != 0); /* they did run */
            CHECK_INT(engine_machine_reset(m, &usage, &err), TARS_OK);
        }
    }
    engine_machine_destroy(m);
    engine_machine_destroy(other);
}

/* Of other tenants, whose machines are gone. */
static void nothing_is_found_in_the_next_machine(void) {
    if (!begin()) {
        return;
    }
    for (int i = 0; i < 10; i++) {
        engine_machine *m = hostile_machine(snapshot, HOSTILE_WORKERS);
        engine_machine *next = NULL;
        if (m) {
            serve_well(m, HOSTILE_MARK_ALL, HOSTILE_FILLER_BYTES);
            engine_machine_destroy(m);
            next = hostile_machine(snapshot, HOSTILE_WORKERS);
        }
        if (next) {
            CHECK_INT(count_other_pages(next), 0);
            serve_well(next, HOSTILE_LOOK, 0);
            CHECK_INT(hostile_state_of(next)->marks, 0);
            engine_machine_destroy(next);
        }
    }
}

typedef struct seen_random {
    uint64_t settings[ENGINE_RANDOM_BYTES / 8], random[2];
} seen_random;

/* Every word of it: none is drawn twice by chance. */
static void clones_differ(void) {
    enum { N = 12 };
    static seen_random seen[N];
    if (!begin()) {
        return;
    }
    for (size_t i = 0; i < N; i++) {
        engine_machine *m = hostile_machine(snapshot, 1);
        for (int k = 0; m && k < 2; k++) { /* also those that were reset */
            const hostile_state *state = hostile_state_of(m);
            tars_error err;
            engine_usage usage;
            serve_well(m, HOSTILE_WELL, 0);
            memcpy(seen[i].settings, state->settings.random, sizeof seen[i].settings);
            memcpy(seen[i].random, state->random, sizeof seen[i].random);
            CHECK_INT(engine_machine_reset(m, &usage, &err), TARS_OK);
            i += k == 0;
        }
        engine_machine_destroy(m);
    }
    for (size_t i = 0; i < N; i++) {
        for (size_t k = 0; k < i; k++) {
            for (size_t w = 0; w < sizeof seen[0].settings / 8; w++) {
                CHECK(seen[i].settings[w] != seen[k].settings[w]);
            }
            CHECK(seen[i].random[0] != seen[k].random[0]);
            CHECK(seen[i].random[1] != seen[k].random[1]);
        }
        CHECK(memcmp(seen[i].settings, seen[i].random, sizeof seen[i].random) != 0);
    }
}

/* Twenty at once, each with its own memory, while others are hostile. */
static void serve_often(void *argument) {
    unsigned *n_bad = argument;
    hostile_talk *t = calloc(1, sizeof *t);
    tars_error err;
    engine_usage usage;
    engine_machine *m = NULL;
    const engine_wish wish = {
        .n_workers = 2, .computes = true, .memory_bytes = HOSTILE_MEMORY_BYTES};
    bool is_made = t && engine_machine_create(snapshot, &wish, &m, &err) == TARS_OK;
    for (int i = 0; is_made && i < 5; i++) {
        t->limit_ns = LONG_NS;
        hostile_serve(m, i % 2 ? HOSTILE_LOOK : HOSTILE_MARK_ALL, 1 << 20, t);
        *n_bad += t->status != TARS_OK;
        *n_bad += i % 2 && hostile_state_of(m)->marks != 0;
        *n_bad += engine_machine_reset(m, &usage, &err) != TARS_OK;
    }
    *n_bad += !is_made;
    engine_machine_destroy(m);
    free(t);
}

static void machines_do_not_disturb_one_another(void) {
    enum { N = 20 };
    static unsigned n_bad[N];
    static hostile_talk t;
    platform_thread threads[N];
    tars_error err;
    if (!begin()) {
        return;
    }
    for (int i = 0; i < N; i++) {
        n_bad[i] = 0;
        CHECK_INT(platform_thread_create("serve", serve_often, &n_bad[i], &threads[i], &err),
                  TARS_OK);
    }
    for (int i = 0; i < 10; i++) {
        engine_machine *m = hostile_machine(snapshot, HOSTILE_WORKERS);
        t.limit_ns = HOSTILE_LIMIT_NS;
        hostile_serve(m, i % 2 ? HOSTILE_RACE : HOSTILE_STORM, ENGINE_CALL_YIELD, &t);
        engine_machine_destroy(m);
    }
    for (int i = 0; i < N; i++) {
        platform_thread_join(&threads[i]);
        CHECK_INT(n_bad[i], 0);
    }
}

/* A machine that was never used is as new. */
static void unused_machines_can_be_reset(void) {
    if (!begin()) {
        return;
    }
    tars_error err;
    engine_usage usage;
    engine_machine *m = hostile_machine(snapshot, 2);
    if (m) {
        CHECK_INT(engine_machine_reset(m, &usage, &err), TARS_OK);
        CHECK_INT(engine_machine_reset(m, &usage, &err), TARS_OK);
        serve_well(m, HOSTILE_WELL, 0);
        engine_machine_destroy(m);
    }
}

static void memory_that_no_machine_has_is_refused(void) {
    static const uint64_t sizes[] = {UINT64_MAX, UINT64_MAX - 4096, (uint64_t)1 << 63,
                                     ENGINE_SCRATCH_END};
    static guest_answer told;
    if (!begin()) {
        return;
    }
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        static const guest_client_kind answers = {.request = WIRE_REQUEST};
        engine_machine *m = hostile_machine(snapshot, 1);
        tars_error err = {.message = ""};
        engine_usage usage;
        told.client.kind = &answers;
        if (m) {
            CHECK_INT(engine_machine_serve(m, sizes[i], &told.client, &usage, &err),
                      TARS_UNAVAILABLE);
            CHECK_INT(engine_machine_reset(m, &usage, &err), TARS_CONFLICT);
            engine_machine_destroy(m);
        }
    }
}

static void tear_down(void) {
    engine_snapshot_destroy(snapshot);
    snapshot = NULL;
}

static const check_test tests[] = {
    {"memory is as at first", memory_is_as_at_first},
    {"marks are found", marks_are_found},
    {"registers are as at first", registers_are_as_at_first},
    {"nothing is found in the next machine", nothing_is_found_in_the_next_machine},
    {"clones differ", clones_differ},
    {"machines do not disturb one another", machines_do_not_disturb_one_another},
    {"unused machines can be reset", unused_machines_can_be_reset},
    {"memory that no machine has is refused", memory_that_no_machine_has_is_refused},
    {"tear down", tear_down},
};

CHECK_MAIN(tests)
