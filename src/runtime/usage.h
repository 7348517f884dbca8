/* What a request took and what it was refused, told alike by every runtime. Ownership: plain memory
 * of the caller; names of calls and kinds are constant texts, names of violations are copies. */
#ifndef RUNTIME_USAGE_H
#define RUNTIME_USAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { RUNTIME_MAX_CALLS = 160, RUNTIME_MAX_VIOLATIONS = 72, RUNTIME_NAME_BYTES = 40 };

/* A call of the guest to its host. */
typedef struct runtime_call {
    const char *name;
    uint64_t count;
} runtime_call;

typedef struct runtime_usage {
    uint64_t wall_ns, cpu_ns;
    uint64_t start_ns; /* of wall_ns: until the guest could run */
    uint64_t memory_peak_bytes;
    uint64_t fuel; /* instructions; has_fuel: they were counted */
    bool has_fuel;
    uint64_t bytes_in, bytes_out;
    runtime_call calls[RUNTIME_MAX_CALLS];
    size_t n_calls;
} runtime_usage;

/* Something that the guest tried and was refused, or a limit that it met. */
typedef struct runtime_violation {
    const char *kind;              /* "syscall", "wasi", "path", "limit" */
    char name[RUNTIME_NAME_BYTES]; /* of the call, or of the limit */
    uint64_t count;
} runtime_violation;

typedef struct runtime_violations {
    runtime_violation rows[RUNTIME_MAX_VIOLATIONS];
    size_t count;
    uint64_t lost; /* refusals for which no row was left */
} runtime_violations;

/* Counts n more calls of a name, n more violations of a kind and name. */
void runtime_usage_count(runtime_usage *usage, const char *name, uint64_t n);
void runtime_violations_add(runtime_violations *list, const char *kind, const char *name,
                            uint64_t n);

#endif
