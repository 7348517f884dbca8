/* Text to ids and back. */
#include "api/job.h"

#include "base/utf8.h"
#include "engine/chat_template.h"

#include <stdlib.h>
#include <string.h>

enum { MAX_INPUT_BYTES = 256 << 20, TEMPLATE_MEMORY_BYTES = 16 << 20, SPECIAL_BYTES = 513 };

static tars_status check_utf8(const char *bytes, size_t length, tars_error *err) {
    size_t at = 0;
    if (length > MAX_INPUT_BYTES) {
        return error_set(err, TARS_LIMIT, "a text of %zu bytes; %u are possible", length,
                         (unsigned)MAX_INPUT_BYTES);
    }
    if (!utf8_valid(bytes, length, &at)) {
        error_set(err, TARS_MALFORMED, "the text is not valid UTF-8: byte 0x%02x at offset %zu",
                  (unsigned)(unsigned char)bytes[at], at);
        error_hint(err, "convert it first, for example with iconv -t UTF-8");
        return TARS_MALFORMED;
    }
    return TARS_OK;
}

/* Encodes into `out` (int32 ids). */
static tars_status encode(tars_job *job, const char *bytes, size_t length, unsigned flags,
                          job_list *out, tars_error *err) {
    tars_status status = check_utf8(bytes, length, err);
    if (status != TARS_OK) {
        return status;
    }
    const tokenizer *t = &job->request->model->tokenizer;
    size_t scratch_bytes = tokenizer_scratch_bytes(t, length);
    size_t capacity = tokenizer_max_ids(t, length);
    void *memory = malloc(scratch_bytes);
    int32_t *ids = malloc(capacity * sizeof *ids);
    if (!memory || !ids) {
        free(memory);
        free(ids);
        return job_no_memory(err);
    }
    arena scratch;
    arena_init(&scratch, memory, scratch_bytes);
    size_t count = 0;
    status = tokenizer_encode(t, bytes, length, flags, ids, capacity, &count, &scratch, err);
    if (status == TARS_OK && !job_list_add(out, ids, count * sizeof *ids)) {
        status = job_no_memory(err);
    }
    free(memory);
    free(ids);
    return status;
}

static bool add_rendered(void *user, const char *bytes, size_t length) {
    return job_list_add(user, bytes, length);
}

/* The text of a special token as a C string, or NULL when the model has none. */
static const char *special_text(const tokenizer *t, int32_t id, char out[SPECIAL_BYTES]) {
    tokenizer_text text = id >= 0 ? tokenizer_piece(t, id) : (tokenizer_text){0};
    if (id < 0 || text.length >= SPECIAL_BYTES) {
        return NULL;
    }
    memcpy(out, text.bytes, text.length);
    out[text.length] = '\0';
    return out;
}

/* Now in UTC, for templates that print the date (proleptic Gregorian calendar; years begin in
 * March here, so that the leap day comes last). */
static template_clock today(void) {
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

static tars_status render_with(tars_job *job, const chat_template *compiled,
                               const chat_template_message *messages, arena *scratch, job_list *out,
                               tars_error *err) {
    const tokenizer *t = &job->request->model->tokenizer;
    char specials[2][SPECIAL_BYTES];
    chat_template_conversation conversation = {
        .messages = messages,
        .n_messages = job->request->n_messages,
        .bos_token = special_text(t, tokenizer_bos(t), specials[0]),
        .eos_token = special_text(t, tokenizer_eos(t), specials[1]),
        .add_generation_prompt = true,
    };
    template_value variables;
    tars_status status = chat_template_context(&conversation, scratch, &variables, err);
    if (status != TARS_OK) {
        return status;
    }
    chat_template_options options = {.clock = today()};
    return chat_template_render(compiled, &variables, &options, scratch, add_rendered, out, NULL,
                                err);
}

/* The conversation as the model's chat template writes it. */
static tars_status render(tars_job *job, job_list *out, tars_error *err) {
    const tars_request *r = job->request;
    const pack_bytes *text = &r->model->pack.sections[PACK_CHAT_TEMPLATE];
    if (text->size_bytes == 0) {
        error_set(err, TARS_USAGE, "model %s has no chat template", r->model->entry.name);
        error_hint(err, "give plain text instead (--raw)");
        return TARS_USAGE;
    }
    void *memory = malloc(TEMPLATE_MEMORY_BYTES);
    chat_template_message *messages = calloc(r->n_messages, sizeof *messages);
    if (!memory || !messages) {
        free(memory);
        free(messages);
        return job_no_memory(err);
    }
    tars_status status = TARS_OK;
    for (size_t i = 0; i < r->n_messages && status == TARS_OK; i++) {
        const char *content = r->messages[i].content;
        status = check_utf8(content, strlen(content), err);
        messages[i] = (chat_template_message){r->messages[i].role, content};
    }
    arena scratch;
    arena_init(&scratch, memory, TEMPLATE_MEMORY_BYTES);
    chat_template *compiled = NULL;
    if (status == TARS_OK) {
        status = chat_template_compile((const char *)text->bytes, text->size_bytes, &scratch,
                                       &compiled, err);
    }
    if (status == TARS_OK) {
        status = render_with(job, compiled, messages, &scratch, out, err);
    }
    free(memory);
    free(messages);
    return status;
}

tars_status job_tokenize(tars_job *job, tars_error *err) {
    const tars_request *r = job->request;
    tars_status status = TARS_OK;
    if (r->n_messages > 0) {
        job_list text = {0};
        status = render(job, &text, err);
        if (status == TARS_OK) { /* the template writes BOS itself where the model wants it */
            status = encode(job, text.bytes ? (const char *)text.bytes : "", text.length,
                            TOKENIZER_PARSE_SPECIAL, &job->prompt_ids, err);
        }
        job->usage.bytes_in = text.length;
        free(text.bytes);
    } else if (r->ids) {
        if (!job_list_add(&job->prompt_ids, r->ids, r->n_ids * sizeof *r->ids)) {
            status = job_no_memory(err);
        }
    } else if (r->text.bytes) {
        unsigned flags = (r->no_special ? 0u : (unsigned)TOKENIZER_ADD_SPECIAL) |
                         (r->parse_special ? (unsigned)TOKENIZER_PARSE_SPECIAL : 0u);
        job->usage.bytes_in = r->text.length;
        status = encode(job, r->text.bytes, r->text.length, flags, &job->prompt_ids, err);
    }
    size_t n = job->prompt_ids.length / sizeof(int32_t);
    job->usage.prompt_tokens = n;
    bool may_be_empty = r->kind == TARS_REQUEST_TOKENIZE;
    if (status == TARS_OK && n == 0 && !may_be_empty) {
        error_set(err, TARS_USAGE, "the prompt is empty");
        error_hint(err, "give at least one character");
        status = TARS_USAGE;
    }
    return status;
}

tars_status job_run_tokenize(tars_job *job, tars_error *err) {
    tars_status status = job_tokenize(job, err);
    if (status != TARS_OK) {
        return status;
    }
    const int32_t *ids = (const int32_t *)job->prompt_ids.bytes;
    size_t n = job->prompt_ids.length / sizeof *ids;
    for (size_t i = 0; i < n; i++) {
        tokenizer_text text = tokenizer_piece(&job->request->model->tokenizer, ids[i]);
        tars_text_view piece = {text.bytes, text.length};
        if (!job_list_add(&job->pieces, &piece, sizeof piece)) {
            return job_no_memory(err);
        }
    }
    if (!job_list_add(&job->ids, ids, job->prompt_ids.length)) {
        return job_no_memory(err);
    }
    return TARS_OK;
}

static bool add_text(void *context, const char *bytes, size_t length) {
    return job_list_add(context, bytes, length);
}

tars_status job_run_detokenize(tars_job *job, tars_error *err) {
    const tars_request *r = job->request;
    uint32_t n_vocab = r->model->pack.hparams->n_vocab;
    for (size_t i = 0; i < r->n_ids; i++) {
        if (r->ids[i] < 0 || (uint32_t)r->ids[i] >= n_vocab) {
            return error_set(err, TARS_USAGE, "token id %d is outside of the vocabulary of %u",
                             r->ids[i], n_vocab);
        }
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
