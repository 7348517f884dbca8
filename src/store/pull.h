/* Pull: a model from wherever it is into the store. Ownership: nothing is kept. */
#ifndef STORE_PULL_H
#define STORE_PULL_H

#include "store/importer.h"

#define PULL_DEFAULT_MAX_BYTES (UINT64_C(64) << 30)

typedef struct pull_options {
    importer_options import; /* name, digest, progress … */
    bool offline;
    uint64_t max_bytes;          /* of a download; 0: PULL_DEFAULT_MAX_BYTES */
    uint32_t connect_timeout_ms; /* 0: download.h's */
    uint32_t download_stall_ms;  /* 0: download.h's */
} pull_options;

/* `what` is a path (anything with a slash, or an existing file), an http or https URL,
 * hf:org/repo/file, or a name of the catalogue. A catalogue name that the store already holds with
 * the catalogue's digest is not fetched again. */
tars_status pull_run(const char *what, const pull_options *options, tars_model_entry *out,
                     tars_error *err);

#endif
