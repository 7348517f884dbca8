/* What the guest in a virtual machine and its host know of each other: where things lie in the
 * guest's memory, and the calls (SYSCALL, the number in RAX) that the guest makes.
 *
 *   ENGINE_CODE     the program: headers, code and constants, readable and executable
 *   ENGINE_DATA     its variables, heap and stack, up to ENGINE_DATA_END
 *   ENGINE_SCRATCH  the rings, and behind them the memory of requests, where the settings say: zero
 *                   in a new machine
 *   ENGINE_MODEL    the packed model, readable
 *
 * The program starts as a program of Linux does, with the arguments below, and makes that system's
 * calls until READY. A machine is made of what it was then, any number of times: READY returns in
 * each of them, and from then on there are no calls but these. Ownership: constants. */
#ifndef GUEST_MACHINE_H
#define GUEST_MACHINE_H

#include "guest/wire.h"

enum {
    ENGINE_CODE = 0x400000,
    ENGINE_DATA = 0x600000,
    ENGINE_DATA_END = 0x2000000,
    ENGINE_SCRATCH = 0x2000000,
    ENGINE_LARGE_BYTES = 0x200000, /* pages of code, scratch and model */
    ENGINE_MAX_WORKERS = 64,
    ENGINE_RANDOM_BYTES = 32
};
#define ENGINE_SCRATCH_END ((uint64_t)0xE0000000)
#define ENGINE_MODEL ((uint64_t)1 << 32)

/* argv, decimal numbers; [0] is a name. */
enum {
    ENGINE_ARGUMENT_STATE = 1, /* bytes for what lives as long as the guest */
    ENGINE_ARGUMENT_SCRATCH,   /* bytes at ENGINE_SCRATCH until READY */
    ENGINE_ARGUMENT_MODEL,     /* bytes at ENGINE_MODEL; 0: no model */
    ENGINE_ARGUMENT_WORKERS,   /* the most processors that a machine will have */
    ENGINE_ARGUMENTS
};

/* Calls; arguments in RDI and RSI. */
enum {
    ENGINE_CALL_READY = 0x54415200, /* address of an engine_ready */
    /* bytes the guest has seen written to it, and seen read of what it wrote: returns when there
     * are others; 0 while the machine is prepared: the host is done, be READY next */
    ENGINE_CALL_WAIT,
    ENGINE_CALL_PARK, /* address of a 32-bit word, what it holds: as a futex waits */
    ENGINE_CALL_WAKE, /* address of a word: all that are parked there go on */
    ENGINE_CALL_YIELD
};

/* What a machine finds when READY returns: its host writes it. */
typedef struct engine_settings {
    uint8_t random[ENGINE_RANDOM_BYTES]; /* fresh */
    uint64_t scratch_bytes;
    uint64_t memory_at; /* offset in it of the memory of requests, behind the rings */
    uint64_t n_workers;
    uint64_t ticks_per_ms; /* of the time-stamp counter */
} engine_settings;

/* Addresses in the guest's variables. */
typedef struct engine_ready {
    uint64_t settings; /* of an engine_settings */
    /* Where the other processors start, with their number in RDI, on stacks that end at
     * stacks + number · stack_bytes, with the base of FS at threads + number · thread_bytes. */
    uint64_t worker_entry, stacks, stack_bytes, threads, thread_bytes;
} engine_ready;

#endif
