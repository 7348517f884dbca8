#include "platform/vmm.h"

const vmm_functions *platform_vmm(void) {
    return NULL; /* not in this version */
}
