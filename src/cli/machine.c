#include "cli/machine.h"

#include "engine/kernels/kernels.h"
#include "runtime/native/features.h"

#include <stdlib.h>
#include <string.h>

typedef struct feature_row {
    const char *name;
    size_t offset; /* of a bool in platform_cpu_info */
} feature_row;

static const feature_row features[] = {
    {"sse4.1", offsetof(platform_cpu_info, sse41)},
    {"avx2", offsetof(platform_cpu_info, avx2)},
    {"fma", offsetof(platform_cpu_info, fma)},
    {"f16c", offsetof(platform_cpu_info, f16c)},
    {"avx512", offsetof(platform_cpu_info, avx512)},
    {"avx512-vnni", offsetof(platform_cpu_info, avx512_vnni)},
    {"avx-vnni", offsetof(platform_cpu_info, avx_vnni)},
    {"amx-int8", offsetof(platform_cpu_info, amx_int8)},
    {"sha", offsetof(platform_cpu_info, sha)},
    {"neon", offsetof(platform_cpu_info, neon)},
    {"dotprod", offsetof(platform_cpu_info, dotprod)},
};
enum { N_FEATURES = sizeof features / sizeof features[0] };

static bool has_feature(const machine *m, size_t index) {
    return *(const bool *)((const char *)&m->cpu + features[index].offset);
}

/* Linux says it in a file; elsewhere it stays unknown. */
static void read_release(char *out, size_t size_bytes) {
    char *bytes = NULL;
    size_t length = 0;
    text_buffer text;
    text_init(&text, out, size_bytes);
    if (platform_file_read_all("/proc/sys/kernel/osrelease", 4096, &bytes, &length, NULL) ==
        TARS_OK) {
        text_append(&text, bytes, strcspn(bytes, "\n"));
        free(bytes);
    }
}

void machine_detect(machine *out) {
    *out = (machine){.cpu = platform_cpu(), .n_cpus = platform_cpu_count()};
    out->isa = kernel_best(native_kernel_features(&out->cpu))->name;
    platform_memory_info memory;
    if (platform_memory(&memory, NULL) == TARS_OK) {
        out->memory_bytes = memory.total_bytes;
        out->memory_available_bytes = memory.available_bytes;
    }
    read_release(out->kernel, sizeof out->kernel);
}

void machine_features(const machine *m, text_buffer *text) {
    bool first = true;
    for (size_t i = 0; i < N_FEATURES; i++) {
        if (has_feature(m, i)) {
            text_format(text, "%s%s", first ? "" : " ", features[i].name);
            first = false;
        }
    }
}

void machine_write_json(const machine *m, const char *isa, json_writer *json) {
    json_key(json, "machine");
    json_begin_object(json);
    if (m->cpu.brand[0] != '\0') {
        json_member_string(json, "cpu", m->cpu.brand);
    }
    json_key(json, "features");
    json_begin_array(json);
    for (size_t i = 0; i < N_FEATURES; i++) {
        if (has_feature(m, i)) {
            json_string(json, features[i].name);
        }
    }
    json_end_array(json);
    json_member_string(json, "isa", isa ? isa : m->isa);
    json_member_uint(json, "n_cpus", m->n_cpus);
    if (m->memory_bytes > 0) {
        json_member_uint(json, "memory_bytes", m->memory_bytes);
    }
    if (m->kernel[0] != '\0') {
        json_member_string(json, "kernel", m->kernel);
    }
    json_end_object(json);
}
