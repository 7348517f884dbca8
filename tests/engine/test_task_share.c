#include "engine/barrier.h"
#include "engine/task_share.h"
#include "support/check.h"

#include <pthread.h>
#include <sched.h>
#include <string.h>

enum { MAX_WORKERS = 5, N_PHASES = 400, MAX_TASKS = 67 };

static void alone_all_tasks_come_in_order(void) {
    task_counter counter[1];
    task_counters_clear(counter, 1);
    task_share s = task_share_of(counter, 1, 0);
    for (size_t n = 0; n < 20; n++) {
        task_share_begin(&s, n);
        size_t expected = 0;
        for (size_t task; task_share_next(&s, &task); expected++) {
            CHECK_INT(task, expected);
        }
        CHECK_INT(expected, n);
        size_t task;
        CHECK(!task_share_next(&s, &task));
    }
}

/* Worker 1 never comes: worker 0 does its own run, then that of worker 2, which has begun it. */
static void own_run_first_then_the_others(void) {
    task_counter counters[3];
    task_counters_clear(counters, 3);
    task_share first = task_share_of(counters, 3, 0);
    task_share third = task_share_of(counters, 3, 2);
    task_share_begin(&first, 10);
    task_share_begin(&third, 10);
    size_t task = 0;
    CHECK(task_share_next(&third, &task));
    CHECK_INT(task, 6);
    static const size_t expected[] = {0, 1, 2, 3, 4, 5, 7, 8, 9};
    for (size_t i = 0; i < sizeof expected / sizeof expected[0]; i++) {
        CHECK(task_share_next(&first, &task));
        CHECK_INT(task, expected[i]);
    }
    CHECK(!task_share_next(&first, &task));
    CHECK(!task_share_next(&third, &task));
}

typedef struct crowd {
    barrier b;
    task_counter counters[MAX_WORKERS];
    unsigned n_workers;
    atomic_uint done[N_PHASES][MAX_TASKS]; /* how often */
} crowd;

typedef struct crowd_member {
    crowd *crowd;
    unsigned worker;
} crowd_member;

static void relax(void *context, unsigned spins) {
    (void)context;
    (void)spins;
    sched_yield();
}

static size_t tasks_of(unsigned phase) {
    return phase * 7 % (MAX_TASKS + 1);
}

static void *take_tasks(void *argument) {
    crowd_member *m = argument;
    crowd *c = m->crowd;
    task_share s = task_share_of(c->counters, c->n_workers, m->worker);
    for (unsigned phase = 0; phase < N_PHASES; phase++) {
        task_share_begin(&s, tasks_of(phase));
        for (size_t task; task_share_next(&s, &task);) {
            if (task < MAX_TASKS) {
                atomic_fetch_add(&c->done[phase][task], 1);
            }
        }
        barrier_wait(&c->b);
    }
    return NULL;
}

static void run_crowd(crowd *c, unsigned n_workers) {
    memset(c->done, 0, sizeof c->done);
    c->n_workers = n_workers;
    barrier_init(&c->b, n_workers, relax, NULL);
    task_counters_clear(c->counters, n_workers);
    crowd_member members[MAX_WORKERS];
    pthread_t threads[MAX_WORKERS];
    for (unsigned i = 0; i < n_workers; i++) {
        members[i] = (crowd_member){c, i};
        if (i > 0) {
            CHECK_INT(pthread_create(&threads[i], NULL, take_tasks, &members[i]), 0);
        }
    }
    take_tasks(&members[0]);
    for (unsigned i = 1; i < n_workers; i++) {
        pthread_join(threads[i], NULL);
    }
}

static void each_task_is_done_once_by_any_number_of_workers(void) {
    static crowd c;
    for (unsigned n = 1; n <= MAX_WORKERS; n++) {
        run_crowd(&c, n);
        unsigned wrong = 0;
        for (unsigned phase = 0; phase < N_PHASES; phase++) {
            for (size_t task = 0; task < MAX_TASKS; task++) {
                wrong += atomic_load(&c.done[phase][task]) != (task < tasks_of(phase));
            }
        }
        CHECK_INT(wrong, 0);
    }
}

static const check_test tests[] = {
    {"alone, all tasks come in order", alone_all_tasks_come_in_order},
    {"own run first, then the others", own_run_first_then_the_others},
    {"each task is done once", each_task_is_done_once_by_any_number_of_workers},
};
CHECK_MAIN(tests)
