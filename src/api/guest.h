/* Requests to a sandboxed engine: what answers, embeddings and tokenizing share. Ownership: all is
 * borrowed for the call. */
#ifndef API_GUEST_H
#define API_GUEST_H

#include "api/job.h"
#include "runtime/guest_client.h"

/* Serves the client's request in a fresh instance over the job's model with so much memory of its
 * own. *start_ns: until it could run. */
tars_status guest_run(tars_job *job, uint64_t memory_bytes, guest_client *client,
                      uint64_t *start_ns, tars_error *err);

#endif
