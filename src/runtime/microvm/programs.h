/* Programs in micro-VMs behind the interface of runtimes. Ownership: a constant table. */
#ifndef RUNTIME_MICROVM_PROGRAMS_H
#define RUNTIME_MICROVM_PROGRAMS_H

#include "runtime/runtime.h"

/* Whether this build has the runtime. */
bool microvm_is_built_in(void);
/* Whether machines can be made here. UNAVAILABLE with the reason. */
tars_status microvm_probe(tars_error *err);
extern const runtime_functions microvm_programs;

#endif
