#include "base/sha256_blocks.h"

#include <immintrin.h>

/* The CPU keeps the state as two vectors, ABEF and CDGH (highest lane first), and does two rounds
 * an instruction. Sixteen steps of four rounds; the schedule is computed four words ahead. */

static __m128i load_words(const uint8_t *bytes) {
    const __m128i swap = _mm_set_epi64x(0x0c0d0e0f08090a0b, 0x0405060700010203);
    return _mm_shuffle_epi8(_mm_loadu_si128((const __m128i *)(const void *)bytes), swap);
}

static __m128i load_constants(int step) {
    return _mm_load_si128((const __m128i *)(const void *)(sha256_constants + 4 * (size_t)step));
}

/* w[0..3] hold schedule words 4i-16 … 4i-1; the result is words 4i … 4i+3. */
static __m128i next_words(__m128i w0, __m128i w1, __m128i w2, __m128i w3) {
    __m128i sum = _mm_add_epi32(_mm_sha256msg1_epu32(w0, w1), _mm_alignr_epi8(w3, w2, 4));
    return _mm_sha256msg2_epu32(sum, w3);
}

static void four_rounds(__m128i *abef, __m128i *cdgh, __m128i words, int step) {
    __m128i wk = _mm_add_epi32(words, load_constants(step));
    *cdgh = _mm_sha256rnds2_epu32(*cdgh, *abef, wk);
    *abef = _mm_sha256rnds2_epu32(*abef, *cdgh, _mm_shuffle_epi32(wk, 0x0E));
}

void sha256_blocks_x86_sha(uint32_t state[8], const uint8_t *bytes, size_t n_blocks) {
    __m128i dcba = _mm_loadu_si128((const __m128i *)(const void *)state);
    __m128i hgfe = _mm_loadu_si128((const __m128i *)(const void *)(state + 4));
    __m128i cdab = _mm_shuffle_epi32(dcba, 0xB1);
    __m128i efgh = _mm_shuffle_epi32(hgfe, 0x1B);
    __m128i abef = _mm_alignr_epi8(cdab, efgh, 8);
    __m128i cdgh = _mm_blend_epi16(efgh, cdab, 0xF0);
    for (size_t i = 0; i < n_blocks; i++, bytes += 64) {
        __m128i abef_before = abef;
        __m128i cdgh_before = cdgh;
        __m128i w[4];
        for (int step = 0; step < 4; step++) {
            w[step] = load_words(bytes + 16 * (size_t)step);
            four_rounds(&abef, &cdgh, w[step], step);
        }
        for (int step = 4; step < 16; step += 4) {
            w[0] = next_words(w[0], w[1], w[2], w[3]);
            four_rounds(&abef, &cdgh, w[0], step);
            w[1] = next_words(w[1], w[2], w[3], w[0]);
            four_rounds(&abef, &cdgh, w[1], step + 1);
            w[2] = next_words(w[2], w[3], w[0], w[1]);
            four_rounds(&abef, &cdgh, w[2], step + 2);
            w[3] = next_words(w[3], w[0], w[1], w[2]);
            four_rounds(&abef, &cdgh, w[3], step + 3);
        }
        abef = _mm_add_epi32(abef, abef_before);
        cdgh = _mm_add_epi32(cdgh, cdgh_before);
    }
    __m128i feba = _mm_shuffle_epi32(abef, 0x1B);
    __m128i dchg = _mm_shuffle_epi32(cdgh, 0xB1);
    _mm_storeu_si128((__m128i *)(void *)state, _mm_blend_epi16(feba, dchg, 0xF0));
    _mm_storeu_si128((__m128i *)(void *)(state + 4), _mm_alignr_epi8(dchg, feba, 8));
}
