/* Programs in process sandboxes behind the interface of runtimes. Ownership: a constant table. */
#ifndef RUNTIME_PROCESS_PROGRAMS_H
#define RUNTIME_PROCESS_PROGRAMS_H

#include "runtime/runtime.h"

extern const runtime_functions process_programs;

#endif
