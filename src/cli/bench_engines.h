/* The benchmark of engines in micro-VMs. Ownership: as bench_llm.h. */
#ifndef CLI_BENCH_ENGINES_H
#define CLI_BENCH_ENGINES_H

#include "api/model_api.h"
#include "cli/bench_llm.h"

/* What each step of a machine takes that is made from the snapshot of the engine with a model, what
 * the pool makes of it, the memory of many at once, and the first touch of the weights. */
tars_status bench_engines(client *session, const bench_plan *plan, const tars_model *m,
                          bench_report *out, tars_error *err);
/* What leaving a virtual machine costs, and a message through shared memory to who waits for it. */
tars_status bench_exits(const bench_plan *plan, bench_report *out, tars_error *err);

#endif
