/* A request to the engine on the runtime that the job chose: what answers, and embeddings and texts
 * in a sandbox, share. Ownership: all is borrowed for the call. */
#ifndef API_SERVE_H
#define API_SERVE_H

#include "api/job.h"
#include "runtime/guest_client.h"

/* OUT_OF_MEMORY when the request may not take, or the machine does not have, so many bytes (0: too
 * many to count). */
tars_status job_check_memory(const tars_job *job, uint64_t needed, tars_error *err);
/* `wanted` bytes, or as much of them as the request may take, the machine has and a guest can have
 * beside the model: for guests that are asked for what may take less than could be counted before,
 * and that say themselves when it is too little. */
uint64_t job_guest_bytes(const tars_job *job, uint64_t wanted);
/* Threads that the request computes with, of those it asked for. */
unsigned job_threads(const tars_job *job);
/* Serves the client's request in a fresh instance over the job's model with so much memory of its
 * own. *start_ns: until it could run. */
tars_status job_serve(tars_job *job, uint64_t memory_bytes, guest_client *client,
                      uint64_t *start_ns, tars_error *err);

#endif
