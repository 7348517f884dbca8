/* Compiling a stranger's module in a process of its own, which has nothing but the module, and
 * which is killed when it takes too long or too much: a small module can be made that takes a
 * compiler hours. Ownership: *code is freed with free(). */
#ifndef RUNTIME_WASM_COMPILE_PROCESS_H
#define RUNTIME_WASM_COMPILE_PROCESS_H

#include "runtime/wasm/stranger.h"

/* The verb of tars that is the child, and its main: reads the module from standard input. */
#define COMPILE_CHILD_VERB "internal-compile"
int compile_child_main(int argc, char **argv);

enum {
    COMPILE_TIMEOUT_MS = 60000,
    COMPILE_MAX_CODE_BYTES = 256 << 20,
    COMPILE_MAX_MEMORY_MIB = 2048
};

/* The compiled code, or what the child said. LIMIT when it was killed at a limit. `timeout_ms` 0:
 * COMPILE_TIMEOUT_MS. */
tars_status compile_process_run(const char *program_path, const stranger_code *code,
                                const uint8_t *bytes, size_t length, uint32_t timeout_ms,
                                uint8_t **out, size_t *out_length, tars_error *err);

#endif
