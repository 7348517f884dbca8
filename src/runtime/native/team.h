/* A team of threads that run one function together, the caller being worker 0. Threads that have
 * nothing to do spin for a few microseconds and then park. Ownership: created and destroyed by
 * one owner; one thread at a time may call team_run. */
#ifndef RUNTIME_NATIVE_TEAM_H
#define RUNTIME_NATIVE_TEAM_H

#include "base/error.h"

#include <stdint.h>

typedef struct team team;

enum { TEAM_MAX_WORKERS = 256 };

/* n_workers ≥ 1 includes the caller. UNAVAILABLE when threads cannot be had. */
tars_status team_create(unsigned n_workers, team **out, tars_error *err);
void team_destroy(team *t);
unsigned team_size(const team *t);
/* Calls function(argument, worker) on the first n_workers (1 to team_size) workers, with the float
 * mode that the arithmetic requires, and returns when all are done. */
void team_run(team *t, unsigned n_workers, void (*function)(void *argument, unsigned worker),
              void *argument);
/* What a barrier calls when a wait gets long: yields, so that an oversubscribed machine goes on.
 * `context` is the team, which adds up how long such waits were. */
void team_relax(void *context, unsigned spins);
/* Worker-time lost in long waits since the last call. */
uint64_t team_waited_ns(team *t);

#endif
