/* Text to ids and back. */
#include "api/tokenize.h"

#include <stdlib.h>
#include <string.h>

/* Encodes into `out` (int32 ids). */
static tars_status encode(tars_job *job, const char *bytes, size_t length, unsigned flags,
                          job_list *out, tars_error *err) {
    tars_status status = prompt_check_text(bytes, length, err);
    if (status != TARS_OK) {
        return status;
    }
    const tokenizer *t = &job->request->model->tokenizer;
    size_t memory_bytes = prompt_encode_bytes(t, length);
    void *room = malloc(memory_bytes);
    if (!room) {
        return job_no_memory(err);
    }
    arena memory;
    arena_init(&memory, room, memory_bytes);
    int32_t *ids = NULL;
    size_t count = 0;
    status = prompt_encode(t, bytes, length, flags, 0, &memory, &ids, &count, err);
    if (status == TARS_OK && !job_list_add(out, ids, count * sizeof *ids)) {
        status = job_no_memory(err);
    }
    free(room);
    return status;
}

static bool add_rendered(void *user, const char *bytes, size_t length) {
    return job_list_add(user, bytes, length);
}

/* Now in UTC, for templates that print the date (proleptic Gregorian calendar; years begin in
 * March here, so that the leap day comes last). */
template_clock tokenize_today(void) {
    int64_t seconds = platform_wall_clock_ns() / 1000000000;
    int64_t days = seconds / 86400 + 719468; /* since 0000-03-01 */
    int64_t era = days / 146097;
    int64_t day_of_era = days - era * 146097;
    int64_t year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365;
    int64_t day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    int64_t month = (5 * day_of_year + 2) / 153; /* 0 is March */
    int64_t of_day = seconds % 86400;
    return (template_clock){.year = (int)(year_of_era + era * 400 + (month >= 10 ? 1 : 0)),
                            .month = (int)(month < 10 ? month + 3 : month - 9),
                            .day = (int)(day_of_year - (153 * month + 2) / 5 + 1),
                            .hour = (int)(of_day / 3600),
                            .minute = (int)(of_day / 60 % 60),
                            .second = (int)(of_day % 60)};
}

/* The conversation as the model's chat template writes it. */
static tars_status render(tars_job *job, job_list *out, tars_error *err) {
    const tars_request *r = job->request;
    void *memory = malloc(PROMPT_TEMPLATE_BYTES);
    chat_template_message *messages = calloc(r->n_messages, sizeof *messages);
    if (!memory || !messages) {
        free(memory);
        free(messages);
        return job_no_memory(err);
    }
    for (size_t i = 0; i < r->n_messages; i++) {
        messages[i] = (chat_template_message){r->messages[i].role, r->messages[i].content};
    }
    arena scratch;
    arena_init(&scratch, memory, PROMPT_TEMPLATE_BYTES);
    prompt_conversation conversation = {messages, r->n_messages, tokenize_today()};
    tars_status status = prompt_render(&r->model->pack, &r->model->tokenizer, &conversation,
                                       &scratch, add_rendered, out, err);
    free(memory);
    free(messages);
    return status;
}

static tars_status check_messages(const tars_request *r, tars_error *err) {
    if (r->model->pack.sections[PACK_CHAT_TEMPLATE].size_bytes == 0) {
        error_set(err, TARS_USAGE, "model %s has no chat template", r->model->entry.name);
        error_hint(err, "give plain text instead (--raw)");
        return TARS_USAGE;
    }
    tars_status status = TARS_OK;
    for (size_t i = 0; i < r->n_messages && status == TARS_OK; i++) {
        const tars_message *m = &r->messages[i];
        status = m->role && m->content
                     ? prompt_check_text(m->content, strlen(m->content), err)
                     : error_set(err, TARS_USAGE, "message %zu has no role or no content", i + 1);
    }
    return status;
}

/* The template writes BOS itself where the model wants it. */
static tars_status tokenize_messages(tars_job *job, tars_error *err) {
    tars_status status = check_messages(job->request, err);
    if (status != TARS_OK) {
        return status;
    }
    if (job_in_guest(job)) {
        return tokenize_messages_in_guest(job, err);
    }
    job_list text = {0};
    status = render(job, &text, err);
    if (status == TARS_OK) {
        status = encode(job, text.bytes ? (const char *)text.bytes : "", text.length,
                        TOKENIZER_PARSE_SPECIAL, &job->prompt_ids, err);
    }
    job->usage.bytes_in = text.length;
    free(text.bytes);
    return status;
}

unsigned tokenize_flags(const tars_request *r) {
    return (r->no_special ? 0u : (unsigned)TOKENIZER_ADD_SPECIAL) |
           (r->parse_special ? (unsigned)TOKENIZER_PARSE_SPECIAL : 0u);
}

static tars_status tokenize_text(tars_job *job, tars_error *err) {
    const tars_request *r = job->request;
    job->usage.bytes_in = r->text.length;
    return job_in_guest(job) ? tokenize_texts_in_guest(job, &r->text, 1, 0, NULL, err)
                             : encode(job, r->text.bytes, r->text.length, tokenize_flags(r),
                                      &job->prompt_ids, err);
}

tars_status tokenize_empty(tars_error *err) {
    error_set(err, TARS_USAGE, "the prompt is empty");
    return error_hint(err, "give at least one character");
}

tars_status tokenize_check_ids(const tars_job *job, tars_error *err) {
    const tars_request *r = job->request;
    uint32_t n_vocab = r->model->pack.hparams->n_vocab;
    for (size_t i = 0; i < r->n_ids; i++) {
        if (r->ids[i] < 0 || (uint32_t)r->ids[i] >= n_vocab) {
            return error_set(err, TARS_USAGE, "token id %d is outside of the vocabulary of %u",
                             r->ids[i], n_vocab);
        }
    }
    return TARS_OK;
}

tars_status job_tokenize(tars_job *job, tars_error *err) {
    const tars_request *r = job->request;
    tars_status status = TARS_OK;
    if (r->n_messages > 0) {
        status = tokenize_messages(job, err);
    } else if (r->ids) {
        status = tokenize_check_ids(job, err);
        if (status == TARS_OK &&
            !job_list_add(&job->prompt_ids, r->ids, r->n_ids * sizeof *r->ids)) {
            status = job_no_memory(err);
        }
    } else if (r->text.bytes) {
        status = tokenize_text(job, err);
    }
    size_t n = job->prompt_ids.length / sizeof(int32_t);
    job->usage.prompt_tokens = n;
    bool may_be_empty = r->kind == TARS_REQUEST_TOKENIZE;
    return status == TARS_OK && n == 0 && !may_be_empty ? tokenize_empty(err) : status;
}

/* The pieces of the ids: a guest told them already. */
static tars_status find_pieces(tars_job *job, tars_error *err) {
    const int32_t *ids = (const int32_t *)job->prompt_ids.bytes;
    size_t n = job->prompt_ids.length / sizeof *ids;
    if (job->pieces.length == n * sizeof(tars_text_view)) {
        return TARS_OK;
    }
    for (size_t i = 0; i < n; i++) {
        tokenizer_text text = tokenizer_piece(&job->request->model->tokenizer, ids[i]);
        tars_text_view piece = {text.bytes, text.length};
        if (!job_list_add(&job->pieces, &piece, sizeof piece)) {
            return job_no_memory(err);
        }
    }
    return TARS_OK;
}

tars_status job_run_tokenize(tars_job *job, tars_error *err) {
    tars_status status = job_tokenize(job, err);
    if (status == TARS_OK) {
        status = find_pieces(job, err);
    }
    if (status == TARS_OK &&
        !job_list_add(&job->ids, job->prompt_ids.bytes, job->prompt_ids.length)) {
        status = job_no_memory(err);
    }
    return status;
}

static bool add_text(void *context, const char *bytes, size_t length) {
    return job_list_add(context, bytes, length);
}

tars_status job_run_detokenize(tars_job *job, tars_error *err) {
    const tars_request *r = job->request;
    tars_status status = tokenize_check_ids(job, err);
    if (status != TARS_OK) {
        return status;
    }
    if (job_in_guest(job)) {
        return detokenize_in_guest(job, err);
    }
    tokenizer_stream stream;
    tokenizer_stream_init(&stream, &r->model->tokenizer,
                          r->no_special ? 0 : (unsigned)TOKENIZER_SHOW_SPECIAL);
    bool fits = true;
    for (size_t i = 0; i < r->n_ids && fits; i++) {
        fits = tokenizer_stream_push(&stream, r->ids[i], add_text, &job->text);
    }
    fits = fits && tokenizer_stream_finish(&stream, add_text, &job->text);
    return fits ? TARS_OK : job_no_memory(err);
}
