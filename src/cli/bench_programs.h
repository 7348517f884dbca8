/* The benchmark of strangers' programs in WebAssembly. Ownership: as bench_llm.h. */
#ifndef CLI_BENCH_PROGRAMS_H
#define CLI_BENCH_PROGRAMS_H

#include "cli/bench_llm.h"

/* A fresh instance of a small program: until its first instruction, from request to result, how
 * many such requests a second, and the memory of many instances that wait at once. */
tars_status bench_programs(client *session, const bench_plan *plan, bench_report *out,
                           tars_error *err);

#endif
