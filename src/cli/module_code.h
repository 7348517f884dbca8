/* Compiled code of a loaded module: kept as any other, and noted with the module, so that it goes
 * when the module does. Ownership: the caller's plain memory; `home` and the texts of
 * `settings` are borrowed. */
#ifndef CLI_MODULE_CODE_H
#define CLI_MODULE_CODE_H

#include "cli/auditing.h"
#include "cli/wasm_settings.h"
#include "store/code_store.h"

typedef struct module_code {
    code_store store;
    audit_log *audit;
    wasm_artifacts kept;
    char sha256[SHA256_HEX_BYTES]; /* of the module; "": a file that was not loaded */
    char program[PLATFORM_PATH_BYTES];
} module_code;

/* Valid as long as *out, which does not move; `sha256` NULL: no module is noted. The program tars
 * compiles in a process of its own. */
tars_status module_code_artifacts(const cli *c, const char *home, const char *sha256,
                                  const wasm_settings *settings, module_code *out,
                                  wasm_artifacts *artifacts, tars_error *err);
/* Says why code is not kept, if it is not. */
void module_code_tell(const cli *c, const module_code *code);

#endif
