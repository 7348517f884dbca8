/* The kernels for hosts with relaxed SIMD and a fused multiply-add, as any CPU of the last ten
 * years has it. */
#include "engine/kernels/matmul_32_wasm.h"
#include "engine/kernels/matmul_wasm.h"
#include "engine/kernels/vector_wasm.h"

const kernel_table kernel_wasm = WASM_KERNELS("wasm");

bool kernel_wasm_is_fused(void) {
    /* (1 + 2^−23)(1 − 2^−23) − 1 is −2^−46; rounded before the sum the product is 1 */
    volatile float operands[3] = {0x1.000002p0f, 0x0.fffffep0f, -1.0f};
    v128_t result =
        wasm_f32x4_relaxed_madd(wasm_f32x4_splat(operands[0]), wasm_f32x4_splat(operands[1]),
                                wasm_f32x4_splat(operands[2]));
    v128_t fused = wasm_f32x4_splat(arith_soft_fma(operands[0], operands[1], operands[2]));
    return wasm_i32x4_all_true(wasm_f32x4_eq(result, fused));
}
