#include "runtime/profile.h"

#include <string.h>

static const runtime_profile profiles[] = {
    {.name = "strict", .wasi_calls = wasi_calls_strict, .clock_resolution_ns = 1000000},
    {.name = "standard",
     .file_calls = true,
     .system_libraries = true,
     .wasi_calls = wasi_calls_standard},
    {.name = "trusted",
     .file_calls = true,
     .system_libraries = true,
     .wasi_calls = wasi_calls_standard},
};
const char *const runtime_profile_names[] = {"strict", "standard", "trusted", NULL};

const runtime_profile *runtime_profile_find(const char *name) {
    for (size_t i = 0; i < sizeof profiles / sizeof profiles[0]; i++) {
        if (strcmp(profiles[i].name, name) == 0) {
            return &profiles[i];
        }
    }
    return NULL;
}
