/* Numbers of the host that a guest may compare and must not learn: inodes and devices. Ownership:
 * plain values; the keys are random and of one guest. */
#ifndef RUNTIME_DISGUISE_H
#define RUNTIME_DISGUISE_H

#include <stdint.h>

/* A Feistel network: a permutation, so that no two numbers become one. */
static inline uint64_t disguise_number(uint64_t value, const uint64_t keys[4]) {
    uint32_t left = (uint32_t)(value >> 32);
    uint32_t right = (uint32_t)value;
    for (unsigned i = 0; i < 4; i++) {
        uint64_t mixed = (right ^ keys[i]) * 0x9E3779B97F4A7C15u;
        mixed = (mixed ^ (mixed >> 29)) * 0xBF58476D1CE4E5B9u;
        uint32_t next = left ^ (uint32_t)(mixed >> 32);
        left = right;
        right = next;
    }
    return (uint64_t)left << 32 | right;
}

#endif
