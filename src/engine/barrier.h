/* A barrier for the workers of one forward pass: atomics only, no operating system. Ownership: the
 * caller's memory, shared by the workers. */
#ifndef ENGINE_BARRIER_H
#define ENGINE_BARRIER_H

#include <stdatomic.h>
#include <stdint.h>

typedef struct barrier {
    _Alignas(64) atomic_uint arrived;
    _Alignas(64) atomic_uint generation;
    _Alignas(64) unsigned n_workers;
    /* Called when a wait gets long, with the number of spins so far, BARRIER_SPINS at first; may
     * be NULL. Handed in by whoever owns the threads (it yields and measures). */
    void (*relax)(void *context, unsigned spins);
    void *relax_context;
} barrier;

enum { BARRIER_SPINS = 512 }; /* some ten microseconds */

static inline void barrier_init(barrier *b, unsigned n_workers,
                                void (*relax)(void *context, unsigned spins), void *context) {
    atomic_init(&b->arrived, 0);
    atomic_init(&b->generation, 0);
    b->n_workers = n_workers;
    b->relax = relax;
    b->relax_context = context;
}

static inline void barrier_pause(void) {
#if defined(__x86_64__) || defined(__i386__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("yield");
#endif
}

static inline void barrier_wait(barrier *b) {
    if (b->n_workers == 1) {
        return;
    }
    unsigned generation = atomic_load_explicit(&b->generation, memory_order_relaxed);
    if (atomic_fetch_add_explicit(&b->arrived, 1, memory_order_acq_rel) + 1 == b->n_workers) {
        atomic_store_explicit(&b->arrived, 0, memory_order_relaxed);
        atomic_fetch_add_explicit(&b->generation, 1, memory_order_release);
        return;
    }
    for (unsigned spins = 0;
         atomic_load_explicit(&b->generation, memory_order_acquire) == generation; spins++) {
        barrier_pause();
        if (spins >= BARRIER_SPINS && b->relax) {
            b->relax(b->relax_context, spins);
        }
    }
}

#endif
