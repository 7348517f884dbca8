/* The states of a loaded WebAssembly module and the only ways between them. Ownership: nothing is
 * kept. */
#ifndef STORE_MODULE_STATE_H
#define STORE_MODULE_STATE_H

#include "base/error.h"

#include <stdbool.h>

typedef enum module_state {
    MODULE_UNLOADED,  /* not in the store */
    MODULE_LOADING,   /* a process checks and compiles it */
    MODULE_LOADED,    /* kept, and may be run */
    MODULE_EXECUTING, /* a process runs it */
    MODULE_ERROR,     /* kept but of no use; the entry says why */
    MODULE_DISPOSED,  /* a handle that was closed */
    MODULE_STATE_COUNT
} module_state;

/* "unloaded", "loading" … */
const char *module_state_name(module_state state);
bool module_state_allows(module_state from, module_state to);
/* CONFLICT, naming both states, when there is no way from one to the other. */
tars_status module_state_check(const char *name, module_state from, module_state to,
                               tars_error *err);

#endif
