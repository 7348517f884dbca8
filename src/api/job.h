/* A request being served. Ownership: tars_submit to tars_job_destroy; the request and its model
 * are borrowed. Everything that a result points to lives in the job. */
#ifndef API_JOB_H
#define API_JOB_H

#include "api/context.h"
#include "api/model_api.h"
#include "engine/forward.h"
#include "engine/sampler.h"
#include "runtime/native/team.h"
#include "runtime/registry.h"

#include <tars/request.h>

/* A growing array of bytes, elements of one size. */
typedef struct job_list {
    uint8_t *bytes;
    size_t length, capacity; /* bytes */
} job_list;

struct tars_job {
    tars_context *context;
    const tars_request *request;
    tars_sink sink;
    const runtime_row *runtime;
    const kernel_table *kernels;
    const char *isa; /* of the kernels that compute; a constant text */
    unsigned n_threads;
    kv_type kv_type;
    sampler_settings sampler;
    uint32_t n_context;
    atomic_uint cancelled;
    uint64_t submitted_ns, cpu_begin_ns;
    tars_usage usage;
    const char *finish_reason;
    /* results */
    job_list prompt_ids, ids, text, digests, pieces, piece_bytes, vectors;
    char logits_hash[65];
    float *logits;
    double perplexity;
    uint64_t tokens_scored, windows;
};

/* Whether the request runs in a sandbox. */
bool job_in_guest(const tars_job *job);
/* As guest_client_request has it: the kernels that were asked for, or NULL. */
const char *job_guest_isa(const tars_job *job);
/* Appends; false when memory ran out. */
bool job_list_add(job_list *list, const void *bytes, size_t length);
tars_status job_no_memory(tars_error *err);
/* CANCELLED, TIMEOUT, or OK. Asked between passes. */
tars_status job_check(tars_job *job, tars_error *err);
/* Fills job->prompt_ids from messages, text or ids. */
tars_status job_tokenize(tars_job *job, tars_error *err);

/* One kind of request each: drives the job to its end. */
tars_status job_run_generate(tars_job *job, tars_error *err);
tars_status job_run_embed(tars_job *job, tars_error *err);
tars_status job_run_tokenize(tars_job *job, tars_error *err);
tars_status job_run_detokenize(tars_job *job, tars_error *err);
tars_status job_run_perplexity(tars_job *job, tars_error *err);

/* Private memory of the request, 0 when it overflows. */
uint64_t job_estimate_bytes(const tars_job *job, size_t n_prompt);

#endif
