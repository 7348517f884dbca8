/* The benchmark of strangers' programs in sandboxes. Ownership: as bench_llm.h. */
#ifndef CLI_BENCH_PROGRAMS_H
#define CLI_BENCH_PROGRAMS_H

#include "cli/bench_llm.h"

/* A fresh instance of a small program in plan->runtime (auto: wasm): until its first instruction,
 * from request to result, how many such requests a second, and the memory of many instances that
 * wait at once. */
tars_status bench_programs(const bench_plan *plan, bench_report *out, tars_error *err);

#endif
