#include "runtime/kept_output.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

static bool make_room(kept_output *output, size_t length) {
    if (output->capacity - output->length > length) { /* and a NUL */
        return true;
    }
    size_t capacity = output->capacity < 4096 ? 4096 : output->capacity;
    while (capacity - output->length <= length) {
        if (capacity > SIZE_MAX / 2) {
            return false;
        }
        capacity *= 2;
    }
    char *grown = realloc(output->data, capacity);
    if (!grown) {
        return false;
    }
    output->data = grown;
    output->capacity = capacity;
    return true;
}

kept_output_result kept_output_add(kept_output *output, const uint8_t *bytes, size_t length,
                                   uint64_t left_bytes, size_t *kept) {
    size_t part = length <= left_bytes ? length : (size_t)left_bytes;
    *kept = 0;
    if (!make_room(output, part)) {
        return KEPT_NOTHING;
    }
    if (part > 0) {
        memcpy(output->data + output->length, bytes, part);
    }
    output->length += part;
    output->data[output->length] = '\0';
    *kept = part;
    return part == length ? KEPT_ALL : KEPT_A_PART;
}

char *kept_output_text(const kept_output *output) {
    static char nothing[1];
    return output->data ? output->data : nothing;
}

void kept_output_finish(kept_output *output) {
    free(output->data);
    *output = (kept_output){0};
}
