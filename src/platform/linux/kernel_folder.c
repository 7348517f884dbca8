#include "platform/platform.h"

#include <limits.h>
#include <linux/magic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/vfs.h>

/* Kernels older than the C library's headers, or newer, may lack some of these names. */
#ifndef CGROUP2_SUPER_MAGIC
#define CGROUP2_SUPER_MAGIC 0x63677270
#endif
#ifndef BPF_FS_MAGIC
#define BPF_FS_MAGIC 0xcafe4a11
#endif
#ifndef TRACEFS_MAGIC
#define TRACEFS_MAGIC 0x74726163
#endif

static bool is_device_folder(const char *path, bool is_folder) {
    return is_folder && (strcmp(path, "/dev") == 0 || strncmp(path, "/dev/", 5) == 0);
}

bool platform_is_of_kernel(const char *path) {
    static const unsigned kinds[] = {PROC_SUPER_MAGIC,   SYSFS_MAGIC,         DEBUGFS_MAGIC,
                                     TRACEFS_MAGIC,      SECURITYFS_MAGIC,    SELINUX_MAGIC,
                                     CGROUP_SUPER_MAGIC, CGROUP2_SUPER_MAGIC, BPF_FS_MAGIC,
                                     DEVPTS_SUPER_MAGIC, BINFMTFS_MAGIC};
    struct statfs of;
    char resolved[PATH_MAX];
    platform_kind kind = PLATFORM_KIND_MISSING;
    if (statfs(path, &of) != 0 || !realpath(path, resolved)) {
        return false; /* it cannot be granted at all */
    }
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        if ((unsigned)of.f_type == kinds[i]) {
            return true;
        }
    }
    (void)platform_path_kind(resolved, &kind, NULL, NULL);
    return is_device_folder(resolved, kind == PLATFORM_KIND_FOLDER);
}
