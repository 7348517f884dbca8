/* Memory grows between calls to the host that point into it, also to its new end: what arrives is
 * what was there. A call never grows it itself, since no call of the host comes back in. */
#include "escape.h"

int main(void) {
    for (int i = 0; i < 100; i++) {
        size_t page = __builtin_wasm_memory_grow(0, 1);
        MUST(page != (size_t)-1);
        uint8_t *last = (uint8_t *)((page + 1) * 65536 - 1);
        *last = (uint8_t)('a' + i % 26);
        __wasi_ciovec_t io = {last, 1};
        __wasi_size_t n = 0;
        MUST(__wasi_fd_write(1, &io, 1, &n) == 0 && n == 1);
    }
    return 0;
}
