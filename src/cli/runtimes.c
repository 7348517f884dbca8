#include "cli/runtimes.h"

#include <stddef.h>

const char *const runtime_choices[] = {"auto", "native", "wasm", "microvm", "cuda", NULL};
const char *const isolation_choices[] = {"process", "sandbox", "microvm", NULL};
