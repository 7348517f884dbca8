/* Machines of one snapshot, made ahead by a thread of the pool so that a request finds one ready. A
 * machine that was given out never comes back: whoever has done with it gives it up, and it is
 * destroyed, on that thread too.
 *
 * Nothing is made ahead until more requests came than a program with one question makes; then as
 * many as its options say are kept ready of each number of processors that was asked for, more when
 * that was too few, and none again when nobody asked for long. While the processors of this machine
 * have time, those that are ready serve a request of ours and are reset: what it costs to touch
 * pages first, the weights' above all, no request pays then.
 *
 * Ownership: create to destroy, after all machines were given up; the snapshot lives longer. Any
 * number of threads. */
#ifndef RUNTIME_MICROVM_ENGINE_POOL_H
#define RUNTIME_MICROVM_ENGINE_POOL_H

#include "runtime/microvm/engine_machine.h"

typedef struct engine_pool engine_pool;

typedef struct engine_pool_options {
    unsigned n_patient; /* requests before any machine is made ahead */
    unsigned n_target;  /* kept ready of one number of processors */
    unsigned n_most;    /* ready at any time, of all */
    uint64_t idle_ns;   /* without a request: back to the target */
    uint64_t rest_ns;   /* without a request: none is kept */
    bool warms;         /* those that are ready serve a request of ours */
} engine_pool_options;
extern const engine_pool_options engine_pool_defaults;

typedef struct engine_pool_counts {
    uint64_t n_taken, n_found;  /* machines that were asked for, that were ready then */
    uint64_t n_made, n_warmed;  /* by the thread */
    uint64_t n_destroyed;       /* by the thread */
    uint64_t n_failed;          /* that could not be made ahead, or not be warmed */
    unsigned n_ready, n_buried; /* now: ready; given up and not yet destroyed */
    unsigned n_cold;            /* now, of those that are ready: still to be warmed */
} engine_pool_counts;

tars_status engine_pool_create(const engine_snapshot *snapshot, const engine_pool_options *options,
                               engine_pool **out, tars_error *err);
/* Also while machines are being made. */
void engine_pool_destroy(engine_pool *pool);
/* A machine that has served nobody, ready or made now. */
tars_status engine_pool_take(engine_pool *pool, const engine_wish *wish, engine_machine **out,
                             tars_error *err);
/* `m` may be NULL. Waits for its end only when too many wait for theirs. */
void engine_pool_give_up(engine_pool *pool, engine_machine *m);
/* From now on so many are kept ready for such requests, as if they had come. Returns at once. */
tars_status engine_pool_warm(engine_pool *pool, const engine_wish *wish, unsigned count,
                             tars_error *err);
void engine_pool_count(engine_pool *pool, engine_pool_counts *out);

#endif
