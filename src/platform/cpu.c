#include "platform/internal.h"

#include <string.h>

#if defined(__x86_64__)
#include <cpuid.h>

typedef struct cpuid_leaf {
    unsigned a, b, c, d;
} cpuid_leaf;

/* All zeros when the CPU does not have the leaf. */
static cpuid_leaf ask(unsigned leaf, unsigned subleaf) {
    cpuid_leaf r = {0, 0, 0, 0};
    if (!__get_cpuid_count(leaf, subleaf, &r.a, &r.b, &r.c, &r.d)) {
        return (cpuid_leaf){0, 0, 0, 0};
    }
    return r;
}

/* Which registers the system saves (XCR0); 0 without OSXSAVE. */
static uint64_t saved_registers(void) {
    if ((ask(1, 0).c & (1u << 27)) == 0) {
        return 0;
    }
    uint32_t low, high;
    __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
    return ((uint64_t)high << 32) | low;
}

static bool has_all(uint64_t bits, uint64_t wanted) {
    return (bits & wanted) == wanted;
}

static void set_features(platform_cpu_info *info) {
    uint64_t saved = saved_registers();
    bool ymm = has_all(saved, 0x6);
    bool zmm = has_all(saved, 0xE6);
    bool tiles = has_all(saved, 0x60000);
    cpuid_leaf one = ask(1, 0);
    cpuid_leaf seven = ask(7, 0);
    cpuid_leaf seven_one = seven.a >= 1 ? ask(7, 1) : (cpuid_leaf){0, 0, 0, 0};
    info->sse41 = has_all(one.c, 1u << 19);
    info->avx2 = ymm && has_all(seven.b, 1u << 5);
    info->fma = ymm && has_all(one.c, 1u << 12);
    info->f16c = ymm && has_all(one.c, 1u << 29);
    info->avx512 = zmm && has_all(seven.b, 1u << 16 | 1u << 17 | 1u << 30 | 1u << 31);
    info->avx512_vnni = info->avx512 && has_all(seven.c, 1u << 11);
    info->avx_vnni = info->avx2 && has_all(seven_one.a, 1u << 4);
    info->amx_int8 = tiles && has_all(seven.d, 1u << 24 | 1u << 25);
    info->sha = info->sse41 && has_all(seven.b, 1u << 29);
}

static void set_names(platform_cpu_info *info) {
    cpuid_leaf zero = ask(0, 0);
    memcpy(info->vendor, &zero.b, 4);
    memcpy(info->vendor + 4, &zero.d, 4);
    memcpy(info->vendor + 8, &zero.c, 4);
    char brand[49] = "";
    for (unsigned i = 0; i < 3; i++) {
        cpuid_leaf part = ask(0x80000002u + i, 0);
        memcpy(brand + 16 * i, &part, 16);
    }
    const char *start = brand;
    while (*start == ' ') {
        start++; /* some CPUs pad on the left */
    }
    memcpy(info->brand, start, strlen(start) + 1);
}

static void set_caches(platform_cpu_info *info) {
    bool amd = has_all(ask(0x80000001u, 0).c, 1u << 22); /* topology extensions */
    for (unsigned i = 0; i < 8; i++) {
        cpuid_leaf cache = ask(amd ? 0x8000001Du : 4u, i);
        unsigned type = cache.a & 31u; /* 1 data, 2 code, 3 both */
        unsigned level = (cache.a >> 5) & 7u;
        if (type == 0) {
            break;
        }
        uint64_t size_bytes = (uint64_t)((cache.b >> 22) + 1) * (((cache.b >> 12) & 0x3FFu) + 1) *
                              ((cache.b & 0xFFFu) + 1) * ((uint64_t)cache.c + 1);
        if (level == 1 && type != 2) {
            info->l1d_bytes = (uint32_t)size_bytes;
            info->cache_line_bytes = (cache.b & 0xFFFu) + 1;
        } else if (level == 2) {
            info->l2_bytes = (uint32_t)size_bytes;
        } else if (level == 3) {
            info->l3_bytes = size_bytes;
        }
    }
}
#endif

platform_cpu_info platform_cpu(void) {
    platform_cpu_info info = {.cache_line_bytes = 64};
#if defined(__x86_64__)
    set_features(&info);
    set_names(&info);
    set_caches(&info);
#elif defined(__aarch64__)
    memcpy(info.vendor, "ARM", 4);
    info.neon = true; /* part of the architecture */
#endif
    platform_os_cpu(&info);
    return info;
}
