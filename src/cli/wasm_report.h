/* What a module says about itself, for people and as JSON. Ownership: everything is borrowed for
 * the call. */
#ifndef CLI_WASM_REPORT_H
#define CLI_WASM_REPORT_H

#include "cli/output.h"
#include "runtime/module/module_file.h"

/* Most imports, exports and custom sections that are shown; how many were left out is told. */
enum { WASM_REPORT_MAX_ITEMS = 10000, WASM_REPORT_TEXT_BYTES = 1024 };

typedef struct wasm_report {
    const char *name; /* of the file, as given */
    const char *sha256;
    const module_file *module;
    const tars_error *failure; /* what ended the reading; NULL: all was read */
} wasm_report;

void wasm_report_json(output *out, const wasm_report *report);
void wasm_report_print(output *out, const wasm_report *report);

#endif
