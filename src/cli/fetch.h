/* What `import` and `pull` share: they differ in where the file comes from and in the call that
 * fetches it. */
#ifndef CLI_FETCH_H
#define CLI_FETCH_H

#include "cli/verb.h"

#include <tars/model.h>

typedef struct fetch_values {
    const char *name, *sandbox, *sha256;
    bool replace;
    uint64_t max_bytes; /* pull only */
} fetch_values;

/* Options of both; values are a fetch_values. */
extern const option_set fetch_options;

typedef tars_status (*fetch_function)(tars_context *context, const char *what,
                                      const tars_import_options *options, tars_model_entry *out,
                                      tars_error *err);
/* Calls the function with the options and a progress bar, and prints the new entry. */
tars_status fetch_run(cli *c, const verb_call *call, fetch_function function, tars_error *err);

#endif
