#include "engine/index_sort.h"

/* Moves the root of the heap indices[root … count) down to where it belongs. */
static void sift_down(uint32_t *indices, size_t root, size_t count, index_before before,
                      const void *context) {
    uint32_t moving = indices[root];
    for (;;) {
        size_t child = 2 * root + 1;
        if (child >= count) {
            break;
        }
        if (child + 1 < count && before(context, indices[child], indices[child + 1])) {
            child++;
        }
        if (!before(context, moving, indices[child])) {
            break;
        }
        indices[root] = indices[child];
        root = child;
    }
    indices[root] = moving;
}

void index_sort(uint32_t *indices, size_t count, index_before before, const void *context) {
    for (size_t root = count / 2; root > 0; root--) {
        sift_down(indices, root - 1, count, before, context);
    }
    for (size_t end = count; end > 1; end--) {
        uint32_t largest = indices[0];
        indices[0] = indices[end - 1];
        indices[end - 1] = largest;
        sift_down(indices, 0, end - 1, before, context);
    }
}
