#include "base/utf8.h"
#include "runtime/wasi/internal.h"

#include <string.h>

bool wasi_in_memory(wasi_memory memory, uint32_t at, uint64_t length) {
    return at <= memory.size_bytes && length <= memory.size_bytes - at;
}

wasi_errno wasi_get(wasi_memory memory, uint32_t at, void *out, size_t length) {
    if (!wasi_in_memory(memory, at, length)) {
        return WASI_EFAULT;
    }
    if (length > 0) {
        memcpy(out, memory.bytes + at, length);
    }
    return WASI_SUCCESS;
}

wasi_errno wasi_put(wasi_memory memory, uint32_t at, const void *bytes, size_t length) {
    if (!wasi_in_memory(memory, at, length)) {
        return WASI_EFAULT;
    }
    if (length > 0) {
        memcpy(memory.bytes + at, bytes, length);
    }
    return WASI_SUCCESS;
}

void wasi_encode(uint8_t *out, uint64_t value, size_t n_bytes) {
    for (size_t i = 0; i < n_bytes; i++) {
        out[i] = (uint8_t)(value >> (8 * i));
    }
}

uint64_t wasi_decode(const uint8_t *bytes, size_t n_bytes) {
    uint64_t value = 0;
    for (size_t i = 0; i < n_bytes; i++) {
        value |= (uint64_t)bytes[i] << (8 * i);
    }
    return value;
}

wasi_errno wasi_put_u32(wasi_memory memory, uint32_t at, uint32_t value) {
    uint8_t bytes[4];
    wasi_encode(bytes, value, sizeof bytes);
    return wasi_put(memory, at, bytes, sizeof bytes);
}

wasi_errno wasi_put_u64(wasi_memory memory, uint32_t at, uint64_t value) {
    uint8_t bytes[8];
    wasi_encode(bytes, value, sizeof bytes);
    return wasi_put(memory, at, bytes, sizeof bytes);
}

wasi_errno wasi_get_slices(wasi_memory memory, uint32_t at, uint32_t count, wasi_slices *out) {
    uint64_t left = WASI_MAX_TRANSFER_BYTES;
    out->count = 0;
    if (!wasi_in_memory(memory, at, (uint64_t)count * 8)) {
        return WASI_EFAULT;
    }
    uint32_t last = count < WASI_MAX_SCANNED ? count : WASI_MAX_SCANNED; /* a part is legal */
    for (uint32_t i = 0; i < last && out->count < WASI_MAX_VECTORS && left > 0; i++) {
        const uint8_t *pair = memory.bytes + at + (size_t)i * 8;
        uint8_t copy[8]; /* what is checked is what is used */
        memcpy(copy, pair, sizeof copy);
        uint32_t begin = (uint32_t)wasi_decode(copy, 4);
        uint64_t length = wasi_decode(copy + 4, 4);
        if (length == 0) {
            continue; /* its pointer may be anything */
        }
        if (!wasi_in_memory(memory, begin, length)) {
            return WASI_EFAULT;
        }
        length = length < left ? length : left;
        left -= length;
        out->rows[out->count++] = (wasi_slice){memory.bytes + begin, (size_t)length};
    }
    return WASI_SUCCESS;
}

wasi_errno wasi_get_path(wasi_memory memory, uint32_t at, uint32_t length,
                         char out[PLATFORM_PATH_BYTES]) {
    out[0] = '\0';
    if (!wasi_in_memory(memory, at, length)) {
        return WASI_EFAULT;
    }
    if (length >= PLATFORM_PATH_BYTES) {
        return WASI_ENAMETOOLONG;
    }
    wasi_errno result = wasi_get(memory, at, out, length);
    out[length] = '\0';
    if (result != WASI_SUCCESS) {
        return result;
    }
    if (length == 0) {
        return WASI_ENOENT;
    }
    return memchr(out, '\0', length) || !utf8_valid(out, length, NULL) ? WASI_EILSEQ : WASI_SUCCESS;
}
