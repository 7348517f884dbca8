#include "platform/linux/cgroup.h"

#include "base/text.h"
#include "platform/linux/procfs.h"
#include "platform/platform.h"

#include <string.h>

/* Names of one version's files. A limit that is not a number ("max", "-1") is none. */
typedef struct cgroup_files {
    const char *controller; /* in /proc/self/cgroup; "" is version 2 */
    const char *folders[4]; /* below the root where its tree may be mounted */
    const char *memory_limit, *memory_used, *memory_cached_key;
    const char *cpu_quota, *cpu_period; /* version 2 has both in one file */
} cgroup_files;

static const cgroup_files versions[] = {
    {"", {"", "/unified"}, "memory.max", "memory.current", "inactive_file ", "cpu.max", NULL},
    {"memory",
     {"/memory"},
     "memory.limit_in_bytes",
     "memory.usage_in_bytes",
     "total_inactive_file ",
     NULL,
     NULL},
    {"cpu",
     {"/cpu", "/cpu,cpuacct", "/cpuacct,cpu"},
     NULL,
     NULL,
     NULL,
     "cpu.cfs_quota_us",
     "cpu.cfs_period_us"},
};

static bool join(char *out, const char *a, const char *b, const char *c, const char *name) {
    text_buffer text;
    text_init(&text, out, PLATFORM_PATH_BYTES);
    text_append_string(&text, a);
    text_append_string(&text, b);
    text_append_string(&text, c);
    text_append_char(&text, '/');
    text_append_string(&text, name);
    return !text.truncated;
}

/* The group of a controller in the lines "number:controllers:path". */
static bool find_group(const char *lines, const char *controller, char *out, size_t size_bytes) {
    size_t length = strlen(controller);
    for (const char *line = lines; line && *line;) {
        const char *end = strchr(line, '\n');
        end = end ? end : line + strlen(line);
        const char *names = memchr(line, ':', (size_t)(end - line));
        const char *path = names ? memchr(names + 1, ':', (size_t)(end - names - 1)) : NULL;
        for (const char *name = names; path && name < path;) {
            name++;
            const char *stop = memchr(name, ',', (size_t)(path - name));
            stop = stop ? stop : path;
            if ((size_t)(stop - name) == length && memcmp(name, controller, length) == 0 &&
                (size_t)(end - path) <= size_bytes) {
                memcpy(out, path + 1, (size_t)(end - path - 1));
                out[end - path - 1] = '\0';
                return true;
            }
            name = stop;
        }
        line = *end ? end + 1 : end;
    }
    return false;
}

static void read_memory(const cgroup_files *files, const char *root, const char *folder,
                        const char *group, cgroup_limits *out) {
    char path[PLATFORM_PATH_BYTES], text[8192];
    uint64_t limit;
    if (!join(path, root, folder, group, files->memory_limit) ||
        !procfs_read_number(path, &limit) || limit >= (UINT64_C(1) << 62)) {
        return;
    }
    out->memory_bytes = limit < out->memory_bytes ? limit : out->memory_bytes;
    uint64_t used;
    if (!join(path, root, folder, group, files->memory_used) || !procfs_read_number(path, &used)) {
        return;
    }
    uint64_t cached = 0;
    if (join(path, root, folder, group, "memory.stat") && procfs_read(path, text, sizeof text)) {
        (void)procfs_find(text, files->memory_cached_key, 1, &cached);
    }
    used = used > cached ? used - cached : 0;
    uint64_t available = limit > used ? limit - used : 0;
    if (available < out->memory_available_bytes) {
        out->memory_available_bytes = available;
    }
}

static void read_cpu(const cgroup_files *files, const char *root, const char *folder,
                     const char *group, cgroup_limits *out) {
    char path[PLATFORM_PATH_BYTES];
    uint64_t quota_us, period_us = 0;
    if (!join(path, root, folder, group, files->cpu_quota) ||
        !procfs_read_number(path, &quota_us)) {
        return;
    }
    if (files->cpu_period) {
        if (!join(path, root, folder, group, files->cpu_period) ||
            !procfs_read_number(path, &period_us)) {
            return;
        }
    } else {
        char text[64];
        const char *space = procfs_read(path, text, sizeof text) ? strchr(text, ' ') : NULL;
        if (!space || !procfs_find(space, "", 1, &period_us)) {
            return;
        }
    }
    if (period_us == 0 || quota_us > UINT64_MAX / 1000) {
        return;
    }
    uint64_t millis = quota_us * 1000 / period_us;
    if (millis < out->cpu_millis) {
        out->cpu_millis = (uint32_t)millis;
    }
}

/* The group and all above it. In a container the path may be the host's: then only what is
 * mounted at the root answers. */
static void read_upwards(const cgroup_files *files, const char *root, const char *folder,
                         char *group, cgroup_limits *out) {
    for (;;) {
        const char *here = strcmp(group, "/") == 0 ? "" : group;
        if (files->memory_limit) {
            read_memory(files, root, folder, here, out);
        }
        if (files->cpu_quota) {
            read_cpu(files, root, folder, here, out);
        }
        char *slash = strrchr(here, '/');
        if (!slash) {
            return;
        }
        *slash = '\0';
    }
}

cgroup_limits cgroup_read(const char *membership, const char *root) {
    cgroup_limits limits = {UINT64_MAX, UINT64_MAX, UINT32_MAX};
    char lines[8192], group[PLATFORM_PATH_BYTES];
    if (!procfs_read(membership, lines, sizeof lines)) {
        return limits;
    }
    for (size_t i = 0; i < sizeof versions / sizeof versions[0]; i++) {
        const cgroup_files *files = &versions[i];
        for (size_t j = 0; j < 4 && files->folders[j]; j++) {
            if (find_group(lines, files->controller, group, sizeof group)) {
                read_upwards(files, root, files->folders[j], group, &limits);
            }
        }
    }
    return limits;
}
