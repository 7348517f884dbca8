/* How many workers the next step of a forward pass gets. On a machine with other work to do, the
 * workers of a step wait for the one that does not run; then fewer are faster. Ownership: the
 * caller's memory, one thread at a time. */
#ifndef RUNTIME_NATIVE_PACE_H
#define RUNTIME_NATIVE_PACE_H

#include <stdint.h>

typedef struct pace {
    unsigned n_max;
    unsigned n_now;
    uint64_t retry_at_ns; /* when more workers are tried again */
} pace;

void pace_init(pace *p, unsigned n_max);
/* For a step that begins now: 1 … n_max. */
unsigned pace_workers(pace *p, uint64_t now_ns);
/* The step took so long; its workers together lost waited_ns in long waits for one another. */
void pace_note(pace *p, uint64_t now_ns, uint64_t step_ns, uint64_t waited_ns);

#endif
