/* The benchmark of starts. Ownership: as bench_llm.h. */
#ifndef CLI_BENCH_START_H
#define CLI_BENCH_START_H

#include "cli/bench_llm.h"

/* How long a fresh instance of a small program takes and, with a model (plan->model may be ""), a
 * fresh sandboxed engine over it until it has answered its first call; and what many of either take
 * at once. */
tars_status bench_start(client *session, const bench_plan *plan, bench_report *out,
                        tars_error *err);

#endif
