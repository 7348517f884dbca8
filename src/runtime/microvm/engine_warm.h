/* What a machine serves before anybody's request, so that its pages are there: touching one first
 * costs some hundred times as much as afterwards. Ownership: nothing is kept. */
#ifndef RUNTIME_MICROVM_ENGINE_WARM_H
#define RUNTIME_MICROVM_ENGINE_WARM_H

#include "runtime/microvm/engine_machine.h"

typedef enum engine_warmth {
    ENGINE_COLD,
    ENGINE_WARM_FOR_TEXT, /* it has been at what every request needs */
    ENGINE_WARM_FOR_PASS, /* and at the weights; not of models that do not generate */
    ENGINE_WARMTHS
} engine_warmth;

/* Makes a new or reset machine warm, within so many bytes of memory; afterwards it is reset. When
 * that fails, or *is_over became 1, the machine is not used again. */
tars_status engine_warm_up(engine_machine *m, const engine_snapshot *snapshot, engine_warmth warmth,
                           uint64_t memory_bytes, const atomic_uint *is_over, tars_error *err);

#endif
