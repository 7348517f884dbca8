#include "platform/vmm.h"

#include "platform/internal.h"
#include "platform/vmm_walls.h"

const vmm_functions *platform_vmm(void) {
    return NULL; /* not in this version */
}

tars_status platform_vmm_walls_first(tars_error *err) {
    return platform_not_here(err, "a process of its own for a virtual machine");
}

tars_status platform_vmm_walls_last(const platform_vmm_walls *walls, platform_vmm_report *report,
                                    tars_error *err) {
    (void)walls;
    *report = (platform_vmm_report){.n_missing = 0};
    return platform_not_here(err, "a process of its own for a virtual machine");
}
