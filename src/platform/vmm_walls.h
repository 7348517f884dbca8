/* The walls of a process that does nothing but run one stranger's virtual machine, in two phases:
 * the first leaves what sets a machine up, the second only what runs it. Ownership: handles stay
 * the caller's; the walls are the calling process's, for good. */
#ifndef PLATFORM_VMM_WALLS_H
#define PLATFORM_VMM_WALLS_H

#include "platform/platform.h"

/* A folder that is open; its handle leads to the same folder, and no further, behind the walls. */
typedef struct platform_vmm_folder {
    platform_handle handle;
    bool writable;
} platform_vmm_folder;

typedef struct platform_vmm_walls {
    const platform_vmm_folder *folders; /* without any, no path can be named */
    size_t n_folders;
    uint64_t file_bytes; /* of any file it writes; not 0 */
    uint64_t n_files;    /* descriptors; not 0 */
    uint64_t cpu_seconds;
} platform_vmm_walls;

enum { PLATFORM_VMM_MISSING = 8, PLATFORM_VMM_TEXT_BYTES = 160 };

typedef struct platform_vmm_report {
    char missing[PLATFORM_VMM_MISSING][PLATFORM_VMM_TEXT_BYTES]; /* "what: why" */
    size_t n_missing;
} platform_vmm_report;

/* No new privileges, no memory dumps, a wide filter of system calls: no sockets, no programs, no
 * other process. The process has one thread. UNAVAILABLE where that cannot be. */
tars_status platform_vmm_walls_first(tars_error *err);
/* No capabilities, a root without files, Landlock, limits, and a filter that ends the process at
 * any call but those of a machine that runs, of its threads, and of files below the folders.
 * UNAVAILABLE without the filter, or when nothing else keeps the folders apart. */
tars_status platform_vmm_walls_last(const platform_vmm_walls *walls, platform_vmm_report *report,
                                    tars_error *err);

#endif
