#include "cli/runtimes.h"

const runtime_fact runtime_facts[] = {
    {"native", true, "", ""},
    {"wasm", false, "this program was built without the WASM runtime", "use --runtime native"},
    {"microvm", false, "this program was built without the micro-VM runtime",
     "use --runtime native"},
    {"cuda", false, "this program was built without the CUDA runtime", "use --runtime native"},
};
const size_t runtime_fact_count = sizeof runtime_facts / sizeof runtime_facts[0];

const char *const runtime_choices[] = {"auto", "native", "wasm", "microvm", "cuda", NULL};
const char *const isolation_choices[] = {"process", "sandbox", "microvm", NULL};
