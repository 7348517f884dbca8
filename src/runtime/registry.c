#include "runtime/registry.h"

#include "runtime/cuda/probe.h"
#include "runtime/microvm/models.h"
#include "runtime/microvm/programs.h"
#include "runtime/native/models.h"
#include "runtime/process/programs.h"
#include "runtime/wasm/models.h"
#include "runtime/wasm/programs.h"
#include "runtime/wasm/run.h"

#include <string.h>

static bool yes(void) {
    return true;
}

static bool no(void) {
    return false;
}

static tars_status native_probe(tars_error *err) {
    (void)err;
    return TARS_OK;
}

const runtime_row runtime_rows[] = {
    {"native", ISOLATION_PROCESS, yes, native_probe, {&process_programs, &native_models}},
    {"wasm", ISOLATION_SANDBOX, wasm_is_built_in, wasm_probe, {&stranger_programs, &wasm_models}},
    {"microvm",
     ISOLATION_MICROVM,
     microvm_is_built_in,
     microvm_probe,
     {&microvm_programs, &microvm_models}},
    {"cuda", ISOLATION_PROCESS, no, cuda_probe, {NULL, NULL}},
};
const size_t runtime_row_count = sizeof runtime_rows / sizeof runtime_rows[0];

const runtime_row *runtime_find(const char *name) {
    for (size_t i = 0; i < runtime_row_count; i++) {
        if (strcmp(runtime_rows[i].name, name) == 0) {
            return &runtime_rows[i];
        }
    }
    return NULL;
}
