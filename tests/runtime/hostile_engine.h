/* What hostile_engine.c does in the place of the engine, and where it writes what it saw; shared
 * with the tests that run it. Ownership: constants. */
#ifndef TESTS_HOSTILE_ENGINE_H
#define TESTS_HOSTILE_ENGINE_H

#include "guest/machine.h"

#define HOSTILE_MARK ((uint64_t)0x4B52414D4B52414D) /* "MARKMARK" */

enum {
    HOSTILE_WORKERS = 4,
    HOSTILE_FILLER_BYTES = 12 << 20, /* more than a reset writes back */
    HOSTILE_CODE_BYTES = 4096,
    HOSTILE_XSAVE_BYTES = 4096
};

/* Before it is ready. Which: the test writes it behind hostile_boot's magic in the program. */
enum {
    HOSTILE_BOOT_WELL,
    HOSTILE_BOOT_SILENT,   /* READY without a greeting */
    HOSTILE_BOOT_TWICE,    /* greets twice */
    HOSTILE_BOOT_MAGIC,    /* greets with other numbers */
    HOSTILE_BOOT_ISA,      /* with kernels that nobody knows */
    HOSTILE_BOOT_ERROR,    /* tells an error of status `argument`, texts without an end */
    HOSTILE_BOOT_FRAME,    /* a frame of kind `argument` */
    HOSTILE_BOOT_INDEX,    /* `argument` as the index of what it wrote */
    HOSTILE_BOOT_READ,     /* as the index of what it read */
    HOSTILE_BOOT_READY_AT, /* READY with that address */
    HOSTILE_BOOT_SETTINGS, /* addresses in what READY points to */
    HOSTILE_BOOT_STACKS,
    HOSTILE_BOOT_STACK_BYTES,
    HOSTILE_BOOT_THREADS,
    HOSTILE_BOOT_THREAD_BYTES,
    HOSTILE_BOOT_ENTRY,
    HOSTILE_BOOT_RANDOM,    /* the address of the random bytes on its stack */
    HOSTILE_BOOT_NO_VECTOR, /* overwrites all of that vector */
    HOSTILE_BOOT_EXIT,
    HOSTILE_BOOT_FAULT,
    HOSTILE_BOOT_NEVER, /* computes without end */
    HOSTILE_BOOT_WAITS, /* waits without end */
    HOSTILE_BOOT_SLEEPS,
    HOSTILE_BOOT_CALLS, /* every number below 1024, with nonsense */
    HOSTILE_BOOT_LOW,   /* maps memory below its code, which no machine has, and is ready */
    HOSTILE_BOOT_UNMAP, /* unmaps where the settings go, and is ready */
    HOSTILE_BOOT_RETURN /* calls by the port, to return to `argument` */
};

/* A request's seed; its argument: top_k, and n_context above it. */
enum {
    HOSTILE_WELL,  /* answers */
    HOSTILE_CALL,  /* call number `argument`, then answers */
    HOSTILE_PARK,  /* PARK at `argument`, expecting another value, then answers */
    HOSTILE_SLEEP, /* PARK on a word that stays as it is */
    HOSTILE_WAKE,  /* WAKE `argument`, then answers */
    HOSTILE_WAIT,  /* WAIT with `argument` and all ones, then answers */
    HOSTILE_WORKER_WAIT,
    HOSTILE_WORKER_CALL,
    HOSTILE_WORKER_FAULT,
    HOSTILE_STORE,
    HOSTILE_LOAD,
    HOSTILE_JUMP,
    HOSTILE_JUMP_STACK,
    HOSTILE_STACK_AT,      /* the stack pointer at `argument`: then a push, or a call by bit 0 */
    HOSTILE_FAULT,         /* instruction `argument` */
    HOSTILE_SPIN,          /* all of its processors */
    HOSTILE_STORM,         /* call `argument` without end, all of its processors */
    HOSTILE_RETURN,        /* calls by the port, to return to `argument` */
    HOSTILE_FLAGS,         /* … with all flags, then answers with those that it got */
    HOSTILE_INDEX,         /* `argument` as the index of what it wrote, then waits */
    HOSTILE_READ,          /* as the index of what it read, then waits */
    HOSTILE_TO_GUEST,      /* as the index of what was written to it, then waits */
    HOSTILE_FRAME,         /* a frame: kind, its low half; size, the high one */
    HOSTILE_RESULT_MEMORY, /* a result of so many bytes */
    HOSTILE_RESULT_TOKENS,
    HOSTILE_TOKEN,
    HOSTILE_TEXT,
    HOSTILE_LOG, /* without end */
    HOSTILE_PROGRESS,
    HOSTILE_ERROR,       /* of status `argument`, texts without an end */
    HOSTILE_ERROR_FAULT, /* the same, and faults */
    HOSTILE_ANSWER_FAULT,
    HOSTILE_RACE,     /* rings change all the time, from all processors */
    HOSTILE_MARK_ALL, /* marks all memory (of the filler `argument` bytes) and registers; answers */
    HOSTILE_MEET,     /* answers when all of its processors have started */
    HOSTILE_LOOK,     /* counts marks; answers */
    HOSTILE_RUN /* runs the page at code_at; with bit 0 of `argument` on all of its processors */
};

/* Registers as a processor found them at its start, and the block that its FS points to. */
typedef struct hostile_processor {
    uint8_t thread[64]; /* what compilers use of it */
    uint64_t general[16], flags;
    uint64_t number;
    _Alignas(64) uint8_t vectors[HOSTILE_XSAVE_BYTES];
} hostile_processor;

typedef struct hostile_state {
    engine_settings settings; /* first: a test finds the rest by its address */
    uint64_t marks;           /* that were found */
    uint64_t flags;
    uint64_t canary, random[2]; /* as they were when READY returned */
    uint64_t code_at, registers_at;
    uint64_t code_bytes; /* pages from code_at on, then registers */
    atomic_uint order;   /* of the workers: what they do */
    atomic_uint is_done[HOSTILE_WORKERS];
    uint64_t argument;
    hostile_processor processors[HOSTILE_WORKERS];
} hostile_state;

/* In the program's data: the magic, then what it does. */
typedef struct hostile_boot {
    uint64_t magic[2];
    uint64_t what, argument;
} hostile_boot;
#define HOSTILE_MAGIC_0 ((uint64_t)0x7261746C69747368)
#define HOSTILE_MAGIC_1 ((uint64_t)0x656E69676E652D65)

#endif
