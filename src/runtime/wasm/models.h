/* The engine over a model in WebAssembly behind the interface of runtimes. Ownership: a constant
 * table. */
#ifndef RUNTIME_WASM_MODELS_H
#define RUNTIME_WASM_MODELS_H

#include "runtime/runtime.h"

/* Every request that the wire knows. */
extern const runtime_functions wasm_models;

#endif
