#include "runtime/wasm/guest_program.h"

/* The build defines GUEST_PROGRAM_FILE as the path of the module, if there is one. */
#ifdef GUEST_PROGRAM_FILE
#define GUEST_PROGRAM_BYTES ".incbin \"" GUEST_PROGRAM_FILE "\"\n"
#else
#define GUEST_PROGRAM_BYTES ""
#endif

__asm__(".pushsection .rodata\n"
        ".balign 16\n"
        ".global guest_program\n"
        ".hidden guest_program\n"
        "guest_program:\n" GUEST_PROGRAM_BYTES "1:\n"
        ".balign 16\n"
        ".global guest_program_bytes\n"
        ".hidden guest_program_bytes\n"
        "guest_program_bytes:\n"
        ".quad 1b - guest_program\n"
        ".popsection\n");
