/* The activation functions of a kernel table: included once by a file that has defined
 *
 *   apply(float *x, const float *up, size_t n, VECTOR (*function)(VECTOR))
 *       x = function(x), times `up` when that is not NULL
 *   ACTIVATION(name)    the vector function of that name: silu, gelu_erf, gelu_tanh
 *
 * Ownership: pure functions of the caller's memory. */
#ifndef ENGINE_ACTIVATION_PARTS_H
#define ENGINE_ACTIVATION_PARTS_H

#include <stddef.h>

static void silu(float *x, size_t n) {
    apply(x, NULL, n, ACTIVATION(silu));
}
static void gelu_erf(float *x, size_t n) {
    apply(x, NULL, n, ACTIVATION(gelu_erf));
}
static void gelu_tanh(float *x, size_t n) {
    apply(x, NULL, n, ACTIVATION(gelu_tanh));
}
static void silu_multiply(float *gate, const float *up, size_t n) {
    apply(gate, up, n, ACTIVATION(silu));
}
static void gelu_erf_multiply(float *gate, const float *up, size_t n) {
    apply(gate, up, n, ACTIVATION(gelu_erf));
}
static void gelu_tanh_multiply(float *gate, const float *up, size_t n) {
    apply(gate, up, n, ACTIVATION(gelu_tanh));
}

#endif
