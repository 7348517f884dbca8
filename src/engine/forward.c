#include "engine/forward.h"

#include "base/checked.h"
#include "engine/arith.h"

#include <string.h>

static size_t round_16(size_t n) {
    return (n + 15) / 16 * 16;
}

static size_t larger(size_t a, size_t b) {
    return a > b ? a : b;
}

/* Longest row that any product reads. */
static size_t widest_input(const model_hparams *p) {
    return larger(larger(p->n_embd, p->n_ff), (size_t)p->n_heads * p->head_dim_v);
}

static size_t scratch_floats(const model_hparams *p, const forward_limits *limits) {
    size_t n_segments = (limits->max_positions + 255) / 256;
    return KERNEL_QUERY_TILE * (256 + n_segments * ((size_t)p->head_dim_v + 2));
}

/* Adds count · element bytes and an alignment gap; false sticks. */
static void claim(size_t *total, bool *fits, size_t count, size_t element_bytes) {
    size_t bytes;
    *fits = *fits && checked_mul_size(count, element_bytes, &bytes) &&
            checked_add_size(*total, bytes, total) && checked_add_size(*total, 64, total);
}

size_t forward_memory_bytes(const model *m, const forward_limits *limits) {
    const model_hparams *p = m->hparams;
    size_t t = limits->max_tokens;
    size_t total = 4096;
    bool fits = true;
    size_t row = round_16(p->n_embd) * 2 + round_16((size_t)p->n_heads * p->head_dim_k) +
                 round_16((size_t)p->n_kv_heads * p->head_dim_k) +
                 round_16((size_t)p->n_kv_heads * p->head_dim_v) +
                 round_16((size_t)p->n_heads * p->head_dim_v) + 2 * round_16(p->n_ff) + p->rope_dim;
    claim(&total, &fits, t * row, sizeof(float));
    claim(&total, &fits, 12, 64);
    claim(&total, &fits, limits->max_outputs * round_16(p->n_vocab), sizeof(float));
    claim(&total, &fits, limits->max_outputs, sizeof(uint32_t));
    claim(&total, &fits, 1, product_inputs_bytes(t, widest_input(p)));
    claim(&total, &fits, limits->n_workers,
          product_inputs_bytes(PRODUCT_SMALL_BATCH, widest_input(p)) + sizeof(product_inputs));
    claim(&total, &fits, limits->n_workers, sizeof(task_counter));
    claim(&total, &fits, limits->n_workers, scratch_floats(p, limits) * sizeof(float) + 128);
    if (limits->float_activations) {
        claim(&total, &fits, limits->n_workers,
              2 * PACK_GROUP_ROWS * widest_input(p) * sizeof(float) + 128);
    }
    return fits ? total : 0;
}

static float *floats(arena *memory, size_t count) {
    return arena_alloc_raw(memory, count * sizeof(float), 64);
}

static bool init_workers(forward *f, arena *memory) {
    const model_hparams *p = f->model->hparams;
    unsigned n = f->limits.n_workers;
    f->privates = ARENA_ARRAY(memory, product_inputs, n);
    f->attention_scratch = ARENA_ARRAY(memory, float *, n);
    f->row_scratch = ARENA_ARRAY(memory, float *, n);
    f->counters = arena_alloc_raw(memory, n * sizeof *f->counters, _Alignof(task_counter));
    if (!f->counters || !f->privates || !f->attention_scratch || !f->row_scratch) {
        return false;
    }
    for (unsigned i = 0; i < n; i++) {
        f->attention_scratch[i] = floats(memory, scratch_floats(p, &f->limits));
        if (!f->attention_scratch[i] ||
            !product_inputs_init(&f->privates[i], PRODUCT_SMALL_BATCH, widest_input(p), memory)) {
            return false;
        }
        if (f->limits.float_activations) {
            f->row_scratch[i] = floats(memory, 2 * PACK_GROUP_ROWS * widest_input(p));
            if (!f->row_scratch[i]) {
                return false;
            }
        }
    }
    return true;
}

tars_status forward_init(forward *f, const model *m, const kernel_table *kernels,
                         const forward_limits *limits, arena *memory, tars_error *err) {
    const model_hparams *p = m->hparams;
    memset(f, 0, sizeof *f);
    f->model = m;
    f->kernels = kernels;
    f->limits = *limits;
    f->stride_embd = round_16(p->n_embd);
    f->stride_q = round_16((size_t)p->n_heads * p->head_dim_k);
    f->stride_k = round_16((size_t)p->n_kv_heads * p->head_dim_k);
    f->stride_v = round_16((size_t)p->n_kv_heads * p->head_dim_v);
    f->stride_o = round_16((size_t)p->n_heads * p->head_dim_v);
    f->stride_ff = round_16(p->n_ff);
    f->stride_vocab = round_16(p->n_vocab);
    size_t t = limits->max_tokens;
    f->x = floats(memory, t * f->stride_embd);
    f->delta = floats(memory, t * f->stride_embd);
    f->q = floats(memory, t * f->stride_q);
    f->k = floats(memory, t * f->stride_k);
    f->v = floats(memory, t * f->stride_v);
    f->context = floats(memory, t * f->stride_o);
    f->gate = floats(memory, t * f->stride_ff);
    f->up = floats(memory, t * f->stride_ff);
    f->cosine = floats(memory, t * (p->rope_dim / 2));
    f->sine = floats(memory, t * (p->rope_dim / 2));
    f->logits = floats(memory, limits->max_outputs * f->stride_vocab);
    f->outputs = ARENA_ARRAY(memory, uint32_t, limits->max_outputs);
    if (!f->x || !f->delta || !f->q || !f->k || !f->v || !f->context || !f->gate || !f->up ||
        !f->cosine || !f->sine || !f->logits || !f->outputs ||
        !product_inputs_init(&f->shared, t, widest_input(p), memory) || !init_workers(f, memory)) {
        return error_set(err, TARS_OUT_OF_MEMORY, "the buffers of a batch of %zu tokens do not fit",
                         t);
    }
    return TARS_OK;
}

static tars_status check_token(const forward *f, const forward_token *t, size_t expected,
                               tars_error *err) {
    if (t->id < 0 || (uint32_t)t->id >= f->model->hparams->n_vocab) {
        return error_set(err, TARS_USAGE, "token id %d is outside of the vocabulary of %u", t->id,
                         f->model->hparams->n_vocab);
    }
    if (t->position != expected) {
        return error_set(err, TARS_USAGE, "token at position %u where %zu was expected",
                         t->position, expected);
    }
    if (t->position >= t->cache->capacity || t->position >= f->limits.max_positions) {
        return error_set(err, TARS_CONTEXT_EXCEEDED,
                         "position %u does not fit the context of %zu tokens", t->position,
                         t->cache->capacity);
    }
    return TARS_OK;
}

tars_status forward_begin(forward *f, const forward_token *tokens, size_t n_tokens,
                          tars_error *err) {
    if (n_tokens == 0 || n_tokens > f->limits.max_tokens) {
        return error_set(err, TARS_USAGE, "a batch of %zu tokens, 1 to %zu are possible", n_tokens,
                         f->limits.max_tokens);
    }
    f->n_outputs = 0;
    for (size_t i = 0; i < n_tokens; i++) {
        bool goes_on = i > 0 && tokens[i].cache == tokens[i - 1].cache;
        size_t expected = goes_on ? (size_t)tokens[i - 1].position + 1 : tokens[i].cache->length;
        tars_status status = check_token(f, &tokens[i], expected, err);
        if (status != TARS_OK) {
            return status;
        }
        if (tokens[i].wants_logits) {
            if (f->n_outputs == f->limits.max_outputs) {
                return error_set(err, TARS_USAGE, "more than %zu tokens want logits",
                                 f->limits.max_outputs);
            }
            f->outputs[f->n_outputs++] = (uint32_t)i;
        }
    }
    f->tokens = tokens;
    f->n_tokens = n_tokens;
    task_counters_clear(f->counters, f->limits.n_workers);
    atomic_store(&f->not_finite, 0);
    return TARS_OK;
}

tars_status forward_end(forward *f, tars_error *err) {
    if (atomic_load(&f->not_finite)) {
        error_set(err, TARS_NUMERIC, "a value that is not finite appeared in the forward pass");
        error_hint(err, "the model's weights overflow with this prompt");
        return TARS_NUMERIC;
    }
    for (size_t i = 0; i < f->n_tokens; i++) {
        f->tokens[i].cache->length = (size_t)f->tokens[i].position + 1;
    }
    return TARS_OK;
}

const float *forward_logits(const forward *f, size_t output) {
    return f->logits + output * f->stride_vocab;
}

/* One worker's view of the running step. */
typedef struct step {
    forward *f;
    unsigned worker;
    barrier *b;
    task_share tasks;
    product_inputs *in; /* private for small batches, else shared */
    bool is_small;
} step;

/* Tokens that this worker prepares: all of them in a small batch, else its share. */
static void token_share(const step *s, size_t n_tokens, size_t *begin, size_t *end) {
    unsigned n = s->b->n_workers;
    *begin = s->is_small ? 0 : n_tokens * s->worker / n;
    *end = s->is_small ? n_tokens : n_tokens * (s->worker + 1) / n;
}

/* Everybody's share must be ready before a product reads it. */
static void inputs_ready(const step *s) {
    if (!s->is_small) {
        barrier_wait(s->b);
    }
}

static unsigned forms_of(const step *s, const product *products, size_t count) {
    unsigned forms = 0;
    for (size_t i = 0; i < count; i++) {
        forms |= product_form_of(products[i].w, s->f->limits.float_activations);
    }
    return forms;
}

static void prepare(const step *s, unsigned forms, size_t token, size_t n_columns) {
    if (!product_prepare(s->in, s->f->kernels, forms, token, n_columns)) {
        atomic_store_explicit(&s->f->not_finite, 1, memory_order_relaxed);
    }
}

/* Norm of the residual stream into the product's inputs. */
static void prepare_norm(const step *s, const norm_weight *norm, unsigned forms) {
    forward *f = s->f;
    const model_hparams *p = f->model->hparams;
    size_t begin;
    size_t end;
    token_share(s, f->n_tokens, &begin, &end);
    for (size_t t = begin; t < end; t++) {
        const float *x = f->x + t * f->stride_embd;
        float *y = s->in->x + t * s->in->stride;
        if (p->norm == NORM_RMS) {
            f->kernels->rms_norm(x, norm->scale, p->norm_eps, p->n_embd, y);
        } else {
            f->kernels->layer_norm(x, norm->scale, norm->bias, p->norm_eps, p->n_embd, y);
        }
        prepare(s, forms, t, p->n_embd);
    }
    inputs_ready(s);
}

static void prepare_rows(const step *s, const float *rows, size_t stride, size_t n_columns,
                         unsigned forms) {
    size_t begin;
    size_t end;
    token_share(s, s->f->n_tokens, &begin, &end);
    for (size_t t = begin; t < end; t++) {
        memcpy(s->in->x + t * s->in->stride, rows + t * stride, n_columns * sizeof(float));
        prepare(s, forms, t, n_columns);
    }
    inputs_ready(s);
}

/* Computes several matrices over the same inputs, chunk by chunk. `after` (may be NULL) runs on
 * the rows [begin, end) of all tokens as soon as their chunk is done, on the same worker. */
static void run_products(step *s, const product *products, size_t count, size_t n_tokens,
                         void (*after)(const step *, size_t product, size_t begin, size_t end)) {
    size_t n_groups = 0;
    for (size_t i = 0; i < count; i++) {
        n_groups += products[i].w->n_groups;
    }
    size_t chunk = product_chunk_groups(n_groups, s->b->n_workers);
    size_t n_chunks[3];
    size_t total = 0;
    for (size_t i = 0; i < count; i++) {
        n_chunks[i] = (products[i].w->n_groups + chunk - 1) / chunk;
        total += n_chunks[i];
    }
    task_share_begin(&s->tasks, total);
    for (size_t index; task_share_next(&s->tasks, &index);) {
        size_t i = 0;
        while (i + 1 < count && index >= n_chunks[i]) {
            index -= n_chunks[i++];
        }
        size_t begin = index * chunk;
        size_t end = begin + chunk;
        end = end < products[i].w->n_groups ? end : products[i].w->n_groups;
        product_groups(&products[i], s->f->kernels, s->in, begin, end, 0, n_tokens,
                       s->f->limits.float_activations, s->f->row_scratch[s->worker]);
        if (after) {
            after(s, i, begin * PACK_GROUP_ROWS, end * PACK_GROUP_ROWS);
        }
    }
    barrier_wait(s->b);
}

static void look_up(const step *s) {
    forward *f = s->f;
    const model_hparams *p = f->model->hparams;
    size_t half = p->rope_dim / 2;
    size_t begin = f->n_tokens * s->worker / s->b->n_workers;
    size_t end = f->n_tokens * (s->worker + 1) / s->b->n_workers;
    for (size_t t = begin; t < end; t++) {
        model_row(&f->model->token_embd, (size_t)f->tokens[t].id, f->x + t * f->stride_embd);
        for (size_t i = 0; i < half; i++) {
            double angle = (double)f->tokens[t].position * f->model->rope_frequency[i];
            f->cosine[t * half + i] = (float)arith_cos64(angle) * p->rope_magnitude;
            f->sine[t * half + i] = (float)arith_sin64(angle) * p->rope_magnitude;
        }
    }
    barrier_wait(s->b);
}

/* Rotates one kv head's key of a token and stores key and value in the cache. */
static void store_head(const step *s, uint32_t layer, size_t token, uint32_t head) {
    forward *f = s->f;
    const model_hparams *p = f->model->hparams;
    const forward_token *t = &f->tokens[token];
    size_t half = p->rope_dim / 2;
    float *key = f->k + token * f->stride_k + (size_t)head * p->head_dim_k;
    const float *value = f->v + token * f->stride_v + (size_t)head * p->head_dim_v;
    if (half > 0) {
        f->kernels->rope(key, f->cosine + token * half, f->sine + token * half, p->rope_dim,
                         p->rope_pairing == ROPE_HALVES);
    }
    f->kernels->store_key(key, p->head_dim_k, t->cache->type, t->position,
                          kv_cache_keys(t->cache, layer, head));
    size_t element = t->cache->type == KV_F16 ? 2 : 4;
    f->kernels->store_value(value, p->head_dim_v, t->cache->type,
                            kv_cache_values(t->cache, layer, head) +
                                (size_t)t->position * p->head_dim_v * element);
}

/* Attention of the query heads [head_begin, head_end) of tokens [begin, end), all of one kv head
 * and one sequence, in tiles of four queries. */
static void attend(const step *s, uint32_t layer, uint32_t kv_head, size_t begin, size_t end,
                   size_t head_begin, size_t head_end) {
    forward *f = s->f;
    const model_hparams *p = f->model->hparams;
    size_t half = p->rope_dim / 2;
    const kv_cache *cache = f->tokens[begin].cache;
    attention_task task = {.keys = kv_cache_keys(cache, layer, kv_head),
                           .values = kv_cache_values(cache, layer, kv_head),
                           .type = cache->type,
                           .value_stride = p->head_dim_v,
                           .head_dim_k = p->head_dim_k,
                           .head_dim_v = p->head_dim_v,
                           .scale = f->model->attention_scale,
                           .scratch = f->attention_scratch[s->worker]};
    for (size_t t = begin; t < end; t++) {
        for (size_t h = head_begin; h < head_end; h++) {
            float *query = f->q + t * f->stride_q + h * p->head_dim_k;
            if (half > 0) {
                f->kernels->rope(query, f->cosine + t * half, f->sine + t * half, p->rope_dim,
                                 p->rope_pairing == ROPE_HALVES);
            }
            task.query[task.n_queries] = query;
            task.out[task.n_queries] = f->context + t * f->stride_o + h * p->head_dim_v;
            task.n_visible[task.n_queries] = (size_t)f->tokens[t].position + 1;
            if (++task.n_queries == KERNEL_QUERY_TILE) {
                f->kernels->attention(&task);
                task.n_queries = 0;
            }
        }
    }
    if (task.n_queries > 0) {
        f->kernels->attention(&task);
    }
}

enum { ATTENTION_TOKEN_TILE = 8 };

/* Tasks are (token tile, kv head); a tile is cut where the sequence changes. */
static void attend_tiles(step *s, uint32_t layer) {
    forward *f = s->f;
    const model_hparams *p = f->model->hparams;
    size_t group = p->n_heads / p->n_kv_heads;
    size_t n_tiles = (f->n_tokens + ATTENTION_TOKEN_TILE - 1) / ATTENTION_TOKEN_TILE;
    size_t total = n_tiles * p->n_kv_heads;
    task_share_begin(&s->tasks, total);
    for (size_t task; task_share_next(&s->tasks, &task);) {
        /* late tiles see more positions: the longest tasks first balance best */
        size_t tile = n_tiles - 1 - task / p->n_kv_heads;
        uint32_t head = (uint32_t)(task % p->n_kv_heads);
        size_t end = (tile + 1) * ATTENTION_TOKEN_TILE;
        end = end < f->n_tokens ? end : f->n_tokens;
        for (size_t t = tile * ATTENTION_TOKEN_TILE; t < end;) {
            size_t stop = t + 1;
            while (stop < end && f->tokens[stop].cache == f->tokens[t].cache) {
                stop++;
            }
            attend(s, layer, head, t, stop, head * group, (head + 1) * group);
            t = stop;
        }
    }
    barrier_wait(s->b);
}

static void attention_phase(step *s, uint32_t layer) {
    forward *f = s->f;
    const model_hparams *p = f->model->hparams;
    size_t group = p->n_heads / p->n_kv_heads;
    bool one_pass = f->n_tokens == 1 && f->tokens[0].position < 512;
    if (one_pass) { /* a worker stores a head and attends to it at once: one barrier less */
        task_share_begin(&s->tasks, p->n_kv_heads);
        for (size_t head; task_share_next(&s->tasks, &head);) {
            store_head(s, layer, 0, (uint32_t)head);
            attend(s, layer, (uint32_t)head, 0, 1, head * group, (head + 1) * group);
        }
        barrier_wait(s->b);
        return;
    }
    size_t n_stores = f->n_tokens * p->n_kv_heads;
    for (size_t i = n_stores * s->worker / s->b->n_workers;
         i < n_stores * (s->worker + 1) / s->b->n_workers; i++) {
        store_head(s, layer, i / p->n_kv_heads, (uint32_t)(i % p->n_kv_heads));
    }
    barrier_wait(s->b);
    if (f->n_tokens > 1) {
        attend_tiles(s, layer);
        return;
    }
    task_share_begin(&s->tasks, p->n_heads);
    for (size_t h; task_share_next(&s->tasks, &h);) {
        attend(s, layer, (uint32_t)(h / group), 0, 1, h, h + 1);
    }
    barrier_wait(s->b);
}

/* x += delta for the rows that a chunk just finished. */
static void add_residual(const step *s, size_t index, size_t begin, size_t end) {
    (void)index;
    forward *f = s->f;
    for (size_t t = 0; t < f->n_tokens; t++) {
        f->kernels->add(f->x + t * f->stride_embd + begin, f->delta + t * f->stride_embd + begin,
                        end - begin);
    }
}

static void activate(const step *s, float *gate, const float *up, size_t n) {
    const kernel_table *k = s->f->kernels;
    const model_hparams *p = s->f->model->hparams;
    if (p->gated) {
        (p->activation == ACTIVATION_SILU       ? k->silu_multiply
         : p->activation == ACTIVATION_GELU_ERF ? k->gelu_erf_multiply
                                                : k->gelu_tanh_multiply)(gate, up, n);
    } else {
        (p->activation == ACTIVATION_SILU       ? k->silu
         : p->activation == ACTIVATION_GELU_ERF ? k->gelu_erf
                                                : k->gelu_tanh)(gate, n);
    }
}

/* Gate and up of a chunk are computed by the same worker, so that it can multiply them at once. */
static void gate_and_up(step *s, const layer_weights *l) {
    forward *f = s->f;
    const model_hparams *p = f->model->hparams;
    product up = {&l->up, p->gated ? f->up : f->gate, f->stride_ff};
    product gate = {&l->gate, f->gate, f->stride_ff};
    size_t n_groups = l->up.n_groups;
    size_t chunk = product_chunk_groups(n_groups, s->b->n_workers);
    chunk = f->n_tokens > PRODUCT_SMALL_BATCH && chunk > 4 ? 4 : chunk;
    task_share_begin(&s->tasks, (n_groups + chunk - 1) / chunk);
    for (size_t task; task_share_next(&s->tasks, &task);) {
        size_t begin = task * chunk;
        size_t end = begin + chunk < n_groups ? begin + chunk : n_groups;
        float *scratch = f->row_scratch[s->worker];
        if (p->gated) {
            product_groups(&gate, f->kernels, s->in, begin, end, 0, f->n_tokens,
                           f->limits.float_activations, scratch);
        }
        product_groups(&up, f->kernels, s->in, begin, end, 0, f->n_tokens,
                       f->limits.float_activations, scratch);
        for (size_t t = 0; t < f->n_tokens; t++) {
            size_t at = t * f->stride_ff + begin * PACK_GROUP_ROWS;
            activate(s, f->gate + at, f->up + at, (end - begin) * PACK_GROUP_ROWS);
        }
    }
    barrier_wait(s->b);
}

static void run_layer(step *s, uint32_t index) {
    forward *f = s->f;
    const model_hparams *p = f->model->hparams;
    const layer_weights *l = &f->model->layers[index];
    product qkv[3] = {
        {&l->q, f->q, f->stride_q}, {&l->k, f->k, f->stride_k}, {&l->v, f->v, f->stride_v}};
    prepare_norm(s, &l->attn_norm, forms_of(s, qkv, 3));
    run_products(s, qkv, 3, f->n_tokens, NULL);
    attention_phase(s, index);

    product output = {&l->attn_output, f->delta, f->stride_embd};
    prepare_rows(s, f->context, f->stride_o, (size_t)p->n_heads * p->head_dim_v,
                 forms_of(s, &output, 1));
    run_products(s, &output, 1, f->n_tokens, add_residual);

    product first[2] = {{&l->up, f->up, f->stride_ff}, {&l->gate, f->gate, f->stride_ff}};
    prepare_norm(s, &l->ffn_norm, forms_of(s, first, p->gated ? 2 : 1));
    gate_and_up(s, l);

    product down = {&l->down, f->delta, f->stride_embd};
    prepare_rows(s, f->gate, f->stride_ff, p->n_ff, forms_of(s, &down, 1));
    run_products(s, &down, 1, f->n_tokens, add_residual);
}

/* Final norm and output matrix, only for the tokens that want logits. */
static void run_output(step *s) {
    forward *f = s->f;
    const model_hparams *p = f->model->hparams;
    product output = {&f->model->output, f->logits, f->stride_vocab};
    s->is_small = f->n_outputs <= PRODUCT_SMALL_BATCH;
    s->in = s->is_small ? &f->privates[s->worker] : &f->shared;
    unsigned forms = forms_of(s, &output, 1);
    size_t begin;
    size_t end;
    token_share(s, f->n_outputs, &begin, &end);
    for (size_t i = begin; i < end; i++) {
        const float *x = f->x + f->outputs[i] * f->stride_embd;
        float *y = s->in->x + i * s->in->stride;
        const norm_weight *norm = &f->model->output_norm;
        if (p->norm == NORM_RMS) {
            f->kernels->rms_norm(x, norm->scale, p->norm_eps, p->n_embd, y);
        } else {
            f->kernels->layer_norm(x, norm->scale, norm->bias, p->norm_eps, p->n_embd, y);
        }
        prepare(s, forms, i, p->n_embd);
    }
    inputs_ready(s);
    run_products(s, &output, 1, f->n_outputs, NULL);
}

/* Rule 5: a logit that is not finite voids the request. */
static void check_logits(const step *s) {
    forward *f = s->f;
    size_t n_vocab = f->model->hparams->n_vocab;
    size_t begin = n_vocab * s->worker / s->b->n_workers;
    size_t end = n_vocab * (s->worker + 1) / s->b->n_workers;
    for (size_t i = 0; i < f->n_outputs; i++) {
        uint32_t worst = 0;
        const float *logits = forward_logits(f, i);
        for (size_t j = begin; j < end; j++) {
            uint32_t bits = arith_bits(logits[j]) & 0x7FFFFFFFu;
            worst = bits > worst ? bits : worst;
        }
        if (worst >= 0x7F800000u) {
            atomic_store_explicit(&f->not_finite, 1, memory_order_relaxed);
        }
    }
}

void forward_step(forward *f, unsigned worker, barrier *b) {
    step s = {.f = f,
              .worker = worker,
              .b = b,
              .tasks = task_share_of(f->counters, b->n_workers, worker),
              .is_small = f->n_tokens <= PRODUCT_SMALL_BATCH};
    s.in = s.is_small ? &f->privates[worker] : &f->shared;
    look_up(&s);
    for (uint32_t i = 0; i < f->model->hparams->n_layers; i++) {
        run_layer(&s, i);
    }
    if (f->n_outputs > 0) {
        run_output(&s);
        check_logits(&s);
        barrier_wait(b);
    }
}
