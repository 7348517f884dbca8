#include "runtime/native/team.h"

#include "engine/barrier.h"
#include "platform/platform.h"

#include <assert.h>
#include <stdlib.h>

enum { SPINS_BEFORE_PARKING = 2000 };

/* On a cache line of its own, as its thread spins on it. */
typedef struct member {
    _Alignas(64) atomic_uint generation; /* grows with each run it takes part in; its gate */
    atomic_uint is_parked;               /* or about to be: a run must wake it */
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
    _Alignas(64) atomic_uint n_running;
    atomic_uint stopping;
    _Alignas(64) atomic_uint_least64_t waited_ns;
};

void team_relax(void *context, unsigned spins) {
    static _Thread_local uint64_t last_ns; /* in this wait */
    team *t = context;
    if (spins % 8 != 0) {
        return;
    }
    if (spins == BARRIER_SPINS) {
        last_ns = platform_clock_ns();
    }
    platform_yield();
    uint64_t now_ns = platform_clock_ns();
    atomic_fetch_add_explicit(&t->waited_ns, now_ns - last_ns, memory_order_relaxed);
    last_ns = now_ns;
}

uint64_t team_waited_ns(team *t) {
    return atomic_exchange_explicit(&t->waited_ns, 0, memory_order_relaxed);
}

unsigned team_size(const team *t) {
    return t->n_workers;
}

static unsigned wait_for_work(member *m, unsigned seen) {
    for (unsigned i = 0; i < SPINS_BEFORE_PARKING; i++) {
        unsigned now = atomic_load_explicit(&m->generation, memory_order_acquire);
        if (now != seen) {
            return now;
        }
        platform_cpu_relax();
    }
    /* Sequentially consistent, as is call_member: either it sees the mark or the gate sees its
     * generation. */
    atomic_store(&m->is_parked, 1);
    unsigned now = atomic_load(&m->generation);
    while (now == seen) {
        (void)platform_gate_wait(&m->generation, seen, PLATFORM_FOREVER);
        now = atomic_load(&m->generation);
    }
    atomic_store_explicit(&m->is_parked, 0, memory_order_relaxed);
    return now;
}

static void call_member(member *m) {
    atomic_fetch_add(&m->generation, 1);
    if (atomic_load(&m->is_parked)) {
        platform_gate_wake_all(&m->generation);
    }
}

static void member_main(void *argument) {
    member *m = argument;
    team *t = m->team;
    (void)platform_float_mode_set();
    unsigned seen = 0;
    for (;;) {
        seen = wait_for_work(m, seen);
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
    team *t = aligned_alloc(64, sizeof *t);
    member *members = aligned_alloc(64, n_workers * sizeof *members);
    if (!t || !members) {
        free(t);
        free(members);
        return error_set(err, TARS_OUT_OF_MEMORY, "no memory for %u threads", n_workers);
    }
    *t = (team){.n_workers = n_workers, .members = members};
    for (unsigned i = 0; i < n_workers; i++) {
        members[i] = (member){.team = t, .worker = i};
    }
    for (unsigned i = 1; i < n_workers; i++) {
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
    for (unsigned i = 1; i <= t->n_started; i++) {
        call_member(&t->members[i]);
        platform_thread_join(&t->members[i].thread);
    }
    free(t->members);
    free(t);
}

void team_run(team *t, unsigned n_workers, void (*function)(void *argument, unsigned worker),
              void *argument) {
    assert(n_workers >= 1 && n_workers <= t->n_workers);
    t->function = function;
    t->argument = argument;
    atomic_store_explicit(&t->n_running, n_workers - 1, memory_order_relaxed);
    for (unsigned i = 1; i < n_workers; i++) {
        call_member(&t->members[i]);
    }
    uint64_t before = platform_float_mode_set();
    function(argument, 0);
    platform_float_mode_restore(before);
    for (unsigned spins = 0; atomic_load_explicit(&t->n_running, memory_order_acquire) != 0;
         spins++) {
        platform_cpu_relax();
        if (spins >= BARRIER_SPINS) {
            team_relax(t, spins);
        }
    }
}
