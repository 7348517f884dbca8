/* The benchmark of the audit log. Ownership: as bench_llm.h. */
#ifndef CLI_BENCH_AUDIT_H
#define CLI_BENCH_AUDIT_H

#include "cli/bench_llm.h"

/* How long a record takes to append under each policy of fsync, in a log of its own below the store
 * that is removed again, and how long one takes to be proven. */
tars_status bench_audit(client *session, const bench_plan *plan, bench_report *out,
                        tars_error *err);

#endif
