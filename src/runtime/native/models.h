/* Models in this process's threads behind the interface of runtimes. Ownership: a constant table.
 */
#ifndef RUNTIME_NATIVE_MODELS_H
#define RUNTIME_NATIVE_MODELS_H

#include "runtime/runtime.h"

/* Answers (guest_answer.h); embeddings, tokens and scores of texts are computed by src/api with the
 * engine itself, since nothing stands between the two. */
extern const runtime_functions native_models;

#endif
