/* How the program that stands in for the engine is told what to do. Ownership: constant data. */
#ifndef TESTS_HOSTILE_REQUEST_H
#define TESTS_HOSTILE_REQUEST_H

#include "runtime/guest_answer.h"

enum { HOSTILE_VOCABULARY = 10 };

static inline guest_answer_request hostile_request(unsigned what, uint64_t argument) {
    static const int32_t ids[] = {1, 2, 3};
    return (guest_answer_request){.n_vocab = HOSTILE_VOCABULARY,
                                  .prompt = ids,
                                  .wire = {.kind = WIRE_GENERATE,
                                           .max_tokens = 4,
                                           .n_prompt = 3,
                                           .seed = what,
                                           .top_k = (uint32_t)argument,
                                           .n_context = (uint32_t)(argument >> 32)}};
}

#endif
