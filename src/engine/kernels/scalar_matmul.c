/* Matrix products, the definition (arithmetic.md rules 7 to 9). `lane` is the row within the
 * group; every lane's sum runs over k in order. */
#include "engine/arith.h"
#include "engine/kernels/scalar.h"
#include "engine/pack_layout.h"

#include <string.h>

static float half_at(const uint8_t *p, size_t index) {
    uint16_t bits;
    memcpy(&bits, p + 2 * index, sizeof bits);
    return arith_f16_to_f32(bits);
}

static float float_weight(uint32_t type, const uint8_t *segment, size_t index) {
    if (type == TENSOR_F32) {
        float value;
        memcpy(&value, segment + 4 * index, sizeof value);
        return value;
    }
    uint16_t bits;
    memcpy(&bits, segment + 2 * index, sizeof bits);
    return type == TENSOR_F16 ? arith_f16_to_f32(bits) : arith_bf16_to_f32(bits);
}

/* What a segment kernel sees: one segment of one group, one token. */
typedef struct segment_view {
    uint32_t type;
    const uint8_t *weights;
    segment_layout layout;
    size_t n_columns;
    size_t first_column;
    const activations *in;
    size_t token;
} segment_view;

/* Rule 8. */
static float float_segment(const segment_view *s, size_t lane) {
    const float *x = s->in->x + s->token * s->in->x_stride + s->first_column;
    float sum = 0.0f;
    for (size_t k = 0; k < s->n_columns; k++) {
        sum = arith_fma(float_weight(s->type, s->weights, k * PACK_GROUP_ROWS + lane), x[k], sum);
    }
    return sum;
}

static int nibble_at(const uint8_t *quants, size_t lane, size_t k) {
    uint8_t byte = quants[64 * (k % 16 / 4) + 4 * lane + k % 4];
    return k < 16 ? byte & 15 : byte >> 4;
}

static int32_t nibble_dot(const uint8_t *quants, size_t lane, const int8_t *x) {
    int32_t sum = 0;
    for (size_t k = 0; k < 32; k++) {
        sum += nibble_at(quants, lane, k) * x[k];
    }
    return sum;
}

/* Rule 9 for blocks of 32. */
static float block32_segment(const segment_view *s, size_t lane) {
    const activations *in = s->in;
    const int8_t *x = in->q + s->token * in->q_stride + s->first_column;
    size_t first_block = s->token * in->block_stride + s->first_column / 32;
    float sum = 0.0f;
    for (size_t b = 0; b < s->n_columns / 32; b++, x += 32) {
        float d = half_at(s->weights + s->layout.scales + 32 * b, lane);
        const uint8_t *quants = s->weights + s->layout.quants;
        int32_t isum = 0;
        if (s->type == TENSOR_Q8_0) {
            for (size_t k = 0; k < 32; k++) {
                isum += (int8_t)quants[512 * b + 64 * (k / 4) + 4 * lane + k % 4] * x[k];
            }
        } else {
            isum = nibble_dot(quants + 256 * b, lane, x);
        }
        if (s->type == TENSOR_Q4_0) {
            isum -= 8 * in->sums[first_block + b];
        }
        sum = arith_fma((float)isum, d * in->d[first_block + b], sum);
        if (s->type == TENSOR_Q4_1) {
            float m = half_at(s->weights + s->layout.mins + 32 * b, lane);
            sum = arith_fma(m, in->ds[first_block + b], sum);
        }
    }
    return sum;
}

/* Rule 9 for Q4_K: one block is one segment. */
static float q4_k_segment(const segment_view *s, size_t lane) {
    const activations *in = s->in;
    const int8_t *x = in->q + s->token * in->q_stride + s->first_column;
    const int16_t *sums = in->sums16 + s->token * in->sum16_stride + s->first_column / 16;
    const uint8_t *w = s->weights;
    int32_t isum = 0;
    int32_t imin = 0;
    for (size_t j = 0; j < 8; j++) {
        isum += w[s->layout.sub_scales + 16 * j + lane] *
                nibble_dot(w + s->layout.quants + 256 * j, lane, x + 32 * j);
        imin += w[s->layout.sub_mins + 32 * (j / 2) + 2 * lane + j % 2] *
                (sums[2 * j] + sums[2 * j + 1]);
    }
    float d_x = in->d[s->token * in->block_stride + s->first_column / 256];
    float sum = arith_fma((float)isum, half_at(w + s->layout.scales, lane) * d_x, 0.0f);
    return arith_fma(-(float)imin, half_at(w + s->layout.mins, lane) * d_x, sum);
}

static float q6_k_segment(const segment_view *s, size_t lane) {
    const activations *in = s->in;
    const int8_t *x = in->q + s->token * in->q_stride + s->first_column;
    const uint8_t *w = s->weights;
    int32_t isum = 0;
    for (size_t v = 0; v < 16; v++) {
        const uint8_t *nibbles = w + s->layout.quants + 256 * (v / 2);
        const uint8_t *high = w + s->layout.high + 64 * v + 4 * lane;
        int32_t dot = 0;
        for (size_t k = 0; k < 16; k++) {
            int low = nibble_at(nibbles, lane, 16 * (v % 2) + k);
            int top = (high[k % 4] >> (2 * (k / 4))) & 3;
            dot += ((low | top << 4) - 32) * x[16 * v + k];
        }
        isum += (int8_t)w[s->layout.sub_scales + 16 * v + lane] * dot;
    }
    float d_x = in->d[s->token * in->block_stride + s->first_column / 256];
    return arith_fma((float)isum, half_at(w + s->layout.scales, lane) * d_x, 0.0f);
}

static void matmul(const matmul_task *task, uint32_t type,
                   float (*segment_sum)(const segment_view *, size_t)) {
    const activations *in = task->in;
    for (size_t g = task->group_begin; g < task->group_end; g++) {
        for (size_t t = task->token_begin; t < task->token_end; t++) {
            float *out = task->out + t * task->out_stride + g * PACK_GROUP_ROWS;
            for (size_t lane = 0; lane < PACK_GROUP_ROWS; lane++) {
                float total = 0.0f;
                for (size_t k = 0; k < in->n_columns; k += PACK_SEGMENT) {
                    size_t left = in->n_columns - k;
                    segment_view s = {.type = type,
                                      .weights = task->weights + g * task->group_bytes +
                                                 pack_segment_offset(type, k / PACK_SEGMENT),
                                      .n_columns = left < PACK_SEGMENT ? left : PACK_SEGMENT,
                                      .first_column = k,
                                      .in = in,
                                      .token = t};
                    s.layout = pack_segment_layout(type, s.n_columns);
                    total += segment_sum(&s, lane);
                }
                out[lane] = total;
            }
        }
    }
}

void scalar_matmul_f32(const matmul_task *task) {
    matmul(task, TENSOR_F32, float_segment);
}
void scalar_matmul_f16(const matmul_task *task) {
    matmul(task, TENSOR_F16, float_segment);
}
void scalar_matmul_bf16(const matmul_task *task) {
    matmul(task, TENSOR_BF16, float_segment);
}
void scalar_matmul_q4_0(const matmul_task *task) {
    matmul(task, TENSOR_Q4_0, block32_segment);
}
void scalar_matmul_q4_1(const matmul_task *task) {
    matmul(task, TENSOR_Q4_1, block32_segment);
}
void scalar_matmul_q8_0(const matmul_task *task) {
    matmul(task, TENSOR_Q8_0, block32_segment);
}
void scalar_matmul_q4_k(const matmul_task *task) {
    matmul(task, TENSOR_Q4_K, q4_k_segment);
}
void scalar_matmul_q6_k(const matmul_task *task) {
    matmul(task, TENSOR_Q6_K, q6_k_segment);
}
