#include "machine/team.h"

#include "engine/barrier.h"
#include "platform/platform.h"
#include "runtime/native/pace.h"

#include <stdlib.h>

enum {
    STACK_BYTES = 256 << 10,
    /* The block that FS points into: the library's code that workers run (copying) uses nothing of
     * it but the canary. */
    THREAD_BYTES = 8 << 10,
    THREAD_BASE = 4 << 10,
    SPINS_BEFORE_PARKING = 20000, /* some hundred microseconds, as from one token to the next */
    SPINS_BEFORE_YIELDING = 4096,
    SPINS_BETWEEN_LOOKS = 64
};

/* On a cache line of its own, as its processor spins on it. */
typedef struct member {
    _Alignas(64) atomic_uint generation; /* grows with each run */
    atomic_uint is_parked;               /* or about to be: a run must wake it */
} member;

static struct {
    unsigned n_most;
    void (*function)(void *argument, unsigned worker);
    void *argument;
    pace pace;
    uint64_t ticks_per_ms;
    atomic_uint_least64_t waited; /* ticks that workers lost in long waits */
    member members[ENGINE_MAX_WORKERS];
    _Alignas(64) atomic_uint n_running;
} team;

static unsigned wait_for_work(member *m, unsigned seen) {
    unsigned now;
    for (unsigned i = 0; i < SPINS_BEFORE_PARKING; i++) {
        now = atomic_load_explicit(&m->generation, memory_order_acquire);
        if (now != seen) {
            return now;
        }
        barrier_pause();
    }
    /* Sequentially consistent, as is call_member: either it sees the mark or the host sees its
     * generation. */
    atomic_store(&m->is_parked, 1);
    while ((now = atomic_load(&m->generation)) == seen) {
        (void)engine_call(ENGINE_CALL_PARK, (uint64_t)(uintptr_t)&m->generation, seen);
    }
    atomic_store_explicit(&m->is_parked, 0, memory_order_relaxed);
    return now;
}

ENGINE_UNCHECKED static _Noreturn void worker_main(uint64_t worker) {
    engine_renew_checks();
    member *m = &team.members[worker];
    unsigned seen = 0;
    (void)platform_float_mode_set();
    for (;;) {
        seen = wait_for_work(m, seen);
        team.function(team.argument, (unsigned)worker);
        atomic_fetch_sub_explicit(&team.n_running, 1, memory_order_release);
    }
}

/* Waits get long when the host has no time for all processors. */
static void relax(void *context, unsigned spins) {
    static _Thread_local uint64_t last; /* in this wait */
    (void)context;
    if (spins == BARRIER_SPINS) {
        last = __builtin_ia32_rdtsc();
    }
    if (spins % SPINS_BETWEEN_LOOKS != SPINS_BETWEEN_LOOKS - 1) {
        return;
    }
    if (spins >= SPINS_BEFORE_YIELDING) {
        (void)engine_call(ENGINE_CALL_YIELD, 0, 0);
    }
    uint64_t now = __builtin_ia32_rdtsc();
    atomic_fetch_add_explicit(&team.waited, now - last, memory_order_relaxed);
    last = now;
}

static uint64_t now_ns(void) {
    return (uint64_t)((unsigned __int128)__builtin_ia32_rdtsc() * 1000000 / team.ticks_per_ms);
}

static unsigned choose(void) {
    return pace_workers(&team.pace, now_ns());
}

static void run(unsigned n_workers, void (*function)(void *argument, unsigned worker),
                void *argument) {
    uint64_t begin_ns = now_ns();
    team.function = function;
    team.argument = argument;
    atomic_store_explicit(&team.n_running, n_workers - 1, memory_order_relaxed);
    for (unsigned i = 1; i < n_workers; i++) {
        member *m = &team.members[i];
        atomic_fetch_add(&m->generation, 1);
        if (atomic_load(&m->is_parked)) {
            (void)engine_call(ENGINE_CALL_WAKE, (uint64_t)(uintptr_t)&m->generation, 0);
        }
    }
    function(argument, 0);
    for (unsigned spins = 0; atomic_load_explicit(&team.n_running, memory_order_acquire) != 0;
         spins++) {
        barrier_pause();
        if (spins >= BARRIER_SPINS) {
            relax(NULL, spins);
        }
    }
    uint64_t end_ns = now_ns();
    uint64_t waited = atomic_exchange_explicit(&team.waited, 0, memory_order_relaxed);
    pace_note(&team.pace, end_ns, end_ns - begin_ns, waited * 1000000 / team.ticks_per_ms);
}

static serve_team serving = {.n_workers = 1, .choose = choose, .run = run, .relax = relax};

bool engine_team_open(unsigned n_workers, engine_ready *ready) {
    if (n_workers < 1 || n_workers > ENGINE_MAX_WORKERS) {
        return false;
    }
    team.n_most = n_workers;
    if (n_workers == 1) {
        return true;
    }
    uint8_t *stacks = aligned_alloc(64, (size_t)n_workers * STACK_BYTES);
    uint8_t *threads = calloc(n_workers, THREAD_BYTES);
    if (!stacks || !threads) {
        return false;
    }
    ready->worker_entry = (uint64_t)(uintptr_t)worker_main;
    ready->stacks = (uint64_t)(uintptr_t)stacks - 8; /* as after a call */
    ready->stack_bytes = STACK_BYTES;
    ready->threads = (uint64_t)(uintptr_t)threads - THREAD_BYTES + THREAD_BASE;
    ready->thread_bytes = THREAD_BYTES;
    return true;
}

const serve_team *engine_team(void) {
    return &serving;
}

void engine_team_start(unsigned n_workers, uint64_t ticks_per_ms) {
    bool fits = n_workers >= 1 && n_workers <= team.n_most && ticks_per_ms > 0;
    serving.n_workers = fits ? n_workers : 1;
    team.ticks_per_ms = ticks_per_ms;
    pace_init(&team.pace, serving.n_workers);
}
