/* One request in one fresh instance of the engine guest. Ownership: everything is borrowed for the
 * call; the instance is gone when it returns. Any number of threads may call it at once. */
#ifndef RUNTIME_WASM_RUN_H
#define RUNTIME_WASM_RUN_H

#include "platform/platform.h"
#include "runtime/guest_client.h"
#include "runtime/wasm/artifacts.h"

/* Whether this build has the runtime. */
bool wasm_is_built_in(void);
/* The version of Wasmtime that this build is for, or "none". */
const char *wasm_library_version(void);
/* Whether guests can run here. UNAVAILABLE with the reason. */
tars_status wasm_probe(tars_error *err);

/* How the time of engine guests is bounded: `epochs` is how they are stopped, `fuel` counts their
 * instructions, which nothing needs. To be set before the first guest of the process (CONFLICT
 * later), by benchmarks of what either costs: without epochs a guest runs as long as it likes. */
typedef struct wasm_metering {
    bool epochs, fuel;
} wasm_metering;
tars_status wasm_set_metering(wasm_metering wanted, tars_error *err);

/* `model` may be NULL: the guest has none then. `arena_bytes`: the guest's private memory. A guest
 * that does not end soon after the client's check refused, or after its result, is killed.
 * `artifacts` may be NULL. *start_ns: until the guest could run, the engine's own start included.
 */
tars_status wasm_run(const platform_mapping *model, size_t arena_bytes, guest_client *client,
                     const wasm_artifacts *artifacts, uint64_t *start_ns, tars_error *err);

/* The same in parts, for a process that gives up its rights in between: after the start a guest
 * needs memory, time and what its client does. It serves one request; end it in any case. */
typedef struct wasm_guest wasm_guest;
tars_status wasm_guest_start(const platform_mapping *model, size_t arena_bytes,
                             const wasm_artifacts *artifacts, wasm_guest **out, tars_error *err);
tars_status wasm_guest_serve(wasm_guest *r, guest_client *client, tars_error *err);
void wasm_guest_end(wasm_guest *r);

/* Makes an instance, calls it once and ends it: the time until the call returned, without the
 * engine's own start. */
tars_status wasm_start(const platform_mapping *model, size_t arena_bytes,
                       const wasm_artifacts *artifacts, uint64_t *start_ns, tars_error *err);

#endif
