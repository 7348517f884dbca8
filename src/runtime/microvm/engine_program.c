#include "runtime/microvm/engine_program.h"

#include "runtime/embedded_file.h"

/* The build defines GUEST_PROGRAM_FILE as the path of the program, if there is one. */
#ifdef GUEST_PROGRAM_FILE
EMBED_FILE("engine_program", EMBED_PATH(GUEST_PROGRAM_FILE));
#else
EMBED_FILE("engine_program", "");
#endif
