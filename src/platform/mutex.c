#include "platform/platform.h"

enum { OPEN = 0, HELD = 1, CONTENDED = 2, SPINS = 64 };

bool platform_mutex_try_lock(platform_mutex *mutex) {
    unsigned expected = OPEN;
    return atomic_compare_exchange_strong_explicit(&mutex->state, &expected, HELD,
                                                   memory_order_acquire, memory_order_relaxed);
}

void platform_mutex_lock(platform_mutex *mutex) {
    for (int i = 0; i < SPINS; i++) {
        if (platform_mutex_try_lock(mutex)) {
            return;
        }
        platform_cpu_relax();
    }
    /* From here on the state is CONTENDED while anybody may be parked, so that unlock wakes. */
    while (atomic_exchange_explicit(&mutex->state, CONTENDED, memory_order_acquire) != OPEN) {
        platform_gate_wait(&mutex->state, CONTENDED, PLATFORM_FOREVER);
    }
}

void platform_mutex_unlock(platform_mutex *mutex) {
    if (atomic_exchange_explicit(&mutex->state, OPEN, memory_order_release) == CONTENDED) {
        platform_gate_wake_one(&mutex->state);
    }
}

bool platform_condition_wait(platform_condition *condition, platform_mutex *mutex,
                             uint64_t timeout_ns) {
    unsigned sequence = atomic_load_explicit(&condition->sequence, memory_order_acquire);
    platform_mutex_unlock(mutex);
    bool woken = platform_gate_wait(&condition->sequence, sequence, timeout_ns);
    platform_mutex_lock(mutex);
    return woken;
}

void platform_condition_wake_all(platform_condition *condition) {
    atomic_fetch_add_explicit(&condition->sequence, 1, memory_order_release);
    platform_gate_wake_all(&condition->sequence);
}
