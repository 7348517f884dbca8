#include "engine/barrier.h"
#include "platform/platform.h"
#include "runtime/native/pace.h"
#include "runtime/native/team.h"
#include "support/check.h"

static const uint64_t MS = 1000 * 1000; /* in ns */

enum { N_WORKERS = 4, N_RUNS = 3000 };

typedef struct tally {
    barrier b;
    atomic_uint calls[N_WORKERS];
    unsigned phase_sums[2]; /* written by worker 0 between two barriers */
} tally;

static void count(void *argument, unsigned worker) {
    tally *t = argument;
    atomic_fetch_add_explicit(&t->calls[worker], 1, memory_order_relaxed);
    barrier_wait(&t->b);
    if (worker == 0) {
        t->phase_sums[0]++;
    }
    barrier_wait(&t->b);
    if (worker == 1) {
        t->phase_sums[1] += t->phase_sums[0];
    }
}

/* With as many workers as each run asks for, those of before spinning, parked or on their way. */
static void a_run_takes_the_first_workers(void) {
    team *crew;
    tars_error err;
    CHECK_INT(team_create(N_WORKERS, &crew, &err), TARS_OK);
    CHECK_INT(team_size(crew), N_WORKERS);
    static tally t;
    unsigned expected[N_WORKERS] = {0};
    uint64_t state = 7;
    for (unsigned run = 0; run < N_RUNS; run++) {
        unsigned n = 1 + (unsigned)(check_random(&state) % N_WORKERS);
        if (run % 500 == 0) {
            platform_sleep_ns(2 * MS); /* all are parked now */
        }
        barrier_init(&t.b, n, team_relax, crew);
        team_run(crew, n, count, &t);
        for (unsigned i = 0; i < n; i++) {
            expected[i]++;
        }
    }
    for (unsigned i = 0; i < N_WORKERS; i++) {
        CHECK_INT(atomic_load(&t.calls[i]), expected[i]);
    }
    CHECK_INT(t.phase_sums[0], N_RUNS);
    team_destroy(crew);
}

static void come_late(void *argument, unsigned worker) {
    barrier *b = argument;
    if (worker == 1) {
        platform_sleep_ns(20 * MS);
    }
    barrier_wait(b);
}

static void long_waits_are_added_up_once(void) {
    team *crew;
    tars_error err;
    CHECK_INT(team_create(2, &crew, &err), TARS_OK);
    barrier b;
    barrier_init(&b, 2, team_relax, crew);
    uint64_t start_ns = platform_clock_ns();
    team_run(crew, 2, come_late, &b);
    uint64_t waited_ns = team_waited_ns(crew);
    CHECK(waited_ns > 15 * MS);
    CHECK(waited_ns < 2 * (platform_clock_ns() - start_ns));
    CHECK_INT(team_waited_ns(crew), 0);
    team_destroy(crew);
}

static void no_team_is_too_large_or_empty(void) {
    team *crew;
    tars_error err;
    CHECK_INT(team_create(0, &crew, &err), TARS_USAGE);
    CHECK_INT(team_create(TEAM_MAX_WORKERS + 1, &crew, &err), TARS_USAGE);
    CHECK(crew == NULL);
}

static void a_quiet_machine_keeps_all_workers(void) {
    pace p;
    pace_init(&p, 8);
    for (uint64_t now = 0; now < 1000 * MS; now += 4 * MS) {
        CHECK_INT(pace_workers(&p, now), 8);
        pace_note(&p, now + 4 * MS, 4 * MS, 8 * MS); /* exactly a quarter of 8 × 4 ms */
    }
    /* most of a step, but a short one */
    pace_note(&p, 0, 20 * 1000, 150 * 1000);
    CHECK_INT(pace_workers(&p, 0), 8);
}

static void lost_time_halves_and_is_tried_again(void) {
    pace p;
    pace_init(&p, 8);
    CHECK_INT(pace_workers(&p, 0), 8);
    pace_note(&p, 10 * MS, 10 * MS, 40 * MS);
    CHECK_INT(pace_workers(&p, 10 * MS), 4);
    pace_note(&p, 20 * MS, 10 * MS, 20 * MS);
    CHECK_INT(pace_workers(&p, 20 * MS), 2);
    pace_note(&p, 30 * MS, 10 * MS, 10 * MS);
    CHECK_INT(pace_workers(&p, 30 * MS), 1);
    pace_note(&p, 40 * MS, 10 * MS, 10 * MS); /* alone nobody waits; no less than one anyway */
    CHECK_INT(pace_workers(&p, 40 * MS), 1);
    /* 50 × the 10 ms that the last change had lost, from 30 ms on */
    CHECK_INT(pace_workers(&p, 529 * MS), 1);
    CHECK_INT(pace_workers(&p, 530 * MS), 2);
    pace_note(&p, 535 * MS, 5 * MS, 0);
    CHECK_INT(pace_workers(&p, 535 * MS), 4);
    pace_note(&p, 540 * MS, 5 * MS, 0);
    CHECK_INT(pace_workers(&p, 540 * MS), 8);
}

static void odd_numbers_come_back_to_all(void) {
    pace p;
    pace_init(&p, 3);
    pace_note(&p, 10 * MS, 10 * MS, 20 * MS);
    CHECK_INT(pace_workers(&p, 10 * MS), 1);
    CHECK_INT(pace_workers(&p, 2000 * MS), 3);
    pace_init(&p, 7);
    pace_note(&p, 10 * MS, 10 * MS, 60 * MS);
    CHECK_INT(pace_workers(&p, 10 * MS), 3);
    CHECK_INT(pace_workers(&p, 10 * MS + 3000 * MS), 7);
}

static const check_test tests[] = {
    {"a run takes the first workers", a_run_takes_the_first_workers},
    {"long waits are added up once", long_waits_are_added_up_once},
    {"no team is too large or empty", no_team_is_too_large_or_empty},
    {"a quiet machine keeps all workers", a_quiet_machine_keeps_all_workers},
    {"lost time halves and is tried again", lost_time_halves_and_is_tried_again},
    {"odd numbers come back to all", odd_numbers_come_back_to_all},
};
CHECK_MAIN(tests)
