/* Models in virtual machines of the engine. Ownership: constant table. */
#ifndef RUNTIME_MICROVM_MODELS_H
#define RUNTIME_MICROVM_MODELS_H

#include "runtime/runtime.h"

extern const runtime_functions microvm_models;

#endif
