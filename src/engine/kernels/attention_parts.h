/* Parts of attention that gain nothing from intrinsics, for every instruction set's kernel: each
 * includes them, so that they are compiled with its flags (fma above all). Bit-equal to
 * scalar_attention. Ownership: pure functions of the caller's memory. */
#ifndef ENGINE_ATTENTION_PARTS_H
#define ENGINE_ATTENTION_PARTS_H

#include "engine/arith.h"
#include "engine/kernels/kernels.h"

/* Channels that do not fill a pair of vectors, one by one. */
static inline void attention_weigh_tail(const attention_task *task, size_t first, size_t count,
                                        const float *e, size_t channel, float *a) {
    for (size_t c = channel; c < task->head_dim_v; c++) {
        float sum = 0.0f;
        for (size_t j = 0; j < count; j++) {
            size_t at = (first + j) * task->value_stride + c;
            float v = task->type == KV_F16 ? arith_f16_to_f32(((const uint16_t *)task->values)[at])
                                           : ((const float *)task->values)[at];
            sum = arith_fma(e[j], v, sum);
        }
        a[c] = sum;
    }
}

/* out = (Σ w_s·a_s) / (Σ w_s·l_s) over the segments of one query; a segment is a[], m, l. */
static inline void attention_combine(const float *segments, size_t row, size_t n_segments,
                                     size_t dim, float *out) {
    float largest = -__builtin_inff();
    for (size_t s = 0; s < n_segments; s++) {
        float m = segments[s * row + dim];
        largest = m > largest ? m : largest;
    }
    float denominator = 0.0f;
    for (size_t c = 0; c < dim; c++) {
        out[c] = 0.0f;
    }
    for (size_t s = 0; s < n_segments; s++) {
        const float *a = segments + s * row;
        float w = arith_exp(a[dim] - largest);
        denominator = arith_fma(w, a[dim + 1], denominator);
        for (size_t c = 0; c < dim; c++) {
            out[c] = arith_fma(w, a[c], out[c]);
        }
    }
    for (size_t c = 0; c < dim; c++) {
        out[c] = out[c] / denominator;
    }
}

#endif
