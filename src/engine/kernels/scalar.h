/* The definition kernels, shared so that a faster table can fall back on single functions.
 * Ownership: pure functions; see kernels.h for each contract. */
#ifndef ENGINE_KERNELS_SCALAR_H
#define ENGINE_KERNELS_SCALAR_H

#include "engine/kernels/kernels.h"

void scalar_matmul_f32(const matmul_task *task);
void scalar_matmul_f16(const matmul_task *task);
void scalar_matmul_bf16(const matmul_task *task);
void scalar_matmul_q4_0(const matmul_task *task);
void scalar_matmul_q4_1(const matmul_task *task);
void scalar_matmul_q8_0(const matmul_task *task);
void scalar_matmul_q4_k(const matmul_task *task);
void scalar_matmul_q6_k(const matmul_task *task);

bool scalar_quantize_32(const float *x, size_t n, int8_t *q, float *d, float *ds, int32_t *sums);
bool scalar_quantize_256(const float *x, size_t n, int8_t *q, float *d, int16_t *sums16);
void scalar_rms_norm(const float *x, const float *weight, float eps, size_t n, float *y);
void scalar_layer_norm(const float *x, const float *weight, const float *bias, float eps, size_t n,
                       float *y);
void scalar_rope(float *x, const float *cosine, const float *sine, size_t n_dims, bool halves);
void scalar_attention(const attention_task *task);
void scalar_store_key(const float *key, size_t head_dim, kv_type type, size_t position, void *keys);
void scalar_store_value(const float *value, size_t n, kv_type type, void *target);
void scalar_add(float *y, const float *x, size_t n);
void scalar_silu_multiply(float *gate, const float *up, size_t n);
void scalar_gelu_erf(float *x, size_t n);
void scalar_gelu_tanh(float *x, size_t n);
void scalar_gelu_erf_multiply(float *gate, const float *up, size_t n);
void scalar_gelu_tanh_multiply(float *gate, const float *up, size_t n);
void scalar_silu(float *x, size_t n);
float scalar_sum_squares(const float *x, size_t n);

#endif
