/* Facts of this machine that decide speed: for `doctor` and `bench`. Ownership: plain memory. */
#ifndef CLI_MACHINE_H
#define CLI_MACHINE_H

#include "base/json.h"
#include "base/text.h"
#include "platform/platform.h"

typedef struct machine {
    platform_cpu_info cpu;
    const char *isa; /* the kernels that would be chosen */
    uint32_t n_cpus;
    uint64_t memory_bytes, memory_available_bytes; /* 0: unknown */
    char kernel[128];                              /* the system's release, or "" */
} machine;

void machine_detect(machine *out);
/* "avx2 fma f16c …" */
void machine_features(const machine *m, text_buffer *text);
/* "machine":{"cpu","features":[],"isa","n_cpus","memory_bytes","kernel"}; `isa` instead of the
 * machine's own when not NULL. */
void machine_write_json(const machine *m, const char *isa, json_writer *json);

#endif
