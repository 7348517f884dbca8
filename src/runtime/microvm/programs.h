/* Programs in micro-VMs behind the interface of runtimes. Ownership: a constant table. */
#ifndef RUNTIME_MICROVM_PROGRAMS_H
#define RUNTIME_MICROVM_PROGRAMS_H

#include "runtime/microvm/machine.h"
#include "runtime/runtime.h"

/* Whether this build has the runtime. */
bool microvm_is_built_in(void);
/* Whether machines can be made here. UNAVAILABLE with the reason. */
tars_status microvm_probe(tars_error *err);
extern const runtime_functions microvm_programs;
/* Runs a program in a machine in this process, as the runtime does; the outcome is given back with
 * runtime_outcome_free. */
tars_status microvm_run(const machine_program *program, const machine_limits *limits,
                        linux_options *options, runtime_outcome *out, tars_error *err);

#endif
