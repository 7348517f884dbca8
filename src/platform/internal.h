/* What the files of the port share among themselves; nothing above includes it. Ownership: as in
 * platform.h. */
#ifndef PLATFORM_INTERNAL_H
#define PLATFORM_INTERNAL_H

#include "platform/platform.h"

/* Sets an error from an errno: the message is "FORMAT: what the number means", `where` is the path
 * (its end when it is long; may be NULL), status and hint come from a table. */
tars_status platform_fail(tars_error *err, int error_number, const char *path, const char *format,
                          ...) BASE_PRINTF(4, 5);
/* `where` = the path or its end. */
void platform_where(tars_error *err, const char *path);
/* UNAVAILABLE: "WHAT is not available on SYSTEM". */
tars_status platform_not_here(tars_error *err, const char *what);
/* The last bytes of a path that fit, for messages; begins with "..." when it was cut. */
void platform_name_of(const char *path, char *out, size_t size_bytes);

/* Hooks: each system's folder defines them. */

/* Adds what the CPU cannot say itself: permissions, ARM features, cache sizes. */
void platform_os_cpu(platform_cpu_info *info);
/* "linux", "macos", "windows". */
const char *platform_os_name(void);
/* "docker" or "kubernetes" when inside one, else NULL. */
const char *platform_os_container(void);
/* Data folder of a user without a system-wide one; false when there is no home. */
bool platform_os_user_data_path(char *out, size_t size_bytes);

/* The process's variables, "NAME=value". */
const char *const *platform_os_environment(void);

/* The mappings that a guard watches; posix/guard.c and windows/mapping.c. */
bool platform_guard_add(platform_mapping *mapping);
void platform_guard_remove(platform_mapping *mapping);

#endif
