#include "engine/pack.h"

#include "build_info.h"

#include <tars/model.h>

uint32_t tars_abi_version(void) {
    return 0u << 16 | 1u;
}

const char *tars_version(void) {
    return TARS_BUILD_VERSION " (commit " TARS_BUILD_COMMIT ")";
}

uint32_t tars_arithmetic_version(void) {
    return ARITHMETIC_VERSION;
}
