/* Security profiles by name, the built-in ones and those of deployment.security: what a runtime
 * enforces of them, and in which isolation.
 *
 * Ownership: plain memory of the caller, which does not move while it is used, since its parts
 * point at each other; texts are the configuration's and must live as long. */
#ifndef API_PROFILES_H
#define API_PROFILES_H

#include "config/config.h"
#include "runtime/profile.h"
#include "runtime/registry.h"

enum { PROFILES_MAX_CALLS = 256 };

typedef struct resolved_profile {
    runtime_profile rules;          /* its name is the one that was asked for */
    runtime_isolation floor;        /* no weaker runtime may run it */
    const config_value *floor_from; /* who says so, or NULL */
    bool no_folders; /* nothing but scratch files: no folder of the host may be granted */
    const char *calls[PROFILES_MAX_CALLS + 1]; /* of rules.calls */
} resolved_profile;

/* USAGE with the nearest name when there is no such profile. UNAVAILABLE when it needs what this
 * version cannot give: lists of hosts, commands or paths that are in force. */
tars_status profiles_resolve(const config *values, const char *name, resolved_profile *out,
                             tars_error *err);
/* DENIED, naming profile and floor, when the runtime is weaker than the profile demands. */
tars_status profiles_check_runtime(const resolved_profile *profile, const runtime_row *runtime,
                                   tars_error *err);

#endif
