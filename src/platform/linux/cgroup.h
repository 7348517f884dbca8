/* The limits that control groups, of version 1 and 2, put on this process. Ownership: plain
 * memory. */
#ifndef PLATFORM_LINUX_CGROUP_H
#define PLATFORM_LINUX_CGROUP_H

#include <stdint.h>

typedef struct cgroup_limits {
    uint64_t memory_bytes;           /* UINT64_MAX: none */
    uint64_t memory_available_bytes; /* up to the limit, cached file pages not counted as used */
    uint32_t cpu_millis;             /* of one CPU, 1500 is one and a half; UINT32_MAX: none */
} cgroup_limits;

/* `membership` is /proc/self/cgroup, `root` /sys/fs/cgroup; tests pass trees of their own. The
 * limits of all groups above count, the smallest wins. */
cgroup_limits cgroup_read(const char *membership, const char *root);

#endif
