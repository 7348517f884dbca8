/* Embeddings: texts are independent, so each worker takes the next one. */
#include "api/serve.h"
#include "api/tokenize.h"
#include "runtime/guest_embed.h"

#include "engine/encoder.h"

#include <stdlib.h>
#include <string.h>

enum { EMBED_MAX_TEXTS = 1 << 20 };

typedef struct embedding_work {
    tars_job *job;
    const int32_t *ids;    /* of all texts, one after another */
    const size_t *offsets; /* [n_texts + 1] */
    size_t n_texts, n_embd;
    float *vectors;    /* [n_texts][n_embd] */
    encoder *encoders; /* [n_workers] */
    atomic_size_t next;
    atomic_uint failed;
    platform_mutex lock; /* guards `error` */
    tars_error error;
} embedding_work;

static void fail(embedding_work *w, const tars_error *err) {
    platform_mutex_lock(&w->lock);
    if (!atomic_exchange(&w->failed, 1)) {
        w->error = *err;
    }
    platform_mutex_unlock(&w->lock);
}

static void embed_worker(void *argument, unsigned worker) {
    embedding_work *w = argument;
    encoder *e = &w->encoders[worker];
    for (size_t i = atomic_fetch_add(&w->next, 1); i < w->n_texts && !atomic_load(&w->failed);
         i = atomic_fetch_add(&w->next, 1)) {
        size_t n = w->offsets[i + 1] - w->offsets[i];
        tars_error err = {0};
        tars_status status = job_check(w->job, &err);
        if (status == TARS_OK) {
            status = encoder_run(e, w->ids + w->offsets[i], n, &err);
        }
        if (status != TARS_OK) {
            if (err.where[0] == '\0') {
                error_where(&err, "text %zu", i + 1);
            }
            fail(w, &err);
            return;
        }
        encoder_pool(e, n, !w->job->request->no_normalize, w->vectors + i * w->n_embd);
    }
}

/* Ids of all texts, each cut at the model's context (as its publishers do) with its last special
 * token kept. */
static tars_status tokenize_here(tars_job *job, size_t limit, size_t *offsets, tars_error *err) {
    const tars_request *r = job->request;
    tars_request one = *r;
    for (size_t i = 0; i < r->n_texts; i++) {
        offsets[i] = job->prompt_ids.length / sizeof(int32_t);
        one.text = r->texts[i]; /* an empty one still has the model's own tokens */
        one.text.bytes = one.text.bytes ? one.text.bytes : "";
        job->request = &one;
        tars_status status = job_tokenize(job, err);
        job->request = r;
        if (status != TARS_OK) {
            return status;
        }
        int32_t *ids = (int32_t *)job->prompt_ids.bytes;
        size_t n = job->prompt_ids.length / sizeof *ids - offsets[i];
        if (n > limit) {
            ids[offsets[i] + limit - 1] = ids[offsets[i] + n - 1];
            job->prompt_ids.length = (offsets[i] + limit) * sizeof *ids;
        }
    }
    offsets[r->n_texts] = job->prompt_ids.length / sizeof(int32_t);
    return TARS_OK;
}

static tars_status tokenize_all(tars_job *job, size_t *offsets, tars_error *err) {
    const tars_request *r = job->request;
    size_t limit = r->model->pack.hparams->context_length;
    tars_status status =
        job_in_guest(job) ? tokenize_texts_in_guest(job, r->texts, r->n_texts, limit, offsets, err)
                          : tokenize_here(job, limit, offsets, err);
    for (size_t i = 0; i < r->n_texts && status == TARS_OK; i++) {
        status = offsets[i + 1] > offsets[i] ? TARS_OK : tokenize_empty(err);
    }
    job->usage.prompt_tokens = status == TARS_OK ? offsets[r->n_texts] : 0;
    job->usage.bytes_in = 0;
    for (size_t i = 0; i < r->n_texts; i++) {
        job->usage.bytes_in += r->texts[i].length;
    }
    return status;
}

static size_t longest_of(const embedding_work *w) {
    size_t longest = 1;
    for (size_t i = 0; i < w->n_texts; i++) {
        size_t n = w->offsets[i + 1] - w->offsets[i];
        longest = n > longest ? n : longest;
    }
    return longest;
}

/* One encoder a worker, sized for the longest text. */
static tars_status make_encoders(embedding_work *w, unsigned n_workers, size_t longest,
                                 void **memory, size_t *memory_bytes, tars_error *err) {
    const tars_request *r = w->job->request;
    size_t one = encoder_memory_bytes(&r->model->engine, longest);
    *memory_bytes = one * n_workers;
    w->encoders = calloc(n_workers, sizeof *w->encoders);
    if (!w->encoders) {
        return job_no_memory(err);
    }
    tars_status status = platform_reserve(*memory_bytes, false, memory, err);
    w->job->usage.memory_peak_bytes = *memory_bytes;
    for (unsigned i = 0; i < n_workers && status == TARS_OK; i++) {
        arena a;
        arena_init(&a, (uint8_t *)*memory + i * one, one);
        status = encoder_init(&w->encoders[i], &r->model->engine, w->job->kernels, longest,
                              r->float_activations, &a, err);
    }
    return status;
}

static tars_status run_here(embedding_work *w, tars_error *err) {
    size_t longest = longest_of(w);
    unsigned n_workers = w->job->n_threads < w->n_texts ? w->job->n_threads : (unsigned)w->n_texts;
    n_workers = n_workers > 0 ? n_workers : 1;
    void *memory = NULL;
    size_t memory_bytes = 0;
    tars_status status = make_encoders(w, n_workers, longest, &memory, &memory_bytes, err);
    team *t = NULL;
    if (status == TARS_OK) {
        status = team_create(n_workers, &t, err);
    }
    if (status == TARS_OK) {
        uint64_t begin = platform_clock_ns();
        w->job->usage.start_ms = (double)(begin - w->job->submitted_ns) / 1e6;
        team_run(t, n_workers, embed_worker, w);
        w->job->usage.prompt_ms = (double)(platform_clock_ns() - begin) / 1e6;
        status = model_api_check(w->job->request->model, err);
    }
    if (status == TARS_OK && atomic_load(&w->failed)) {
        if (err) {
            *err = w->error;
        }
        status = w->error.status;
    }
    team_destroy(t);
    free(w->encoders);
    if (memory) {
        platform_release(memory, memory_bytes);
    }
    return status;
}

static tars_status check_job(void *user, tars_error *err) {
    return job_check(user, err);
}

static guest_embed_request guest_request(embedding_work *w, const uint32_t *lengths,
                                         size_t longest) {
    const tars_request *r = w->job->request;
    return (guest_embed_request){.isa = job_guest_isa(w->job),
                                 .n_embd = (uint32_t)w->n_embd,
                                 .wire = {.n_texts = (uint32_t)w->n_texts,
                                          .normalize = !r->no_normalize,
                                          .float_activations = r->float_activations,
                                          .max_ids = (uint32_t)longest,
                                          .n_ids = w->offsets[w->n_texts]},
                                 .lengths = lengths,
                                 .ids = w->ids,
                                 .vectors = w->vectors,
                                 .check = check_job,
                                 .user = w->job};
}

/* Everything besides the model that the guest needs. */
static uint64_t guest_bytes(const embedding_work *w, size_t longest) {
    enum { FIXED_BYTES = 4 << 20 }; /* data, stack, rings and state of a guest */
    const tars_model *m = w->job->request->model;
    return FIXED_BYTES + model_memory_bytes(&m->pack) + encoder_memory_bytes(&m->engine, longest) +
           w->n_embd * sizeof(float) + w->n_texts * sizeof(uint32_t) +
           w->offsets[w->n_texts] * sizeof *w->ids;
}

static tars_status talk(embedding_work *w, guest_embed *told, const uint32_t *lengths,
                        tars_error *err) {
    tars_job *job = w->job;
    size_t longest = longest_of(w);
    uint64_t memory = guest_bytes(w, longest);
    tars_status status = job_check_memory(job, memory, err);
    if (status != TARS_OK) {
        return status;
    }
    guest_embed_request request = guest_request(w, lengths, longest);
    guest_embed_init(told, &request);
    uint64_t begin_ns = platform_clock_ns();
    uint64_t start_ns = 0;
    status = job_serve(job, memory, &told->client, &start_ns, err);
    uint64_t ready_ns = begin_ns + start_ns;
    job->usage.start_ms = (double)(ready_ns - job->submitted_ns) / 1e6;
    job->usage.prompt_ms = (double)(platform_clock_ns() - ready_ns) / 1e6;
    job->usage.memory_peak_bytes = told->client.result.memory_bytes;
    job->isa = told->client.isa;
    job->n_threads = 1;
    return status == TARS_OK ? model_api_check(job->request->model, err) : status;
}

/* One text after another, in one instance. */
static tars_status run_in_guest(embedding_work *w, tars_error *err) {
    uint32_t *lengths = calloc(w->n_texts, sizeof *lengths);
    guest_embed *told = malloc(sizeof *told);
    if (!lengths || !told) {
        free(told);
        free(lengths);
        return job_no_memory(err);
    }
    for (size_t i = 0; i < w->n_texts; i++) {
        lengths[i] = (uint32_t)(w->offsets[i + 1] - w->offsets[i]);
    }
    tars_status status = talk(w, told, lengths, err);
    free(told);
    free(lengths);
    return status;
}

tars_status job_run_embed(tars_job *job, tars_error *err) {
    const tars_request *r = job->request;
    if (r->n_texts == 0 || r->n_texts > EMBED_MAX_TEXTS) {
        return error_set(err, TARS_USAGE, "%zu texts; 1 to %u are possible", r->n_texts,
                         (unsigned)EMBED_MAX_TEXTS);
    }
    size_t n_embd = r->model->pack.hparams->n_embd;
    size_t *offsets = calloc(r->n_texts + 1, sizeof *offsets);
    float *vectors = calloc(r->n_texts, n_embd * sizeof *vectors);
    if (!offsets || !vectors) {
        free(offsets);
        free(vectors);
        return job_no_memory(err);
    }
    tars_status status = tokenize_all(job, offsets, err);
    if (status == TARS_OK) {
        embedding_work w = {.job = job,
                            .ids = (const int32_t *)job->prompt_ids.bytes,
                            .offsets = offsets,
                            .n_texts = r->n_texts,
                            .n_embd = n_embd,
                            .vectors = vectors};
        status = job_in_guest(job) ? run_in_guest(&w, err) : run_here(&w, err);
    }
    if (status == TARS_OK &&
        !job_list_add(&job->vectors, vectors, r->n_texts * n_embd * sizeof *vectors)) {
        status = job_no_memory(err);
    }
    free(offsets);
    free(vectors);
    return status;
}
