/* One answer while it is made, whichever runtime makes it. Ownership: the job owns what the answer
 * collects; the rest lives as long as job_run_generate runs. */
#ifndef API_ANSWER_H
#define API_ANSWER_H

#include "api/job.h"
#include "runtime/guest_answer.h"
#include "runtime/native/decoder.h"

struct tars_session {
    tars_model *model;
    void *memory; /* of kept.cache */
    size_t memory_bytes;
    decoder_session kept;
    atomic_uint busy;
};

enum { DECODER_DEFAULT_BATCH = 256 };

/* How the job's decoder would be set up for a context of so many tokens. */
decoder_settings job_decoder_settings(const tars_job *job, size_t n_context);

#endif
