/* The bytes of the engine guest, linked in; empty when the build had no compiler for it.
 * Ownership: constant data. */
#ifndef RUNTIME_WASM_GUEST_PROGRAM_H
#define RUNTIME_WASM_GUEST_PROGRAM_H

#include <stdint.h>

extern const uint8_t guest_program[];
extern const uint64_t guest_program_bytes;

#endif
