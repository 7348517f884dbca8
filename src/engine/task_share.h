/* Deals the tasks of a phase out to the workers of a forward pass. Each worker takes a run of
 * neighbouring tasks, so that it streams its part of the weights in order (tasks dealt out one by
 * one cost a third of the memory's bandwidth), and helps the others when its own run is done.
 * Ownership: the counters are the caller's, one for each worker; a task_share is one worker's own.
 *
 * Two sets of counters take turns: in a phase, each worker clears its own counter of the next one.
 * So every phase must end with a barrier, and all workers must go through the same phases. */
#ifndef ENGINE_TASK_SHARE_H
#define ENGINE_TASK_SHARE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>

typedef struct task_counter {
    _Alignas(64) atomic_size_t taken[2]; /* tasks of this worker's run that somebody has taken */
} task_counter;

typedef struct task_share {
    task_counter *counters; /* [n_workers] */
    unsigned n_workers;
    unsigned worker;
    unsigned set;   /* of counters, 0 or 1 */
    unsigned owner; /* whose run it takes from now; worker + n_workers: nothing is left */
    size_t n_tasks;
} task_share;

/* Before the first phase of a pass, on one thread, while no worker runs. */
static inline void task_counters_clear(task_counter *counters, unsigned n_workers) {
    for (unsigned i = 0; i < n_workers; i++) {
        atomic_init(&counters[i].taken[0], 0);
        atomic_init(&counters[i].taken[1], 0);
    }
}

static inline task_share task_share_of(task_counter *counters, unsigned n_workers,
                                       unsigned worker) {
    return (task_share){.counters = counters, .n_workers = n_workers, .worker = worker, .set = 1};
}

/* Starts a phase of n_tasks. */
static inline void task_share_begin(task_share *s, size_t n_tasks) {
    atomic_store_explicit(&s->counters[s->worker].taken[s->set], 0, memory_order_relaxed);
    s->set ^= 1;
    s->owner = s->worker;
    s->n_tasks = n_tasks;
}

/* The next task in *task; false when all have been taken. */
static inline bool task_share_next(task_share *s, size_t *task) {
    for (; s->owner < s->worker + s->n_workers; s->owner++) {
        unsigned owner = s->owner < s->n_workers ? s->owner : s->owner - s->n_workers;
        size_t begin = s->n_tasks * owner / s->n_workers;
        size_t count = s->n_tasks * (owner + 1) / s->n_workers - begin;
        atomic_size_t *taken = &s->counters[owner].taken[s->set];
        if (atomic_load_explicit(taken, memory_order_relaxed) >= count) {
            continue;
        }
        size_t index = atomic_fetch_add_explicit(taken, 1, memory_order_relaxed);
        if (index < count) {
            *task = begin + index;
            return true;
        }
    }
    return false;
}

#endif
