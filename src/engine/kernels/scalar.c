/* Everything but matrix products, the definition (arithmetic.md rules 4, 6, 10, 12 to 14). */
#include "engine/kernels/scalar.h"

#include "engine/arith.h"

#include <string.h>

/* Rule 6: the four halvings of 16 partial sums. */
static float fold_16(float p[16]) {
    for (size_t width = 8; width >= 1; width /= 2) {
        for (size_t j = 0; j < width; j++) {
            p[j] += p[j + width];
        }
    }
    return p[0];
}

float scalar_sum_squares(const float *x, size_t n) {
    float p[16] = {0};
    for (size_t i = 0; i < n; i++) {
        p[i % 16] = arith_fma(x[i], x[i], p[i % 16]);
    }
    return fold_16(p);
}

void scalar_rms_norm(const float *x, const float *weight, float eps, size_t n, float *y) {
    float mean = scalar_sum_squares(x, n) / (float)n;
    float inv = 1.0f / arith_sqrt(mean + eps);
    for (size_t i = 0; i < n; i++) {
        float scaled = x[i] * inv;
        y[i] = scaled * weight[i];
    }
}

void scalar_layer_norm(const float *x, const float *weight, const float *bias, float eps, size_t n,
                       float *y) {
    float p[16] = {0};
    for (size_t i = 0; i < n; i++) {
        p[i % 16] += x[i];
    }
    float mean = fold_16(p) / (float)n;
    float v[16] = {0};
    for (size_t i = 0; i < n; i++) {
        float centred = x[i] - mean;
        v[i % 16] = arith_fma(centred, centred, v[i % 16]);
    }
    float inv = 1.0f / arith_sqrt(fold_16(v) / (float)n + eps);
    for (size_t i = 0; i < n; i++) {
        float normal = (x[i] - mean) * inv;
        float scaled = normal * weight[i];
        y[i] = bias ? scaled + bias[i] : scaled;
    }
}

void scalar_rope(float *x, const float *cosine, const float *sine, size_t n_dims, bool halves) {
    size_t half = n_dims / 2;
    for (size_t i = 0; i < half; i++) {
        size_t a = halves ? i : 2 * i;
        size_t b = halves ? i + half : 2 * i + 1;
        float x0 = x[a];
        float x1 = x[b];
        float x0c = x0 * cosine[i];
        float x1s = x1 * sine[i];
        float x0s = x0 * sine[i];
        float x1c = x1 * cosine[i];
        x[a] = x0c - x1s;
        x[b] = x0s + x1c;
    }
}

/* Rule 10, one block. Returns the scale, or −1 when a value is not finite. */
static float quantize_block(const float *x, size_t n, int8_t *q) {
    uint32_t amax = 0;
    for (size_t i = 0; i < n; i++) {
        uint32_t bits = arith_bits(x[i]) & 0x7FFFFFFFu;
        amax = bits > amax ? bits : amax;
    }
    if (amax >= 0x7F800000u) {
        return -1.0f;
    }
    float largest = arith_from_bits(amax);
    if (largest < 0x1p-100f) {
        memset(q, 0, n);
        return 0.0f;
    }
    float d = largest / 127.0f;
    float id = 1.0f / d;
    for (size_t i = 0; i < n; i++) {
        q[i] = (int8_t)arith_round_half_even(x[i] * id);
    }
    return d;
}

bool scalar_quantize_32(const float *x, size_t n, int8_t *q, float *d, float *ds, int32_t *sums) {
    for (size_t b = 0; b < n / 32; b++) {
        d[b] = quantize_block(x + 32 * b, 32, q + 32 * b);
        if (d[b] < 0.0f) {
            return false;
        }
        sums[b] = 0;
        for (size_t i = 0; i < 32; i++) {
            sums[b] += q[32 * b + i];
        }
        ds[b] = d[b] * (float)sums[b];
    }
    return true;
}

bool scalar_quantize_256(const float *x, size_t n, int8_t *q, float *d, int16_t *sums16) {
    for (size_t b = 0; b < n / 256; b++) {
        d[b] = quantize_block(x + 256 * b, 256, q + 256 * b);
        if (d[b] < 0.0f) {
            return false;
        }
    }
    for (size_t v = 0; v < n / 16; v++) {
        int sum = 0;
        for (size_t i = 0; i < 16; i++) {
            sum += q[16 * v + i];
        }
        sums16[v] = (int16_t)sum;
    }
    return true;
}

void scalar_store_key(const float *key, size_t head_dim, kv_type type, size_t position,
                      void *keys) {
    size_t first = position / 16 * 16 * head_dim + position % 16;
    for (size_t i = 0; i < head_dim; i++) {
        if (type == KV_F16) {
            ((uint16_t *)keys)[first + 16 * i] = arith_f32_to_f16(key[i]);
        } else {
            ((float *)keys)[first + 16 * i] = key[i];
        }
    }
}

void scalar_store_value(const float *value, size_t n, kv_type type, void *target) {
    if (type == KV_F32) {
        memcpy(target, value, n * sizeof(float));
        return;
    }
    for (size_t i = 0; i < n; i++) {
        ((uint16_t *)target)[i] = arith_f32_to_f16(value[i]);
    }
}

static float cache_value(const void *cache, kv_type type, size_t index) {
    return type == KV_F16 ? arith_f16_to_f32(((const uint16_t *)cache)[index])
                          : ((const float *)cache)[index];
}

/* One segment of one query: fills e[] and a[], returns m; *l is the sum of e. */
static float attend_segment(const attention_task *task, size_t query, size_t first, size_t count,
                            float *e, float *a, float *l) {
    float largest = -__builtin_inff();
    for (size_t j = 0; j < count; j++) {
        size_t position = first + j;
        size_t at = position / 16 * 16 * task->head_dim_k + position % 16;
        float dot = 0.0f;
        for (size_t i = 0; i < task->head_dim_k; i++) {
            dot = arith_fma(task->query[query][i], cache_value(task->keys, task->type, at + 16 * i),
                            dot);
        }
        e[j] = dot * task->scale;
        largest = e[j] > largest ? e[j] : largest;
    }
    float p[16] = {0};
    for (size_t j = 0; j < count; j++) {
        e[j] = arith_exp(e[j] - largest);
        p[j % 16] += e[j];
    }
    *l = fold_16(p);
    for (size_t c = 0; c < task->head_dim_v; c++) {
        float sum = 0.0f;
        for (size_t j = 0; j < count; j++) {
            sum = arith_fma(
                e[j], cache_value(task->values, task->type, (first + j) * task->value_stride + c),
                sum);
        }
        a[c] = sum;
    }
    return largest;
}

void scalar_attention(const attention_task *task) {
    size_t row = task->head_dim_v + 2; /* a[], m, l of a segment */
    for (size_t i = 0; i < task->n_queries; i++) {
        float *e = task->scratch;
        float *segments = task->scratch + KERNEL_QUERY_TILE * 256;
        size_t n_segments = (task->n_visible[i] + 255) / 256;
        float largest = -__builtin_inff();
        for (size_t s = 0; s < n_segments; s++) {
            size_t left = task->n_visible[i] - 256 * s;
            float *a = segments + s * row;
            float *m = a + task->head_dim_v;
            *m = attend_segment(task, i, 256 * s, left < 256 ? left : 256, e, a, m + 1);
            largest = *m > largest ? *m : largest;
        }
        float denominator = 0.0f;
        for (size_t s = 0; s < n_segments; s++) {
            float *a = segments + s * row;
            a[task->head_dim_v] = arith_exp(a[task->head_dim_v] - largest); /* w_s */
            denominator = arith_fma(a[task->head_dim_v], a[task->head_dim_v + 1], denominator);
        }
        for (size_t c = 0; c < task->head_dim_v; c++) {
            float numerator = 0.0f;
            for (size_t s = 0; s < n_segments; s++) {
                const float *a = segments + s * row;
                numerator = arith_fma(a[task->head_dim_v], a[c], numerator);
            }
            task->out[i][c] = numerator / denominator;
        }
    }
}

void scalar_add(float *y, const float *x, size_t n) {
    for (size_t i = 0; i < n; i++) {
        y[i] += x[i];
    }
}

void scalar_silu_multiply(float *gate, const float *up, size_t n) {
    for (size_t i = 0; i < n; i++) {
        float activated = arith_silu(gate[i]);
        gate[i] = activated * up[i];
    }
}

void scalar_gelu_erf(float *x, size_t n) {
    for (size_t i = 0; i < n; i++) {
        x[i] = arith_gelu_erf(x[i]);
    }
}

void scalar_gelu_tanh(float *x, size_t n) {
    for (size_t i = 0; i < n; i++) {
        x[i] = arith_gelu_tanh(x[i]);
    }
}

void scalar_gelu_erf_multiply(float *gate, const float *up, size_t n) {
    for (size_t i = 0; i < n; i++) {
        float activated = arith_gelu_erf(gate[i]);
        gate[i] = activated * up[i];
    }
}

void scalar_gelu_tanh_multiply(float *gate, const float *up, size_t n) {
    for (size_t i = 0; i < n; i++) {
        float activated = arith_gelu_tanh(gate[i]);
        gate[i] = activated * up[i];
    }
}

void scalar_silu(float *x, size_t n) {
    for (size_t i = 0; i < n; i++) {
        x[i] = arith_silu(x[i]);
    }
}

const kernel_table kernel_scalar = {
    .name = "scalar",
    .matmul = {[TENSOR_F32] = scalar_matmul_f32,
               [TENSOR_F16] = scalar_matmul_f16,
               [TENSOR_BF16] = scalar_matmul_bf16,
               [TENSOR_Q4_0] = scalar_matmul_q4_0,
               [TENSOR_Q4_1] = scalar_matmul_q4_1,
               [TENSOR_Q8_0] = scalar_matmul_q8_0,
               [TENSOR_Q4_K] = scalar_matmul_q4_k,
               [TENSOR_Q6_K] = scalar_matmul_q6_k},
    .quantize_32 = scalar_quantize_32,
    .quantize_256 = scalar_quantize_256,
    .rms_norm = scalar_rms_norm,
    .layer_norm = scalar_layer_norm,
    .rope = scalar_rope,
    .attention = scalar_attention,
    .store_key = scalar_store_key,
    .store_value = scalar_store_value,
    .add = scalar_add,
    .silu_multiply = scalar_silu_multiply,
    .gelu_erf = scalar_gelu_erf,
    .gelu_tanh = scalar_gelu_tanh,
    .gelu_erf_multiply = scalar_gelu_erf_multiply,
    .gelu_tanh_multiply = scalar_gelu_tanh_multiply,
    .silu = scalar_silu,
    .sum_squares = scalar_sum_squares,
};
