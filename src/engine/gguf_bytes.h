/* Little-endian values at any address, on a machine of any byte order. Ownership: plain reads and
 * writes of the caller's bytes. */
#ifndef ENGINE_GGUF_BYTES_H
#define ENGINE_GGUF_BYTES_H

#include <stdint.h>

static inline uint16_t gguf_read_u16(const uint8_t *p) {
    return (uint16_t)(p[0] | (unsigned)p[1] << 8);
}

static inline uint32_t gguf_read_u32(const uint8_t *p) {
    return (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

static inline uint64_t gguf_read_u64(const uint8_t *p) {
    return (uint64_t)gguf_read_u32(p) | (uint64_t)gguf_read_u32(p + 4) << 32;
}

/* Writes the lowest `length` ≤ 8 bytes of the value. */
static inline void gguf_write_bytes(uint8_t *p, uint64_t value, unsigned length) {
    for (unsigned i = 0; i < length; i++) {
        p[i] = (uint8_t)(value >> (8 * i));
    }
}

#endif
