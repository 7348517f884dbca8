/* Where there are no virtual machines in this version, there are no walls for them. */
#include "platform/vmm_walls.h"

#include "platform/internal.h"

#if !defined(__linux__) || !defined(__x86_64__)

static tars_status not_here(tars_error *err) {
    return platform_not_here(err, "a process of its own for a virtual machine");
}

tars_status platform_vmm_walls_first(tars_error *err) {
    return not_here(err);
}

tars_status platform_vmm_walls_last(const platform_vmm_walls *walls, platform_vmm_report *report,
                                    tars_error *err) {
    (void)walls;
    *report = (platform_vmm_report){.n_missing = 0};
    return not_here(err);
}

#endif
