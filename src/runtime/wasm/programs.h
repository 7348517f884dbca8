/* Strangers' WebAssembly programs behind the interface of runtimes. Ownership: a constant table. */
#ifndef RUNTIME_WASM_PROGRAMS_H
#define RUNTIME_WASM_PROGRAMS_H

#include "runtime/runtime.h"

extern const runtime_functions stranger_programs;

#endif
