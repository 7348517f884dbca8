/* A module file as a verb gets it: its bytes, its digest, what it says about itself. Ownership:
 * wasm_source_close gives everything back, also after a failure. */
#ifndef CLI_WASM_SOURCE_H
#define CLI_WASM_SOURCE_H

#include "base/sha256.h"
#include "cli/input.h"
#include "runtime/module/module_file.h"

typedef struct wasm_source {
    input_text input;
    const uint8_t *bytes;
    size_t length;
    char sha256[SHA256_HEX_BYTES];
    void *memory; /* of the arena */
    size_t memory_bytes;
    module_file module;
    tars_error failure; /* of reading the module's sections; status TARS_OK: all was read */
} wasm_source;

/* Reads the file, "-" is standard input. Fails when it is no module at all; a module that is
 * malformed further on is in *out with `failure` set. */
tars_status wasm_source_open(const char *path, wasm_source *out, tars_error *err);
void wasm_source_close(wasm_source *source);

#endif
