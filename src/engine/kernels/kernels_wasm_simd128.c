/* The kernels for hosts without relaxed SIMD, or whose relaxed multiply-add is not fused: 16-bit
 * products, and an exact multiply-add by way of double precision. */
#include "engine/kernels/matmul_32_wasm.h"
#include "engine/kernels/matmul_wasm.h"
#include "engine/kernels/vector_wasm.h"

const kernel_table kernel_wasm_simd128 = WASM_KERNELS("wasm_simd128");
