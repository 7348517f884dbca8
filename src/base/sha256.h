/* SHA-256 (FIPS 180-4), with the CPU's SHA instructions where it has them. Ownership: the context
 * is the caller's plain memory; copying it forks the digest. */
#ifndef BASE_SHA256_H
#define BASE_SHA256_H

#include <stddef.h>
#include <stdint.h>

enum { SHA256_DIGEST_BYTES = 32, SHA256_HEX_BYTES = 65 /* with the NUL */ };

typedef struct sha256_context {
    uint32_t state[8];
    uint64_t length_bytes;
    uint8_t block[64];
} sha256_context;

void sha256_init(sha256_context *context);
void sha256_update(sha256_context *context, const void *bytes, size_t length);
void sha256_final(sha256_context *context, uint8_t digest[SHA256_DIGEST_BYTES]);
void sha256(const void *bytes, size_t length, uint8_t digest[SHA256_DIGEST_BYTES]);
/* 64 lower-case hex digits and a NUL. */
void sha256_hex(const uint8_t digest[SHA256_DIGEST_BYTES], char hex[SHA256_HEX_BYTES]);
/* Name of the implementation in use: "sha-ni", "armv8", "portable". */
const char *sha256_implementation(void);

#endif
