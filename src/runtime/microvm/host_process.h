/* One request in a process of its own: it makes the virtual machine, gives up all rights but those
 * that run it, runs the program and tells how that ended. What takes it over has the program's
 * folders, and nothing else of this process or the machine. Ownership: all is borrowed for the
 * call; the process has ended when it returns. Any number of threads may call it at once. */
#ifndef RUNTIME_MICROVM_HOST_PROCESS_H
#define RUNTIME_MICROVM_HOST_PROCESS_H

#include "platform/snapshot.h"
#include "runtime/microvm/host_wire.h"

#define HOST_CHILD_VERB "internal-host"

typedef struct host_start {
    host_request request; /* its limits; what is counted is filled in */
    const platform_snapshot *image;
    size_t image_bytes;
    const char *name; /* for messages */
    const runtime_request *asked;
} host_start;

/* As `poll` of runtime_functions. */
tars_status host_process_run(const host_start *request, const runtime_control *control,
                             runtime_outcome *out, tars_error *err);

/* Tries it with a program that does nothing; *out->missing tells which walls are not in force.
 * Given back with runtime_outcome_free. UNAVAILABLE with the reason where it cannot be. */
tars_status host_process_probe(runtime_outcome *out, tars_error *err);

/* The other process; argv[0] is the verb. */
int host_child_main(int argc, char **argv);

#endif
