/* How a stranger's module is compiled, and the text of it: the name under which code is kept, and
 * what the process that compiles is told. Ownership: plain memory of the caller. */
#ifndef RUNTIME_WASM_STRANGER_CODE_H
#define RUNTIME_WASM_STRANGER_CODE_H

#include "base/text.h"

/* Proposals that can be switched off, as bits. All others are either always or never served. */
enum {
    PROPOSAL_SIMD = 1,
    PROPOSAL_BULK_MEMORY = 2, /* and reference types, which are built on it */
    PROPOSAL_MULTI_VALUE = 4,
    PROPOSAL_TAIL_CALL = 8,
    PROPOSAL_SETS = 16 /* how many sets of them there are */
};

/* Instructions of bulk memory fill and copy at once and are not interrupted, so that they are only
 * for memories of at most so many bytes. */
#define STRANGER_BULK_MEMORY_BYTES ((uint64_t)64 << 20)

typedef struct stranger_code {
    bool fuel;            /* instructions are counted */
    unsigned without;     /* proposals that are off */
    uint64_t stack_bytes; /* most of an instance's stack */
} stranger_code;

/* What a run within these limits is compiled for. */
static inline stranger_code stranger_code_for(unsigned without, bool fuel, uint64_t memory_bytes,
                                              uint64_t stack_bytes) {
    unsigned bulk = memory_bytes > STRANGER_BULK_MEMORY_BYTES ? PROPOSAL_BULK_MEMORY : 0;
    return (stranger_code){.fuel = fuel, .without = without | bulk, .stack_bytes = stack_bytes};
}

#define STRANGER_MIN_STACK_BYTES ((uint64_t)64 << 10)
#define STRANGER_MAX_STACK_BYTES ((uint64_t)16 << 20)

enum { STRANGER_CODE_BYTES = 96 /* of its text, with the NUL */ };

/* "stranger,fuel,no-simd": all but the size of the stack, on which no code depends. */
void stranger_code_write(const stranger_code *code, text_buffer *out);
/* False for a text that was not written so. The stack stays as it is. */
bool stranger_code_read(const char *text, stranger_code *code);
/* "simd, tail_call": the proposals that are off. */
void stranger_code_write_off(const stranger_code *code, text_buffer *out);

#endif
