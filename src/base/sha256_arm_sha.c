#include "base/sha256_blocks.h"

#include <arm_neon.h>

static void four_rounds(uint32x4_t *abcd, uint32x4_t *efgh, uint32x4_t words, size_t step) {
    uint32x4_t wk = vaddq_u32(words, vld1q_u32(sha256_constants + 4 * step));
    uint32x4_t abcd_before = *abcd;
    *abcd = vsha256hq_u32(*abcd, *efgh, wk);
    *efgh = vsha256h2q_u32(*efgh, abcd_before, wk);
}

void sha256_blocks_arm_sha(uint32_t state[8], const uint8_t *bytes, size_t n_blocks) {
    uint32x4_t abcd = vld1q_u32(state);
    uint32x4_t efgh = vld1q_u32(state + 4);
    for (size_t i = 0; i < n_blocks; i++, bytes += 64) {
        uint32x4_t abcd_before = abcd;
        uint32x4_t efgh_before = efgh;
        uint32x4_t w[4];
        for (size_t step = 0; step < 4; step++) {
            w[step] = vreinterpretq_u32_u8(vrev32q_u8(vld1q_u8(bytes + 16 * step)));
            four_rounds(&abcd, &efgh, w[step], step);
        }
        for (size_t step = 4; step < 16; step++) {
            uint32x4_t part = vsha256su0q_u32(w[step % 4], w[(step + 1) % 4]);
            w[step % 4] = vsha256su1q_u32(part, w[(step + 2) % 4], w[(step + 3) % 4]);
            four_rounds(&abcd, &efgh, w[step % 4], step);
        }
        abcd = vaddq_u32(abcd, abcd_before);
        efgh = vaddq_u32(efgh, efgh_before);
    }
    vst1q_u32(state, abcd);
    vst1q_u32(state + 4, efgh);
}
