/* One program in one virtual machine of its own: no kernel, no devices; its system calls are the
 * host's to answer (linux_calls.h). Ownership: everything is borrowed for the call; the machine is
 * gone when it returns. Any number of threads may call it at once. */
#ifndef RUNTIME_MICROVM_MACHINE_H
#define RUNTIME_MICROVM_MACHINE_H

#include "runtime/microvm/linux_calls.h"

typedef struct machine_limits {
    uint64_t memory_bytes; /* of pages that the program can use */
    uint64_t stack_bytes;
    uint64_t deadline_ns; /* platform_clock_ns(); 0: none */
    /* Called once the machine is made, before the program is looked at; not OK ends the run with
     * that. May be NULL. */
    tars_status (*made)(void *user, tars_error *err);
    void *user;
} machine_limits;

typedef struct machine_program {
    const uint8_t *bytes; /* an ELF file, static */
    size_t length;
    const char *name;                                  /* for messages */
    const char *const *arguments, *const *environment; /* NULL at their ends */
} machine_program;

typedef enum machine_end {
    MACHINE_ENDED,   /* as the context of its calls says */
    MACHINE_FAULT,   /* an exception: `signal` is what a kernel would have sent */
    MACHINE_TIME,    /* the deadline came while it computed */
    MACHINE_STOPPED, /* goes_on said no */
    MACHINE_MEMORY   /* the program itself does not fit the limit */
} machine_end;

typedef struct machine_result {
    machine_end end;
    int signal;        /* of FAULT */
    char message[160]; /* of FAULT */
    uint64_t start_ns; /* until the first instruction */
    uint64_t memory_peak_bytes;
    uint64_t others_cpu_ns;    /* of its threads of the host but the calling one */
    uint64_t n_memory_refused; /* times that it asked for more than it may have */
} machine_result;

/* UNAVAILABLE where there are no virtual machines. */
tars_status machine_probe(tars_error *err);
/* Checks that the bytes are a program that could run: MALFORMED, UNSUPPORTED. */
tars_status machine_check(const machine_program *program, tars_error *err);
/* Runs it to its end. `options` are those of its calls, without space, machine and what the limits
 * say; *context is given back with linux_destroy, also after a failure (when it may be NULL). */
tars_status machine_run(const machine_program *program, const machine_limits *limits,
                        linux_options *options, linux_context **context, machine_result *out,
                        tars_error *err);

#endif
