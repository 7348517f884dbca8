/* The list of what is wrong with a configuration. Ownership: zeroed memory is an empty list of the
 * caller's; it owns copies of all texts, diagnostics_free gives them back. */
#ifndef CONFIG_DIAGNOSTICS_H
#define CONFIG_DIAGNOSTICS_H

#include "base/error.h"
#include "base/text.h"
#include "config/pool.h"

enum { DIAGNOSTICS_MAX = 1000 /* the rest is only counted */ };

typedef struct config_diagnostic {
    const char *code; /* "C0105" */
    bool warning;     /* else an error */
    const char *file; /* a file, or the variable or option that brought the value */
    int line, column; /* 1-based; 0 when `file` has no lines */
    const char *path; /* "deployment.wasm.enabled", or "" for the file as a whole */
    const char *message;
    struct config_diagnostic *next;
} config_diagnostic;

typedef struct config_diagnostics {
    config_diagnostic *first, *last;
    size_t n_errors, n_warnings; /* of all, also those beyond DIAGNOSTICS_MAX */
    pool memory;
} config_diagnostics;

typedef struct config_place {
    const char *file;
    int line, column;
} config_place;

/* Adds one in the order of finding. `code` is a literal. */
void diagnostics_add(config_diagnostics *list, const char *code, bool warning, config_place place,
                     const char *path, const char *format, ...) BASE_PRINTF(6, 7);
/* "file:line:column: error[C0105]: path: message" without a newline. */
void diagnostics_line(const config_diagnostic *d, text_buffer *out);
void diagnostics_free(config_diagnostics *list);

#endif
