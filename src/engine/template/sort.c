#include "engine/template/operate.h"
#include "engine/template/sequence.h"

/* Merges the sorted runs [low, middle) and [middle, high) of `from` into `to`. */
static bool merge(template_machine *m, const template_value *keys, bool reverse, const size_t *from,
                  size_t *to, size_t low, size_t middle, size_t high) {
    size_t left = low;
    size_t right = middle;
    for (size_t i = low; i < high; i++) {
        bool take_right = left >= middle;
        if (!take_right && right < high) {
            const template_value *a = &keys[from[left]];
            const template_value *b = &keys[from[right]];
            if (!template_less(m, reverse ? a : b, reverse ? b : a, &take_right)) {
                return false;
            }
        }
        to[i] = take_right ? from[right++] : from[left++];
    }
    return true;
}

bool template_sort(template_machine *m, const template_value *keys, size_t count, bool reverse,
                   size_t *order) {
    size_t *other = TEMPLATE_NEW(m, size_t, count);
    if (!other) {
        return false;
    }
    for (size_t i = 0; i < count; i++) {
        order[i] = i;
    }
    for (size_t width = 1; width < count; width *= 2) {
        memcpy(other, order, count * sizeof *other);
        for (size_t low = 0; low < count; low += 2 * width) {
            size_t middle = count - low > width ? low + width : count;
            size_t high = count - low > 2 * width ? low + 2 * width : count;
            if (!merge(m, keys, reverse, other, order, low, middle, high)) {
                return false;
            }
        }
    }
    return true;
}
