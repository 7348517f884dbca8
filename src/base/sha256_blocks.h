/* The compression functions that sha256.c chooses from. Private to the digest's files. */
#ifndef BASE_SHA256_BLOCKS_H
#define BASE_SHA256_BLOCKS_H

#include <stddef.h>
#include <stdint.h>

/* The round constants of FIPS 180-4 § 4.2.2. */
extern const uint32_t sha256_constants[64];

/* Each folds n_blocks blocks of 64 bytes into state. The last two must only be called on a CPU
 * that has the instructions. */
typedef void sha256_blocks_fn(uint32_t state[8], const uint8_t *bytes, size_t n_blocks);
sha256_blocks_fn sha256_blocks_portable;
sha256_blocks_fn sha256_blocks_x86_sha;
sha256_blocks_fn sha256_blocks_arm_sha;

#endif
