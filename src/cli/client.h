/* What a verb needs to work with models: a library context, Ctrl-C that ends the work and not the
 * program, jobs. Ownership: client_open makes it, client_close gives everything back; a client
 * stays at one address while it is open, and there is one at a time. */
#ifndef CLI_CLIENT_H
#define CLI_CLIENT_H

#include "cli/verb.h"

#include <stdatomic.h>
#include <tars/tars.h>

typedef struct client {
    cli *cli;
    tars_context *context;
    _Atomic(tars_job *) running; /* what an interrupt cancels */
} client;

tars_status client_open(client *self, cli *c, tars_error *err);
void client_close(client *self);
tars_status client_open_model(client *self, const char *name, tars_model **out,
                              tars_model_info *info, tars_error *err);
/* Submits, waits, and lets an interrupt cancel meanwhile. On TARS_OK and TARS_CANCELLED *job holds
 * the result's memory (destroy it), on failure it is NULL. */
tars_status client_run(client *self, const tars_request *request, const tars_sink *sink,
                       tars_job **job, tars_result *result, tars_error *err);
/* CANCELLED with a message when an interrupt came, else TARS_OK. */
tars_status client_check_interrupt(tars_error *err);

#endif
