/* Names of system calls. Ownership: constant texts. */
#ifndef PLATFORM_LINUX_CALL_NAMES_H
#define PLATFORM_LINUX_CALL_NAMES_H

#include <stdint.h>

/* NULL for a number without a name here. */
const char *call_name(uint32_t number);

#endif
