/* What the configuration says about running WebAssembly (deployment.wasm). Ownership: plain memory;
 * texts are the configuration's. */
#ifndef CLI_WASM_SETTINGS_H
#define CLI_WASM_SETTINGS_H

#include "config/config.h"
#include "runtime/runtime.h"

typedef struct wasm_settings {
    runtime_limits limits;      /* memory, stack and tables; 0: the runtime's default */
    unsigned without_proposals; /* PROPOSAL_… */
    wasi_call_set wasi_refused; /* whatever the profile allows */
    bool keeps_code;
    const char *code_folder; /* of compiled code; NULL: the store's */
} wasm_settings;

/* UNAVAILABLE when deployment.wasm.enabled is false, or when something is asked for that this
 * version does not have. */
tars_status wasm_settings_get(const config *values, wasm_settings *out, tars_error *err);

#endif
