/* What the files of the walls around a virtual machine's process share. Ownership: nothing is kept
 * but by the kernel. */
#ifndef PLATFORM_LINUX_VMM_WALLS_H
#define PLATFORM_LINUX_VMM_WALLS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef enum vmm_filter_phase { VMM_FILTER_WIDE, VMM_FILTER_STRICT } vmm_filter_phase;

typedef struct vmm_filter_wanted {
    vmm_filter_phase phase;
    bool reads_paths, changes_paths; /* of the strict phase; the wide one has both */
} vmm_filter_wanted;
/* For all threads of the process, for good. On failure *reason (constant text) says why. */
bool vmm_filter_install(vmm_filter_wanted wanted, const char **reason);

/* ---- landlock.c ---- */

/* A set that allows nothing yet, *handled being what it can allow; -1 and errno. */
int landlock_begin(uint64_t *handled);
/* Everything a guest may do with the files below an open folder. */
bool landlock_allow_folder(int rules, int folder, bool writable, uint64_t handled);
/* The calling thread keeps to the rules from now on; closes them. */
bool landlock_enter(int rules);

#endif
