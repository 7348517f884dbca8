/* Programs of strangers as WebAssembly: compiled by an engine of their own, which never has a
 * model's weights in reach, and run one fresh instance at a time under limits.
 *
 * Ownership: a module is made by stranger_open and given back with stranger_close; it may be run by
 * any number of threads at once. Options are borrowed for a call; a result is given back with
 * stranger_result_free. */
#ifndef RUNTIME_WASM_STRANGER_H
#define RUNTIME_WASM_STRANGER_H

#include "runtime/usage.h"
#include "runtime/wasi/wasi.h"
#include "runtime/wasm/artifacts.h"
#include "runtime/wasm/stranger_code.h"

typedef struct stranger_module stranger_module;

enum { STRANGER_MAX_MODULE_BYTES = 64 << 20 };

/* All of them hold. */
typedef struct stranger_limits {
    uint64_t memory_bytes; /* of linear memory, whole pages of 64 KiB */
    uint32_t table_elements;
    uint64_t fuel; /* with stranger_code.fuel */
    uint64_t timeout_ns;
    uint64_t output_bytes, file_bytes;
    uint32_t n_files;
} stranger_limits;

typedef enum stranger_status {
    STRANGER_OK,     /* it ended by itself; `exit_code` is its own */
    STRANGER_TRAP,   /* it failed: `message` says where */
    STRANGER_LIMIT,  /* it was ended at a limit, the one that `limit` names */
    STRANGER_DENIED, /* it was refused something and then did not end with 0 */
    STRANGER_STATUS_COUNT
} stranger_status;

typedef struct stranger_result {
    stranger_status status;
    int exit_code;     /* -1 after a trap, or a limit that ended it */
    const char *limit; /* "memory", "table", "fuel", "time", "output", "file_size", "stack" */
    char message[256]; /* of a trap, with the functions that were running */
    wasi_bytes output, errors; /* freed by stranger_result_free */
    runtime_usage usage;
    runtime_violations violations;
    wasi_context *wasi;        /* holds the outputs */
    wasi_options wasi_options; /* that it borrows */
} stranger_result;

/* What the program gets; `wasi` without its limits, which `limits` has. */
typedef struct stranger_options {
    stranger_limits limits;
    wasi_options wasi;
} stranger_options;

/* Whether the bytes are a module that could run here: MALFORMED with the offset when they are not
 * valid, UNSUPPORTED when they need a proposal that is not served, LIMIT when there are too many.
 * UNAVAILABLE without Wasmtime. */
tars_status stranger_validate(const uint8_t *bytes, size_t length, tars_error *err);

/* Compiles, or takes what `artifacts` (may be NULL) kept of an earlier time. Imports are looked up:
 * UNSUPPORTED, with its name, for one that is no function of WASI preview 1, and for one of another
 * type. */
tars_status stranger_open(const uint8_t *bytes, size_t length, const stranger_code *code,
                          const wasm_artifacts *artifacts, stranger_module **out, tars_error *err);
void stranger_close(stranger_module *module);

/* Runs _start in a fresh instance, to its end. Fails, with nothing run, when it cannot be started;
 * CANCELLED when options.wasi.goes_on said no. */
tars_status stranger_run(const stranger_module *module, const stranger_options *options,
                         stranger_result *out, tars_error *err);
void stranger_result_free(stranger_result *result);
const char *stranger_status_name(stranger_status status);

#endif
