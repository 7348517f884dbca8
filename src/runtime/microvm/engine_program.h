/* The bytes of the engine's program for a machine, linked in; empty when the build has none.
 * Ownership: constant data. */
#ifndef RUNTIME_MICROVM_ENGINE_PROGRAM_H
#define RUNTIME_MICROVM_ENGINE_PROGRAM_H

#include "base/error.h"

#include <stdint.h>

extern const uint8_t engine_program[];
extern const uint64_t engine_program_bytes;
/* UNAVAILABLE when there is none. */
tars_status engine_program_check(tars_error *err);

#endif
