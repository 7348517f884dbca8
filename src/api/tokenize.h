/* What tokenizing here and in a guest share. Ownership: the job owns what is made. */
#ifndef API_TOKENIZE_H
#define API_TOKENIZE_H

#include "api/job.h"
#include "engine/prompt.h"

/* Now in UTC, for templates that print the date. */
template_clock tokenize_today(void);
/* tokenizer_encode_flags of the request. */
unsigned tokenize_flags(const tars_request *r);
/* USAGE: of a prompt without ids. */
tars_status tokenize_empty(tars_error *err);

/* Adds the ids of the texts, at most max_ids of each (0: all), to job->prompt_ids; offsets (may be
 * NULL) gets where each begins, [n_texts + 1]. Of a TOKENIZE request also the pieces. */
tars_status tokenize_texts_in_guest(tars_job *job, const tars_text_view *texts, size_t n_texts,
                                    size_t max_ids, size_t *offsets, tars_error *err);
/* Adds the ids of the request's conversation. */
tars_status tokenize_messages_in_guest(tars_job *job, tars_error *err);
/* job->text from the request's ids. */
tars_status detokenize_in_guest(tars_job *job, tars_error *err);

/* USAGE for a given id outside of the vocabulary. */
tars_status tokenize_check_ids(const tars_job *job, tars_error *err);

#endif
