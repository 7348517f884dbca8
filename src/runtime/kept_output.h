/* What a guest wrote to a channel, kept up to a limit. Ownership: init by {0}, finish frees; what
 * kept_output_bytes returns stays the buffer's. */
#ifndef RUNTIME_KEPT_OUTPUT_H
#define RUNTIME_KEPT_OUTPUT_H

#include <stddef.h>
#include <stdint.h>

typedef struct kept_output {
    char *data; /* NULL before anything was written; else a NUL follows what was */
    size_t length, capacity;
} kept_output;

typedef enum kept_output_result {
    KEPT_ALL,
    KEPT_A_PART, /* the limit was reached */
    KEPT_NOTHING /* no memory */
} kept_output_result;

/* Keeps at most `left_bytes` of `bytes` [length]; *kept is how many. */
kept_output_result kept_output_add(kept_output *output, const uint8_t *bytes, size_t length,
                                   uint64_t left_bytes, size_t *kept);
/* Never NULL: an empty text when nothing was written. */
char *kept_output_text(const kept_output *output);
void kept_output_finish(kept_output *output);

#endif
