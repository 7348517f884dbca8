/* One answer of a model: the request made from options and messages, streamed or printed as JSON,
 * summarised, and its receipt. Shared by `run` and `chat`. */
#ifndef CLI_ANSWER_H
#define CLI_ANSWER_H

#include "cli/client.h"
#include "cli/model_options.h"
#include "cli/progress.h"

typedef struct answer {
    client *session;
    const tars_model_info *model;
    progress progress;
    bool streams;       /* text goes to standard output as it comes */
    bool wrote_newline; /* the last byte streamed ended a line */
    bool wrote_text;
    tars_job *job; /* holds the result's memory */
    tars_result result;
} answer;

/* Runs the request. TARS_OK also when it was cancelled by an interrupt: see
 * result.finish_reason and answer_was_cancelled. answer_finish gives the memory back. */
tars_status answer_run(answer *a, client *session, const tars_model_info *model,
                       const tars_request *request, bool streams, tars_error *err);
bool answer_was_cancelled(const answer *a);
/* Speed and time on standard error, unless --quiet. */
void answer_summarize(const answer *a);
/* Signs and writes the receipt. */
tars_status answer_write_receipt(const answer *a, const tars_request *request, const char *path,
                                 tars_error *err);
void answer_finish(answer *a);

#endif
