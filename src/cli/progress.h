/* A progress bar on standard error, drawn only on a terminal and never with --quiet. Ownership:
 * plain memory; it borrows the cli. */
#ifndef CLI_PROGRESS_H
#define CLI_PROGRESS_H

#include "cli/verb.h"

typedef struct progress_step progress_step;

typedef struct progress {
    const cli *cli;
    bool enabled;
    bool drawn;
    char name[32];             /* of the step that is going on, as the library calls it */
    const progress_step *step; /* how it is shown */
    uint64_t step_done;        /* where the step began: a resumed download does not count as fast */
    uint64_t step_ns, drawn_ns;
} progress;

void progress_init(progress *p, const cli *c);
/* A tars_progress: `user` is the progress. False once an interrupt came. */
bool progress_update(void *user, const char *step, uint64_t done, uint64_t total);
/* Removes the bar, so that other lines can be written. */
void progress_clear(progress *p);

#endif
