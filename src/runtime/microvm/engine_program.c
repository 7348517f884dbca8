#include "runtime/microvm/engine_program.h"

#include "runtime/embedded_file.h"

/* The build defines GUEST_PROGRAM_FILE as the path of the program, if there is one. */
#ifdef GUEST_PROGRAM_FILE
EMBED_FILE("engine_program", EMBED_PATH(GUEST_PROGRAM_FILE));
#else
EMBED_FILE("engine_program", "");
#endif

tars_status engine_program_check(tars_error *err) {
    if (engine_program_bytes > 0) {
        return TARS_OK;
    }
    error_set(err, TARS_UNAVAILABLE,
              "runtime microvm is unavailable: this tars was built without its engine");
    return error_hint(err, "build on x86-64 with the static C library (libc6-dev) there");
}
