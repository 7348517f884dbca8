#include "runtime/wasm/guest_program.h"

#include "runtime/embedded_file.h"

/* The build defines GUEST_PROGRAM_FILE as the path of the module, if there is one. */
#ifdef GUEST_PROGRAM_FILE
EMBED_FILE("guest_program", EMBED_PATH(GUEST_PROGRAM_FILE));
#else
EMBED_FILE("guest_program", "");
#endif
