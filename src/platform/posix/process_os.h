/* What posix/process.c needs of each system. Ownership: nothing is kept. */
#ifndef PLATFORM_POSIX_PROCESS_OS_H
#define PLATFORM_POSIX_PROCESS_OS_H

#include "platform/platform.h"

#if defined(__APPLE__)
#define PLATFORM_OS_MAXRSS_UNIT_BYTES 1u
#else
#define PLATFORM_OS_MAXRSS_UNIT_BYTES 1024u
#endif

/* Marks all descriptors from `first` on to be closed by exec. Async-signal-safe. */
void platform_os_close_on_exec_from(int first);
/* The calling process shall be killed when its parent ends; false when that is gone already.
 * Async-signal-safe. */
bool platform_os_die_with_parent(intptr_t parent);
/* A descriptor that becomes readable when the process ends, or PLATFORM_NO_HANDLE. */
platform_handle platform_os_process_handle(intptr_t id);
/* Ignored signals back to their defaults, none blocked; of process.c. Async-signal-safe. */
void process_reset_signals(void);
/* A path that executes this program, also when its file was replaced. */
tars_status platform_os_own_program(char *out, size_t size_bytes, tars_error *err);
/* What a signal means; constant text. */
const char *platform_os_signal_text(int number);

#endif
