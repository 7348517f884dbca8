#include "platform/platform.h"
#include "support/check.h"

#include <pthread.h>
#include <signal.h>
#include <string.h>

typedef struct shared_state {
    platform_mutex mutex;
    platform_condition condition;
    atomic_uint gate;
    uint64_t counter; /* under the mutex */
    unsigned turn;    /* under the mutex */
    char name[32];
    bool signals_blocked;
} shared_state;

static void look_around(void *argument) {
    shared_state *s = argument;
    pthread_getname_np(pthread_self(), s->name, sizeof s->name);
    sigset_t blocked;
    pthread_sigmask(SIG_BLOCK, NULL, &blocked);
    s->signals_blocked = sigismember(&blocked, SIGINT) == 1 &&
                         sigismember(&blocked, SIGTERM) == 1 &&
                         sigismember(&blocked, SIGBUS) == 0 && sigismember(&blocked, SIGSEGV) == 0;
}

static void threads_start_and_end(void) {
    shared_state s = {.counter = 0};
    platform_thread thread;
    tars_error err;
    CHECK_INT(platform_thread_create("a rather long name", look_around, &s, &thread, &err),
              TARS_OK);
    platform_thread_join(&thread);
    platform_thread_join(&thread);
    CHECK_STRING(s.name, "a rather long n");
    CHECK(s.signals_blocked);
    sigset_t blocked;
    pthread_sigmask(SIG_BLOCK, NULL, &blocked);
    CHECK_INT(sigismember(&blocked, SIGINT), 0);
}

enum { N_THREADS = 4, N_TURNS = 20000 };

static void count_up(void *argument) {
    shared_state *s = argument;
    for (int i = 0; i < N_TURNS; i++) {
        platform_mutex_lock(&s->mutex);
        s->counter++;
        platform_mutex_unlock(&s->mutex);
    }
}

static void run_threads(void (*function)(void *), void *argument) {
    platform_thread threads[N_THREADS];
    tars_error err;
    for (int i = 0; i < N_THREADS; i++) {
        CHECK_INT(platform_thread_create("test", function, argument, &threads[i], &err), TARS_OK);
    }
    for (int i = 0; i < N_THREADS; i++) {
        platform_thread_join(&threads[i]);
    }
}

static void a_mutex_excludes(void) {
    shared_state s = {.counter = 0};
    run_threads(count_up, &s);
    CHECK_INT(s.counter, N_THREADS * N_TURNS);
    CHECK(platform_mutex_try_lock(&s.mutex));
    CHECK(!platform_mutex_try_lock(&s.mutex));
    platform_mutex_unlock(&s.mutex);
    CHECK(platform_mutex_try_lock(&s.mutex));
    platform_mutex_unlock(&s.mutex);
}

/* The threads take turns in order; each waits for its own. */
static void take_turns(void *argument) {
    shared_state *s = argument;
    platform_mutex_lock(&s->mutex);
    unsigned mine = (unsigned)s->counter++;
    for (int i = 0; i < 500; i++) {
        while (s->turn % N_THREADS != mine) {
            platform_condition_wait(&s->condition, &s->mutex, PLATFORM_FOREVER);
        }
        s->turn++;
        platform_condition_wake_all(&s->condition);
    }
    platform_mutex_unlock(&s->mutex);
}

static void conditions_wake(void) {
    shared_state s = {.counter = 0};
    run_threads(take_turns, &s);
    CHECK_INT(s.turn, N_THREADS * 500);
    platform_mutex_lock(&s.mutex);
    uint64_t before = platform_clock_ns();
    CHECK(!platform_condition_wait(&s.condition, &s.mutex, 20000000));
    CHECK(platform_clock_ns() - before >= 20000000);
    platform_mutex_unlock(&s.mutex);
}

static void park(void *argument) {
    shared_state *s = argument;
    while (atomic_load(&s->gate) == 0) {
        platform_gate_wait(&s->gate, 0, PLATFORM_FOREVER);
    }
    platform_mutex_lock(&s->mutex);
    s->counter++;
    platform_mutex_unlock(&s->mutex);
}

static void a_gate_parks_and_wakes(void) {
    shared_state s = {.counter = 0};
    uint64_t before = platform_clock_ns();
    CHECK(!platform_gate_wait(&s.gate, 0, 20000000));
    CHECK(platform_clock_ns() - before >= 20000000);
    CHECK(platform_gate_wait(&s.gate, 1, PLATFORM_FOREVER)); /* another value: no waiting */

    platform_thread threads[N_THREADS];
    tars_error err;
    for (int i = 0; i < N_THREADS; i++) {
        CHECK_INT(platform_thread_create("parked", park, &s, &threads[i], &err), TARS_OK);
    }
    uint64_t cpu_before = platform_process_cpu_ns();
    platform_sleep_ns(100000000);
    CHECK(platform_process_cpu_ns() - cpu_before < 50000000); /* parked, not spinning */
    platform_mutex_lock(&s.mutex);
    CHECK_INT(s.counter, 0);
    platform_mutex_unlock(&s.mutex);
    atomic_store(&s.gate, 1);
    platform_gate_wake_all(&s.gate);
    for (int i = 0; i < N_THREADS; i++) {
        platform_thread_join(&threads[i]);
    }
    CHECK_INT(s.counter, N_THREADS);
}

/* 1e-30 · 1e-10 is denormal in single precision: 0 when denormals are flushed. */
static float denormal_product(void) {
    volatile float a = 1e-30f;
    volatile float b = 1e-10f;
    return a * b;
}

static void flush_to_zero(void) {
#if defined(__x86_64__)
    __builtin_ia32_ldmxcsr(0x9FC0);
#elif defined(__aarch64__)
    __asm__ volatile("msr fpcr, %0" : : "r"((uint64_t)1 << 24));
#endif
}

static void the_float_mode_is_ours(void) {
    uint64_t start = platform_float_mode_set();
    CHECK(denormal_product() != 0);
    flush_to_zero();
    CHECK(denormal_product() == 0);
    uint64_t flushing = platform_float_mode_set();
    CHECK(denormal_product() != 0);
    platform_float_mode_restore(flushing);
    CHECK(denormal_product() == 0);
    platform_float_mode_restore(start);
}

static const check_test tests[] = {
    {"threads start and end", threads_start_and_end},
    {"a mutex excludes", a_mutex_excludes},
    {"conditions wake", conditions_wake},
    {"a gate parks and wakes", a_gate_parks_and_wakes},
    {"the float mode is ours", the_float_mode_is_ours},
};
CHECK_MAIN(tests)
