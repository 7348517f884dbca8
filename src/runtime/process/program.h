/* What must be known of a program file before it is started. Ownership: nothing is kept. */
#ifndef RUNTIME_PROCESS_PROGRAM_H
#define RUNTIME_PROCESS_PROGRAM_H

#include "platform/platform.h"

enum { PROGRAM_INTERPRETER_BYTES = 256 };

/* The loader that a dynamically linked ELF program names, or "" for a static one. UNSUPPORTED for
 * scripts and for what is no ELF program of 64 bits. */
tars_status program_interpreter(const char *path, char out[PROGRAM_INTERPRETER_BYTES],
                                tars_error *err);

#endif
