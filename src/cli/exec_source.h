/* The program that `tars exec` is given: a file, or for the runtime wasm the name of a loaded
 * module, which executes in the sight of all processes until it is closed.
 *
 * Ownership: exec_source_close gives everything back, also after a failure; *out does not move. */
#ifndef CLI_EXEC_SOURCE_H
#define CLI_EXEC_SOURCE_H

#include "cli/module_code.h"
#include "store/modules.h"

typedef struct exec_source {
    char home[PLATFORM_PATH_BYTES];
    char path[PLATFORM_PATH_BYTES];
    module_code code;
    wasm_artifacts artifacts;
    module_handle module;
    bool is_module; /* else `module` holds nothing */
} exec_source;

tars_status exec_source_open(const cli *c, const char *runtime, const wasm_settings *settings,
                             const char *argument, exec_source *out, tars_error *err);
/* `failure`: why it could not be opened by its runtime, or NULL. */
void exec_source_close(const cli *c, exec_source *source, const tars_error *failure);

#endif
