/* Offsets inside a packed group, shared by the packer and every kernel. Ownership: pure
 * functions of their arguments. */
#ifndef ENGINE_PACK_LAYOUT_H
#define ENGINE_PACK_LAYOUT_H

#include "engine/pack.h"

/* Byte offsets within one segment of a group (see pack.h). Those a type lacks are 0. */
typedef struct segment_layout {
    uint32_t scales;     /* d */
    uint32_t mins;       /* m, or dmin of Q4_K */
    uint32_t sub_scales; /* sc of K-quants */
    uint32_t sub_mins;   /* m of Q4_K */
    uint32_t quants;     /* floats, bytes or nibbles */
    uint32_t high;       /* high bits of Q6_K */
    uint32_t size_bytes;
} segment_layout;

/* `n_columns` is the segment's width: 256, or less for the last one. */
static inline segment_layout pack_segment_layout(uint32_t type, size_t n_columns) {
    uint32_t blocks = (uint32_t)(n_columns / 32);
    segment_layout l = {0};
    switch (type) {
    case TENSOR_F32:
        l.size_bytes = (uint32_t)n_columns * 64;
        break;
    case TENSOR_F16:
    case TENSOR_BF16:
        l.size_bytes = ((uint32_t)n_columns * 32 + 63) & ~63u;
        break;
    case TENSOR_Q8_0:
        l.quants = (blocks * 32 + 63) & ~63u;
        l.size_bytes = l.quants + blocks * 512;
        break;
    case TENSOR_Q4_0:
        l.quants = (blocks * 32 + 63) & ~63u;
        l.size_bytes = l.quants + blocks * 256;
        break;
    case TENSOR_Q4_1:
        l.mins = blocks * 32;
        l.quants = blocks * 64;
        l.size_bytes = l.quants + blocks * 256;
        break;
    case TENSOR_Q4_K:
        l.mins = 32;
        l.sub_scales = 64;
        l.sub_mins = 192;
        l.quants = 320;
        l.size_bytes = 320 + 2048;
        break;
    case TENSOR_Q6_K:
        l.sub_scales = 64;
        l.quants = 320;
        l.high = 320 + 2048;
        l.size_bytes = 320 + 2048 + 1024;
        break;
    default:
        break;
    }
    return l;
}

#endif
