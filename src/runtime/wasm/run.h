/* One request in one fresh instance of the engine guest. Ownership: everything is borrowed for the
 * call; the instance is gone when it returns. Any number of threads may call it at once. */
#ifndef RUNTIME_WASM_RUN_H
#define RUNTIME_WASM_RUN_H

#include "platform/platform.h"
#include "runtime/guest_client.h"
#include "runtime/wasm/artifacts.h"

/* Whether this build has the runtime. */
bool wasm_is_built_in(void);
/* Whether guests can run here. UNAVAILABLE with the reason. */
tars_status wasm_probe(tars_error *err);

typedef struct wasm_outcome {
    uint64_t start_ns; /* until the guest can run, the engine's own start included */
    bool stopped;      /* the answer ended by itself or at a stop text */
    const char *isa;   /* the guest's kernels, "" when it did not come so far */
    uint64_t memory_bytes;
    uint8_t logits_hash[SHA256_DIGEST_BYTES]; /* of the digests that came */
} wasm_outcome;

/* `request` gets its model_offset here. `arena_bytes`: the guest's private memory. A guest that
 * does not end soon after the sink's check refused, or after its result, is killed. `artifacts` may
 * be NULL. */
tars_status wasm_run(const platform_mapping *model, size_t arena_bytes,
                     guest_client_request *request, const guest_client_sink *sink,
                     const wasm_artifacts *artifacts, wasm_outcome *outcome, tars_error *err);

/* Makes an instance, calls it once and ends it: the time until the call returned, without the
 * engine's own start. */
tars_status wasm_start(const platform_mapping *model, size_t arena_bytes,
                       const wasm_artifacts *artifacts, uint64_t *start_ns, tars_error *err);

#endif
