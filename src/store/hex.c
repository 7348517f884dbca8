#include "store/hex.h"

#include <string.h>

static const char digits[] = "0123456789abcdef";

void hex_encode(const uint8_t *bytes, size_t length, char *hex) {
    for (size_t i = 0; i < length; i++) {
        hex[2 * i] = digits[bytes[i] >> 4];
        hex[2 * i + 1] = digits[bytes[i] & 15];
    }
    hex[2 * length] = '\0';
}

bool hex_decode(const char *hex, uint8_t *bytes, size_t length) {
    if (strlen(hex) != 2 * length) {
        return false;
    }
    for (size_t i = 0; i < length; i++) {
        const char *high = strchr(digits, hex[2 * i]);
        const char *low = strchr(digits, hex[2 * i + 1]);
        if (!high || !low) {
            return false;
        }
        bytes[i] = (uint8_t)((high - digits) << 4 | (low - digits));
    }
    return true;
}

bool hex_is_sha256(const char *text) {
    uint8_t digest[32];
    return hex_decode(text, digest, sizeof digest);
}
