/* The system-call filter of a process that reads foreign files. Ownership: the kernel copies it. */
#ifndef PLATFORM_LINUX_SECCOMP_H
#define PLATFORM_LINUX_SECCOMP_H

#include <stdbool.h>

/* What it allows besides. */
typedef struct seccomp_wanted {
    bool code;     /* memory may be made executable */
    bool machines; /* virtual processors may run and be stopped: nothing else of KVM */
} seccomp_wanted;
/* Installs the filter in all threads of the process, for good. Needs no_new_privs. On failure
 * *reason (constant text) says why. */
bool seccomp_install(seccomp_wanted wanted, const char **reason);

#endif
