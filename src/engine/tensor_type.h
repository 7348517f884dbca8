/* Tensor element types as GGUF numbers them, with their block geometry, and exact widening to
 * f32. Ownership: constant tables; nothing to free. */
#ifndef ENGINE_TENSOR_TYPE_H
#define ENGINE_TENSOR_TYPE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The numbers are GGUF's and are written to packed files. */
typedef enum tensor_type {
    TENSOR_F32 = 0,
    TENSOR_F16 = 1,
    TENSOR_Q4_0 = 2,
    TENSOR_Q4_1 = 3,
    TENSOR_Q5_0 = 6,
    TENSOR_Q5_1 = 7,
    TENSOR_Q8_0 = 8,
    TENSOR_Q2_K = 10,
    TENSOR_Q3_K = 11,
    TENSOR_Q4_K = 12,
    TENSOR_Q5_K = 13,
    TENSOR_Q6_K = 14,
    TENSOR_IQ2_XXS = 16,
    TENSOR_IQ2_XS = 17,
    TENSOR_IQ3_XXS = 18,
    TENSOR_IQ1_S = 19,
    TENSOR_IQ4_NL = 20,
    TENSOR_IQ3_S = 21,
    TENSOR_IQ2_S = 22,
    TENSOR_IQ4_XS = 23,
    TENSOR_I8 = 24,
    TENSOR_I16 = 25,
    TENSOR_I32 = 26,
    TENSOR_I64 = 27,
    TENSOR_F64 = 28,
    TENSOR_IQ1_M = 29,
    TENSOR_BF16 = 30,
    TENSOR_TQ1_0 = 34,
    TENSOR_TQ2_0 = 35,
    TENSOR_MXFP4 = 39
} tensor_type;

typedef struct tensor_type_info {
    const char *name;          /* "Q4_K"; NULL marks a number that is unknown or was removed */
    uint16_t block_size;       /* elements a block */
    uint16_t block_bytes;      /* bytes a block in GGUF */
    uint16_t activation_block; /* 32 or 256 for quantised types the engine computes, 0: f32
                                  activations */
    bool computable;           /* the engine has kernels for it */
} tensor_type_info;

/* Never NULL; `.name` is NULL for an unknown number. */
const tensor_type_info *tensor_type_get(uint32_t type);
/* The type named so (case as in the table), or -1. */
int tensor_type_by_name(const char *name);
/* Bytes of one row of n_columns in GGUF, or false when n_columns is no multiple of the block or it
 * overflows. */
bool tensor_row_bytes(uint32_t type, uint64_t n_columns, uint64_t *out);
/* Widens n_columns elements of one GGUF row exactly as arithmetic.md rule 11 says (f32 operations
 * in that order). The type is computable, n_columns a multiple of its block. */
void tensor_dequantize_row(uint32_t type, const void *row, float *out, size_t n_columns);

#endif
