#include "base/sha256.h"

#include "base/sha256_blocks.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <string.h>

#if defined(__x86_64__)
#include <cpuid.h>
#endif

_Alignas(16) const uint32_t sha256_constants[64] = {
    0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5,
    0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174,
    0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da,
    0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967,
    0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85,
    0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070,
    0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
    0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2};

static uint32_t rotate_right(uint32_t x, int n) {
    return (x >> n) | (x << (32 - n));
}

static uint32_t load_big_endian(const uint8_t *p) {
    return ((uint32_t)p[0] << 24) | ((uint32_t)p[1] << 16) | ((uint32_t)p[2] << 8) | p[3];
}

/* One round of FIPS 180-4 § 6.2.2 without the renaming of a … h, which the caller does. */
static inline void do_round(uint32_t a, uint32_t b, uint32_t c, uint32_t *d, uint32_t e, uint32_t f,
                            uint32_t g, uint32_t *h, uint32_t constant_and_word) {
    uint32_t t1 = *h + (rotate_right(e, 6) ^ rotate_right(e, 11) ^ rotate_right(e, 25)) +
                  ((e & f) ^ (~e & g)) + constant_and_word;
    *d += t1;
    *h = t1 + (rotate_right(a, 2) ^ rotate_right(a, 13) ^ rotate_right(a, 22)) +
         ((a & b) ^ (a & c) ^ (b & c));
}

static void fold_block(uint32_t state[8], const uint8_t *block) {
    uint32_t w[64];
    for (int i = 0; i < 16; i++) {
        w[i] = load_big_endian(block + 4 * (size_t)i);
    }
    for (int i = 16; i < 64; i++) {
        uint32_t x = w[i - 15];
        uint32_t y = w[i - 2];
        w[i] = w[i - 16] + w[i - 7] + (rotate_right(x, 7) ^ rotate_right(x, 18) ^ (x >> 3)) +
               (rotate_right(y, 17) ^ rotate_right(y, 19) ^ (y >> 10));
    }
    uint32_t a = state[0], b = state[1], c = state[2], d = state[3];
    uint32_t e = state[4], f = state[5], g = state[6], h = state[7];
    for (int i = 0; i < 64; i += 8) { /* the roles rotate; after eight rounds they are back */
        const uint32_t *k = sha256_constants + i;
        do_round(a, b, c, &d, e, f, g, &h, k[0] + w[i]);
        do_round(h, a, b, &c, d, e, f, &g, k[1] + w[i + 1]);
        do_round(g, h, a, &b, c, d, e, &f, k[2] + w[i + 2]);
        do_round(f, g, h, &a, b, c, d, &e, k[3] + w[i + 3]);
        do_round(e, f, g, &h, a, b, c, &d, k[4] + w[i + 4]);
        do_round(d, e, f, &g, h, a, b, &c, k[5] + w[i + 5]);
        do_round(c, d, e, &f, g, h, a, &b, k[6] + w[i + 6]);
        do_round(b, c, d, &e, f, g, h, &a, k[7] + w[i + 7]);
    }
    const uint32_t after[8] = {a, b, c, d, e, f, g, h};
    for (int i = 0; i < 8; i++) {
        state[i] += after[i];
    }
}

void sha256_blocks_portable(uint32_t state[8], const uint8_t *bytes, size_t n_blocks) {
    for (size_t i = 0; i < n_blocks; i++) {
        fold_block(state, bytes + 64 * i);
    }
}

typedef struct implementation {
    const char *name;
    sha256_blocks_fn *blocks;
    bool (*usable)(void);
} implementation;

#if defined(__x86_64__)
static bool cpu_has_sha(void) {
    unsigned a, b, c, d;
    if (!__get_cpuid(1, &a, &b, &c, &d) || !(c & bit_SSSE3) || !(c & bit_SSE4_1)) {
        return false;
    }
    return __get_cpuid_count(7, 0, &a, &b, &c, &d) && (b & (1u << 29)) != 0;
}
#elif defined(__aarch64__)
static bool cpu_has_sha(void) {
#if defined(__ARM_FEATURE_SHA2) || defined(__APPLE__)
    return true; /* part of the target's baseline */
#elif defined(__linux__)
    uint64_t features; /* Linux answers this read for user programs */
    __asm__("mrs %0, id_aa64isar0_el1" : "=r"(features));
    return ((features >> 12) & 0xFu) != 0;
#else
    return false;
#endif
}
#endif

static bool always(void) {
    return true;
}

static const implementation implementations[] = {
#if defined(__x86_64__)
    {"sha-ni", sha256_blocks_x86_sha, cpu_has_sha},
#elif defined(__aarch64__)
    {"armv8", sha256_blocks_arm_sha, cpu_has_sha},
#endif
    {"portable", sha256_blocks_portable, always},
};

/* Asked once: in a virtual machine the cpuid instruction leaves the guest and costs as much as
 * hashing 100 KB. The answer never changes, so a race only computes it twice. */
static const implementation *chosen(void) {
    static atomic_uint cached; /* index + 1; 0: not yet asked */
    unsigned index = atomic_load_explicit(&cached, memory_order_relaxed);
    if (index == 0) {
        while (!implementations[index].usable()) {
            index++;
        }
        index++;
        atomic_store_explicit(&cached, index, memory_order_relaxed);
    }
    return &implementations[index - 1];
}

const char *sha256_implementation(void) {
    return chosen()->name;
}

void sha256_init(sha256_context *context) {
    static const uint32_t initial[8] = {0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a,
                                        0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19};
    memset(context, 0, sizeof *context);
    memcpy(context->state, initial, sizeof initial);
}

void sha256_update(sha256_context *context, const void *bytes, size_t length) {
    const uint8_t *p = bytes;
    size_t used = (size_t)(context->length_bytes % 64);
    context->length_bytes += length;
    if (used > 0) {
        size_t part = 64 - used < length ? 64 - used : length;
        if (part > 0) {
            memcpy(context->block + used, p, part);
        }
        if (used + part < 64) {
            return;
        }
        chosen()->blocks(context->state, context->block, 1);
        p += part;
        length -= part;
    }
    if (length >= 64) {
        size_t n_blocks = length / 64;
        chosen()->blocks(context->state, p, n_blocks);
        p += 64 * n_blocks;
        length -= 64 * n_blocks;
    }
    if (length > 0) {
        memcpy(context->block, p, length);
    }
}

void sha256_final(sha256_context *context, uint8_t digest[SHA256_DIGEST_BYTES]) {
    static const uint8_t padding[64] = {0x80};
    uint64_t bits = context->length_bytes * 8;
    uint8_t tail[8];
    for (unsigned i = 0; i < 8; i++) {
        tail[i] = (uint8_t)(bits >> (56 - 8 * i));
    }
    size_t used = (size_t)(context->length_bytes % 64);
    sha256_update(context, padding, used < 56 ? 56 - used : 120 - used);
    sha256_update(context, tail, sizeof tail);
    for (unsigned i = 0; i < SHA256_DIGEST_BYTES; i++) {
        digest[i] = (uint8_t)(context->state[i / 4] >> (24 - 8 * (i % 4)));
    }
}

void sha256(const void *bytes, size_t length, uint8_t digest[SHA256_DIGEST_BYTES]) {
    sha256_context context;
    sha256_init(&context);
    sha256_update(&context, bytes, length);
    sha256_final(&context, digest);
}

void sha256_hex(const uint8_t digest[SHA256_DIGEST_BYTES], char hex[SHA256_HEX_BYTES]) {
    for (size_t i = 0; i < SHA256_DIGEST_BYTES; i++) {
        hex[2 * i] = "0123456789abcdef"[digest[i] >> 4];
        hex[2 * i + 1] = "0123456789abcdef"[digest[i] & 15];
    }
    hex[2 * SHA256_DIGEST_BYTES] = '\0';
}
