/* The hash functions of the tokenizer's tables. Both take a seed made from the vocabulary itself,
 * so that a hostile vocabulary cannot choose its collisions. Nothing here allocates. */
#ifndef ENGINE_TOKENIZER_HASH_H
#define ENGINE_TOKENIZER_HASH_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

typedef struct tokenizer_seed {
    uint64_t words[2];
} tokenizer_seed;

static inline uint64_t hash_rotate(uint64_t x, unsigned n_bits) {
    return x << n_bits | x >> (64 - n_bits);
}

static inline void hash_round(uint64_t v[4]) {
    v[0] += v[1];
    v[2] += v[3];
    v[1] = hash_rotate(v[1], 13) ^ v[0];
    v[3] = hash_rotate(v[3], 16) ^ v[2];
    v[0] = hash_rotate(v[0], 32) + v[3];
    v[2] += v[1];
    v[3] = hash_rotate(v[3], 21) ^ v[0];
    v[1] = hash_rotate(v[1], 17) ^ v[2];
    v[2] = hash_rotate(v[2], 32);
}

/* The last 0 … 7 bytes of a text, little-endian. */
static inline uint64_t hash_tail(const char *bytes, size_t length) {
    uint64_t word = 0;
    for (size_t i = 0; i < length; i++) {
        word |= (uint64_t)(uint8_t)bytes[i] << 8 * i;
    }
    return word;
}

/* SipHash-1-3 (Aumasson, Bernstein). Little-endian targets only, like the blob. */
static inline uint64_t hash_text(const tokenizer_seed *seed, const char *bytes, size_t length) {
    uint64_t v[4] = {seed->words[0] ^ 0x736f6d6570736575, seed->words[1] ^ 0x646f72616e646f6d,
                     seed->words[0] ^ 0x6c7967656e657261, seed->words[1] ^ 0x7465646279746573};
    size_t whole = length & ~(size_t)7;
    for (size_t i = 0; i < whole; i += 8) {
        uint64_t word;
        memcpy(&word, bytes + i, sizeof word);
        v[3] ^= word;
        hash_round(v);
        v[0] ^= word;
    }
    uint64_t last = (uint64_t)length << 56 | hash_tail(bytes + whole, length - whole);
    v[3] ^= last;
    hash_round(v);
    v[0] ^= last;
    v[2] ^= 0xff;
    hash_round(v);
    hash_round(v);
    hash_round(v);
    return v[0] ^ v[1] ^ v[2] ^ v[3];
}

/* Two symbols. A bijection of 64 bits keyed twice, so that different pairs differ at least in it.
 */
static inline uint64_t hash_pair(const tokenizer_seed *seed, uint32_t left, uint32_t right) {
    uint64_t x = ((uint64_t)left << 32 | right) ^ seed->words[0];
    x = (x ^ x >> 32) * 0xd6e8feb86659fd93;
    x = (x ^ x >> 29 ^ seed->words[1]) * 0x9e3779b97f4a7c15;
    return x ^ x >> 32;
}

#endif
