/* Matrix products for avx512; see kernels.h for the contract. Ownership: pure functions. */
#ifndef ENGINE_MATMUL_X86_AVX512_H
#define ENGINE_MATMUL_X86_AVX512_H

#include "engine/kernels/kernels.h"

void avx512_matmul_f32(const matmul_task *task);
void avx512_matmul_f16(const matmul_task *task);
void avx512_matmul_bf16(const matmul_task *task);
void avx512_matmul_q4_0(const matmul_task *task);
void avx512_matmul_q4_1(const matmul_task *task);
void avx512_matmul_q8_0(const matmul_task *task);
void avx512_matmul_q4_k(const matmul_task *task);
void avx512_matmul_q6_k(const matmul_task *task);

#endif
