/* The runtimes that the command line knows, and whether this program holds them. */
#ifndef CLI_RUNTIMES_H
#define CLI_RUNTIMES_H

#include "base/error.h"

#include <stdbool.h>
#include <stddef.h>

typedef struct runtime_fact {
    const char *name;
    bool built_in;
    const char *reason; /* why not, one sentence part */
    const char *fix;    /* what to do about it */
} runtime_fact;

extern const runtime_fact runtime_facts[];
extern const size_t runtime_fact_count;
/* Choices of --runtime and of --isolation, NULL-terminated. */
extern const char *const runtime_choices[];
extern const char *const isolation_choices[];

#endif
