/* The start of a process, measured from outside: this program again, which opens a model, answers
 * and says when. Both halves are here: bench_process_run starts it, bench_process_main is it.
 * Ownership: nothing is kept. */
#ifndef CLI_BENCH_PROCESS_H
#define CLI_BENCH_PROCESS_H

#include "cli/client.h"

typedef struct bench_process_times {
    uint64_t start_ns;      /* before the process is made */
    uint64_t ready_ns;      /* it has opened the model and accepted a request */
    uint64_t token_ns;      /* it has the first token of an answer to a 32-token prompt */
    uint64_t private_bytes; /* it holds after a prompt of prompt_tokens; 0: unknown */
} bench_process_times;

/* `isa` may be NULL. */
tars_status bench_process_run(client *session, const char *model, unsigned threads,
                              unsigned prompt_tokens, const char *isa, bench_process_times *out,
                              tars_error *err);

/* The hidden verb: argv is the verb's name, then HOME MODEL THREADS PROMPT_TOKENS ISA ("" for the
 * best). Writes the lines "ready", "token" and "private N" as these moments come. Returns the exit
 * status. */
#define BENCH_PROCESS_VERB "internal-bench"
int bench_process_main(int argc, char **argv);

#endif
