#include "engine/tensor_type.h"

#include "base/checked.h"
#include "engine/arith.h"

#include <assert.h>
#include <string.h>

/* Indexed by GGUF's number. Missing numbers were removed from the format (4, 5, 31 … 33, 36 … 38)
 * or never occur in files (9, 15: activations). */
static const tensor_type_info tensor_types[] = {
    [TENSOR_F32] = {"F32", 1, 4, 0, true},
    [TENSOR_F16] = {"F16", 1, 2, 0, true},
    [TENSOR_Q4_0] = {"Q4_0", 32, 18, 32, true},
    [TENSOR_Q4_1] = {"Q4_1", 32, 20, 32, true},
    [TENSOR_Q5_0] = {"Q5_0", 32, 22, 0, false},
    [TENSOR_Q5_1] = {"Q5_1", 32, 24, 0, false},
    [TENSOR_Q8_0] = {"Q8_0", 32, 34, 32, true},
    [TENSOR_Q2_K] = {"Q2_K", 256, 84, 0, false},
    [TENSOR_Q3_K] = {"Q3_K", 256, 110, 0, false},
    [TENSOR_Q4_K] = {"Q4_K", 256, 144, 256, true},
    [TENSOR_Q5_K] = {"Q5_K", 256, 176, 0, false},
    [TENSOR_Q6_K] = {"Q6_K", 256, 210, 256, true},
    [TENSOR_IQ2_XXS] = {"IQ2_XXS", 256, 66, 0, false},
    [TENSOR_IQ2_XS] = {"IQ2_XS", 256, 74, 0, false},
    [TENSOR_IQ3_XXS] = {"IQ3_XXS", 256, 98, 0, false},
    [TENSOR_IQ1_S] = {"IQ1_S", 256, 50, 0, false},
    [TENSOR_IQ4_NL] = {"IQ4_NL", 32, 18, 0, false},
    [TENSOR_IQ3_S] = {"IQ3_S", 256, 110, 0, false},
    [TENSOR_IQ2_S] = {"IQ2_S", 256, 82, 0, false},
    [TENSOR_IQ4_XS] = {"IQ4_XS", 256, 136, 0, false},
    [TENSOR_I8] = {"I8", 1, 1, 0, false},
    [TENSOR_I16] = {"I16", 1, 2, 0, false},
    [TENSOR_I32] = {"I32", 1, 4, 0, false},
    [TENSOR_I64] = {"I64", 1, 8, 0, false},
    [TENSOR_F64] = {"F64", 1, 8, 0, false},
    [TENSOR_IQ1_M] = {"IQ1_M", 256, 56, 0, false},
    [TENSOR_BF16] = {"BF16", 1, 2, 0, true},
    [TENSOR_TQ1_0] = {"TQ1_0", 256, 54, 0, false},
    [TENSOR_TQ2_0] = {"TQ2_0", 256, 66, 0, false},
    [TENSOR_MXFP4] = {"MXFP4", 32, 17, 0, false},
};

enum { TENSOR_TYPE_COUNT = sizeof tensor_types / sizeof tensor_types[0] };

const tensor_type_info *tensor_type_get(uint32_t type) {
    static const tensor_type_info unknown = {NULL, 1, 1, 0, false};
    bool known = type < TENSOR_TYPE_COUNT && tensor_types[type].name;
    return known ? &tensor_types[type] : &unknown;
}

int tensor_type_by_name(const char *name) {
    for (int i = 0; i < TENSOR_TYPE_COUNT; i++) {
        if (tensor_types[i].name && strcmp(tensor_types[i].name, name) == 0) {
            return i;
        }
    }
    return -1;
}

bool tensor_row_bytes(uint32_t type, uint64_t n_columns, uint64_t *out) {
    const tensor_type_info *info = tensor_type_get(type);
    return info->name && n_columns % info->block_size == 0 &&
           checked_mul_u64(n_columns / info->block_size, info->block_bytes, out);
}

static float float_of_bits(uint32_t bits) {
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

static uint32_t read_u16(const uint8_t *p) {
    return (uint32_t)p[0] | (uint32_t)p[1] << 8;
}

static float read_f16(const uint8_t *p) {
    return arith_f16_to_f32((uint16_t)read_u16(p));
}

static void dequantize_f32(const uint8_t *row, float *out, size_t n) {
    for (size_t i = 0; i < n; i++) {
        const uint8_t *p = row + 4 * i;
        out[i] = float_of_bits(read_u16(p) | read_u16(p + 2) << 16);
    }
}

static void dequantize_f16(const uint8_t *row, float *out, size_t n) {
    for (size_t i = 0; i < n; i++) {
        out[i] = read_f16(row + 2 * i);
    }
}

static void dequantize_bf16(const uint8_t *row, float *out, size_t n) {
    for (size_t i = 0; i < n; i++) {
        out[i] = arith_bf16_to_f32((uint16_t)read_u16(row + 2 * i));
    }
}

/* d f16, 16 bytes: column j in the low nibble of byte j, column 16 + j in the high one */
static void dequantize_q4_0(const uint8_t *row, float *out, size_t n) {
    for (size_t block = 0; block < n / 32; block++, row += 18, out += 32) {
        float d = read_f16(row);
        for (size_t j = 0; j < 16; j++) {
            out[j] = (float)((int)(row[2 + j] & 15) - 8) * d;
            out[j + 16] = (float)((int)(row[2 + j] >> 4) - 8) * d;
        }
    }
}

/* d f16, m f16, nibbles as Q4_0 */
static void dequantize_q4_1(const uint8_t *row, float *out, size_t n) {
    for (size_t block = 0; block < n / 32; block++, row += 20, out += 32) {
        float d = read_f16(row), m = read_f16(row + 2);
        for (size_t j = 0; j < 16; j++) {
            out[j] = (float)(row[4 + j] & 15) * d + m;
            out[j + 16] = (float)(row[4 + j] >> 4) * d + m;
        }
    }
}

/* d f16, 32 signed bytes */
static void dequantize_q8_0(const uint8_t *row, float *out, size_t n) {
    for (size_t block = 0; block < n / 32; block++, row += 34, out += 32) {
        float d = read_f16(row);
        for (size_t j = 0; j < 32; j++) {
            out[j] = (float)(int8_t)row[2 + j] * d;
        }
    }
}

/* Six-bit scale and minimum of sub-block j < 8 out of Q4_K's twelve bytes: the first four are the
 * low six bits of bytes j and j + 4; of the last four, byte j + 4 has the low nibbles and the top
 * two bits of bytes j - 4 and j the rest. */
static void unpack_q4_k_scale(const uint8_t *packed, size_t j, unsigned *scale, unsigned *minimum) {
    if (j < 4) {
        *scale = packed[j] & 63u;
        *minimum = packed[j + 4] & 63u;
    } else {
        *scale = (packed[j + 4] & 15u) | (unsigned)(packed[j - 4] >> 6) << 4;
        *minimum = (unsigned)(packed[j + 4] >> 4) | (unsigned)(packed[j] >> 6) << 4;
    }
}

/* d f16, dmin f16, 12 bytes of scales, 128 bytes: 64 columns share 32 bytes, the first 32 of them
 * in the low nibbles */
static void dequantize_q4_k(const uint8_t *row, float *out, size_t n) {
    for (size_t block = 0; block < n / 256; block++, row += 144) {
        float d = read_f16(row), dmin = read_f16(row + 2);
        for (size_t j = 0; j < 8; j++, out += 32) {
            unsigned sc, m;
            unpack_q4_k_scale(row + 4, j, &sc, &m);
            float scale = d * (float)sc, minimum = dmin * (float)m;
            const uint8_t *q = row + 16 + 32 * (j / 2);
            for (size_t i = 0; i < 32; i++) {
                unsigned nibble = j % 2 == 0 ? q[i] & 15u : q[i] >> 4;
                out[i] = (float)nibble * scale - minimum;
            }
        }
    }
}

/* 128 bytes of low nibbles, 64 bytes of high bit pairs, 16 signed scales, d f16. Half h of 128
 * columns has four runs of 32: runs 0 and 1 in the low, 2 and 3 in the high nibbles, run r's two
 * high bits at 2r. */
static void dequantize_q6_k(const uint8_t *row, float *out, size_t n) {
    for (size_t block = 0; block < n / 256; block++, row += 210, out += 256) {
        float d = read_f16(row + 208);
        for (size_t column = 0; column < 256; column++) {
            size_t half = column / 128, run = column / 32 % 4, i = column % 32;
            unsigned low = row[64 * half + 32 * (run % 2) + i], high = row[128 + 32 * half + i];
            low = (run < 2 ? low : low >> 4) & 15u;
            high = high >> (2 * run) & 3u;
            float scale = d * (float)(int8_t)row[192 + column / 16];
            out[column] = (float)((int)(low | high << 4) - 32) * scale;
        }
    }
}

void tensor_dequantize_row(uint32_t type, const void *row, float *out, size_t n_columns) {
    static void (*const table[TENSOR_TYPE_COUNT])(const uint8_t *row, float *out, size_t n) = {
        [TENSOR_F32] = dequantize_f32,   [TENSOR_F16] = dequantize_f16,
        [TENSOR_BF16] = dequantize_bf16, [TENSOR_Q4_0] = dequantize_q4_0,
        [TENSOR_Q4_1] = dequantize_q4_1, [TENSOR_Q8_0] = dequantize_q8_0,
        [TENSOR_Q4_K] = dequantize_q4_k, [TENSOR_Q6_K] = dequantize_q6_k,
    };
    assert(type < TENSOR_TYPE_COUNT && table[type]);
    assert(n_columns % tensor_types[type].block_size == 0);
    table[type](row, out, n_columns);
}
