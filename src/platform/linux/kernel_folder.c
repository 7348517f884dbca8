#include "platform/platform.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* File systems that are views of the kernel and its devices, as /proc/self/mountinfo names them. */
static const char *const kernel_systems[] = {
    "proc",       "sysfs",   "cgroup",     "cgroup2",     "debugfs", "tracefs",
    "securityfs", "devpts",  "devtmpfs",   "bpf",         "pstore",  "efivarfs",
    "configfs",   "fusectl", "selinuxfs",  "binfmt_misc", "mqueue",  "nsfs",
    "rpc_pipefs", "nfsd",    "functionfs", "smackfs",     "resctrl", "autofs",
};
/* Where they are by custom, also when something else is mounted there. */
static const char *const kernel_places[] = {"/proc", "/sys", "/dev"};

static bool is_kernel_system(const char *type) {
    for (size_t i = 0; i < sizeof kernel_systems / sizeof kernel_systems[0]; i++) {
        if (strcmp(kernel_systems[i], type) == 0) {
            return true;
        }
    }
    return false;
}

/* Whether one of the two paths is the other or lies below it. */
static bool meet(const char *a, const char *b) {
    size_t length_a = strcmp(a, "/") == 0 ? 0 : strlen(a);
    size_t length_b = strcmp(b, "/") == 0 ? 0 : strlen(b);
    size_t least = length_a < length_b ? length_a : length_b;
    const char *longer = length_a < length_b ? b : a;
    return strncmp(a, b, least) == 0 && (longer[least] == '/' || longer[least] == '\0');
}

/* The kernel writes space, tab, newline and backslash of a path as three octal digits. */
static void decode(char *path) {
    char *to = path;
    for (const char *at = path; *at; to++) {
        bool is_code = at[0] == '\\' && at[1] >= '0' && at[1] <= '3' && at[2] >= '0' &&
                       at[2] <= '7' && at[3] >= '0' && at[3] <= '7';
        *to = is_code ? (char)((at[1] - '0') * 64 + (at[2] - '0') * 8 + (at[3] - '0')) : *at;
        at += is_code ? 4 : 1;
    }
    *to = '\0';
}

/* A line of mountinfo: "ID PARENT DEVICE ROOT PLACE OPTIONS [TAG…] - TYPE SOURCE OPTIONS". */
static bool line_meets(char *line, const char *path) {
    char *place = line;
    for (int i = 0; i < 4 && place; i++) {
        place = strchr(place, ' ');
        place = place ? place + 1 : NULL;
    }
    char *end = place ? strchr(place, ' ') : NULL;
    char *type = end ? strstr(end, " - ") : NULL;
    if (!type) {
        return false;
    }
    *end = '\0';
    type += 3;
    type[strcspn(type, " ")] = '\0';
    decode(place);
    return is_kernel_system(type) && meet(path, place);
}

static bool meets_mounts(const char *path) {
    FILE *mounts = fopen("/proc/self/mountinfo", "re");
    char *line = NULL;
    size_t capacity = 0;
    bool found = false;
    while (mounts && !found && getline(&line, &capacity, mounts) > 0) {
        found = line_meets(line, path);
    }
    free(line);
    if (mounts) {
        (void)fclose(mounts);
    }
    return found;
}

bool platform_is_of_kernel(const char *path) {
    char resolved[PATH_MAX];
    platform_kind kind = PLATFORM_KIND_MISSING;
    if (!realpath(path, resolved)) {
        return false; /* it cannot be granted at all */
    }
    (void)platform_path_kind(resolved, &kind, NULL, NULL);
    for (size_t i = 0; i < sizeof kernel_places / sizeof kernel_places[0]; i++) {
        bool is_folder = kind == PLATFORM_KIND_FOLDER; /* /dev/null is of use to some */
        if (meet(resolved, kernel_places[i]) && (is_folder || i < 2)) {
            return true;
        }
    }
    return kind == PLATFORM_KIND_FOLDER && meets_mounts(resolved);
}
