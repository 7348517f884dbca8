/* Sizes that cannot overflow. Each returns false, and leaves *out alone, when the result does not
 * fit. Every size that comes from outside goes through these. */
#ifndef BASE_CHECKED_H
#define BASE_CHECKED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

static inline bool checked_add_u64(uint64_t a, uint64_t b, uint64_t *out) {
    uint64_t result;
    if (__builtin_add_overflow(a, b, &result)) {
        return false;
    }
    *out = result;
    return true;
}

static inline bool checked_mul_u64(uint64_t a, uint64_t b, uint64_t *out) {
    uint64_t result;
    if (__builtin_mul_overflow(a, b, &result)) {
        return false;
    }
    *out = result;
    return true;
}

static inline bool checked_add_size(size_t a, size_t b, size_t *out) {
    size_t result;
    if (__builtin_add_overflow(a, b, &result)) {
        return false;
    }
    *out = result;
    return true;
}

static inline bool checked_mul_size(size_t a, size_t b, size_t *out) {
    size_t result;
    if (__builtin_mul_overflow(a, b, &result)) {
        return false;
    }
    *out = result;
    return true;
}

/* Rounds up to a multiple of `alignment`, a power of two. */
static inline bool checked_align_u64(uint64_t value, uint64_t alignment, uint64_t *out) {
    uint64_t padded;
    if (!checked_add_u64(value, alignment - 1, &padded)) {
        return false;
    }
    *out = padded & ~(alignment - 1);
    return true;
}

static inline bool checked_to_size(uint64_t value, size_t *out) {
    if (value > SIZE_MAX) {
        return false;
    }
    *out = (size_t)value;
    return true;
}

#endif
