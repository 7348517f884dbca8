#include "engine/pack_layout.h"

#include "base/checked.h"
#include "engine/arith.h"

#include <assert.h>
#include <string.h>

/* One block of a source row taken apart: quants as small unsigned (or, for Q8_0, two's
 * complement) bytes in column order, scales still in their stored bits. */
typedef struct block_parts {
    uint16_t d, m;
    uint8_t q[256];
    uint8_t sc[16], mn[8];
} block_parts;

static uint16_t load_u16(const uint8_t *p) {
    uint16_t value;
    memcpy(&value, p, sizeof value);
    return value;
}

static void store_u16(uint8_t *p, uint16_t value) {
    memcpy(p, &value, sizeof value);
}

static void nibbles_read(const uint8_t *bytes, uint8_t *q) {
    for (int i = 0; i < 16; i++) {
        q[i] = bytes[i] & 15u;
        q[16 + i] = (uint8_t)(bytes[i] >> 4);
    }
}

static void nibbles_write(const uint8_t *q, uint8_t *bytes) {
    for (int i = 0; i < 16; i++) {
        bytes[i] = (uint8_t)(q[i] | (q[16 + i] << 4));
    }
}

static void q4_0_read(const uint8_t *b, block_parts *p) {
    p->d = load_u16(b);
    nibbles_read(b + 2, p->q);
}

static void q4_0_write(const block_parts *p, uint8_t *b) {
    store_u16(b, p->d);
    nibbles_write(p->q, b + 2);
}

static void q4_1_read(const uint8_t *b, block_parts *p) {
    p->d = load_u16(b);
    p->m = load_u16(b + 2);
    nibbles_read(b + 4, p->q);
}

static void q4_1_write(const block_parts *p, uint8_t *b) {
    store_u16(b, p->d);
    store_u16(b + 2, p->m);
    nibbles_write(p->q, b + 4);
}

static void q8_0_read(const uint8_t *b, block_parts *p) {
    p->d = load_u16(b);
    memcpy(p->q, b + 2, 32);
}

static void q8_0_write(const block_parts *p, uint8_t *b) {
    store_u16(b, p->d);
    memcpy(b + 2, p->q, 32);
}

/* Q4_K: f16 d, dmin; 12 bytes of 6-bit scales and minimums; 128 bytes of nibbles, 64 columns to
 * 32 bytes, low nibbles first. */
static void q4_k_read(const uint8_t *b, block_parts *p) {
    p->d = load_u16(b);
    p->m = load_u16(b + 2);
    const uint8_t *s = b + 4;
    for (int j = 0; j < 4; j++) {
        p->sc[j] = s[j] & 63u;
        p->mn[j] = s[j + 4] & 63u;
        p->sc[j + 4] = (uint8_t)((s[j + 8] & 15u) | (((unsigned)s[j] >> 6) << 4));
        p->mn[j + 4] = (uint8_t)((s[j + 8] >> 4) | ((s[j + 4] >> 6) << 4));
    }
    for (int i = 0; i < 4; i++) {
        for (int l = 0; l < 32; l++) {
            uint8_t byte = b[16 + 32 * i + l];
            p->q[64 * i + l] = byte & 15u;
            p->q[64 * i + 32 + l] = (uint8_t)(byte >> 4);
        }
    }
}

static void q4_k_write(const block_parts *p, uint8_t *b) {
    store_u16(b, p->d);
    store_u16(b + 2, p->m);
    uint8_t *s = b + 4;
    for (int j = 0; j < 4; j++) {
        s[j] = (uint8_t)(p->sc[j] | ((p->sc[j + 4] >> 4) << 6));
        s[j + 4] = (uint8_t)(p->mn[j] | ((p->mn[j + 4] >> 4) << 6));
        s[j + 8] = (uint8_t)((p->sc[j + 4] & 15u) | ((p->mn[j + 4] & 15u) << 4));
    }
    for (int i = 0; i < 4; i++) {
        for (int l = 0; l < 32; l++) {
            b[16 + 32 * i + l] = (uint8_t)(p->q[64 * i + l] | (p->q[64 * i + 32 + l] << 4));
        }
    }
}

/* Q6_K: 128 bytes of low nibbles, 64 of high bit pairs, 16 signed scales, f16 d. */
static void q6_k_read(const uint8_t *b, block_parts *p) {
    for (int half = 0; half < 2; half++) {
        const uint8_t *low = b + 64 * half;
        const uint8_t *high = b + 128 + 32 * half;
        uint8_t *q = p->q + 128 * half;
        for (int l = 0; l < 32; l++) {
            q[l] = (uint8_t)((low[l] & 15u) | ((high[l] & 3u) << 4));
            q[l + 32] = (uint8_t)((low[l + 32] & 15u) | (((high[l] >> 2) & 3u) << 4));
            q[l + 64] = (uint8_t)((low[l] >> 4) | (((high[l] >> 4) & 3u) << 4));
            q[l + 96] = (uint8_t)((low[l + 32] >> 4) | ((high[l] >> 6) << 4));
        }
    }
    memcpy(p->sc, b + 192, 16);
    p->d = load_u16(b + 208);
}

static void q6_k_write(const block_parts *p, uint8_t *b) {
    for (int half = 0; half < 2; half++) {
        uint8_t *low = b + 64 * half;
        uint8_t *high = b + 128 + 32 * half;
        const uint8_t *q = p->q + 128 * half;
        for (int l = 0; l < 32; l++) {
            low[l] = (uint8_t)((q[l] & 15u) | ((q[l + 64] & 15u) << 4));
            low[l + 32] = (uint8_t)((q[l + 32] & 15u) | ((q[l + 96] & 15u) << 4));
            high[l] = (uint8_t)((q[l] >> 4) | ((q[l + 32] >> 4) << 2) | ((q[l + 64] >> 4) << 4) |
                                ((q[l + 96] >> 4) << 6));
        }
    }
    memcpy(b + 192, p->sc, 16);
    store_u16(b + 208, p->d);
}

typedef struct layout_row {
    uint32_t type;
    void (*read)(const uint8_t *block, block_parts *parts);
    void (*write)(const block_parts *parts, uint8_t *block);
} layout_row;

static const layout_row layout_table[] = {
    {TENSOR_Q4_0, q4_0_read, q4_0_write}, {TENSOR_Q4_1, q4_1_read, q4_1_write},
    {TENSOR_Q8_0, q8_0_read, q8_0_write}, {TENSOR_Q4_K, q4_k_read, q4_k_write},
    {TENSOR_Q6_K, q6_k_read, q6_k_write},
};

static const layout_row *layout_of(uint32_t type) {
    for (size_t i = 0; i < sizeof layout_table / sizeof layout_table[0]; i++) {
        if (layout_table[i].type == type) {
            return &layout_table[i];
        }
    }
    return NULL;
}

static bool is_float(uint32_t type) {
    return type == TENSOR_F32 || type == TENSOR_F16 || type == TENSOR_BF16;
}

static size_t segment_width(size_t n_columns, size_t segment) {
    size_t left = n_columns - segment * PACK_SEGMENT;
    return left < PACK_SEGMENT ? left : PACK_SEGMENT;
}

size_t pack_segment_offset(uint32_t type, size_t segment) {
    return segment * pack_segment_layout(type, PACK_SEGMENT).size_bytes;
}

bool pack_group_bytes(uint32_t type, uint64_t n_columns, uint64_t *out) {
    const tensor_type_info *info = tensor_type_get(type);
    if ((!layout_of(type) && !is_float(type)) || n_columns == 0 ||
        n_columns % info->block_size != 0 || n_columns > (uint64_t)1 << 32) {
        return false;
    }
    uint64_t whole = n_columns / PACK_SEGMENT;
    uint64_t bytes = whole * pack_segment_layout(type, PACK_SEGMENT).size_bytes;
    if (n_columns % PACK_SEGMENT != 0) {
        bytes += pack_segment_layout(type, n_columns % PACK_SEGMENT).size_bytes;
    }
    *out = bytes;
    return true;
}

/* Where column k (within its block of 32) of a row lies in the block's nibble or byte vectors. */
static void put_nibbles(uint8_t *quants, size_t row, const uint8_t *q) {
    for (size_t j = 0; j < 4; j++) {
        for (size_t i = 0; i < 4; i++) {
            quants[64 * j + 4 * row + i] =
                (uint8_t)((q[4 * j + i] & 15u) | ((unsigned)q[16 + 4 * j + i] << 4));
        }
    }
}

static void get_nibbles(const uint8_t *quants, size_t row, uint8_t *q) {
    for (size_t j = 0; j < 4; j++) {
        for (size_t i = 0; i < 4; i++) {
            uint8_t byte = quants[64 * j + 4 * row + i];
            q[4 * j + i] = byte & 15u;
            q[16 + 4 * j + i] = (uint8_t)(byte >> 4);
        }
    }
}

static void put_block(uint32_t type, const block_parts *p, size_t row, size_t block,
                      const segment_layout *l, uint8_t *segment) {
    store_u16(segment + l->scales + 32 * block + 2 * row, p->d);
    if (type == TENSOR_Q8_0) {
        for (size_t k = 0; k < 32; k++) {
            segment[l->quants + 512 * block + 64 * (k / 4) + 4 * row + k % 4] = p->q[k];
        }
        return;
    }
    if (type == TENSOR_Q4_1 || type == TENSOR_Q4_K) {
        store_u16(segment + l->mins + 32 * block + 2 * row, p->m);
    }
    if (type == TENSOR_Q4_0 || type == TENSOR_Q4_1) {
        put_nibbles(segment + l->quants + 256 * block, row, p->q);
        return;
    }
    for (size_t b = 0; b < 8; b++) {
        put_nibbles(segment + l->quants + 256 * b, row, p->q + 32 * b);
    }
    if (type == TENSOR_Q4_K) {
        for (size_t j = 0; j < 8; j++) {
            segment[l->sub_scales + 16 * j + row] = p->sc[j];
            segment[l->sub_mins + 32 * (j / 2) + 2 * row + j % 2] = p->mn[j];
        }
        return;
    }
    for (size_t v = 0; v < 16; v++) {
        segment[l->sub_scales + 16 * v + row] = p->sc[v];
        for (size_t b = 0; b < 4; b++) {
            const uint8_t *q = p->q + 16 * v + b;
            segment[l->high + 64 * v + 4 * row + b] =
                (uint8_t)((q[0] >> 4) | ((q[4] >> 4) << 2) | ((q[8] >> 4) << 4) |
                          ((q[12] >> 4) << 6));
        }
    }
}

static void get_block(uint32_t type, const uint8_t *segment, const segment_layout *l, size_t row,
                      size_t block, block_parts *p) {
    p->d = load_u16(segment + l->scales + 32 * block + 2 * row);
    if (type == TENSOR_Q8_0) {
        for (size_t k = 0; k < 32; k++) {
            p->q[k] = segment[l->quants + 512 * block + 64 * (k / 4) + 4 * row + k % 4];
        }
        return;
    }
    if (type == TENSOR_Q4_1 || type == TENSOR_Q4_K) {
        p->m = load_u16(segment + l->mins + 32 * block + 2 * row);
    }
    if (type == TENSOR_Q4_0 || type == TENSOR_Q4_1) {
        get_nibbles(segment + l->quants + 256 * block, row, p->q);
        return;
    }
    for (size_t b = 0; b < 8; b++) {
        get_nibbles(segment + l->quants + 256 * b, row, p->q + 32 * b);
    }
    if (type == TENSOR_Q4_K) {
        for (size_t j = 0; j < 8; j++) {
            p->sc[j] = segment[l->sub_scales + 16 * j + row];
            p->mn[j] = segment[l->sub_mins + 32 * (j / 2) + 2 * row + j % 2];
        }
        return;
    }
    for (size_t v = 0; v < 16; v++) {
        p->sc[v] = segment[l->sub_scales + 16 * v + row];
        for (size_t b = 0; b < 4; b++) {
            uint8_t high = segment[l->high + 64 * v + 4 * row + b];
            for (size_t i = 0; i < 4; i++) {
                p->q[16 * v + 4 * i + b] |= (uint8_t)((high >> (2 * i) & 3) << 4);
            }
        }
    }
}

static void pack_float_row(uint32_t type, const uint8_t *row, size_t lane, size_t n_columns,
                           uint8_t *group) {
    size_t element = type == TENSOR_F32 ? 4 : 2;
    for (size_t k = 0; k < n_columns; k++) {
        memcpy(group + (k * PACK_GROUP_ROWS + lane) * element, row + k * element, element);
    }
}

void pack_group(uint32_t type, const uint8_t *rows, size_t row_bytes, size_t n_rows,
                size_t n_columns, uint8_t *group) {
    uint64_t group_bytes = 0;
    bool known = pack_group_bytes(type, n_columns, &group_bytes);
    assert(known && n_rows <= PACK_GROUP_ROWS);
    (void)known;
    memset(group, 0, (size_t)group_bytes);
    const layout_row *layout = layout_of(type);
    const tensor_type_info *info = tensor_type_get(type);
    for (size_t row = 0; row < n_rows; row++) {
        const uint8_t *source = rows + row * row_bytes;
        if (!layout) {
            pack_float_row(type, source, row, n_columns, group);
            continue;
        }
        for (size_t k = 0; k < n_columns; k += info->block_size, source += info->block_bytes) {
            size_t s = k / PACK_SEGMENT;
            segment_layout l = pack_segment_layout(type, segment_width(n_columns, s));
            block_parts parts = {0};
            layout->read(source, &parts);
            put_block(type, &parts, row, k % PACK_SEGMENT / info->block_size, &l,
                      group + pack_segment_offset(type, s));
        }
    }
}

void unpack_group(uint32_t type, const uint8_t *group, size_t n_rows, size_t n_columns,
                  uint8_t *rows, size_t row_bytes) {
    const layout_row *layout = layout_of(type);
    const tensor_type_info *info = tensor_type_get(type);
    for (size_t row = 0; row < n_rows; row++) {
        uint8_t *target = rows + row * row_bytes;
        if (!layout) {
            size_t element = type == TENSOR_F32 ? 4 : 2;
            for (size_t k = 0; k < n_columns; k++) {
                memcpy(target + k * element, group + (k * PACK_GROUP_ROWS + row) * element,
                       element);
            }
            continue;
        }
        for (size_t k = 0; k < n_columns; k += info->block_size, target += info->block_bytes) {
            size_t s = k / PACK_SEGMENT;
            segment_layout l = pack_segment_layout(type, segment_width(n_columns, s));
            block_parts parts = {0};
            get_block(type, group + pack_segment_offset(type, s), &l, row,
                      k % PACK_SEGMENT / info->block_size, &parts);
            layout->write(&parts, target);
        }
    }
}

static float widen(uint32_t type, const uint8_t *p) {
    uint16_t half;
    float value;
    if (type == TENSOR_F32) {
        memcpy(&value, p, 4);
        return value;
    }
    memcpy(&half, p, 2);
    return type == TENSOR_F16 ? arith_f16_to_f32(half) : arith_bf16_to_f32(half);
}

/* Rule 11: (float)q · d, then + m; K-quants d · sc first. */
static void widen_block(uint32_t type, const block_parts *p, float *out) {
    float d = arith_f16_to_f32(p->d);
    float m = arith_f16_to_f32(p->m);
    for (size_t k = 0; k < tensor_type_get(type)->block_size; k++) {
        if (type == TENSOR_Q8_0) {
            out[k] = (float)(int8_t)p->q[k] * d;
        } else if (type == TENSOR_Q4_0) {
            out[k] = (float)((int)p->q[k] - 8) * d;
        } else if (type == TENSOR_Q4_1) {
            float scaled = (float)p->q[k] * d;
            out[k] = scaled + m;
        } else if (type == TENSOR_Q4_K) {
            size_t sub = k / 32;
            float ds = d * (float)p->sc[sub];
            float minimum = m * (float)p->mn[sub];
            float scaled = (float)p->q[k] * ds;
            out[k] = scaled - minimum;
        } else {
            float ds = d * (float)(int8_t)p->sc[k / 16];
            out[k] = (float)((int)p->q[k] - 32) * ds;
        }
    }
}

void pack_row(uint32_t type, const uint8_t *group, size_t row, size_t n_columns, float *out) {
    if (is_float(type)) {
        size_t element = type == TENSOR_F32 ? 4 : 2;
        for (size_t k = 0; k < n_columns; k++) {
            out[k] = widen(type, group + (k * PACK_GROUP_ROWS + row) * element);
        }
        return;
    }
    size_t block_size = tensor_type_get(type)->block_size;
    for (size_t k = 0; k < n_columns; k += block_size) {
        size_t s = k / PACK_SEGMENT;
        segment_layout l = pack_segment_layout(type, segment_width(n_columns, s));
        block_parts parts = {0};
        get_block(type, group + pack_segment_offset(type, s), &l, row,
                  k % PACK_SEGMENT / block_size, &parts);
        widen_block(type, &parts, out + k);
    }
}

static bool half_finite(uint16_t bits) {
    return (bits & 0x7C00u) != 0x7C00u;
}

static bool float_finite(uint32_t type, const uint8_t *p) {
    uint32_t bits = 0;
    memcpy(&bits, p, type == TENSOR_F32 ? 4 : 2);
    return type == TENSOR_F32   ? (bits & 0x7F800000u) != 0x7F800000u
           : type == TENSOR_F16 ? half_finite((uint16_t)bits)
                                : (bits & 0x7F80u) != 0x7F80u;
}

bool pack_group_finite(uint32_t type, const uint8_t *group, size_t n_columns) {
    if (is_float(type)) {
        size_t element = type == TENSOR_F32 ? 4 : 2;
        for (size_t i = 0; i < n_columns * PACK_GROUP_ROWS; i++) {
            if (!float_finite(type, group + i * element)) {
                return false;
            }
        }
        return true;
    }
    size_t block_size = tensor_type_get(type)->block_size;
    for (size_t k = 0; k < n_columns; k += block_size) {
        size_t s = k / PACK_SEGMENT;
        segment_layout l = pack_segment_layout(type, segment_width(n_columns, s));
        const uint8_t *segment = group + pack_segment_offset(type, s);
        size_t block = k % PACK_SEGMENT / block_size;
        for (size_t row = 0; row < PACK_GROUP_ROWS; row++) {
            size_t at = 32 * block + 2 * row;
            if (!half_finite(load_u16(segment + l.scales + at)) ||
                (l.mins != 0 && !half_finite(load_u16(segment + l.mins + at)))) {
                return false;
            }
        }
    }
    return true;
}
