#include "cli/bench_start.h"

#include "api/model_api.h"
#include "cli/progress.h"
#include "runtime/wasm/run.h"

#include <stdlib.h>

enum { ARENA_BYTES = 16 << 20 /* what a short answer takes */ };

tars_status bench_start(client *session, const bench_plan *plan, bench_report *out,
                        tars_error *err) {
    *out = (bench_report){.isa = "wasm"};
    tars_model *opened = NULL;
    tars_model_info info;
    double *samples = calloc(BENCH_MAX_SAMPLES, sizeof *samples);
    if (!samples) {
        return error_set(err, TARS_OUT_OF_MEMORY, "no memory for the samples");
    }
    tars_status status = client_open_model(session, plan->model, &opened, &info, err);
    progress shown;
    progress_init(&shown, session->cli);
    for (unsigned i = 0; i <= plan->count && status == TARS_OK; i++) {
        uint64_t start_ns = 0;
        status = wasm_start(&opened->mapping, ARENA_BYTES, NULL, &start_ns, err);
        if (i > 0) { /* the first one compiles, and warms up */
            samples[i - 1] = (double)start_ns / 1e3;
        }
        if (status == TARS_OK && !progress_update(&shown, "bench", i, plan->count)) {
            status = client_check_interrupt(err);
        }
    }
    progress_clear(&shown);
    if (status == TARS_OK) {
        bench_add_result(out, "wasm_engine_start_us", "us", samples, plan->count, 1);
    }
    free(samples);
    tars_model_close(opened);
    return status;
}
