/* The runtimes that this version knows, in order of isolation. Ownership: constant tables. */
#ifndef RUNTIME_REGISTRY_H
#define RUNTIME_REGISTRY_H

#include "runtime/runtime.h"

#include <stdbool.h>
#include <stddef.h>

/* Ascending: what stands between a request and the process that serves it. */
typedef enum runtime_isolation {
    ISOLATION_PROCESS = 0, /* a model in this process's own threads counts as this */
    ISOLATION_SANDBOX,
    ISOLATION_MICROVM
} runtime_isolation;

struct runtime_row {
    const char *name;
    runtime_isolation isolation;
    bool (*is_built_in)(void);
    /* UNAVAILABLE with the reason and what to do, found out by trying. */
    tars_status (*probe)(tars_error *err);
    /* What runs images of each kind; NULL: none does in this version. */
    const runtime_functions *functions[RUNTIME_IMAGE_KINDS];
};

extern const runtime_row runtime_rows[];
extern const size_t runtime_row_count;

/* NULL when there is none of that name. */
const runtime_row *runtime_find(const char *name);

#endif
