/* The system-call filter of a process that reads foreign files. Ownership: the kernel copies it. */
#ifndef PLATFORM_LINUX_SECCOMP_H
#define PLATFORM_LINUX_SECCOMP_H

#include <stdbool.h>

/* Installs the filter in all threads of the process, for good. Needs no_new_privs. `allow_code`:
 * memory may be made executable. On failure *reason (constant text) says why. */
bool seccomp_install(bool allow_code, const char **reason);

#endif
