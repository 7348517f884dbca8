/* Time for guests: while any guest runs, all engines count ticks of about WASM_TICK_MS, at which
 * running guests are looked after. Ownership: nothing is the caller's; engines are never forgotten
 * and must live as long as the process. Any thread. */
#ifndef RUNTIME_WASM_CLOCK_H
#define RUNTIME_WASM_CLOCK_H

#include "runtime/wasm/library.h"

enum { WASM_TICK_MS = 2, WASM_MAX_ENGINES = 64 };

/* From now on the engine's epochs are counted. LIMIT beyond WASM_MAX_ENGINES. */
tars_status wasm_clock_add(const wasm_library *w, wasm_engine_t *engine, tars_error *err);
/* Around each guest's run. */
void wasm_clock_begin(void);
void wasm_clock_end(void);

#endif
