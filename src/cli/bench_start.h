/* The benchmark of starts. Ownership: as bench_llm.h. */
#ifndef CLI_BENCH_START_H
#define CLI_BENCH_START_H

#include "cli/bench_llm.h"

/* How long a fresh sandboxed engine over the model takes until it has answered its first call. */
tars_status bench_start(client *session, const bench_plan *plan, bench_report *out,
                        tars_error *err);

#endif
