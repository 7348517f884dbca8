/* Imports: a local model file or folder becomes a packed file of the store. Ownership: nothing is
 * kept; *out is plain memory. */
#ifndef STORE_IMPORTER_H
#define STORE_IMPORTER_H

#include "base/error.h"
#include "store/store.h"

#include <tars/model.h>

typedef struct importer_options {
    const char *home;
    const char *program_path; /* runs as the child */
    const char *name;         /* NULL: made from the path */
    const char *sandbox;      /* as in tars_import_options */
    const char *sha256;       /* expected of the source, or NULL */
    bool replace;
    uint32_t lock_wait_ms;     /* 0: STORE_LOCK_WAIT_MS */
    uint32_t stall_timeout_ms; /* 0: IMPORT_STALL_TIMEOUT_MS */
    tars_progress progress;    /* may be NULL; steps "wait", "digest", "import" */
    void *user;
} importer_options;

/* Packs `path`, a GGUF file or a folder with model.safetensors and config.json, under a name. The
 * same source under the same name again changes nothing; a packed file that is there already is
 * given the further name without packing again. CONFLICT when the name holds another model and
 * `replace` is false, or the store stays locked. MISMATCH when the source has not the expected
 * digest. */
tars_status importer_run(const char *path, const importer_options *options, tars_model_entry *out,
                         tars_error *err);

/* Whether the store holds that source under that name, whole and in this version's form; fills
 * *out then. */
bool importer_has(const char *home, const char *name, const char *sha256, tars_model_entry *out);

#endif
