/* Tokenizing in a sandbox: the model's tables and its chat template are interpreted there. */
#include "api/serve.h"
#include "api/tokenize.h"
#include "runtime/guest_text.h"

#include <stdlib.h>
#include <string.h>

/* Data, stack, rings and state of a guest, and how much longer than its messages a conversation may
 * become. Memory is taken only as it is touched, so that these are generous; what does not fit the
 * guest in the end it says. */
#define FIXED_BYTES ((uint64_t)4 << 20)
#define TEMPLATE_TEXT_BYTES ((uint64_t)16 << 20)
enum { TEMPLATE_TEXT_FACTOR = 4 };

typedef struct collector {
    tars_job *job;
    size_t *offsets; /* may be NULL */
    uint32_t text;   /* whose ids come */
} collector;

/* Texts without ids begin where the next one does. */
static void begin_texts(collector *c, uint32_t text) {
    while (c->offsets && c->text < text) {
        c->offsets[++c->text] = c->job->prompt_ids.length / sizeof(int32_t);
    }
}

static tars_status add_ids(void *user, uint32_t text, const wire_id *ids, size_t n,
                           tars_error *err) {
    collector *c = user;
    tars_job *job = c->job;
    begin_texts(c, text);
    for (size_t i = 0; i < n; i++) {
        tars_text_view piece = {NULL, ids[i].piece_bytes}; /* where it lies follows at the end */
        bool has_pieces = job->request->kind == TARS_REQUEST_TOKENIZE;
        if (!job_list_add(&job->prompt_ids, &ids[i].id, sizeof ids[i].id) ||
            (has_pieces && !job_list_add(&job->pieces, &piece, sizeof piece))) {
            return job_no_memory(err);
        }
    }
    return TARS_OK;
}

static tars_status add_pieces(void *user, const char *bytes, size_t length, tars_error *err) {
    tars_job *job = ((collector *)user)->job;
    return job_list_add(&job->piece_bytes, bytes, length) ? TARS_OK : job_no_memory(err);
}

static tars_status check(void *user, tars_error *err) {
    return job_check(((collector *)user)->job, err);
}

static void place_pieces(tars_job *job) {
    tars_text_view *pieces = (tars_text_view *)job->pieces.bytes;
    const char *at = job->piece_bytes.bytes ? (const char *)job->piece_bytes.bytes : "";
    for (size_t i = 0; i < job->pieces.length / sizeof *pieces; i++) {
        pieces[i].bytes = at;
        at += pieces[i].length;
    }
}

/* In a guest with `least` bytes of its own and `more`, or as much of that as it can have. */
static tars_status serve(tars_job *job, uint64_t least, uint64_t more, guest_client *client,
                         tars_error *err) {
    uint64_t start_ns = 0;
    tars_status status = job_check_memory(job, least, err);
    if (status != TARS_OK) {
        return status;
    }
    status = job_serve(job, job_guest_bytes(job, least + more), client, &start_ns, err);
    uint64_t peak = client->result.memory_bytes;
    job->usage.memory_peak_bytes =
        peak > job->usage.memory_peak_bytes ? peak : job->usage.memory_peak_bytes;
    job->usage.start_ms = (double)start_ns / 1e6;
    if (status == TARS_OK) {
        job->isa = client->isa;
    }
    return status;
}

/* Sends what is filled in of the request. `longest`: bytes of the longest text that is encoded. */
static tars_status run(collector *c, guest_encode_request *r, uint64_t longest, tars_error *err) {
    tars_job *job = c->job;
    const tars_model *m = job->request->model;
    uint64_t encode_bytes = prompt_encode_bytes(&m->tokenizer, (size_t)longest);
    bool overflows = encode_bytes == SIZE_MAX;
    encode_bytes += r->wire.n_messages > 0 ? PROMPT_TEMPLATE_BYTES + longest : 0;
    uint64_t memory = FIXED_BYTES + model_memory_bytes(&m->pack) + r->wire.text_bytes +
                      r->wire.n_texts * sizeof(uint32_t) +
                      r->wire.n_messages * sizeof(chat_template_message);
    guest_encode *told = malloc(sizeof *told);
    if (overflows || !told) {
        free(told);
        return job_no_memory(err);
    }
    r->isa = job_guest_isa(job);
    r->n_vocab = m->pack.hparams->n_vocab;
    r->wire.pieces = job->request->kind == TARS_REQUEST_TOKENIZE;
    guest_encode_sink sink = {.user = c, .ids = add_ids, .pieces = add_pieces, .check = check};
    guest_encode_init(told, r, &sink);
    tars_status status = serve(job, memory, encode_bytes, &told->client, err);
    if (status == TARS_OK) {
        job->usage.bytes_in = told->client.result.n_bytes;
        place_pieces(job);
    } else { /* parts of them are of no use */
        job->prompt_ids.length = job->pieces.length = job->piece_bytes.length = 0;
    }
    free(told);
    return status;
}

tars_status tokenize_texts_in_guest(tars_job *job, const tars_text_view *texts, size_t n_texts,
                                    size_t max_ids, size_t *offsets, tars_error *err) {
    collector c = {.job = job, .offsets = offsets};
    guest_encode_request r = {.wire = {.flags = tokenize_flags(job->request),
                                       .n_texts = (uint32_t)n_texts,
                                       .max_ids = (uint32_t)max_ids}};
    uint32_t *lengths = calloc(n_texts, sizeof *lengths);
    if (!lengths) {
        return job_no_memory(err);
    }
    job_list words = {0};
    uint64_t longest = 0;
    tars_status status = TARS_OK;
    for (size_t i = 0; i < n_texts && status == TARS_OK; i++) {
        const char *bytes = texts[i].bytes ? texts[i].bytes : "";
        status = prompt_check_text(bytes, texts[i].length, err);
        if (status == TARS_OK && !job_list_add(&words, bytes, texts[i].length)) {
            status = job_no_memory(err);
        }
        lengths[i] = (uint32_t)texts[i].length; /* at most PROMPT_MAX_BYTES */
        longest = lengths[i] > longest ? lengths[i] : longest;
        r.most_ids += tokenizer_max_ids(&job->request->model->tokenizer, lengths[i]);
    }
    if (status == TARS_OK) {
        r.wire.text_bytes = words.length;
        r.words = (const char *)words.bytes;
        r.lengths = lengths;
        status = run(&c, &r, longest, err);
    }
    if (status == TARS_OK) {
        begin_texts(&c, (uint32_t)n_texts);
    }
    free(words.bytes);
    free(lengths);
    return status;
}

tars_status tokenize_messages_in_guest(tars_job *job, tars_error *err) {
    const tars_request *request = job->request;
    if (request->n_messages > WIRE_MAX_MESSAGES) {
        return error_set(err, TARS_LIMIT, "%zu messages; runtime wasm takes %u",
                         request->n_messages, (unsigned)WIRE_MAX_MESSAGES);
    }
    collector c = {.job = job};
    template_clock now = tokenize_today();
    guest_encode_request r = {
        .wire = {.flags = TOKENIZER_PARSE_SPECIAL,
                 .n_messages = (uint32_t)request->n_messages,
                 .clock = {now.year, now.month, now.day, now.hour, now.minute, now.second}}};
    job_list words = {0};
    tars_status status = TARS_OK;
    for (size_t i = 0; i < request->n_messages && status == TARS_OK; i++) {
        const tars_message *m = &request->messages[i];
        if (!job_list_add(&words, m->role, strlen(m->role) + 1) ||
            !job_list_add(&words, m->content, strlen(m->content) + 1)) {
            status = job_no_memory(err);
        }
    }
    if (status == TARS_OK) {
        uint64_t longest = words.length * TEMPLATE_TEXT_FACTOR + TEMPLATE_TEXT_BYTES;
        r.wire.text_bytes = words.length;
        r.words = (const char *)words.bytes;
        r.most_ids = tokenizer_max_ids(&request->model->tokenizer, (size_t)longest);
        status = run(&c, &r, longest, err);
    }
    free(words.bytes);
    return status;
}

static tars_status add_text(void *user, const char *bytes, size_t length, tars_error *err) {
    return job_list_add(&((tars_job *)user)->text, bytes, length) ? TARS_OK : job_no_memory(err);
}

static tars_status check_job(void *user, tars_error *err) {
    return job_check(user, err);
}

tars_status detokenize_in_guest(tars_job *job, tars_error *err) {
    const tars_request *request = job->request;
    if (request->n_ids > UINT32_MAX / sizeof(int32_t)) {
        return error_set(err, TARS_LIMIT, "%zu ids are more than runtime wasm can hold",
                         request->n_ids);
    }
    guest_decode_request r = {
        .isa = job_guest_isa(job),
        .wire = {.flags = request->no_special ? 0 : (uint32_t)TOKENIZER_SHOW_SPECIAL,
                 .n_ids = (uint32_t)request->n_ids},
        .ids = request->ids};
    guest_decode_sink sink = {.user = job, .text = add_text, .check = check_job};
    guest_decode *told = malloc(sizeof *told);
    if (!told) {
        return job_no_memory(err);
    }
    guest_decode_init(told, &r, &sink);
    uint64_t memory =
        FIXED_BYTES + model_memory_bytes(&request->model->pack) + request->n_ids * sizeof(int32_t);
    tars_status status = serve(job, memory, 0, &told->client, err);
    free(told);
    return status;
}
