#include "platform/internal.h"
#include "platform/linux/cgroup.h"
#include "platform/linux/procfs.h"

#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

/* ---- processor --------------------------------------------------------------------------- */

#if defined(__x86_64__)
/* Linux gives the tile registers only to processes that ask (Documentation/arch/x86/xstate.rst). */
static bool request_tiles(void) {
    const long request_permission = 0x1023; /* ARCH_REQ_XCOMP_PERM */
    const long tile_data = 18;
    return syscall(SYS_arch_prctl, request_permission, tile_data) == 0;
}
#elif defined(__aarch64__)
static void set_arm_features(platform_cpu_info *info) {
    unsigned long bits = getauxval(AT_HWCAP);
    info->neon = (bits & (1ul << 1)) != 0;
    info->sha = (bits & (1ul << 6)) != 0;
    info->dotprod = (bits & (1ul << 20)) != 0;
}
#endif

static uint64_t cache_size(unsigned index, const char *what) {
    char path[128], text[32] = "";
    uint64_t value;
    snprintf(path, sizeof path, "/sys/devices/system/cpu/cpu0/cache/index%u/%s", index, what);
    if (!procfs_read(path, text, sizeof text) || !procfs_find(text, "", 1, &value)) {
        return 0;
    }
    return strchr(text, 'K') ? value << 10 : strchr(text, 'M') ? value << 20 : value;
}

static void set_caches(platform_cpu_info *info) {
    for (unsigned i = 0; i < 8; i++) {
        char path[128], type[32];
        snprintf(path, sizeof path, "/sys/devices/system/cpu/cpu0/cache/index%u/type", i);
        if (!procfs_read(path, type, sizeof type)) {
            return;
        }
        uint64_t level = cache_size(i, "level");
        uint64_t size_bytes = cache_size(i, "size");
        if (level == 1 && type[0] == 'D') {
            info->l1d_bytes = (uint32_t)size_bytes;
        } else if (level == 2) {
            info->l2_bytes = (uint32_t)size_bytes;
        } else if (level == 3) {
            info->l3_bytes = size_bytes;
        }
    }
}

void platform_os_cpu(platform_cpu_info *info) {
#if defined(__x86_64__)
    info->amx_int8 = info->amx_int8 && request_tiles();
#elif defined(__aarch64__)
    set_arm_features(info);
#endif
    if (info->l1d_bytes == 0) {
        set_caches(info);
    }
}

/* CPUs in the affinity mask, which may be wider than cpu_set_t. */
static uint32_t affinity_count(void) {
    cpu_set_t sets[16]; /* 16,384 CPUs */
    memset(sets, 0, sizeof sets);
    if (sched_getaffinity(0, sizeof sets, sets) != 0) {
        long online = sysconf(_SC_NPROCESSORS_ONLN);
        return online > 0 ? (uint32_t)online : 1;
    }
    int count = CPU_COUNT_S(sizeof sets, sets);
    return count > 0 ? (uint32_t)count : 1;
}

static cgroup_limits own_limits(void) {
    return cgroup_read("/proc/self/cgroup", "/sys/fs/cgroup");
}

uint32_t platform_cpu_count(void) {
    uint32_t count = affinity_count();
    uint32_t millis = own_limits().cpu_millis;
    if (millis == UINT32_MAX) {
        return count;
    }
    uint32_t quota = millis / 1000 + (millis % 1000 != 0 ? 1 : 0);
    quota = quota > 0 ? quota : 1;
    return quota < count ? quota : count;
}

/* ---- memory ------------------------------------------------------------------------------ */

tars_status platform_memory(platform_memory_info *out, tars_error *err) {
    char text[4096];
    *out = (platform_memory_info){0, 0};
    if (!procfs_read("/proc/meminfo", text, sizeof text) ||
        !procfs_find(text, "MemTotal:", 1024, &out->total_bytes) ||
        !procfs_find(text, "MemAvailable:", 1024, &out->available_bytes)) {
        return error_set(err, TARS_UNAVAILABLE, "cannot read the memory's size in /proc/meminfo");
    }
    cgroup_limits limits = own_limits();
    if (limits.memory_bytes < out->total_bytes) {
        out->total_bytes = limits.memory_bytes;
    }
    if (limits.memory_available_bytes < out->available_bytes) {
        out->available_bytes = limits.memory_available_bytes;
    }
    struct rlimit space;
    if (getrlimit(RLIMIT_AS, &space) == 0 && space.rlim_cur != RLIM_INFINITY &&
        space.rlim_cur < out->available_bytes) {
        out->available_bytes = space.rlim_cur;
    }
    return TARS_OK;
}

uint64_t platform_peak_resident_bytes(void) {
    char text[4096];
    uint64_t peak = 0;
    if (procfs_read("/proc/self/status", text, sizeof text)) {
        (void)procfs_find(text, "VmHWM:", 1024, &peak);
    }
    return peak;
}

tars_status platform_memory_used(platform_memory_usage *out, tars_error *err) {
    char text[4096];
    *out = (platform_memory_usage){.peak_resident_bytes = platform_peak_resident_bytes()};
    uint64_t clean = 0, dirty = 0, pss = 0, swap = 0;
    if (!procfs_read("/proc/self/smaps_rollup", text, sizeof text) ||
        !procfs_find(text, "Rss:", 1024, &out->resident_bytes) ||
        !procfs_find(text, "Pss:", 1024, &pss) ||
        !procfs_find(text, "Private_Clean:", 1024, &clean) ||
        !procfs_find(text, "Private_Dirty:", 1024, &dirty)) {
        return error_set(err, TARS_UNAVAILABLE,
                         "cannot read the process's memory in /proc/self/smaps_rollup");
    }
    (void)procfs_find(text, "SwapPss:", 1024, &swap);
    out->private_bytes = clean + dirty + swap;
    out->shared_bytes = pss > clean + dirty ? pss - clean - dirty : 0;
    return TARS_OK;
}

/* ---- the rest ---------------------------------------------------------------------------- */

tars_status platform_random(void *bytes, size_t length, tars_error *err) {
    uint8_t *p = bytes;
    while (length > 0) {
        ssize_t n = getrandom(p, length, 0);
        if (n < 0 && errno != EINTR) {
            return platform_fail(err, errno, NULL, "cannot get random bytes");
        }
        p += n > 0 ? n : 0;
        length -= n > 0 ? (size_t)n : 0;
    }
    return TARS_OK;
}

const char *platform_os_name(void) {
    return "linux";
}

const char *platform_os_container(void) {
    static const char service_account[] = "/var/run/secrets/kubernetes.io/serviceaccount";
    if (platform_environment("KUBERNETES_SERVICE_HOST") || access(service_account, F_OK) == 0) {
        return "kubernetes";
    }
    if (access("/.dockerenv", F_OK) == 0 || access("/run/.containerenv", F_OK) == 0) {
        return "docker";
    }
    static const char *const marks[] = {"/docker", "/libpod", "/containerd", "/lxc/"};
    char text[8192];
    bool known = procfs_read("/proc/1/cgroup", text, sizeof text);
    if (known && strstr(text, "/kubepods")) {
        return "kubernetes";
    }
    for (size_t i = 0; known && i < sizeof marks / sizeof marks[0]; i++) {
        if (strstr(text, marks[i])) {
            return "docker";
        }
    }
    return NULL;
}

tars_status platform_executable_path(char *out, size_t size_bytes, tars_error *err) {
    ssize_t n = readlink("/proc/self/exe", out, size_bytes);
    if (n < 0 || (size_t)n >= size_bytes) {
        return platform_fail(err, n < 0 ? errno : ENAMETOOLONG, "/proc/self/exe",
                             "cannot find this program's own file");
    }
    out[n] = '\0';
    return TARS_OK;
}

const char *const *platform_os_environment(void) {
    return (const char *const *)environ;
}
