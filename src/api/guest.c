#include "api/guest.h"

#include "runtime/wasm/run.h"
#include "store/code_store.h"

tars_status guest_run(tars_job *job, uint64_t memory_bytes, guest_client *client,
                      uint64_t *start_ns, tars_error *err) {
    code_store store = {.home = job->context->home};
    wasm_artifacts artifacts = code_store_artifacts(&store);
    tars_status status = wasm_run(&job->request->model->mapping, (size_t)memory_bytes, client,
                                  &artifacts, start_ns, err);
    if (store.trouble[0] != '\0') {
        context_log(job->context, CONTEXT_LOG_WARNING,
                    "the guest was compiled anew, or is not kept: %s", store.trouble);
    }
    return status;
}
