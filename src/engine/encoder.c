#include "engine/encoder.h"

#include "base/checked.h"
#include "engine/arith.h"

#include <string.h>

static size_t round_16(size_t n) {
    return (n + 15) / 16 * 16;
}

static size_t widest(const model_hparams *p) {
    return p->n_embd > p->n_ff ? p->n_embd : p->n_ff;
}

static size_t scratch_floats(const model_hparams *p, size_t max_tokens) {
    return KERNEL_QUERY_TILE * (256 + (max_tokens + 255) / 256 * ((size_t)p->head_dim_v + 2));
}

size_t encoder_memory_bytes(const model *m, size_t max_tokens) {
    const model_hparams *p = m->hparams;
    size_t row = 6 * round_16(p->n_embd) + round_16(p->n_ff) + 2 * (size_t)p->head_dim_k;
    size_t floats =
        (max_tokens + 16) * row + scratch_floats(p, max_tokens) + 2 * PACK_GROUP_ROWS * widest(p);
    return floats * sizeof(float) + product_inputs_bytes(max_tokens, widest(p)) + 16 * 64;
}

static float *floats(arena *memory, size_t count) {
    return arena_alloc_raw(memory, count * sizeof(float), 64);
}

tars_status encoder_init(encoder *e, const model *m, const kernel_table *kernels, size_t max_tokens,
                         bool float_activations, arena *memory, tars_error *err) {
    const model_hparams *p = m->hparams;
    memset(e, 0, sizeof *e);
    e->model = m;
    e->kernels = kernels;
    e->max_tokens = max_tokens;
    e->float_activations = float_activations;
    e->stride_embd = round_16(p->n_embd);
    e->stride_ff = round_16(p->n_ff);
    float **rows[] = {&e->x, &e->q, &e->k, &e->v, &e->context, &e->delta};
    bool fits = true;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        *rows[i] = floats(memory, max_tokens * e->stride_embd);
        fits = fits && *rows[i];
    }
    e->ff = floats(memory, max_tokens * e->stride_ff);
    e->keys = floats(memory, round_16(max_tokens) * p->head_dim_k);
    e->values = floats(memory, round_16(max_tokens) * p->head_dim_v);
    e->scratch = floats(memory, scratch_floats(p, max_tokens));
    e->row_scratch = floats(memory, 2 * PACK_GROUP_ROWS * widest(p));
    if (!fits || !e->ff || !e->keys || !e->values || !e->scratch || !e->row_scratch ||
        !product_inputs_init(&e->in, max_tokens, widest(p), memory)) {
        return error_set(err, TARS_OUT_OF_MEMORY, "the buffers of a text of %zu tokens do not fit",
                         max_tokens);
    }
    /* the last block of 16 positions is read whole: what lies behind the text must be finite */
    memset(e->keys, 0, round_16(max_tokens) * p->head_dim_k * sizeof(float));
    return TARS_OK;
}

const float *encoder_token(const encoder *e, size_t index) {
    return e->x + index * e->stride_embd;
}

/* out[t][row] = w · rows[t] + bias; false: not finite. */
static bool multiply(encoder *e, const weight *w, const float *rows, size_t stride, size_t n_tokens,
                     float *out, size_t out_stride) {
    unsigned form = product_form_of(w, e->float_activations);
    for (size_t t = 0; t < n_tokens; t++) {
        memcpy(e->in.x + t * e->in.stride, rows + t * stride, w->n_columns * sizeof(float));
        if (!product_prepare(&e->in, e->kernels, form, t, w->n_columns)) {
            return false;
        }
    }
    product p = {w, out, out_stride};
    product_groups(&p, e->kernels, &e->in, 0, w->n_groups, 0, n_tokens, e->float_activations,
                   e->row_scratch);
    return true;
}

static void attend_head(encoder *e, uint32_t head, size_t n_tokens) {
    const model_hparams *p = e->model->hparams;
    size_t dim = p->head_dim_k;
    for (size_t t = 0; t < n_tokens; t++) {
        e->kernels->store_key(e->k + t * e->stride_embd + head * dim, dim, KV_F32, t, e->keys);
        e->kernels->store_value(e->v + t * e->stride_embd + head * dim, dim, KV_F32,
                                e->values + t * dim);
    }
    attention_task task = {.keys = e->keys,
                           .values = e->values,
                           .type = KV_F32,
                           .value_stride = dim,
                           .head_dim_k = dim,
                           .head_dim_v = dim,
                           .scale = e->model->attention_scale,
                           .scratch = e->scratch};
    for (size_t t = 0; t < n_tokens; t++) {
        task.query[task.n_queries] = e->q + t * e->stride_embd + head * dim;
        task.out[task.n_queries] = e->context + t * e->stride_embd + head * dim;
        task.n_visible[task.n_queries] = n_tokens;
        if (++task.n_queries == KERNEL_QUERY_TILE || t + 1 == n_tokens) {
            e->kernels->attention(&task);
            task.n_queries = 0;
        }
    }
}

/* x = norm(x + delta) for every token. */
static void add_and_norm(encoder *e, const norm_weight *norm, size_t n_tokens) {
    const model_hparams *p = e->model->hparams;
    for (size_t t = 0; t < n_tokens; t++) {
        float *x = e->x + t * e->stride_embd;
        e->kernels->add(x, e->delta + t * e->stride_embd, p->n_embd);
        e->kernels->layer_norm(x, norm->scale, norm->bias, p->norm_eps, p->n_embd, x);
    }
}

static bool run_layer(encoder *e, const layer_weights *l, size_t n) {
    const model_hparams *p = e->model->hparams;
    size_t stride = e->stride_embd;
    bool finite = multiply(e, &l->q, e->x, stride, n, e->q, stride) &&
                  multiply(e, &l->k, e->x, stride, n, e->k, stride) &&
                  multiply(e, &l->v, e->x, stride, n, e->v, stride);
    for (uint32_t head = 0; finite && head < p->n_heads; head++) {
        attend_head(e, head, n);
    }
    finite = finite && multiply(e, &l->attn_output, e->context, stride, n, e->delta, stride);
    if (!finite) {
        return false;
    }
    add_and_norm(e, &l->attn_output_norm, n);
    if (!multiply(e, &l->up, e->x, stride, n, e->ff, e->stride_ff)) {
        return false;
    }
    for (size_t t = 0; t < n; t++) {
        (p->activation == ACTIVATION_GELU_TANH ? e->kernels->gelu_tanh : e->kernels->gelu_erf)(
            e->ff + t * e->stride_ff, p->n_ff);
    }
    if (!multiply(e, &l->down, e->ff, e->stride_ff, n, e->delta, stride)) {
        return false;
    }
    add_and_norm(e, &l->layer_output_norm, n);
    return true;
}

static tars_status check_ids(const encoder *e, const int32_t *ids, size_t n, tars_error *err) {
    const model_hparams *p = e->model->hparams;
    if (n == 0 || n > e->max_tokens || n > p->context_length) {
        return error_set(err, n == 0 ? TARS_USAGE : TARS_CONTEXT_EXCEEDED,
                         "a text of %zu tokens; 1 to %u are possible", n, p->context_length);
    }
    for (size_t i = 0; i < n; i++) {
        if (ids[i] < 0 || (uint32_t)ids[i] >= p->n_vocab) {
            return error_set(err, TARS_USAGE, "token id %d is outside of the vocabulary of %u",
                             ids[i], p->n_vocab);
        }
    }
    return TARS_OK;
}

tars_status encoder_run(encoder *e, const int32_t *ids, size_t n_tokens, tars_error *err) {
    const model *m = e->model;
    const model_hparams *p = m->hparams;
    tars_status status = check_ids(e, ids, n_tokens, err);
    if (status != TARS_OK) {
        return status;
    }
    for (size_t t = 0; t < n_tokens; t++) {
        float *x = e->x + t * e->stride_embd;
        float *other = e->delta; /* free until the first layer */
        model_row(&m->token_embd, (size_t)ids[t], x);
        if (m->token_types.data) { /* every token is of the first type */
            model_row(&m->token_types, 0, other);
            e->kernels->add(x, other, p->n_embd);
        }
        model_row(&m->position_embd, t, other);
        e->kernels->add(x, other, p->n_embd);
        e->kernels->layer_norm(x, m->embd_norm.scale, m->embd_norm.bias, p->norm_eps, p->n_embd, x);
    }
    for (uint32_t i = 0; i < p->n_layers; i++) {
        if (!run_layer(e, &m->layers[i], n_tokens)) {
            return error_set(err, TARS_NUMERIC, "a value that is not finite appeared in layer %u",
                             i);
        }
    }
    for (size_t t = 0; t < n_tokens; t++) {
        for (size_t i = 0; i < p->n_embd; i++) {
            if ((arith_bits(e->x[t * e->stride_embd + i]) & 0x7FFFFFFFu) >= 0x7F800000u) {
                return error_set(err, TARS_NUMERIC, "the vector of token %zu is not finite", t);
            }
        }
    }
    return TARS_OK;
}

void encoder_pool(const encoder *e, size_t n_tokens, bool normalize, float *out) {
    const model_hparams *p = e->model->hparams;
    size_t one = p->pooling == POOLING_LAST ? n_tokens - 1 : 0;
    if (p->pooling == POOLING_CLS || p->pooling == POOLING_LAST) {
        memcpy(out, encoder_token(e, one), p->n_embd * sizeof(float));
    } else {
        memset(out, 0, p->n_embd * sizeof(float));
        for (size_t t = 0; t < n_tokens; t++) {
            e->kernels->add(out, encoder_token(e, t), p->n_embd);
        }
        for (size_t i = 0; i < p->n_embd; i++) {
            out[i] = out[i] / (float)n_tokens;
        }
    }
    if (normalize) {
        float length = arith_sqrt(e->kernels->sum_squares(out, p->n_embd));
        for (size_t i = 0; i < p->n_embd && length > 0.0f; i++) {
            out[i] = out[i] / length;
        }
    }
}
