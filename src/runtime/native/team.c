#include "runtime/native/team.h"

#include "platform/platform.h"

#include <stdlib.h>

enum { SPINS_BEFORE_PARKING = 2000 };

typedef struct member {
    team *team;
    unsigned worker;
    platform_thread thread;
} member;

struct team {
    unsigned n_workers;
    unsigned n_started;
    member *members;
    void (*function)(void *argument, unsigned worker);
    void *argument;
    _Alignas(64) atomic_uint generation; /* grows with each run; the gate of parked threads */
    _Alignas(64) atomic_uint n_running;
    atomic_uint stopping;
};

void team_relax(unsigned spins) {
    if (spins % 8 == 0) {
        platform_yield();
    }
}

unsigned team_size(const team *t) {
    return t->n_workers;
}

static unsigned wait_for_work(team *t, unsigned seen) {
    for (unsigned i = 0; i < SPINS_BEFORE_PARKING; i++) {
        unsigned now = atomic_load_explicit(&t->generation, memory_order_acquire);
        if (now != seen) {
            return now;
        }
        platform_cpu_relax();
    }
    unsigned now = atomic_load_explicit(&t->generation, memory_order_acquire);
    while (now == seen) {
        (void)platform_gate_wait(&t->generation, seen, PLATFORM_FOREVER);
        now = atomic_load_explicit(&t->generation, memory_order_acquire);
    }
    return now;
}

static void member_main(void *argument) {
    member *m = argument;
    team *t = m->team;
    (void)platform_float_mode_set();
    unsigned seen = 0;
    for (;;) {
        seen = wait_for_work(t, seen);
        if (atomic_load_explicit(&t->stopping, memory_order_relaxed)) {
            return;
        }
        t->function(t->argument, m->worker);
        atomic_fetch_sub_explicit(&t->n_running, 1, memory_order_release);
    }
}

tars_status team_create(unsigned n_workers, team **out, tars_error *err) {
    *out = NULL;
    if (n_workers < 1 || n_workers > TEAM_MAX_WORKERS) {
        return error_set(err, TARS_USAGE, "%u threads; 1 to %u are possible", n_workers,
                         (unsigned)TEAM_MAX_WORKERS);
    }
    team *t = aligned_alloc(64, (sizeof *t + 63) / 64 * 64);
    member *members = calloc(n_workers, sizeof *members);
    if (!t || !members) {
        free(t);
        free(members);
        return error_set(err, TARS_OUT_OF_MEMORY, "no memory for %u threads", n_workers);
    }
    *t = (team){.n_workers = n_workers, .members = members};
    for (unsigned i = 1; i < n_workers; i++) {
        members[i] = (member){.team = t, .worker = i};
        tars_status status = platform_thread_create("tars-worker", member_main, &members[i],
                                                    &members[i].thread, err);
        if (status != TARS_OK) {
            team_destroy(t);
            return status;
        }
        t->n_started++;
    }
    *out = t;
    return TARS_OK;
}

void team_destroy(team *t) {
    if (!t) {
        return;
    }
    atomic_store_explicit(&t->stopping, 1, memory_order_relaxed);
    atomic_fetch_add_explicit(&t->generation, 1, memory_order_release);
    platform_gate_wake_all(&t->generation);
    for (unsigned i = 1; i <= t->n_started; i++) {
        platform_thread_join(&t->members[i].thread);
    }
    free(t->members);
    free(t);
}

void team_run(team *t, void (*function)(void *argument, unsigned worker), void *argument) {
    t->function = function;
    t->argument = argument;
    atomic_store_explicit(&t->n_running, t->n_workers - 1, memory_order_relaxed);
    if (t->n_workers > 1) {
        atomic_fetch_add_explicit(&t->generation, 1, memory_order_release);
        platform_gate_wake_all(&t->generation);
    }
    uint64_t before = platform_float_mode_set();
    function(argument, 0);
    platform_float_mode_restore(before);
    for (unsigned spins = 0; atomic_load_explicit(&t->n_running, memory_order_acquire) != 0;
         spins++) {
        platform_cpu_relax();
        if (spins > 512) {
            team_relax(spins);
        }
    }
}
