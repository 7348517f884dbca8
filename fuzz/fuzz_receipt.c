/* Receipts that nobody vouches for: read, bring to canonical form, check the signature. */
#include "store/receipt.h"

#include <stdint.h>
#include <stdlib.h>

enum { MAX_BYTES = 1 << 16 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size > MAX_BYTES) {
        return 0;
    }
    size_t memory_bytes = RECEIPT_ARENA_FACTOR * size + 65536;
    void *memory = malloc(memory_bytes);
    if (!memory) {
        return 0;
    }
    arena a;
    arena_init(&a, memory, memory_bytes);
    receipt r;
    tars_error err;
    if (receipt_parse((const char *)data, size, &a, &r, &err) == TARS_OK) {
        tars_request request;
        receipt_to_request(&r, NULL, &request);
        (void)receipt_verify(&r, &err);
        if (r.signed_length == 0 || request.n_ids != r.n_prompt_ids) {
            abort();
        }
    }
    free(memory);
    return 0;
}
