/* Security profiles: what a guest may ask of its host, by runtime (configuration.md, section 8).
 * Ownership: constant tables; a profile of a configuration's is its maker's plain memory and must
 * live as long as the instances that have it. */
#ifndef RUNTIME_PROFILE_H
#define RUNTIME_PROFILE_H

#include "runtime/wasi/wasi.h"

typedef struct runtime_profile {
    const char *name;
    /* of a process: */
    bool file_calls;          /* the calls for files, threads and polling beyond the set base */
    const char *const *calls; /* instead of those: these alone, NULL at the end; NULL: not so */
    bool system_libraries;    /* /usr, /lib, /lib64, /etc/ld.so.cache, and /dev/null */
    /* of WebAssembly: */
    wasi_call_set (*wasi_calls)(void);
    wasi_call_set wasi_refused;   /* less these */
    uint64_t clock_resolution_ns; /* clocks are rounded down to it; 0: as exact as they are */
} runtime_profile;

extern const char *const runtime_profile_names[]; /* NULL-terminated */
/* NULL for a name that is no profile. */
const runtime_profile *runtime_profile_find(const char *name);

#endif
