#include "platform/platform.h"

#include <pthread.h>
#include <time.h>

/* The system's own way to wait on an address is private, so a few mutexes with conditions stand
 * for all gates; the address chooses one. A wake-up may reach others, who look again. */
typedef struct gate_slot {
    pthread_mutex_t mutex;
    pthread_cond_t condition;
} gate_slot;

#define SLOT {PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER}
static gate_slot slots[8] = {SLOT, SLOT, SLOT, SLOT, SLOT, SLOT, SLOT, SLOT};

static gate_slot *slot_of(const atomic_uint *gate) {
    uintptr_t address = (uintptr_t)gate;
    return &slots[(address >> 6 ^ address >> 2) % 8];
}

bool platform_gate_wait(atomic_uint *gate, unsigned expected, uint64_t timeout_ns) {
    gate_slot *slot = slot_of(gate);
    int result = 0;
    (void)pthread_mutex_lock(&slot->mutex);
    if (atomic_load(gate) == expected) {
        if (timeout_ns == PLATFORM_FOREVER) {
            result = pthread_cond_wait(&slot->condition, &slot->mutex);
        } else {
            struct timespec limit = {.tv_sec = (time_t)(timeout_ns / 1000000000u),
                                     .tv_nsec = (long)(timeout_ns % 1000000000u)};
            result = pthread_cond_timedwait_relative_np(&slot->condition, &slot->mutex, &limit);
        }
    }
    (void)pthread_mutex_unlock(&slot->mutex);
    return result == 0;
}

void platform_gate_wake_all(atomic_uint *gate) {
    gate_slot *slot = slot_of(gate);
    (void)pthread_mutex_lock(&slot->mutex); /* nobody is between looking and waiting */
    (void)pthread_cond_broadcast(&slot->condition);
    (void)pthread_mutex_unlock(&slot->mutex);
}

/* The one that is woken could belong to another gate of the slot: wake all. */
void platform_gate_wake_one(atomic_uint *gate) {
    platform_gate_wake_all(gate);
}
